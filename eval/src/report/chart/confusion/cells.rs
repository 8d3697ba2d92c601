//! The cells of a confusion matrix.

use super::{COUNTED, Layout};
use crate::confusion::ConfusionMatrix;
use crate::report::chart::color;
use crate::report::chart::frame::{FAINT, area, text};
use crate::report::chart::text::{escape, width};
use std::collections::BTreeMap;

/// Up to this many cells tell their counts where the pointer rests.
const TOLD: usize = 4000;

/// A rectangle for every cell that is not empty.
pub(super) fn cells(matrix: &ConfusionMatrix, layout: &Layout) -> String {
    let &Layout { left, top, cell, height, .. } = layout;
    let classes = matrix.classes.len();
    let told = matrix.counts.iter().flatten().filter(|count| **count > 0).count() <= TOLD;
    let [wide, high] = [cell, height].map(|side| if side > 3.0 { side - 1.0 } else { side });
    // Small cells would get lost.
    let faintest = if classes <= COUNTED { 0.08 } else { 0.3 };
    let (mut svg, mut paths) = (String::new(), BTreeMap::<(usize, u64), String>::new());
    for (truth, row) in matrix.counts.iter().enumerate() {
        let total = row.iter().fold(0u64, |sum, count| sum.saturating_add(*count));
        for (predicted, &count) in row.iter().enumerate().filter(|(_, count)| **count > 0) {
            let (x, y) = (left + cell * predicted as f64, top + height * truth as f64);
            let share = count as f64 / total as f64;
            let (kind, opacity) = (usize::from(truth != predicted), faintest + (0.7 - faintest) * share.sqrt());
            if told {
                let names = [truth, predicted].map(|class| matrix.classes.get(class).map_or("", String::as_str));
                let [of, taken] = names.map(escape);
                let about = format!("{of} taken for {taken}: {count} ({:.1} %)", 100.0 * share);
                let fill = format!(r#"fill="{}" fill-opacity="{opacity:.2}""#, color(kind));
                svg += &area([x, y, wide, high], &fill, &about);
            } else {
                let path = paths.entry((kind, (opacity * 20.0) as u64)).or_default();
                *path += &format!("M{x:.1} {y:.1}h{wide:.1}v{high:.1}h-{wide:.1}z");
            }
            if classes <= COUNTED {
                svg += &counted(count, share, [x + wide / 2.0, y + high / 2.0], layout);
            }
        }
    }
    for ((kind, twentieths), path) in paths {
        let opacity = twentieths as f64 / 20.0;
        svg += &format!(r#"<path d="{path}" fill="{}" fill-opacity="{opacity:.2}"/>"#, color(kind));
    }
    svg
}

/// The number in a cell, above its share of the row where there is room.
fn counted(count: u64, share: f64, [x, y]: [f64; 2], layout: &Layout) -> String {
    let attributes = r#"text-anchor="middle" pointer-events="none""#;
    let whole = count.to_string();
    let shown = if width(&whole, 100.0) < layout.cell { whole } else { compact(count) };
    if layout.cell < 40.0 {
        return text([x, y + 4.0], attributes, &shown);
    }
    let percent = format!("{:.0} %", 100.0 * share);
    text([x, y - 1.0], attributes, &shown)
        + &text([x, y + 11.0], &format!(r#"{attributes} font-size="9.5" {FAINT}"#), &percent)
}

/// The short form of a count: 4 characters at most below a million.
fn compact(count: u64) -> String {
    match count {
        0..10_000 => count.to_string(),
        10_000..1_000_000 => format!("{}k", count / 1000),
        _ => format!("{}M", count / 1_000_000),
    }
}
