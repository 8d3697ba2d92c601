//! The command line.

use clap::{Args, Parser, Subcommand, ValueEnum};
use std::path::PathBuf;

/// Image classification in Rust: the whole road from a folder of pictures to an answer one can defend.
#[derive(Debug, Parser)]
#[command(name = "cargo xtask", version, propagate_version = true, max_term_width = 100)]
pub struct Cli {
    /// What to do
    #[command(subcommand)]
    pub command: Command,
}

/// What to do.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// The whole road: look at the data, clean, split, train each fold, evaluate, blend, predict, submit
    Pipeline(RunArgs),
    /// The data report alone
    Eda(EdaArgs),
    /// A contact sheet of what training will see: pictures as evaluation sees them, then as each epoch does
    Augment(AugmentArgs),
    /// Noisy student: a teacher, then students that also learn from what the one before says of pictures without a label
    SelfTrain(RunArgs),
    /// Learning without labels, from two views of each picture: weights for model.pretrained
    Pretrain(RunArgs),
    /// Speed and memory of growing batches, and the size from which on larger ones are no faster
    BatchFind(BatchFindArgs),
    /// Learning-rate range test: rates to begin with, from a short training that is thrown away
    LrFind(LrFindArgs),
    /// Training alone: folds, weights, out-of-fold predictions, scores
    Train(RunArgs),
    /// Scores a finished run again from its weights
    Evaluate(EvaluateArgs),
    /// What a finished run says of pictures, as CSV or JSON lines
    Predict(PredictArgs),
    /// Where a finished run looked, in given pictures or in its hardest ones
    Explain(ExplainArgs),
    /// The networks of a finished run for elsewhere: weights by the names of timm or torchvision, or ONNX; a file a fold
    Export(ExportArgs),
    /// Finished runs side by side: scores, cost, and the settings in which they differ
    Compare(CompareArgs),
    /// What there is: one name a line with one sentence; models with the side of their pictures, parameters and multiply-adds
    List {
        /// Which table
        kind: Kind,
        /// As one JSON object
        #[arg(long)]
        json: bool,
    },
    /// Layers, output shapes, parameters and multiply-adds of a model
    Summary(SummaryArgs),
    /// The machine, the recipe and the time of every stage: what makes training slow, and what to do about it
    Doctor(RecipeArgs),
    /// Speed of the parts
    Bench {
        /// Which part
        #[command(subcommand)]
        part: Bench,
    },
}

/// The tables of `list`.
#[derive(Clone, Copy, Debug, ValueEnum)]
pub enum Kind {
    Models,
    Pools,
    Joins,
    Heads,
    Pretrained,
    Losses,
    Augment,
    Optimizers,
    Schedules,
    Metrics,
    Sources,
    Splits,
    Samplers,
    Recipes,
}

/// Options of every command that takes a recipe.
#[derive(Debug, Args)]
pub struct RecipeArgs {
    /// A bundled recipe's name or a recipe file [default: demo, or default with --data]
    pub recipe: Option<String>,
    /// Pictures: a folder or a table; its layout is recognized
    #[arg(long, value_name = "PATH")]
    pub data: Option<PathBuf>,
    /// Make the recipe's own look-alike data and take them
    #[arg(long, conflicts_with = "data")]
    pub demo: bool,
    #[command(flatten)]
    pub common: Common,
}

/// Options of every command that runs a recipe.
#[derive(Debug, Args)]
pub struct RunArgs {
    #[command(flatten)]
    pub recipe: RecipeArgs,
    /// Continue the unfinished run in --out
    #[arg(long)]
    pub resume: bool,
    /// Bound the whole command: fixes the number of epochs after timing the first steps
    #[arg(long, value_name = "M", value_parser = positive)]
    pub max_minutes: Option<f64>,
    /// Build everything, take one batch through every stage, write nothing
    #[arg(long)]
    pub dry_run: bool,
}

/// Options shared by commands that compute.
#[derive(Clone, Debug, Args)]
pub struct Common {
    /// Change a key of the recipe, e.g. --set train.lr=0.01 (repeatable)
    #[arg(long = "set", value_name = "KEY=VALUE")]
    pub sets: Vec<String>,
    /// Where results go [default: `runs/<recipe name>`]
    #[arg(long, value_name = "DIR")]
    pub out: Option<PathBuf>,
    /// Seed of everything random
    #[arg(long, value_name = "N")]
    pub seed: Option<u64>,
    /// cpu, cuda, cuda:N, metal or auto
    #[arg(long, value_name = "DEVICE", default_value = "auto")]
    pub device: String,
    /// Threads [default: all cores]; results do not depend on it
    #[arg(long, value_name = "T", value_parser = clap::value_parser!(u16).range(1..=1024))]
    pub threads: Option<u16>,
    /// Take pretrained weights from the cache only
    #[arg(long)]
    pub offline: bool,
    /// Say nothing but errors and the result
    #[arg(long)]
    pub quiet: bool,
    /// The result as one JSON object on stdout
    #[arg(long)]
    pub json: bool,
}

impl Common {
    /// Starts the threads and opens the device; once in a process.
    pub fn start(&self) -> anyhow::Result<candle_core::Device> {
        crate::machine::start(&self.device, self.threads)
    }
}

/// Arguments of `eda`.
#[derive(Debug, Args)]
pub struct EdaArgs {
    /// A folder or table of pictures, or a recipe
    pub what: String,
    /// Only what needs no pixels: rows, labels, metadata, missing files; a million rows take seconds
    #[arg(long)]
    pub no_decode: bool,
    /// Take the report that is there, if it is whole
    #[arg(long)]
    pub resume: bool,
    /// Open the data and take a look at some pictures, write nothing
    #[arg(long, conflicts_with = "resume")]
    pub dry_run: bool,
    #[command(flatten)]
    pub common: Common,
}

/// Arguments of `augment`.
#[derive(Debug, Args)]
pub struct AugmentArgs {
    #[command(flatten)]
    pub recipe: RecipeArgs,
    /// Training pictures, spread over the classes
    #[arg(long, alias = "samples", value_name = "N", default_value_t = 6, value_parser = clap::value_parser!(u16).range(1..=1000))]
    pub rows: u16,
    /// Epochs beside the picture as evaluation sees it
    #[arg(long, value_name = "N", default_value_t = 8, value_parser = clap::value_parser!(u16).range(1..=1000))]
    pub columns: u16,
    /// Only this sample, step by step: what each transform drew and made of it, a row for each epoch
    #[arg(long, value_name = "ID", conflicts_with = "rows")]
    pub sample: Option<String>,
}

/// Arguments of `batch-find`.
#[derive(Debug, Args)]
pub struct BatchFindArgs {
    #[command(flatten)]
    pub recipe: RecipeArgs,
    /// The largest batch to try
    #[arg(long, value_name = "B", default_value_t = 1024, value_parser = clap::value_parser!(u16).range(8..))]
    pub most: u16,
}

/// Arguments of `lr-find`.
#[derive(Debug, Args)]
pub struct LrFindArgs {
    #[command(flatten)]
    pub recipe: RecipeArgs,
    /// First learning rate
    #[arg(long, value_name = "LR", default_value_t = 1e-7, value_parser = rate)]
    pub from: f64,
    /// Last learning rate
    #[arg(long, value_name = "LR", default_value_t = 10.0, value_parser = rate)]
    pub to: f64,
    /// Steps from one to the other
    #[arg(long, value_name = "N", default_value_t = 100, value_parser = clap::value_parser!(u16).range(20..))]
    pub steps: u16,
}

/// Arguments of `evaluate`.
#[derive(Debug, Args)]
pub struct EvaluateArgs {
    /// The run's folder
    pub run: PathBuf,
    /// Pictures elsewhere than where the run read them
    #[arg(long, value_name = "PATH")]
    pub data: Option<PathBuf>,
    #[command(flatten)]
    pub device: DeviceArgs,
}

/// Arguments of `predict`.
#[derive(Debug, Args)]
pub struct PredictArgs {
    /// The run's folder
    pub run: PathBuf,
    /// Pictures, or folders of them
    #[arg(required = true)]
    pub images: Vec<PathBuf>,
    /// Write here instead of stdout
    #[arg(long, value_name = "FILE")]
    pub out: Option<PathBuf>,
    /// JSON lines instead of CSV
    #[arg(long)]
    pub json: bool,
    #[command(flatten)]
    pub device: DeviceArgs,
}

/// How `export` writes.
#[derive(Clone, Copy, Debug, ValueEnum)]
pub enum Format {
    /// Weights by the names of timm and torchvision
    Safetensors,
    /// The whole network for pictures of the run's size, any number at a time
    Onnx,
}

/// Arguments of `export`.
#[derive(Debug, Args)]
pub struct ExportArgs {
    /// The run's folder
    pub run: PathBuf,
    /// What to write
    #[arg(long, value_enum)]
    pub format: Format,
    /// Where to [default: `export` in the run's folder]
    #[arg(long, value_name = "DIR")]
    pub out: Option<PathBuf>,
    /// The result as one JSON object on stdout
    #[arg(long)]
    pub json: bool,
}

/// Arguments of `compare`.
#[derive(Debug, Args)]
pub struct CompareArgs {
    /// Folders of finished runs [default: all in runs]
    pub runs: Vec<PathBuf>,
    /// The result as one JSON object on stdout
    #[arg(long)]
    pub json: bool,
}

/// Arguments of `explain`.
#[derive(Debug, Args)]
pub struct ExplainArgs {
    /// The run's folder
    pub run: PathBuf,
    /// Pictures, or folders of them [default: the run's hardest]
    pub images: Vec<PathBuf>,
    /// The page, or a folder for explain.html [default: the run's folder]
    #[arg(long, value_name = "PATH")]
    pub out: Option<PathBuf>,
    /// Pictures elsewhere than where the run read them
    #[arg(long, value_name = "PATH")]
    pub data: Option<PathBuf>,
    #[command(flatten)]
    pub device: DeviceArgs,
}

/// Where to compute.
#[derive(Debug, Args)]
pub struct DeviceArgs {
    /// cpu, cuda, cuda:N, metal or auto
    #[arg(long, value_name = "DEVICE", default_value = "auto")]
    pub device: String,
    /// Threads [default: all cores]
    #[arg(long, value_name = "T", value_parser = clap::value_parser!(u16).range(1..=1024))]
    pub threads: Option<u16>,
    /// Say nothing but errors and the result
    #[arg(long)]
    pub quiet: bool,
}

/// Arguments of `summary`.
#[derive(Debug, Args)]
pub struct SummaryArgs {
    /// A name of `list models`
    pub model: String,
    /// Side of the pictures, pixels [default: that of the pictures that the model was made for]
    #[arg(long)]
    pub size: Option<usize>,
    /// Slices of a volume, where the model reads volumes [default: 16]
    #[arg(long, value_name = "D")]
    pub depth: Option<usize>,
    /// Change what a recipe's [model] says of the network, e.g. --set width=32 --set head=mlp --set views=4 (repeatable)
    #[arg(long = "set", value_name = "KEY=VALUE")]
    pub sets: Vec<String>,
    /// Classes
    #[arg(long, default_value_t = 1000)]
    pub classes: usize,
    /// Channels of the pictures
    #[arg(long, default_value_t = 3)]
    pub channels: usize,
    /// Tabular features that join the head
    #[arg(long, value_name = "N", default_value_t = 0)]
    pub meta: usize,
    /// As one JSON object
    #[arg(long)]
    pub json: bool,
}

/// Speed of the parts.
#[derive(Debug, Subcommand)]
pub enum Bench {
    /// Forward, backward and SGD update on one fixed batch
    Step(StepArgs),
    /// JPEG files to normalized batches through crop, flip and color jitter
    Loader(LoaderArgs),
    /// Value and gradient of a loss on one fixed batch, on the CPU
    Loss(LossArgs),
    /// Transforms of one picture, on one thread
    Augment(AugmentBenchArgs),
}

/// Arguments of `bench augment`.
#[derive(Debug, Args)]
pub struct AugmentBenchArgs {
    /// A name of `list augment`, or JSON as in recipes [default: all, each with its defaults]
    #[arg(long, value_name = "NAME|JSON")]
    pub transform: Option<String>,
    /// Side of the picture, pixels
    #[arg(long, default_value_t = 224, value_parser = clap::value_parser!(u16).range(1..=8192))]
    pub size: u16,
    /// Time for each
    #[arg(long, default_value_t = 300, value_parser = clap::value_parser!(u16).range(1..))]
    pub milliseconds: u16,
}

/// Arguments of `bench loss`.
#[derive(Debug, Args)]
pub struct LossArgs {
    /// A name of `list losses`, but `sum`
    #[arg(long)]
    pub loss: String,
    /// Samples per step
    #[arg(long, default_value_t = 256, value_parser = clap::value_parser!(u16).range(1..))]
    pub batch: u16,
    /// Classes, numbers of an embedding, or steps of a trajectory
    #[arg(long, default_value_t = 1000, value_parser = clap::value_parser!(u16).range(2..))]
    pub classes: u16,
    /// Threads [default: all cores]
    #[arg(long, value_parser = clap::value_parser!(u16).range(1..=1024))]
    pub threads: Option<u16>,
    /// Timed steps
    #[arg(long, default_value_t = 20, value_parser = clap::value_parser!(u16).range(1..))]
    pub steps: u16,
}

/// Arguments of `bench loader`.
#[derive(Debug, Args)]
pub struct LoaderArgs {
    /// Where the JPEG files lie, flat or nested
    #[arg(long, value_name = "FOLDER")]
    pub data: PathBuf,
    /// Side of the crops, pixels
    #[arg(long, default_value_t = 112, value_parser = clap::value_parser!(u16).range(1..=4096))]
    pub size: u16,
    /// Threads [default: all cores]
    #[arg(long, value_parser = clap::value_parser!(u16).range(1..=1024))]
    pub threads: Option<u16>,
}

/// Arguments of `bench step`.
#[derive(Debug, Args)]
pub struct StepArgs {
    /// A name of `list models`
    #[arg(long)]
    pub model: String,
    /// Pictures per step
    #[arg(long, default_value_t = 32, value_parser = clap::value_parser!(u16).range(1..))]
    pub batch: u16,
    /// Side of the pictures, pixels
    #[arg(long, default_value_t = 32, value_parser = clap::value_parser!(u16).range(1..=4096))]
    pub size: u16,
    /// Threads [default: all cores]
    #[arg(long, value_parser = clap::value_parser!(u16).range(1..=1024))]
    pub threads: Option<u16>,
    /// Timed steps
    #[arg(long, default_value_t = 8, value_parser = clap::value_parser!(u16).range(1..))]
    pub steps: u16,
    /// cpu, cuda, cuda:N, metal or auto
    #[arg(long, default_value = "auto")]
    pub device: String,
    /// f32 or bf16
    #[arg(long, default_value = "f32")]
    pub dtype: String,
    /// Outputs of a side that a 3x3 convolution computes at a time on a CPU: none, two or four
    #[arg(long, default_value = "four")]
    pub winograd: String,
    /// Widest vectors of the CPU in use: portable, avx2 or avx512
    #[arg(long, default_value = "avx512")]
    pub vectors: String,
}

fn positive(text: &str) -> Result<f64, String> {
    match text.parse::<f64>() {
        Ok(v) if v > 0.0 && v <= 1e6 => Ok(v),
        _ => Err("expected a positive number of minutes, at most a million".into()),
    }
}

fn rate(text: &str) -> Result<f64, String> {
    match text.parse::<f64>() {
        Ok(v) if (1e-30..=1e6).contains(&v) => Ok(v),
        _ => Err("expected a learning rate above 0, at most a million".into()),
    }
}
