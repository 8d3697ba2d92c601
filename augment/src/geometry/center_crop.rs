//! The middle of the picture.

use super::random_crop::{SIZE, sides};
use crate::check;
use crate::draw::Draw;
use crate::error::Result;
use crate::pixel::{Border, Paint, Region, window};
use crate::transform::Transform;
use data::Image;
use serde::{Deserialize, Serialize};

/// Cuts out the middle (`torchvision` and Albumentations `CenterCrop`); nothing random.
///
/// Pictures that are smaller lie in the middle of a border.
///
/// | field | default | range |
/// |---|---|---|
/// | `size` | 224 | pixels, ≥ 1 |
/// | `width`, `height` | `size` | pixels, ≥ 1; without `size` where both are given |
/// | `border` | `constant` | `constant`, `reflect`, `reflect_101`, `replicate` |
/// | `fill` | 0 | 0..=255, or one for each channel; only for `constant` |
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct CenterCrop {
    /// Sides of the result.
    pub size: usize,
    /// Its width, where it is no square.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub width: Option<usize>,
    /// Its height.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub height: Option<usize>,
    /// What lies around smaller pictures.
    pub border: Border,
    /// Value of a constant border.
    pub fill: Paint,
}

impl Default for CenterCrop {
    fn default() -> Self {
        Self { size: SIZE, width: None, height: None, border: Border::Constant, fill: Paint::default() }
    }
}

impl Transform for CenterCrop {
    fn apply(&self, image: Image, _: &mut Draw) -> Image {
        let (width, height) = (self.width.unwrap_or(self.size), self.height.unwrap_or(self.size));
        let Region { left, top, .. } = Region::centered(&image, width, height);
        // `torchvision` rounds crops to even numbers and frames down.
        let start = |crop: isize, outer: usize, inner: usize| {
            if inner > outer { -(((inner - outer) / 2) as isize) } else { crop }
        };
        let (left, top) = (start(left, image.width(), width), start(top, image.height(), height));
        window(image, Region { left, top, width, height }, self.border, self.fill)
    }
    fn validate(&self) -> Result<()> {
        check::border("transform 'center_crop'", self.border, self.fill)?;
        sides("transform 'center_crop'", self.size, [self.width, self.height])
    }
    fn check_channels(&self, channels: usize) -> Result<()> {
        check::fill("transform 'center_crop'", self.fill, channels)
    }
    fn is_random(&self) -> bool {
        false
    }
}
