//! Charts as inline SVG: pure functions of numbers, for pages without script.
//!
//! Every chart is one `<svg role="img">` that is labeled with its title, without identifiers and references to anything
//! outside, so that many fit on one page. The title itself is not drawn: it stands above as text that can wrap. Text and
//! lines have the color `currentColor`, series those of the CSS variables `--chart-1` to `--chart-6`, which have defaults
//! that can be read on light and on dark ground. All names are escaped.
//!
//! A chart grows and shrinks with the room it has, but not so far that its text could not be read: one that is still too
//! wide has a `min-width` and needs a frame that scrolls.

mod bars;
mod confusion;
mod correlation;
mod curves;
mod frame;
mod histogram;
mod intervals;
mod lines;
mod reliability;
mod scale;
mod scatter;
mod stacked;
mod text;

pub use bars::bars;
pub use confusion::confusion;
pub use correlation::correlation;
pub use curves::{precision_recall, roc};
pub use histogram::histogram;
pub use intervals::{Interval, intervals};
pub use lines::{Series, lines};
pub use reliability::reliability;
pub use scatter::scatter;
pub use stacked::stacked;

/// A finished chart: SVG markup that only this module makes, so that no foreign text gets into a page as markup.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Chart {
    title: String,
    svg: String,
    wide: bool,
}

impl Chart {
    /// `marks` on a ground of `[width, height]`.
    fn new(title: &str, [width, height]: [f64; 2], marks: &str) -> Self {
        // Between these widths the text of 11 units has 8.6 to 13.8 pixels.
        let (least, most) = (width * 0.78, width * 1.25);
        let style = format!("width:100%;min-width:{least:.0}px;max-width:{most:.0}px;height:auto");
        let label = text::escape(if title.is_empty() { "chart" } else { title });
        let svg =
            format!(r#"<svg class="chart" role="img" aria-label="{label}" viewBox="0 0 {width:.0} {height:.0}" "#)
                + &format!(
                    r#"preserveAspectRatio="xMinYMin" style="{style}" font-size="11" fill="currentColor">{marks}</svg>"#
                );
        Self { title: title.into(), svg, wide: width > frame::WIDTH }
    }

    /// The `<svg>` element.
    pub fn as_str(&self) -> &str {
        &self.svg
    }

    /// What stands above the chart, as it was given: not escaped.
    pub fn title(&self) -> &str {
        &self.title
    }

    /// Whether the chart is too wide to stand beside another one.
    pub fn is_wide(&self) -> bool {
        self.wide
    }
}

impl std::fmt::Display for Chart {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.svg)
    }
}

/// What stands around a chart.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Labels<'a> {
    /// Above the chart.
    pub title: &'a str,
    /// Below the horizontal axis, with its unit.
    pub x: &'a str,
    /// Beside the vertical axis, with its unit.
    pub y: &'a str,
}

/// Series beyond these share colors and differ in their dashes.
const COLORS: [&str; 6] = [
    "var(--chart-1,#3b82c4)",
    "var(--chart-2,#d9722e)",
    "var(--chart-3,#2a9d6f)",
    "var(--chart-4,#b65fb0)",
    "var(--chart-5,#a8831c)",
    "var(--chart-6,#6f7f95)",
];
const DASHES: [&str; 4] = ["", "7 3", "2 3", "9 3 2 3"];

/// The color of series `i`.
fn color(i: usize) -> &'static str {
    COLORS[i % COLORS.len()]
}

/// The attributes of series `i` as a line.
fn stroke(i: usize) -> String {
    let dash = DASHES[i / COLORS.len() % DASHES.len()];
    let dash = if dash.is_empty() { String::new() } else { format!(r#" stroke-dasharray="{dash}""#) };
    format!(r#"fill="none" stroke="{}" stroke-width="1.8" stroke-linejoin="round"{dash}"#, color(i))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::confusion::ConfusionMatrix;
    use crate::metrics::Bin;

    const BAD: &str = "<script>alert('&\"')</script>\u{1}";

    /// Every kind of chart of the same numbers and names.
    fn all(values: &[f64], name: &str) -> Vec<Chart> {
        let labels = Labels { title: name, x: name, y: name };
        let points: Vec<[f64; 2]> = values.iter().enumerate().map(|(i, v)| [i as f64, *v]).collect();
        let square: Vec<Vec<Option<f64>>> = vec![values.iter().copied().map(Some).collect(); values.len()];
        let turned = points.iter().map(|[x, y]| [*y, *x]).collect();
        let series =
            [Series { name: name.into(), points: points.clone() }, Series { name: name.into(), points: turned }];
        let named: Vec<(String, f64)> = values.iter().map(|v| (name.into(), *v)).collect();
        let span = |v: &f64| Interval { name: name.into(), value: *v, low: v - 1.0, high: *v };
        let spans: Vec<Interval> = values.iter().map(span).collect();
        let counts = values.iter().map(|v| values.iter().map(|w| (v * w).abs() as u64).collect()).collect();
        let matrix = ConfusionMatrix { classes: vec![name.into(); values.len()], counts };
        let bin = |v: &f64| Bin { low: 0.2, high: 0.4, count: v.abs() as usize, confidence: *v, accuracy: *v };
        let bins: Vec<Bin> = values.iter().map(bin).collect();
        vec![
            lines(labels, &series),
            stacked(labels, &[name.into(), name.into()], &[(name.into(), values.to_vec()), (name.into(), vec![1.0])]),
            intervals(labels, &spans, Some((name, values.first().copied().unwrap_or(0.5)))),
            bars(labels, &named),
            histogram(labels, values, 10),
            confusion(name, &matrix),
            correlation(name, &matrix.classes, &square),
            scatter(labels, &points),
            roc(name, &series),
            precision_recall(name, &series),
            reliability(name, &bins),
        ]
    }

    #[test]
    fn names_are_shown_and_never_run() {
        for chart in all(&[1.0, 2.0], BAD) {
            let chart = chart.as_str();
            assert!(!chart.contains("<script") && chart.contains("&lt;script&gt;"), "{chart}");
            assert!(!chart.contains('\u{1}') && !chart.contains("alert('"), "{chart}");
        }
    }

    #[test]
    fn no_numbers_break_a_chart() {
        let (huge, tiny) = (f64::MAX, f64::from_bits(1));
        let cases: [&[f64]; 12] = [
            &[],
            &[0.0],
            &[3.0, 3.0],
            &[-0.1, -0.1],
            &[huge, -huge],
            &[huge, huge],
            &[tiny, -tiny],
            &[1e15, 1e15 + 0.125],
            &[f64::NAN, 1.0, f64::INFINITY, 2.0],
            &[f64::NAN],
            &[1e-300, 1.0, 1e300],
            &[-5.0, 5.0, 0.25],
        ];
        for values in cases {
            for chart in all(values, "a") {
                let chart = chart.as_str();
                let about = format!("{values:?}: {chart}");
                assert!(!chart.contains("NaN") && !chart.contains("inf"), "{about}");
                assert!(chart.starts_with("<svg ") && chart.ends_with("</svg>") && chart.len() < 30_000, "{about}");
                assert!(chart.contains(r#"role="img" aria-label="a""#), "{about}");
                assert!(!chart.contains("http") && !chart.contains("url(") && !chart.contains(" id="), "{about}");
            }
        }
    }

    #[test]
    fn many_points_stay_small() {
        let points = (0..100_000).map(|i| [i as f64, (i as f64).sin()]).collect();
        let chart = lines(Labels::default(), &[Series { name: "a".into(), points }]);
        assert!(chart.as_str().len() < 30_000, "{}", chart.as_str().len());
    }
}
