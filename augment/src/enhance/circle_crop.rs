//! Discs.

use crate::check;
use crate::draw::Draw;
use crate::error::Result;
use crate::pixel::{Border, Paint, bounds, middle_pixel, outside_disc, window};
use crate::transform::Transform;
use data::Image;
use serde::{Deserialize, Serialize};

/// Keeps the largest disc about the middle, black around, then cuts off the dark border as [`CropGray`](super::CropGray) does
/// (the `circle_crop` of the competitions on the fundus).
///
/// | field | default | range |
/// |---|---|---|
/// | `tolerance` | 7 | 0..=255, lightest gray of the border |
/// | `fill` | 0 | 0..=255, or one for each channel: what lies around the disc |
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct CircleCrop {
    /// Lightest gray of the border.
    pub tolerance: u8,
    /// What lies around the disc.
    pub fill: Paint,
}

impl Default for CircleCrop {
    fn default() -> Self {
        Self { tolerance: 7, fill: Paint::default() }
    }
}

impl Transform for CircleCrop {
    fn apply(&self, mut image: Image, _: &mut Draw) -> Image {
        let radius = image.width().min(image.height()) / 2;
        let center = middle_pixel(&image);
        outside_disc(&mut image, center, radius as f64, self.fill);
        match bounds(&image, self.tolerance) {
            Some(region) => window(image, region, Border::Constant, 0),
            None => image,
        }
    }
    fn check_channels(&self, channels: usize) -> Result<()> {
        check::fill("transform 'circle_crop'", self.fill, channels)
    }
    fn is_random(&self) -> bool {
        false
    }
}
