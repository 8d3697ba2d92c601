//! To one size.

use super::letterbox::{boxed, long_side};
use crate::check;
use crate::draw::Draw;
use crate::error::Result;
use crate::pixel::{Interpolation, Paint, Region, resize, resize_middle};
use crate::transform::Transform;
use data::Image;
use serde::{Deserialize, Serialize};

/// Makes the picture a square, or one of its sides as long as wanted, antialiased; nothing random.
///
/// With a `crop` below 1 it is what timm does for evaluation: the square is larger, `size / crop` rounded down, and its
/// middle is kept (modes `crop` and `squash`, timm's `crop_mode` center and squash).
///
/// | field | default | range |
/// |---|---|---|
/// | `size` | 224 | pixels, ≥ 1 |
/// | `mode` | `squash` | `squash`, `crop`, `letterbox`, `short_side`, `long_side` |
/// | `crop` | 1 | 0.1..=1, the kept middle's side as a share of the square's; 1 for one side |
/// | `max_size` | none | pixels, ≥ `size`: the most for the long side in mode `short_side` |
/// | `interpolation` | `bilinear` | `nearest`, `bilinear`, `bicubic`, `lanczos` |
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Resize {
    /// Sides of the result.
    pub size: usize,
    /// What happens to pictures that are not square.
    pub mode: Fit,
    /// The kept middle's side as a share of the square's.
    pub crop: f64,
    /// The most for the long side where the short one is resized.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub max_size: Option<usize>,
    /// How the picture is resized.
    pub interpolation: Interpolation,
}

/// What becomes of a picture of any aspect.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Fit {
    /// Both sides resized, the aspect changes.
    #[default]
    Squash,
    /// The short side resized, the middle of the long one kept (`torchvision` `Resize` and `CenterCrop`).
    Crop,
    /// The long side resized, black stripes beside the short one.
    Letterbox,
    /// The short side resized, the long one in proportion (`torchvision` `Resize` with one number, Albumentations
    /// `SmallestMaxSize`).
    ShortSide,
    /// The long side resized, the short one in proportion (Albumentations `LongestMaxSize`).
    LongSide,
}

impl Default for Resize {
    fn default() -> Self {
        Self { size: 224, mode: Fit::Squash, crop: 1.0, max_size: None, interpolation: Interpolation::Bilinear }
    }
}

impl Transform for Resize {
    fn apply(&self, image: Image, _: &mut Draw) -> Image {
        let &Self { size, mode, crop, max_size, interpolation } = self;
        let sides = [image.width(), image.height()];
        let [short, long] = [sides[0].min(sides[1]), sides[0].max(sides[1])];
        // Truncated, as timm does.
        let square = (size as f64 / crop) as usize;
        match mode {
            Fit::Squash => resize_middle(image, [square; 2], [size; 2], interpolation),
            // Truncated, as `torchvision` does.
            Fit::Crop => resize_middle(image, sides.map(|side| square * side / short), [size; 2], interpolation),
            Fit::Letterbox => boxed(image, [square, size], interpolation, Paint::default()),
            Fit::ShortSide => {
                let whole = Region::whole(&image);
                let most = max_size.unwrap_or(usize::MAX);
                // Both truncated, as `torchvision` does.
                let sides = if size * long / short > most {
                    sides.map(|side| (most * side / long).max(1))
                } else {
                    sides.map(|side| size * side / short)
                };
                resize(image, whole, sides, interpolation)
            }
            Fit::LongSide => {
                let whole = Region::whole(&image);
                resize(image, whole, long_side(sides, size), interpolation)
            }
        }
    }
    fn validate(&self) -> Result<()> {
        check::side("transform 'resize'", "size", self.size)?;
        check::within("transform 'resize'", "crop", self.crop, [0.1, 1.0])?;
        let one_side = matches!(self.mode, Fit::ShortSide | Fit::LongSide);
        check::that(!one_side || self.crop == 1.0, "transform 'resize'", || {
            format!("crop is for squares, must be 1 for one side, got {}", self.crop)
        })?;
        let Some(most) = self.max_size else { return Ok(()) };
        check::side("transform 'resize'", "max_size", most)?;
        check::that(self.mode == Fit::ShortSide && most >= self.size, "transform 'resize'", || {
            format!("max_size is for mode short_side and at least size, {}; got {most}", self.size)
        })
    }
    fn is_random(&self) -> bool {
        false
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use rand::SeedableRng;
    use rand_chacha::ChaCha8Rng;

    fn resize(image: Image, size: usize, mode: Fit) -> Image {
        Resize { size, mode, ..Resize::default() }.apply(image, &mut Draw::new(&mut ChaCha8Rng::seed_from_u64(0)))
    }

    #[test]
    fn letterbox_shows_everything_and_crop_fills_everything() {
        let wide = Image::filled(8, 4, &[9]);
        assert_eq!(resize(wide.clone(), 4, Fit::Letterbox).pixels(), [0, 0, 0, 0, 9, 9, 9, 9, 9, 9, 9, 9, 0, 0, 0, 0]);
        assert_eq!(resize(wide.clone(), 4, Fit::Crop).pixels(), [9; 16]);
        assert_eq!(resize(wide, 4, Fit::Squash).pixels(), [9; 16]);
        let thin = resize(Image::filled(1, 300, &[9]), 10, Fit::Letterbox);
        assert_eq!(thin.pixels().iter().filter(|v| **v == 9).count(), 10);
        let columns = Image::new(4, 2, 1, vec![1, 2, 3, 4, 5, 6, 7, 8]).unwrap();
        assert_eq!(resize(columns, 2, Fit::Crop).pixels(), [2, 3, 6, 7]);
    }

    #[test]
    fn a_crop_keeps_the_middle_in_every_mode() {
        let steps = Image::new(4, 4, 1, (0..16).collect()).unwrap();
        for mode in [Fit::Squash, Fit::Crop, Fit::Letterbox] {
            let crop = Resize { size: 2, mode, crop: 0.5, ..Resize::default() };
            let seen = crop.apply(steps.clone(), &mut Draw::new(&mut ChaCha8Rng::seed_from_u64(0)));
            assert_eq!(seen.pixels(), [5, 6, 9, 10], "{mode:?}");
        }
        assert!(Resize { crop: 1.1, ..Resize::default() }.validate().unwrap_err().to_string().contains("crop must be"));
    }
}
