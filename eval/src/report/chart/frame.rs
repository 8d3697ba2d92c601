//! What all charts with two axes share.

use super::scale::Scale;
use super::text::{CHARACTER, escape, number, short, width};
use super::{Chart, Labels, stroke};

/// Width of every chart, in the units of its `viewBox`.
pub(super) const WIDTH: f64 = 480.0;
/// Where the title ends.
pub(super) const TOP: f64 = 28.0;
const LINE: f64 = 17.0;
/// Space for ticks and label below an axis.
const BELOW: f64 = 40.0;
const RIGHT: f64 = 20.0;
const NAME: usize = 24;

/// The start of a chart: everything up to its title.
pub(super) fn open(title: &str, height: f64) -> String {
    let style = format!("width:100%;max-width:{WIDTH}px;height:auto");
    format!(r#"<svg class="chart" role="img" viewBox="0 0 {WIDTH} {height:.0}" style="{style}" font-size="12" "#)
        + &format!(r#"fill="currentColor"><title>{}</title>"#, escape(title))
        + &text([0.0, 14.0], r#"font-weight="600" font-size="13""#, &short(title, 60))
}

/// A text at `at`; `content` is escaped already.
pub(super) fn text(at: [f64; 2], attributes: &str, content: &str) -> String {
    format!(r#"<text x="{:.1}" y="{:.1}" {attributes}>{content}</text>"#, at[0], at[1])
}

/// A filled rectangle with a text that shows where the pointer rests; `about` is escaped already.
pub(super) fn area([x, y, width, height]: [f64; 4], attributes: &str, about: &str) -> String {
    let at = format!(r#"x="{x:.1}" y="{y:.1}" width="{width:.1}" height="{height:.1}""#);
    format!("<rect {at} {attributes}><title>{about}</title></rect>")
}

/// A chart with axes, into which marks are drawn.
pub(super) struct Frame {
    svg: String,
    x: Scale,
    y: Scale,
    /// Left, top, width, height.
    pub plot: [f64; 4],
}

impl Frame {
    /// Title, legend of `names` if there are several, grid, ticks and labels; the plot is `height` high.
    pub fn new(labels: Labels, x: Scale, y: Scale, names: &[&str], height: f64) -> Self {
        let (legend, rows) = legend(names);
        let top = TOP + rows as f64 * LINE;
        let ticks: Vec<(f64, String)> = y.ticks().into_iter().map(|tick| (tick, number(tick, y.step))).collect();
        let widest = ticks.iter().map(|(_, tick)| width(tick, 20)).fold(0.0, f64::max);
        let left = widest + 8.0 + if labels.y.is_empty() { 0.0 } else { LINE };
        let plot = [left, top, WIDTH - left - RIGHT, height];
        let mut frame = Self { svg: open(labels.title, top + height + BELOW) + &legend, x, y, plot };
        let bottom = top + height;
        for (tick, shown) in ticks {
            let [_, at] = frame.at(0.0, tick);
            frame.line([left, at], [left + plot[2], at], r#"stroke="currentColor" stroke-opacity=".15""#);
            frame.text([left - 6.0, at + 4.0], r#"text-anchor="end" fill-opacity=".75""#, &shown);
        }
        frame.line([left, bottom], [left + plot[2], bottom], r#"stroke="currentColor" stroke-opacity=".5""#);
        let ticks = x.ticks();
        let every = (ticks.iter().map(|tick| width(&number(*tick, x.step), 20) + 10.0).fold(0.0, f64::max)
            * ticks.len() as f64
            / plot[2])
            .ceil()
            .max(1.0) as usize;
        for tick in ticks.into_iter().step_by(every) {
            let [at, _] = frame.at(tick, 0.0);
            frame.line([at, bottom], [at, bottom + 4.0], r#"stroke="currentColor" stroke-opacity=".5""#);
            frame.text([at, bottom + 16.0], r#"text-anchor="middle" fill-opacity=".75""#, &number(tick, x.step));
        }
        let middle = [left + plot[2] / 2.0, bottom + 33.0];
        frame.text(middle, r#"text-anchor="middle""#, &short(labels.x, 60));
        let (x, y) = (12.0, top + height / 2.0);
        let turned = format!(r#"text-anchor="middle" transform="rotate(-90 {x:.1} {y:.1})""#);
        frame.text([x, y], &turned, &short(labels.y, (height / CHARACTER) as usize));
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

    pub fn text(&mut self, at: [f64; 2], attributes: &str, content: &str) {
        self.draw(&text(at, attributes, content));
    }

    pub fn line(&mut self, [ax, ay]: [f64; 2], [bx, by]: [f64; 2], attributes: &str) {
        self.draw(&format!(r#"<path d="M{ax:.1} {ay:.1}L{bx:.1} {by:.1}" fill="none" {attributes}/>"#));
    }

    pub fn finish(self) -> Chart {
        Chart(self.svg + "</svg>")
    }
}

/// Names of series beside their lines, and how many rows they take.
fn legend(names: &[&str]) -> (String, usize) {
    if names.len() < 2 {
        return (String::new(), 0);
    }
    let (mut svg, mut x, mut row) = (String::new(), 0.0, 0);
    for (i, name) in names.iter().enumerate() {
        let needed = 38.0 + width(name, NAME);
        if x > 0.0 && x + needed > WIDTH {
            (x, row) = (0.0, row + 1);
        }
        let y = TOP + 2.0 + row as f64 * LINE;
        svg += &format!(r#"<path d="M{x:.1} {:.1}h18" {}/>"#, y - 4.0, stroke(i));
        svg += &text([x + 23.0, y], "", &short(name, NAME));
        x += needed;
    }
    (svg, row + 1)
}
