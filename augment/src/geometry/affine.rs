//! Turned, moved, scaled and sheared at once.

use crate::check;
use crate::draw::Draw;
use crate::error::Result;
use crate::pixel::{Border, Paint, Sampling, affine, warp};
use crate::transform::Transform;
use data::Image;
use serde::{Deserialize, Serialize};

/// Turns, moves, scales and shears about the center, each by a uniform number (`torchvision` `RandomAffine`); the size stays.
///
/// Albumentations' `ShiftScaleRotate` is this with `degrees` 45, `translate` [0.0625, 0.0625] and `scale` [0.9, 1.1].
///
/// | field | default | range |
/// |---|---|---|
/// | `degrees` | 15 | 0..=180, to either side |
/// | `translate` | [0.1, 0.1] | 0..=1 each, shares of width and height, to either side |
/// | `scale` | [0.9, 1.1] | 0 < low ≤ high |
/// | `shear` | [0, 0] | 0..=89 each, degrees along x and y, to either side |
/// | `interpolation` | `bilinear` | `nearest`, `bilinear`, `bicubic` |
/// | `border` | `reflect_101` | `constant`, `reflect`, `reflect_101`, `replicate` |
/// | `fill` | 0 | 0..=255, or one for each channel; only for `constant` |
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Affine {
    /// Largest angle to either side.
    pub degrees: f64,
    /// Largest shifts, shares of width and height.
    pub translate: [f64; 2],
    /// Factors of both sides.
    pub scale: [f64; 2],
    /// Largest angles of shearing along x and y.
    pub shear: [f64; 2],
    /// How values between pixels are read.
    pub interpolation: Sampling,
    /// What comes in from outside.
    pub border: Border,
    /// Value of a constant border.
    pub fill: Paint,
}

impl Default for Affine {
    fn default() -> Self {
        let (interpolation, border) = (Sampling::Bilinear, Border::Reflect101);
        Self {
            degrees: 15.0,
            translate: [0.1; 2],
            scale: [0.9, 1.1],
            shear: [0.0; 2],
            interpolation,
            border,
            fill: Paint::default(),
        }
    }
}

impl Transform for Affine {
    fn apply(&self, image: Image, draw: &mut Draw) -> Image {
        let sides = [image.width(), image.height()];
        let degrees = draw.uniform("degrees", [-self.degrees, self.degrees]);
        let mut within = |name, most: f64| draw.uniform(name, [-most, most]);
        let translate = [
            within("translate_x", self.translate[0] * sides[0] as f64),
            within("translate_y", self.translate[1] * sides[1] as f64),
        ];
        let shear = [within("shear_x", self.shear[0]), within("shear_y", self.shear[1])];
        let scale = draw.uniform("scale", self.scale);
        let inverse = affine(sides, degrees, translate, scale, shear);
        warp(&image, inverse, self.interpolation, self.border, self.fill)
    }
    fn validate(&self) -> Result<()> {
        check::border("transform 'affine'", self.border, self.fill)?;
        let technique = "transform 'affine'";
        check::within(technique, "degrees", self.degrees, [0.0, 180.0])?;
        self.translate.iter().try_for_each(|share| check::within(technique, "translate", *share, [0.0, 1.0]))?;
        check::interval(technique, "scale", self.scale, f64::INFINITY)?;
        self.shear.iter().try_for_each(|angle| check::within(technique, "shear", *angle, [0.0, 89.0]))
    }
    fn check_channels(&self, channels: usize) -> Result<()> {
        check::fill("transform 'affine'", self.fill, channels)
    }
}
