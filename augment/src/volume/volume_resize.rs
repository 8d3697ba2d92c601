//! Volumes to one size.

use crate::check;
use crate::draw::Draw;
use crate::error::Result;
use crate::pixel::{Interpolation, resize_volume};
use crate::transform::Transform;
use data::Image;
use serde::{Deserialize, Serialize};

/// Resizes a volume, antialiased along the sides that shrink; nothing random.
///
/// | field | default | range |
/// |---|---|---|
/// | `size` | [64, 64, 64] | `[depth, height, width]`, ≥ 1 |
/// | `interpolation` | `bilinear` | `nearest`, `bilinear`, `bicubic`, `lanczos`: the same along the depth |
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct VolumeResize {
    /// Sides of the result.
    pub size: [usize; 3],
    /// How the volume is resized.
    pub interpolation: Interpolation,
}

impl Default for VolumeResize {
    fn default() -> Self {
        Self { size: [64; 3], interpolation: Interpolation::Bilinear }
    }
}

impl Transform for VolumeResize {
    fn apply(&self, image: Image, _: &mut Draw) -> Image {
        resize_volume(image, self.size, self.interpolation)
    }
    fn validate(&self) -> Result<()> {
        check::volume("transform 'volume_resize'", self.size)
    }
    fn is_random(&self) -> bool {
        false
    }
}
