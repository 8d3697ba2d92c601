//! Lines: curves over steps or epochs.

use super::frame::Frame;
use super::scale::Scale;
use super::{Chart, Labels, color, stroke};

/// More points than this are thinned out to the lowest and highest of each stretch.
const POINTS: usize = 600;

/// A named line.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Series {
    /// Shown in the legend if there are several.
    pub name: String,
    /// `[x, y]`, x ascending; a point that is not finite interrupts the line.
    pub points: Vec<[f64; 2]>,
}

/// A line per series, of numbers on two linear axes.
pub fn lines(labels: Labels, series: &[Series]) -> Chart {
    let points = series.iter().flat_map(|series| &series.points).filter(|point| finite(point));
    let (x, y) = (Scale::of(points.clone().map(|p| p[0])), Scale::of(points.map(|p| p[1])).rounded());
    let names: Vec<&str> = series.iter().map(|series| series.name.as_str()).collect();
    let mut frame = Frame::new(labels, x, y, &names, 190.0);
    for (i, series) in series.iter().enumerate() {
        draw(&mut frame, i, &series.points);
    }
    frame.finish()
}

/// Line `i` through `points`.
pub(super) fn draw(frame: &mut Frame, i: usize, points: &[[f64; 2]]) {
    let mut path = String::new();
    for run in thin(points).split(|point| !finite(point)).filter(|run| !run.is_empty()) {
        if let [[x, y]] = run {
            let [x, y] = frame.at(*x, *y);
            frame.draw(&format!(r#"<circle cx="{x:.1}" cy="{y:.1}" r="3" fill="{}"/>"#, color(i)));
        }
        for (place, [x, y]) in run.iter().enumerate() {
            let [x, y] = frame.at(*x, *y);
            path += &format!("{}{x:.1} {y:.1}", if place == 0 { 'M' } else { 'L' });
        }
    }
    if !path.is_empty() {
        frame.draw(&format!(r#"<path d="{path}" {}/>"#, stroke(i)));
    }
}

fn finite([x, y]: &[f64; 2]) -> bool {
    x.is_finite() && y.is_finite()
}

/// The lowest and highest point of each stretch, and both ends.
fn thin(points: &[[f64; 2]]) -> Vec<[f64; 2]> {
    let (Some(first), Some(last)) = (points.first(), points.last()) else {
        return vec![];
    };
    if points.len() <= POINTS {
        return points.to_vec();
    }
    let mut thinned = vec![*first];
    for stretch in points.chunks(points.len().div_ceil(POINTS / 2)) {
        let order = |a: &usize, b: &usize| stretch[*a][1].total_cmp(&stretch[*b][1]);
        let (low, high) = ((0..stretch.len()).min_by(order), (0..stretch.len()).max_by(order));
        let mut ends: Vec<usize> = low.into_iter().chain(high).collect();
        ends.sort_unstable();
        ends.dedup();
        thinned.extend(ends.into_iter().map(|i| stretch[i]));
    }
    thinned.push(*last);
    thinned
}
