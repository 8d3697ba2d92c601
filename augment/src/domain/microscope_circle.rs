//! The edge of an eyepiece.

use crate::check;
use crate::draw::Draw;
use crate::error::Result;
use crate::pixel::{Paint, middle, outside_disc};
use crate::transform::Transform;
use data::Image;
use serde::{Deserialize, Serialize};

/// Hides what lies outside a circle about the center, as pictures through a dermatoscope look (Kaggle, SIIM-ISIC melanoma
/// classification, 2020).
///
/// | field | default | range |
/// |---|---|---|
/// | `radius` | [0.97, 1.13] | 0 < low ≤ high ≤ 2, share of half the shorter side |
/// | `fill` | 0 | 0..=255, or one for each channel |
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct MicroscopeCircle {
    /// Share of half the shorter side.
    pub radius: [f64; 2],
    /// What is seen outside.
    pub fill: Paint,
}

impl Default for MicroscopeCircle {
    fn default() -> Self {
        Self { radius: [0.97, 1.13], fill: Paint::default() }
    }
}

impl Transform for MicroscopeCircle {
    fn apply(&self, mut image: Image, draw: &mut Draw) -> Image {
        let radius = draw.uniform("radius", self.radius) * image.width().min(image.height()) as f64 / 2.0;
        let center = middle(&image);
        outside_disc(&mut image, center, radius, self.fill);
        image
    }
    fn validate(&self) -> Result<()> {
        check::interval("transform 'microscope_circle'", "radius", self.radius, 2.0)
    }
    fn check_channels(&self, channels: usize) -> Result<()> {
        check::fill("transform 'microscope_circle'", self.fill, channels)
    }
}
