//! Whose definition of a color's change.

use serde::{Deserialize, Serialize};

/// Whose definition of brightness, contrast, saturation and hue.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Semantics {
    /// `torchvision` and Pillow: distances to black, to the mean gray and to each pixel's gray; truncated.
    #[default]
    Torchvision,
    /// `tf.image.adjust_*`: a value is added, distances to each channel's mean, saturation in HSV; rounded.
    Tensorflow,
}
