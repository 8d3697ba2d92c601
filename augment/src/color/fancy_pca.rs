//! Another light.

use crate::check;
use crate::draw::Draw;
use crate::error::Result;
use crate::pixel::fancy_pca;
use crate::transform::Transform;
use data::Image;
use serde::{Deserialize, Serialize};

/// Adds `Σ αᵢ λᵢ pᵢ` to every color, with the eigenvalues λ and eigenvectors p of the covariance of the picture's colors from
/// 0 to 1, and αᵢ of N(0, `alpha`) (Krizhevsky et al. 2012). One channel stays as it is.
///
/// | field | default | range |
/// |---|---|---|
/// | `alpha` | 0.1 | ≥ 0 |
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct FancyPca {
    /// Standard deviation of the factors.
    pub alpha: f64,
}

impl Default for FancyPca {
    fn default() -> Self {
        Self { alpha: 0.1 }
    }
}

impl Transform for FancyPca {
    fn apply(&self, mut image: Image, draw: &mut Draw) -> Image {
        let alphas = [0; 3].map(|_| draw.normal("alpha", 0.0, self.alpha));
        fancy_pca(&mut image, alphas);
        image
    }
    fn validate(&self) -> Result<()> {
        check::strength("transform 'fancy_pca'", "alpha", self.alpha)
    }
    fn check_channels(&self, channels: usize) -> Result<()> {
        check::colors("transform 'fancy_pca'", channels)
    }
}
