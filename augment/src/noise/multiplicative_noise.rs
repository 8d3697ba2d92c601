//! Factors.

use crate::check;
use crate::draw::Draw;
use crate::error::Result;
use crate::pixel::{color, noise};
use crate::transform::Transform;
use data::Image;
use serde::{Deserialize, Serialize};

/// Multiplies the picture, each channel, each pixel or each value by a uniform factor (Albumentations `MultiplicativeNoise`,
/// whose `elementwise` is `per_pixel`).
///
/// | field | default | range |
/// |---|---|---|
/// | `factor` | [0.9, 1.1] | 0 ≤ low ≤ high ≤ 255 |
/// | `per_channel` | false | true: each channel has its own factors |
/// | `per_pixel` | false | true: each pixel has its own |
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct MultiplicativeNoise {
    /// The factor.
    pub factor: [f64; 2],
    /// Whether each channel has its own.
    pub per_channel: bool,
    /// Whether each pixel has its own.
    pub per_pixel: bool,
}

impl Default for MultiplicativeNoise {
    fn default() -> Self {
        Self { factor: [0.9, 1.1], per_channel: false, per_pixel: false }
    }
}

impl Transform for MultiplicativeNoise {
    fn apply(&self, mut image: Image, draw: &mut Draw) -> Image {
        if self.per_pixel {
            noise::multiply(&mut image, self.factor, self.per_channel, draw.seed("seed"));
        } else if self.per_channel {
            let factors: Vec<f64> = (0..image.channels()).map(|_| draw.uniform("factor", self.factor)).collect();
            noise::multiply_channels(&mut image, &factors);
        } else {
            color::brightness(&mut image, draw.uniform("factor", self.factor));
        }
        image
    }
    fn validate(&self) -> Result<()> {
        check::range("transform 'multiplicative_noise'", "factor", self.factor, [0.0, 255.0])
    }
}
