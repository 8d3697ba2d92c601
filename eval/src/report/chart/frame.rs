//! What all charts with two axes share.

use super::scale::Scale;
use super::text::{escape, number, short, width};
use super::{Chart, Labels, color, stroke};

/// Width of a chart that may stand beside another one, in the units of its `viewBox`: about that of a phone.
pub(super) const WIDTH: f64 = 360.0;
/// Where marks begin.
pub(super) const TOP: f64 = 8.0;
/// Height of a line of text.
pub(super) const LINE: f64 = 16.0;
/// Attributes of text that is less important.
pub(super) const FAINT: &str = r#"fill-opacity=".75""#;
/// Space for ticks and label below an axis.
const BELOW: f64 = 38.0;
const RIGHT: f64 = 14.0;
const NAME: f64 = 150.0;

/// A text at `at`; `content` is escaped already.
pub(super) fn text(at: [f64; 2], attributes: &str, content: &str) -> String {
    format!(r#"<text x="{:.1}" y="{:.1}" {attributes}>{content}</text>"#, at[0], at[1])
}

/// A straight line.
pub(super) fn line([ax, ay]: [f64; 2], [bx, by]: [f64; 2], attributes: &str) -> String {
    format!(r#"<path d="M{ax:.1} {ay:.1}L{bx:.1} {by:.1}" fill="none" {attributes}/>"#)
}

/// A filled rectangle with a text that shows where the pointer rests; `about` is escaped already.
pub(super) fn area([x, y, width, height]: [f64; 4], attributes: &str, about: &str) -> String {
    let at = format!(r#"x="{x:.1}" y="{y:.1}" width="{width:.1}" height="{height:.1}""#);
    format!("<rect {at} {attributes}><title>{about}</title></rect>")
}

/// A dot with such a text.
pub(super) fn dot([x, y]: [f64; 2], radius: f64, series: usize, about: &str) -> String {
    let at = format!(r#"cx="{x:.1}" cy="{y:.1}" r="{radius:.1}" fill="{}""#, color(series));
    format!("<circle {at}><title>{about}</title></circle>")
}

/// The stroke of an axis, and fainter ones of its grid.
pub(super) fn axis(opacity: &str) -> String {
    format!(r#"stroke="currentColor" stroke-opacity="{opacity}""#)
}

/// Ticks of a horizontal axis at `y`, as many as fit between `left` and `left + room`; those of a `grid` reach up to it.
pub(super) fn ticks(scale: Scale, [left, room]: [f64; 2], y: f64, grid: Option<f64>) -> String {
    let ticks = scale.ticks();
    let widest = ticks.iter().map(|tick| width(&number(*tick, scale.step), 100.0) + 8.0).fold(0.0, f64::max);
    let every = (widest * ticks.len() as f64 / room).ceil().max(1.0) as usize;
    let mut svg = String::new();
    for tick in ticks.into_iter().step_by(every) {
        let at = left + scale.share(tick) * room;
        svg += &match grid {
            Some(top) => line([at, top], [at, y], &axis(".15")),
            None => line([at, y], [at, y + 4.0], &axis(".5")),
        };
        svg += &text([at, y + 15.0], &format!(r#"text-anchor="middle" {FAINT}"#), &number(tick, scale.step));
    }
    svg
}

/// Names of series beside their marks, and how high that is: nothing for a single name.
pub(super) fn legend(names: &[&str], room: f64, mark: impl Fn(usize, [f64; 2]) -> String) -> (String, f64) {
    if names.len() < 2 {
        return (String::new(), 0.0);
    }
    let (mut svg, mut x, mut y) = (String::new(), 0.0, TOP + 6.0);
    for (i, name) in names.iter().enumerate() {
        let needed = 30.0 + width(name, NAME);
        if x > 0.0 && x + needed > room {
            (x, y) = (0.0, y + LINE);
        }
        svg += &mark(i, [x, y - 4.0]);
        svg += &text([x + 19.0, y], "", &short(name, NAME));
        x += needed;
    }
    (svg, y + 6.0)
}

/// A chart with axes, into which marks are drawn.
pub(super) struct Frame<'a> {
    title: &'a str,
    svg: String,
    x: Scale,
    y: Scale,
    /// Left, top, width, height.
    pub plot: [f64; 4],
}

impl<'a> Frame<'a> {
    /// Legend of `names` if there are several, grid, ticks and labels; the plot is `height` high.
    pub fn new(labels: Labels<'a>, x: Scale, y: Scale, names: &[&str], height: f64) -> Self {
        let mark = |i, [x, y]: [f64; 2]| format!(r#"<path d="M{x:.1} {y:.1}h15" {}/>"#, stroke(i));
        let (legend, used) = legend(names, WIDTH, mark);
        let top = TOP + used;
        let marks: Vec<(f64, String)> = y.ticks().into_iter().map(|tick| (tick, number(tick, y.step))).collect();
        let widest = marks.iter().map(|(_, tick)| width(tick, 100.0)).fold(0.0, f64::max);
        let left = widest + 8.0 + if labels.y.is_empty() { 0.0 } else { LINE };
        let plot = [left, top, WIDTH - left - RIGHT, height];
        let mut frame = Self { title: labels.title, svg: legend, x, y, plot };
        let bottom = top + height;
        for (tick, shown) in marks {
            let [_, at] = frame.at(0.0, tick);
            frame.draw(&line([left, at], [left + plot[2], at], &axis(".15")));
            frame.draw(&text([left - 6.0, at + 4.0], &format!(r#"text-anchor="end" {FAINT}"#), &shown));
        }
        frame.draw(&line([left, bottom], [left + plot[2], bottom], &axis(".5")));
        frame.draw(&ticks(x, [left, plot[2]], bottom, None));
        let middle = [left + plot[2] / 2.0, bottom + 32.0];
        frame.draw(&text(middle, r#"text-anchor="middle""#, &short(labels.x, plot[2])));
        let (x, y) = (11.0, top + height / 2.0);
        let turned = format!(r#"text-anchor="middle" transform="rotate(-90 {x:.1} {y:.1})""#);
        frame.draw(&text([x, y], &turned, &short(labels.y, height)));
        frame
    }

    /// Where `x` and `y` lie.
    pub fn at(&self, x: f64, y: f64) -> [f64; 2] {
        let [left, top, width, height] = self.plot;
        [left + self.x.share(x) * width, top + (1.0 - self.y.share(y)) * height]
    }

    pub fn draw(&mut self, svg: &str) {
        self.svg.push_str(svg);
    }

    pub fn finish(self) -> Chart {
        let [_, top, _, height] = self.plot;
        Chart::new(self.title, [WIDTH, top + height + BELOW], &self.svg)
    }
}

/// `name: value`, escaped.
pub(super) fn about(name: &str, value: &str) -> String {
    format!("{}: {}", escape(name), escape(value))
}
