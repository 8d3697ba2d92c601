//! Normal noise.

use crate::check;
use crate::draw::Draw;
use crate::error::Result;
use crate::pixel::noise;
use crate::transform::Transform;
use data::Image;
use serde::{Deserialize, Serialize};

/// Adds noise from the normal distribution, whose standard deviation is uniform between two bounds (Albumentations
/// `GaussNoise`).
///
/// Each pixel has its own, also in the slices of a volume. The default are variances of 10 to 50.
///
/// | field | default | range |
/// |---|---|---|
/// | `deviation` | [3.2, 7.1] | 0 ≤ low ≤ high ≤ 255, on values 0..=255 |
/// | `per_channel` | true | false: one number for all channels of a pixel |
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct GaussianNoise {
    /// Standard deviation.
    pub deviation: [f64; 2],
    /// Whether each channel has its own noise.
    pub per_channel: bool,
}

impl Default for GaussianNoise {
    fn default() -> Self {
        Self { deviation: [3.2, 7.1], per_channel: true }
    }
}

impl Transform for GaussianNoise {
    fn apply(&self, mut image: Image, draw: &mut Draw) -> Image {
        let deviation = draw.uniform("deviation", self.deviation);
        noise::gaussian(&mut image, deviation, self.per_channel, draw.seed("seed"));
        image
    }
    fn validate(&self) -> Result<()> {
        check::range("transform 'gaussian_noise'", "deviation", self.deviation, [0.0, 255.0])
    }
}
