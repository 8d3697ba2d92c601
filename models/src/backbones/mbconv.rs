//! The blocks of EfficientNet and the MobileNets, and the rows of the papers' tables that list them.
//!
//! Depthwise separable convolutions: Howard et al. 2017 (arXiv 1704.04861). MBConv, the inverted residual: Sandler et al.
//! 2018 (arXiv 1801.04381), with squeeze and excitation (Hu et al. 2018, arXiv 1709.01507) in MobileNetV3 and EfficientNet.
//! Fused-MBConv: Tan & Le 2021 (arXiv 2104.00298). Reference implementation: timm 1.0, `_efficientnet_blocks.py`, whose
//! variable names and starting values these are.

use super::efficientnet::EfficientNet;
use crate::error::Result;
use crate::ops::{Act, Flow, Node, Program, Window, block, k};
use candle_nn::Init;
use serde::{Deserialize, Serialize};

/// What a block does.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum BlockKind {
    /// 1×1 convolution to more channels, depthwise convolution, squeeze and excitation, 1×1 convolution to fewer.
    #[default]
    MbConv,
    /// One convolution in place of the first two, no squeeze and excitation. Without expansion, that convolution alone.
    Fused,
    /// Depthwise convolution and 1×1 convolution, both with activation, and nothing past them.
    Separable,
}

/// The form of squeeze and excitation.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Excite {
    /// EfficientNet's: a share of the channels that the block reads, the block's activation, sigmoid gates.
    Smooth,
    /// MobileNetV3's: a share of the expanded channels, rounded to a multiple of 8, ReLU, hard-sigmoid gates.
    Hard,
}

/// A row of the paper's table: blocks of one stage.
///
/// | field | default | range |
/// |---|---|---|
/// | `block` | mbconv | mbconv, fused, separable |
/// | `expand` | – | at least 1; 1 leaves out the expanding convolution |
/// | `size` | – | odd, side of the window |
/// | `stride` | – | at least 1, of the first block |
/// | `channels` | – | out of each block, before scaling |
/// | `repeats` | – | blocks, before scaling |
/// | `squeeze` | the network's | 0..=1, share of channels in the squeeze; 0 for none |
/// | `act` | the network's | a name of [`Act`] |
/// | `joins` | false | whether the row goes on with the stage of the row above, as some of MobileNetV3 do |
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct StageRow {
    /// What a block does.
    #[serde(default)]
    pub block: BlockKind,
    /// Channels inside a block, as a multiple of those it reads.
    pub expand: f64,
    /// Side of the window.
    pub size: usize,
    /// Stride of the first block.
    pub stride: usize,
    /// Channels of the stage before scaling.
    pub channels: usize,
    /// Blocks of the stage before scaling.
    pub repeats: usize,
    /// Share of channels in the squeeze.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub squeeze: Option<f64>,
    /// Activation.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub act: Option<Act>,
    /// Whether the row goes on with the stage of the row above.
    #[serde(default)]
    pub joins: bool,
}

/// MBConv rows; the arguments are the columns of the papers.
pub(super) fn mbconv(expand: impl Into<f64>, size: usize, stride: usize, channels: usize, repeats: usize) -> StageRow {
    let block = BlockKind::MbConv;
    StageRow { block, expand: expand.into(), size, stride, channels, repeats, squeeze: None, act: None, joins: false }
}

/// Fused-MBConv rows.
pub(super) fn fused(expand: impl Into<f64>, size: usize, stride: usize, channels: usize, repeats: usize) -> StageRow {
    StageRow { block: BlockKind::Fused, ..mbconv(expand, size, stride, channels, repeats) }
}

/// Rows of depthwise separable convolutions.
pub(super) fn separable(size: usize, stride: usize, channels: usize, repeats: usize) -> StageRow {
    StageRow { block: BlockKind::Separable, ..mbconv(1, size, stride, channels, repeats) }
}

impl StageRow {
    /// Without squeeze and excitation.
    pub(super) fn plain(self) -> Self {
        Self { squeeze: Some(0.0), ..self }
    }
    /// With ReLU.
    pub(super) fn relu(self) -> Self {
        Self { act: Some(Act::Relu), ..self }
    }
    /// In the stage of the row above.
    pub(super) fn joined(self) -> Self {
        Self { joins: true, ..self }
    }
    /// Whether its numbers can be built.
    pub(super) fn possible(&self) -> bool {
        self.stride * self.channels * self.repeats > 0
            && self.size % 2 == 1
            && self.expand.is_finite()
            && self.expand >= 1.0
            && self.squeeze.is_none_or(|share| (0.0..=1.0).contains(&share))
    }
}

/// The nearest multiple of 8, at least 8, and never less than nine tenths of `wanted`.
pub(super) fn rounded(wanted: f64) -> usize {
    let near = ((wanted + 4.0) as usize / 8 * 8).max(8);
    if (near as f64) < 0.9 * wanted { near + 8 } else { near }
}

impl EfficientNet {
    /// A block of `row` that reads `reads` channels; past it the input, where nothing changes its shape.
    pub(super) fn block(&self, reads: usize, row: &StageRow, drop: f64) -> Result<Program> {
        let out = self.wide(row.channels);
        let act = row.act.unwrap_or(self.act);
        let window = self.window(row.size).stride(row.stride);
        let inside = if row.expand == 1.0 { reads } else { rounded(reads as f64 * row.expand) };
        let program = block(reads, |x| {
            let y = match row.block {
                BlockKind::MbConv if row.expand == 1.0 => {
                    let y = x.depthwise("conv_dw", window).norm("bn1").act(act);
                    self.excite(y, row, reads).conv("conv_pw", out, k(1)).norm("bn2")
                }
                BlockKind::MbConv => {
                    let y = x.conv("conv_pw", inside, k(1)).norm("bn1").act(act);
                    let y = y.depthwise("conv_dw", window).norm("bn2").act(act);
                    self.excite(y, row, reads).conv("conv_pwl", out, k(1)).norm("bn3")
                }
                BlockKind::Fused if row.expand == 1.0 => x.conv("conv", out, window).norm("bn1").act(act),
                BlockKind::Fused => {
                    x.conv("conv_exp", inside, window).norm("bn1").act(act).conv("conv_pwl", out, k(1)).norm("bn2")
                }
                BlockKind::Separable => {
                    let y = x.depthwise("conv_dw", window).norm("bn1").act(act);
                    return y.conv("conv_pw", out, k(1)).norm("bn2").act(act);
                }
            };
            if row.stride == 1 && out == reads { y.drop_path(drop) + x } else { y }
        })?;
        Ok(self.finished(program))
    }

    fn excite<'a>(&self, x: Flow<'a>, row: &StageRow, reads: usize) -> Flow<'a> {
        let share = row.squeeze.unwrap_or(self.squeeze);
        if share == 0.0 {
            return x;
        }
        let (squeezed, act, gate) = match self.excite {
            Excite::Smooth => {
                let near = (reads as f64 * share).round_ties_even() as usize;
                (near.max(1), row.act.unwrap_or(self.act), Act::Sigmoid)
            }
            Excite::Hard => (rounded(x.channels() as f64 * share), Act::Relu, Act::HardSigmoid),
        };
        let y = x.global_pool().conv("se.conv_reduce", squeezed, k(1).bias()).act(act);
        x.scale(y.conv("se.conv_expand", x.channels(), k(1).bias()).act(gate))
    }

    /// A window of the network's padding.
    pub(super) fn window(&self, size: usize) -> Window {
        if self.same { k(size).same() } else { k(size) }
    }

    /// Norms get the network's eps. Convolutions start normal with the fan-out of one group, their biases at 0 (timm's
    /// `_init_weight_goog`).
    pub(super) fn finished(&self, mut program: Program) -> Program {
        for node in &mut program.nodes {
            match node {
                Node::Norm { eps, .. } => *eps = self.eps,
                Node::Conv { at, weight, bias, .. } => {
                    let weight = &mut program.params[*weight];
                    let fan_out = weight.shape[0] / at.groups * at.size * at.size;
                    weight.init = Init::Randn { mean: 0.0, stdev: (2.0 / fan_out as f64).sqrt() };
                    if let Some(bias) = bias {
                        program.params[*bias].init = Init::Const(0.0);
                    }
                }
                _ => {}
            }
        }
        program
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Depthwise 3×3: √(2 / 9), whatever the number of channels.
    #[test]
    fn depthwise_convolutions_start_with_the_fan_of_one_group() {
        let program = EfficientNet::default().block(16, &mbconv(6, 3, 2, 24, 1), 0.0).unwrap();
        let start = |name: &str| program.params.iter().find(|p| p.name == name).unwrap().init;
        let deviation = |init| if let Init::Randn { stdev, .. } = init { stdev } else { f64::NAN };
        assert!((deviation(start("conv_dw.weight")) - (2f64 / 9.0).sqrt()).abs() < 1e-12);
        assert!((deviation(start("conv_pwl.weight")) - (2f64 / 24.0).sqrt()).abs() < 1e-12);
        assert!(matches!(start("se.conv_reduce.bias"), Init::Const(0.0)));
    }

    /// MobileNetV3's 3.67 · 24 = 88.08 and 2.3 · 80 = 184, and squeezes that count from them.
    #[test]
    fn expanded_channels_are_multiples_of_eight() {
        let shape = |net: &EfficientNet, reads, row: &StageRow, name: &str| {
            let program = net.block(reads, row, 0.0).unwrap();
            program.params.iter().find(|p| p.name == name).unwrap().shape[0]
        };
        let net = EfficientNet { excite: Excite::Hard, ..EfficientNet::default() };
        assert_eq!(shape(&net, 24, &mbconv(3.67, 3, 1, 24, 1), "conv_pw.weight"), 88);
        assert_eq!(shape(&net, 80, &mbconv(2.3, 3, 1, 80, 1), "conv_pw.weight"), 184);
        assert_eq!(shape(&net, 16, &mbconv(1, 3, 2, 16, 1), "se.conv_reduce.weight"), 8);
        assert_eq!(shape(&net, 40, &mbconv(6, 5, 1, 40, 1), "se.conv_reduce.weight"), 64);
        assert_eq!(shape(&EfficientNet::default(), 40, &mbconv(6, 5, 1, 40, 1), "se.conv_reduce.weight"), 10);
    }
}
