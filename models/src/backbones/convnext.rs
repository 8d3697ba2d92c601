//! ConvNeXt: Liu et al., "A ConvNet for the 2020s", 2022 (arXiv 2201.03545).
//!
//! Reference implementation: timm 1.0 `convnext_*`, whose variable names and starting values these are. Its sizes below
//! `convnext_tiny` are timm's own, and their linear layers have the shape of 1×1 convolutions. What differs: the layers
//! beside these (overlapping stems, other norms) are left out. V2 is Woo et al., "ConvNeXt V2", 2023 (arXiv 2301.00808).

use super::convolutional::{Convolutional, Stage};
use super::droppable;
use crate::backbone::{Backbone, Family, Preset};
use crate::error::{Error, Result};
use crate::growth::{deeper, wider};
use crate::init::Start;
use crate::layers::LinearStart;
use crate::limits;
use crate::ops::{Act, Flow, Node, Program, block, k};
use candle_core::{D, Tensor};
use candle_nn::{Init, VarBuilder};
use serde::{Deserialize, Serialize};

/// A network of large depthwise windows, layer norms and linear layers.
///
/// | field | default | range |
/// |---|---|---|
/// | `depths` | 3, 3, 9, 3 | blocks of each stage, at least one stage |
/// | `dims` | 96, 192, 384, 768 | channels of each stage |
/// | `act` | gelu | a name of [`Act`] |
/// | `layer_scale` | 1e-6 | where the scale of each block starts; 0 leaves it out |
/// | `conv_mlp` | false | shape of the linear layers' weights: `[O, C, 1, 1]`, else `[O, C]` |
/// | `response_norm` | false | V2's norm of responses behind the activation; V2 has a `layer_scale` of 0 |
/// | `drop_path` | 0 | 0..1, probability of dropping the last block, rising linearly from 0 (Huang et al. 2016) |
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct ConvNext {
    /// Blocks of each stage.
    pub depths: Vec<usize>,
    /// Channels of each stage.
    pub dims: Vec<usize>,
    /// Activation.
    pub act: Act,
    /// Where the scale of each block starts.
    pub layer_scale: f64,
    /// Whether linear layers have the weights of 1×1 convolutions.
    pub conv_mlp: bool,
    /// Whether responses are normalized behind the activation.
    pub response_norm: bool,
    /// Probability of dropping the last block.
    pub drop_path: f64,
}

impl Default for ConvNext {
    fn default() -> Self {
        let (depths, dims, act) = (vec![3, 3, 9, 3], vec![96, 192, 384, 768], Act::Gelu);
        Self { depths, dims, act, layer_scale: 1e-6, conv_mlp: false, response_norm: false, drop_path: 0.0 }
    }
}

/// Added to variances.
const EPS: f64 = 1e-6;

impl Family for ConvNext {
    const HEAD: &str = "head.fc";
    const HEAD_START: LinearStart = LinearStart::unbiased(Start::Normal { std: 0.02 });

    fn presets() -> Vec<Preset<Self>> {
        let (timm, paper) = (Self::timm, Self::paper);
        vec![
            ("convnext_atto", "ConvNeXt of timm's smallest size, 3.7 million parameters.", timm(6, 40)),
            ("convnext_femto", "ConvNeXt of timm's size femto, 5.2 million parameters.", timm(6, 48)),
            ("convnext_pico", "ConvNeXt of timm's size pico, 9 million parameters.", timm(6, 64)),
            ("convnext_nano", "ConvNeXt of timm's size nano, 16 million parameters.", timm(8, 80)),
            ("convnext_tiny", "ConvNeXt-T of the paper, 29 million parameters.", paper(9, 96)),
            ("convnext_small", "ConvNeXt-S of the paper, 50 million parameters.", paper(27, 96)),
            ("convnext_base", "ConvNeXt-B of the paper, 89 million parameters.", paper(27, 128)),
        ]
    }

    fn picture_size(_: &str) -> usize {
        224
    }

    /// Width: `dims`; depth: `depths`.
    fn grown(&self, width: f64, depth: f64) -> Option<Self> {
        let depths = self.depths.iter().map(|&count| deeper(count, depth)).collect();
        let dims = self.dims.iter().map(|&channels| wider(channels, width, 1)).collect();
        Some(Self { depths, dims, ..self.clone() })
    }

    fn build(&self, channels: usize, vb: VarBuilder<'_>) -> Result<Box<dyn Backbone>> {
        self.check(channels)?;
        let neck = block(self.dims[self.dims.len() - 1], |x| x.layer_norm("head.norm", EPS))?;
        let body = Convolutional::new(channels, self.stages(channels)?, vb.clone())?;
        Ok(Box::new(body.with_neck(Stage::of("head.norm", neck), vb)?))
    }
}

impl ConvNext {
    /// timm's form of small sizes: blocks of the third stage, channels of the first.
    pub(super) fn timm(last: usize, width: usize) -> Self {
        Self { depths: vec![2, 2, last, 2], conv_mlp: true, ..Self::paper(last, width) }
    }

    /// The paper's form.
    pub(super) fn paper(last: usize, width: usize) -> Self {
        let dims = vec![width, 2 * width, 4 * width, 8 * width];
        Self { depths: vec![3, 3, last, 3], dims, ..Self::default() }
    }

    fn check(&self, channels: usize) -> Result<()> {
        let (depths, dims) = (&self.depths, &self.dims);
        if channels == 0 || dims.is_empty() || dims.contains(&0) || depths.contains(&0) || depths.len() != dims.len() {
            return Err(Error::Invalid(
                "convnext: needs at least one channel and one stage, and as many depths as dims, none of them 0".into(),
            ));
        }
        if !self.layer_scale.is_finite() {
            return Err(Error::Invalid("convnext: layer_scale must be a number".into()));
        }
        limits::stages("convnext", self.depths.iter().copied())?;
        droppable("convnext: drop_path", self.drop_path)
    }

    /// The network as data.
    fn stages(&self, channels: usize) -> Result<Vec<Stage>> {
        let patch = k(4).pad(0).stride(4).bias();
        let stem = block(channels, |x| x.conv("stem.0", self.dims[0], patch).layer_norm("stem.1", EPS))?;
        let mut stages = vec![Stage::of("stem", started(stem))];
        let all = self.depths.iter().sum::<usize>();
        let (mut reads, mut done) = (self.dims[0], 0);
        for (i, (&depth, &width)) in self.depths.iter().zip(&self.dims).enumerate() {
            let mut blocks = vec![];
            if i > 0 {
                let half = k(2).pad(0).stride(2).bias();
                let program = block(reads, |x| x.layer_norm("downsample.0", EPS).conv("downsample.1", width, half))?;
                blocks.push((format!("stages.{i}"), started(program)));
            }
            for j in 0..depth {
                let drop = self.drop_path * done as f64 / (all - 1).max(1) as f64;
                blocks.push((format!("stages.{i}.blocks.{j}"), started(self.residual(width, drop)?)));
                done += 1;
            }
            stages.push(Stage { name: format!("stages.{i}"), blocks });
            reads = width;
        }
        Ok(stages)
    }

    /// Filter, normalize, expand, project; past it the input.
    fn residual(&self, width: usize, drop: f64) -> Result<Program> {
        block(width, |x| {
            let y = x.depthwise("conv_dw", k(7).bias()).layer_norm("norm", EPS);
            let y = self.linear(y, "mlp.fc1", 4 * width).act(self.act);
            let y = self.linear(if self.response_norm { response_norm(y) } else { y }, "mlp.fc2", width);
            let y = if self.layer_scale == 0.0 { y } else { y.layer_scale("gamma", self.layer_scale) };
            y.drop_path(drop) + x
        })
    }

    fn linear<'a>(&self, x: Flow<'a>, name: &str, out: usize) -> Flow<'a> {
        if self.conv_mlp { x.conv(name, out, k(1).bias()) } else { x.linear(name, out) }
    }
}

/// Global response normalization: every channel times the length of its map, in shares of the mean length; it starts as nothing.
fn response_norm(x: Flow<'_>) -> Flow<'_> {
    let channels = x.channels();
    let [weight, bias] = ["weight", "bias"].map(|name| format!("mlp.grn.{name}"));
    let params = [(weight.as_str(), vec![channels], Init::Const(0.0)), (&bias, vec![channels], Init::Const(0.0))];
    x.plain(channels, &params, |x, own| responses(&x[0], &own[0], &own[1])).written(|graph, x, own| {
        let square = graph.node("Mul", &[x, x], &[]);
        let length = graph.sum(&square, &[2, 3], true);
        let length = graph.root(&length, LEAST as f32);
        let mean = graph.reduced("ReduceMean", &length, 1, true);
        let eps = graph.scalar(EPS as f32);
        let mean = graph.node("Add", &[&mean, &eps], &[]);
        let share = graph.node("Div", &[&length, &mean], &[]);
        let y = graph.node("Mul", &[x, &share], &[]);
        let [weight, bias] = [0, 1].map(|i| graph.reshape(&own[i], &[1, -1, 1, 1]));
        let y = graph.node("Mul", &[&y, &weight], &[]);
        let y = graph.node("Add", &[&y, &bias], &[]);
        graph.node("Add", &[&y, x], &[])
    })
}

/// Added to the square of a length: a channel that is 0 everywhere has a gradient, too.
const LEAST: f64 = 1e-20;

/// `[B, C, H, W]` with a weight and a bias for each channel.
fn responses(x: &Tensor, weight: &Tensor, bias: &Tensor) -> candle_core::Result<Tensor> {
    let length = (x.sqr()?.sum_keepdim((D::Minus1, D::Minus2))? + LEAST)?.sqrt()?;
    let share = length.broadcast_div(&(length.mean_keepdim(1)? + EPS)?)?;
    let [weight, bias] = [weight, bias].map(|t| t.reshape((1, (), 1, 1)));
    x.broadcast_mul(&share)?.broadcast_mul(&weight?)?.broadcast_add(&bias?)? + x
}

/// Weights start normal with deviation 0.02 (the paper truncates them at ±2, a hundred deviations away), biases at 0.
fn started(mut program: Program) -> Program {
    for node in &program.nodes {
        let Node::Conv { weight, bias: Some(bias), .. } = node else { continue };
        program.params[*weight].init = Init::Randn { mean: 0.0, stdev: 0.02 };
        program.params[*bias].init = Init::Const(0.0);
    }
    program
}

#[cfg(test)]
mod tests {
    use super::*;
    use candle_core::{Device, Var};

    /// Central differences, on maps of which one is 0 everywhere.
    #[test]
    fn response_norms_have_the_gradient_of_their_values() {
        let waves = |count: usize, step: f64| (0..count).map(|i| (step * (i + 1) as f64).sin()).collect::<Vec<_>>();
        let tensor = |values: Vec<f64>, shape: &[usize]| Tensor::from_vec(values, shape, &Device::Cpu).unwrap();
        let mut pixels = waves(2 * 3 * 4, 1.7);
        pixels[4..8].fill(0.0);
        let of = [(pixels, vec![2, 3, 2, 2]), (waves(3, 0.9), vec![3]), (waves(3, 2.3), vec![3])];
        let weights = tensor(waves(2 * 3 * 4, 0.6), &[2, 3, 2, 2]);
        let loss = |of: &[Tensor]| (responses(&of[0], &of[1], &of[2]).unwrap() * &weights).unwrap().sum_all().unwrap();
        let vars: Vec<Var> = of.iter().map(|(v, shape)| Var::from_tensor(&tensor(v.clone(), shape)).unwrap()).collect();
        let all: Vec<Tensor> = vars.iter().map(|var| var.as_tensor().clone()).collect();
        let gradients = loss(&all).backward().unwrap();
        for (i, (values, shape)) in of.iter().enumerate() {
            let ours = gradients.get(&vars[i]).unwrap().flatten_all().unwrap().to_vec1::<f64>().unwrap();
            for (j, ours) in ours.iter().enumerate() {
                let moved = |by: f64| {
                    let (mut all, mut values) = (all.clone(), values.clone());
                    values[j] += by;
                    all[i] = tensor(values, shape);
                    loss(&all).to_scalar::<f64>().unwrap()
                };
                // A length has no slope at 0, where it is as steep on either side.
                let want = (moved(1e-7) - moved(-1e-7)) / 2e-7;
                assert!((ours - want).abs() < 1e-6, "{i} {j}: {ours} is not {want}");
            }
        }
    }
}
