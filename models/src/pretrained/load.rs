//! Pretrained tensors into the variables of a network.

use super::fit::{Fit, fit};
use super::names::{OWN, SOURCES, Source};
use super::weights::Weights;
use crate::backbone;
use crate::error::{Error, Result};
use crate::init::{self, Shapes};
use crate::network::{Network, NetworkConfig};
use candle_core::{DType, Tensor, Var};
use candle_nn::VarMap;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex, PoisonError};

/// Variables of a backbone that weights may lack, or have without use: heads that only training has.
const OPTIONAL: &[&str] = &["backbone.AuxLogits."];

/// Among them, those whose size is a number of classes.
const CLASSIFIERS: &[&str] = &["backbone.AuxLogits.fc."];

/// Share of variables from which on weights look like a model's.
const ALIKE: f64 = 0.9;

/// Classes of TensorFlow's ImageNet networks: the first one is the background.
const WITH_BACKGROUND: usize = 1001;

/// Names in a file by ours.
type Names = BTreeMap<String, String>;

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
/// those of a run of ours. They must have the whole backbone; what stands behind it, for other classes or features, keeps its
/// seeded start. Nothing is set on an error.
///
/// # Errors
/// [`Error::Weights`] names the variable that is missing, the tensor whose shape or type does not fit, or the parameter that
/// these weights were not trained with, and says which model's weights these look like.
pub fn load(weights: &Weights, config: &NetworkConfig, vars: &VarMap, input: Input) -> Result<Report> {
    let vars: BTreeMap<String, Var> = {
        let vars = vars.data().lock().unwrap_or_else(PoisonError::into_inner);
        vars.iter().map(|(name, var)| (name.clone(), var.clone())).collect()
    };
    let wanted = vars.iter().map(|(name, var)| (name.clone(), var.dims().to_vec())).collect();
    let mut values = vec![];
    let report = fitted(weights, config, wanted, input, |name, tensor| {
        let var = &vars[name];
        values.push((var, tensor.to_dtype(var.dtype())?));
        Ok(())
    })?;
    for (var, tensor) in values {
        var.set(&tensor.contiguous()?.to_device(var.device())?)?;
    }
    Ok(report)
}

/// What [`load`] would do with a network `config`, without one: no memory is taken for its variables.
///
/// # Errors
/// As [`load`], and those of [`Network::new`].
pub fn check(weights: &Weights, config: &NetworkConfig, input: Input) -> Result<Report> {
    fitted(weights, config, variables(config)?, input, |_, _| Ok(()))
}

/// Hands every value that the variables of shapes `wanted` get to `keep`, in F32 or F64.
fn fitted(
    weights: &Weights,
    config: &NetworkConfig,
    wanted: Shapes,
    input: Input,
    mut keep: impl FnMut(&str, Tensor) -> Result<()>,
) -> Result<Report> {
    let model = config.model.as_str();
    let (source, mut names) = names(weights, backbone::head(model)?, |name| wanted.contains_key(name));
    let fail = |why: String| Error::Weights { file: weights.file().into(), why };
    whole(weights, model, &wanted, &names).map_err(fail)?;
    trained_alike(source, model, &backbone::resolve(model, &config.params)?).map_err(fail)?;
    if input == Input::Rgby && config.channels != 4 {
        return Err(Error::Invalid(format!(
            "input 'rgby' is for pictures of 4 channels, these have {}",
            config.channels
        )));
    }
    let mut report = Report { names: source.name.into(), ..Report::default() };
    for (name, shape) in &wanted {
        let Some(theirs) = names.remove(name) else {
            report.missing.push(name.clone());
            continue;
        };
        let have = weights.tensor(&theirs)?;
        if !have.dtype().is_float() {
            return Err(fail(format!("'{theirs}' holds whole numbers ({:?}), not weights", have.dtype())));
        }
        let have = if have.dtype() == DType::F64 { have } else { have.to_dtype(DType::F32)? };
        let have = if name.starts_with("head.") { without_background(as_linear(have)?, shape)? } else { have };
        let old = have.dims().to_vec();
        match fit(have, shape, config.channels, input)? {
            Fit::Same(tensor) => {
                keep(name, tensor)?;
                report.loaded.push(name.clone());
            }
            Fit::Adapted(tensor, what) => {
                keep(name, tensor)?;
                report.adapted.push((name.clone(), what));
            }
            Fit::Other if !is_inner(name) || CLASSIFIERS.iter().any(|head| name.starts_with(head)) => {
                report.adapted.push((name.clone(), format!("starts anew: {shape:?} in place of {old:?}")));
            }
            Fit::Other => {
                let what = format!("'{theirs}' has shape {old:?}, but '{model}' wants {shape:?}");
                return Err(fail(format!("{what}; {}", advice(weights, model))));
            }
        }
    }
    // Only now: a shape says more.
    no_larger(weights, model, &wanted, &names).map_err(fail)?;
    report.unexpected = names.into_values().collect();
    Ok(report)
}

/// Whether `name` is of a backbone, and not of what stands behind it.
fn is_inner(name: &str) -> bool {
    name.starts_with("backbone.")
}

/// Whether a backbone must have what is called so.
fn counts(name: &str) -> bool {
    is_inner(name) && !OPTIONAL.iter().any(|part| name.starts_with(part))
}

/// Whether the weights of these `names` have all of the backbone `wanted`, or why not.
fn whole(weights: &Weights, model: &str, wanted: &Shapes, names: &Names) -> Result<(), String> {
    let lacking: Vec<&String> = wanted.keys().filter(|name| counts(name) && !names.contains_key(*name)).collect();
    let Some(first) = lacking.first() else { return Ok(()) };
    let all = wanted.keys().filter(|name| counts(name)).count();
    let why = format!("it lacks {} of the {all} variables of '{model}', such as '{first}'", lacking.len());
    Err(format!("{why}; {}", advice(weights, model)))
}

/// Whether weights that have all of the backbone `wanted`, and the `unused` beside it, are not those of a larger one, or why not.
fn no_larger(weights: &Weights, model: &str, wanted: &Shapes, unused: &Names) -> Result<(), String> {
    let unused: Vec<_> = unused.iter().filter(|(name, _)| counts(name)).collect();
    let Some((_, first)) = unused.first() else { return Ok(()) };
    // By names alone: a first convolution may read other channels.
    let has = wanted.keys().filter(|name| counts(name)).count();
    match lookalike(weights, has as f64 / (has + unused.len()) as f64).filter(|other| *other != model) {
        Some(other) => {
            let why = format!("'{model}' has no use for {} of its tensors, such as '{first}'", unused.len());
            Err(format!("{why}; {}", look_like(other, model)))
        }
        None => Ok(()),
    }
}

/// Whether a network of these `params` is the one that `source` trained, or why not.
fn trained_alike(source: &Source, model: &str, params: &Value) -> Result<(), String> {
    let rule = source.trained.iter().find(|(models, ..)| model.starts_with(models));
    match rule.map(|&(_, key, value)| (key, value, params[key].as_f64())) {
        Some((key, value, Some(own))) if own != value => {
            let library = source.name.split(' ').next().unwrap_or_default();
            let why = format!("{library} trained them with {key} {value}, but this network has {own}");
            Err(format!("{why}; set model.{key} = {value}"))
        }
        _ => Ok(()),
    }
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

/// Our names of the file's tensors, by the source of which most are variables; a run's own are as they are.
fn names(weights: &Weights, head: &str, known: impl Fn(&str) -> bool) -> (&'static Source, Names) {
    let counted = |name: &&str| name.ends_with("num_batches_tracked");
    let theirs: Vec<&str> = weights.shapes().map(|(name, _)| name).filter(|name| !counted(name)).collect();
    if theirs.iter().any(|name| is_inner(name)) {
        return (&OWN, theirs.into_iter().map(|name| (name.to_string(), name.to_string())).collect());
    }
    let by = |source: &'static Source| {
        let names: Names = theirs.iter().map(|name| (ours(&source.rename(name), head), name.to_string())).collect();
        (names.keys().filter(|name| known(name)).count(), source, names)
    };
    // The first one of the best.
    let best = SOURCES.iter().map(by).reduce(|best, next| if next.0 > best.0 { next } else { best });
    best.map_or((&SOURCES[0], BTreeMap::new()), |(_, source, names)| (source, names))
}

/// Our name of timm's variable.
fn ours(name: &str, head: &str) -> String {
    match name.strip_prefix(head).and_then(|rest| rest.strip_prefix('.')) {
        Some(part) => format!("head.{part}"),
        None => format!("backbone.{name}"),
    }
}

/// What to do with weights that are not those of `model`.
fn advice(weights: &Weights, model: &str) -> String {
    match lookalike(weights, ALIKE).filter(|name| *name != model) {
        Some(name) => look_like(name, model),
        None => format!("take weights of '{model}', or give it the parameters that these were trained with"),
    }
}

fn look_like(other: &str, model: &str) -> String {
    format!("these look like weights of '{other}': take that model, or weights of '{model}'")
}

/// The model whose variables are most like the tensors of `weights` in name and shape, of those where more than the share
/// `least` are.
fn lookalike(weights: &Weights, least: f64) -> Option<&'static str> {
    let shapes: BTreeMap<&str, &[usize]> = weights.shapes().collect();
    let mut best = (least.max(ALIKE), None);
    for (model, _) in backbone::models() {
        let config = NetworkConfig { model: model.into(), ..NetworkConfig::default() };
        let (Ok(wanted), Ok(head)) = (variables(&config), backbone::head(model)) else { continue };
        // Weights of another number of tensors cannot be alike, however they are called.
        if wanted.len() > 2 * shapes.len() || shapes.len() > 2 * wanted.len() {
            continue;
        }
        let (_, names) = names(weights, head, |name| wanted.contains_key(name));
        let all: BTreeSet<&String> = wanted.keys().chain(names.keys()).filter(|name| is_inner(name)).collect();
        let alike = |name: &&String| {
            names.get(*name).and_then(|n| shapes.get(n.as_str())) == wanted.get(*name).map(|s| &s[..]).as_ref()
        };
        let both = wanted.keys().filter(|n| is_inner(n) && names.contains_key(*n)).filter(alike).count();
        let share = both as f64 / all.len().max(1) as f64;
        if share > best.0 {
            best = (share, Some(model));
        }
    }
    best.1
}

/// Names and shapes of a network's variables; no memory is taken for them.
fn variables(config: &NetworkConfig) -> Result<Shapes> {
    let seen = Arc::new(Mutex::new(BTreeMap::new()));
    Network::new(config, init::noting(seen.clone()))?;
    let seen = seen.lock().unwrap_or_else(PoisonError::into_inner);
    Ok(seen.clone())
}
