//! Rectangles that hide a part.

use crate::check;
use crate::draw::Draw;
use crate::error::Result;
use crate::pixel::{Region, fill};
use crate::transform::Transform;
use data::Image;
use serde::{Deserialize, Serialize};
use serde_json::Value;

/// Overwrites a rectangle with probability `p` (Zhong et al. 2020; `torchvision` `RandomErasing`).
///
/// Its share of the area is uniform in `scale`, its aspect (height over width) uniform in its logarithm. When ten such
/// rectangles did not fit into the picture, nothing is erased.
///
/// | field | default | range |
/// |---|---|---|
/// | `p` | 0.5 | 0..=1 |
/// | `scale` | [0.02, 0.33] | 0 < low ≤ high ≤ 1 |
/// | `ratio` | [0.3, 3.3] | 0 < low ≤ high |
/// | `value` | 0 | 0..=255, or `"random"`: every byte uniform |
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
    pub value: Fill,
}

/// What is seen in place of erased pixels.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "Value", into = "Value")]
pub enum Fill {
    /// One value in all channels.
    Constant(u8),
    /// Noise.
    Random,
}

impl TryFrom<Value> for Fill {
    type Error = String;

    fn try_from(value: Value) -> Result<Self, String> {
        let byte = value.as_u64().and_then(|v| u8::try_from(v).ok());
        match (byte, value.as_str()) {
            (Some(byte), _) => Ok(Self::Constant(byte)),
            (_, Some("random")) => Ok(Self::Random),
            _ => Err(format!("value must be in 0..=255 or \"random\", got {value}")),
        }
    }
}

impl From<Fill> for Value {
    fn from(fill: Fill) -> Self {
        match fill {
            Fill::Constant(byte) => byte.into(),
            Fill::Random => "random".into(),
        }
    }
}

impl Default for RandomErasing {
    fn default() -> Self {
        Self { p: 0.5, scale: [0.02, 0.33], ratio: [0.3, 3.3], value: Fill::Constant(0) }
    }
}

impl RandomErasing {
    fn region(&self, image: &Image, draw: &mut Draw) -> Option<Region> {
        let (width, height) = (image.width(), image.height());
        for _ in 0..10 {
            let [h, w] = draw.sides((width * height) as f64, self.scale, self.ratio);
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
        if let Some(region) = self.region(&image, draw) {
            match self.value {
                Fill::Constant(byte) => fill(&mut image, region, |row| row.fill(byte)),
                Fill::Random => fill(&mut image, region, |row| draw.bytes(row)),
            }
        }
        image
    }
    fn validate(&self) -> Result<()> {
        let technique = "transform 'random_erasing'";
        check::probability(technique, self.p)?;
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
    fn the_erased_share_is_that_of_the_scale() {
        let erasing = RandomErasing { p: 1.0, scale: [0.1, 0.2], ratio: [0.5, 2.0], value: Fill::Constant(0) };
        let mut rng = ChaCha8Rng::seed_from_u64(0);
        for _ in 0..100 {
            let seen = erasing.apply(Image::filled(200, 100, &[1, 1]), &mut Draw::new(&mut rng));
            let erased = seen.pixels().iter().filter(|v| **v == 0).count() as f64 / 40_000.0;
            assert!((0.095..0.205).contains(&erased), "{erased}");
        }
        let noise = RandomErasing { value: Fill::Random, ..erasing };
        let seen = noise.apply(Image::filled(200, 100, &[0]), &mut Draw::new(&mut rng));
        let (count, sum) =
            seen.pixels().iter().filter(|v| **v > 0).fold((0, 0), |(n, s), v| (n + 1, s + u32::from(*v)));
        assert!((110..146).contains(&(sum / count)), "{}", sum / count);
    }
}
