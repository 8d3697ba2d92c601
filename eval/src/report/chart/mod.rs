//! Charts as inline SVG: pure functions of numbers, for pages without script.
//!
//! Every chart is one `<svg role="img">` with a `<title>`, no identifiers and no reference to anything outside, so that
//! many fit on one page. Text and lines are drawn in `currentColor`, series in the CSS variables `--chart-1` to
//! `--chart-6`, which have defaults that can be read on light and on dark ground. All names are escaped.

mod bars;
mod confusion;
mod curves;
mod frame;
mod histogram;
mod lines;
mod reliability;
mod scale;
mod text;

pub use bars::bars;
pub use confusion::confusion;
pub use curves::{precision_recall, roc};
pub use histogram::histogram;
pub use lines::{Series, lines};
pub use reliability::reliability;

/// A finished chart: SVG markup that only this module makes, so that no foreign text gets into a page as markup.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Chart(String);

impl Chart {
    /// The `<svg>` element.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl std::fmt::Display for Chart {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.0)
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
    "var(--chart-5,#b08a1e)",
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
        let turned = points.iter().map(|[x, y]| [*y, *x]).collect();
        let series = [Series { name: name.into(), points }, Series { name: name.into(), points: turned }];
        let named: Vec<(String, f64)> = values.iter().map(|v| (name.into(), *v)).collect();
        let counts = values.iter().map(|v| values.iter().map(|w| (v * w).abs() as u64).collect()).collect();
        let matrix = ConfusionMatrix { classes: vec![name.into(); values.len()], counts };
        let bin = |v: &f64| Bin { low: 0.2, high: 0.4, count: v.abs() as usize, confidence: *v, accuracy: *v };
        let bins: Vec<Bin> = values.iter().map(bin).collect();
        vec![
            lines(labels, &series),
            bars(labels, &named),
            histogram(labels, values, 10),
            confusion(name, &matrix),
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
                assert!(chart.contains(r#"role="img""#) && chart.contains("<title>a"), "{about}");
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
