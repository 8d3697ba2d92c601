//! EfficientNet and MobileNetV2: networks of inverted residuals.
//!
//! Tan & Le, "EfficientNet: rethinking model scaling for convolutional neural networks", 2019 (arXiv 1905.11946); Sandler
//! et al., "MobileNetV2: inverted residuals and linear bottlenecks", 2018 (arXiv 1801.04381). Reference implementation:
//! timm 1.0 `efficientnet_b0` and `mobilenetv2_100`, whose variable names, starting values and norms (eps 1e-5, momentum
//! 0.1) these are. What differs: dropout before the head is the network's own setting.

use super::convolutional::{Convolutional, Stage};
use crate::backbone::{Backbone, Family, Preset};
use crate::error::{Error, Result};
use crate::ops::{Act, Flow, Node, Program, Window, block, k};
use candle_nn::{Init, VarBuilder};
use serde::{Deserialize, Serialize};

/// A row of the paper's table: blocks of one stage.
///
/// | field | range |
/// |---|---|
/// | `expand` | at least 1; 1 leaves out the expanding convolution |
/// | `size` | odd, side of the depthwise window |
/// | `stride` | at least 1, of the first block |
/// | `channels` | out of each block, before scaling |
/// | `repeats` | blocks, before scaling |
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct StageRow {
    /// Channels inside a block, as a multiple of those it reads.
    pub expand: usize,
    /// Side of the depthwise window.
    pub size: usize,
    /// Stride of the first block.
    pub stride: usize,
    /// Channels of the stage before scaling.
    pub channels: usize,
    /// Blocks of the stage before scaling.
    pub repeats: usize,
}

/// A network of inverted residuals.
///
/// | field | default | range |
/// |---|---|---|
/// | `stages` | EfficientNet's table 1 | at least one row |
/// | `width` | 1 | above 0, factor of all channels, which are rounded to multiples of 8 |
/// | `depth` | 1 | above 0, factor of all repeats, which are rounded up |
/// | `stem` | 32 | channels of the first convolution, before scaling |
/// | `head` | 1280 | channels of the last convolution, before scaling; a `width` below 1 leaves it alone |
/// | `act` | silu | a name of [`Act`] |
/// | `squeeze` | 0.25 | 0..=1, channels of the squeeze as a share of those a block reads; 0 for none (Hu et al. 2018) |
/// | `same` | false | whether windows are padded as in TensorFlow |
/// | `drop_path` | 0 | 0..1, probability of dropping a block, rising linearly from 0 (Huang et al. 2016) |
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct EfficientNet {
    /// The table of stages.
    pub stages: Vec<StageRow>,
    /// Factor of all channels.
    pub width: f64,
    /// Factor of all repeats.
    pub depth: f64,
    /// Channels of the first convolution.
    pub stem: usize,
    /// Channels of the last convolution.
    pub head: usize,
    /// Activation.
    pub act: Act,
    /// Channels of the squeeze as a share of those a block reads.
    pub squeeze: f64,
    /// Whether windows are padded as in TensorFlow.
    pub same: bool,
    /// Probability of dropping a block.
    pub drop_path: f64,
}

/// (expand, size, stride, channels, repeats), as the papers print them.
fn table(rows: &[(usize, usize, usize, usize, usize)]) -> Vec<StageRow> {
    let row = |&(expand, size, stride, channels, repeats)| StageRow { expand, size, stride, channels, repeats };
    rows.iter().map(row).collect()
}

impl Default for EfficientNet {
    fn default() -> Self {
        let stages = table(&[
            (1, 3, 1, 16, 1),
            (6, 3, 2, 24, 2),
            (6, 5, 2, 40, 2),
            (6, 3, 2, 80, 3),
            (6, 5, 1, 112, 3),
            (6, 5, 2, 192, 4),
            (6, 3, 1, 320, 1),
        ]);
        let (act, squeeze) = (Act::Silu, 0.25);
        Self { stages, width: 1.0, depth: 1.0, stem: 32, head: 1280, act, squeeze, same: false, drop_path: 0.0 }
    }
}

impl Family for EfficientNet {
    const HEAD: &str = "classifier";

    fn presets() -> Vec<Preset<Self>> {
        let mobile = table(&[
            (1, 3, 1, 16, 1),
            (6, 3, 2, 24, 2),
            (6, 3, 2, 32, 3),
            (6, 3, 2, 64, 4),
            (6, 3, 1, 96, 3),
            (6, 3, 2, 160, 3),
            (6, 3, 1, 320, 1),
        ]);
        vec![
            ("efficientnet_b0", "EfficientNet-B0 in timm's form, made for 224 pixels.", Self::default()),
            (
                "mobilenetv2_100",
                "MobileNetV2 in timm's form, made for 224 pixels.",
                Self { stages: mobile, act: Act::Relu6, squeeze: 0.0, ..Self::default() },
            ),
        ]
    }

    fn build(&self, channels: usize, vb: VarBuilder<'_>) -> Result<Box<dyn Backbone>> {
        Ok(Box::new(Convolutional::new(channels, self.program(channels)?, vb)?))
    }
}

impl EfficientNet {
    /// The network as data.
    fn program(&self, channels: usize) -> Result<Vec<Stage>> {
        self.check(channels)?;
        let stem = self.scaled(self.stem);
        let mut reads = stem;
        let program =
            block(channels, |x| x.conv("conv_stem", stem, self.padded(k(3).stride(2))).norm("bn1").act(self.act))?;
        let mut stages = vec![Stage { name: "stem".into(), blocks: vec![(String::new(), started(program))] }];
        let all = self.stages.iter().map(|row| self.repeats(row)).sum::<usize>();
        let mut done = 0;
        for (i, row) in self.stages.iter().enumerate() {
            let mut blocks = vec![];
            for j in 0..self.repeats(row) {
                let drop = self.drop_path * done as f64 / all as f64;
                let program =
                    self.residual(reads, StageRow { stride: if j == 0 { row.stride } else { 1 }, ..*row }, drop)?;
                reads = program.out_channels();
                blocks.push((format!("blocks.{i}.{j}"), started(program)));
                done += 1;
            }
            stages.push(Stage { name: format!("blocks.{i}"), blocks });
        }
        let head = self.head.max(self.scaled(self.head));
        let program = block(reads, |x| x.conv("conv_head", head, k(1)).norm("bn2").act(self.act))?;
        stages.push(Stage { name: "conv_head".into(), blocks: vec![(String::new(), started(program))] });
        Ok(stages)
    }

    fn check(&self, channels: usize) -> Result<()> {
        let row = |r: &StageRow| r.expand * r.stride * r.channels * r.repeats > 0 && r.size % 2 == 1;
        if channels * self.stem * self.head == 0 || self.stages.is_empty() || !self.stages.iter().all(row) {
            return Err(Error::Invalid(
                "efficientnet: needs at least one channel, one row of stages, nothing in it 0, and odd windows".into(),
            ));
        }
        for (name, factor) in [("width", self.width), ("depth", self.depth)] {
            if !(factor > 0.0 && factor.is_finite()) {
                return Err(Error::Invalid(format!("efficientnet: {name} must be above 0, got {factor}")));
            }
        }
        if !(0.0..=1.0).contains(&self.squeeze) {
            return Err(Error::Invalid(format!("efficientnet: squeeze must be in 0..=1, got {}", self.squeeze)));
        }
        if !(0.0..1.0).contains(&self.drop_path) {
            return Err(Error::Invalid(format!("efficientnet: drop_path must be in 0..1, got {}", self.drop_path)));
        }
        Ok(())
    }

    /// The nearest multiple of 8, at least 8, and never less than nine tenths.
    fn scaled(&self, channels: usize) -> usize {
        let wanted = channels as f64 * self.width;
        let near = ((wanted + 4.0) as usize / 8 * 8).max(8);
        if (near as f64) < 0.9 * wanted { near + 8 } else { near }
    }

    fn padded(&self, window: Window) -> Window {
        if self.same { window.same() } else { window }
    }

    fn repeats(&self, row: &StageRow) -> usize {
        (row.repeats as f64 * self.depth).ceil() as usize
    }

    /// Expand, filter, squeeze and excite, project; past it the input where nothing changes its shape.
    fn residual(&self, reads: usize, row: StageRow, drop: f64) -> Result<Program> {
        let out = self.scaled(row.channels);
        let filter = self.padded(k(row.size).stride(row.stride));
        block(reads, |x| {
            let y = if row.expand == 1 {
                let y = x.depthwise("conv_dw", filter).norm("bn1").act(self.act);
                self.excite(y, reads).conv("conv_pw", out, k(1)).norm("bn2")
            } else {
                let y = x.conv("conv_pw", reads * row.expand, k(1)).norm("bn1").act(self.act);
                let y = y.depthwise("conv_dw", filter).norm("bn2").act(self.act);
                self.excite(y, reads).conv("conv_pwl", out, k(1)).norm("bn3")
            };
            if row.stride == 1 && out == reads { y.drop_path(drop) + x } else { y }
        })
    }

    /// Squeeze and excitation; the squeeze counts from the channels that the block reads.
    fn excite<'a>(&self, x: Flow<'a>, reads: usize) -> Flow<'a> {
        if self.squeeze == 0.0 {
            return x;
        }
        let squeezed = ((reads as f64 * self.squeeze).round_ties_even() as usize).max(1);
        let gate = x.global_pool().conv("se.conv_reduce", squeezed, k(1).bias()).act(self.act);
        x.scale(gate.conv("se.conv_expand", x.channels(), k(1).bias()).act(Act::Sigmoid))
    }
}

/// Convolutions start normal with the fan-out of one group, their biases at 0 (timm's `_init_weight_goog`).
fn started(mut program: Program) -> Program {
    for node in &program.nodes {
        let Node::Conv { at, weight, bias, .. } = node else { continue };
        let weight = &mut program.params[*weight];
        let fan_out = weight.shape[0] / at.groups * at.size * at.size;
        weight.init = Init::Randn { mean: 0.0, stdev: (2.0 / fan_out as f64).sqrt() };
        if let Some(bias) = bias {
            program.params[*bias].init = Init::Const(0.0);
        }
    }
    program
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The channels and depths of B1 to B7, which timm and the paper's implementation agree on.
    #[test]
    fn scaling_gives_the_sizes_of_the_paper() {
        let scale = |width, depth| {
            let net = EfficientNet { width, depth, ..EfficientNet::default() };
            let channels = [net.stem].into_iter().chain(net.stages.iter().map(|r| r.channels)).chain([net.head]);
            let channels: Vec<usize> = channels.map(|c| net.scaled(c)).collect();
            (channels, net.stages.iter().map(|r| net.repeats(r)).collect::<Vec<_>>())
        };
        assert_eq!(scale(1.1, 1.2), (vec![32, 16, 24, 48, 88, 120, 208, 352, 1408], vec![2, 3, 3, 4, 4, 5, 2]));
        assert_eq!(scale(1.4, 1.8), (vec![48, 24, 32, 56, 112, 160, 272, 448, 1792], vec![2, 4, 4, 6, 6, 8, 2]));
        assert_eq!(scale(2.0, 3.1), (vec![64, 32, 48, 80, 160, 224, 384, 640, 2560], vec![4, 7, 7, 10, 10, 13, 4]));
        assert_eq!(scale(1.0, 1.1).1, [2, 3, 3, 4, 4, 5, 2]);
        assert_eq!(scale(1.6, 2.2).1, [3, 5, 5, 7, 7, 9, 3]);
    }

    /// Depthwise 3×3: √(2 / 9), whatever the number of channels.
    #[test]
    fn depthwise_convolutions_start_with_the_fan_of_one_group() {
        let program = EfficientNet::default().residual(
            16,
            StageRow { expand: 6, size: 3, stride: 2, channels: 24, repeats: 1 },
            0.0,
        );
        let program = started(program.unwrap());
        let start = |name: &str| program.params.iter().find(|p| p.name == name).unwrap().init;
        let deviation = |init| if let Init::Randn { stdev, .. } = init { stdev } else { f64::NAN };
        assert!((deviation(start("conv_dw.weight")) - (2f64 / 9.0).sqrt()).abs() < 1e-12);
        assert!((deviation(start("conv_pwl.weight")) - (2f64 / 24.0).sqrt()).abs() < 1e-12);
        assert!(matches!(start("se.conv_reduce.bias"), Init::Const(0.0)));
    }
}
