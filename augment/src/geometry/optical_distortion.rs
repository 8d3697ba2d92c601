//! Seen through a lens.

use crate::check;
use crate::draw::Draw;
use crate::error::Result;
use crate::pixel::{Border, Paint, Sampling, lens};
use crate::transform::Transform;
use data::Image;
use serde::{Deserialize, Serialize};

/// A barrel or a pincushion: distances `r` from the center, in shares of the sides, become `r (1 + k r² + k r⁴)` with `k` uniform
/// in ±`limit` (Albumentations `OpticalDistortion`).
///
/// | field | default | range |
/// |---|---|---|
/// | `limit` | 0.05 | 0..=10 |
/// | `interpolation` | `bilinear` | `nearest`, `bilinear`, `bicubic` |
/// | `border` | `reflect_101` | `constant`, `reflect`, `reflect_101`, `replicate` |
/// | `fill` | 0 | 0..=255, or one for each channel; only for `constant` |
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct OpticalDistortion {
    /// Largest coefficient to either side.
    pub limit: f64,
    /// How values between pixels are read.
    pub interpolation: Sampling,
    /// What comes in from outside.
    pub border: Border,
    /// Value of a constant border.
    pub fill: Paint,
}

impl Default for OpticalDistortion {
    fn default() -> Self {
        Self { limit: 0.05, interpolation: Sampling::Bilinear, border: Border::Reflect101, fill: Paint::default() }
    }
}

impl Transform for OpticalDistortion {
    fn apply(&self, image: Image, draw: &mut Draw) -> Image {
        let k = draw.uniform("k", [-self.limit, self.limit]);
        lens(&image, k, (self.interpolation, self.border, self.fill))
    }
    fn validate(&self) -> Result<()> {
        check::border("transform 'optical_distortion'", self.border, self.fill)?;
        check::within("transform 'optical_distortion'", "limit", self.limit, [0.0, 10.0])
    }
    fn check_channels(&self, channels: usize) -> Result<()> {
        check::fill("transform 'optical_distortion'", self.fill, channels)
    }
}
