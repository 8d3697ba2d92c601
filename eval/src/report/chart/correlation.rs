//! Which labels come together, as a heat map.

use super::confusion::{COUNTED, Layout, ground, names as named};
use super::frame::{area, legend, text};
use super::text::escape;
use super::{Chart, color};
use std::collections::BTreeMap;

/// Up to this many names cells tell their values where the pointer rests.
const TOLD: usize = 40;

/// A row and a column per name; the stronger the color, the farther a value is from 0, at most 1. Below 0 it is another color.
///
/// The diagonal and what is not known are empty. Where there are too many names for the room, every few are named.
pub fn correlation(title: &str, names: &[String], values: &[Vec<Option<f64>>]) -> Chart {
    let layout = Layout::new(names);
    let Layout { left, top, cell, height, .. } = layout;
    let mark = |i: usize, [x, y]: [f64; 2]| match i {
        0 | 1 => format!(r#"<path d="M{x:.1} {:.1}h15v9h-15z" fill="{}" fill-opacity=".7"/>"#, y - 4.5, color(i)),
        _ => String::new(),
    };
    let (keys, _) = legend(&["together", "apart", "stronger: more so"], layout.width, mark);
    let side = names.len() as f64;
    let mut svg = keys + &ground([left, top, cell * side, height * side], &layout);
    let [wide, high] = [cell, height].map(|side| if side > 3.0 { side - 1.0 } else { side });
    let mut paths = BTreeMap::<(usize, u64), String>::new();
    for (i, row) in values.iter().enumerate().take(names.len()) {
        let known = row.iter().enumerate().take(names.len()).filter_map(|(j, value)| Some((j, (*value)?)));
        for (j, value) in known.filter(|(j, value)| *j != i && value.is_finite()) {
            let (x, y, value) = (left + cell * j as f64, top + height * i as f64, value.clamp(-1.0, 1.0));
            let (kind, opacity) = (usize::from(value < 0.0), 0.85 * value.abs());
            if names.len() <= TOLD {
                let fill = format!(r#"fill="{}" fill-opacity="{opacity:.2}""#, color(kind));
                let about = format!("{}, {}: {value:.2}", escape(&names[i]), escape(&names[j]));
                svg += &area([x, y, wide, high], &fill, &about);
            } else {
                let path = paths.entry((kind, (opacity * 20.0) as u64)).or_default();
                *path += &format!("M{x:.1} {y:.1}h{wide:.1}v{high:.1}h-{wide:.1}z");
            }
            if names.len() <= COUNTED {
                let attributes = r#"text-anchor="middle" pointer-events="none" font-size="9.5""#;
                svg += &text([x + wide / 2.0, y + high / 2.0 + 3.5], attributes, &format!("{:+.0}", 100.0 * value));
            }
        }
    }
    for ((kind, twentieths), path) in paths.into_iter().filter(|((_, twentieths), _)| *twentieths > 0) {
        let opacity = twentieths as f64 / 20.0;
        svg += &format!(r#"<path d="{path}" fill="{}" fill-opacity="{opacity:.2}"/>"#, color(kind));
    }
    svg += &named(names, &layout);
    let below = top + height * side + layout.depth + 16.0;
    Chart::new(title, [layout.width, below], &svg)
}
