//! Light values turned over.

use crate::check;
use crate::draw::Draw;
use crate::error::Result;
use crate::pixel::tone;
use crate::transform::Transform;
use data::Image;
use serde::{Deserialize, Serialize};

/// Gives the negative of values of at least `threshold` (`torchvision` `RandomSolarize`, Albumentations `Solarize`).
///
/// | field | default | range |
/// |---|---|---|
/// | `threshold` | 128 | 0..=256 |
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Solarize {
    /// The lowest value that is turned over.
    pub threshold: f64,
}

impl Default for Solarize {
    fn default() -> Self {
        Self { threshold: 128.0 }
    }
}

impl Transform for Solarize {
    fn apply(&self, mut image: Image, _: &mut Draw) -> Image {
        tone::look_up(&mut image, &tone::solarize(self.threshold));
        image
    }
    fn validate(&self) -> Result<()> {
        check::within("transform 'solarize'", "threshold", self.threshold, [0.0, 256.0])
    }
    fn is_random(&self) -> bool {
        false
    }
}
