//! The crop of Inception.

use crate::check;
use crate::draw::Draw;
use crate::error::Result;
use crate::pixel::{Interpolation, Region, resize};
use crate::transform::Transform;
use data::Image;
use serde::{Deserialize, Serialize};

/// Crops a random share of the picture's area with a random aspect and resizes it to a square, antialiased.
///
/// Area uniform in `scale`, aspect (width over height) uniform in its logarithm. When ten such crops did not fit into
/// the picture, the central crop with the nearest allowed aspect (Szegedy et al. 2015; `torchvision`
/// `RandomResizedCrop`).
///
/// | field | default | range |
/// |---|---|---|
/// | `size` | 224 | pixels, ≥ 1 |
/// | `scale` | [0.08, 1] | 0 < low ≤ high ≤ 1 |
/// | `ratio` | [3/4, 4/3] | 0 < low ≤ high |
/// | `interpolation` | `bilinear` | `nearest`, `bilinear`, `bicubic`, `lanczos` |
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct RandomResizedCrop {
    /// Sides of the result, pixels.
    pub size: usize,
    /// Share of the area.
    pub scale: [f64; 2],
    /// Width over height.
    pub ratio: [f64; 2],
    /// How the crop is resized.
    pub interpolation: Interpolation,
}

impl Default for RandomResizedCrop {
    fn default() -> Self {
        let (scale, ratio) = ([0.08, 1.0], [3.0 / 4.0, 4.0 / 3.0]);
        Self { size: 224, scale, ratio, interpolation: Interpolation::Bilinear }
    }
}

impl RandomResizedCrop {
    fn region(&self, image: &Image, draw: &mut Draw) -> Region {
        let (width, height) = (image.width(), image.height());
        for _ in 0..10 {
            let [w, h] = draw.sides((width * height) as f64, self.scale, self.ratio);
            if (1..=width).contains(&w) && (1..=height).contains(&h) {
                let (top, left) = (draw.below("top", height - h + 1), draw.below("left", width - w + 1));
                return Region { left: left as isize, top: top as isize, width: w, height: h };
            }
        }
        let (wide, high) = (width as f64, height as f64);
        let ratio = (wide / high).min(self.ratio[1]).max(self.ratio[0]);
        let side = |length: f64, most: usize| (length.round_ties_even() as usize).clamp(1, most);
        let (w, h) =
            if wide / high < ratio { (width, side(wide / ratio, height)) } else { (side(high * ratio, width), height) };
        Region { left: ((width - w) / 2) as isize, top: ((height - h) / 2) as isize, width: w, height: h }
    }
}

impl Transform for RandomResizedCrop {
    fn apply(&self, image: Image, draw: &mut Draw) -> Image {
        let region = self.region(&image, draw);
        resize(image, region, [self.size; 2], self.interpolation)
    }
    fn validate(&self) -> Result<()> {
        let technique = "transform 'random_resized_crop'";
        check::side(technique, "size", self.size)?;
        check::interval(technique, "scale", self.scale, 1.0)?;
        check::interval(technique, "ratio", self.ratio, f64::INFINITY)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use rand::SeedableRng;
    use rand_chacha::ChaCha8Rng;

    #[test]
    fn areas_and_aspects_are_uniform() {
        let crop = RandomResizedCrop { scale: [0.2, 0.6], ..Default::default() };
        let (image, mut rng) = (Image::filled(1000, 1000, &[0]), ChaCha8Rng::seed_from_u64(1));
        let regions: Vec<Region> = (0..4000).map(|_| crop.region(&image, &mut Draw::new(&mut rng))).collect();
        let moments = |values: Vec<f64>| {
            let mean = values.iter().sum::<f64>() / values.len() as f64;
            (mean, values.iter().map(|v| (v - mean).powi(2)).sum::<f64>() / values.len() as f64)
        };
        let (mean, variance) = moments(regions.iter().map(|r| (r.width * r.height) as f64 / 1e6).collect());
        assert!((mean - 0.4).abs() < 0.01 && (variance - 0.16 / 12.0).abs() < 0.001, "{mean} {variance}");
        let (mean, variance) = moments(regions.iter().map(|r| (r.width as f64 / r.height as f64).ln()).collect());
        let spread = (16f64 / 9.0).ln();
        assert!(mean.abs() < 0.02 && (variance - spread * spread / 12.0).abs() < 0.003, "{mean} {variance}");
        let reached = regions.iter().map(|r| r.left + r.width as isize).max();
        assert!(reached > Some(990) && regions.iter().all(|r| r.inside(&image) == *r));
    }

    #[test]
    fn pictures_that_fit_no_crop_give_their_middle() {
        let crop = RandomResizedCrop { scale: [1.0, 1.0], ..Default::default() };
        let mut rng = ChaCha8Rng::seed_from_u64(1);
        let wide = crop.region(&Image::filled(100, 9, &[0]), &mut Draw::new(&mut rng));
        assert_eq!(wide, Region { left: 44, top: 0, width: 12, height: 9 });
        let high = crop.region(&Image::filled(9, 100, &[0]), &mut Draw::new(&mut rng));
        assert_eq!(high, Region { left: 0, top: 44, width: 9, height: 12 });
    }
}
