//! Mirror images of volumes.

use crate::check;
use crate::draw::Draw;
use crate::error::Result;
use crate::pixel::mirror_volume;
use crate::transform::Transform;
use data::Image;
use serde::{Deserialize, Serialize};

/// Exchanges front and back, top and bottom, left and right, each with a probability of its own (MONAI `RandFlip` per axis).
///
/// | field | default | range |
/// |---|---|---|
/// | `depth` | 0.5 | 0..=1 |
/// | `height` | 0.5 | 0..=1 |
/// | `width` | 0.5 | 0..=1 |
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct VolumeFlip {
    /// Probability of front and back.
    pub depth: f64,
    /// Probability of top and bottom.
    pub height: f64,
    /// Probability of left and right.
    pub width: f64,
}

impl Default for VolumeFlip {
    fn default() -> Self {
        Self { depth: 0.5, height: 0.5, width: 0.5 }
    }
}

impl Transform for VolumeFlip {
    fn apply(&self, image: Image, draw: &mut Draw) -> Image {
        let flips = [("depth", self.depth), ("height", self.height), ("width", self.width)];
        mirror_volume(image, flips.map(|(name, p)| draw.chance(name, p)))
    }
    fn validate(&self) -> Result<()> {
        for (name, p) in [("depth", self.depth), ("height", self.height), ("width", self.width)] {
            check::within("transform 'volume_flip'", name, p, [0.0, 1.0])?;
        }
        Ok(())
    }
}
