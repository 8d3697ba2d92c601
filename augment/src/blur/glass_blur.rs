//! Through frosted glass.

use crate::check;
use crate::draw::Draw;
use crate::error::Result;
use crate::pixel::noise::mixed;
use crate::pixel::{Border, gaussian_blur, swap_nearby};
use crate::transform::Transform;
use data::Image;
use serde::{Deserialize, Serialize};

/// Exchanges pixels with others nearby, between two blurs (Hendrycks & Dietterich 2019; Albumentations `GlassBlur` in its
/// mode `exact`, without its slip that copies pixels of several channels in place of exchanging them).
///
/// | field | default | range |
/// |---|---|---|
/// | `sigma` | 0.7 | standard deviation of both blurs, above 0, ≤ 100 |
/// | `max_delta` | 4 | largest distance of two exchanged pixels, 1..=100 |
/// | `iterations` | 2 | 1..=100 |
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct GlassBlur {
    /// Standard deviation of the blurs.
    pub sigma: f64,
    /// Largest distance, in both directions.
    pub max_delta: usize,
    /// How often every pixel is exchanged.
    pub iterations: usize,
}

impl Default for GlassBlur {
    fn default() -> Self {
        Self { sigma: 0.7, max_delta: 4, iterations: 2 }
    }
}

impl Transform for GlassBlur {
    fn apply(&self, mut image: Image, draw: &mut Draw) -> Image {
        let (mut seed, delta) = (draw.seed("distances"), self.max_delta as i64);
        gaussian_blur(&mut image, self.sigma, 0, Border::Reflect101, 0);
        swap_nearby(&mut image, self.max_delta, self.iterations, || {
            let bits = next(&mut seed);
            [bits & 0xffff_ffff, bits >> 32].map(|bits| ((bits as i64 * 2 * delta) >> 32) as isize - delta as isize)
        });
        gaussian_blur(&mut image, self.sigma, 0, Border::Reflect101, 0);
        image
    }
    fn validate(&self) -> Result<()> {
        let technique = "transform 'glass_blur'";
        check::positive(technique, "sigma", self.sigma)?;
        check::within(technique, "sigma", self.sigma, [0.0, 100.0])?;
        check::within(technique, "max_delta", self.max_delta as f64, [1.0, 100.0])?;
        check::within(technique, "iterations", self.iterations as f64, [1.0, 100.0])
    }
}

/// The next number of SplitMix64: two per pixel would take longer from the stream than all the rest.
fn next(state: &mut u64) -> u64 {
    *state = state.wrapping_add(0x9e37_79b9_7f4a_7c15);
    mixed(*state)
}

#[cfg(test)]
mod tests {
    use super::*;
    use rand::SeedableRng;
    use rand_chacha::ChaCha8Rng;

    #[test]
    fn pixels_move_as_far_as_the_parameters_say() {
        // No blur: what is exchanged stays whole.
        let glass = GlassBlur { sigma: 1e-9, max_delta: 3, iterations: 1 };
        let picture = Image::new(60, 50, 1, (0..3000).map(|i| (i % 60 * 4) as u8).collect()).unwrap();
        let mut rng = ChaCha8Rng::seed_from_u64(0);
        let seen = glass.apply(picture.clone(), &mut Draw::new(&mut rng));
        let sorted = |image: &Image| {
            let mut pixels = image.pixels().to_vec();
            pixels.sort_unstable();
            pixels
        };
        assert_eq!(sorted(&seen), sorted(&picture));
        let moved = seen.pixels().iter().zip(picture.pixels()).filter(|(a, b)| a != b).count();
        assert!(moved > 2000, "{moved}");
        // All distances are as likely.
        let mut counts = [0; 6];
        let (mut seed, mut sum) = (7, 0);
        for _ in 0..60_000 {
            let bits = next(&mut seed) & 0xffff_ffff;
            counts[((bits * 6) >> 32) as usize] += 1;
            sum += bits >> 31;
        }
        assert!(
            counts.iter().all(|count| (9_600..10_400).contains(count)) && (29_400..30_600).contains(&sum),
            "{counts:?}"
        );
    }
}
