//! Skin without hairs.

use crate::check;
use crate::draw::Draw;
use crate::error::Result;
use crate::pixel::{fill_in, hairs};
use crate::transform::Transform;
use data::Image;
use serde::{Deserialize, Serialize};

/// Finds thin dark hairs and fills them in from their rims (Lee et al. 1997, DullRazor).
///
/// A hair is where the gray is darker than its closing by a cross of `kernel` pixels by more than `threshold` (a black-hat
/// filter). Each of its pixels becomes the mean of those of its neighbours that are known, from the rim inwards; OpenCV's
/// inpainting, which is used elsewhere, also continues slopes.
///
/// | field | default | range |
/// |---|---|---|
/// | `kernel` | 9 | 3..=255, odd: wider than a hair |
/// | `threshold` | 10 | 0..=255 |
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct HairRemoval {
    /// Sides of the cross.
    pub kernel: usize,
    /// How much darker a hair is.
    pub threshold: u8,
}

impl Default for HairRemoval {
    fn default() -> Self {
        Self { kernel: 9, threshold: 10 }
    }
}

impl Transform for HairRemoval {
    fn apply(&self, mut image: Image, _: &mut Draw) -> Image {
        let mask = hairs(&image, self.kernel, self.threshold);
        fill_in(&mut image, &mask);
        image
    }
    fn validate(&self) -> Result<()> {
        check::odd("transform 'hair_removal'", "kernel", self.kernel, 3)
    }
    fn is_random(&self) -> bool {
        false
    }
}
