//! Which classes are taken for which, as a heat map.

use super::frame::{TOP, WIDTH, area, open, text};
use super::text::{CHARACTER, escape, short, width};
use super::{Chart, color};
use crate::confusion::ConfusionMatrix;

const NAME: usize = 20;
/// Up to this many classes cells hold their counts, and up to `NAMED` rows and columns their names.
const COUNTED: usize = 20;
const NAMED: usize = 60;

/// A row per true class, a column per predicted one; the darker, the larger the share of the row. What is right has
/// another color than mistakes.
pub fn confusion(title: &str, matrix: &ConfusionMatrix) -> Chart {
    let classes = matrix.classes.len();
    let widest = matrix.classes.iter().map(|name| width(name, NAME)).fold(0.0, f64::max);
    let room = if classes <= NAMED { widest + 10.0 } else { 0.0 };
    let left = 18.0 + room;
    let cell = ((WIDTH - left - 4.0) / classes.max(1) as f64).min(56.0);
    // Flat cells where there are few, so that the chart is not higher than it has to be.
    let (height, size) = (cell.min(36.0), 12f64.min(cell * 0.9));
    let bottom = TOP + height * classes as f64;
    // Slanted names of narrow columns would touch each other.
    let (angle, depth) = if cell < 18.0 { (90, room) } else { (45, 0.75 * room) };
    let mut svg = open(title, bottom + depth + 40.0);
    for (truth, row) in matrix.counts.iter().enumerate() {
        let total = row.iter().fold(0u64, |sum, count| sum.saturating_add(*count));
        let y = TOP + height * truth as f64;
        for (predicted, &count) in row.iter().enumerate().filter(|(_, count)| **count > 0) {
            let x = left + cell * predicted as f64;
            let share = count as f64 / total as f64;
            let (fill, opacity) = (color(usize::from(truth != predicted)), 0.06 + 0.64 * share.sqrt());
            let names = [truth, predicted].map(|class| matrix.classes.get(class).map_or("", String::as_str));
            let [of, taken] = names.map(escape);
            let about = format!("{of} taken for {taken}: {count} ({:.1} %)", 100.0 * share);
            let fill = format!(r#"fill="{fill}" fill-opacity="{opacity:.2}""#);
            svg += &area([x, y, (cell - 1.0).max(0.5), (height - 1.0).max(0.5)], &fill, &about);
            let shown = short(&count.to_string(), (cell / CHARACTER) as usize);
            if classes <= COUNTED {
                let at = [x + cell / 2.0 - 0.5, y + height / 2.0 + 4.0];
                svg += &text(at, r#"text-anchor="middle" pointer-events="none""#, &shown);
            }
        }
    }
    for (i, name) in matrix.classes.iter().enumerate().filter(|_| classes <= NAMED) {
        let size = format!(r#"font-size="{size:.1}" text-anchor="end""#);
        let (y, x) = (TOP + height * (i as f64 + 0.5) + 0.35 * 12.0, left + cell * (i as f64 + 0.5) + 4.0);
        svg += &text([left - 6.0, y], &size, &short(name, NAME));
        let turned = format!(r#"{size} transform="rotate(-{angle} {x:.1} {:.1})""#, bottom + 10.0);
        svg += &text([x, bottom + 10.0], &turned, &short(name, NAME));
    }
    let (middle, below) = (TOP + height * classes as f64 / 2.0, bottom + depth + 28.0);
    let turned = format!(r#"text-anchor="middle" transform="rotate(-90 12 {middle:.1})""#);
    svg += &text([12.0, middle], &turned, "true class");
    svg += &text([left + cell * classes as f64 / 2.0, below], r#"text-anchor="middle""#, "predicted class");
    Chart(svg + "</svg>")
}
