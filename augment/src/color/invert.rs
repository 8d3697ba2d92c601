//! The negative.

use crate::draw::Draw;
use crate::pixel::tone;
use crate::transform::Transform;
use data::Image;
use serde::{Deserialize, Serialize};

/// Gives the negative of the picture (`torchvision` `RandomInvert`, Albumentations `InvertImg`). No parameters.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Invert {}

impl Transform for Invert {
    fn apply(&self, mut image: Image, _: &mut Draw) -> Image {
        tone::look_up(&mut image, &tone::invert());
        image
    }
    fn is_random(&self) -> bool {
        false
    }
}
