//! A grid pulled out of shape.

use crate::check;
use crate::draw::Draw;
use crate::error::Result;
use crate::pixel::{Between, Border, Lattice, Paint, Sampling, bend};
use crate::transform::Transform;
use data::Image;
use serde::{Deserialize, Serialize};

/// Displaces the points of a grid; the map is affine in the triangles between them (imgaug and Albumentations
/// `PiecewiseAffine`).
///
/// Each coordinate of a point moves by N(0, s/3) short sides with `s` uniform in `scale`, but not out of the picture.
/// Albumentations, unlike its name, weights all points by the inverse of their distance.
///
/// | field | default | range |
/// |---|---|---|
/// | `scale` | [0.03, 0.05] | 0 ≤ low ≤ high ≤ 1 |
/// | `grid` | 4 | 2..=100, points of a row and of a column |
/// | `interpolation` | `bilinear` | `nearest`, `bilinear`, `bicubic` |
/// | `border` | `reflect_101` | `constant`, `reflect`, `reflect_101`, `replicate` |
/// | `fill` | 0 | 0..=255, or one for each channel; only for `constant` |
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct PiecewiseAffine {
    /// Three times the deviation of the points, shares of the short side.
    pub scale: [f64; 2],
    /// Points of a row and of a column.
    pub grid: usize,
    /// How values between pixels are read.
    pub interpolation: Sampling,
    /// What comes in from outside, where rounding reaches there.
    pub border: Border,
    /// Value of a constant border.
    pub fill: Paint,
}

impl Default for PiecewiseAffine {
    fn default() -> Self {
        let (interpolation, border) = (Sampling::Bilinear, Border::Reflect101);
        Self { scale: [0.03, 0.05], grid: 4, interpolation, border, fill: Paint::default() }
    }
}

impl Transform for PiecewiseAffine {
    fn apply(&self, image: Image, draw: &mut Draw) -> Image {
        let sides = [image.width(), image.height()].map(|side| side as f64 - 1.0);
        let deviation = draw.uniform("scale", self.scale) * image.width().min(image.height()) as f64 / 3.0;
        let cells = self.grid.max(2) - 1;
        let step = sides.map(|side| (side.max(1.0) / cells as f64) as f32);
        let (mut x, mut y) = (vec![], vec![]);
        for (j, i) in (0..=cells).flat_map(|j| (0..=cells).map(move |i| (j, i))) {
            let mut shift = |name, at: f64, side: f64| {
                let shift = draw.normal(name, 0.0, deviation);
                (shift.clamp(-at, (side - at).max(-at))) as f32
            };
            let at = |k: usize, side: f64| side * k as f64 / cells as f64;
            x.push(shift("x", at(i, sides[0]), sides[0]));
            y.push(shift("y", at(j, sides[1]), sides[1]));
        }
        match Lattice::new(cells + 1, step, x, y) {
            Some(lattice) => bend(&image, &lattice, Between::Triangles, (self.interpolation, self.border, self.fill)),
            None => image,
        }
    }
    fn validate(&self) -> Result<()> {
        check::border("transform 'piecewise_affine'", self.border, self.fill)?;
        let technique = "transform 'piecewise_affine'";
        check::that((2..=100).contains(&self.grid), technique, || {
            format!("grid must be in 2..=100, got {}", self.grid)
        })?;
        check::range(technique, "scale", self.scale, [0.0, 1.0])
    }
    fn check_channels(&self, channels: usize) -> Result<()> {
        check::fill("transform 'piecewise_affine'", self.fill, channels)
    }
}
