//! Noise smoothed away, edges kept.

use crate::check;
use crate::draw::Draw;
use crate::error::Result;
use crate::pixel::bilateral;
use crate::transform::Transform;
use data::Image;
use serde::{Deserialize, Serialize};

/// A bilateral filter: the mean of the pixels around, weighted by how near and how alike they are (Tomasi and Manduchi 1998;
/// OpenCV `bilateralFilter`).
///
/// | field | default | range |
/// |---|---|---|
/// | `strength` | 25 | 0.1..=1000: σ of the difference of two colors, the sum over the channels |
/// | `space` | 2 | 0.1..=100: σ of the distance, pixels |
/// | `radius` | 2 | pixels, 1..=16 |
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Denoise {
    /// Differences that count as noise.
    pub strength: f64,
    /// How far pixels influence each other.
    pub space: f64,
    /// How far one looks.
    pub radius: usize,
}

impl Default for Denoise {
    fn default() -> Self {
        Self { strength: 25.0, space: 2.0, radius: 2 }
    }
}

impl Transform for Denoise {
    fn apply(&self, image: Image, _: &mut Draw) -> Image {
        bilateral(&image, self.radius, self.strength, self.space)
    }
    fn validate(&self) -> Result<()> {
        let technique = "transform 'denoise'";
        check::within(technique, "strength", self.strength, [0.1, 1000.0])?;
        check::within(technique, "space", self.space, [0.1, 100.0])?;
        check::within(technique, "radius", self.radius as f64, [1.0, 16.0])
    }
    fn is_random(&self) -> bool {
        false
    }
}
