//! Each pixel against its surroundings.

use crate::check;
use crate::draw::Draw;
use crate::error::Result;
use crate::pixel::{against_surroundings, middle_pixel, outside_disc};
use crate::transform::Transform;
use data::Image;
use serde::{Deserialize, Serialize};

/// Subtracts the local mean color: `weight · (v − G_σ) + 128` (Graham 2015, first of the competition on diabetic retinopathy).
///
/// Graham's σ is a thirtieth of the radius that [`RadiusNormalize`](super::RadiusNormalize) makes: 10 for 300 pixels. With a
/// `disc`, what lies further from the middle becomes 128: he keeps 0.9 of the radius, 270 pixels.
///
/// | field | default | range |
/// |---|---|---|
/// | `sigma` | 10 | 0.1..=100 pixels |
/// | `weight` | 4 | 0..=64 |
/// | `disc` | none | radius in pixels, ≥ 0 |
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct BenGraham {
    /// Size of the surroundings.
    pub sigma: f64,
    /// How much differences grow.
    pub weight: f64,
    /// Radius of the disc that stays.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub disc: Option<f64>,
}

impl Default for BenGraham {
    fn default() -> Self {
        Self { sigma: 10.0, weight: 4.0, disc: None }
    }
}

impl Transform for BenGraham {
    fn apply(&self, mut image: Image, _: &mut Draw) -> Image {
        against_surroundings(&mut image, self.sigma, self.weight);
        if let Some(radius) = self.disc {
            let center = middle_pixel(&image);
            outside_disc(&mut image, center, radius.floor(), 128);
        }
        image
    }
    fn validate(&self) -> Result<()> {
        let technique = "transform 'ben_graham'";
        check::within(technique, "sigma", self.sigma, [0.1, 100.0])?;
        check::within(technique, "weight", self.weight, [0.0, 64.0])?;
        self.disc.map_or(Ok(()), |radius| check::within(technique, "disc", radius, [0.0, check::MAX_SIDE as f64]))
    }
    fn is_random(&self) -> bool {
        false
    }
}
