//! EfficientNet and the MobileNets: networks of depthwise convolutions, one table of stages each.
//!
//! | networks | paper | reference implementation |
//! |---|---|---|
//! | EfficientNet B0 to B7, Lite | Tan & Le 2019 (arXiv 1905.11946) | timm 1.0 `efficientnet_b*`, `tf_efficientnet_b*` |
//! | EfficientNetV2 | Tan & Le 2021 (arXiv 2104.00298) | `efficientnetv2_s`, `tf_efficientnetv2_s` |
//! | MobileNetV1 | Howard et al. 2017 (arXiv 1704.04861) | `mobilenetv1_100` |
//! | MobileNetV2 | Sandler et al. 2018 (arXiv 1801.04381) | `mobilenetv2_*` |
//! | MobileNetV3 | Howard et al. 2019 (arXiv 1905.02244) | `mobilenetv3_large_*`, `mobilenetv3_small_*` |
//!
//! Variable names, starting values and norms (momentum 0.1) are timm's. What differs: dropout before the head is the
//! network's own setting, and rows of one stage are deepened one by one (in timm together; no preset deepens such a stage).

use super::convolutional::{Convolutional, Stage};
use super::droppable;
use super::mbconv::{Excite, StageRow, fused, mbconv, rounded, separable};
use crate::backbone::{Backbone, Family, Preset};
use crate::error::{Error, Result};
use crate::init::Start;
use crate::layers::LinearStart;
use crate::limits;
use crate::ops::{Act, Program, block, k};
use candle_nn::VarBuilder;
use candle_nn::init::{FanInOut, Init, NonLinearity, NormalOrUniform};
use serde::{Deserialize, Serialize};

/// A network of inverted residuals.
///
/// | field | default | range |
/// |---|---|---|
/// | `stages` | EfficientNet's table 1 | at least one row |
/// | `width` | 1 | above 0, factor of all channels, which are rounded to multiples of 8 |
/// | `depth` | 1 | above 0, factor of all repeats, which are rounded up |
/// | `stem` | 32 | channels of the first convolution, before scaling |
/// | `features` | 1280 | channels of the last convolution, before scaling, which only adds; 0 leaves it out |
/// | `fixed_ends` | false | whether scaling leaves stem, last convolution and the repeats of the first and the last row alone |
/// | `pooled_head` | false | whether the last convolution stands behind the global average, with a bias, unscaled (MobileNetV3) |
/// | `act` | silu | a name of [`Act`], where a row has no other |
/// | `squeeze` | 0.25 | 0..=1, channels of the squeeze as a share of those a block reads; 0 for none (Hu et al. 2018) |
/// | `excite` | smooth | smooth, hard: the form of squeeze and excitation |
/// | `same` | false | whether windows are padded as in TensorFlow |
/// | `eps` | 1e-5 | above 0, added to the variance in norms |
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
    // Not `head`: that is the network's in a recipe.
    pub features: usize,
    /// Whether both ends stay as they are when the network is scaled.
    pub fixed_ends: bool,
    /// Whether the last convolution stands behind the global average.
    pub pooled_head: bool,
    /// Activation.
    pub act: Act,
    /// Channels of the squeeze as a share of those a block reads.
    pub squeeze: f64,
    /// The form of squeeze and excitation.
    pub excite: Excite,
    /// Whether windows are padded as in TensorFlow.
    pub same: bool,
    /// Added to the variance in norms.
    pub eps: f64,
    /// Probability of dropping a block.
    pub drop_path: f64,
}

impl Default for EfficientNet {
    fn default() -> Self {
        let stages = vec![
            mbconv(1, 3, 1, 16, 1),
            mbconv(6, 3, 2, 24, 2),
            mbconv(6, 5, 2, 40, 2),
            mbconv(6, 3, 2, 80, 3),
            mbconv(6, 5, 1, 112, 3),
            mbconv(6, 5, 2, 192, 4),
            mbconv(6, 3, 1, 320, 1),
        ];
        Self {
            stages,
            width: 1.0,
            depth: 1.0,
            stem: 32,
            features: 1280,
            fixed_ends: false,
            pooled_head: false,
            act: Act::Silu,
            squeeze: 0.25,
            excite: Excite::Smooth,
            same: false,
            eps: 1e-5,
            drop_path: 0.0,
        }
    }
}

/// (name, width, depth, side of the pictures), as in the paper's implementation.
const SCALED: [(&str, &str, f64, f64, usize); 8] = [
    ("efficientnet_b0", "tf_efficientnet_b0", 1.0, 1.0, 224),
    ("efficientnet_b1", "tf_efficientnet_b1", 1.0, 1.1, 240),
    ("efficientnet_b2", "tf_efficientnet_b2", 1.1, 1.2, 260),
    ("efficientnet_b3", "tf_efficientnet_b3", 1.2, 1.4, 300),
    ("efficientnet_b4", "tf_efficientnet_b4", 1.4, 1.8, 380),
    ("efficientnet_b5", "tf_efficientnet_b5", 1.6, 2.2, 456),
    ("efficientnet_b6", "tf_efficientnet_b6", 1.8, 2.6, 528),
    ("efficientnet_b7", "tf_efficientnet_b7", 2.0, 3.1, 600),
];

/// Uniform in ±1/√outputs (timm's `_init_weight_goog`).
const HEAD_WEIGHT: Init = Init::Kaiming {
    dist: NormalOrUniform::Uniform,
    fan: FanInOut::FanOut,
    non_linearity: NonLinearity::ExplicitGain(0.577_350_269_189_625_8),
};

impl Family for EfficientNet {
    const HEAD: &str = "classifier";
    const HEAD_START: LinearStart = LinearStart::unbiased(Start::Plain(HEAD_WEIGHT));

    fn presets() -> Vec<Preset<Self>> {
        let sized = |width, depth| Self { width, depth, ..Self::default() };
        let tensorflow = |net: Self| Self { same: true, eps: 1e-3, ..net };
        let mut all = vec![];
        for (name, _, width, depth, _) in SCALED {
            all.push((name, "EfficientNet of this size with PyTorch's padding.", sized(width, depth)));
        }
        for (_, name, width, depth, _) in SCALED {
            let doc = "EfficientNet of this size as published, with TensorFlow's padding and norms.";
            all.push((name, doc, tensorflow(sized(width, depth))));
        }
        all.extend([
            ("efficientnet_lite0", "EfficientNet-Lite0, without squeeze and excitation, for small devices.", lite()),
            ("efficientnetv2_s", "EfficientNetV2-S with PyTorch's padding.", v2_small()),
            (
                "tf_efficientnetv2_s",
                "EfficientNetV2-S as published, with TensorFlow's padding and norms.",
                tensorflow(v2_small()),
            ),
            ("mobilenetv1_100", "MobileNet, the first: depthwise separable convolutions.", mobilenet_v1()),
            ("mobilenetv2_050", "MobileNetV2 with half the channels.", Self { width: 0.5, ..mobilenet_v2() }),
            ("mobilenetv2_100", "MobileNetV2: inverted residuals.", mobilenet_v2()),
            ("mobilenetv2_140", "MobileNetV2 with 1.4 times the channels.", Self { width: 1.4, ..mobilenet_v2() }),
            (
                "mobilenetv3_small_050",
                "MobileNetV3-Small with half the channels.",
                Self { width: 0.5, fixed_ends: true, ..mobilenet_v3(1024, small_rows()) },
            ),
            ("mobilenetv3_small_100", "MobileNetV3-Small.", mobilenet_v3(1024, small_rows())),
            ("mobilenetv3_large_100", "MobileNetV3-Large.", mobilenet_v3(1280, large_rows())),
        ]);
        all
    }

    fn picture_size(name: &str) -> usize {
        let scaled = SCALED.iter().find(|row| row.0 == name || row.1 == name).map(|row| row.4);
        scaled.unwrap_or(if name.ends_with("efficientnetv2_s") { 384 } else { 224 })
    }

    /// Width: `width`; depth: `depth`: factors themselves, which round to multiples of 8, and up.
    fn grown(&self, width: f64, depth: f64) -> Option<Self> {
        Some(Self { width: self.width * width, depth: self.depth * depth, ..self.clone() })
    }

    fn build(&self, channels: usize, vb: VarBuilder<'_>) -> Result<Box<dyn Backbone>> {
        let mut stages = self.program(channels)?;
        let neck = if self.pooled_head { stages.pop() } else { None };
        let network = Convolutional::new(channels, stages, vb.clone())?;
        Ok(match neck {
            Some(neck) => Box::new(network.with_neck(neck, vb)?),
            None => Box::new(network),
        })
    }
}

/// EfficientNet-Lite: without what fixed-point arithmetic does badly.
fn lite() -> EfficientNet {
    EfficientNet { act: Act::Relu6, squeeze: 0.0, fixed_ends: true, ..EfficientNet::default() }
}

/// EfficientNetV2-S: table 4.
fn v2_small() -> EfficientNet {
    let stages = vec![
        fused(1, 3, 1, 24, 2),
        fused(4, 3, 2, 48, 4),
        fused(4, 3, 2, 64, 4),
        mbconv(4, 3, 2, 128, 6),
        mbconv(6, 3, 1, 160, 9),
        mbconv(6, 3, 2, 256, 15),
    ];
    EfficientNet { stages, stem: 24, ..EfficientNet::default() }
}

/// MobileNet: table 1.
fn mobilenet_v1() -> EfficientNet {
    let stages = vec![
        separable(3, 1, 64, 1),
        separable(3, 2, 128, 2),
        separable(3, 2, 256, 2),
        separable(3, 2, 512, 6),
        separable(3, 2, 1024, 2),
    ];
    EfficientNet { stages, features: 0, act: Act::Relu6, ..EfficientNet::default() }
}

/// MobileNetV2: table 2.
fn mobilenet_v2() -> EfficientNet {
    let stages = vec![
        mbconv(1, 3, 1, 16, 1),
        mbconv(6, 3, 2, 24, 2),
        mbconv(6, 3, 2, 32, 3),
        mbconv(6, 3, 2, 64, 4),
        mbconv(6, 3, 1, 96, 3),
        mbconv(6, 3, 2, 160, 3),
        mbconv(6, 3, 1, 320, 1),
    ];
    EfficientNet { stages, act: Act::Relu6, squeeze: 0.0, ..EfficientNet::default() }
}

fn mobilenet_v3(features: usize, stages: Vec<StageRow>) -> EfficientNet {
    let (act, excite) = (Act::HardSwish, Excite::Hard);
    EfficientNet { stages, stem: 16, features, pooled_head: true, act, excite, ..EfficientNet::default() }
}

/// MobileNetV3-Large: table 1.
fn large_rows() -> Vec<StageRow> {
    vec![
        mbconv(1, 3, 1, 16, 1).plain().relu(),
        mbconv(4, 3, 2, 24, 1).plain().relu(),
        mbconv(3, 3, 1, 24, 1).plain().relu().joined(),
        mbconv(3, 5, 2, 40, 3).relu(),
        mbconv(6, 3, 2, 80, 1).plain(),
        mbconv(2.5, 3, 1, 80, 1).plain().joined(),
        mbconv(2.3, 3, 1, 80, 2).plain().joined(),
        mbconv(6, 3, 1, 112, 2),
        mbconv(6, 5, 2, 160, 3),
        fused(1, 1, 1, 960, 1),
    ]
}

/// MobileNetV3-Small: table 2.
fn small_rows() -> Vec<StageRow> {
    vec![
        mbconv(1, 3, 2, 16, 1).relu(),
        mbconv(4.5, 3, 2, 24, 1).plain().relu(),
        mbconv(3.67, 3, 1, 24, 1).plain().relu().joined(),
        mbconv(4, 5, 2, 40, 1),
        mbconv(6, 5, 1, 40, 2).joined(),
        mbconv(3, 5, 1, 48, 2),
        mbconv(6, 5, 2, 96, 3),
        fused(1, 1, 1, 576, 1),
    ]
}

impl EfficientNet {
    /// The network as data; with `pooled_head` the last stage is what stands behind the global average.
    fn program(&self, channels: usize) -> Result<Vec<Stage>> {
        self.check(channels)?;
        let stem = if self.fixed_ends { self.stem } else { self.wide(self.stem) };
        let window = self.window(3).stride(2);
        let program = block(channels, |x| x.conv("conv_stem", stem, window).norm("bn1").act(self.act))?;
        let mut stages = vec![Stage::of("stem", self.finished(program))];
        let repeats: Vec<usize> = (0..self.stages.len()).map(|i| self.repeats(i)).collect();
        let all = repeats.iter().sum::<usize>();
        let (mut reads, mut done) = (stem, 0);
        let mut blocks = vec![];
        for (i, row) in self.stages.iter().enumerate() {
            let name = format!("blocks.{}", stages.len() - 1);
            for j in 0..repeats[i] {
                let row = StageRow { stride: if j == 0 { row.stride } else { 1 }, ..*row };
                let program = self.block(reads, &row, self.drop_path * done as f64 / all as f64)?;
                reads = program.out_channels();
                blocks.push((format!("{name}.{}", blocks.len()), program));
                done += 1;
            }
            if !self.stages.get(i + 1).is_some_and(|next| next.joins) {
                stages.push(Stage { name, blocks: std::mem::take(&mut blocks) });
            }
        }
        if self.features > 0 {
            stages.push(Stage::of("conv_head", self.finished(self.last(reads)?)));
        }
        Ok(stages)
    }

    /// The last convolution.
    fn last(&self, reads: usize) -> Result<Program> {
        if self.pooled_head {
            return block(reads, |x| x.conv("conv_head", self.features, k(1).bias()).act(self.act));
        }
        let head = if self.fixed_ends { self.features } else { self.features.max(self.wide(self.features)) };
        block(reads, |x| x.conv("conv_head", head, k(1)).norm("bn2").act(self.act))
    }

    fn check(&self, channels: usize) -> Result<()> {
        let rows = self.stages.first().is_some_and(|row| !row.joins) && self.stages.iter().all(StageRow::possible);
        if channels * self.stem == 0 || !rows {
            return Err(Error::Invalid(
                "efficientnet: needs at least one channel, one row of stages (the first joins none), nothing in it 0, \
                 expand at least 1, squeeze in 0..=1, and odd windows"
                    .into(),
            ));
        }
        if self.pooled_head && self.features == 0 {
            return Err(Error::Invalid("efficientnet: pooled_head needs features of at least one channel".into()));
        }
        for (name, factor) in [("width", self.width), ("depth", self.depth), ("eps", self.eps)] {
            if !(factor > 0.0 && factor.is_finite()) {
                return Err(Error::Invalid(format!("efficientnet: {name} must be above 0, got {factor}")));
            }
        }
        if !(0.0..=1.0).contains(&self.squeeze) {
            return Err(Error::Invalid(format!("efficientnet: squeeze must be in 0..=1, got {}", self.squeeze)));
        }
        let stages = self.stages.iter().filter(|row| !row.joins).count();
        let repeats = (0..self.stages.len()).fold(0usize, |sum, i| sum.saturating_add(self.repeats(i)));
        limits::stages("efficientnet", (1..stages).map(|_| 0).chain([repeats]))?;
        droppable("efficientnet: drop_path", self.drop_path)
    }

    /// Channels as they are after scaling.
    pub(super) fn wide(&self, channels: usize) -> usize {
        rounded(channels as f64 * self.width)
    }

    /// Blocks of row `i` after scaling.
    fn repeats(&self, i: usize) -> usize {
        let fixed = self.fixed_ends && (i == 0 || i + 1 == self.stages.len());
        let depth = if fixed { 1.0 } else { self.depth };
        (self.stages[i].repeats as f64 * depth).ceil() as usize
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The channels and depths of B1 to B7, which timm and the paper's implementation agree on.
    #[test]
    fn scaling_gives_the_sizes_of_the_paper() {
        let scale = |width, depth| {
            let net = EfficientNet { width, depth, ..EfficientNet::default() };
            let channels = [net.stem].into_iter().chain(net.stages.iter().map(|r| r.channels)).chain([net.features]);
            let channels: Vec<usize> = channels.map(|c| net.wide(c)).collect();
            (channels, (0..7).map(|i| net.repeats(i)).collect::<Vec<_>>())
        };
        assert_eq!(scale(1.1, 1.2), (vec![32, 16, 24, 48, 88, 120, 208, 352, 1408], vec![2, 3, 3, 4, 4, 5, 2]));
        assert_eq!(scale(1.4, 1.8), (vec![48, 24, 32, 56, 112, 160, 272, 448, 1792], vec![2, 4, 4, 6, 6, 8, 2]));
        assert_eq!(scale(2.0, 3.1), (vec![64, 32, 48, 80, 160, 224, 384, 640, 2560], vec![4, 7, 7, 10, 10, 13, 4]));
        assert_eq!(scale(1.0, 1.1).1, [2, 3, 3, 4, 4, 5, 2]);
        assert_eq!(scale(1.6, 2.2).1, [3, 5, 5, 7, 7, 9, 3]);
    }

    /// EfficientNet-Lite4 keeps its 32 and 1280 channels, and one block in the first and the last row.
    #[test]
    fn fixed_ends_are_not_scaled() {
        let net = EfficientNet { width: 1.4, depth: 1.8, ..lite() };
        let stages = net.program(3).unwrap();
        let out = |stage: &Stage| stage.blocks.last().unwrap().1.out_channels();
        assert_eq!(stages.iter().map(out).collect::<Vec<_>>(), [32, 24, 32, 56, 112, 160, 272, 448, 1280]);
        assert_eq!(stages.iter().map(|s| s.blocks.len()).collect::<Vec<_>>(), [1, 1, 4, 4, 6, 6, 8, 1, 1]);
    }

    /// Rows that join the one above share its stage's name, as timm counts them.
    #[test]
    fn rows_that_join_share_a_stage() {
        let stages = mobilenet_v3(1280, large_rows()).program(3).unwrap();
        let blocks: Vec<usize> = stages.iter().map(|s| s.blocks.len()).collect();
        assert_eq!(blocks, [1, 1, 2, 3, 4, 2, 3, 1, 1]);
        assert_eq!(stages[4].blocks[3].0, "blocks.3.3");
    }
}
