//! Pre-activation residual networks for small pictures: He et al., "Identity mappings in deep residual networks", 2016
//! (arXiv 1603.05027), and Zagoruyko & Komodakis, "Wide residual networks", 2016 (arXiv 1605.07146).
//!
//! Norm and activation stand before the convolutions, nothing on the way past; where a unit changes the shape, its 1×1
//! convolution reads the activated input. Reference implementations: szagoruyko/wide-residual-networks and
//! kuangliu/pytorch-cifar, whose variable names these are. What differs: kuangliu's networks lack the norm and the
//! activation behind the last unit, which both papers have; the stride of a bottleneck sits in its 3×3 convolution.

use super::convolutional::{Convolutional, Stage};
use super::droppable;
use super::resnet::Unit;
use crate::backbone::{Backbone, Family, Preset};
use crate::error::{Error, Result};
use crate::growth::{deeper, wider};
use crate::limits;
use crate::ops::{Act, Program, block, k};
use candle_nn::VarBuilder;
use serde::{Deserialize, Serialize};

/// A pre-activation residual network.
///
/// | field | default | range |
/// |---|---|---|
/// | `unit` | basic | basic, bottleneck |
/// | `layers` | 2, 2, 2, 2 | units per stage |
/// | `width` | 64 | channels of the first stage (before a bottleneck's factor 4); each further one doubles them |
/// | `stem` | 64 | channels of the first convolution |
/// | `act` | relu | a name of [`Act`] |
/// | `unit_dropout` | 0 | 0..1, before the last convolution of each unit; Zagoruyko: 0.3 for CIFAR, 0.4 for SVHN |
/// | `drop_path` | 0 | 0..1, probability of dropping the last unit, rising linearly from 0 (Huang et al. 2016) |
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct PreActResNet {
    /// The residual unit.
    pub unit: Unit,
    /// Units per stage.
    pub layers: Vec<usize>,
    /// Channels of the first stage.
    pub width: usize,
    /// Channels of the first convolution.
    pub stem: usize,
    /// Activation.
    pub act: Act,
    /// Probability of dropping a value before the last convolution of each unit.
    pub unit_dropout: f64,
    /// Probability of dropping the last unit.
    pub drop_path: f64,
}

impl Default for PreActResNet {
    fn default() -> Self {
        Self {
            unit: Unit::Basic,
            layers: vec![2, 2, 2, 2],
            width: 64,
            stem: 64,
            act: Act::Relu,
            unit_dropout: 0.0,
            drop_path: 0.0,
        }
    }
}

impl Family for PreActResNet {
    const HEAD: &str = "linear";

    fn presets() -> Vec<Preset<Self>> {
        let deep = |unit, n| Self { unit, layers: vec![n; 3], width: 16, stem: 16, ..Self::default() };
        // Depth 6n + 4; a factor k of all widths but the stem's.
        let wide = |depth: usize, k: usize| Self { width: 16 * k, ..deep(Unit::Basic, (depth - 4) / 6) };
        vec![
            ("preact_resnet18", "Pre-activation ResNet-18 for 32-pixel pictures.", Self::default()),
            ("preact_resnet110", "The paper's pre-activation ResNet-110 for 32-pixel pictures.", deep(Unit::Basic, 18)),
            (
                "preact_resnet164",
                "The paper's pre-activation ResNet-164 of bottlenecks for 32-pixel pictures.",
                deep(Unit::Bottleneck, 18),
            ),
            ("wide_resnet16_4", "Wide ResNet-16-4 for 32-pixel pictures.", wide(16, 4)),
            ("wide_resnet16_8", "Wide ResNet-16-8 for 32-pixel pictures.", wide(16, 8)),
            ("wide_resnet28_2", "Wide ResNet-28-2 for 32-pixel pictures.", wide(28, 2)),
            ("wide_resnet28_10", "Wide ResNet-28-10 for 32-pixel pictures.", wide(28, 10)),
            ("wide_resnet40_1", "Wide ResNet-40-1 for 32-pixel pictures.", wide(40, 1)),
            ("wide_resnet40_2", "Wide ResNet-40-2 for 32-pixel pictures.", wide(40, 2)),
            ("wide_resnet40_4", "Wide ResNet-40-4 for 32-pixel pictures.", wide(40, 4)),
        ]
    }

    fn picture_size(_: &str) -> usize {
        32
    }

    /// Width: `width`, and not the stem's, as in wide ResNets; depth: `layers`.
    fn grown(&self, width: f64, depth: f64) -> Option<Self> {
        let layers = self.layers.iter().map(|&count| deeper(count, depth)).collect();
        Some(Self { layers, width: wider(self.width, width, 1), ..self.clone() })
    }

    fn build(&self, channels: usize, vb: VarBuilder<'_>) -> Result<Box<dyn Backbone>> {
        Ok(Box::new(Convolutional::new(channels, self.stages(channels)?, vb)?))
    }
}

impl PreActResNet {
    /// The network as data.
    fn stages(&self, channels: usize) -> Result<Vec<Stage>> {
        self.check(channels)?;
        let program = block(channels, |x| x.conv("conv1", self.stem, k(3)))?;
        let mut stages = vec![Stage { name: "stem".into(), blocks: vec![(String::new(), program)] }];
        let (mut reads, mut unit) = (self.stem, 0);
        let units = self.layers.iter().sum::<usize>();
        for (stage, &count) in self.layers.iter().enumerate() {
            let mut blocks = vec![];
            for i in 0..count {
                let stride = if i == 0 && stage > 0 { 2 } else { 1 };
                let drop = self.drop_path * unit as f64 / (units - 1).max(1) as f64;
                let program = self.unit(reads, self.width << stage, stride, drop)?;
                reads = program.out_channels();
                unit += 1;
                blocks.push((format!("layer{}.{i}", stage + 1), program));
            }
            stages.push(Stage { name: format!("layer{}", stage + 1), blocks });
        }
        let program = block(reads, |x| x.norm("bn1").act(self.act))?;
        stages.push(Stage { name: "bn1".into(), blocks: vec![(String::new(), program)] });
        Ok(stages)
    }

    fn check(&self, channels: usize) -> Result<()> {
        if self.layers.is_empty() || self.layers.contains(&0) || channels * self.width * self.stem == 0 {
            return Err(Error::Invalid("preact_resnet: needs at least one unit per stage and one channel".into()));
        }
        limits::stages("preact_resnet", self.layers.iter().copied())?;
        droppable("preact_resnet: unit_dropout", self.unit_dropout)?;
        droppable("preact_resnet: drop_path", self.drop_path)
    }

    fn unit(&self, reads: usize, width: usize, stride: usize, drop: f64) -> Result<Program> {
        block(reads, |x| {
            let pre = x.norm("bn1").act(self.act);
            let y = match self.unit {
                Unit::Basic => pre
                    .conv("conv1", width, k(3).stride(stride))
                    .norm("bn2")
                    .act(self.act)
                    .dropout(self.unit_dropout)
                    .conv("conv2", width, k(3)),
                Unit::Bottleneck => pre
                    .conv("conv1", width, k(1))
                    .norm("bn2")
                    .act(self.act)
                    .conv("conv2", width, k(3).stride(stride))
                    .norm("bn3")
                    .act(self.act)
                    .dropout(self.unit_dropout)
                    .conv("conv3", 4 * width, k(1)),
            };
            let out = y.channels();
            let same = stride == 1 && reads == out;
            let past = if same { x } else { pre.conv("shortcut.0", out, k(1).stride(stride)) };
            y.drop_path(drop) + past
        })
    }
}
