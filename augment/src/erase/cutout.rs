//! The square of Cutout.

use crate::check;
use crate::draw::Draw;
use crate::erase::Fill;
use crate::error::Result;
use crate::pixel::Region;
use crate::transform::Transform;
use data::Image;
use serde::{Deserialize, Serialize};

/// Hides squares whose centers lie anywhere in the picture, so that parts of them may lie outside (DeVries & Taylor 2017).
///
/// | field | default | range |
/// |---|---|---|
/// | `size` | 16 | pixels, ≥ 1 |
/// | `count` | 1 | 1..=1000 squares |
/// | `fill` | 0 | 0..=255, or one for each channel; `"random"`, `"pixel"`, `"color"` as in `random_erasing` |
/// | `inside` | false | true: squares lie inside the picture, where they fit (Jordan 2024, on CIFAR) |
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Cutout {
    /// Side, pixels.
    pub size: usize,
    /// How many squares.
    pub count: usize,
    /// What is seen instead.
    pub fill: Fill,
    /// Whether squares lie inside.
    pub inside: bool,
}

impl Default for Cutout {
    fn default() -> Self {
        Self { size: 16, count: 1, fill: Fill::default(), inside: false }
    }
}

impl Transform for Cutout {
    fn apply(&self, mut image: Image, draw: &mut Draw) -> Image {
        let mut source = self.fill.source(draw);
        // Of 16 pixels, 8 lie before the center.
        let before = if self.inside { 0 } else { (self.size / 2) as isize };
        let places = |side: usize| if self.inside { (side + 1).saturating_sub(self.size) } else { side };
        for _ in 0..self.count {
            let top = draw.below("top", places(image.height())) as isize - before;
            let left = draw.below("left", places(image.width())) as isize - before;
            source.region(&mut image, Region { left, top, width: self.size, height: self.size });
        }
        image
    }
    fn validate(&self) -> Result<()> {
        let technique = "transform 'cutout'";
        check::side(technique, "size", self.size)?;
        check::within(technique, "count", self.count as f64, [1.0, 1000.0])
    }
    fn check_channels(&self, channels: usize) -> Result<()> {
        check::fill("transform 'cutout'", self.fill.constant(), channels)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use rand::SeedableRng;
    use rand_chacha::ChaCha8Rng;

    /// How often each number of pixels was hidden, of a picture of 8 × 8.
    fn hidden(cutout: &Cutout) -> Vec<usize> {
        let mut rng = ChaCha8Rng::seed_from_u64(0);
        let mut counts = vec![0; 65];
        for _ in 0..6400 {
            let seen = cutout.apply(Image::filled(8, 8, &[1]), &mut Draw::new(&mut rng));
            counts[seen.pixels().iter().filter(|v| **v == 0).count()] += 1;
        }
        counts
    }

    #[test]
    fn squares_are_clipped_or_inside() {
        let cutout = Cutout { size: 4, ..Default::default() };
        let counts = hidden(&cutout);
        // Columns 2, 3 and 4 of them with probabilities 1/8 + 1/8 (of 3, at both ends: 0 → 2, 1 → 3, 7 → 3) and 5/8.
        assert!(counts[16].abs_diff(2500) < 250 && counts[4].abs_diff(100) < 50, "{counts:?}");
        assert!(counts[6].abs_diff(400) < 100 && counts[9].abs_diff(400) < 100, "{counts:?}");
        assert_eq!(hidden(&Cutout { inside: true, ..cutout.clone() })[16], 6400);
        assert_eq!(hidden(&Cutout { inside: true, size: 99, ..cutout })[64], 6400);
    }
}
