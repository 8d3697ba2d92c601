//! A whole network: backbone, pooling, tabular join, head.

use crate::backbone::{self, Backbone};
use crate::error::{Error, Result};
use crate::init::name_hash;
use crate::ops::{Pool, dropout, global_pool, linear};
use crate::pass::{Grad, Pass};
use crate::summary::{Layer, Summary};
use candle_core::{DType, ModuleT, Tensor, bail};
use candle_nn::{Init, VarBuilder};
use serde::{Deserialize, Serialize};
use serde_json::Value;

/// What network to build.
///
/// | field | default | range |
/// |---|---|---|
/// | `model` | baseline | a name of [`models`](crate::models) |
/// | `params` | null | overrides of the model's configuration |
/// | `classes` | 2 | at least 1 |
/// | `channels` | 3 | channels of the pictures |
/// | `meta` | 0 | tabular features joined before the head |
/// | `dropout` | 0 | 0..1, before the head |
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct NetworkConfig {
    /// Name of the backbone.
    pub model: String,
    /// Overrides of the backbone's configuration, an object.
    pub params: Value,
    /// Outputs K.
    pub classes: usize,
    /// Channels of the pictures.
    pub channels: usize,
    /// Tabular features M joined before the head.
    pub meta: usize,
    /// Probability of dropping a feature before the head.
    pub dropout: f64,
}

impl Default for NetworkConfig {
    fn default() -> Self {
        Self { model: "baseline".into(), params: Value::Null, classes: 2, channels: 3, meta: 0, dropout: 0.0 }
    }
}

/// Backbone, global average, tabular join and linear head. Variables are `backbone.*` and `head.*`.
pub struct Network {
    backbone: Box<dyn Backbone>,
    weight: Tensor,
    bias: Tensor,
    meta: usize,
    dropout: f64,
}

impl Network {
    /// Takes or makes the variables under `vb`'s path. The head starts as PyTorch's linear layer.
    ///
    /// # Errors
    /// Unknown models and parameters, impossible values, variables of another shape.
    pub fn new(config: &NetworkConfig, vb: VarBuilder<'_>) -> Result<Self> {
        if config.classes == 0 || config.channels == 0 {
            return Err(Error::Invalid("a network needs at least one class and one channel".into()));
        }
        if !(0.0..1.0).contains(&config.dropout) {
            return Err(Error::Invalid(format!("dropout must be in 0..1, got {}", config.dropout)));
        }
        let backbone = backbone::build(&config.model, &config.params, config.channels, vb.pp("backbone"))?;
        let features = backbone.embedding() + config.meta;
        let bound = 1.0 / (features as f64).sqrt();
        let init = Init::Uniform { lo: -bound, up: bound };
        let weight = vb.get_with_hints((config.classes, features), "head.weight", init)?;
        let bias = vb.get_with_hints(config.classes, "head.bias", init)?;
        Ok(Self { backbone, weight, bias, meta: config.meta, dropout: config.dropout })
    }

    /// Logits `[B, K]` F32 (F64 for F64 pictures) from pictures `[B, C, H, W]` and tabular features `[B, M]`.
    pub fn forward(&self, images: &Tensor, meta: Option<&Tensor>, pass: &mut Pass<'_>) -> candle_core::Result<Tensor> {
        let features = self.features(images, pass)?;
        self.classify(&self.embed(&features, pass)?, meta, pass)
    }

    /// Axes of the input: 4 for pictures `[B, C, H, W]`, 5 for volumes `[B, C, D, H, W]`.
    pub fn rank(&self) -> usize {
        self.backbone.rank()
    }

    /// The last feature map `[B, F, h, w]`; Grad-CAM starts here.
    pub fn features(&self, images: &Tensor, pass: &mut Pass<'_>) -> candle_core::Result<Tensor> {
        self.backbone.features(images, pass)
    }

    /// `[B, F, h, w]` → `[B, E]`: the mean over the map, and what the family does behind it.
    pub fn embed(&self, features: &Tensor, pass: &mut Pass<'_>) -> candle_core::Result<Tensor> {
        // Back to the layout in which blocks wrote it: no copy.
        let pooled = global_pool(&features.permute((0, 2, 3, 1))?, Pool::Avg)?.flatten_from(1)?;
        self.backbone.neck(&pooled, pass)
    }

    /// `[B, E]` and `[B, M]` → logits `[B, K]`.
    pub fn classify(
        &self,
        embedding: &Tensor,
        meta: Option<&Tensor>,
        pass: &mut Pass<'_>,
    ) -> candle_core::Result<Tensor> {
        let wide = if embedding.dtype() == DType::F64 { DType::F64 } else { DType::F32 };
        let embedding = embedding.to_dtype(wide)?;
        let joined = match (meta, self.meta) {
            (_, 0) => embedding,
            (Some(meta), m) if meta.dim(1)? == m => Tensor::cat(&[&embedding, &meta.to_dtype(wide)?], 1)?,
            (Some(meta), m) => bail!("the network takes {m} tabular features, but got {:?}", meta.dims()),
            (None, m) => bail!("the network takes {m} tabular features, but got none"),
        };
        let p = if pass.train { self.dropout } else { 0.0 };
        let joined = dropout(&joined, p, pass.key, name_hash("head.dropout"))?;
        let (weight, bias) = match pass.grad {
            Grad::All => (self.weight.clone(), self.bias.clone()),
            _ => (self.weight.detach(), self.bias.detach()),
        };
        linear(&joined, &weight, Some(&bias))
    }

    /// Stages from input to output with their variables; the last one is the head.
    pub fn stages(&self) -> Vec<(String, Vec<String>)> {
        let prefixed = |(name, variables): (String, Vec<String>)| {
            (name, variables.iter().map(|v| format!("backbone.{v}")).collect())
        };
        let head = ("head".to_string(), vec!["head.weight".into(), "head.bias".into()]);
        self.backbone.stages().into_iter().map(prefixed).chain([head]).collect()
    }

    /// Layers, output shapes, parameters and multiply-adds for pictures of `size` (height, width).
    ///
    /// # Errors
    /// When the picture is too small for the network.
    pub fn summary(&self, size: (usize, usize)) -> Result<Summary> {
        let mut layers = self.backbone.layers(size)?;
        let (classes, features) = self.weight.dims2()?;
        layers.push(Layer {
            name: "head".into(),
            kind: "linear",
            output: [classes, 1, 1],
            parameters: classes * (features + 1),
            multiply_adds: classes * features,
        });
        Ok(Summary { layers })
    }
}

impl ModuleT for Network {
    /// Logits without tabular features; training uses key 0.
    fn forward_t(&self, xs: &Tensor, train: bool) -> candle_core::Result<Tensor> {
        self.forward(xs, None, &mut if train { Pass::train(0) } else { Pass::eval() })
    }
}
