//! Low resolution.

use crate::check;
use crate::draw::Draw;
use crate::error::Result;
use crate::pixel::{Scaling, downscale};
use crate::transform::Transform;
use data::Image;
use serde::{Deserialize, Serialize};

/// Shrinks the picture and enlarges it again (Albumentations `Downscale`), without antialiasing; the size stays.
///
/// | field | default | range |
/// |---|---|---|
/// | `scale` | [0.25, 0.5] | 0.01 ≤ low ≤ high ≤ 1 |
/// | `down` | `nearest` | `nearest`, `bilinear` |
/// | `up` | `nearest` | `nearest`, `bilinear` |
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Downscale {
    /// Smallest and largest share of the sides.
    pub scale: [f64; 2],
    /// How it shrinks.
    pub down: Scaling,
    /// How it grows.
    pub up: Scaling,
}

impl Default for Downscale {
    fn default() -> Self {
        Self { scale: [0.25, 0.5], down: Scaling::Nearest, up: Scaling::Nearest }
    }
}

impl Transform for Downscale {
    fn apply(&self, image: Image, draw: &mut Draw) -> Image {
        downscale(&image, draw.uniform("scale", self.scale), self.down, self.up)
    }
    fn validate(&self) -> Result<()> {
        let [low, high] = self.scale;
        check::that(0.01 <= low && low <= high && high <= 1.0, "transform 'downscale'", || {
            format!("scale must be [low, high] with 0.01 ≤ low ≤ high ≤ 1, got [{low}, {high}]")
        })
    }
}
