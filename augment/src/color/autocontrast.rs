//! Values from 0 to 255.

use crate::draw::Draw;
use crate::pixel::autocontrast;
use crate::transform::Transform;
use data::Image;
use serde::{Deserialize, Serialize};

/// Stretches the values of each channel from 0 to 255 (`torchvision` `RandomAutocontrast`). No parameters; for any number of
/// channels. The slices of a volume count as one picture.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Autocontrast {}

impl Transform for Autocontrast {
    fn apply(&self, mut image: Image, _: &mut Draw) -> Image {
        autocontrast(&mut image);
        image
    }
    fn is_random(&self) -> bool {
        false
    }
}
