//! A color cast.

use crate::check;
use crate::draw::Draw;
use crate::error::Result;
use crate::pixel::tone;
use crate::transform::Transform;
use data::Image;
use serde::{Deserialize, Serialize};

/// Adds to each channel a number of its own, uniform in ±`shift` (Albumentations `RGBShift`); rounded, for any number of
/// channels.
///
/// | field | default | range |
/// |---|---|---|
/// | `shift` | 20 | 0..=255 |
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct RgbShift {
    /// Largest number to either side.
    pub shift: f64,
}

impl Default for RgbShift {
    fn default() -> Self {
        Self { shift: 20.0 }
    }
}

impl Transform for RgbShift {
    fn apply(&self, mut image: Image, draw: &mut Draw) -> Image {
        let tables: Vec<_> = (0..image.channels())
            .map(|_| tone::affine(1.0, draw.uniform("shift", [-self.shift, self.shift])))
            .collect();
        tone::look_up_channels(&mut image, &tables);
        image
    }
    fn validate(&self) -> Result<()> {
        check::within("transform 'rgb_shift'", "shift", self.shift, [0.0, 255.0])
    }
}
