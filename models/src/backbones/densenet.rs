//! DenseNet: Huang et al., "Densely connected convolutional networks", 2016 (arXiv 1608.06993), the form with bottlenecks
//! and compression (BC).
//!
//! Reference implementation: timm 1.0 `densenet121` to `densenet201` (torchvision's), whose variable names and starting
//! values these are; for small pictures the paper's networks with three dense blocks behind one 3×3 convolution.

use super::convolutional::{Convolutional, Stage};
use super::droppable;
use super::resnet::Stem;
use crate::backbone::{Backbone, Family, Preset};
use crate::error::{Error, Result};
use crate::growth::{deeper, wider};
use crate::init::Start;
use crate::layers::LinearStart;
use crate::limits;
use crate::ops::{Act, Pool, Program, block, concat, k};
use candle_nn::VarBuilder;
use candle_nn::init::{FanInOut, Init, NonLinearity, NormalOrUniform};
use serde::{Deserialize, Serialize};

/// A densely connected network: each layer reads what all layers of its block before it wrote.
///
/// | field | default | range |
/// |---|---|---|
/// | `layers` | 6, 12, 24, 16 | layers per dense block |
/// | `growth` | 32 | channels that a layer adds; the stem has twice as many |
/// | `bottleneck` | 4 | channels inside a layer, as a multiple of `growth` |
/// | `stem` | imagenet | imagenet, deep (timm's `stem_type`), cifar |
/// | `act` | relu | a name of [`Act`] |
/// | `layer_dropout` | 0 | 0..1, behind each layer; the paper has 0.2 where it does not augment |
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct DenseNet {
    /// Layers per dense block.
    pub layers: Vec<usize>,
    /// Channels that a layer adds.
    pub growth: usize,
    /// Channels inside a layer, as a multiple of `growth`.
    pub bottleneck: usize,
    /// The way in.
    pub stem: Stem,
    /// Activation.
    pub act: Act,
    /// Probability of dropping a value behind each layer.
    pub layer_dropout: f64,
}

impl Default for DenseNet {
    fn default() -> Self {
        let (layers, stem) = (vec![6, 12, 24, 16], Stem::Imagenet);
        Self { layers, growth: 32, bottleneck: 4, stem, act: Act::Relu, layer_dropout: 0.0 }
    }
}

impl Family for DenseNet {
    const HEAD: &str = "classifier";
    const HEAD_START: LinearStart = LinearStart { weight: None, bias: Some(Start::Constant { value: 0.0 }) };

    fn presets() -> Vec<Preset<Self>> {
        let imagenet = |layers: [usize; 4], growth| Self { layers: layers.into(), growth, ..Self::default() };
        let cifar = Self { layers: vec![16; 3], growth: 12, stem: Stem::Cifar, ..Self::default() };
        vec![
            ("densenet121", "DenseNet-121.", imagenet([6, 12, 24, 16], 32)),
            ("densenet169", "DenseNet-169.", imagenet([6, 12, 32, 32], 32)),
            ("densenet201", "DenseNet-201.", imagenet([6, 12, 48, 32], 32)),
            ("densenet161", "DenseNet-161, wider.", imagenet([6, 12, 36, 24], 48)),
            ("densenet100_cifar", "The paper's DenseNet-BC-100 with growth 12 for 32-pixel pictures.", cifar),
        ]
    }

    fn picture_size(name: &str) -> usize {
        if name.ends_with("cifar") { 32 } else { 224 }
    }

    /// Width: `growth`; depth: `layers`.
    fn grown(&self, width: f64, depth: f64) -> Option<Self> {
        let layers = self.layers.iter().map(|&count| deeper(count, depth)).collect();
        Some(Self { layers, growth: wider(self.growth, width, 1), ..self.clone() })
    }

    fn build(&self, channels: usize, vb: VarBuilder<'_>) -> Result<Box<dyn Backbone>> {
        Ok(Box::new(Convolutional::new(channels, self.stages(channels)?, vb)?))
    }
}

/// He et al. 2015, fan-in.
const START: Init =
    Init::Kaiming { dist: NormalOrUniform::Normal, fan: FanInOut::FanIn, non_linearity: NonLinearity::ReLU };

impl DenseNet {
    /// The network as data.
    fn stages(&self, channels: usize) -> Result<Vec<Stage>> {
        if self.layers.is_empty() || self.layers.contains(&0) || channels * self.growth * self.bottleneck == 0 {
            return Err(Error::Invalid(
                "densenet: needs at least one layer per block, one channel, growth and bottleneck above 0".into(),
            ));
        }
        limits::stages("densenet", self.layers.iter().copied())?;
        droppable("densenet: layer_dropout", self.layer_dropout)?;
        let stage = |name: &str, blocks: Vec<(String, Program)>| {
            let path =
                |prefix: String| if prefix.is_empty() { "features".into() } else { format!("features.{prefix}") };
            let blocks = blocks.into_iter().map(|(prefix, block)| (path(prefix), block.started(START))).collect();
            Stage { name: name.into(), blocks }
        };
        let stem = self.stem(channels)?;
        let mut reads = stem.out_channels();
        let mut stages = vec![stage("stem", vec![(String::new(), stem)])];
        for (i, &count) in (1..).zip(&self.layers) {
            let mut blocks = vec![];
            for j in 1..=count {
                blocks.push((format!("denseblock{i}.denselayer{j}"), self.layer(reads)?));
                reads += self.growth;
            }
            if i < self.layers.len() {
                blocks.push((format!("transition{i}"), self.transition(reads)?));
                reads /= 2;
            }
            stages.push(stage(&format!("denseblock{i}"), blocks));
        }
        let last = block(reads, |x| x.norm("norm5").act(self.act))?;
        stages.push(stage("norm5", vec![(String::new(), last)]));
        Ok(stages)
    }

    fn stem(&self, channels: usize) -> Result<Program> {
        let (growth, pool) = (self.growth, k(3).stride(2));
        block(channels, |x| match self.stem {
            Stem::Imagenet => {
                x.conv("conv0", 2 * growth, k(7).stride(2)).norm("norm0").act(self.act).pool(Pool::Max, pool)
            }
            Stem::Deep => {
                let y = x.conv("conv0", growth, k(3).stride(2)).norm("norm0").act(self.act);
                let y = y.conv("conv1", growth, k(3)).norm("norm1").act(self.act);
                y.conv("conv2", 2 * growth, k(3)).norm("norm2").act(self.act).pool(Pool::Max, pool)
            }
            Stem::Cifar => x.conv("conv0", 2 * growth, k(3)),
        })
    }

    /// What it reads, and behind it what it adds.
    fn layer(&self, reads: usize) -> Result<Program> {
        block(reads, |x| {
            let y = x.norm("norm1").act(self.act).conv("conv1", self.bottleneck * self.growth, k(1));
            let y = y.norm("norm2").act(self.act).conv("conv2", self.growth, k(3));
            concat(x, &[y.dropout(self.layer_dropout)])
        })
    }

    /// Half the channels, half the side.
    fn transition(&self, reads: usize) -> Result<Program> {
        let half = k(2).pad(0).stride(2);
        block(reads, |x| x.norm("norm").act(self.act).conv("conv", reads / 2, k(1)).pool(Pool::Avg, half))
    }
}
