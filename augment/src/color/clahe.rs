//! Local contrast.

use crate::check;
use crate::draw::Draw;
use crate::error::Result;
use crate::pixel::clahe;
use crate::transform::Transform;
use data::Image;
use serde::{Deserialize, Serialize};

/// Spreads the values of each tile so that they become equally frequent, with limits (CLAHE: Zuiderveld 1994; Albumentations
/// `CLAHE`, OpenCV `createCLAHE`): those of one channel, or the lightness L of three (Lab, D65).
///
/// The slices of a volume count as one picture.
///
/// With one clip limit it is the same for every epoch, and may prepare pictures.
///
/// | field | default | range |
/// |---|---|---|
/// | `clip` | [1, 4] | 0 < low ≤ high |
/// | `tiles` | 8 | 1..=256 in each direction |
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Clahe {
    /// Between which the limit is uniform: how many times as frequent as on average a value counts at most.
    pub clip: [f64; 2],
    /// Tiles in each direction.
    pub tiles: usize,
}

impl Default for Clahe {
    fn default() -> Self {
        Self { clip: [1.0, 4.0], tiles: 8 }
    }
}

impl Transform for Clahe {
    fn apply(&self, mut image: Image, draw: &mut Draw) -> Image {
        clahe(&mut image, draw.uniform("clip", self.clip), self.tiles);
        image
    }
    fn validate(&self) -> Result<()> {
        check::interval("transform 'clahe'", "clip", self.clip, f64::INFINITY)?;
        check::within("transform 'clahe'", "tiles", self.tiles as f64, [1.0, 256.0])
    }
    fn check_channels(&self, channels: usize) -> Result<()> {
        check::colors("transform 'clahe'", channels)
    }
    fn is_random(&self) -> bool {
        self.clip[0] != self.clip[1]
    }
}
