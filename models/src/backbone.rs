//! The part of a network that sees, and the families it comes from.

use crate::error::{BuildError, Error, Result};
use crate::init;
use crate::layers::LinearStart;
use crate::limits;
use crate::onnx::{self, Graph};
use crate::pass::Pass;
use crate::summary::Layer;
use candle_core::{Tensor, Var};
use candle_nn::{VarBuilder, VarMap};
use serde::{Serialize, de::DeserializeOwned};
use serde_json::Value;
use std::collections::BTreeMap;
use std::sync::PoisonError;

/// A backbone turns pictures into feature maps; it knows nothing of classes.
pub trait Backbone: Send + Sync {
    /// `[B, C, H, W]`, or what [`Backbone::rank`] says, → `[B, F, h, w]`.
    fn features(&self, x: &Tensor, pass: &mut Pass<'_>) -> candle_core::Result<Tensor>;
    /// Axes of the input: 4 for pictures `[B, C, H, W]`, 5 for volumes `[B, C, D, H, W]`, whose map is the mean over the depth.
    fn rank(&self) -> usize {
        4
    }
    /// F.
    fn width(&self) -> usize;
    /// What the family does between the pooled map `[B, F]` and the head, → `[B, E]`: a norm, one more layer. Most do
    /// nothing.
    fn neck(&self, pooled: &Tensor, _pass: &mut Pass<'_>) -> candle_core::Result<Tensor> {
        Ok(pooled.clone())
    }
    /// E: what the head reads.
    fn embedding(&self) -> usize {
        self.width()
    }
    /// Whether it only sees: no gradient reaches its variables or passes through it, and training leaves it as it is.
    fn frozen(&self) -> bool {
        false
    }
    /// Outputs of its auxiliary heads, each of which taps hear in training under the name
    /// [`AUXILIARY`](crate::AUXILIARY); 0 if it has none.
    fn auxiliary(&self) -> usize {
        0
    }
    /// Names of the stages from input to output and the variables of each: the unit of freezing and of differential learning
    /// rates. Auxiliary heads come last.
    fn stages(&self) -> Vec<(String, Vec<String>)>;
    /// For how many slices of a volume [`Backbone::layers`] counts; none for pictures.
    fn slices(&self) -> Option<usize> {
        None
    }
    /// Every layer for pictures of `size` (height, width), for summaries.
    fn layers(&self, size: (usize, usize)) -> Result<Vec<Layer>>;
    /// Height and width of the map that pools see, for pictures of `size` (height, width).
    ///
    /// # Errors
    /// When the picture is too small.
    fn map(&self, size: (usize, usize)) -> Result<(usize, usize)> {
        match self.layers(size)?.last().map(|layer| layer.output.as_slice()) {
            Some(&[.., height, width]) => Ok((height, width)),
            _ => Ok((1, 1)),
        }
    }
    /// Folds batch norms into the convolutions before them: the same map in evaluation. Training and [`Backbone::stages`] have
    /// no meaning afterwards. Families without batch norm have nothing to do.
    ///
    /// # Errors
    /// Those of tensors.
    fn fold(&mut self) -> Result<()> {
        Ok(())
    }
    /// Writes what [`Backbone::features`] does in evaluation into `graph`, for pictures `[batch, C, height, width]` of `size`
    /// (height, width), or volumes `[batch, C, depth, height, width]` of any depth.
    ///
    /// # Errors
    /// When a block has code of its own that says nothing of ONNX, or the pictures are too small.
    fn onnx(&self, graph: &mut Graph, images: &onnx::Value, size: (usize, usize)) -> Result<onnx::Value>;
    /// Writes what [`Backbone::neck`] does in evaluation, `[batch, F, 1, 1]` → `[batch, E, 1, 1]`.
    ///
    /// # Errors
    /// Those of tensors.
    fn neck_onnx(&self, _graph: &mut Graph, pooled: &onnx::Value) -> Result<onnx::Value> {
        Ok(pooled.clone())
    }
}

/// A named size of a family: its name, one sentence, and the configuration.
pub type Preset<F> = (&'static str, &'static str, F);

/// A family of backbones: its configuration is the only thing a user writes.
pub trait Family: Serialize + DeserializeOwned {
    /// What the reference implementation calls the head: where its pretrained weights have the classifier.
    const HEAD: &'static str;
    /// The same of preset `name`, where presets come from different libraries.
    fn head(_name: &str) -> &'static str {
        Self::HEAD
    }
    /// Whether the head is a convolution of one pixel there, with a weight `[K, F, 1, 1]`.
    const HEAD_CONVOLVES: bool = false;
    /// How the reference implementation starts it.
    const HEAD_START: LinearStart = LinearStart::PYTORCH;
    /// The sizes of the paper.
    fn presets() -> Vec<Preset<Self>>;
    /// The side in pixels of the pictures that preset `name` was made for; it takes others, too.
    fn picture_size(name: &str) -> usize;
    /// This network with its channels times `width` and its repeated blocks times `depth`, as the family rounds them; 1 changes
    /// nothing. None where it cannot grow.
    fn grown(&self, _width: f64, _depth: f64) -> Option<Self> {
        None
    }
    /// Sets those variables that start from training pictures, where a family has such.
    const BEGIN: Option<Begin> = None;
    /// A backbone that reads `channels` channels, with its variables under `vb`'s path.
    fn build(&self, channels: usize, vb: VarBuilder<'_>) -> Result<Box<dyn Backbone>>;
}

/// Sets variables, by their names in the backbone, from training pictures `[N, C, H, W]` as the network will see them.
pub type Begin = fn(&BTreeMap<String, Var>, &Tensor) -> candle_core::Result<()>;

/// A line of the table of families.
pub struct Entry {
    head: fn(&str) -> &'static str,
    head_convolves: bool,
    head_start: LinearStart,
    begin: Option<Begin>,
    presets: fn() -> Vec<Preset<Value>>,
    picture_size: fn(&str) -> usize,
    grown: fn(Value, f64, f64) -> Result<Option<Value>, BuildError>,
    build: BuildFn,
}

type BuildFn = fn(Value, usize, VarBuilder<'_>) -> Result<Box<dyn Backbone>, BuildError>;

impl Entry {
    pub(crate) const fn of<F: Family>() -> Self {
        fn presets<F: Family>() -> Vec<Preset<Value>> {
            let value = |f: F| serde_json::to_value(f).unwrap_or_default();
            F::presets().into_iter().map(|(name, doc, f)| (name, doc, value(f))).collect()
        }
        fn grown<F: Family>(config: Value, width: f64, depth: f64) -> Result<Option<Value>, BuildError> {
            let family: F = serde_json::from_value(config).map_err(BuildError::Parameter)?;
            Ok(family.grown(width, depth).and_then(|family| serde_json::to_value(family).ok()))
        }
        fn build<F: Family>(
            config: Value,
            channels: usize,
            vb: VarBuilder<'_>,
        ) -> Result<Box<dyn Backbone>, BuildError> {
            let family: F = serde_json::from_value(config).map_err(BuildError::Parameter)?;
            family.build(channels, vb).map_err(BuildError::Other)
        }
        let (presets, grown, build) = (presets::<F>, grown::<F>, build::<F>);
        let (head, head_start, head_convolves) = (F::head, F::HEAD_START, F::HEAD_CONVOLVES);
        let picture_size = F::picture_size;
        Self { head, head_start, head_convolves, begin: F::BEGIN, presets, picture_size, grown, build }
    }
}

/// Name and one-sentence description of every model, family by family.
pub fn models() -> Vec<(&'static str, &'static str)> {
    let families = crate::backbones::FAMILIES.iter();
    families.flat_map(|f| (f.presets)()).map(|(name, doc, _)| (name, doc)).collect()
}

/// The whole configuration of model `name` with `overrides` (an object, or null) laid over its preset.
///
/// # Errors
/// [`Error::UnknownModel`] for an unknown name, [`Error::Invalid`] for a number above a million.
pub fn resolve(name: &str, overrides: &Value) -> Result<Value> {
    find(name, overrides).map(|(_, config)| config)
}

/// Builds the backbone `name` with `overrides` laid over its preset.
///
/// # Errors
/// Unknown names and parameters, impossible values, more than ten billion parameters, variables of another shape.
pub fn build(name: &str, overrides: &Value, channels: usize, vb: VarBuilder<'_>) -> Result<Box<dyn Backbone>> {
    if channels > limits::NUMBER {
        return Err(Error::Invalid(format!("pictures have at most {} channels, not {channels}", limits::NUMBER)));
    }
    // Too large a network is told before memory is taken.
    made(name, overrides, channels, init::outline())?;
    made(name, overrides, channels, vb)
}

/// [`build`] without a look at the size.
pub(crate) fn made(name: &str, overrides: &Value, channels: usize, vb: VarBuilder<'_>) -> Result<Box<dyn Backbone>> {
    let (entry, config) = find(name, overrides)?;
    (entry.build)(config, channels, vb).map_err(of_model(name))
}

/// The whole configuration of model `name` with `overrides`, [grown](Family::grown), if it can be.
///
/// # Errors
/// Unknown names and parameters.
pub(crate) fn grown(name: &str, overrides: &Value, width: f64, depth: f64) -> Result<Option<Value>> {
    let (entry, config) = find(name, overrides)?;
    (entry.grown)(config, width, depth).map_err(of_model(name))
}

/// What went wrong, of model `name`.
fn of_model(name: &str) -> impl FnOnce(BuildError) -> Error + '_ {
    move |error| error.of(|source| Error::Parameter { name: name.into(), source })
}

/// The side in pixels of the pictures that model `name` was made for; it takes others, too.
///
/// # Errors
/// [`Error::UnknownModel`] for an unknown name.
pub fn picture_size(name: &str) -> Result<usize> {
    find(name, &Value::Null).map(|(entry, _)| (entry.picture_size)(name))
}

/// Whether model `name` starts from training pictures: then [`begin`] wants some before the first step.
///
/// # Errors
/// [`Error::UnknownModel`] for an unknown name.
pub fn begins(name: &str) -> Result<bool> {
    find(name, &Value::Null).map(|(entry, _)| entry.begin.is_some())
}

/// Sets those variables among `vars`, a whole network's, that model `name` starts from training pictures `[N, C, H, W]`: a
/// few thousand small ones are enough.
///
/// # Errors
/// [`Error::UnknownModel`] for an unknown name, and what the family cannot do with such pictures.
pub fn begin(name: &str, vars: &VarMap, pictures: &Tensor) -> Result<()> {
    let Some(begin) = find(name, &Value::Null)?.0.begin else { return Ok(()) };
    let all = vars.data().lock().unwrap_or_else(PoisonError::into_inner);
    let own = all.iter().filter_map(|(name, var)| Some((name.strip_prefix("backbone.")?.to_string(), var.clone())));
    Ok(begin(&own.collect(), pictures)?)
}

/// `variable` of a [`Network`](crate::Network) and its value as the reference implementation of model `name` has them: timm and
/// torchvision know no `backbone.`, and have a name, and some a shape, of their own for the head.
///
/// # Errors
/// [`Error::UnknownModel`] for an unknown name.
pub fn reference(name: &str, variable: &str, value: &Tensor) -> Result<(String, Tensor)> {
    let (entry, _) = find(name, &Value::Null)?;
    let head = (entry.head)(name);
    Ok(match variable.strip_prefix("head.") {
        Some("weight") if entry.head_convolves && value.rank() == 2 => {
            (format!("{head}.weight"), value.unsqueeze(2)?.unsqueeze(3)?)
        }
        Some(rest) => (format!("{head}.{rest}"), value.clone()),
        None => (variable.strip_prefix("backbone.").unwrap_or(variable).into(), value.clone()),
    })
}

/// What the reference implementation of model `name` calls the head.
///
/// # Errors
/// [`Error::UnknownModel`] for an unknown name.
pub(crate) fn head(name: &str) -> Result<&'static str> {
    find(name, &Value::Null).map(|(entry, _)| (entry.head)(name))
}

/// How the reference implementation of model `name` starts the head.
///
/// # Errors
/// [`Error::UnknownModel`] for an unknown name.
pub(crate) fn head_start(name: &str) -> Result<LinearStart> {
    find(name, &Value::Null).map(|(entry, _)| entry.head_start)
}

fn find(name: &str, overrides: &Value) -> Result<(&'static Entry, Value)> {
    for entry in crate::backbones::FAMILIES {
        let Some((.., mut config)) = (entry.presets)().into_iter().find(|(known, ..)| *known == name) else { continue };
        if let (Some(config), Some(overrides)) = (config.as_object_mut(), overrides.as_object()) {
            config.extend(overrides.clone());
        }
        limits::numbers(&format!("model '{name}'"), &config)?;
        return Ok((entry, config));
    }
    let known = models().iter().map(|(name, _)| *name).collect::<Vec<_>>().join(", ");
    Err(Error::UnknownModel { name: name.into(), known })
}
