//! Which labels come together, as a heat map.

use super::confusion::{COUNTED, Layout, ground, names as named};
use super::frame::{area, legend, text};
use super::text::escape;
use super::{Chart, color};

/// Up to this many cells tell their values where the pointer rests.
const TOLD: usize = 4000;

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
    for (i, row) in values.iter().enumerate().take(names.len()) {
        let known = row.iter().enumerate().take(names.len()).filter_map(|(j, value)| Some((j, (*value)?)));
        for (j, value) in known.filter(|(j, value)| *j != i && value.is_finite()) {
            let (x, y, value) = (left + cell * j as f64, top + height * i as f64, value.clamp(-1.0, 1.0));
            let fill =
                format!(r#"fill="{}" fill-opacity="{:.2}""#, color(usize::from(value < 0.0)), 0.85 * value.abs());
            let told = names.len() * names.len() <= TOLD;
            let about =
                if told { format!("{}, {}: {value:.2}", escape(&names[i]), escape(&names[j])) } else { String::new() };
            // Faint cells would cost as many bytes as strong ones.
            if value.abs() >= 0.02 {
                svg += &area([x, y, wide, high], &fill, &about);
            }
            if names.len() <= COUNTED {
                let attributes = r#"text-anchor="middle" pointer-events="none" font-size="9.5""#;
                svg += &text([x + wide / 2.0, y + high / 2.0 + 3.5], attributes, &format!("{:+.0}", 100.0 * value));
            }
        }
    }
    svg += &named(names, &layout);
    let below = top + height * side + layout.depth + 16.0;
    Chart::new(title, [layout.width, below], &svg)
}
