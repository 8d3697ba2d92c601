//! Means weighted by a bell.

use super::{check_kernel, draw_kernel};
use crate::check;
use crate::draw::Draw;
use crate::error::Result;
use crate::pixel::{Border, MAX_BOX, gaussian_blur};
use crate::transform::Transform;
use data::Image;
use serde::{Deserialize, Serialize};

/// Blurs by a Gaussian (`torchvision` and Albumentations `GaussianBlur`), with OpenCV's weights for bytes; mirrored at the
/// border.
///
/// Without a `kernel` its side is OpenCV's `round(6σ + 1)`, the next odd number.
///
/// | field | default | range |
/// |---|---|---|
/// | `sigma` | [0.5, 3] | pixels, 0 < low ≤ high ≤ 100 |
/// | `kernel` | by sigma | sides, odd, 3 ≤ low ≤ high ≤ 255 |
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct GaussianBlur {
    /// Smallest and largest standard deviation.
    pub sigma: [f64; 2],
    /// Smallest and largest side of the window.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub kernel: Option<[usize; 2]>,
}

impl Default for GaussianBlur {
    fn default() -> Self {
        Self { sigma: [0.5, 3.0], kernel: None }
    }
}

impl Transform for GaussianBlur {
    fn apply(&self, mut image: Image, draw: &mut Draw) -> Image {
        let sigma = draw.uniform("sigma", self.sigma);
        let size = self.kernel.map_or(0, |kernel| draw_kernel(draw, kernel));
        gaussian_blur(&mut image, sigma, size, Border::Reflect101, 0);
        image
    }
    fn validate(&self) -> Result<()> {
        let technique = "transform 'gaussian_blur'";
        check::interval(technique, "sigma", self.sigma, 100.0)?;
        self.kernel.map_or(Ok(()), |kernel| check_kernel(technique, kernel, MAX_BOX))
    }
}
