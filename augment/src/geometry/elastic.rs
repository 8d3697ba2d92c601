//! Pulled about at random.

use crate::check;
use crate::draw::Draw;
use crate::error::Result;
use crate::pixel::{Between, Border, Paint, Sampling, bend, noise_field};
use crate::transform::Transform;
use data::Image;
use serde::{Deserialize, Serialize};

/// Displaces every pixel by uniform noise that a Gauss curve has blurred (Simard et al. 2003; Albumentations and `torchvision`
/// `ElasticTransform`).
///
/// `alpha` is in pixels, as in Albumentations: displacements are noise uniform in ±`alpha` pixels, blurred, which leaves
/// little of it, with the defaults a deviation of 1.6 pixels. `torchvision` moves half as far with the same numbers.
///
/// | field | default | range |
/// |---|---|---|
/// | `alpha` | 50 | 0..=100000, pixels before blurring |
/// | `sigma` | 5 | 0..=1000, pixels |
/// | `interpolation` | `bilinear` | `nearest`, `bilinear`, `bicubic` |
/// | `border` | `reflect_101` | `constant`, `reflect`, `reflect_101`, `replicate` |
/// | `fill` | 0 | 0..=255, or one for each channel; only for `constant` |
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Elastic {
    /// Largest displacement before blurring, pixels.
    pub alpha: f64,
    /// Width of the blur, pixels.
    pub sigma: f64,
    /// How values between pixels are read.
    pub interpolation: Sampling,
    /// What comes in from outside.
    pub border: Border,
    /// Value of a constant border.
    pub fill: Paint,
}

impl Default for Elastic {
    fn default() -> Self {
        Self {
            alpha: 50.0,
            sigma: 5.0,
            interpolation: Sampling::Bilinear,
            border: Border::Reflect101,
            fill: Paint::default(),
        }
    }
}

impl Transform for Elastic {
    fn apply(&self, image: Image, draw: &mut Draw) -> Image {
        let field = noise_field([image.width(), image.height()], self.alpha, self.sigma, draw.seed("field"));
        bend(&image, &field, Between::Bilinear, (self.interpolation, self.border, self.fill))
    }
    fn validate(&self) -> Result<()> {
        check::border("transform 'elastic'", self.border, self.fill)?;
        check::within("transform 'elastic'", "alpha", self.alpha, [0.0, 1e5])?;
        check::within("transform 'elastic'", "sigma", self.sigma, [0.0, 1000.0])
    }
    fn check_channels(&self, channels: usize) -> Result<()> {
        check::fill("transform 'elastic'", self.fill, channels)
    }
}
