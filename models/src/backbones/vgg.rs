//! VGG: Simonyan & Zisserman, "Very deep convolutional networks for large-scale image recognition", 2014 (arXiv 1409.1556).
//!
//! Reference implementation: timm 1.0 `vgg11` to `vgg19_bn`, whose variable names and starting values these are. As there,
//! the two hidden layers are convolutions, the first one as wide as the map of 224 pixels (7×7): a larger map is read at
//! every place and the answers averaged, a smaller one is spread to 7×7 first. What differs: dropout before the head is
//! the network's own setting.

use super::convolutional::{Convolutional, Stage};
use super::droppable;
use crate::backbone::{Backbone, Family, Preset};
use crate::error::{Error, Result};
use crate::growth::{deeper, wider};
use crate::init::Start;
use crate::layers::LinearStart;
use crate::limits;
use crate::ops::{Act, CONV_INIT, Pool, block, k};
use candle_nn::VarBuilder;
use serde::{Deserialize, Serialize};

/// 3×3 convolutions and max-pools, then two hidden layers.
///
/// | field | default | range |
/// |---|---|---|
/// | `layers` | 1, 1, 2, 2, 2 | convolutions per stage |
/// | `width` | 64 | channels of the first stage; each further one doubles them, up to 8 times as many |
/// | `norm` | false | batch norm behind each convolution |
/// | `act` | relu | a name of [`Act`] |
/// | `hidden` | 4096 | channels of the two hidden layers |
/// | `hidden_dropout` | 0 | 0..1, between the two hidden layers; the paper has 0.5 here and before the head |
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Vgg {
    /// Convolutions per stage.
    pub layers: Vec<usize>,
    /// Channels of the first stage.
    pub width: usize,
    /// Batch norm behind each convolution.
    pub norm: bool,
    /// Activation.
    pub act: Act,
    /// Channels of the two hidden layers.
    pub hidden: usize,
    /// Probability of dropping a value between the two hidden layers.
    pub hidden_dropout: f64,
}

impl Default for Vgg {
    fn default() -> Self {
        let layers = vec![1, 1, 2, 2, 2];
        Self { layers, width: 64, norm: false, act: Act::Relu, hidden: 4096, hidden_dropout: 0.0 }
    }
}

impl Family for Vgg {
    const HEAD: &str = "head.fc";
    const HEAD_START: LinearStart = LinearStart::unbiased(Start::Normal { std: 0.01 });

    fn presets() -> Vec<Preset<Self>> {
        let vgg = |layers: [usize; 5], norm| Self { layers: layers.into(), norm, ..Self::default() };
        vec![
            ("vgg11", "VGG-11 (the paper's A).", vgg([1, 1, 2, 2, 2], false)),
            ("vgg13", "VGG-13 (the paper's B).", vgg([2, 2, 2, 2, 2], false)),
            ("vgg16", "VGG-16 (the paper's D).", vgg([2, 2, 3, 3, 3], false)),
            ("vgg19", "VGG-19 (the paper's E).", vgg([2, 2, 4, 4, 4], false)),
            ("vgg11_bn", "VGG-11 with batch norm.", vgg([1, 1, 2, 2, 2], true)),
            ("vgg13_bn", "VGG-13 with batch norm.", vgg([2, 2, 2, 2, 2], true)),
            ("vgg16_bn", "VGG-16 with batch norm.", vgg([2, 2, 3, 3, 3], true)),
            ("vgg19_bn", "VGG-19 with batch norm.", vgg([2, 2, 4, 4, 4], true)),
        ]
    }

    fn picture_size(_: &str) -> usize {
        224
    }

    /// Width: `width`, `hidden`; depth: `layers`.
    fn grown(&self, width: f64, depth: f64) -> Option<Self> {
        let layers = self.layers.iter().map(|&count| deeper(count, depth)).collect();
        let wide = |channels| wider(channels, width, 1);
        Some(Self { layers, width: wide(self.width), hidden: wide(self.hidden), ..self.clone() })
    }

    fn build(&self, channels: usize, vb: VarBuilder<'_>) -> Result<Box<dyn Backbone>> {
        Ok(Box::new(Convolutional::new(channels, self.stages(channels)?, vb)?))
    }
}

impl Vgg {
    /// The network as data.
    fn stages(&self, channels: usize) -> Result<Vec<Stage>> {
        if self.layers.is_empty() || self.layers.contains(&0) || channels * self.width * self.hidden == 0 {
            return Err(Error::Invalid(
                "vgg: needs at least one convolution per stage, one channel and one hidden unit".into(),
            ));
        }
        limits::stages("vgg", self.layers.iter().copied())?;
        droppable("vgg: hidden_dropout", self.hidden_dropout)?;
        let mut stages = vec![];
        // The reference numbers convolutions, norms, activations and pools through.
        let (mut reads, mut at) = (channels, 0);
        for (stage, &count) in self.layers.iter().enumerate() {
            let width = self.width << stage.min(3);
            let program = block(reads, |x| {
                let y = (0..count).fold(x, |x, _| {
                    let y = x.conv(&at.to_string(), width, k(3).bias());
                    let y = if self.norm { y.norm(&(at + 1).to_string()) } else { y };
                    at += if self.norm { 3 } else { 2 };
                    y.act(self.act)
                });
                y.pool(Pool::Max, k(2).pad(0).stride(2))
            })?;
            at += 1;
            reads = width;
            let name = format!("features.{stage}");
            stages.push(Stage { name, blocks: vec![("features".into(), program.started(CONV_INIT))] });
        }
        let hidden = block(reads, |x| {
            let y = x.at_least(7).conv("fc1", self.hidden, k(7).pad(0).bias()).act(self.act);
            y.dropout(self.hidden_dropout).conv("fc2", self.hidden, k(1).bias()).act(self.act)
        })?;
        let name = "pre_logits".to_string();
        stages.push(Stage { name: name.clone(), blocks: vec![(name, hidden.started(CONV_INIT))] });
        Ok(stages)
    }
}
