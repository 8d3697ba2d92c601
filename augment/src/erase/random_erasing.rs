//! Rectangles that hide a part.

use crate::check;
use crate::draw::Draw;
use crate::erase::Fill;
use crate::error::Result;
use crate::pixel::Region;
use crate::transform::Transform;
use data::Image;
use serde::{Deserialize, Serialize};

/// Overwrites rectangles with probability `p` (Zhong et al. 2020; `torchvision` and, for `count` and normal noise, `timm`
/// `RandomErasing`).
///
/// The share of the area of all together is uniform in `scale`, the aspect (height over width) uniform in its logarithm. A
/// rectangle that did not fit into the picture ten times is left out.
///
/// | field | default | range |
/// |---|---|---|
/// | `p` | 0.5 | 0..=1 |
/// | `scale` | [0.02, 0.33] | 0 < low ≤ high ≤ 1 |
/// | `ratio` | [0.3, 3.3] | 0 < low ≤ high |
/// | `fill` | 0 | 0..=255, or one for each channel; `"random"`: all bytes uniform; `"pixel"`: normal; `"color"`: one color each |
/// | `count` | [1, 1] | 1 ≤ low ≤ high ≤ 1000 rectangles |
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct RandomErasing {
    /// Probability.
    pub p: f64,
    /// Share of the area.
    pub scale: [f64; 2],
    /// Height over width.
    pub ratio: [f64; 2],
    /// What is seen instead.
    #[serde(alias = "value")]
    pub fill: Fill,
    /// How many rectangles.
    pub count: [usize; 2],
}

impl Default for RandomErasing {
    fn default() -> Self {
        Self { p: 0.5, scale: [0.02, 0.33], ratio: [0.3, 3.3], fill: Fill::default(), count: [1, 1] }
    }
}

impl RandomErasing {
    fn region(&self, image: &Image, count: usize, draw: &mut Draw) -> Option<Region> {
        let (width, height) = (image.width(), image.height());
        for _ in 0..10 {
            let [h, w] = draw.sides((width * height) as f64 / count as f64, self.scale, self.ratio);
            if h < height && w < width {
                let (top, left) = (draw.below("top", height - h + 1), draw.below("left", width - w + 1));
                return Some(Region { left: left as isize, top: top as isize, width: w, height: h });
            }
        }
        None
    }
}

impl Transform for RandomErasing {
    fn apply(&self, mut image: Image, draw: &mut Draw) -> Image {
        if !draw.chance("erases", self.p) {
            return image;
        }
        let [low, high] = self.count;
        // What always is one needs no number to say so.
        let count =
            if low < high { draw.whole("count", [low as i64, high as i64]).max(1) as usize } else { low.max(1) };
        let mut source = self.fill.source(draw);
        for _ in 0..count {
            if let Some(region) = self.region(&image, count, draw) {
                source.region(&mut image, region);
            }
        }
        image
    }
    fn validate(&self) -> Result<()> {
        let technique = "transform 'random_erasing'";
        check::probability(technique, self.p)?;
        check::range(technique, "count", self.count.map(|n| n as f64), [1.0, 1000.0])?;
        check::interval(technique, "scale", self.scale, 1.0)?;
        check::interval(technique, "ratio", self.ratio, f64::INFINITY)
    }
    fn check_channels(&self, channels: usize) -> Result<()> {
        check::fill("transform 'random_erasing'", self.fill.constant(), channels)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use rand::SeedableRng;
    use rand_chacha::ChaCha8Rng;

    #[test]
    fn the_erased_share_is_that_of_the_scale() {
        let erasing = RandomErasing { p: 1.0, scale: [0.1, 0.2], ratio: [0.5, 2.0], ..Default::default() };
        let mut rng = ChaCha8Rng::seed_from_u64(0);
        for _ in 0..100 {
            let seen = erasing.apply(Image::filled(200, 100, &[1, 1]), &mut Draw::new(&mut rng));
            let erased = seen.pixels().iter().filter(|v| **v == 0).count() as f64 / 40_000.0;
            assert!((0.095..0.205).contains(&erased), "{erased}");
        }
        let several = RandomErasing { count: [2, 5], ..erasing.clone() };
        for _ in 0..100 {
            let seen = several.apply(Image::filled(200, 100, &[1, 1]), &mut Draw::new(&mut rng));
            let erased = seen.pixels().iter().filter(|v| **v == 0).count() as f64 / 40_000.0;
            // Five may cover one another.
            assert!((0.02..0.205).contains(&erased), "{erased}");
        }
        let noise = RandomErasing { fill: Fill::Random, ..erasing.clone() };
        let seen = noise.apply(Image::filled(200, 100, &[0]), &mut Draw::new(&mut rng));
        let (count, sum) =
            seen.pixels().iter().filter(|v| **v > 0).fold((0, 0), |(n, s), v| (n + 1, s + u32::from(*v)));
        assert!((110..146).contains(&(sum / count)), "{}", sum / count);
        let erased = |fill| {
            let seen = RandomErasing { fill, ..erasing.clone() }
                .apply(Image::filled(200, 100, &[0; 3]), &mut Draw::new(&mut ChaCha8Rng::seed_from_u64(1)));
            let mut pixels: Vec<[u8; 3]> =
                seen.pixels().as_chunks().0.iter().copied().filter(|p| *p != [0; 3]).collect();
            pixels.sort_unstable();
            pixels.dedup();
            pixels
        };
        assert_eq!(erased(Fill::Color).len(), 1);
        let normal = erased(Fill::Pixel);
        let mean = normal.iter().flatten().map(|v| f64::from(*v)).sum::<f64>() / (3 * normal.len()) as f64;
        assert!(normal.len() > 1000 && (mean - 114.5).abs() < 4.0, "{} {mean}", normal.len());
    }
}
