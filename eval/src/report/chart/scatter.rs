//! Points of two numbers, as many as there are.

use super::frame::Frame;
use super::scale::Scale;
use super::{Chart, Labels, color};
use std::collections::BTreeMap;

/// Columns and rows of the squares that points are gathered in.
const GRID: [f64; 2] = [64.0, 40.0];

/// Where the finite `points` lie: a square where there are any, the stronger the more.
pub fn scatter(labels: Labels, points: &[[f64; 2]]) -> Chart {
    let points: Vec<[f64; 2]> = points.iter().copied().filter(|point| point.iter().all(|v| v.is_finite())).collect();
    let [x, y] = [0, 1].map(|i| {
        let mut scale = Scale::of(points.iter().map(|point| point[i])).rounded();
        if scale.high <= scale.low {
            scale.high = scale.low + scale.step;
        }
        scale
    });
    let mut cells = BTreeMap::<[usize; 2], usize>::new();
    for [a, b] in &points {
        let cell = [x.share(*a), y.share(*b)];
        let place = |i: usize| ((cell[i] * GRID[i]) as usize).min(GRID[i] as usize - 1);
        *cells.entry([place(0), place(1)]).or_default() += 1;
    }
    let most = cells.values().max().copied().unwrap_or(1) as f64;
    let mut frame = Frame::new(labels, x, y, &[], 200.0);
    let [left, top, width, height] = frame.plot;
    let (wide, high) = (width / GRID[0], height / GRID[1]);
    // One path for each strength: a thousand cells stay small.
    let mut paths = BTreeMap::<usize, String>::new();
    for ([column, row], count) in cells {
        let strength = (1.0 + 4.0 * (count as f64).ln_1p() / most.ln_1p()) as usize;
        let (x, y) = (left + wide * column as f64, top + height - high * (row + 1) as f64);
        *paths.entry(strength).or_default() += &format!("M{x:.0} {y:.0}h{wide:.0}v{high:.0}h-{wide:.0}z");
    }
    for (strength, path) in paths {
        let opacity = 0.15 + 0.17 * strength as f64;
        frame.draw(&format!(r#"<path d="{path}" fill="{}" fill-opacity="{opacity:.2}"/>"#, color(0)));
    }
    frame.finish()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn points_of_one_place_are_one_square() {
        let labels = Labels { title: "a", x: "b", y: "c" };
        let squares = |points: &[[f64; 2]]| scatter(labels, points).as_str().matches("v5h-").count();
        assert_eq!(squares(&[[0.0, 0.0], [1.0, 1.0], [1.0, 1.0], [f64::NAN, 1.0]]), 2);
        let many: Vec<[f64; 2]> = (0..100_000).map(|i| [(i % 317) as f64, (i / 317) as f64]).collect();
        assert!(scatter(labels, &many).as_str().len() < 80_000);
    }
}
