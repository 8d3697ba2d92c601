//! Pixels that fail.

use crate::check;
use crate::draw::Draw;
use crate::error::Result;
use crate::pixel::noise;
use crate::transform::Transform;
use data::Image;
use serde::{Deserialize, Serialize};

/// Makes some pixels white and some black (Albumentations `SaltAndPepper`).
///
/// Each pixel is hit with the probability that was drawn for the picture, independently; Albumentations hits that many.
///
/// | field | default | range |
/// |---|---|---|
/// | `amount` | [0.01, 0.06] | 0 ≤ low ≤ high ≤ 1, share of the pixels |
/// | `salt` | [0.4, 0.6] | 0 ≤ low ≤ high ≤ 1, share of white ones among them |
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct SaltPepper {
    /// Share of the pixels.
    pub amount: [f64; 2],
    /// Share of the white among them.
    pub salt: [f64; 2],
}

impl Default for SaltPepper {
    fn default() -> Self {
        Self { amount: [0.01, 0.06], salt: [0.4, 0.6] }
    }
}

impl Transform for SaltPepper {
    fn apply(&self, mut image: Image, draw: &mut Draw) -> Image {
        let amount = draw.uniform("amount", self.amount);
        let salt = draw.uniform("salt", self.salt);
        let white = (salt * 4_294_967_296.0).round() as u64;
        let channels = image.channels();
        noise::scatter(&mut image, channels, amount, draw.seed("seed"), |pixel, word| {
            pixel.fill(if u64::from(word) < white { 255 } else { 0 });
        });
        image
    }
    fn validate(&self) -> Result<()> {
        let technique = "transform 'salt_pepper'";
        check::range(technique, "amount", self.amount, [0.0, 1.0])?;
        check::range(technique, "salt", self.salt, [0.0, 1.0])
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use rand::SeedableRng;
    use rand_chacha::ChaCha8Rng;

    #[test]
    fn black_and_white_have_their_shares() {
        let noise = SaltPepper { amount: [0.2, 0.2], salt: [0.75, 0.75] };
        let mut rng = ChaCha8Rng::seed_from_u64(0);
        let seen = noise.apply(Image::filled(200, 200, &[7, 8]), &mut Draw::new(&mut rng));
        let count = |pixel: [u8; 2]| seen.pixels().as_chunks::<2>().0.iter().filter(|p| **p == pixel).count();
        let [black, white, kept] = [[0, 0], [255, 255], [7, 8]].map(count);
        assert_eq!(black + white + kept, 40_000);
        assert!(black.abs_diff(2000) < 200 && white.abs_diff(6000) < 300, "{black} {white}");
    }
}
