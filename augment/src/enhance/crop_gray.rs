//! Dark borders cut off.

use crate::draw::Draw;
use crate::pixel::{Border, bounds, window};
use crate::transform::Transform;
use data::Image;
use serde::{Deserialize, Serialize};

/// Cuts off the dark border: keeps the smallest rectangle with all pixels whose gray is above `tolerance` (the
/// `crop_image_from_gray` of the competitions on the fundus).
///
/// The gray is OpenCV's for pictures of three channels, the mean for others. A picture that is dark everywhere stays.
///
/// | field | default | range |
/// |---|---|---|
/// | `tolerance` | 7 | 0..=255 |
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct CropGray {
    /// Lightest gray of the border.
    pub tolerance: u8,
}

impl Default for CropGray {
    fn default() -> Self {
        Self { tolerance: 7 }
    }
}

impl Transform for CropGray {
    fn apply(&self, image: Image, _: &mut Draw) -> Image {
        match bounds(&image, self.tolerance) {
            Some(region) => window(image, region, Border::Constant, 0),
            None => image,
        }
    }
    fn is_random(&self) -> bool {
        false
    }
}
