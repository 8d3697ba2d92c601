//! The symmetries of the square.

use crate::draw::Draw;
use crate::pixel::{Symmetry, orient};
use crate::transform::Transform;
use data::Image;
use serde::{Deserialize, Serialize};

/// One of the eight symmetries of the square, all equally likely: for pictures from above or through a microscope.
///
/// Four of them exchange width and height.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Dihedral {}

impl Transform for Dihedral {
    fn apply(&self, image: Image, draw: &mut Draw) -> Image {
        orient(image, Symmetry::ALL[draw.below("symmetry", 8)])
    }
}
