//! Stains of histology.

use crate::check;
use crate::draw::Draw;
use crate::error::Result;
use crate::pixel::stain;
use crate::transform::Transform;
use data::Image;
use serde::{Deserialize, Serialize};

/// Changes the amounts of hematoxylin, eosin and DAB, each `c` to `α c + β`, with α uniform in 1 ± `sigma1` and β uniform in
/// ± `sigma2` (Tellez et al. 2018).
///
/// Amounts are natural logarithms of light by Ruifrok & Johnston's matrix; `scikit-image`'s `rgb2hed` gives them divided by
/// ln 10⁶ ≈ 13.8, which makes its shifts as many times stronger.
///
/// | field | default | range |
/// |---|---|---|
/// | `sigma1` | 0.2 | 0..=1 |
/// | `sigma2` | 0.2 | 0..=2 |
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct StainJitter {
    /// Of the factor.
    pub sigma1: f64,
    /// Of the shift.
    pub sigma2: f64,
}

impl Default for StainJitter {
    fn default() -> Self {
        Self { sigma1: 0.2, sigma2: 0.2 }
    }
}

impl Transform for StainJitter {
    fn apply(&self, mut image: Image, draw: &mut Draw) -> Image {
        let alpha = [(); 3].map(|()| draw.uniform("alpha", [1.0 - self.sigma1, 1.0 + self.sigma1]));
        let beta = [(); 3].map(|()| draw.uniform("beta", [-self.sigma2, self.sigma2]));
        stain::jitter(&mut image, alpha, beta);
        image
    }
    fn validate(&self) -> Result<()> {
        let technique = "transform 'stain_jitter'";
        check::within(technique, "sigma1", self.sigma1, [0.0, 1.0])?;
        check::within(technique, "sigma2", self.sigma2, [0.0, 2.0])
    }
    fn check_channels(&self, channels: usize) -> Result<()> {
        check::rgb("transform 'stain_jitter'", channels)
    }
}
