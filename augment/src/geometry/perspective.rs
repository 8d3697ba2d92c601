//! Seen from elsewhere.

use crate::check;
use crate::draw::Draw;
use crate::error::Result;
use crate::pixel::{Border, Paint, Sampling, project, quadrilateral};
use crate::transform::Transform;
use data::Image;
use serde::{Deserialize, Serialize};

/// Stretches a quadrilateral over the whole picture whose corners are those of the picture moved inwards (Albumentations
/// `Perspective`); the size stays.
///
/// Each coordinate moves by a share |N(0, s)| of the side, at most 0.32, with `s` uniform in `scale`.
///
/// | field | default | range |
/// |---|---|---|
/// | `scale` | [0.05, 0.1] | 0 ≤ low ≤ high ≤ 1 |
/// | `interpolation` | `bilinear` | `nearest`, `bilinear`, `bicubic` |
/// | `border` | `reflect_101` | `constant`, `reflect`, `reflect_101`, `replicate` |
/// | `fill` | 0 | 0..=255, or one for each channel; only for `constant` |
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Perspective {
    /// Deviation of the corners, shares of the sides.
    pub scale: [f64; 2],
    /// How values between pixels are read.
    pub interpolation: Sampling,
    /// What comes in from outside, where rounding reaches there.
    pub border: Border,
    /// Value of a constant border.
    pub fill: Paint,
}

impl Default for Perspective {
    fn default() -> Self {
        Self {
            scale: [0.05, 0.1],
            interpolation: Sampling::Bilinear,
            border: Border::Reflect101,
            fill: Paint::default(),
        }
    }
}

impl Transform for Perspective {
    fn apply(&self, image: Image, draw: &mut Draw) -> Image {
        let deviation = draw.uniform("scale", self.scale);
        let sides = [image.width(), image.height()];
        let [right, bottom] = sides.map(|side| side as f64 - 1.0);
        let corners = [[0.0, 0.0], [right, 0.0], [right, bottom], [0.0, bottom]].map(|[x, y]| {
            // What is further inside wraps around, as in Albumentations.
            let mut inwards = |name, corner: f64, side: f64| {
                let share = draw.normal(name, 0.0, deviation).abs() % 0.32;
                if corner == 0.0 { share * side } else { corner - share * side }
            };
            [inwards("x", x, right), inwards("y", y, bottom)]
        });
        project(&image, quadrilateral(corners, sides), self.interpolation, self.border, self.fill)
    }
    fn validate(&self) -> Result<()> {
        check::border("transform 'perspective'", self.border, self.fill)?;
        check::range("transform 'perspective'", "scale", self.scale, [0.0, 1.0])
    }
    fn check_channels(&self, channels: usize) -> Result<()> {
        check::fill("transform 'perspective'", self.fill, channels)
    }
}
