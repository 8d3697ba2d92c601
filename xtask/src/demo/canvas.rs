//! A transparent drawing surface with more dots than the picture has pixels, so that edges come out smooth.

use super::color::Color;

/// A place, `[x, y]`; on a canvas in pixels of the picture.
pub type Point = [f32; 2];

/// Dots per pixel and direction.
const FINE: usize = 3;

/// Dots of a color or of none.
pub struct Canvas {
    width: usize,
    height: usize,
    dots: Vec<Option<Color>>,
    crossings: Vec<Vec<f32>>,
}

/// A line that grows thinner or thicker along its way.
#[derive(Clone, Debug)]
pub struct Stroke {
    /// The places that it joins, at least two.
    pub path: Vec<Point>,
    /// Width at the first and at the last place.
    pub widths: [f32; 2],
}

impl Canvas {
    /// An empty canvas for a picture of `width` by `height` pixels.
    pub fn new(width: usize, height: usize) -> Self {
        let (width, height) = (width * FINE, height * FINE);
        Self { width, height, dots: vec![None; width * height], crossings: vec![vec![]; height] }
    }

    /// Paints the inside of a polygon; `paint` gives the color of a place, `None` makes it transparent.
    pub fn fill(&mut self, outline: &[Point], mut paint: impl FnMut(Point) -> Option<Color>) {
        let fine = FINE as f32;
        for (i, &[x0, y0]) in outline.iter().enumerate() {
            let [x1, y1] = outline[(i + 1) % outline.len()];
            let (top, bottom) = (y0.min(y1) * fine - 0.5, y0.max(y1) * fine - 0.5);
            let rows = top.ceil().max(0.) as usize..bottom.ceil().clamp(0., self.height as f32) as usize;
            for row in rows {
                let y = (row as f32 + 0.5) / fine;
                self.crossings[row].push((x0 + (x1 - x0) * (y - y0) / (y1 - y0)) * fine - 0.5);
            }
        }
        for (row, crossings) in self.crossings.iter_mut().enumerate() {
            crossings.sort_unstable_by(f32::total_cmp);
            for span in crossings.chunks_exact(2) {
                let columns = span[0].ceil().max(0.) as usize..span[1].ceil().clamp(0., self.width as f32) as usize;
                for column in columns {
                    let place = [(column as f32 + 0.5) / fine, (row as f32 + 0.5) / fine];
                    self.dots[row * self.width + column] = paint(place);
                }
            }
            crossings.clear();
        }
    }

    /// The picture that the dots make, row by row: color weighted by coverage, and coverage, 0..=1.
    pub fn pixels(&self) -> Vec<(Color, f32)> {
        let mut pixels = Vec::with_capacity(self.dots.len() / (FINE * FINE));
        for top in (0..self.height).step_by(FINE) {
            for left in (0..self.width).step_by(FINE) {
                let (mut sum, mut count) = ([0.; 3], 0.);
                for row in top..top + FINE {
                    let start = row * self.width + left;
                    for color in self.dots[start..start + FINE].iter().flatten() {
                        sum = std::array::from_fn(|c| sum[c] + color[c]);
                        count += 1.;
                    }
                }
                let all = (FINE * FINE) as f32;
                pixels.push((sum.map(|v| v / all), count / all));
            }
        }
        pixels
    }
}

impl Stroke {
    /// The same stroke in another place; its widths grow with the distances.
    pub fn placed(&self, place: impl Fn(Point) -> Point) -> Self {
        let span = |path: &[Point]| (path[path.len() - 1][0] - path[0][0]).hypot(path[path.len() - 1][1] - path[0][1]);
        let path: Vec<Point> = self.path.iter().map(|&point| place(point)).collect();
        let scale = span(&path) / span(&self.path).max(1e-6);
        Self { path, widths: self.widths.map(|width| width * scale) }
    }

    /// The polygon that the stroke covers.
    pub fn outline(&self) -> Vec<Point> {
        let last = self.path.len() - 1;
        let side = |i: usize, sign: f32| {
            let ([ax, ay], [bx, by]) = (self.path[i.saturating_sub(1)], self.path[(i + 1).min(last)]);
            let (dx, dy) = (bx - ax, by - ay);
            let length = dx.hypot(dy).max(1e-6);
            let half = sign * 0.5 * (self.widths[0] + (self.widths[1] - self.widths[0]) * i as f32 / last as f32);
            [self.path[i][0] - dy / length * half, self.path[i][1] + dx / length * half]
        };
        (0..=last).map(|i| side(i, 1.)).chain((0..=last).rev().map(|i| side(i, -1.))).collect()
    }
}
