//! Fewer values.

use crate::check;
use crate::draw::Draw;
use crate::error::Result;
use crate::pixel::tone;
use crate::transform::Transform;
use data::Image;
use serde::{Deserialize, Serialize};

/// Keeps the upper bits of each value (`torchvision` `RandomPosterize`, Albumentations `Posterize`).
///
/// | field | default | range |
/// |---|---|---|
/// | `bits` | 4 | 0..=8 |
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Posterize {
    /// How many bits stay.
    pub bits: u32,
}

impl Default for Posterize {
    fn default() -> Self {
        Self { bits: 4 }
    }
}

impl Transform for Posterize {
    fn apply(&self, mut image: Image, _: &mut Draw) -> Image {
        tone::look_up(&mut image, &tone::posterize(self.bits));
        image
    }
    fn validate(&self) -> Result<()> {
        check::within("transform 'posterize'", "bits", f64::from(self.bits), [0.0, 8.0])
    }
    fn is_random(&self) -> bool {
        false
    }
}
