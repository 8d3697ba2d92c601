//! Turns by any angle.

use crate::check;
use crate::draw::Draw;
use crate::error::Result;
use crate::pixel::{Border, Paint, Sampling, rotation, warp};
use crate::transform::Transform;
use data::Image;
use serde::{Deserialize, Serialize};

/// Turns about the center by an angle uniform in ±`degrees`; the size stays.
///
/// | field | default | range |
/// |---|---|---|
/// | `degrees` | 15 | 0..=180 |
/// | `interpolation` | `bilinear` | `nearest`, `bilinear`, `bicubic` |
/// | `border` | `reflect_101` | `constant`, `reflect`, `reflect_101`, `replicate` |
/// | `fill` | 0 | 0..=255, or one for each channel; only for `constant` |
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Rotate {
    /// Largest angle to either side.
    pub degrees: f64,
    /// How values between pixels are read.
    pub interpolation: Sampling,
    /// What comes in at the corners.
    pub border: Border,
    /// Value of a constant border.
    pub fill: Paint,
}

impl Default for Rotate {
    fn default() -> Self {
        Self { degrees: 15.0, interpolation: Sampling::Bilinear, border: Border::Reflect101, fill: Paint::default() }
    }
}

impl Transform for Rotate {
    fn apply(&self, image: Image, draw: &mut Draw) -> Image {
        let degrees = draw.uniform("degrees", [-self.degrees, self.degrees]);
        if degrees == 0.0 {
            return image;
        }
        let inverse = rotation(degrees, image.width(), image.height());
        warp(&image, inverse, self.interpolation, self.border, self.fill)
    }
    fn validate(&self) -> Result<()> {
        check::border("transform 'rotate'", self.border, self.fill)?;
        check::within("transform 'rotate'", "degrees", self.degrees, [0.0, 180.0])
    }
    fn check_channels(&self, channels: usize) -> Result<()> {
        check::fill("transform 'rotate'", self.fill, channels)
    }
}
