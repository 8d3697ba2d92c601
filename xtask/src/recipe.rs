//! A recipe: everything that decides a run, as data.
//!
//! TOML, read in layers: the `extends` chain, then `--set` options. Unknown keys are errors that list the valid ones.
//! What each technique's parameters are is the business of its crate; here they are tables with a `name`.

use crate::demo::Demo;
use crate::pretrained::Choice;
use crate::usage::{Usage, suggestion};
use anyhow::{Context, Result, bail};
use augment::pixel::Interpolation;
use models::ops::Tile;
use models::pretrained::Input;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use std::path::{Path, PathBuf};

/// The recipes that come with the program, by name.
pub const BUNDLED: &[(&str, &str)] = &[
    ("default", include_str!("../recipes/default.toml")),
    ("demo", include_str!("../recipes/demo.toml")),
    ("features", include_str!("../recipes/features.toml")),
    ("intel", include_str!("../recipes/intel.toml")),
    ("seedlings", include_str!("../recipes/seedlings.toml")),
];

/// A technique and its parameters: `"flip"`, or `{ name = "flip", p = 0.5 }`.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Spec {
    pub name: String,
    #[serde(flatten)]
    pub params: Map<String, Value>,
}

impl Spec {
    pub fn new(name: &str) -> Self {
        Self { name: name.into(), params: Map::new() }
    }
    pub fn value(&self) -> Value {
        Value::Object(self.params.clone())
    }
    /// The same as a part of a network.
    pub fn part(&self) -> models::parts::Choice {
        models::parts::Choice { name: self.name.clone(), params: self.params.clone() }
    }
    /// The same technique with these parameters.
    pub fn with(&self, params: Value) -> Self {
        Self { name: self.name.clone(), params: table(params) }
    }
}

/// The keys of an object that have a value: TOML has no null.
pub fn table(object: Value) -> Map<String, Value> {
    let Value::Object(object) = object else { return Map::new() };
    let nested = |value| if let Value::Object(_) = value { Value::Object(table(value)) } else { value };
    object.into_iter().filter(|(_, value)| !value.is_null()).map(|(key, value)| (key, nested(value))).collect()
}

impl<'de> Deserialize<'de> for Spec {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        use serde::de::Error;
        match Value::deserialize(deserializer)? {
            Value::String(name) => Ok(Self::new(&name)),
            Value::Object(mut params) => match params.remove("name") {
                Some(Value::String(name)) => Ok(Self { name, params }),
                _ => Err(D::Error::custom("a table here needs a `name`")),
            },
            other => Err(D::Error::custom(format!("expected a name or a table with a `name`, got {other}"))),
        }
    }
}

/// A whole recipe.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Recipe {
    /// Name, also of the run's folder.
    pub name: String,
    /// One sentence.
    pub about: String,
    /// Of everything random.
    pub seed: u64,
    /// Where the pictures come from, and how they are split and cleaned.
    pub data: Data,
    /// Deterministic steps before anything else.
    pub preprocess: Preprocess,
    /// Random changes of training pictures.
    pub augment: Augment,
    /// The network.
    pub model: Model,
    /// What training minimizes.
    pub loss: Loss,
    /// How it is minimized.
    pub train: Train,
    /// How results are judged.
    pub eval: Eval,
    /// The form of the answer where no sample submission gives one.
    pub submission: eval::Submission,
    /// Look-alike data of this recipe's layout, for `--demo`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub demo: Option<Demo>,
}

impl Default for Recipe {
    fn default() -> Self {
        Self {
            name: "default".into(),
            about: String::new(),
            seed: 0,
            data: Data::default(),
            preprocess: Preprocess::default(),
            augment: Augment::default(),
            model: Model::default(),
            loss: Loss::default(),
            train: Train::default(),
            eval: Eval::default(),
            submission: eval::Submission::default(),
            demo: None,
        }
    }
}

/// `[data]`: what is said here of every source; all other keys are parameters of the source.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(default)]
pub struct Data {
    /// A name of `list sources`, or `auto`: recognized from the path.
    pub source: String,
    /// Use this recipe's look-alike data, written into the run's folder.
    pub demo: bool,
    /// Number of folds; 0: the given validation part if there is one, else 5; 1: one hold-out of a fifth.
    pub folds: usize,
    /// Cleaning.
    pub clean: data::clean::CleanConfig,
    /// Labels that are no classes.
    pub drop_labels: Vec<String>,
    /// Parameters of the source.
    #[serde(flatten)]
    pub params: Map<String, Value>,
}

impl Default for Data {
    fn default() -> Self {
        Self {
            source: "auto".into(),
            demo: false,
            folds: 0,
            clean: Default::default(),
            drop_labels: vec![],
            params: Map::new(),
        }
    }
}

/// `[preprocess]`.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Preprocess {
    /// Side of the network's input, pixels.
    pub size: usize,
    /// How a picture becomes a square: squash, crop, letterbox (modes of the `resize` transform).
    pub resize: String,
    /// Side of the kept middle as a share of that square's, 0.1..=1. Training pictures that are cropped at random are kept
    /// whole.
    pub crop: f64,
    /// How pictures are resized, by the random crops of training, too: bilinear, bicubic.
    pub interpolation: Interpolation,
    /// Deterministic transforms before that.
    pub steps: Vec<Spec>,
    /// Channel statistics for normalization: `imagenet`, `dataset` (measured), `pretrained` (those of the weights), or a table
    /// with `mean` and `std`.
    pub stats: StatsChoice,
}

impl Default for Preprocess {
    fn default() -> Self {
        Self {
            size: 64,
            resize: "squash".into(),
            crop: 1.0,
            interpolation: Interpolation::Bilinear,
            steps: vec![],
            stats: StatsChoice::Named(NamedStats::Dataset),
        }
    }
}

/// Where channel statistics come from.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(untagged, expecting = "expected \"imagenet\", \"dataset\", \"pretrained\" or a table with `mean` and `std`")]
pub enum StatsChoice {
    /// By name.
    Named(NamedStats),
    /// Given, 0..=1 units.
    Given { mean: Vec<f32>, std: Vec<f32> },
}

/// Channel statistics by name.
#[derive(Clone, Copy, Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum NamedStats {
    /// Of ImageNet; for gray pictures the means over its channels, 0.449 and 0.226.
    Imagenet,
    /// Of this data set, as its report measures them.
    Dataset,
    /// Those that the pretrained weights were trained with.
    Pretrained,
}

/// `[augment]`.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Augment {
    /// Transforms of single pictures, in order.
    pub transforms: Vec<Spec>,
    /// Transforms of batches, in order.
    pub batch: Vec<Spec>,
}

/// `[model]`: all other keys override the model's configuration.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(default)]
pub struct Model {
    /// A name of `list models`.
    pub name: String,
    /// Before the head, 0..1.
    pub dropout: f64,
    /// Whether the table's extra columns join the head.
    pub meta: bool,
    /// Widths of layers that these columns go through before.
    pub meta_hidden: Vec<usize>,
    /// A name of `list pools` with its parameters.
    pub pool: Spec,
    /// A name of `list heads` with its parameters.
    pub head: Spec,
    /// Pictures of one sample that the network sees, or slices of its volume; 0: as many as the sample with most has.
    pub views: usize,
    /// What makes one of several: a name of `list joins` with its parameters.
    pub join: Spec,
    /// Variables that start otherwise than the model says, by patterns of their names; the last one that fits counts.
    pub init: Vec<models::init::Rule>,
    /// Whether each layer is scaled before the first step until what it makes of training pictures has variance 1 (layer-sequential
    /// unit variance, LSUV).
    pub lsuv: bool,
    /// Weights to start from: `true` for the model's default ones, a name of `list pretrained`, or a file. What they were
    /// trained with is the default of `preprocess` (size, resize, crop, interpolation, stats) and of the model's configuration.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub pretrained: Option<Choice>,
    /// How their first convolution comes to read other than three channels: `repeat`, `mean`, `rgby`.
    pub input: Input,
    /// Overrides of the model's configuration.
    #[serde(flatten)]
    pub params: Map<String, Value>,
}

impl Default for Model {
    fn default() -> Self {
        Self {
            name: "baseline".into(),
            dropout: 0.0,
            meta: true,
            meta_hidden: vec![],
            pool: Spec::new("mean"),
            head: Spec::new("linear"),
            views: 0,
            join: Spec::new("mean"),
            init: vec![],
            lsuv: false,
            pretrained: None,
            input: Input::Repeat,
            params: Map::new(),
        }
    }
}

/// `[loss]`: all other keys are parameters of the loss.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(default)]
pub struct Loss {
    /// A name of `list losses`.
    pub name: String,
    /// Weights from class counts: `none`, `balanced`, `effective`.
    pub class_weights: ClassWeights,
    /// Parameters of the loss.
    #[serde(flatten)]
    pub params: Map<String, Value>,
}

impl Default for Loss {
    fn default() -> Self {
        Self { name: "cross_entropy".into(), class_weights: ClassWeights::None, params: Map::new() }
    }
}

/// How classes are weighted against their imbalance.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ClassWeights {
    /// All alike.
    None,
    /// N / (K · n).
    Balanced,
    /// (1 − β) / (1 − βⁿ) with β = 0.999 (Cui et al. 2019).
    Effective,
}

/// `[train]`.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Train {
    /// Passes over the training rows.
    pub epochs: usize,
    /// Most optimizer steps of an epoch; 0: all.
    pub steps_per_epoch: usize,
    /// Pictures per step.
    pub batch_size: usize,
    /// Highest learning rate.
    pub lr: f64,
    /// Factor of the learning rate for the backbone; what stands behind it is new: 1 trains all alike, 0 leaves the backbone as
    /// it is, its statistics and dropout included. A backbone that never learns is left as it is with any.
    pub backbone_lr: f64,
    /// Factor of the learning rate from each of the network's stages to the one before it, above 0 and at most 1; 1 trains them
    /// alike.
    pub layer_decay: f64,
    /// Stages of the backbone, from the input on, that stay as they are.
    pub freeze: usize,
    /// Weight of the loss of each auxiliary head, where the model has one.
    pub aux_weight: f64,
    /// Whether what a backbone that is not trained makes of a picture is computed once, with the pool, and kept in the user's
    /// cache, so that only what stands behind it sees the data again.
    pub features: bool,
    /// Heads on bootstrap resamples of the features, whose probabilities are averaged; 1: the head alone, on all of them.
    pub bags: usize,
    /// A name of `list optimizers` with its parameters.
    pub optimizer: Spec,
    /// A name of `list schedules` with its parameters.
    pub schedule: Spec,
    /// Epochs of linear warm-up.
    pub warmup: f64,
    /// Whether weight decay also shrinks biases and norms.
    pub decay_norms: bool,
    /// Order of the samples: `shuffled` or `balanced`.
    pub sampler: String,
    /// Micro-batches per step.
    pub accumulate: usize,
    /// Largest global norm of the gradients; 0: no clipping.
    pub clip_norm: f64,
    /// Decay of the averaged weights; 0: none.
    pub ema: f64,
    /// Epochs without a better score after which a fold ends; 0: never.
    pub patience: usize,
    /// Checkpoints between epochs, every so many steps; 0: none.
    pub save_every: usize,
    /// Steps between logged losses.
    pub log_every: usize,
    /// Batches prepared ahead.
    pub prefetch: usize,
    /// Megabytes of decoded pictures kept in memory.
    pub cache_mb: usize,
    /// 3×3 convolutions on a CPU: `none` sums plainly, `two` computes 2×2 outputs at once with the same rounding error, `four`
    /// 4×4 with a three to five times larger one, with which networks train as well.
    pub winograd: Tile,
    /// The `--max-minutes` from which `epochs` was found; a record, it decides nothing.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub max_minutes: Option<f64>,
}

impl Default for Train {
    fn default() -> Self {
        Self {
            epochs: 10,
            steps_per_epoch: 0,
            batch_size: 32,
            lr: 0.05,
            backbone_lr: 1.0,
            layer_decay: 1.0,
            freeze: 0,
            aux_weight: 0.4,
            features: false,
            bags: 1,
            optimizer: Spec::new("sgd"),
            schedule: Spec::new("cosine"),
            warmup: 1.0,
            decay_norms: false,
            sampler: "shuffled".into(),
            accumulate: 1,
            clip_norm: 0.0,
            ema: 0.0,
            patience: 0,
            save_every: 0,
            log_every: 10,
            prefetch: 4,
            cache_mb: 1024,
            winograd: Tile::Four,
            max_minutes: None,
        }
    }
}

/// `[eval]`.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Eval {
    /// The score that chooses weights and ends in `metrics.json`.
    pub metric: Spec,
    /// Further scores.
    pub also: Vec<Spec>,
    /// Test-time views: `none`, `flip`, `dihedral`.
    pub views: augment::Views,
    /// Resamples of the bootstrap interval.
    pub bootstrap: usize,
}

impl Default for Eval {
    fn default() -> Self {
        let also = ["accuracy", "balanced_accuracy", "f_score", "log_loss", "auc"];
        Self {
            metric: Spec::new("accuracy"),
            also: also.iter().map(|name| Spec::new(name)).collect(),
            views: augment::Views::default(),
            bootstrap: 1000,
        }
    }
}

impl Recipe {
    /// Reads a bundled recipe by name or a file by path, lays `--set` options over it, and checks every key.
    pub fn load(name: &str, sets: &[String]) -> Result<Self> {
        let mut table = layers(name, 0)?;
        sets.iter().try_for_each(|set| lay(&mut table, set))?;
        crate::pretrained::complete(&mut table).context(Usage::recipe(name))?;
        let text = toml::to_string(&table).context(Usage::recipe(name))?;
        let mut recipe = Self::parse(&text, name)?;
        if recipe.name == "default" && name != "default" {
            recipe.name = Path::new(name).file_stem().map_or(name.into(), |s| s.to_string_lossy().into_owned());
        }
        Ok(recipe)
    }

    /// A recipe from TOML that extends nothing; `name` is what errors call it.
    pub fn parse(text: &str, name: &str) -> Result<Self> {
        toml::from_str(text).map_err(|error| {
            let message = error.message().to_string();
            let hint = suggestion(&message);
            let place = error.span().map(|span| place(&text[..span.start], &text[span.start..])).unwrap_or_default();
            anyhow::anyhow!("{place}{message}{hint}").context(Usage::recipe(name))
        })
    }

    /// The recipe as TOML with every key written out.
    pub fn text(&self) -> Result<String> {
        toml::to_string_pretty(self).context("cannot write the recipe as TOML")
    }
}

/// Section and line that an error of TOML points to, between `before` and `after`.
fn place(before: &str, after: &str) -> String {
    let section = before.lines().rev().find(|line| line.starts_with('[')).unwrap_or_default();
    let begun = before.rsplit('\n').next().unwrap_or_default();
    let line = format!("{begun}{}", after.lines().next().unwrap_or_default());
    if line == section { format!("{section}: ") } else { format!("{section} `{line}`: ").trim_start().to_string() }
}

/// The table of a recipe with everything that it extends below it.
fn layers(name: &str, depth: usize) -> Result<toml::Table> {
    if depth > 8 {
        return Err(Usage::recipe(name)).context(format!("'{name}' extends itself"));
    }
    let (text, folder) = read(name)?;
    let mut table: toml::Table =
        toml::from_str(&text).map_err(|e| anyhow::anyhow!("{e}")).context(Usage::recipe(name))?;
    let Some(base) = table.remove("extends") else { return Ok(table) };
    let Some(base) = base.as_str() else {
        return Err(Usage::recipe(name)).context("`extends` must be a name or a path");
    };
    let beside = folder.join(base);
    let base = if beside.is_file() { beside.display().to_string() } else { base.to_string() };
    let mut merged = layers(&base, depth + 1)?;
    merge(&mut merged, table);
    Ok(merged)
}

fn read(name: &str) -> Result<(String, PathBuf)> {
    if let Some((_, text)) = BUNDLED.iter().find(|(known, _)| *known == name) {
        return Ok((text.to_string(), PathBuf::new()));
    }
    let path = Path::new(name);
    if path.is_file() {
        let text = std::fs::read_to_string(path)
            .with_context(|| format!("cannot read '{name}'"))
            .context(Usage::recipe(name))?;
        return Ok((text, path.parent().map(Path::to_path_buf).unwrap_or_default()));
    }
    let known: Vec<&str> = BUNDLED.iter().map(|(name, _)| *name).collect();
    let message = format!("unknown recipe '{name}', expected a file or one of {}", known.join(", "));
    let hint = suggestion(&message);
    Err(anyhow::anyhow!("{message}{hint}").context(Usage::recipe(name)))
}

/// Tables are merged, everything else is replaced.
fn merge(base: &mut toml::Table, over: toml::Table) {
    for (key, value) in over {
        match (base.get_mut(&key), value) {
            (Some(toml::Value::Table(base)), toml::Value::Table(over)) => {
                if let Some(name) = over.get("name") {
                    rename(base, name);
                }
                merge(base, over);
            }
            (_, value) => {
                base.insert(key, value);
            }
        }
    }
}

/// Keys of `[model]` and `[loss]` that belong to no technique.
const KEPT: &[&str] = &[
    "dropout",
    "meta",
    "meta_hidden",
    "pool",
    "head",
    "views",
    "join",
    "init",
    "lsuv",
    "pretrained",
    "input",
    "class_weights",
];

/// A technique of another name does not inherit the parameters of the old one; what the recipe itself says stays.
fn rename(technique: &mut toml::Table, name: &toml::Value) {
    if technique.get("name").is_some_and(|old| old != name) {
        technique.retain(|key, _| KEPT.contains(&key));
    }
}

/// Lays a `--set` option over `table`.
pub fn lay(table: &mut toml::Table, set: &str) -> Result<()> {
    let (key, value) = parse_set(set)?;
    insert(table, &key, value)
}

/// `a.b=value`; a value that is not TOML is a string.
fn parse_set(set: &str) -> Result<(Vec<String>, toml::Value)> {
    let Some((key, value)) = set.split_once('=') else {
        return Err(Usage::command_line()).context(format!("--set {set}: expected key=value"));
    };
    let parsed = toml::from_str::<toml::Table>(&format!("value = {value}")).ok();
    let value = parsed.and_then(|mut t| t.remove("value")).unwrap_or_else(|| toml::Value::String(value.to_string()));
    Ok((key.trim().split('.').map(str::to_string).collect(), value))
}

fn insert(table: &mut toml::Table, path: &[String], value: toml::Value) -> Result<()> {
    match path {
        [] => bail!(Usage::command_line()),
        [last] => {
            table.insert(last.clone(), value);
            Ok(())
        }
        [first, rest @ ..] => {
            let entry = table.entry(first.clone()).or_insert_with(|| toml::Value::Table(toml::Table::new()));
            if let toml::Value::String(name) = entry {
                // A technique given by its name alone grows into a table.
                *entry =
                    toml::Value::Table([("name".to_string(), toml::Value::String(name.clone()))].into_iter().collect());
            }
            match entry {
                toml::Value::Table(inner) => {
                    if rest == ["name"] {
                        rename(inner, &value);
                    }
                    insert(inner, rest, value)
                }
                _ => Err(Usage::command_line()).context(format!("--set: '{first}' is not a table")),
            }
        }
    }
}
