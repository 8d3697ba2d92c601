//! Text and numbers inside of an SVG.

use crate::report::clean::clean;

/// About how wide a letter of the charts' text is; fonts with wide letters need this, others less.
pub(super) const LETTER: f64 = 6.2;

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
            c => safe.push(clean(c)),
        }
    }
    safe
}

/// What of a text is at most about `room` wide, with `…` for what is missing of its middle, because names often begin
/// or end alike; escaped.
pub(super) fn short(text: &str, room: f64) -> String {
    if width(text, f64::INFINITY) <= room {
        return escape(text);
    }
    let within = |room: f64| {
        let mut used = 0.0;
        move |c: &char| {
            used += advance(*c);
            used <= room
        }
    };
    let mut end: Vec<char> = text.chars().rev().take_while(within(0.4 * (room - LETTER))).collect();
    end.reverse();
    let end = String::from_iter(end);
    let start: String = text.chars().take_while(within(room - LETTER - width(&end, room))).collect();
    format!("{}…{}", escape(start.trim_end()), escape(end.trim_start()))
}

/// How wide a text is that [`short`] cuts at `room`.
pub(super) fn width(text: &str, room: f64) -> f64 {
    text.chars().map(advance).sum::<f64>().min(room)
}

/// How wide a character is: letters of Chinese, Japanese and Korean fill a square, accents take no room.
fn advance(c: char) -> f64 {
    match c {
        '\u{300}'..='\u{36f}' | '\u{200b}'..='\u{200f}' | '\u{fe00}'..='\u{fe0f}' => 0.0,
        '\u{1100}'..='\u{115f}' | '\u{2e80}'..='\u{a4cf}' | '\u{ac00}'..='\u{d7a3}' => 11.0,
        '\u{f900}'..='\u{faff}' | '\u{fe30}'..='\u{fe6f}' | '\u{ff00}'..='\u{ff60}' | '\u{1f300}'..='\u{3ffff}' => 11.0,
        '0'..='9' => 7.0,
        'M' | 'W' | 'm' | 'w' | '%' | '@' | '—' => 9.0,
        _ => LETTER,
    }
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
        assert_eq!(short("<<<<>", 4.0 * LETTER), "&lt;&lt;…&gt;");
        assert_eq!(short("<<<", 3.0 * LETTER), "&lt;&lt;&lt;");
        assert_eq!(escape("a\n\u{202e}b"), "a\u{fffd}\u{fffd}b");
    }

    #[test]
    fn widths_follow_the_letters() {
        assert_eq!(width("ab", 100.0), 2.0 * LETTER);
        assert_eq!(width("a\u{301}\u{6587}", 100.0), LETTER + 11.0);
        assert_eq!(short("\u{6587}\u{6587}\u{6587}", 24.0), "\u{6587}…");
        assert_eq!(width("long enough to be cut", 20.0), 20.0);
    }

    #[test]
    fn numbers_have_the_digits_of_their_step() {
        let numbers = [(0.1 + 0.2, 0.1), (-1e-17, 0.2), (20.0, 5.0), (2e6, 5e5), (1e300, 2e299), (2e-5, 1e-5)];
        let shown = numbers.map(|(value, step)| number(value, step));
        assert_eq!(shown, ["0.3", "0", "20", "2.0e6", "1.0e300", "2e-5"]);
        assert_eq!([-0.0, 17.0, 0.12345, 0.4, 1234.5, 1e-9].map(plain), ["0", "17", "0.123", "0.4", "1234", "1.00e-9"]);
    }
}
