//! Networks of `candle_transformers` that see and never learn: extractors of features, and teachers.
//!
//! | network | paper | names of the variables |
//! |---|---|---|
//! | DINOv2 | Oquab et al., "DINOv2: Learning robust visual features without supervision", 2023 (arXiv 2304.07193) | timm |
//! | with registers | Darcet et al., "Vision transformers need registers", 2023 (arXiv 2309.16588) | timm |
//! | ViT | Dosovitskiy et al., "An image is worth 16×16 words", 2020 (arXiv 2010.11929) | transformers |
//! | ConvNeXt | Liu et al., "A ConvNet for the 2020s", 2022 (arXiv 2201.03545) | timm |
//! | ConvNeXt V2 | Woo et al., "ConvNeXt V2", 2023 (arXiv 2301.00808) | timm |
//!
//! Reference implementation: `candle_transformers` 0.11 itself; timm 1.0 says the same. A map is one pixel, which holds what
//! stands before the network's own classifier: DINOv2's class token and the mean of its patches, as its authors train
//! linear heads on; ViT's class token; ConvNeXt's normalized mean. Without [pretrained](crate::pretrained) weights all of them
//! see noise. What differs: candle's DINOv2 computes GELU by its tanh form, which moves features by 2e-4 of their length; the one
//! without registers adds 1e-5 to variances where the paper's code adds 1e-6. Position embeddings are resampled as timm does,
//! where candle takes the nearest, or none but its own size.

use super::convnext::ConvNext;
use super::convolutional::{Sequence, Stage};
use super::vit::{placed, resampled};
use crate::backbone::{Backbone, Family, Preset};
use crate::error::{Error, Result};
use crate::limits;
use crate::onnx::{Graph, Value};
use crate::ops::{Act, Flow, Program, block, concat, k};
use crate::pass::Pass;
use crate::summary::Layer;
use candle_core::{DType, Device, Module, Shape, Tensor, bail};
use candle_nn::var_builder::SimpleBackend;
use candle_nn::{Activation, Init, VarBuilder};
use candle_transformers::models::{convnext, dinov2, dinov2reg4, vit};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::sync::{Mutex, PoisonError};

/// A network of candle-transformers; the preset says which one, its fields are those of that network.
///
/// | field | default | range |
/// |---|---|---|
/// | `network` | the preset's | dinov2, vit, convnext |
/// | `width` | the preset's | a multiple of `heads`, channels of a token (dinov2, vit) |
/// | `depth` | the preset's | at least 1, blocks (dinov2, vit) |
/// | `heads` | the preset's | at least 1, heads of attention (dinov2, vit) |
/// | `registers` | the preset's | four more tokens, which belong to no patch; pictures have 518 pixels then (dinov2) |
/// | `size` | the preset's | atto, nano, tiny, small, base (convnext) |
/// | `response_norm` | the preset's | V2's norm in place of the scale of each block (convnext) |
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(tag = "network", rename_all = "snake_case", deny_unknown_fields)]
pub enum Frozen {
    /// DINOv2, of patches of 14 pixels.
    Dinov2 {
        /// Channels of a token.
        width: usize,
        /// Blocks.
        depth: usize,
        /// Heads of attention.
        heads: usize,
        /// Whether four tokens belong to no patch.
        registers: bool,
    },
    /// Google's vision transformer, of patches of 16 pixels.
    Vit {
        /// Channels of a token.
        width: usize,
        /// Blocks.
        depth: usize,
        /// Heads of attention.
        heads: usize,
    },
    /// ConvNeXt.
    Convnext {
        /// Depths and widths.
        size: Size,
        /// Whether it is V2.
        response_norm: bool,
    },
}

/// Depths and widths of a ConvNeXt.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Size {
    /// 3.7 million parameters.
    Atto,
    /// 16 million parameters.
    Nano,
    /// 29 million parameters.
    Tiny,
    /// 50 million parameters.
    Small,
    /// 89 million parameters.
    Base,
}

/// Side of the pictures that DINOv2's stored position embedding is for.
const DINO: usize = 518;
/// Side of the pictures that ViT's stored position embedding is for.
const VIT: usize = 224;
/// Most channels of a token.
const MOST_WIDTH: usize = 8192;

impl Family for Frozen {
    const HEAD: &str = "head.fc";

    /// transformers has its own, as the rest of its ViT's names.
    fn head(name: &str) -> &'static str {
        if name.starts_with("frozen_vit") { "classifier" } else { Self::HEAD }
    }

    fn presets() -> Vec<Preset<Self>> {
        let dinov2 = |width, heads, registers| Self::Dinov2 { width, depth: 12, heads, registers };
        let convnext = |size, response_norm| Self::Convnext { size, response_norm };
        let (v1, v2) = (|size| convnext(size, false), |size| convnext(size, true));
        vec![
            (
                "frozen_dinov2",
                "DINOv2 ViT-S/14 that never learns, the same as frozen_dinov2_small.",
                dinov2(384, 6, false),
            ),
            ("frozen_dinov2_small", "DINOv2 ViT-S/14 that never learns, 22 million parameters.", dinov2(384, 6, false)),
            ("frozen_dinov2_base", "DINOv2 ViT-B/14 that never learns, 87 million parameters.", dinov2(768, 12, false)),
            ("frozen_dinov2reg4_small", "DINOv2 ViT-S/14 with registers that never learns.", dinov2(384, 6, true)),
            ("frozen_dinov2reg4_base", "DINOv2 ViT-B/14 with registers that never learns.", dinov2(768, 12, true)),
            (
                "frozen_vit_base",
                "ViT-B/16 that never learns, 86 million parameters.",
                Self::Vit { width: 768, depth: 12, heads: 12 },
            ),
            ("frozen_convnext_tiny", "ConvNeXt-T that never learns, 28 million parameters.", v1(Size::Tiny)),
            ("frozen_convnext_small", "ConvNeXt-S that never learns, 49 million parameters.", v1(Size::Small)),
            ("frozen_convnext_base", "ConvNeXt-B that never learns, 88 million parameters.", v1(Size::Base)),
            (
                "frozen_convnextv2_atto",
                "ConvNeXt V2 of size atto that never learns, 3.4 million parameters.",
                v2(Size::Atto),
            ),
            (
                "frozen_convnextv2_nano",
                "ConvNeXt V2 of size nano that never learns, 15 million parameters.",
                v2(Size::Nano),
            ),
            (
                "frozen_convnextv2_tiny",
                "ConvNeXt V2 of size tiny that never learns, 28 million parameters.",
                v2(Size::Tiny),
            ),
            (
                "frozen_convnextv2_base",
                "ConvNeXt V2 of size base that never learns, 88 million parameters.",
                v2(Size::Base),
            ),
        ]
    }

    fn picture_size(name: &str) -> usize {
        if name.contains("reg4") { DINO } else { 224 }
    }

    fn build(&self, channels: usize, vb: VarBuilder<'_>) -> Result<Box<dyn Backbone>> {
        self.check(channels)?;
        let (dtype, device) = (vb.dtype(), vb.device().clone());
        let variables = Mutex::new(BTreeMap::new());
        // Candle's network asks for its variables; it is made again when it is used.
        let taken = |name: &str, shape: Shape, init: Init| {
            let variable = vb.get_with_hints(shape, name, start(name, init))?.detach();
            variables.lock().unwrap_or_else(PoisonError::into_inner).insert(name.to_string(), variable.clone());
            Ok(variable)
        };
        drop(self.network(dtype, &device, taken)?);
        let variables = variables.into_inner().unwrap_or_else(PoisonError::into_inner);
        Ok(Box::new(Still { config: self.clone(), variables, dtype, device }))
    }
}

/// timm's starting values where candle has none.
fn start(name: &str, init: Init) -> Init {
    match name.rsplit('.').next() {
        Some("gamma") => Init::Const(1e-5),
        Some("cls_token" | "reg_token" | "pos_embed" | "position_embeddings") => Init::Randn { mean: 0.0, stdev: 0.02 },
        _ => init,
    }
}

/// A network of candle's: pictures `[B, 3, H, W]` → what stands before its classifier, `[B, F]`.
type Forward = Box<dyn Fn(&Tensor) -> candle_core::Result<Tensor>>;

impl Frozen {
    fn check(&self, channels: usize) -> Result<()> {
        if channels != 3 {
            return Err(Error::Invalid(format!(
                "frozen networks read 3 channels, not {channels}; decode pictures in color, or take a model that learns"
            )));
        }
        match *self {
            Self::Dinov2 { width, depth, heads, .. } | Self::Vit { width, depth, heads }
                if [width, depth, heads].contains(&0) || !width.is_multiple_of(heads) =>
            {
                Err(Error::Invalid(format!(
                    "frozen: needs at least one block and one head, and a width ({width}) that divides into heads ({heads})"
                )))
            }
            // What stands for a classifier in candle's networks is a square of it.
            Self::Dinov2 { width, .. } | Self::Vit { width, .. } if width > MOST_WIDTH => {
                Err(Error::Invalid(format!("frozen: width must be at most {MOST_WIDTH}, got {width}")))
            }
            Self::Dinov2 { depth, .. } | Self::Vit { depth, .. } => limits::stages("frozen", [depth]),
            Self::Convnext { size: Size::Small, response_norm: true } => {
                Err(Error::Invalid("frozen: there is no ConvNeXt V2 of size small; take tiny or base".into()))
            }
            _ => Ok(()),
        }
    }

    /// Whether pictures of this size can be read.
    fn check_size(&self, (height, width): (usize, usize)) -> Result<()> {
        let wants = |what: String| Err(Error::Invalid(format!("{what}, got {height}x{width}")));
        match self {
            Self::Dinov2 { registers: true, .. } if (height, width) != (DINO, DINO) => {
                wants(format!("DINOv2 with registers reads pictures of {DINO}x{DINO} pixels"))
            }
            Self::Dinov2 { .. } if height != width || height == 0 || !height.is_multiple_of(14) => {
                wants("DINOv2 reads squares of whole patches of 14 pixels, such as 224x224 or 518x518".into())
            }
            Self::Vit { .. } if height * width == 0 || !height.is_multiple_of(16) || !width.is_multiple_of(16) => {
                wants("ViT reads whole patches of 16 pixels, such as 224x224".into())
            }
            Self::Convnext { .. } if height < 32 || width < 32 => wants("ConvNeXt reads at least 32x32 pixels".into()),
            _ => Ok(()),
        }
    }

    /// F.
    fn width(&self) -> usize {
        match self {
            Self::Dinov2 { width, registers: false, .. } => 2 * width,
            Self::Dinov2 { width, .. } | Self::Vit { width, .. } => *width,
            Self::Convnext { size, .. } => match size {
                Size::Atto => 320,
                Size::Nano => 640,
                Size::Tiny | Size::Small => 768,
                Size::Base => 1024,
            },
        }
    }

    /// Candle's network, of the variables that `read(name, shape, start)` gives.
    fn network(
        &self,
        dtype: DType,
        device: &Device,
        read: impl Fn(&str, Shape, Init) -> candle_core::Result<Tensor> + Send + Sync,
    ) -> candle_core::Result<Forward> {
        let read = |name: &str, shape: Shape, init: Init| match (name, self) {
            // There is no way past the classifiers, so they repeat what they hear.
            ("head.weight" | "head.fc.weight" | "classifier.weight", _) => Tensor::eye(self.width(), dtype, device),
            ("head.bias" | "head.fc.bias" | "classifier.bias", _) => Tensor::zeros(self.width(), dtype, device),
            // Candle asks for both, and takes what there is.
            (name, Self::Convnext { response_norm, .. })
                if name.contains(".grn.") && !response_norm || name.ends_with(".gamma") && *response_norm =>
            {
                bail!("'{name}' is of the other version")
            }
            _ => read(name, shape, init),
        };
        let vb = VarBuilder::from_backend(Box::new(Source(read)), dtype, device.clone());
        Ok(match *self {
            Self::Dinov2 { width, depth, heads, registers: false } => {
                let network = dinov2::DinoVisionTransformer::new(vb, depth, width, heads)?;
                Box::new(move |x| network.forward(x))
            }
            Self::Dinov2 { width, depth, heads, registers: true } => {
                let network = dinov2reg4::DinoVisionTransformer::new(vb, depth, width, heads)?;
                Box::new(move |x| network.forward(x))
            }
            Self::Vit { width, depth, heads } => {
                let config = vit::Config {
                    hidden_size: width,
                    num_hidden_layers: depth,
                    num_attention_heads: heads,
                    intermediate_size: 4 * width,
                    hidden_act: Activation::Gelu,
                    ..vit::Config::vit_base_patch16_224()
                };
                let network = vit::Model::new(&config, width, vb)?;
                Box::new(move |x| network.forward(x))
            }
            Self::Convnext { size, .. } => {
                let config = match size {
                    Size::Atto => convnext::Config::atto(),
                    Size::Nano => convnext::Config::nano(),
                    Size::Tiny => convnext::Config::tiny(),
                    Size::Small => convnext::Config::small(),
                    Size::Base => convnext::Config::base(),
                };
                let network = convnext::convnext(&config, self.width(), vb)?;
                Box::new(move |x| network.forward(x))
            }
        })
    }

    /// The same ConvNeXt as a network of ours.
    fn convnext(size: Size, response_norm: bool) -> ConvNext {
        let network = match size {
            Size::Atto => ConvNext::timm(6, 40),
            Size::Nano => ConvNext::timm(8, 80),
            Size::Tiny => ConvNext::paper(9, 96),
            Size::Small => ConvNext::paper(27, 96),
            Size::Base => ConvNext::paper(27, 128),
        };
        if response_norm { ConvNext { response_norm, layer_scale: 0.0, ..network } } else { network }
    }

    /// Multiply-adds of `variable` for a picture of `size`, if it is the weight of a linear layer or a convolution.
    fn multiply_adds(&self, name: &str, variable: &Tensor, (height, width): (usize, usize)) -> usize {
        let places = match self {
            Self::Convnext { .. } => {
                let stage = name.strip_prefix("stages.").and_then(|rest| rest.split('.').next()?.parse::<u32>().ok());
                let shrunk = 4 << stage.unwrap_or(0);
                (height / shrunk) * (width / shrunk)
            }
            _ if variable.rank() == 4 => self.patches((height, width)),
            _ => self.tokens((height, width)),
        };
        if matches!(variable.rank(), 2 | 4) { variable.elem_count().saturating_mul(places) } else { 0 }
    }

    fn patches(&self, (height, width): (usize, usize)) -> usize {
        (height / self.patch()) * (width / self.patch())
    }

    /// Side of a patch.
    fn patch(&self) -> usize {
        if let Self::Vit { .. } = self { 16 } else { 14 }
    }

    /// Patches, the class token and registers.
    fn tokens(&self, size: (usize, usize)) -> usize {
        self.patches(size) + if let Self::Dinov2 { registers: true, .. } = self { 5 } else { 1 }
    }
}

/// A transformer of candle's as programs of ours.
struct Parts {
    /// What the convolution of the patches is called.
    embed: &'static str,
    /// Prefix and program of each block.
    blocks: Vec<(String, Program)>,
    norm: Program,
    /// Whether the mean of the patches stands beside the class token.
    mean: bool,
}

impl Parts {
    fn dinov2(width: usize, depth: usize, heads: usize, registers: bool) -> Result<Self> {
        let eps = if registers { 1e-6 } else { 1e-5 };
        let one = block(width, |x| {
            let y = x.layer_norm("norm1", eps).linear("attn.qkv", 3 * width).attention(heads);
            let x = y.linear("attn.proj", width).layer_scale("ls1.gamma", 1.0) + x;
            let y = tanh_gelu(x.layer_norm("norm2", eps).linear("mlp.fc1", 4 * width));
            y.linear("mlp.fc2", width).layer_scale("ls2.gamma", 1.0) + x
        })?;
        Ok(Self {
            embed: "patch_embed.proj",
            blocks: (0..depth).map(|i| (format!("blocks.{i}"), one.clone())).collect(),
            norm: block(width, |x| x.layer_norm("norm", eps))?,
            mean: !registers,
        })
    }

    fn vit(width: usize, depth: usize, heads: usize) -> Result<Self> {
        let eps = vit::Config::vit_base_patch16_224().layer_norm_eps;
        let one = block(width, |x| {
            let y = x.layer_norm("layernorm_before", eps);
            let part = |name: &str| y.linear(&format!("attention.attention.{name}"), width);
            let (query, key, value) = (part("query"), part("key"), part("value"));
            let y = concat(query, &[key, value]).attention(heads).linear("attention.output.dense", width);
            let x = y + x;
            let y = x.layer_norm("layernorm_after", eps).linear("intermediate.dense", 4 * width).gelu();
            y.linear("output.dense", width) + x
        })?;
        Ok(Self {
            embed: "vit.embeddings.patch_embeddings.projection",
            blocks: (0..depth).map(|i| (format!("vit.encoder.layer.{i}"), one.clone())).collect(),
            norm: block(width, |x| x.layer_norm("vit.layernorm", eps))?,
            mean: false,
        })
    }
}

/// ½x(1 + tanh u), u = √(2/π) · (x + 0.044715 x³): x · sigmoid(2u).
fn tanh_gelu(x: Flow<'_>) -> Flow<'_> {
    let slope = 2.0 * std::f64::consts::FRAC_2_PI.sqrt();
    x * (x.times(slope) + (x * x * x).times(0.044715 * slope)).act(Act::Sigmoid)
}

/// A builder of candle's that asks a function.
struct Source<F>(F);

impl<F: Fn(&str, Shape, Init) -> candle_core::Result<Tensor> + Send + Sync> SimpleBackend for Source<F> {
    fn get(&self, shape: Shape, name: &str, init: Init, _: DType, _: &Device) -> candle_core::Result<Tensor> {
        (self.0)(name, shape, init)
    }
    fn get_unchecked(&self, name: &str, _: DType, _: &Device) -> candle_core::Result<Tensor> {
        bail!("'{name}' has no shape")
    }
    fn contains_tensor(&self, _: &str) -> bool {
        true
    }
}

/// The variables, without a way for gradients. Candle's network is made of them anew for every batch, which costs
/// nothing: its position embeddings and first tokens then have the size of the batch and of its pictures.
struct Still {
    config: Frozen,
    variables: BTreeMap<String, Tensor>,
    dtype: DType,
    device: Device,
}

impl Still {
    /// The variable `name` as a batch of `count` pictures of `size` needs it.
    fn fitted(&self, name: &str, count: usize, (height, width): (usize, usize)) -> candle_core::Result<Tensor> {
        let Some(variable) = self.variables.get(name) else { bail!("there is no variable '{name}'") };
        // Candle adds them to the tokens of one picture only.
        let of_each = |t: &Tensor| t.broadcast_as((count, t.dim(1)?, t.dim(2)?));
        match (name, &self.config) {
            ("cls_token" | "reg_token", _) => of_each(variable),
            ("pos_embed", Frozen::Dinov2 { registers: true, .. }) => of_each(variable),
            ("pos_embed", _) => of_each(&places(variable, DINO / 14, (height / 14, width / 14))?),
            ("vit.embeddings.position_embeddings", _) => places(variable, VIT / 16, (height / 16, width / 16)),
            _ => Ok(variable.clone()),
        }
    }

    /// The variables for a network of ours.
    fn vb(&self) -> VarBuilder<'static> {
        let variables = self.variables.iter().map(|(name, variable)| (name.clone(), variable.clone()));
        VarBuilder::from_tensors(variables.collect(), self.dtype, &self.device)
    }

    /// All that is added to the tokens of a picture of `size`, `[T, C]`; those in front of the patches are nothing else.
    fn added(&self, size: (usize, usize)) -> candle_core::Result<Tensor> {
        let of = |name: &str| self.fitted(name, 1, size)?.squeeze(0);
        let (first, places) = match self.config {
            Frozen::Dinov2 { registers: true, .. } => {
                return Tensor::cat(&[of("cls_token")?, of("reg_token")?, of("pos_embed")?], 0);
            }
            Frozen::Dinov2 { .. } => (of("cls_token")?, of("pos_embed")?),
            _ => (of("vit.embeddings.cls_token")?, of("vit.embeddings.position_embeddings")?),
        };
        let patches = places.narrow(0, 1, places.dim(0)? - 1)?;
        Tensor::cat(&[(first + places.narrow(0, 0, 1)?)?, patches], 0)
    }

    /// A transformer in the operators of ONNX, from blocks of ours.
    fn transformer_onnx(&self, graph: &mut Graph, images: &Value, size: (usize, usize), of: Parts) -> Result<Value> {
        let sequence = |channels, stages| Sequence::new(channels, stages, self.vb());
        let (width, patch) = (of.norm.out_channels(), self.config.patch());
        let embed = block(3, |x| x.conv(of.embed, width, k(patch).pad(0).stride(patch).bias()))?;
        let map = sequence(3, vec![Stage::of("embed", embed)])?.onnx(graph, images, size)?;
        let added = self.added(size)?;
        let count = added.dim(0)?;
        let tokens = placed(graph, &map, self.config.patches(size), &added)?;
        let blocks = of.blocks.into_iter().chain([(String::new(), of.norm)]).collect();
        let stages = vec![Stage { name: "blocks".into(), blocks }];
        let tokens = sequence(width, stages)?.onnx(graph, &tokens, (1, count))?;
        let mut seen = vec![graph.slice(&tokens, 3, 0, 1)];
        if of.mean {
            let patches = graph.slice(&tokens, 3, 1, count);
            seen.push(graph.mean(&patches));
        }
        Ok(graph.concat(&seen, 1))
    }
}

/// Position embeddings `[1, 1 + side², C]`, that of the class token first, for `size` patches.
fn places(all: &Tensor, side: usize, size: (usize, usize)) -> candle_core::Result<Tensor> {
    let patches = resampled(&all.narrow(1, 1, side * side)?.squeeze(0)?, side, size)?;
    Tensor::cat(&[&all.narrow(1, 0, 1)?, &patches.unsqueeze(0)?], 1)
}

impl Backbone for Still {
    fn features(&self, x: &Tensor, _: &mut Pass<'_>) -> candle_core::Result<Tensor> {
        let (count, channels, height, width) = x.dims4()?;
        if channels != 3 {
            bail!("the network reads 3 channels, but got {:?}", x.dims())
        }
        self.config.check_size((height, width)).map_err(candle_core::Error::wrap)?;
        let read = |name: &str, _, _| self.fitted(name, count, (height, width));
        let network = self.config.network(self.dtype, &self.device, read)?;
        let rows = network(&x.detach().to_dtype(self.dtype)?)?;
        rows.to_dtype(x.dtype())?.reshape((count, self.config.width(), 1, 1))
    }

    fn width(&self) -> usize {
        self.config.width()
    }

    fn onnx(&self, graph: &mut Graph, images: &Value, size: (usize, usize)) -> Result<Value> {
        self.config.check_size(size)?;
        let transformer = match self.config {
            Frozen::Dinov2 { width, depth, heads, registers } => Parts::dinov2(width, depth, heads, registers),
            Frozen::Vit { width, depth, heads } => Parts::vit(width, depth, heads),
            Frozen::Convnext { size: form, response_norm } => {
                let network = Frozen::convnext(form, response_norm).build(3, self.vb())?;
                let map = network.onnx(graph, images, size)?;
                let mean = graph.mean(&map);
                return network.neck_onnx(graph, &mean);
            }
        };
        self.transformer_onnx(graph, images, size, transformer?)
    }

    fn frozen(&self) -> bool {
        true
    }

    fn stages(&self) -> Vec<(String, Vec<String>)> {
        vec![("frozen".into(), self.variables.keys().cloned().collect())]
    }

    fn layers(&self, size: (usize, usize)) -> Result<Vec<Layer>> {
        self.config.check_size(size)?;
        let attention = match self.config {
            Frozen::Dinov2 { width, depth, .. } | Frozen::Vit { width, depth, .. } => {
                (2 * depth * width).saturating_mul(self.config.tokens(size).saturating_pow(2))
            }
            Frozen::Convnext { .. } => 0,
        };
        let works = self.variables.iter().map(|(name, v)| self.config.multiply_adds(name, v, size));
        Ok(vec![Layer {
            name: "frozen".into(),
            kind: "frozen",
            output: vec![self.config.width(), 1, 1],
            parameters: self.variables.values().map(Tensor::elem_count).sum(),
            multiply_adds: works.fold(attention, usize::saturating_add),
        }])
    }
}
