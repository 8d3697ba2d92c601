//! Medians of squares.

use super::{check_kernel, draw_kernel};
use crate::draw::Draw;
use crate::error::Result;
use crate::pixel::median_blur;
use crate::transform::Transform;
use data::Image;
use serde::{Deserialize, Serialize};

/// The median of a square around each pixel (Albumentations `MedianBlur`, OpenCV `medianBlur`): edges stay, dots vanish.
///
/// | field | default | range |
/// |---|---|---|
/// | `kernel` | [3, 7] | sides of the square, odd, 3 ≤ low ≤ high ≤ 7 |
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct MedianBlur {
    /// Smallest and largest side.
    pub kernel: [usize; 2],
}

impl Default for MedianBlur {
    fn default() -> Self {
        Self { kernel: [3, 7] }
    }
}

impl Transform for MedianBlur {
    fn apply(&self, mut image: Image, draw: &mut Draw) -> Image {
        median_blur(&mut image, draw_kernel(draw, self.kernel));
        image
    }
    fn validate(&self) -> Result<()> {
        check_kernel("transform 'median_blur'", self.kernel, 7)
    }
}
