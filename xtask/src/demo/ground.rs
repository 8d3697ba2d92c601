//! What leaves lie on.

use super::color::{self, Color};
use super::noise::Noise;
use rand::Rng;
use rand_chacha::ChaCha8Rng;

/// A kind of background.
#[derive(Clone, Copy, Debug)]
pub enum Kind {
    /// Dark crumbs.
    Soil,
    /// An herbarium sheet.
    Paper,
    /// Blades of grass, out of focus.
    Grass,
    /// Speckled granite.
    Stone,
}

/// The background at one plant.
#[derive(Clone, Copy, Debug)]
pub struct Ground {
    kind: Kind,
    color: Color,
}

/// All kinds.
pub const KINDS: [Kind; 4] = [Kind::Soil, Kind::Paper, Kind::Grass, Kind::Stone];

impl Ground {
    /// This kind of background in one of its colors.
    pub fn new(kind: Kind, rng: &mut ChaCha8Rng) -> Self {
        let [hue, saturation, value] = match kind {
            Kind::Soil => [rng.random_range(18.0..36.0), rng.random_range(0.3..0.5), rng.random_range(0.24..0.4)],
            Kind::Paper => [rng.random_range(30.0..60.0), rng.random_range(0.03..0.14), rng.random_range(0.76..0.9)],
            Kind::Grass => [rng.random_range(66.0..108.0), rng.random_range(0.26..0.46), rng.random_range(0.34..0.52)],
            Kind::Stone => [rng.random_range(20.0..220.0), rng.random_range(0.02..0.1), rng.random_range(0.5..0.72)],
        };
        Self { kind, color: color::hsv(hue, saturation, value) }
    }

    /// The color of a place, in lengths of the picture's side.
    pub fn at(&self, [x, y]: [f32; 2], noise: Noise) -> Color {
        let light = match self.kind {
            Kind::Soil => 1. + 0.42 * noise.layers(8. * x, 8. * y, 4),
            Kind::Paper => 1. + 0.07 * noise.layers(4. * x, 4. * y, 3) - 0.04 * fleck(noise.at(40. * x, 14. * y), 0.55),
            Kind::Grass => {
                let sway = 0.05 * noise.at(4. * x, 4. * y);
                1. + 0.38 * noise.layers(22. * (x + sway), 2.2 * y, 3) + 0.12 * noise.at(2. * x, 2. * y)
            }
            Kind::Stone => {
                let dark = fleck(noise.at(34. * x, 34. * y), 0.45);
                1. + 0.1 * noise.layers(4. * x, 4. * y, 3) - 0.35 * dark
            }
        };
        color::lit(self.color, light)
    }
}

/// 0 below `from`, rising to 1.
fn fleck(value: f32, from: f32) -> f32 {
    ((value - from) / (1. - from)).max(0.)
}
