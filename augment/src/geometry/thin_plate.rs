//! Bent like sheet metal.

use crate::check;
use crate::draw::Draw;
use crate::error::Result;
use crate::pixel::{Between, Border, Paint, Sampling, bend, thin_plate};
use crate::transform::Transform;
use data::Image;
use serde::{Deserialize, Serialize};

/// Displaces a grid of points and bends the picture as little as that allows (Bookstein 1989; Albumentations
/// `ThinPlateSpline`).
///
/// Each coordinate of a point moves by a share N(0, s/10) of the side with `s` uniform in `scale`.
///
/// | field | default | range |
/// |---|---|---|
/// | `scale` | [0.2, 0.4] | 0 ≤ low ≤ high ≤ 1 |
/// | `points` | 4 | 2..=10, of a row and of a column |
/// | `interpolation` | `bilinear` | `nearest`, `bilinear`, `bicubic` |
/// | `border` | `reflect_101` | `constant`, `reflect`, `reflect_101`, `replicate` |
/// | `fill` | 0 | 0..=255, or one for each channel; only for `constant` |
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct ThinPlate {
    /// Ten times the deviation of the points, shares of the sides.
    pub scale: [f64; 2],
    /// Points of a row and of a column.
    pub points: usize,
    /// How values between pixels are read.
    pub interpolation: Sampling,
    /// What comes in from outside.
    pub border: Border,
    /// Value of a constant border.
    pub fill: Paint,
}

impl Default for ThinPlate {
    fn default() -> Self {
        let (interpolation, border) = (Sampling::Bilinear, Border::Reflect101);
        Self { scale: [0.2, 0.4], points: 4, interpolation, border, fill: Paint::default() }
    }
}

impl Transform for ThinPlate {
    fn apply(&self, image: Image, draw: &mut Draw) -> Image {
        let deviation = draw.uniform("scale", self.scale) / 10.0;
        let at = |i: usize| i as f64 / (self.points.max(2) - 1) as f64;
        let points: Vec<[f64; 2]> =
            (0..self.points * self.points).map(|i| [at(i % self.points), at(i / self.points)]).collect();
        let shifts: Vec<[f64; 2]> =
            points.iter().map(|_| ["x", "y"].map(|name| draw.normal(name, 0.0, deviation))).collect();
        let plate = thin_plate([image.width(), image.height()], &points, &shifts);
        bend(&image, &plate, Between::Bilinear, (self.interpolation, self.border, self.fill))
    }
    fn validate(&self) -> Result<()> {
        check::border("transform 'thin_plate'", self.border, self.fill)?;
        let technique = "transform 'thin_plate'";
        check::that((2..=10).contains(&self.points), technique, || {
            format!("points must be in 2..=10, got {}", self.points)
        })?;
        check::range(technique, "scale", self.scale, [0.0, 1.0])
    }
    fn check_channels(&self, channels: usize) -> Result<()> {
        check::fill("transform 'thin_plate'", self.fill, channels)
    }
}
