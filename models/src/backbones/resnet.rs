//! Residual networks: He et al., "Deep residual learning for image recognition", 2015 (arXiv 1512.03385).
//!
//! Reference implementations: torchvision 0.26 `resnet18/34/50` ("v1.5": the stride sits in the 3×3 convolution of the
//! bottleneck), whose variable names these are (timm's too); for CIFAR the paper's §4.2 networks with parameter-free
//! shortcuts (option A) as in akamaster/pytorch_resnet_cifar10, and kuangliu/pytorch-cifar's ResNet-18 with projections.

use super::convolutional::{Convolutional, Stage};
use crate::backbone::{Backbone, Family, Preset};
use crate::error::{Error, Result};
use crate::ops::{Flow, Pool, Program, block, k};
use candle_nn::VarBuilder;
use serde::{Deserialize, Serialize};

/// The residual unit.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Unit {
    /// Two 3×3 convolutions.
    Basic,
    /// 1×1, 3×3, 1×1 with four times the channels behind.
    Bottleneck,
}

/// The way into the network.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Stem {
    /// 7×7/2 convolution and 3×3/2 max-pool: a quarter of the picture's side.
    Imagenet,
    /// One 3×3 convolution: the whole side.
    Cifar,
}

/// What carries the input past a unit that changes its shape.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Shortcut {
    /// A 1×1 convolution with batch norm (option B).
    Projection,
    /// Every other pixel, zero channels on both sides (option A).
    Pad,
}

/// A residual network.
///
/// | field | default | range |
/// |---|---|---|
/// | `unit` | basic | basic, bottleneck |
/// | `layers` | 2, 2, 2, 2 | units per stage |
/// | `width` | 64 | channels of the first stage; each further one doubles them |
/// | `stem` | imagenet | imagenet, cifar |
/// | `shortcut` | projection | projection, pad |
/// | `zero_gamma` | false | start the last norm of each unit at 0 (Goyal et al. 2017) |
/// | `drop_path` | 0 | 0..1, probability of dropping the last unit, rising linearly from 0 (Huang et al. 2016) |
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct ResNet {
    /// The residual unit.
    pub unit: Unit,
    /// Units per stage.
    pub layers: Vec<usize>,
    /// Channels of the first stage.
    pub width: usize,
    /// The way in.
    pub stem: Stem,
    /// The way past.
    pub shortcut: Shortcut,
    /// Whether residual branches start at zero.
    pub zero_gamma: bool,
    /// Probability of dropping the last unit.
    pub drop_path: f64,
}

impl Default for ResNet {
    fn default() -> Self {
        Self {
            unit: Unit::Basic,
            layers: vec![2, 2, 2, 2],
            width: 64,
            stem: Stem::Imagenet,
            shortcut: Shortcut::Projection,
            zero_gamma: false,
            drop_path: 0.0,
        }
    }
}

impl Family for ResNet {
    const HEAD: &str = "fc";

    fn presets() -> Vec<Preset<Self>> {
        let imagenet = |unit, layers: [usize; 4]| Self { unit, layers: layers.into(), ..Self::default() };
        let cifar =
            |n| Self { layers: vec![n; 3], width: 16, stem: Stem::Cifar, shortcut: Shortcut::Pad, ..Self::default() };
        vec![
            ("resnet18", "ResNet-18 in torchvision's form.", imagenet(Unit::Basic, [2, 2, 2, 2])),
            ("resnet34", "ResNet-34 in torchvision's form.", imagenet(Unit::Basic, [3, 4, 6, 3])),
            ("resnet50", "ResNet-50 in torchvision's form (v1.5).", imagenet(Unit::Bottleneck, [3, 4, 6, 3])),
            ("resnet20", "The paper's ResNet-20 for 32-pixel pictures (option A).", cifar(3)),
            ("resnet32", "The paper's ResNet-32 for 32-pixel pictures (option A).", cifar(5)),
            ("resnet44", "The paper's ResNet-44 for 32-pixel pictures (option A).", cifar(7)),
            ("resnet56", "The paper's ResNet-56 for 32-pixel pictures (option A).", cifar(9)),
            ("resnet110", "The paper's ResNet-110 for 32-pixel pictures (option A).", cifar(18)),
            (
                "resnet18_cifar",
                "ResNet-18 with a 3×3 stem for small pictures.",
                Self { stem: Stem::Cifar, ..Self::default() },
            ),
        ]
    }

    fn build(&self, channels: usize, vb: VarBuilder<'_>) -> Result<Box<dyn Backbone>> {
        Ok(Box::new(Convolutional::new(channels, self.stages(channels)?, vb)?))
    }
}

impl ResNet {
    /// The network as data.
    fn stages(&self, channels: usize) -> Result<Vec<Stage>> {
        if self.layers.is_empty() || self.layers.contains(&0) || self.width == 0 || channels == 0 {
            return Err(Error::Invalid("resnet: needs at least one unit per stage and one channel".into()));
        }
        if self.shortcut == Shortcut::Pad && (self.unit != Unit::Basic || !self.width.is_multiple_of(2)) {
            return Err(Error::Invalid("resnet: pad shortcuts need basic units and an even width".into()));
        }
        if !(0.0..1.0).contains(&self.drop_path) {
            return Err(Error::Invalid(format!("resnet: drop_path must be in 0..1, got {}", self.drop_path)));
        }
        let mut stages = vec![Stage { name: "stem".into(), blocks: vec![(String::new(), self.stem(channels)?)] }];
        let (mut reads, mut unit) = (self.width, 0);
        let units = self.layers.iter().sum::<usize>();
        for (stage, &count) in self.layers.iter().enumerate() {
            let width = self.width << stage;
            let mut blocks = vec![];
            for i in 0..count {
                let stride = if i == 0 && stage > 0 { 2 } else { 1 };
                let drop = self.drop_path * unit as f64 / (units - 1).max(1) as f64;
                let program = self.unit(reads, width, stride, drop)?;
                reads = program.out_channels();
                unit += 1;
                blocks.push((format!("layer{}.{i}", stage + 1), program));
            }
            stages.push(Stage { name: format!("layer{}", stage + 1), blocks });
        }
        Ok(stages)
    }

    fn stem(&self, channels: usize) -> Result<Program> {
        block(channels, |x| match self.stem {
            Stem::Imagenet => {
                x.conv("conv1", self.width, k(7).stride(2)).norm("bn1").relu().pool(Pool::Max, k(3).stride(2))
            }
            Stem::Cifar => x.conv("conv1", self.width, k(3)).norm("bn1").relu(),
        })
    }

    fn unit(&self, reads: usize, width: usize, stride: usize, drop: f64) -> Result<Program> {
        let gamma = if self.zero_gamma { 0.0 } else { 1.0 };
        block(reads, |x| {
            let y = match self.unit {
                Unit::Basic => x
                    .conv("conv1", width, k(3).stride(stride))
                    .norm("bn1")
                    .relu()
                    .conv("conv2", width, k(3))
                    .norm_from("bn2", gamma),
                Unit::Bottleneck => x
                    .conv("conv1", width, k(1))
                    .norm("bn1")
                    .relu()
                    .conv("conv2", width, k(3).stride(stride))
                    .norm("bn2")
                    .relu()
                    .conv("conv3", 4 * width, k(1))
                    .norm_from("bn3", gamma),
            };
            (y.drop_path(drop) + self.past(x, y.channels(), stride)).relu()
        })
    }

    fn past<'a>(&self, x: Flow<'a>, out: usize, stride: usize) -> Flow<'a> {
        if stride == 1 && x.channels() == out {
            return x;
        }
        match self.shortcut {
            Shortcut::Projection => x.conv("downsample.0", out, k(1).stride(stride)).norm("downsample.1"),
            // Averaging windows of one pixel takes every other pixel.
            Shortcut::Pad => {
                let added = out - x.channels();
                x.pool(Pool::Avg, k(1).stride(stride)).pad_channels(added / 2, added - added / 2)
            }
        }
    }
}
