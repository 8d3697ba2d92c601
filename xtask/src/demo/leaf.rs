//! Leaves as polygons: what a species prescribes, drawn once more by chance for every leaf.

use super::canvas::{Point, Stroke};
use super::frame::Frame;
use rand::Rng;
use rand_chacha::ChaCha8Rng;
use std::f32::consts::PI;

/// How blades make up a leaf.
pub enum Form {
    /// One blade.
    Single,
    /// Blades from one point, as (degrees, length).
    Palm(&'static [(f32, f32)]),
    /// Many blades from one point, evenly over `spread` degrees.
    Fan { blades: usize, spread: f32 },
    /// Pairs of blades along an axis, and one at its tip.
    Feather { pairs: usize },
}

/// The outline of a blade of length 1: half its width at `t` of its axis is `width · t^base · (1 − t)^tip` (scaled to
/// `width` at its widest), changed by the margin.
pub struct Blade {
    /// Half the width at the widest place.
    pub width: f32,
    /// Small: broad at the base; large: wedge-shaped.
    pub base: f32,
    /// Small: round tip; above 1: drawn out to a point.
    pub tip: f32,
    /// How far the two halves reach back behind the stalk.
    pub heart: f32,
    /// The edge.
    pub margin: Margin,
    /// Side veins of each half.
    pub veins: usize,
}

/// The edge of a blade; `count` features on each side, `depth` as a part of the width.
pub enum Margin {
    /// Even.
    Smooth,
    /// Gentle waves.
    Wavy { count: f32, depth: f32 },
    /// Teeth that point to the tip.
    Toothed { count: f32, depth: f32 },
    /// Round lobes, sharp bays.
    Lobed { count: f32, depth: f32 },
    /// Sharp points, round bays.
    Spiny { count: f32, depth: f32 },
}

/// One leaf; the blades' common base is the origin, the axis points along x.
pub struct Leaf {
    /// From back to front.
    pub blades: Vec<Shape>,
    /// The stalk, and the axis of a feather.
    pub stalk: Stroke,
}

/// One blade in its place.
pub struct Shape {
    /// Its edge.
    pub outline: Vec<Point>,
    /// Middle vein first.
    pub veins: Vec<Stroke>,
    /// Its place in the leaf.
    pub frame: Frame,
}

impl Form {
    /// A leaf of this form.
    pub fn grow(&self, blade: &Blade, rng: &mut ChaCha8Rng) -> Leaf {
        let mut back = rng.random_range(0.2..0.4);
        let mut front = 0.01;
        let mut frames = vec![];
        match *self {
            Self::Single => frames.push(Frame::new([0., 0.], 0., 1.)),
            Self::Palm(blades) => {
                for &(degrees, length) in blades {
                    let degrees = degrees + rng.random_range(-5.0..5.0);
                    frames.push(Frame::new([0., 0.], degrees, length * rng.random_range(0.93..1.07)));
                }
            }
            Self::Fan { blades, spread } => {
                for i in 0..blades {
                    let part = (i as f32 + 0.5) / blades as f32 - 0.5;
                    let degrees = part * spread + rng.random_range(-2.5..2.5);
                    frames.push(Frame::new([0., 0.], degrees, 1. - 0.3 * part.abs() + rng.random_range(-0.05..0.05)));
                }
            }
            Self::Feather { pairs } => {
                (back, front) = (0.15, 0.62);
                for pair in 0..pairs {
                    let x = front * pair as f32 / pairs as f32;
                    for side in [-1., 1.] {
                        let at = [x + rng.random_range(-0.02..0.02), 0.];
                        let degrees = side * rng.random_range(46.0..60.0);
                        frames.push(Frame::new(at, degrees, 0.36 - 0.12 * (x - 0.2).abs()));
                    }
                }
                frames.push(Frame::new([front, 0.], rng.random_range(-8.0..8.0), 0.38));
            }
        }
        let sway = rng.random_range(-0.3..0.3) * back;
        let path = vec![[-back, sway], [-0.5 * back, 0.3 * sway], [0., 0.], [front, 0.]];
        let blades = frames.into_iter().map(|frame| blade.grow(frame, rng)).collect();
        Leaf { blades, stalk: Stroke { path, widths: [0.034, 0.02] } }
    }
}

impl Blade {
    fn grow(&self, frame: Frame, rng: &mut ChaCha8Rng) -> Shape {
        const STEPS: usize = 80;
        let width = self.width * rng.random_range(0.9..1.1);
        let shifts: [f32; 2] = [rng.random_range(-0.2..0.2), rng.random_range(-0.2..0.2)];
        let half = |side: f32, shift: f32| {
            (0..STEPS).map(move |step| {
                // Denser at both ends, where the edge turns.
                let t = 0.5 - 0.5 * side * (PI * step as f32 / STEPS as f32).cos();
                let [x, y] = self.edge(t, width, shift);
                frame.place([x, side * y])
            })
        };
        let outline = half(1., shifts[0]).chain(half(-1., shifts[1])).collect();
        let mut veins = self.veins(width, rng);
        for vein in &mut veins {
            *vein = vein.placed(|point| frame.place(point));
        }
        Shape { outline, veins, frame }
    }

    /// The edge at `t` of the axis, 0..=1; `shift` moves the teeth.
    fn edge(&self, t: f32, width: f32, shift: f32) -> Point {
        let widest = self.base / (self.base + self.tip);
        let curve = |t: f32| t.powf(self.base) * (1. - t).max(0.).powf(self.tip);
        let y = width * curve(t) / curve(widest) * self.margin.at(t, shift);
        [t - self.heart * (PI * (t / 0.34).min(1.)).sin(), y]
    }

    fn veins(&self, width: f32, rng: &mut ChaCha8Rng) -> Vec<Stroke> {
        let mut veins = vec![Stroke { path: vec![[0., 0.], [0.5, 0.], [0.96, 0.]], widths: [0.024, 0.006] }];
        for i in 0..self.veins {
            for side in [-1., 1.] {
                let from = 0.02 + 0.78 * (i as f32 + rng.random_range(-0.12..0.12)) / self.veins as f32;
                let to = (from + 0.15 + 0.3 * self.width).clamp(0.04, 0.97);
                let [x, y] = self.edge(to, width, 0.);
                let middle = [0.5 * (from.max(0.) + x) + 0.015, side * y * 0.4];
                let path = vec![[from.max(0.), 0.], middle, [x, side * y * 0.86]];
                veins.push(Stroke { path, widths: [0.012, 0.004] });
            }
        }
        veins
    }
}

impl Margin {
    /// Factor of the width at `t`.
    fn at(&self, t: f32, shift: f32) -> f32 {
        match *self {
            Self::Smooth => 1.,
            Self::Wavy { count, depth } => 1. + depth * (2. * PI * (count * t + shift)).sin(),
            Self::Toothed { count, depth } => 1. + depth * ((count * t + shift).rem_euclid(1.) - 0.5),
            Self::Lobed { count, depth } => 1. - depth * (1. - (PI * count * (t + 0.06 * shift)).sin().abs()).powf(1.3),
            Self::Spiny { count, depth } => 1. - depth * (PI * count * t).sin().abs(),
        }
    }
}
