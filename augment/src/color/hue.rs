//! Other colors.

use super::Semantics;
use crate::check;
use crate::draw::Draw;
use crate::error::Result;
use crate::pixel::color;
use crate::transform::Transform;
use data::Image;
use serde::{Deserialize, Serialize};

/// Turns the color circle by a turn uniform in ±`turns` (HSV; `torchvision` `ColorJitter`, `tf.image.random_hue`) in pictures
/// of three channels; one has no hue.
///
/// The semantics differ in how they round.
///
/// | field | default | range |
/// |---|---|---|
/// | `turns` | 0.1 | 0..=0.5 |
/// | `semantics` | `torchvision` | `torchvision`, `tensorflow` |
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Hue {
    /// Largest turn to either side.
    pub turns: f64,
    /// Whose definition.
    pub semantics: Semantics,
}

impl Default for Hue {
    fn default() -> Self {
        Self { turns: 0.1, semantics: Semantics::Torchvision }
    }
}

impl Transform for Hue {
    fn apply(&self, mut image: Image, draw: &mut Draw) -> Image {
        let turns = draw.uniform("turns", [-self.turns, self.turns]);
        match self.semantics {
            Semantics::Torchvision => color::hue(&mut image, turns),
            Semantics::Tensorflow => color::tensorflow::hue(&mut image, turns),
        }
        image
    }
    fn validate(&self) -> Result<()> {
        check::within("transform 'hue'", "turns", self.turns, [0.0, 0.5])
    }
    fn check_channels(&self, channels: usize) -> Result<()> {
        check::colors("transform 'hue'", channels)
    }
}
