//! Mistakes of the person at the keyboard: they end with exit code 2 and a hint.

use std::fmt;

/// Marks an error chain as a mistake in the command line or the recipe: nothing was read or written.
#[derive(Debug)]
pub struct Usage(String);

impl Usage {
    pub fn command_line() -> Self {
        Self("the command line is wrong".into())
    }
    pub fn recipe(name: &str) -> Self {
        Self(format!("recipe '{name}' is wrong"))
    }
    pub fn new(message: impl Into<String>) -> Self {
        Self(message.into())
    }
}

impl fmt::Display for Usage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::error::Error for Usage {}

/// `; did you mean 'x'?` for messages of the form "unknown … 'y', expected one of a, b, c" (with quotes of any kind), else nothing.
pub fn suggestion(message: &str) -> String {
    // The last quoted word before "expected" is the unknown one; others name the place.
    let quoted = |text: &str| -> Option<String> {
        let end = text.rfind(['`', '\''])?;
        let start = text[..end].rfind(['`', '\''])?;
        Some(text[start + 1..end].to_string())
    };
    let Some((head, tail)) = message.split_once("expected") else { return String::new() };
    if message.contains("did you mean") || !head.contains("unknown") {
        return String::new();
    }
    let Some(word) = quoted(head) else { return String::new() };
    let known = tail.trim_start_matches(" one of").split([',', ' ']).map(|w| w.trim_matches(['`', '\'', ' ', '.']));
    let near = known
        .filter(|known| !known.is_empty())
        .map(|known| (strsim::damerau_levenshtein(known, &word), known))
        .min()
        .filter(|(distance, known)| *distance <= 1 + known.len() / 4);
    near.map(|(_, known)| format!("; did you mean '{known}'?")).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn near_words_are_suggested() {
        let serde = "unknown field `epocs`, expected one of `epochs`, `batch_size`";
        assert_eq!(suggestion(serde), "; did you mean 'epochs'?");
        let ours = "unknown loss 'fical', expected one of bce, cross_entropy, focal";
        assert_eq!(suggestion(ours), "; did you mean 'focal'?");
        let nested = "source 'csv': unknown field `gruop`, expected one of `path`, `group`";
        assert_eq!(suggestion(nested), "; did you mean 'group'?");
        assert_eq!(suggestion("unknown loss 'xyz', expected one of bce, cross_entropy"), "");
        assert_eq!(suggestion("disk full"), "");
    }
}
