//! Another exposure of each channel.

use crate::check;
use crate::draw::Draw;
use crate::error::Result;
use crate::pixel::tone;
use crate::transform::Transform;
use data::Image;
use serde::{Deserialize, Serialize};

/// Multiplies each channel by a number of N(1, `scale`) and adds one of 255 · N(0, `shift`), for any number of channels: the
/// winner's way for the six of Recursion's microscope (maciej-sypetkowski/kaggle-rcic-1st).
///
/// | field | default | range |
/// |---|---|---|
/// | `scale` | 0.1 | ≥ 0 |
/// | `shift` | 0.1 | ≥ 0 |
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct ChannelAffine {
    /// Standard deviation of the factor.
    pub scale: f64,
    /// Standard deviation of what is added, in 255.
    pub shift: f64,
}

impl Default for ChannelAffine {
    fn default() -> Self {
        Self { scale: 0.1, shift: 0.1 }
    }
}

impl Transform for ChannelAffine {
    fn apply(&self, mut image: Image, draw: &mut Draw) -> Image {
        let mut table = |_| {
            let (scale, shift) = (draw.normal("scale", 1.0, self.scale), draw.normal("shift", 0.0, self.shift));
            tone::affine(scale, 255.0 * shift)
        };
        let tables: Vec<_> = (0..image.channels()).map(&mut table).collect();
        tone::look_up_channels(&mut image, &tables);
        image
    }
    fn validate(&self) -> Result<()> {
        check::strength("transform 'channel_affine'", "scale", self.scale)?;
        check::strength("transform 'channel_affine'", "shift", self.shift)
    }
}
