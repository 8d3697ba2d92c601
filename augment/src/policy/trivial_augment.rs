//! One operation of any strength.

use super::op::{Moves, Space};
use crate::check;
use crate::draw::Draw;
use crate::error::Result;
use crate::pixel::{Paint, Sampling};
use crate::transform::Transform;
use data::Image;
use serde::{Deserialize, Serialize};

/// One operation of a uniform strength, from a wide space (Müller and Hutter 2021; `torchvision` `TrivialAugmentWide`), for 1
/// or 3 channels.
///
/// | field | default | range |
/// |---|---|---|
/// | `bins` | 31 | 2..=1000 |
/// | `interpolation` | `nearest` | `nearest`, `bilinear`, `bicubic` |
/// | `fill` | 0 | 0..=255, or one for each channel |
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct TrivialAugment {
    /// How many strengths there are.
    pub bins: usize,
    /// How pixels that move are read.
    pub interpolation: Sampling,
    /// What comes in at the border.
    pub fill: Paint,
}

impl Default for TrivialAugment {
    fn default() -> Self {
        Self { bins: 31, interpolation: Sampling::Nearest, fill: Paint::default() }
    }
}

impl Transform for TrivialAugment {
    fn apply(&self, image: Image, draw: &mut Draw) -> Image {
        if self.check_channels(image.channels()).is_err() {
            return image;
        }
        let (space, size) = (Space::TrivialWide, [image.width(), image.height()]);
        let op = space.ops()[draw.below("op", space.ops().len())];
        let (bin, negative) = (draw.below("bin", self.bins), draw.chance("negative", 0.5));
        let moves = Moves { interpolation: self.interpolation, fill: self.fill };
        op.step(image, space.argument(op, [bin, self.bins], size, negative), moves, draw)
    }
    fn validate(&self) -> Result<()> {
        check::within("transform 'trivial_augment'", "bins", self.bins as f64, [2.0, 1000.0])
    }
    fn check_channels(&self, channels: usize) -> Result<()> {
        check::colors("transform 'trivial_augment'", channels)?;
        check::fill("transform 'trivial_augment'", self.fill, channels)
    }
}
