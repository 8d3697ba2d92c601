//! Pretrained tensors into the variables of a network.

use super::fit::{Fit, fit};
use super::names::{SOURCES, Source};
use super::weights::Weights;
use crate::backbone;
use crate::error::{Error, Result};
use crate::network::{Network, NetworkConfig};
use candle_core::{DType, Device, Shape, Tensor, Var};
use candle_nn::var_builder::SimpleBackend;
use candle_nn::{Init, VarBuilder, VarMap};
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex, PoisonError};

/// Share of a backbone's variables that its weights must have.
const FEWEST: f64 = 0.5;

/// Share of variables from which on weights look like a model's.
const ALIKE: f64 = 0.9;

/// Classes of TensorFlow's ImageNet networks: the first one is the background.
const WITH_BACKGROUND: usize = 1001;

/// How the first convolution of a network that saw RGB pictures comes to read others.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Input {
    /// timm's `adapt_input_conv`: red, green, blue, red, … times 3 / C; for one channel their sum.
    #[default]
    Repeat,
    /// The mean of the three for each channel, times 3 / C.
    Mean,
    /// Four channels, the last one yellow: ½ (red + blue), the others as they are (Human Protein Atlas solutions).
    Rgby,
}

/// What became of every variable.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Report {
    /// Whose names the file has.
    pub names: String,
    /// Variables that have the file's values.
    pub loaded: Vec<String>,
    /// Variables that were made from the file's values, or start anew for a reason; what was done.
    pub adapted: Vec<(String, String)>,
    /// Variables that the file lacks; they keep their start.
    pub missing: Vec<String>,
    /// Tensors of the file that the network has no use for.
    pub unexpected: Vec<String>,
}

impl std::fmt::Display for Report {
    /// One line: counts, and names where they are few.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let few = |names: &[String]| match names {
            [a, b, c, _, ..] => format!("{a}, {b}, {c} and {} more", names.len() - 3),
            names => names.join(", "),
        };
        write!(f, "{} variables loaded", self.loaded.len())?;
        for (name, what) in &self.adapted {
            write!(f, "; {name} {what}")?;
        }
        for (names, what) in [(&self.missing, "missing"), (&self.unexpected, "not used")] {
            if !names.is_empty() {
                write!(f, "; {} {what}: {}", names.len(), few(names))?;
            }
        }
        Ok(())
    }
}

/// Sets the variables of the network `config`, which are `vars`, from `weights`: timm's and torchvision's of the same model, or
/// those of a run of ours. A head for other classes or features keeps its seeded start. Nothing is set on an error.
///
/// # Errors
/// [`Error::Weights`] names the tensor whose shape or type does not fit, or says which model's weights these look like.
pub fn load(weights: &Weights, config: &NetworkConfig, vars: &VarMap, input: Input) -> Result<Report> {
    let head = backbone::head(&config.model)?;
    let vars: BTreeMap<String, Var> = {
        let vars = vars.data().lock().unwrap_or_else(PoisonError::into_inner);
        vars.iter().map(|(name, var)| (name.clone(), var.clone())).collect()
    };
    let (source, mut names) = names(weights, head, |name| vars.contains_key(name));
    let fail = |why: String| Error::Weights { file: weights.file().into(), why };
    let inner = vars.keys().filter(|name| name.starts_with("backbone."));
    let (found, all) =
        inner.fold((0, 0), |(found, all), name| (found + usize::from(names.contains_key(name)), all + 1));
    if (found as f64) < FEWEST * all as f64 {
        let why = format!("it has {found} of the {all} variables of '{}'", config.model);
        return Err(fail(format!("{why}; {}", advice(weights, &config.model))));
    }
    if input == Input::Rgby && config.channels != 4 {
        return Err(Error::Invalid(format!(
            "input 'rgby' is for pictures of 4 channels, these have {}",
            config.channels
        )));
    }
    let mut report = Report { names: source.name.into(), ..Report::default() };
    let mut values = vec![];
    for (name, var) in &vars {
        let Some(theirs) = names.remove(name) else {
            report.missing.push(name.clone());
            continue;
        };
        let have = weights.tensor(&theirs)?;
        if !have.dtype().is_float() {
            return Err(fail(format!("'{theirs}' holds whole numbers ({:?}), not weights", have.dtype())));
        }
        let have = have.to_dtype(var.dtype())?;
        let have = if name.starts_with("head.") { without_background(as_linear(have)?, var.dims())? } else { have };
        let shape = have.dims().to_vec();
        match fit(have, var.dims(), config.channels, input)? {
            Fit::Same(tensor) => {
                values.push((var, tensor));
                report.loaded.push(name.clone());
            }
            Fit::Adapted(tensor, what) => {
                values.push((var, tensor));
                report.adapted.push((name.clone(), what));
            }
            Fit::Other if says_classes(name) => {
                let what = format!("starts anew: {:?} in place of {shape:?}", var.dims());
                report.adapted.push((name.clone(), what));
            }
            Fit::Other => {
                let what = format!("'{theirs}' has shape {shape:?}, but '{}' wants {:?}", config.model, var.dims());
                return Err(fail(format!("{what}; {}", advice(weights, &config.model))));
            }
        }
    }
    report.unexpected = names.into_values().collect();
    for (var, tensor) in values {
        var.set(&tensor.contiguous()?.to_device(var.device())?)?;
    }
    Ok(report)
}

/// Whether variable `name` is the classifier's, or that of an auxiliary head.
fn says_classes(name: &str) -> bool {
    ["head.", "backbone.AuxLogits.fc."].iter().any(|head| name.starts_with(head))
}

/// A head that is a convolution of one pixel, as SqueezeNet's, as the linear layer that it is.
fn as_linear(head: Tensor) -> Result<Tensor> {
    if let [_, _, 1, 1] = head.dims() { Ok(head.flatten_from(1)?) } else { Ok(head) }
}

/// TensorFlow's head without its first class, where that makes it fit.
fn without_background(head: Tensor, want: &[usize]) -> Result<Tensor> {
    match (head.dims().first(), want.first()) {
        (Some(&WITH_BACKGROUND), Some(&classes)) if classes + 1 == WITH_BACKGROUND => Ok(head.narrow(0, 1, classes)?),
        _ => Ok(head),
    }
}

/// Our names of the file's tensors, by the source of which most are variables.
fn names(weights: &Weights, head: &str, known: impl Fn(&str) -> bool) -> (&'static Source, BTreeMap<String, String>) {
    let by = |source: &'static Source| {
        let counted = |name: &str| name.ends_with("num_batches_tracked");
        let theirs = weights.shapes().map(|(name, _)| name).filter(|name| !counted(name));
        let names: BTreeMap<String, String> =
            theirs.map(|name| (ours(&source.rename(name), head), name.to_string())).collect();
        (names.keys().filter(|name| known(name)).count(), source, names)
    };
    // The first one of the best.
    let best = SOURCES.iter().map(by).reduce(|best, next| if next.0 > best.0 { next } else { best });
    best.map_or((&SOURCES[0], BTreeMap::new()), |(_, source, names)| (source, names))
}

/// Our name of timm's variable.
fn ours(name: &str, head: &str) -> String {
    match name.strip_prefix(head).and_then(|rest| rest.strip_prefix('.')) {
        Some(part @ ("weight" | "bias")) => format!("head.{part}"),
        // A file of ours.
        _ if name.starts_with("backbone.") || ["head.weight", "head.bias"].contains(&name) => name.into(),
        _ => format!("backbone.{name}"),
    }
}

/// What to do with weights that are not those of `model`.
fn advice(weights: &Weights, model: &str) -> String {
    match lookalike(weights).filter(|name| *name != model) {
        Some(name) => format!("these look like weights of '{name}': take that model, or weights of '{model}'"),
        None => format!("take weights of '{model}', or give it the parameters that these were trained with"),
    }
}

/// The model whose variables are most like the tensors of `weights` in name and shape.
fn lookalike(weights: &Weights) -> Option<&'static str> {
    let shapes: BTreeMap<&str, &[usize]> = weights.shapes().collect();
    let mut best = (ALIKE, None);
    for (model, _) in backbone::models() {
        let (Ok(wanted), Ok(head)) = (variables(model), backbone::head(model)) else { continue };
        let (_, names) = names(weights, head, |name| wanted.contains_key(name));
        let is_inner = |name: &&String| name.starts_with("backbone.");
        let all: BTreeSet<&String> = wanted.keys().chain(names.keys()).filter(is_inner).collect();
        let alike = |name: &&String| {
            names.get(*name).and_then(|n| shapes.get(n.as_str())) == wanted.get(*name).map(|s| &s[..]).as_ref()
        };
        let both = wanted.keys().filter(is_inner).filter(|name| names.contains_key(*name)).filter(alike).count();
        let share = both as f64 / all.len().max(1) as f64;
        if share > best.0 {
            best = (share, Some(model));
        }
    }
    best.1
}

/// Names and shapes of a model's variables for RGB pictures; no memory is taken for them.
fn variables(model: &str) -> Result<BTreeMap<String, Vec<usize>>> {
    let seen = Arc::new(Mutex::new(BTreeMap::new()));
    let config = NetworkConfig { model: model.into(), ..NetworkConfig::default() };
    let vb = VarBuilder::from_backend(Box::new(Shapes(seen.clone())), DType::F32, Device::Cpu);
    Network::new(&config, vb)?;
    let seen = seen.lock().unwrap_or_else(PoisonError::into_inner);
    Ok(seen.clone())
}

/// Notes what a network asks for, and gives one zero that looks like it.
struct Shapes(Arc<Mutex<BTreeMap<String, Vec<usize>>>>);

impl SimpleBackend for Shapes {
    fn get(&self, shape: Shape, name: &str, _: Init, dtype: DType, device: &Device) -> candle_core::Result<Tensor> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).insert(name.into(), shape.dims().to_vec());
        Tensor::zeros((), dtype, device)?.broadcast_as(shape)
    }
    fn get_unchecked(&self, name: &str, _: DType, _: &Device) -> candle_core::Result<Tensor> {
        candle_core::bail!("'{name}' has no shape")
    }
    fn contains_tensor(&self, _: &str) -> bool {
        true
    }
}
