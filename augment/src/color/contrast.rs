//! More and less contrast.

use super::Semantics;
use crate::check;
use crate::draw::Draw;
use crate::error::Result;
use crate::pixel::color;
use crate::transform::Transform;
use data::Image;
use serde::{Deserialize, Serialize};

/// Changes the contrast (`torchvision` `ColorJitter`, `tf.image.random_contrast`).
///
/// Distances to the mean gray of the picture are multiplied by a factor uniform in `max(0, 1 − s)..1 + s` for the strength
/// `s`; with `TensorFlow`'s semantics, distances to the mean of each channel.
///
/// | field | default | range |
/// |---|---|---|
/// | `strength` | 0.2 | ≥ 0 |
/// | `semantics` | `torchvision` | `torchvision`, `tensorflow` |
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Contrast {
    /// Largest change of the factor.
    pub strength: f64,
    /// Whose definition.
    pub semantics: Semantics,
}

impl Default for Contrast {
    fn default() -> Self {
        Self { strength: 0.2, semantics: Semantics::Torchvision }
    }
}

impl Transform for Contrast {
    fn apply(&self, mut image: Image, draw: &mut Draw) -> Image {
        let factor = super::factor(draw, self.strength);
        match self.semantics {
            Semantics::Torchvision => color::contrast(&mut image, factor),
            Semantics::Tensorflow => color::tensorflow::contrast(&mut image, factor),
        }
        image
    }
    fn validate(&self) -> Result<()> {
        check::strength("transform 'contrast'", "strength", self.strength)
    }
}
