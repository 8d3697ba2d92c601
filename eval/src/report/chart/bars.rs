//! Horizontal bars: a number per name.

use super::frame::{TOP, WIDTH, area, open, text};
use super::scale::Scale;
use super::text::{escape, plain, short, width};
use super::{Chart, Labels, color};

const ROW: f64 = 22.0;
const NAME: usize = 26;

/// A bar per name, from the top, each with its number; `labels.x` says what is counted, `labels.y` is not drawn.
pub fn bars(labels: Labels, bars: &[(String, f64)]) -> Chart {
    let finite = |value: f64| if value.is_finite() { value } else { 0.0 };
    let scale = Scale::from_zero(bars.iter().map(|(_, value)| finite(*value)));
    let left = bars.iter().map(|(name, _)| width(name, NAME)).fold(0.0, f64::max) + 8.0;
    let number = bars.iter().map(|(_, value)| width(&plain(finite(*value)), 20)).fold(0.0, f64::max) + 8.0;
    let room = WIDTH - left - number;
    let zero = left + scale.share(0.0) * room;
    let bottom = TOP + ROW * bars.len() as f64;
    let mut svg = open(labels.title, bottom + 22.0);
    for (i, (name, value)) in bars.iter().enumerate() {
        let (y, value) = (TOP + ROW * i as f64, finite(*value));
        let end = left + scale.share(value) * room;
        let (from, to) = (zero.min(end), zero.max(end));
        let about = format!("{}: {}", escape(name), plain(value));
        svg += &text([left - 6.0, y + 15.0], r#"text-anchor="end""#, &short(name, NAME));
        svg += &area([from, y + 3.0, to - from, ROW - 6.0], &format!(r#"fill="{}""#, color(0)), &about);
        svg += &text([to + 5.0, y + 15.0], r#"fill-opacity=".75""#, &plain(value));
    }
    svg +=
        &format!(r#"<path d="M{zero:.1} {TOP}V{bottom:.1}" fill="none" stroke="currentColor" stroke-opacity=".5"/>"#);
    svg += &text([left, bottom + 16.0], "", &short(labels.x, 60));
    Chart(svg + "</svg>")
}
