//! Several holes.

use crate::check;
use crate::draw::Draw;
use crate::erase::{Extent, Fill};
use crate::error::Result;
use crate::pixel::Region;
use crate::transform::Transform;
use data::Image;
use serde::{Deserialize, Serialize};

/// Hides several rectangles that lie inside the picture (Albumentations `CoarseDropout`).
///
/// | field | default | range |
/// |---|---|---|
/// | `holes` | [1, 2] | 1 ≤ low ≤ high ≤ 10,000 |
/// | `height` | [0.1, 0.2] | 0 < low ≤ high < 1, shares of the height; or whole pixels, ≥ 1 |
/// | `width` | [0.1, 0.2] | the same of the width |
/// | `fill` | 0 | 0..=255, or one for each channel; `"random"`, `"pixel"`, `"color"` as in `random_erasing` |
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct CoarseDropout {
    /// How many.
    pub holes: [usize; 2],
    /// Their heights.
    pub height: Extent,
    /// Their widths.
    pub width: Extent,
    /// What is seen instead.
    pub fill: Fill,
}

impl Default for CoarseDropout {
    fn default() -> Self {
        let side = Extent([0.1, 0.2]);
        Self { holes: [1, 2], height: side, width: side, fill: Fill::default() }
    }
}

impl Transform for CoarseDropout {
    fn apply(&self, mut image: Image, draw: &mut Draw) -> Image {
        let mut source = self.fill.source(draw);
        for _ in 0..draw.whole("holes", self.holes.map(|n| n as i64)) {
            let height = self.height.draw("height", image.height(), draw).min(image.height());
            let width = self.width.draw("width", image.width(), draw).min(image.width());
            let top = draw.below("top", image.height() - height + 1) as isize;
            let left = draw.below("left", image.width() - width + 1) as isize;
            source.region(&mut image, Region { left, top, width, height });
        }
        image
    }
    fn validate(&self) -> Result<()> {
        let technique = "transform 'coarse_dropout'";
        check::range(technique, "holes", self.holes.map(|n| n as f64), [1.0, 10_000.0])?;
        self.height.validate(technique, "height")?;
        self.width.validate(technique, "width")
    }
    fn check_channels(&self, channels: usize) -> Result<()> {
        check::fill("transform 'coarse_dropout'", self.fill.constant(), channels)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use rand::SeedableRng;
    use rand_chacha::ChaCha8Rng;

    #[test]
    fn holes_have_the_lengths_that_were_asked_for() {
        let mut rng = ChaCha8Rng::seed_from_u64(0);
        let mut seen = |height, width| {
            let dropout =
                CoarseDropout { holes: [1, 1], height: Extent(height), width: Extent(width), ..Default::default() };
            let seen = dropout.apply(Image::filled(100, 50, &[1]), &mut Draw::new(&mut rng));
            seen.pixels().iter().filter(|v| **v == 0).count()
        };
        for _ in 0..50 {
            assert_eq!(seen([8.0, 8.0], [3.0, 3.0]), 24);
            assert_eq!(seen([0.5, 0.5], [0.25, 0.25]), 625);
            assert!((25 * 10..=30 * 20).contains(&seen([0.5, 0.6], [0.1, 0.2])));
            assert_eq!(seen([500.0, 500.0], [1.0, 1.0]), 50);
        }
    }
}
