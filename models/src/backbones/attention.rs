//! Residual attention networks: Wang et al., "Residual attention network for image classification", 2017
//! (arXiv 1704.06904).
//!
//! Reference implementation: tengshaofeng/ResidualAttentionNetwork-pytorch, written once more in
//! `xtask/fixtures/attention.py`. What differs: no unit has a shortcut convolution that it does not use; the CIFAR form
//! has the paper's depths, and channels that give the paper's sizes; names of variables are ours.

use super::convolutional::{Convolutional, Stage};
use crate::backbone::{Backbone, Family, Preset};
use crate::error::{Error, Result};
use crate::growth::{deeper, wider};
use crate::limits;
use crate::ops::{Act, Flow, Pool, Program, Upsample, block, k};
use candle_core::Tensor;
use candle_nn::VarBuilder;
use serde::{Deserialize, Serialize};

/// The paper's two networks.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Form {
    /// 7×7/2 convolution and 3×3/2 max-pool; a last stage of twice the channels and half the side.
    Imagenet,
    /// One 3×3 convolution; a last stage like the one before.
    Cifar,
}

/// What makes a mask of its features (§3.2 of the paper).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Attention {
    /// A sigmoid of every value.
    Mixed,
    /// Every pixel divided by the length of its vector of channels.
    Channel,
    /// A sigmoid of every channel's map, brought to mean 0 and deviation 1.
    Spatial,
}

/// A residual attention network.
///
/// | field | default | range |
/// |---|---|---|
/// | `form` | imagenet | imagenet, cifar |
/// | `modules` | 1, 1, 1 | attention modules per stage |
/// | `width` | 64 | channels of the stem; the first stage has four times those, each further one doubles them |
/// | `act` | relu | a name of [`Act`] |
/// | `attention` | mixed | mixed, channel, spatial |
/// | `residual` | true | (1 + mask) · trunk; false is mask · trunk ("naive attention learning") |
///
/// A module of stage `i` halves its map `n − i` times on the way to the mask; `n` is the number of stages, one less in the
/// CIFAR form.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct ResidualAttention {
    /// Which of the two networks.
    pub form: Form,
    /// Attention modules per stage.
    pub modules: Vec<usize>,
    /// Channels of the stem.
    pub width: usize,
    /// Activation.
    pub act: Act,
    /// What makes a mask.
    pub attention: Attention,
    /// Whether what is masked is added.
    pub residual: bool,
}

impl Default for ResidualAttention {
    fn default() -> Self {
        let (form, attention) = (Form::Imagenet, Attention::Mixed);
        Self { form, modules: vec![1, 1, 1], width: 64, act: Act::Relu, attention, residual: true }
    }
}

impl Family for ResidualAttention {
    const HEAD: &str = "fc";

    fn presets() -> Vec<Preset<Self>> {
        let cifar = |m| Self { form: Form::Cifar, modules: vec![m; 3], width: 16, ..Self::default() };
        vec![
            ("attention56", "Attention-56 of the paper, made for 224 pixels.", Self::default()),
            (
                "attention92",
                "Attention-92 of the paper, made for 224 pixels.",
                Self { modules: vec![1, 2, 3], ..Self::default() },
            ),
            ("attention_cifar", "Attention-92 for 32-pixel pictures, the paper's usual one.", cifar(2)),
            ("attention56_cifar", "Attention-56 for 32-pixel pictures: one module a stage.", cifar(1)),
            ("attention92_cifar", "Attention-92 for 32-pixel pictures: two modules a stage.", cifar(2)),
            ("attention128_cifar", "Attention-128 for 32-pixel pictures: three modules a stage.", cifar(3)),
            ("attention164_cifar", "Attention-164 for 32-pixel pictures: four modules a stage.", cifar(4)),
            ("attention236_cifar", "Attention-236 for 32-pixel pictures: six modules a stage.", cifar(6)),
            ("attention452_cifar", "Attention-452 for 32-pixel pictures: twelve modules a stage.", cifar(12)),
        ]
    }

    fn picture_size(name: &str) -> usize {
        if name.ends_with("cifar") { 32 } else { 224 }
    }

    /// Width: `width`; depth: `modules`.
    fn grown(&self, width: f64, depth: f64) -> Option<Self> {
        let modules = self.modules.iter().map(|&count| deeper(count, depth)).collect();
        Some(Self { modules, width: wider(self.width, width, 1), ..self.clone() })
    }

    fn build(&self, channels: usize, vb: VarBuilder<'_>) -> Result<Box<dyn Backbone>> {
        Ok(Box::new(Convolutional::new(channels, self.stages(channels)?, vb)?))
    }
}

impl ResidualAttention {
    /// The network as data.
    fn stages(&self, channels: usize) -> Result<Vec<Stage>> {
        if self.modules.is_empty() || self.width == 0 || channels == 0 {
            return Err(Error::Invalid("attention: needs at least one stage and one channel".into()));
        }
        limits::stages("attention", self.modules.iter().copied())?;
        let count = self.modules.len();
        let stem = block(channels, |x| match self.form {
            Form::Imagenet => {
                x.conv("conv1", self.width, k(7).stride(2)).norm("bn1").act(self.act).pool(Pool::Max, k(3).stride(2))
            }
            Form::Cifar => x.conv("conv1", self.width, k(3)).norm("bn1").act(self.act),
        })?;
        let mut stages = vec![Stage { name: "stem".into(), blocks: vec![(String::new(), stem)] }];
        let mut reads = self.width;
        for (i, &modules) in self.modules.iter().enumerate() {
            let (width, stride) = ((4 * self.width) << i, if i == 0 { 1 } else { 2 });
            let halvings = if self.form == Form::Imagenet { count - i } else { count - i - 1 };
            let way_in = block(reads, |x| self.unit(x, "", width, stride))?;
            let mut blocks = vec![(format!("residual_block{}", i + 1), way_in)];
            for j in 0..modules {
                blocks.push((format!("attention_module{}.{j}", i + 1), self.module(width, halvings)?));
            }
            stages.push(Stage { name: format!("stage{}", i + 1), blocks });
            reads = width;
        }
        let (width, stride) = if self.form == Form::Imagenet { (2 * reads, 2) } else { (reads, 1) };
        let end = block(reads, |x| {
            let units = [("0", stride), ("1", 1), ("2", 1)];
            let y = units.into_iter().fold(x, |x, (name, stride)| self.unit(x, name, width, stride));
            y.norm("bn").act(self.act)
        })?;
        stages.push(Stage { name: format!("stage{}", count + 1), blocks: vec![("residual_blocks".into(), end)] });
        Ok(stages)
    }

    /// A unit, the trunk of two and the mask beside it, and a unit behind both.
    fn module(&self, channels: usize, halvings: usize) -> Result<Program> {
        block(channels, |x| {
            let same = |x, name: &str| self.unit(x, name, channels, 1);
            let x = same(x, "first");
            let trunk = same(same(x, "trunk.0"), "trunk.1");
            let seen = match halvings {
                0 => same(same(x, "middle.0"), "middle.1"),
                _ => self.hourglass(x, 1, halvings) + trunk,
            };
            let seen = seen.norm("mask.bn1").act(self.act).conv("mask.conv1", channels, k(1));
            let mask = self.mask(seen.norm("mask.bn2").act(self.act).conv("mask.conv2", channels, k(1)));
            let masked = mask * trunk;
            same(if self.residual { masked + trunk } else { masked }, "last")
        })
    }

    fn mask<'a>(&self, x: Flow<'a>) -> Flow<'a> {
        match self.attention {
            Attention::Mixed => x.act(Act::Sigmoid),
            Attention::Channel => x.plain(x.channels(), &[], |x, _| unit_length(&x[0])).written(|graph, x, _| {
                let square = graph.node("Mul", &[x, x], &[]);
                let sum = graph.sum(&square, &[1], true);
                let length = graph.root(&sum, 1e-12);
                graph.node("Div", &[x, &length], &[])
            }),
            Attention::Spatial => {
                let y = x.plain(x.channels(), &[], |x, _| standardized(&x[0])).written(|graph, x, _| {
                    let mean = graph.mean(x);
                    let centered = graph.node("Sub", &[x, &mean], &[]);
                    let square = graph.node("Mul", &[&centered, &centered], &[]);
                    let variance = graph.mean(&square);
                    let deviation = graph.root(&variance, 1e-5);
                    graph.node("Div", &[&centered, &deviation], &[])
                });
                y.act(Act::Sigmoid)
            }
        }
    }

    /// The pre-activation bottleneck; a shortcut convolution reads the activated input.
    fn unit<'a>(&self, x: Flow<'a>, name: &str, out: usize, stride: usize) -> Flow<'a> {
        let name = |part: &str| if name.is_empty() { part.into() } else { format!("{name}.{part}") };
        let active = x.norm(&name("bn1")).act(self.act);
        let y = active.conv(&name("conv1"), out / 4, k(1)).norm(&name("bn2")).act(self.act);
        let y = y.conv(&name("conv2"), out / 4, k(3).stride(stride)).norm(&name("bn3")).act(self.act);
        let y = y.conv(&name("conv3"), out, k(1));
        if stride == 1 && x.channels() == out {
            y + x
        } else {
            y + active.conv(&name("conv4"), out, k(1).stride(stride))
        }
    }

    /// Down by half, further down inside if there is room, and up again to the size of `x`.
    fn hourglass<'a>(&self, x: Flow<'a>, level: usize, halvings: usize) -> Flow<'a> {
        let same = |x: Flow<'a>, name: &str| self.unit(x, name, x.channels(), 1);
        let down = x.pool(Pool::Max, k(3).stride(2));
        let y = if level == halvings {
            same(same(down, "middle.0"), "middle.1")
        } else {
            let down = same(down, &format!("down{level}"));
            let inside = self.hourglass(down, level + 1, halvings) + down;
            same(inside + same(down, &format!("skip{level}")), &format!("up{level}"))
        };
        y.upsample(Upsample::Bilinear { align_corners: true }, x)
    }
}

/// `[B, C, H, W]`, every pixel's channels divided by their length.
fn unit_length(x: &Tensor) -> candle_core::Result<Tensor> {
    x.broadcast_div(&(x.sqr()?.sum_keepdim(1)? + 1e-12)?.sqrt()?)
}

/// `[B, C, H, W]`, every map less its mean, divided by its deviation.
fn standardized(x: &Tensor) -> candle_core::Result<Tensor> {
    let mean = |x: &Tensor| x.mean_keepdim((2, 3));
    let centered = x.broadcast_sub(&mean(x)?)?;
    centered.broadcast_div(&(mean(&centered.sqr()?)? + 1e-5)?.sqrt()?)
}
