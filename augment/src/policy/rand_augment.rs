//! A few operations, all of one strength.

use super::op::{Levels, Moves, Space};
use crate::check;
use crate::draw::Draw;
use crate::error::Result;
use crate::pixel::{Paint, Sampling};
use crate::transform::Transform;
use data::Image;
use serde::{Deserialize, Serialize};

/// Some operations one after the other, each any of them, all of one strength (Cubuk et al. 2020), for 1 or 3 channels.
///
/// `style = "torchvision"`: 14 operations, of which the strength is the bin `magnitude` of `bins`. `style = "timm"`: 15
/// operations, each with probability `op_p`, of which the level of 10 is drawn from N(`magnitude`, `std`), cut off to
/// 0..=`max`, or uniform in 0..=`magnitude` when `std` is above 100. `rand-m7-mstd0.5-inc1` is
/// `{style = "timm", magnitude = 7, std = 0.5, increasing = true}`; there the border is filled with the mean color by default
/// and pixels are read bilinearly or bicubically.
///
/// | field | default | range |
/// |---|---|---|
/// | `ops` | 2 | 0..=100 |
/// | `magnitude` | 9 | 0..`bins`, whole; `timm`: ≥ 0 |
/// | `style` | `torchvision` | `torchvision`, `timm` |
/// | `bins` | 31 | 2..=1000, only `torchvision` |
/// | `op_p` | 0.5 | 0..=1, only `timm` |
/// | `std` | 0 | ≥ 0, only `timm` |
/// | `max` | 10 | 0..=100, only `timm` |
/// | `increasing` | false | only `timm`: whether all become stronger with the level |
/// | `interpolation` | `nearest` | `nearest`, `bilinear`, `bicubic` |
/// | `fill` | 0 | 0..=255, or one for each channel |
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct RandAugment {
    /// How many operations.
    pub ops: usize,
    /// How strong.
    pub magnitude: f64,
    /// Whose operations.
    pub style: Style,
    /// How many strengths there are.
    pub bins: usize,
    /// Probability of each operation.
    pub op_p: f64,
    /// Standard deviation of the level.
    pub std: f64,
    /// The highest level.
    pub max: f64,
    /// Whether all become stronger with the level.
    pub increasing: bool,
    /// How pixels that move are read.
    pub interpolation: Sampling,
    /// What comes in at the border.
    pub fill: Paint,
}

/// Whose operations.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
#[allow(missing_docs)]
pub enum Style {
    Torchvision,
    Timm,
}

impl Default for RandAugment {
    fn default() -> Self {
        Self {
            ops: 2,
            magnitude: 9.0,
            style: Style::Torchvision,
            bins: 31,
            op_p: 0.5,
            std: 0.0,
            max: 10.0,
            increasing: false,
            interpolation: Sampling::Nearest,
            fill: Paint::default(),
        }
    }
}

impl RandAugment {
    fn torchvision(&self, image: Image, moves: Moves, draw: &mut Draw) -> Image {
        let (space, size) = (Space::RandAugment, [image.width(), image.height()]);
        let op = space.ops()[draw.below("op", space.ops().len())];
        let negative = draw.chance("negative", 0.5);
        let argument = space.argument(op, [self.magnitude as usize, self.bins], size, negative);
        op.step(image, argument, moves, draw)
    }

    fn timm(&self, image: Image, moves: Moves, draw: &mut Draw) -> Image {
        let size = [image.width(), image.height()];
        let op = Levels::OPS[draw.below("op", Levels::OPS.len())];
        let (happens, negative) = (draw.chance("happens", self.op_p), draw.chance("negative", 0.5));
        let level = if self.std > 100.0 {
            draw.uniform("level", [0.0, self.magnitude])
        } else {
            draw.normal("level", self.magnitude, self.std)
        };
        if !happens {
            return image;
        }
        let levels = Levels { increasing: self.increasing };
        let argument = levels.argument(op, level.clamp(0.0, self.max), size, negative);
        op.step(image, argument, moves, draw)
    }
}

impl Transform for RandAugment {
    fn apply(&self, mut image: Image, draw: &mut Draw) -> Image {
        if self.check_channels(image.channels()).is_err() {
            return image;
        }
        let moves = Moves { interpolation: self.interpolation, fill: self.fill };
        for _ in 0..self.ops {
            image = match self.style {
                Style::Torchvision => self.torchvision(image, moves, draw),
                Style::Timm => self.timm(image, moves, draw),
            };
        }
        image
    }
    fn validate(&self) -> Result<()> {
        let technique = "transform 'rand_augment'";
        check::within(technique, "ops", self.ops as f64, [0.0, 100.0])?;
        check::within(technique, "bins", self.bins as f64, [2.0, 1000.0])?;
        check::within(technique, "op_p", self.op_p, [0.0, 1.0])?;
        check::within(technique, "max", self.max, [0.0, 100.0])?;
        check::strength(technique, "std", self.std)?;
        check::strength(technique, "magnitude", self.magnitude)?;
        let default = Self::default();
        let others: &[(&str, bool)] = match self.style {
            Style::Timm => &[("bins", self.bins != default.bins)],
            Style::Torchvision => &[
                ("op_p", self.op_p != default.op_p),
                ("std", self.std != default.std),
                ("max", self.max != default.max),
                ("increasing", self.increasing),
            ],
        };
        for (name, given) in others {
            check::that(!given, technique, || format!("{name} is not of this style, {:?}", self.style))?;
        }
        let of_bins = self.magnitude.fract() == 0.0 && self.magnitude < self.bins as f64;
        check::that(of_bins || self.style == Style::Timm, technique, || {
            format!("magnitude must be one of the {} bins from 0 on, got {}", self.bins, self.magnitude)
        })
    }
    fn check_channels(&self, channels: usize) -> Result<()> {
        check::colors("transform 'rand_augment'", channels)?;
        check::fill("transform 'rand_augment'", self.fill, channels)
    }
}
