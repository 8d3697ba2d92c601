//! More and less colorful.

use super::Semantics;
use crate::check;
use crate::draw::Draw;
use crate::error::Result;
use crate::pixel::color;
use crate::transform::Transform;
use data::Image;
use serde::{Deserialize, Serialize};

/// Changes the saturation (`torchvision` `ColorJitter`, `tf.image.random_saturation`) of three channels; one has none.
///
/// Distances to each pixel's gray are multiplied by a factor uniform in `max(0, 1 − s)..1 + s` for the strength `s`; with
/// `TensorFlow`'s semantics, the saturation of HSV is, which keeps the lightest channel.
///
/// | field | default | range |
/// |---|---|---|
/// | `strength` | 0.2 | ≥ 0 |
/// | `semantics` | `torchvision` | `torchvision`, `tensorflow` |
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Saturation {
    /// Largest change of the factor.
    pub strength: f64,
    /// Whose definition.
    pub semantics: Semantics,
}

impl Default for Saturation {
    fn default() -> Self {
        Self { strength: 0.2, semantics: Semantics::Torchvision }
    }
}

impl Transform for Saturation {
    fn apply(&self, mut image: Image, draw: &mut Draw) -> Image {
        let factor = super::factor(draw, self.strength);
        match self.semantics {
            Semantics::Torchvision => color::saturation(&mut image, factor),
            Semantics::Tensorflow => color::tensorflow::saturation(&mut image, factor),
        }
        image
    }
    fn validate(&self) -> Result<()> {
        check::strength("transform 'saturation'", "strength", self.strength)
    }
    fn check_channels(&self, channels: usize) -> Result<()> {
        check::colors("transform 'saturation'", channels)
    }
}
