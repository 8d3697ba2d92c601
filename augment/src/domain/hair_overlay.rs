//! Hairs on skin.

use crate::check;
use crate::draw::Draw;
use crate::error::Result;
use crate::pixel::hair::{self, Hair};
use crate::transform::Transform;
use data::Image;
use serde::{Deserialize, Serialize};

/// Draws dark, curved hairs, as on skin under a dermatoscope.
///
/// After the "advanced hair augmentation" of the SIIM-ISIC melanoma classification (Kaggle 2020), which pastes photographs of
/// hairs; these are arcs of parabolas across a quarter to all of the picture.
///
/// | field | default | range |
/// |---|---|---|
/// | `hairs` | [1, 10] | 0 ≤ low ≤ high ≤ 1000 |
/// | `width` | [0.003, 0.01] | 0 < low ≤ high ≤ 1, share of the shorter side; at least a pixel is seen |
/// | `color` | [10, 60] | 0 ≤ low ≤ high ≤ 255, the value of all channels |
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct HairOverlay {
    /// How many.
    pub hairs: [usize; 2],
    /// How thick.
    pub width: [f64; 2],
    /// How dark.
    pub color: [f64; 2],
}

impl Default for HairOverlay {
    fn default() -> Self {
        Self { hairs: [1, 10], width: [0.003, 0.01], color: [10.0, 60.0] }
    }
}

impl Transform for HairOverlay {
    fn apply(&self, mut image: Image, draw: &mut Draw) -> Image {
        let (width, height) = (image.width() as f64, image.height() as f64);
        let short = width.min(height);
        for _ in 0..draw.whole("hairs", self.hairs.map(|n| n as i64)) {
            let thick = draw.uniform("width", self.width) * short;
            let value = draw.uniform("color", self.color).round() as u8;
            let middle = [draw.uniform("x", [0.0, width]), draw.uniform("y", [0.0, height])];
            let angle = draw.uniform("angle", [0.0, std::f64::consts::TAU]);
            let half = draw.uniform("length", [0.125, 0.5]) * short;
            // The bend is how far the middle lies beside the straight line.
            let bend = draw.uniform("bend", [-0.5, 0.5]) * half;
            let (sin, cos) = angle.sin_cos();
            let at = |along: f64, beside: f64| {
                [middle[0] + along * cos - beside * sin, middle[1] + along * sin + beside * cos]
            };
            // A parabola's control point lies twice as far out as its vertex.
            let curve = [at(-half, 0.0), at(0.0, 2.0 * bend), at(half, 0.0)];
            hair::overlay(&mut image, Hair { curve, thick: thick.max(1.0), value });
        }
        image
    }
    fn validate(&self) -> Result<()> {
        let technique = "transform 'hair_overlay'";
        check::range(technique, "hairs", self.hairs.map(|n| n as f64), [0.0, 1000.0])?;
        check::interval(technique, "width", self.width, 1.0)?;
        check::range(technique, "color", self.color, [0.0, 255.0])
    }
}
