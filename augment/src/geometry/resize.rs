//! To one size.

use crate::check;
use crate::error::Result;
use crate::pixel::{Border, Region, bilinear, bilinear_middle, window};
use crate::transform::Transform;
use data::Image;
use rand::RngCore;
use serde::{Deserialize, Serialize};

/// Makes the picture a square, bilinearly and antialiased; nothing random.
///
/// | field | default | range |
/// |---|---|---|
/// | `size` | 224 | pixels, ≥ 1 |
/// | `mode` | `squash` | `squash`, `crop`, `letterbox` |
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Resize {
    /// Sides of the result.
    pub size: usize,
    /// What happens to pictures that are not square.
    pub mode: Fit,
}

/// How a picture of any aspect becomes a square.
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
}

impl Default for Resize {
    fn default() -> Self {
        Self { size: 224, mode: Fit::Squash }
    }
}

impl Transform for Resize {
    fn apply(&self, image: Image, _: &mut dyn RngCore) -> Image {
        let (size, sides) = (self.size, [image.width(), image.height()]);
        let [short, long] = [sides[0].min(sides[1]), sides[0].max(sides[1])];
        match self.mode {
            Fit::Squash => {
                let region = Region::whole(&image);
                bilinear(image, region, size, size)
            }
            // Truncated, as `torchvision` does.
            Fit::Crop => bilinear_middle(image, sides.map(|side| size * side / short), [size; 2]),
            Fit::Letterbox => {
                let [width, height] = sides.map(|side| (size * side + long / 2) / long);
                let region = Region::whole(&image);
                let image = bilinear(image, region, width, height);
                let square = Region::centered(&image, size, size);
                window(image, square, Border::Constant, 0)
            }
        }
    }
    fn validate(&self) -> Result<()> {
        check::side("transform 'resize'", "size", self.size)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use rand::SeedableRng;
    use rand_chacha::ChaCha8Rng;

    fn resize(image: Image, size: usize, mode: Fit) -> Image {
        Resize { size, mode }.apply(image, &mut ChaCha8Rng::seed_from_u64(0))
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
}
