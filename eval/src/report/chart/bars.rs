//! Horizontal bars: a number per name.

use super::frame::{FAINT, TOP, WIDTH, about, area, axis, line, text};
use super::scale::Scale;
use super::text::{plain, short, width};
use super::{Chart, Labels, color};

/// The most room that a name takes.
const NAME: f64 = 140.0;

/// How high a row is if there are `count`.
pub(super) fn row(count: usize) -> f64 {
    match count {
        0..=12 => 22.0,
        13..=40 => 18.0,
        _ => 15.0,
    }
}

/// Where marks begin right of the names.
pub(super) fn beside<'a>(names: impl Iterator<Item = &'a str>) -> f64 {
    names.map(|name| width(name, NAME)).fold(0.0, f64::max) + 8.0
}

/// A name left of its row, whose upper edge is `y`.
pub(super) fn named(name: &str, left: f64, y: f64, row: f64) -> String {
    text([left - 6.0, y + row / 2.0 + 4.0], r#"text-anchor="end""#, &short(name, NAME))
}

/// A bar per name, from the top, each with its number; `labels.x` says what is counted, `labels.y` is not drawn.
pub fn bars(labels: Labels, bars: &[(String, f64)]) -> Chart {
    let finite = |value: f64| if value.is_finite() { value } else { 0.0 };
    let scale = Scale::from_zero(bars.iter().map(|(_, value)| finite(*value)));
    let left = beside(bars.iter().map(|(name, _)| name.as_str()));
    let number = bars.iter().map(|(_, value)| width(&plain(finite(*value)), 100.0)).fold(0.0, f64::max) + 8.0;
    let (row, room) = (row(bars.len()), WIDTH - left - number);
    let zero = left + scale.share(0.0) * room;
    let bottom = TOP + row * bars.len() as f64;
    let mut svg = String::new();
    for (i, (name, value)) in bars.iter().enumerate() {
        let (y, value) = (TOP + row * i as f64, finite(*value));
        let end = left + scale.share(value) * room;
        let (from, to) = (zero.min(end), zero.max(end));
        let fill = format!(r#"fill="{}""#, color(0));
        svg += &named(name, left, y, row);
        svg += &area([from, y + 2.5, to - from, row - 5.0], &fill, &about(name, &plain(value)));
        svg += &text([to + 5.0, y + row / 2.0 + 4.0], FAINT, &plain(value));
    }
    svg += &line([zero, TOP], [zero, bottom], &axis(".5"));
    svg += &text([left, bottom + 16.0], FAINT, &short(labels.x, WIDTH - left));
    Chart::new(labels.title, [WIDTH, bottom + 22.0], &svg)
}
