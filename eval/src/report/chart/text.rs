//! Text and numbers inside of an SVG.

/// About how wide a character of the charts' text is.
pub(super) const CHARACTER: f64 = 6.8;

/// Text that no browser takes for markup, on one line.
pub(super) fn escape(text: &str) -> String {
    let mut safe = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '&' => safe.push_str("&amp;"),
            '<' => safe.push_str("&lt;"),
            '>' => safe.push_str("&gt;"),
            '"' => safe.push_str("&quot;"),
            '\'' => safe.push_str("&#39;"),
            // Marks of direction would turn the text around them, too.
            '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}' => safe.push('\u{fffd}'),
            c if c.is_control() => safe.push('\u{fffd}'),
            c => safe.push(c),
        }
    }
    safe
}

/// At most `limit` characters, the last one `…` if some are missing; escaped.
pub(super) fn short(text: &str, limit: usize) -> String {
    if text.chars().count() <= limit {
        return escape(text);
    }
    let kept: String = text.chars().take(limit.saturating_sub(1)).collect();
    format!("{}…", escape(kept.trim_end()))
}

/// How wide a text is that [`short`] cuts at `limit`.
pub(super) fn width(text: &str, limit: usize) -> f64 {
    CHARACTER * text.chars().count().min(limit) as f64
}

/// A number with as many digits as steps of `step` need.
pub(super) fn number(value: f64, step: f64) -> String {
    let size = value.abs();
    if size < step.abs() * 1e-6 {
        return "0".into();
    }
    let (magnitude, finest) = (size.log10().floor(), step.abs().log10().floor());
    if size >= 1e6 || finest < -4.0 {
        let digits = (magnitude - finest).clamp(0.0, 6.0) as usize;
        return format!("{value:.digits$e}");
    }
    let digits = (-finest).clamp(0.0, 6.0) as usize;
    format!("{value:.digits$}")
}

/// A number with at most about three digits.
pub(super) fn plain(value: f64) -> String {
    if value.fract() == 0.0 && value.abs() < 1e6 {
        return format!("{}", value + 0.0);
    }
    let shown = number(value, 10f64.powf(value.abs().log10().floor() - 2.0).max(f64::MIN_POSITIVE));
    match shown.contains('.') && !shown.contains('e') {
        true => shown.trim_end_matches('0').trim_end_matches('.').into(),
        false => shown,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_cut_before_they_are_escaped() {
        assert_eq!(short("<<<<<", 3), "&lt;&lt;…");
        assert_eq!(escape("a\n\u{202e}b"), "a\u{fffd}\u{fffd}b");
    }

    #[test]
    fn numbers_have_the_digits_of_their_step() {
        let numbers = [(0.1 + 0.2, 0.1), (-1e-17, 0.2), (20.0, 5.0), (2e6, 5e5), (1e300, 2e299), (2e-5, 1e-5)];
        let shown = numbers.map(|(value, step)| number(value, step));
        assert_eq!(shown, ["0.3", "0", "20", "2.0e6", "1.0e300", "2e-5"]);
        assert_eq!([-0.0, 17.0, 0.12345, 0.4, 1234.5, 1e-9].map(plain), ["0", "17", "0.123", "0.4", "1234", "1.00e-9"]);
    }
}
