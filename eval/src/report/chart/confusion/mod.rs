//! Which classes are taken for which, as a heat map.

mod cells;

use super::frame::{TOP, WIDTH, axis, legend, line, text};
use super::text::{short, width};
use super::{Chart, color};
use crate::confusion::ConfusionMatrix;
use cells::cells;

/// The most room that a name takes.
const NAME: f64 = 112.0;
/// Up to this many classes cells hold their counts.
pub(super) const COUNTED: usize = 20;

/// A row per true class, a column per predicted one; the stronger the color, the larger the share of the row.
///
/// What is right has another color than mistakes. Where there are too many classes to name them all, every few are named.
pub fn confusion(title: &str, matrix: &ConfusionMatrix) -> Chart {
    let layout = Layout::new(&matrix.classes);
    let Layout { left, top, .. } = layout;
    let mark = |i: usize, [x, y]: [f64; 2]| match i {
        0 | 1 => format!(r#"<path d="M{x:.1} {:.1}h15v9h-15z" fill="{}" fill-opacity=".7"/>"#, y - 4.5, color(i)),
        _ => String::new(),
    };
    let (keys, _) = legend(&["right", "mistaken", "stronger: larger share"], layout.width, mark);
    let classes = matrix.classes.len() as f64;
    let (wide, high) = (layout.cell * classes, layout.height * classes);
    let mut svg =
        keys + &ground([left, top, wide, high], &layout) + &cells(matrix, &layout) + &names(&matrix.classes, &layout);
    let turned = format!(r#"text-anchor="middle" transform="rotate(-90 11 {:.1})""#, top + high / 2.0);
    svg += &text([11.0, top + high / 2.0], &turned, "true class");
    let below = top + high + layout.depth + 24.0;
    svg += &text([left + wide / 2.0, below], r#"text-anchor="middle""#, "predicted class");
    Chart::new(title, [layout.width, below + 8.0], &svg)
}

/// Where everything is.
pub(super) struct Layout {
    pub width: f64,
    pub left: f64,
    pub top: f64,
    /// Width of a column.
    pub cell: f64,
    /// Height of a row.
    pub height: f64,
    /// How the names below are turned, in degrees, and how high they are.
    angle: u8,
    pub depth: f64,
}

impl Layout {
    /// For rows and columns of these names.
    pub fn new(names: &[String]) -> Self {
        let classes = names.len();
        let room = names.iter().map(|name| width(name, NAME)).fold(0.0, f64::max) + 10.0;
        let left = 18.0 + room;
        let wanted = if classes <= COUNTED { 27.0 } else { 12.0 };
        let width = (left + wanted * classes as f64 + 4.0).clamp(WIDTH, 860.0);
        let cell = ((width - left - 4.0) / classes.max(1) as f64).min(64.0);
        // Flat cells where there are few, so that the chart is not higher than it has to be.
        let height = cell.min(36.0);
        // Names lie flat if there is room, else aslant; of narrow columns they would touch each other and stand upright.
        let (angle, depth) = match cell {
            cell if cell > room - 4.0 => (0, 10.0),
            cell if cell > 18.0 => (45, 0.75 * room),
            _ => (90, room),
        };
        Self { width, left, top: TOP + 20.0, cell, height, angle, depth }
    }
}

/// What lies behind the cells; of many classes, every tenth ends at a line that guides the eye.
pub(super) fn ground([left, top, wide, high]: [f64; 4], layout: &Layout) -> String {
    let at = format!(r#"x="{left:.1}" y="{top:.1}" width="{wide:.1}" height="{high:.1}""#);
    let mut svg = format!(r#"<rect {at} fill-opacity=".035"/>"#);
    let tens = (wide / layout.cell / 10.0 - 0.01).max(0.0) as usize;
    for i in (1..=tens).filter(|_| wide > layout.cell * COUNTED as f64) {
        let (x, y) = (left + layout.cell * 10.0 * i as f64, top + layout.height * 10.0 * i as f64);
        svg += &line([x, top], [x, top + high], &axis(".14"));
        svg += &line([left, y], [left + wide, y], &axis(".14"));
    }
    svg
}

/// Names of rows and columns, as many as there is room for.
pub(super) fn names(classes: &[String], layout: &Layout) -> String {
    let &Layout { left, top, cell, height, .. } = layout;
    let size = 11f64.min(cell.max(10.0));
    let every = (size / cell).ceil().max(1.0) as usize;
    let end = format!(r#"font-size="{size:.1}" text-anchor="end""#);
    let bottom = top + height * classes.len() as f64 + 10.0;
    let below = |x: f64| match layout.angle {
        0 => format!(r#"font-size="{size:.1}" text-anchor="middle""#),
        angle => format!(r#"{end} transform="rotate(-{angle} {x:.1} {bottom:.1})""#),
    };
    let mut svg = String::new();
    for (i, name) in classes.iter().enumerate().step_by(every) {
        let name = short(name, NAME);
        let (x, y) = (left + cell * (i as f64 + 0.5), top + height * (i as f64 + 0.5) + 4.0);
        let (x, low) = if layout.angle == 0 { (x, bottom + 4.0) } else { (x + 4.0, bottom) };
        svg += &text([left - 6.0, y], &end, &name);
        svg += &text([x, low], &below(x), &name);
    }
    svg
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn many_classes_are_drawn_without_words() {
        let matrix = |classes: usize| {
            let names = (0..classes).map(|i| format!("class {i}")).collect();
            confusion("a", &ConfusionMatrix { classes: names, counts: vec![vec![3; classes]; classes] })
        };
        assert!(!matrix(5).is_wide() && matrix(5).as_str().matches("<title>").count() == 25);
        assert_eq!(matrix(5).as_str().matches(">20 %</text>").count(), 25);
        let named = |chart: &Chart, class: usize| chart.as_str().matches(&format!(">class {class}</text>")).count();
        assert!((0..60).all(|class| named(&matrix(60), class) == 2), "all are named");
        let many = matrix(300);
        assert!(many.is_wide() && !many.as_str().contains("<title>"));
        assert_eq!([0, 1].map(|class| named(&many, class)), [2, 0]);
        assert!(many.as_str().len() < 3_000_000, "{}", many.as_str().len());
    }
}
