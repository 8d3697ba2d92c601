//! Numbers with their intervals.

use super::bars::{beside, named, row};
use super::frame::{FAINT, LINE, TOP, WIDTH, axis, dot, line, text, ticks};
use super::scale::Scale;
use super::text::{escape, number, short, width};
use super::{Chart, Labels, color};

/// A named number that is known to lie somewhere.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Interval {
    /// Left of the dot.
    pub name: String,
    /// Where the dot is.
    pub value: f64,
    /// The lower end.
    pub low: f64,
    /// The upper end.
    pub high: f64,
}

/// A dot with its interval per name, from the top: a score and where it may lie, such as [`crate::bootstrap::interval`].
///
/// `reference` is a named number for comparison, drawn as a dashed line. The axis does not begin at 0. `labels.x` says
/// what is measured, `labels.y` is not drawn; an interval whose numbers are not finite keeps its name.
pub fn intervals(labels: Labels, rows: &[Interval], reference: Option<(&str, f64)>) -> Chart {
    let reference = reference.filter(|(_, value)| value.is_finite());
    let numbers = rows.iter().flat_map(|row| [row.value, row.low, row.high]);
    let scale = Scale::of(numbers.chain(reference.map(|(_, value)| value))).rounded();
    let shown = |value: f64| number(value, scale.step / 50.0);
    let left = beside(rows.iter().map(|row| row.name.as_str()));
    let values = rows.iter().filter(|row| row.value.is_finite()).map(|row| width(&shown(row.value), 100.0));
    let (height, room) = (row(rows.len()), WIDTH - left - values.fold(0.0, f64::max) - 14.0);
    let top = TOP + if reference.is_some() { LINE } else { 0.0 };
    let bottom = top + height * rows.len() as f64;
    let at = |value: f64| left + scale.share(value) * room;
    let mut svg = ticks(scale, [left, room], bottom, Some(top));
    svg += &line([left, bottom], [left + room, bottom], &axis(".5"));
    if let Some((name, value)) = reference {
        svg += &line([at(value), top - 2.0], [at(value), bottom], &format!(r#"{} stroke-dasharray="4 3""#, axis(".7")));
        let (anchor, limit) = if scale.share(value) > 0.5 { ("end", at(value)) } else { ("start", WIDTH - at(value)) };
        svg += &text([at(value), top - 6.0], &format!(r#"text-anchor="{anchor}" {FAINT}"#), &short(name, limit));
    }
    for (i, Interval { name, value, low, high }) in rows.iter().enumerate() {
        let y = top + height * i as f64;
        svg += &named(name, left, y, height);
        if value.is_finite() {
            let (middle, about) = (
                y + height / 2.0,
                format!("{}: {} ({} to {})", escape(name), shown(*value), shown(*low), shown(*high)),
            );
            if low.is_finite() && high.is_finite() {
                svg += &bar([at(*low), at(*high)], middle);
            }
            svg += &dot([at(*value), middle], 4.0, 0, &about);
            svg += &text([left + room + 8.0, middle + 4.0], FAINT, &shown(*value));
        }
    }
    svg += &text([left + room / 2.0, bottom + 2.0 * LINE], r#"text-anchor="middle""#, &short(labels.x, room));
    Chart::new(labels.title, [WIDTH, bottom + 38.0], &svg)
}

/// A line with a stop at each end.
fn bar([low, high]: [f64; 2], y: f64) -> String {
    let (top, bottom) = (y - 3.5, y + 3.5);
    let path = format!("M{low:.1} {top:.1}V{bottom:.1}M{high:.1} {top:.1}V{bottom:.1}M{low:.1} {y:.1}H{high:.1}");
    format!(r#"<path d="{path}" fill="none" stroke="{}" stroke-width="1.6"/>"#, color(0))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn intervals_have_dots_lines_and_a_reference() {
        let row = |name: &str, low| Interval { name: name.into(), value: 0.5, low, high: 0.75 };
        let labels = Labels { title: "a", x: "b", y: "" };
        let chart = intervals(labels, &[row("one", 0.25), row("two", f64::NAN)], Some(("chance", 0.5)));
        assert_eq!(chart.as_str().matches("<circle").count(), 2);
        assert_eq!(chart.as_str().matches("stroke-width=\"1.6\"").count(), 1, "an end is missing");
        assert!(
            chart.as_str().contains(">chance</text>") && chart.as_str().contains("<title>one: 0.500 (0.250 to 0.750)")
        );
        assert!(!intervals(labels, &[row("one", 0.25)], Some(("chance", f64::NAN))).as_str().contains("chance"));
    }
}
