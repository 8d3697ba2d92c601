//! Residual networks: He et al., "Deep residual learning for image recognition", 2015 (arXiv 1512.03385), and the
//! relatives that differ in a knob:
//!
//! - ResNeXt, grouped 3×3 convolutions: Xie et al. 2017 (arXiv 1611.05431), `cardinality` and `base_width`;
//! - Wide ResNet for ImageNet, a wider bottleneck: Zagoruyko & Komodakis 2016 (arXiv 1605.07146), `base_width`;
//! - SE-ResNet, squeeze and excitation behind each branch: Hu et al. 2018 (arXiv 1709.01507), `squeeze`;
//! - ResNet-D, a deep stem and a shortcut that averages: He et al. 2019, "Bag of tricks" (arXiv 1812.01187), `stem` and
//!   `shortcut`;
//! - anti-aliased strides: Zhang 2019, "Making convolutional networks shift-invariant again" (arXiv 1904.11486), `blur`.
//!
//! Reference implementations: torchvision 0.26 `resnet18` to `resnet152`, `resnext*` and `wide_resnet*_2` ("v1.5": the
//! stride sits in the 3×3 convolution of the bottleneck), timm 1.0 `resnet50d`, `seresnet50`, `resnetblur50`; the variable
//! names are those of both. For CIFAR the paper's §4.2 networks with parameter-free shortcuts (option A) as in
//! akamaster/pytorch_resnet_cifar10, and kuangliu/pytorch-cifar's ResNet-18 with projections.

use super::convolutional::{Convolutional, Stage};
use super::droppable;
use crate::backbone::{Backbone, Family, Preset};
use crate::error::{Error, Result};
use crate::growth::{deeper, wider};
use crate::limits;
use crate::ops::{Act, Flow, Pool, Program, Window, block, k};
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
    /// Three 3×3 convolutions, the first with stride 2 and all but the last half as wide, and 3×3/2 max-pool.
    Deep,
    /// One 3×3 convolution: the whole side.
    Cifar,
}

/// What carries the input past a unit that changes its shape.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Shortcut {
    /// A 1×1 convolution with batch norm (option B).
    Projection,
    /// The mean of 2×2 pixels, where the side is halved, and the same projection without a stride: no pixel is skipped.
    Average,
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
/// | `stem` | imagenet | imagenet, deep, cifar |
/// | `shortcut` | projection | projection, average, pad |
/// | `cardinality` | 1 | groups of a bottleneck's 3×3 convolution |
/// | `base_width` | 64 | channels of each of these groups for every 64 of the stage |
/// | `squeeze` | 0 | 0..=1, channels of the squeeze as a share of those a unit writes, a multiple of 8; 0 for none |
/// | `blur` | false | whether a blur of 3×3 pixels shrinks the map instead of a convolution or pool with a stride |
/// | `act` | relu | a name of [`Act`] |
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
    /// Groups of a bottleneck's 3×3 convolution.
    pub cardinality: usize,
    /// Channels of each of these groups for every 64 of the stage.
    pub base_width: usize,
    /// Channels of the squeeze as a share of those a unit writes.
    pub squeeze: f64,
    /// Whether strides are anti-aliased.
    pub blur: bool,
    /// Activation.
    pub act: Act,
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
            cardinality: 1,
            base_width: 64,
            squeeze: 0.0,
            blur: false,
            act: Act::Relu,
            zero_gamma: false,
            drop_path: 0.0,
        }
    }
}

impl Family for ResNet {
    const HEAD: &str = "fc";

    fn presets() -> Vec<Preset<Self>> {
        let imagenet = |unit, layers: [usize; 4]| Self { unit, layers: layers.into(), ..Self::default() };
        let bottlenecks = |layers| imagenet(Unit::Bottleneck, layers);
        let d = |layers| Self { stem: Stem::Deep, shortcut: Shortcut::Average, ..bottlenecks(layers) };
        let basic_d = |layers| Self { unit: Unit::Basic, ..d(layers) };
        let wide = |layers| Self { base_width: 128, ..bottlenecks(layers) };
        let next = |layers, base_width| Self { cardinality: 32, base_width, ..bottlenecks(layers) };
        let (r26, r50, r101, r152) = ([2, 2, 2, 2], [3, 4, 6, 3], [3, 4, 23, 3], [3, 8, 36, 3]);
        let squeeze = 1.0 / 16.0;
        let cifar =
            |n| Self { layers: vec![n; 3], width: 16, stem: Stem::Cifar, shortcut: Shortcut::Pad, ..Self::default() };
        vec![
            ("resnet18", "ResNet-18 in torchvision's form.", imagenet(Unit::Basic, [2, 2, 2, 2])),
            ("resnet34", "ResNet-34 in torchvision's form.", imagenet(Unit::Basic, [3, 4, 6, 3])),
            ("resnet50", "ResNet-50 in torchvision's form (v1.5).", bottlenecks(r50)),
            ("resnet101", "ResNet-101 in torchvision's form (v1.5).", bottlenecks(r101)),
            ("resnet152", "ResNet-152 in torchvision's form (v1.5).", bottlenecks(r152)),
            ("resnet18d", "ResNet-18-D in timm's form: deep stem, shortcuts that average.", basic_d([2, 2, 2, 2])),
            ("resnet34d", "ResNet-34-D in timm's form: deep stem, shortcuts that average.", basic_d([3, 4, 6, 3])),
            ("resnet26d", "ResNet-26-D in timm's form: deep stem, shortcuts that average.", d(r26)),
            ("resnet50d", "ResNet-50-D in timm's form: deep stem, shortcuts that average.", d(r50)),
            ("resnet101d", "ResNet-101-D in timm's form: deep stem, shortcuts that average.", d(r101)),
            ("resnet152d", "ResNet-152-D in timm's form: deep stem, shortcuts that average.", d(r152)),
            ("resnext50_32x4d", "ResNeXt-50 with 32 groups of 4 channels.", next(r50, 4)),
            ("resnext101_32x8d", "ResNeXt-101 with 32 groups of 8 channels.", next(r101, 8)),
            (
                "seresnet18",
                "ResNet-18 with squeeze and excitation.",
                Self { squeeze, ..imagenet(Unit::Basic, [2, 2, 2, 2]) },
            ),
            (
                "seresnet34",
                "ResNet-34 with squeeze and excitation.",
                Self { squeeze, ..imagenet(Unit::Basic, [3, 4, 6, 3]) },
            ),
            ("seresnet50", "ResNet-50 with squeeze and excitation.", Self { squeeze, ..bottlenecks(r50) }),
            ("seresnet101", "ResNet-101 with squeeze and excitation.", Self { squeeze, ..bottlenecks(r101) }),
            ("seresnet152", "ResNet-152 with squeeze and excitation.", Self { squeeze, ..bottlenecks(r152) }),
            ("seresnext50_32x4d", "ResNeXt-50 with squeeze and excitation.", Self { squeeze, ..next(r50, 4) }),
            ("wide_resnet50_2", "ResNet-50 with bottlenecks twice as wide.", wide(r50)),
            ("wide_resnet101_2", "ResNet-101 with bottlenecks twice as wide.", wide(r101)),
            ("resnetblur50", "ResNet-50 with anti-aliased strides.", Self { blur: true, ..bottlenecks(r50) }),
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

    fn picture_size(name: &str) -> usize {
        // Of the paper's two kinds, those for CIFAR have three stages.
        let cifar = ["resnet20", "resnet32", "resnet44", "resnet56", "resnet110", "resnet18_cifar"];
        if cifar.contains(&name) { 32 } else { 224 }
    }

    /// Width: `width`, of even channels; depth: `layers`.
    fn grown(&self, width: f64, depth: f64) -> Option<Self> {
        let layers = self.layers.iter().map(|&count| deeper(count, depth)).collect();
        // Pad shortcuts and deep stems halve it.
        Some(Self { layers, width: wider(self.width, width, 2), ..self.clone() })
    }

    fn build(&self, channels: usize, vb: VarBuilder<'_>) -> Result<Box<dyn Backbone>> {
        Ok(Box::new(Convolutional::new(channels, self.stages(channels)?, vb)?))
    }
}

impl ResNet {
    /// The network as data.
    fn stages(&self, channels: usize) -> Result<Vec<Stage>> {
        self.check(channels)?;
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

    fn check(&self, channels: usize) -> Result<()> {
        if self.layers.is_empty() || self.layers.contains(&0) || self.width == 0 || channels == 0 {
            return Err(Error::Invalid("resnet: needs at least one unit per stage and one channel".into()));
        }
        if self.shortcut == Shortcut::Pad && (self.unit != Unit::Basic || !self.width.is_multiple_of(2)) {
            return Err(Error::Invalid("resnet: pad shortcuts need basic units and an even width".into()));
        }
        if self.unit == Unit::Basic && (self.cardinality, self.base_width) != (1, 64) {
            return Err(Error::Invalid("resnet: cardinality and base_width need bottleneck units".into()));
        }
        if self.width * self.base_width < 64 || self.cardinality == 0 {
            return Err(Error::Invalid(
                "resnet: width, base_width and cardinality leave a bottleneck no channel".into(),
            ));
        }
        if !(0.0..=1.0).contains(&self.squeeze) {
            return Err(Error::Invalid(format!("resnet: squeeze must be in 0..=1, got {}", self.squeeze)));
        }
        limits::stages("resnet", self.layers.iter().copied())?;
        droppable("resnet: drop_path", self.drop_path)
    }

    fn stem(&self, channels: usize) -> Result<Program> {
        let (width, half) = (self.width, self.width.div_ceil(2));
        block(channels, |x| match self.stem {
            Stem::Imagenet => self.shrink(x.conv("conv1", width, k(7).stride(2)).norm("bn1").act(self.act)),
            Stem::Deep => {
                let y = x.conv("conv1.0", half, k(3).stride(2)).norm("conv1.1").act(self.act);
                let y = y.conv("conv1.3", half, k(3)).norm("conv1.4").act(self.act);
                self.shrink(y.conv("conv1.6", width, k(3)).norm("bn1").act(self.act))
            }
            Stem::Cifar => x.conv("conv1", width, k(3)).norm("bn1").act(self.act),
        })
    }

    /// The stem's max-pool.
    fn shrink<'a>(&self, x: Flow<'a>) -> Flow<'a> {
        if self.blur { blurred(x.pool(Pool::Max, k(3))) } else { x.pool(Pool::Max, k(3).stride(2)) }
    }

    fn unit(&self, reads: usize, width: usize, stride: usize, drop: f64) -> Result<Program> {
        let gamma = if self.zero_gamma { 0.0 } else { 1.0 };
        block(reads, |x| {
            let y = match self.unit {
                Unit::Basic => self
                    .filter(x, ["conv1", "bn1"], width, k(3).stride(stride))
                    .conv("conv2", width, k(3))
                    .norm_from("bn2", gamma),
                Unit::Bottleneck => {
                    let inner = (width * self.base_width / 64).saturating_mul(self.cardinality);
                    let y = x.conv("conv1", inner, k(1)).norm("bn1").act(self.act);
                    self.filter(y, ["conv2", "bn2"], inner, k(3).stride(stride).groups(self.cardinality))
                        .conv("conv3", 4 * width, k(1))
                        .norm_from("bn3", gamma)
                }
            };
            (self.excite(y).drop_path(drop) + self.past(x, y.channels(), stride)).act(self.act)
        })
    }

    /// The convolution that may have a stride, with its norm and activation.
    fn filter<'a>(&self, x: Flow<'a>, [conv, norm]: [&str; 2], out: usize, at: Window) -> Flow<'a> {
        let blur = self.blur && at.stride > 1;
        let y = x.conv(conv, out, if blur { at.stride(1) } else { at }).norm(norm).act(self.act);
        if blur { blurred(y) } else { y }
    }

    /// Squeeze and excitation. The squeeze is a multiple of 8, and its activation is ReLU whatever the network's.
    fn excite<'a>(&self, x: Flow<'a>) -> Flow<'a> {
        if self.squeeze == 0.0 {
            return x;
        }
        let squeezed = ((x.channels() as f64 * self.squeeze + 4.0) as usize / 8 * 8).max(8);
        let gate = x.global_pool().conv("se.fc1", squeezed, k(1).bias()).relu();
        x.scale(gate.conv("se.fc2", x.channels(), k(1).bias()).act(Act::Sigmoid))
    }

    fn past<'a>(&self, x: Flow<'a>, out: usize, stride: usize) -> Flow<'a> {
        if stride == 1 && x.channels() == out {
            return x;
        }
        match self.shortcut {
            Shortcut::Projection => x.conv("downsample.0", out, k(1).stride(stride)).norm("downsample.1"),
            Shortcut::Average => {
                let half = k(2).pad(0).stride(stride).ceil();
                let x = if stride > 1 { x.pool(Pool::AvgInside, half) } else { x };
                x.conv("downsample.1", out, k(1)).norm("downsample.2")
            }
            // Averaging windows of one pixel takes every other pixel.
            Shortcut::Pad => {
                let added = out - x.channels();
                x.pool(Pool::Avg, k(1).stride(stride)).pad_channels(added / 2, added - added / 2)
            }
        }
    }
}

/// Every other pixel of the map blurred by 1-2-1 in both directions and reflected at its edges: a mean of two pixels of
/// a mean of two. Beyond an edge the inner means repeat their outermost one, so there it stands for both.
fn blurred(x: Flow<'_>) -> Flow<'_> {
    x.pool(Pool::Avg, k(2).pad(0)).pool(Pool::AvgInside, k(2).stride(2))
}
