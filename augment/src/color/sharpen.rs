//! Sharper and softer.

use crate::check;
use crate::draw::Draw;
use crate::error::Result;
use crate::pixel::sharpen;
use crate::transform::Transform;
use data::Image;
use serde::{Deserialize, Serialize};

/// Sharpens (`torchvision` `adjust_sharpness`) by a factor uniform in `max(0, 1 − s)..1 + s` for the strength `s`: 0 is
/// Pillow's 3×3 smooth, 1 the picture, 2 sharper. For any number of channels.
///
/// | field | default | range |
/// |---|---|---|
/// | `strength` | 0.5 | ≥ 0 |
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Sharpen {
    /// Largest change of the factor.
    pub strength: f64,
}

impl Default for Sharpen {
    fn default() -> Self {
        Self { strength: 0.5 }
    }
}

impl Transform for Sharpen {
    fn apply(&self, mut image: Image, draw: &mut Draw) -> Image {
        sharpen(&mut image, super::factor(draw, self.strength));
        image
    }
    fn validate(&self) -> Result<()> {
        check::strength("transform 'sharpen'", "strength", self.strength)
    }
}
