//! Lighter and darker.

use super::Semantics;
use crate::check;
use crate::draw::Draw;
use crate::error::Result;
use crate::pixel::color;
use crate::transform::Transform;
use data::Image;
use serde::{Deserialize, Serialize};

/// Changes the brightness (`torchvision` `ColorJitter`, `tf.image.random_brightness`).
///
/// With `torchvision`'s semantics, values are multiplied by a factor uniform in `max(0, 1 − s)..1 + s` for the strength `s`; with
/// `TensorFlow`'s, `255 · δ` is added, with δ uniform in `−s..s`.
///
/// | field | default | range |
/// |---|---|---|
/// | `strength` | 0.2 | ≥ 0 |
/// | `semantics` | `torchvision` | `torchvision`, `tensorflow` |
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Brightness {
    /// Largest change.
    pub strength: f64,
    /// Whose definition.
    pub semantics: Semantics,
}

impl Default for Brightness {
    fn default() -> Self {
        Self { strength: 0.2, semantics: Semantics::Torchvision }
    }
}

impl Transform for Brightness {
    fn apply(&self, mut image: Image, draw: &mut Draw) -> Image {
        match self.semantics {
            Semantics::Torchvision => color::brightness(&mut image, super::factor(draw, self.strength)),
            Semantics::Tensorflow => {
                let delta = draw.uniform("delta", [-self.strength, self.strength]);
                color::tensorflow::brightness(&mut image, delta);
            }
        }
        image
    }
    fn validate(&self) -> Result<()> {
        check::strength("transform 'brightness'", "strength", self.strength)
    }
}
