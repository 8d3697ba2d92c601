//! Vision transformers: Dosovitskiy et al., "An image is worth 16×16 words", 2020 (arXiv 2010.11929); Touvron et al.,
//! "Training data-efficient image transformers & distillation through attention", 2020 (arXiv 2012.12877: DeiT, the same
//! networks with other training).
//!
//! Reference implementation: timm 1.0 `vit_*_patch16_224` and `deit_*_patch16_224`, whose variable names and starting
//! values these are. Pictures may have any size, as with timm's `dynamic_img_size` and `dynamic_img_pad`: zeros are added
//! at the lower and right sides up to whole patches, and the position embedding is resampled. What differs: dropout inside
//! the blocks and the networks with a distillation token are left out. Taps see the tokens, `[B, 1, 1 + h·w, C]`.

use super::convolutional::{Sequence, Stage, on_vectors, pixels_first};
use super::droppable;
use crate::backbone::{Backbone, Family, Preset};
use crate::error::{Error, Result};
use crate::growth::{deeper, wider};
use crate::init::Start;
use crate::layers::LinearStart;
use crate::limits;
use crate::onnx::{Graph, Value};
use crate::ops::{Act, Node, Program, block, k, linear};
use crate::pass::Pass;
use crate::summary::Layer;
use candle_core::{DType, Device, Tensor};
use candle_nn::{Init, VarBuilder};
use serde::{Deserialize, Serialize};

/// What the head reads.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Pooling {
    /// The class token; the map of features is one pixel.
    Token,
    /// The mean over all patches, timm's `avg`.
    Mean,
}

/// A vision transformer.
///
/// | field | default | range |
/// |---|---|---|
/// | `size` | 224 | a multiple of `patch`, side of the pictures that the stored position embedding is for |
/// | `patch` | 16 | at least 1, side of a patch |
/// | `width` | 768 | a multiple of `heads`, channels of a token |
/// | `depth` | 12 | at least 1, blocks |
/// | `heads` | 12 | at least 1, heads of attention |
/// | `mlp` | 4 | above 0, channels between the two linear layers as a multiple of `width` |
/// | `act` | gelu | a name of [`Act`] |
/// | `pooling` | token | token, mean |
/// | `drop_path` | 0 | 0..1, probability of dropping the last block's branches, rising linearly from 0 (Huang et al. 2016) |
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Vit {
    /// Side of the pictures that the stored position embedding is for.
    pub size: usize,
    /// Side of a patch.
    pub patch: usize,
    /// Channels of a token.
    pub width: usize,
    /// Blocks.
    pub depth: usize,
    /// Heads of attention.
    pub heads: usize,
    /// Channels between the two linear layers as a multiple of `width`.
    pub mlp: f64,
    /// Activation.
    pub act: Act,
    /// What the head reads.
    pub pooling: Pooling,
    /// Probability of dropping the last block's branches.
    pub drop_path: f64,
}

impl Default for Vit {
    fn default() -> Self {
        let (act, pooling, drop_path) = (Act::Gelu, Pooling::Token, 0.0);
        Self { size: 224, patch: 16, width: 768, depth: 12, heads: 12, mlp: 4.0, act, pooling, drop_path }
    }
}

/// Added to variances.
const EPS: f64 = 1e-6;

impl Family for Vit {
    const HEAD: &str = "head";
    const HEAD_START: LinearStart = LinearStart::unbiased(Start::Normal { std: 0.02 });

    fn presets() -> Vec<Preset<Self>> {
        let of = |width, heads| Self { width, heads, ..Self::default() };
        vec![
            ("vit_tiny_patch16_224", "ViT-Ti/16, 6 million parameters.", of(192, 3)),
            ("vit_small_patch16_224", "ViT-S/16, 22 million parameters.", of(384, 6)),
            ("vit_base_patch16_224", "ViT-B/16 of the paper, 87 million parameters.", of(768, 12)),
            ("deit_tiny_patch16_224", "DeiT-Ti: ViT-Ti/16 with weights of its own.", of(192, 3)),
            ("deit_small_patch16_224", "DeiT-S: ViT-S/16 with weights of its own.", of(384, 6)),
            ("deit_base_patch16_224", "DeiT-B: ViT-B/16 with weights of its own.", of(768, 12)),
        ]
    }

    fn picture_size(_: &str) -> usize {
        224
    }

    /// Width: `width` in whole `heads`; depth: `depth`.
    fn grown(&self, width: f64, depth: f64) -> Option<Self> {
        let heads = wider(self.heads, width, 1);
        // As many channels a head as before.
        Some(Self {
            heads,
            width: self.width / self.heads.max(1) * heads,
            depth: deeper(self.depth, depth),
            ..self.clone()
        })
    }

    fn build(&self, channels: usize, vb: VarBuilder<'_>) -> Result<Box<dyn Backbone>> {
        self.check(channels)?;
        let patch = k(self.patch).pad(0).stride(self.patch).bias();
        let embed = block(channels, |x| x.conv("patch_embed.proj", self.width, patch))?;
        let embed = Sequence::new(channels, vec![Stage::of("patch_embed", started(embed))], vb.clone())?;
        let blocks = (0..self.depth).map(|i| {
            let name = format!("blocks.{i}");
            Ok(Stage { name: name.clone(), blocks: vec![(name, started(self.residual(i)?))] })
        });
        let blocks = Sequence::new(self.width, blocks.collect::<Result<_>>()?, vb.clone())?;
        let name = if self.pooling == Pooling::Token { "norm" } else { "fc_norm" };
        let norm = block(self.width, |x| x.layer_norm(name, EPS))?;
        let norm = Sequence::new(self.width, vec![Stage::of(name, norm)], vb.clone())?;
        let tokens = 1 + (self.size / self.patch).pow(2);
        let start = |stdev| Init::Randn { mean: 0.0, stdev };
        let cls_token = vb.get_with_hints((1, 1, self.width), "cls_token", start(1e-6))?;
        let pos_embed = vb.get_with_hints((1, tokens, self.width), "pos_embed", start(0.02))?;
        Ok(Box::new(Transformer { config: self.clone(), channels, embed, cls_token, pos_embed, blocks, norm }))
    }
}

impl Vit {
    fn check(&self, channels: usize) -> Result<()> {
        let whole = ![channels, self.size, self.patch, self.width, self.depth, self.heads].contains(&0);
        if !whole || !self.size.is_multiple_of(self.patch) || !self.width.is_multiple_of(self.heads) {
            return Err(Error::Invalid(format!(
                "vit: needs at least one channel, block and head, a size ({}) of whole patches ({}), and a width ({}) that \
                 divides into heads ({})",
                self.size, self.patch, self.width, self.heads
            )));
        }
        if !(self.mlp.is_finite() && self.mlp * self.width as f64 >= 1.0) {
            return Err(Error::Invalid(format!("vit: mlp must leave at least one channel, got {}", self.mlp)));
        }
        limits::stages("vit", [self.depth])?;
        droppable("vit: drop_path", self.drop_path)
    }

    /// Attention, then two linear layers, each behind a norm and beside its input.
    fn residual(&self, index: usize) -> Result<Program> {
        let drop = self.drop_path * index as f64 / (self.depth - 1).max(1) as f64;
        let inner = (self.width as f64 * self.mlp) as usize;
        block(self.width, |x| {
            let y = x.layer_norm("norm1", EPS).linear("attn.qkv", 3 * self.width).attention(self.heads);
            let x = y.linear("attn.proj", self.width).drop_path(drop) + x;
            let y = x.layer_norm("norm2", EPS).linear("mlp.fc1", inner).act(self.act);
            y.linear("mlp.fc2", self.width).drop_path(drop) + x
        })
    }
}

/// Linear layers start normal with deviation 0.02 (timm truncates them at ±2, a hundred deviations away) and bias 0, the
/// patches' convolution as PyTorch's.
fn started(mut program: Program) -> Program {
    for node in &program.nodes {
        let Node::Conv { weight, bias: Some(bias), .. } = node else { continue };
        if program.params[*weight].shape.len() == 2 {
            program.params[*weight].init = Init::Randn { mean: 0.0, stdev: 0.02 };
            program.params[*bias].init = Init::Const(0.0);
        } else {
            program.params[*weight].init = program.params[*bias].init;
        }
    }
    program
}

struct Transformer {
    config: Vit,
    channels: usize,
    embed: Sequence,
    cls_token: Tensor,
    pos_embed: Tensor,
    blocks: Sequence,
    norm: Sequence,
}

impl Transformer {
    /// Patches `[B, h, w, C]` → tokens `[B, 1 + h·w, C]` that know where they are.
    fn tokens(&self, map: &Tensor, pass: &Pass<'_>) -> candle_core::Result<Tensor> {
        let (b, h, w, c) = map.dims4()?;
        let own = |t: &Tensor| pass.parameter(t).to_dtype(map.dtype());
        let (cls_token, pos_embed) = (own(&self.cls_token)?, own(&self.pos_embed)?);
        let side = self.config.size / self.config.patch;
        let places = resampled(&pos_embed.narrow(1, 1, side * side)?.squeeze(0)?, side, (h, w))?;
        let first = (cls_token + pos_embed.narrow(1, 0, 1)?)?.broadcast_as((b, 1, c))?;
        Tensor::cat(&[&first, &map.reshape((b, h * w, c))?.broadcast_add(&places)?], 1)
    }
}

impl Backbone for Transformer {
    fn features(&self, x: &Tensor, pass: &mut Pass<'_>) -> candle_core::Result<Tensor> {
        let mut x = pixels_first(x, self.channels)?;
        for axis in [1, 2] {
            let side = x.dim(axis)?;
            x = x.pad_with_zeros(axis, 0, side.next_multiple_of(self.config.patch) - side)?;
        }
        // They belong to the first stage.
        let own = if pass.freeze > 0 { Pass::eval() } else { pass.untapped() };
        let map = self.embed.forward(&x, pass)?;
        let (b, h, w, c) = map.dims4()?;
        let tokens = self.tokens(&map, &own)?.reshape((b, 1, 1 + h * w, c))?;
        let tokens = self.blocks.forward(&tokens, pass)?;
        match self.config.pooling {
            Pooling::Token => tokens.narrow(2, 0, 1)?.permute((0, 3, 1, 2)),
            Pooling::Mean => tokens.narrow(2, 1, h * w)?.reshape((b, h, w, c))?.permute((0, 3, 1, 2)),
        }
    }

    fn width(&self) -> usize {
        self.config.width
    }

    fn neck(&self, pooled: &Tensor, pass: &mut Pass<'_>) -> candle_core::Result<Tensor> {
        on_vectors(&self.norm, pooled, pass)
    }

    fn onnx(&self, graph: &mut Graph, images: &Value, (height, width): (usize, usize)) -> Result<Value> {
        let (c, patch) = (self.config.width, self.config.patch);
        let (h, w) = (height.div_ceil(patch), width.div_ceil(patch));
        let far = [h * patch - height, w * patch - width].map(|side| side as i64);
        let mut x = images.clone();
        if far != [0, 0] {
            let pads = graph.ints(&[0, 0, 0, 0, 0, 0, far[0], far[1]]);
            x = graph.node("Pad", &[&x, &pads], &[]);
        }
        let map = self.embed.onnx(graph, &x, (h * patch, w * patch))?;
        let zeros = Tensor::zeros((1, h, w, c), DType::F32, &Device::Cpu)?;
        let tokens = placed(graph, &map, h * w, &self.tokens(&zeros, &Pass::eval())?.squeeze(0)?)?;
        let tokens = self.blocks.onnx(graph, &tokens, (1, 1 + h * w))?;
        Ok(match self.config.pooling {
            Pooling::Token => graph.slice(&tokens, 3, 0, 1),
            Pooling::Mean => {
                let map = graph.slice(&tokens, 3, 1, 1 + h * w);
                graph.reshape(&map, &[0, c as i64, h as i64, w as i64])
            }
        })
    }

    fn neck_onnx(&self, graph: &mut Graph, pooled: &Value) -> Result<Value> {
        self.norm.onnx(graph, pooled, (1, 1))
    }

    fn stages(&self) -> Vec<(String, Vec<String>)> {
        let mut stages = self.embed.stages();
        for (_, variables) in &mut stages {
            variables.extend(["cls_token".into(), "pos_embed".into()]);
        }
        stages.extend(self.blocks.stages());
        stages.extend(self.norm.stages());
        stages
    }

    fn map(&self, (height, width): (usize, usize)) -> Result<(usize, usize)> {
        Ok((1, 1 + height.div_ceil(self.config.patch) * width.div_ceil(self.config.patch)))
    }

    fn layers(&self, (height, width): (usize, usize)) -> Result<Vec<Layer>> {
        let mut layers = vec![];
        let whole = |side: usize| side.next_multiple_of(self.config.patch);
        let (h, w) = self.embed.layers((whole(height), whole(width)), &mut layers)?;
        layers.push(Layer {
            name: "pos_embed".into(),
            kind: "embedding",
            output: vec![self.config.width, 1, 1 + h * w],
            parameters: self.cls_token.elem_count() + self.pos_embed.elem_count(),
            multiply_adds: 0,
        });
        self.blocks.layers((1, 1 + h * w), &mut layers)?;
        self.norm.layers((1, 1), &mut layers)?;
        Ok(layers)
    }
}

/// A map `[batch, C, h, w]` of `patches` as tokens `[batch, C, 1, T]` in the operators of ONNX: `added` `[T, C]` is all that is
/// added to them, and those in front of the patches are nothing else.
pub(super) fn placed(graph: &mut Graph, map: &Value, patches: usize, added: &Tensor) -> Result<Value> {
    let (count, c) = added.dims2()?;
    let map = graph.reshape(map, &[0, c as i64, 1, patches as i64]);
    let places = graph.tensor("pos_embed", &added.t()?.contiguous()?.reshape((1, c, 1, count))?)?;
    let pads = graph.ints(&[0, 0, 0, (count - patches) as i64, 0, 0, 0, 0]);
    let tokens = graph.node("Pad", &[&map, &pads], &[]);
    Ok(graph.node("Add", &[&tokens, &places], &[]))
}

/// Position embeddings `[side², C]` of a square of patches for `h × w` patches, `[h·w, C]`: timm's `resample_abs_pos_embed`.
pub(crate) fn resampled(places: &Tensor, side: usize, (h, w): (usize, usize)) -> candle_core::Result<Tensor> {
    if (h, w) == (side, side) {
        return Ok(places.clone());
    }
    let (rows, columns) = (bicubic(side, h), bicubic(side, w));
    let weights = rows.iter().flat_map(|row| {
        columns.iter().flat_map(move |column| row.iter().flat_map(move |r| column.iter().map(move |c| r * c)))
    });
    let weights = Tensor::from_vec(weights.collect::<Vec<f64>>(), (h * w, side * side), &Device::Cpu)?;
    let weights = weights.to_dtype(places.dtype())?.to_device(places.device())?;
    linear(&places.t()?.contiguous()?, &weights, None)?.t()?.contiguous()
}

/// What each of `out` outputs takes from each of `side` inputs: Keys' cubic with a = −½, stretched to the size of an output
/// where that is larger than an input, as PyTorch's `interpolate` with antialiasing.
fn bicubic(side: usize, out: usize) -> Vec<Vec<f64>> {
    let scale = side as f64 / out as f64;
    let stretch = scale.max(1.0);
    let curve = |x: f64| match x.abs() {
        x if x < 1.0 => (1.5 * x - 2.5) * x * x + 1.0,
        x if x < 2.0 => ((-0.5 * x + 2.5) * x - 4.0) * x + 2.0,
        _ => 0.0,
    };
    let row = |i: usize| {
        let center = (i as f64 + 0.5) * scale;
        let mut row: Vec<f64> = (0..side).map(|j| curve((j as f64 + 0.5 - center) / stretch)).collect();
        let total: f64 = row.iter().sum();
        row.iter_mut().for_each(|v| *v /= total);
        row
    };
    (0..out).map(row).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// `interpolate` of PyTorch 2.11 (bicubic, antialias) of seven square numbers.
    #[test]
    fn resampling_is_pytorch_s() {
        let squares: Vec<f64> = (0..7).map(|i| f64::from(i * i)).collect();
        let of = |out| -> Vec<f64> {
            bicubic(7, out).iter().map(|row| row.iter().zip(&squares).map(|(w, v)| w * v).sum()).collect()
        };
        let close = |ours: Vec<f64>, want: &[f64]| {
            assert_eq!(ours.len(), want.len());
            assert!(ours.iter().zip(want).all(|(a, b)| (a - b).abs() < 1e-6), "{ours:?}");
        };
        close(of(3), &[0.677_419_4, 9.363_858_4, 28.064_516_1]);
        let wide =
            [-0.060_570_1, 0.339_293_1, 1.5625, 3.8025, 7.0225, 11.2225, 16.4025, 22.5625, 30.720_442_8, 36.666_270_8];
        close(of(10), &wide);
    }
}
