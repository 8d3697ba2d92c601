//! Corners and middle.

use crate::check;
use crate::draw::Draw;
use crate::error::Result;
use crate::pixel::{Border, Region, Symmetry, orient, window};
use crate::transform::Transform;
use data::Image;
use serde::{Deserialize, Serialize};

/// Cuts out one of the four corners or the middle, all equally likely (Krizhevsky et al. 2012; `torchvision` `FiveCrop` and
/// `TenCrop` give all of them).
///
/// Pictures that are smaller are continued in black.
///
/// | field | default | range |
/// |---|---|---|
/// | `size` | 224 | pixels, ≥ 1 |
/// | `flips` | false | the mirror images of the five too |
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct FiveCrop {
    /// Sides of the result.
    pub size: usize,
    /// Whether half of the crops are mirrored.
    pub flips: bool,
}

impl Default for FiveCrop {
    fn default() -> Self {
        Self { size: 224, flips: false }
    }
}

impl Transform for FiveCrop {
    fn apply(&self, image: Image, draw: &mut Draw) -> Image {
        let crop = draw.below("crop", if self.flips { 10 } else { 5 });
        let middle = Region::centered(&image, self.size, self.size);
        let [right, bottom] = [image.width(), image.height()].map(|side| side as isize - self.size as isize);
        // In the order of `torchvision`.
        let (left, top) = match crop % 5 {
            0 => (0, 0),
            1 => (right, 0),
            2 => (0, bottom),
            3 => (right, bottom),
            _ => (middle.left, middle.top),
        };
        // All places of the mirror image are mirrored places.
        let symmetry = if crop < 5 { Symmetry::IDENTITY } else { Symmetry::MIRROR };
        orient(window(image, Region { left, top, ..middle }, Border::Constant, 0), symmetry)
    }
    fn validate(&self) -> Result<()> {
        check::side("transform 'five_crop'", "size", self.size)
    }
}
