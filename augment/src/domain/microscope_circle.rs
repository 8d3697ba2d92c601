//! The edge of an eyepiece.

use crate::check;
use crate::draw::Draw;
use crate::error::Result;
use crate::pixel::outside_disc;
use crate::transform::Transform;
use data::Image;
use serde::{Deserialize, Serialize};

/// Hides what lies outside a circle about the center, as pictures through a dermatoscope look (Kaggle, SIIM-ISIC melanoma
/// classification, 2020).
///
/// | field | default | range |
/// |---|---|---|
/// | `radius` | [0.97, 1.13] | 0 < low ≤ high ≤ 2, share of half the shorter side |
/// | `fill` | 0 | 0..=255 |
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct MicroscopeCircle {
    /// Share of half the shorter side.
    pub radius: [f64; 2],
    /// What is seen outside.
    pub fill: u8,
}

impl Default for MicroscopeCircle {
    fn default() -> Self {
        Self { radius: [0.97, 1.13], fill: 0 }
    }
}

impl Transform for MicroscopeCircle {
    fn apply(&self, mut image: Image, draw: &mut Draw) -> Image {
        let radius = draw.uniform("radius", self.radius) * image.width().min(image.height()) as f64 / 2.0;
        outside_disc(&mut image, radius, self.fill);
        image
    }
    fn validate(&self) -> Result<()> {
        check::interval("transform 'microscope_circle'", "radius", self.radius, 2.0)
    }
}
