//! A recipe: everything that decides a run, as data.
//!
//! TOML, read in layers: the `extends` chain, then `--set` options. Unknown keys are errors that list the valid ones.
//! What each technique's parameters are is the business of its crate; here they are tables with a `name`.

mod layers;
mod train;

pub use layers::lay;
pub use train::{LrScaling, Precision, Snapshots, Train};

use crate::demo::Demo;
use crate::pretrained::Choice;
use crate::pseudo::Pseudo;
use crate::usage::{Usage, suggestion};
use anyhow::{Context, Result};
use augment::pixel::Interpolation;
use models::pretrained::Input;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use std::path::Path;

/// The recipes that come with the program, by name.
pub const BUNDLED: &[(&str, &str)] = &[
    ("airbench", include_str!("../../recipes/airbench.toml")),
    ("default", include_str!("../../recipes/default.toml")),
    ("demo", include_str!("../../recipes/demo.toml")),
    ("dermoscopy", include_str!("../../recipes/dermoscopy.toml")),
    ("documents", include_str!("../../recipes/documents.toml")),
    ("features", include_str!("../../recipes/features.toml")),
    ("fundus", include_str!("../../recipes/fundus.toml")),
    ("handwriting", include_str!("../../recipes/handwriting.toml")),
    ("histology", include_str!("../../recipes/histology.toml")),
    ("intel", include_str!("../../recipes/intel.toml")),
    ("microscopy", include_str!("../../recipes/microscopy.toml")),
    ("photos", include_str!("../../recipes/photos.toml")),
    ("photos_strong", include_str!("../../recipes/photos_strong.toml")),
    ("satellite", include_str!("../../recipes/satellite.toml")),
    ("seedlings", include_str!("../../recipes/seedlings.toml")),
    ("spectrograms", include_str!("../../recipes/spectrograms.toml")),
    ("volumes", include_str!("../../recipes/volumes.toml")),
    ("xray", include_str!("../../recipes/xray.toml")),
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
    object.into_iter().filter(|(_, value)| !value.is_null()).map(|(key, value)| (key, without_nulls(value))).collect()
}

fn without_nulls(value: Value) -> Value {
    match value {
        Value::Object(_) => Value::Object(table(value)),
        Value::Array(values) => Value::Array(values.into_iter().map(without_nulls).collect()),
        plain => plain,
    }
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
    /// Rows without a label, those of the test part among them, to learn from: a finished run labels them.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub pseudo: Option<Pseudo>,
    /// What `pretrain` puts behind the network.
    pub pretrain: Pretrain,
    /// What `self-train` does.
    pub self_train: SelfTrain,
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
            pseudo: None,
            pretrain: Pretrain::default(),
            self_train: SelfTrain::default(),
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
    /// How they are made: a name of `list splits` with its parameters; where nothing is said, no group in two folds and each
    /// class as even as that allows.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub split: Option<Spec>,
    /// What stands in for missing values of the table's extra columns.
    #[serde(skip_serializing_if = "is_default")]
    pub impute: data::impute::ImputeConfig,
    /// Cleaning.
    pub clean: data::clean::CleanConfig,
    /// Labels that are no classes.
    pub drop_labels: Vec<String>,
    /// Parameters of the source.
    #[serde(flatten)]
    pub params: Map<String, Value>,
}

fn is_default<T: Default + PartialEq>(value: &T) -> bool {
    *value == T::default()
}

impl Default for Data {
    fn default() -> Self {
        Self {
            source: "auto".into(),
            demo: false,
            folds: 0,
            split: None,
            impute: Default::default(),
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
    /// Channel statistics for normalization: `dataset` (measured over the pictures that a fold learns from), `pretrained` (those of
    /// the weights), `imagenet`, `cifar10`, `cifar100`, `mnist`, `fashion_mnist`, `inception`, `per_image` (each picture's own),
    /// `{ per_group = "plate" }` (measured for each value of a column of `data.meta`, or for each `group`), or a table with `mean`
    /// and `std`.
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
#[serde(
    untagged,
    expecting = "expected \"dataset\", \"pretrained\", \"per_image\", \"imagenet\", \"cifar10\", \"cifar100\", \"mnist\", \
                 \"fashion_mnist\", \"inception\", { per_group = \"column\" } or a table with `mean` and `std`"
)]
pub enum StatsChoice {
    /// By name.
    Named(NamedStats),
    /// Measured for each value of a column, or for each `group`.
    #[serde(rename_all = "snake_case")]
    Grouped { per_group: String },
    /// Given, 0..=1 units.
    Given { mean: Vec<f32>, std: Vec<f32> },
}

/// Channel statistics by name.
#[derive(Clone, Copy, Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum NamedStats {
    /// Of ImageNet; for gray pictures the means over its channels, 0.449 and 0.226.
    Imagenet,
    /// Of CIFAR-10.
    Cifar10,
    /// Of CIFAR-100.
    Cifar100,
    /// Of MNIST.
    Mnist,
    /// Of Fashion-MNIST.
    FashionMnist,
    /// From -1 to 1.
    Inception,
    /// Each picture's own.
    PerImage,
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
    /// Further transforms of the copies that `train.repeat` makes of a picture, all but its first.
    pub copies: Vec<Spec>,
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
    /// Which columns of `data.meta` join the head: a list of them, `false` for none, or `true` for all but those that only
    /// `data.split` and `preprocess.stats` go by, as times, folds and plates.
    pub meta: Meta,
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

/// Columns that a network sees.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(untagged, expecting = "expected true, false or a list of columns")]
pub enum Meta {
    /// All that say something of a picture, or none.
    All(bool),
    /// These.
    Some(Vec<String>),
}

impl Default for Model {
    fn default() -> Self {
        Self {
            name: "baseline".into(),
            dropout: 0.0,
            meta: Meta::All(true),
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
    /// Weights from class counts: `none`, `balanced`, `sqrt`, `effective`.
    pub class_weights: ClassWeights,
    /// Losses of embeddings, which are added: names of `list losses` with their parameters and a `weight`.
    pub embedding: Vec<Spec>,
    /// Folder of a finished run of the same rows and folds, whose networks the `distillation` loss and `similarity` listen to.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub teacher: Option<String>,
    /// Weight of the difference between how alike the pictures of a batch are to the network and to its teacher; 0: none.
    pub similarity: f64,
    /// Parameters of the loss.
    #[serde(flatten)]
    pub params: Map<String, Value>,
}

impl Default for Loss {
    fn default() -> Self {
        Self {
            name: "cross_entropy".into(),
            class_weights: ClassWeights::Named(NamedWeights::None),
            embedding: vec![],
            teacher: None,
            similarity: 0.0,
            params: Map::new(),
        }
    }
}

/// How classes are weighted against their imbalance.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(untagged, expecting = "expected \"none\", \"balanced\", \"sqrt\", \"effective\" or { effective = 0.999 }")]
pub enum ClassWeights {
    /// By name.
    Named(NamedWeights),
    /// (1 − β) / (1 − βⁿ) with this β, 0..1 (Cui et al. 2019).
    Effective { effective: f64 },
}

/// Class weights by name.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum NamedWeights {
    /// All alike.
    None,
    /// N / (K · n).
    Balanced,
    /// Its square root.
    Sqrt,
    /// Of the effective number with β = 0.999.
    Effective,
}

/// `[eval]`.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Eval {
    /// The score that chooses weights and ends in `metrics.json`.
    pub metric: Spec,
    /// Further scores.
    pub also: Vec<Spec>,
    /// Test-time views: `none`, `flip`, `dihedral`, `shift`.
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

/// `[pretrain]`: everything else is as `[train]` says.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Pretrain {
    /// Width of the projections.
    pub width: usize,
    /// Width of the narrow layer in the predictor.
    pub bottleneck: usize,
}

impl Default for Pretrain {
    fn default() -> Self {
        Self { width: 512, bottleneck: 128 }
    }
}

/// `[self_train]`: a teacher, then students that also learn from what the one before says of pictures without a label.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct SelfTrain {
    /// Students, one after the other.
    pub rounds: usize,
    /// Keys of the recipe that are others for students: more noise, a larger network.
    pub student: Map<String, Value>,
}

impl Default for SelfTrain {
    fn default() -> Self {
        Self { rounds: 1, student: Map::new() }
    }
}

impl Recipe {
    /// Reads a bundled recipe by name or a file by path, lays `--set` options over it, and checks every key.
    pub fn load(name: &str, sets: &[String]) -> Result<Self> {
        let mut table = layers::layers(name, 0)?;
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
            let place =
                error.span().map(|span| layers::place(&text[..span.start], &text[span.start..])).unwrap_or_default();
            anyhow::anyhow!("{place}{message}{hint}").context(Usage::recipe(name))
        })
    }

    /// The recipe with the tables and values of `keys` laid over it.
    pub fn with(&self, keys: &Map<String, Value>) -> Result<Self> {
        let mut table: toml::Table = toml::from_str(&self.text()?).context("cannot read the recipe again")?;
        layers::merge(&mut table, toml::Table::try_from(keys).context(Usage::recipe(&self.name))?);
        Self::parse(&toml::to_string(&table).context(Usage::recipe(&self.name))?, &self.name)
    }

    /// The recipe as TOML with every key written out.
    pub fn text(&self) -> Result<String> {
        toml::to_string_pretty(self).context("cannot write the recipe as TOML")
    }
}
