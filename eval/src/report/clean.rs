//! Foreign text as a reader can be shown it.

/// The character itself, or U+FFFD for one that is not seen or does harm: a control character, a mark that turns the
/// direction of the text around it, a code point that is no character.
pub(super) fn clean(c: char) -> char {
    match c {
        '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}' | '\u{fdd0}'..='\u{fdef}' => '\u{fffd}',
        c if c.is_control() || u32::from(c) & 0xfffe == 0xfffe => '\u{fffd}',
        c => c,
    }
}

/// A name or a sentence, on one line.
pub(super) fn line(text: &str) -> String {
    text.chars().map(clean).collect()
}

/// Text whose line breaks and tabs count.
pub(super) fn lines(text: &str) -> String {
    text.replace("\r\n", "\n").chars().map(|c| if matches!(c, '\n' | '\t') { c } else { clean(c) }).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_not_seen_becomes_a_mark() {
        assert_eq!(
            line("a\n\u{202e}b\u{7f}\u{9b}\u{ffff}é→字\u{5d0}"),
            "a\u{fffd}\u{fffd}b\u{fffd}\u{fffd}\u{fffd}é→字\u{5d0}"
        );
        assert_eq!(lines("a\r\n\tb\rc\0"), "a\n\tb\u{fffd}c\u{fffd}");
    }
}
