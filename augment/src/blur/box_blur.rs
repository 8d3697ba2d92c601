//! Means of squares.

use super::{check_kernel, draw_kernel};
use crate::draw::Draw;
use crate::error::Result;
use crate::pixel::{Border, MAX_BOX, box_blur};
use crate::transform::Transform;
use data::Image;
use serde::{Deserialize, Serialize};

/// The mean of a square around each pixel (Albumentations `Blur`); mirrored at the border.
///
/// | field | default | range |
/// |---|---|---|
/// | `kernel` | [3, 7] | sides of the square, odd, 3 ≤ low ≤ high ≤ 255 |
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct BoxBlur {
    /// Smallest and largest side.
    pub kernel: [usize; 2],
}

impl Default for BoxBlur {
    fn default() -> Self {
        Self { kernel: [3, 7] }
    }
}

impl Transform for BoxBlur {
    fn apply(&self, image: Image, draw: &mut Draw) -> Image {
        box_blur(&image, draw_kernel(draw, self.kernel), Border::Reflect101, 0)
    }
    fn validate(&self) -> Result<()> {
        check_kernel("transform 'box_blur'", self.kernel, MAX_BOX)
    }
}
