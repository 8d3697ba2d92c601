//! Everything in a square.

use crate::check;
use crate::draw::Draw;
use crate::error::Result;
use crate::pixel::{Border, Interpolation, Paint, Region, resize, window};
use crate::transform::Transform;
use data::Image;
use serde::{Deserialize, Serialize};

/// Resizes the long side, antialiased, and adds stripes beside the short one; nothing random.
///
/// As [`resize`](super::Resize) with mode `letterbox`, but with a color of the stripes (Albumentations `LongestMaxSize` and
/// `PadIfNeeded`).
///
/// | field | default | range |
/// |---|---|---|
/// | `size` | 224 | pixels, ≥ 1 |
/// | `interpolation` | `bilinear` | `nearest`, `bilinear`, `bicubic`, `lanczos` |
/// | `fill` | 0 | 0..=255, or one for each channel |
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Letterbox {
    /// Sides of the result.
    pub size: usize,
    /// How the picture is resized.
    pub interpolation: Interpolation,
    /// Value of the stripes.
    pub fill: Paint,
}

impl Default for Letterbox {
    fn default() -> Self {
        Self { size: 224, interpolation: Interpolation::Bilinear, fill: Paint::default() }
    }
}

impl Transform for Letterbox {
    fn apply(&self, image: Image, _: &mut Draw) -> Image {
        boxed(image, [self.size; 2], self.interpolation, self.fill)
    }
    fn validate(&self) -> Result<()> {
        check::side("transform 'letterbox'", "size", self.size)
    }
    fn check_channels(&self, channels: usize) -> Result<()> {
        check::fill("transform 'letterbox'", self.fill, channels)
    }
    fn is_random(&self) -> bool {
        false
    }
}

/// The picture with its long side resized, in the middle of a square of `fill`, which may be smaller.
pub(super) fn boxed(image: Image, [long, square]: [usize; 2], interpolation: Interpolation, fill: Paint) -> Image {
    let (sides, whole) = (long_side([image.width(), image.height()], long), Region::whole(&image));
    let image = resize(image, whole, sides, interpolation);
    let square = Region::centered(&image, square, square);
    window(image, square, Border::Constant, fill)
}

/// The sides of a picture whose long side becomes `size`.
pub(super) fn long_side(sides: [usize; 2], size: usize) -> [usize; 2] {
    let long = sides[0].max(sides[1]).max(1);
    sides.map(|side| ((size * side + long / 2) / long).max(1))
}
