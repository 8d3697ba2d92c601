//! Gamma.

use crate::check;
use crate::draw::Draw;
use crate::error::Result;
use crate::pixel::tone;
use crate::transform::Transform;
use data::Image;
use serde::{Deserialize, Serialize};

/// Raises values, from 0 to 1, to a power (Albumentations `RandomGamma`, with the rounding of `torchvision` `adjust_gamma`).
///
/// | field | default | range |
/// |---|---|---|
/// | `gamma` | [0.8, 1.2] | 0 < low ≤ high |
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Gamma {
    /// Between which the power is uniform: smaller ones make dark parts lighter.
    pub gamma: [f64; 2],
}

impl Default for Gamma {
    fn default() -> Self {
        Self { gamma: [0.8, 1.2] }
    }
}

impl Transform for Gamma {
    fn apply(&self, mut image: Image, draw: &mut Draw) -> Image {
        tone::look_up(&mut image, &tone::gamma(draw.uniform("gamma", self.gamma)));
        image
    }
    fn validate(&self) -> Result<()> {
        check::interval("transform 'gamma'", "gamma", self.gamma, f64::INFINITY)
    }
}
