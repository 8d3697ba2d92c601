//! Without color.

use crate::check;
use crate::draw::Draw;
use crate::error::Result;
use crate::pixel::color;
use crate::transform::Transform;
use data::Image;
use serde::{Deserialize, Serialize};

/// Makes all three channels their weighted sum (`torchvision` `Grayscale(3)`); one channel is gray already.
///
/// | field | default | range |
/// |---|---|---|
/// | `weights` | [0.2989, 0.587, 0.114] | each 0..=1, their sum at most 1 |
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Gray {
    /// Of red, green and blue.
    pub weights: [f64; 3],
}

impl Default for Gray {
    fn default() -> Self {
        Self { weights: [0.2989, 0.587, 0.114] }
    }
}

impl Transform for Gray {
    fn apply(&self, mut image: Image, _: &mut Draw) -> Image {
        color::grayscale(&mut image, self.weights);
        image
    }
    fn validate(&self) -> Result<()> {
        let technique = "transform 'gray'";
        self.weights.iter().try_for_each(|weight| check::within(technique, "weights", *weight, [0.0, 1.0]))?;
        let sum: f64 = self.weights.iter().sum();
        // Three thirds may add up to a little more.
        check::that(sum < 1.0 + 1e-6, technique, || format!("weights must add up to at most 1, got {sum}"))
    }
    fn check_channels(&self, channels: usize) -> Result<()> {
        check::colors("transform 'gray'", channels)
    }
    fn is_random(&self) -> bool {
        false
    }
}
