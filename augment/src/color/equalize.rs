//! All values equally frequent.

use crate::draw::Draw;
use crate::pixel::equalize;
use crate::transform::Transform;
use data::Image;
use serde::{Deserialize, Serialize};

/// Spreads the values of each channel so that all become equally frequent (Pillow `ImageOps.equalize`, `torchvision`
/// `RandomEqualize`). No parameters; for any number of channels. The slices of a volume count as one picture.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Equalize {}

impl Transform for Equalize {
    fn apply(&self, mut image: Image, _: &mut Draw) -> Image {
        equalize(&mut image);
        image
    }
    fn is_random(&self) -> bool {
        false
    }
}
