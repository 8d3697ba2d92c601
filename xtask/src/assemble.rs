//! From names and parameters to the objects of the six crates: everything is built before anything is read.

use crate::recipe::{ClassWeights, NamedStats, Recipe, Spec, StatsChoice, table};
use crate::usage::Usage;
use anyhow::{Context, Result};
use augment::{BatchTransform, Transform};
use candle_core::{DType, Device};
use candle_nn::VarBuilder;
use eval::Metric;
use losses::Loss;
use serde_json::{Value, json};
use std::sync::Arc;

/// A picture transform that many threads share.
pub type Shared = Arc<dyn Fn(data::Image, &mut rand_chacha::ChaCha8Rng) -> data::Image + Send + Sync>;

/// Everything of a recipe that needs no data.
pub struct Parts {
    /// Training pictures: steps, random transforms, fit to the input size.
    pub training: Shared,
    /// Batch mixing, in order.
    pub mixing: Vec<Box<dyn BatchTransform>>,
    /// The score that decides.
    pub metric: Box<dyn Metric>,
    /// Further scores by name.
    pub also: Vec<(String, Box<dyn Metric>)>,
}

/// Marks an error as the recipe's fault and says where.
trait At<T> {
    fn at(self, recipe: &Recipe, section: &str) -> Result<T>;
}

impl<T, E: Into<anyhow::Error>> At<T> for Result<T, E> {
    fn at(self, recipe: &Recipe, section: &str) -> Result<T> {
        self.map_err(Into::into).with_context(|| section.to_string()).context(Usage::recipe(&recipe.name))
    }
}

/// Builds everything and writes every default into the recipe.
pub fn parts(recipe: &mut Recipe) -> Result<Parts> {
    check(recipe)?;
    recipe.submission.validate().at(recipe, "submission")?;
    if let Some(demo) = &recipe.demo {
        demo.validate().at(recipe, "demo")?;
    }
    let resolve = |spec: &Spec, f: &dyn Fn(&str, Value) -> Result<Value>, at: &str| -> Result<Spec> {
        Ok(spec.with(f(&spec.name, spec.value()).at(recipe, at)?))
    };
    let transform = |name: &str, params| augment::resolve(name, params).map_err(Into::into);
    let batch = |name: &str, params| augment::resolve_batch(name, params).map_err(Into::into);
    let metric = |name: &str, params| eval::metrics::resolve(name, params).map_err(Into::into);
    let optimizer = |name: &str, params| train::optim::resolve(name, params).map_err(Into::into);
    let schedule = |name: &str, params| train::schedule::resolve(name, params).map_err(Into::into);
    let all = |specs: &[Spec], f: &dyn Fn(&str, Value) -> Result<Value>, at: &str| -> Result<Vec<Spec>> {
        specs.iter().map(|spec| resolve(spec, f, at)).collect()
    };
    let steps = all(&recipe.preprocess.steps, &transform, "preprocess.steps")?;
    let transforms = all(&recipe.augment.transforms, &transform, "augment.transforms")?;
    let mixing = all(&recipe.augment.batch, &batch, "augment.batch")?;
    let decisive = resolve(&recipe.eval.metric, &metric, "eval.metric")?;
    let also = all(&recipe.eval.also, &metric, "eval.also")?;
    let optimizer = resolve(&recipe.train.optimizer, &optimizer, "train.optimizer")?;
    let schedule = resolve(&recipe.train.schedule, &schedule, "train.schedule")?;
    data::sampler::build(&recipe.train.sampler).at(recipe, "train.sampler")?;
    let loss = losses::resolve(&recipe.loss.name, Value::Object(recipe.loss.params.clone())).at(recipe, "loss")?;
    let model = models::resolve(&recipe.model.name, &Value::Object(recipe.model.params.clone())).at(recipe, "model")?;
    // Built once on zeros, so that a wrong parameter is found before any picture is read.
    models::build(&recipe.model.name, &model, 3, VarBuilder::zeros(DType::F32, &Device::Cpu)).at(recipe, "model")?;

    recipe.preprocess.steps = steps;
    let evaluation = evaluation_steps(recipe);
    // Random changes come between the deterministic steps and the fit to the input size.
    let (steps, fit) = evaluation.split_at(evaluation.len() - 1);
    let training: Vec<Spec> = steps.iter().chain(&transforms).chain(fit).cloned().collect();
    let parts = Parts {
        training: shared(&training).at(recipe, "augment.transforms")?,
        mixing: mixing
            .iter()
            .map(|s| augment::build_batch(&s.name, s.value()))
            .collect::<Result<_, _>>()
            .at(recipe, "augment.batch")?,
        metric: eval::metrics::build(&decisive.name, decisive.value()).at(recipe, "eval.metric")?,
        also: also
            .iter()
            .map(|s| Ok((s.name.clone(), eval::metrics::build(&s.name, s.value())?)))
            .collect::<Result<_>>()
            .at(recipe, "eval.also")?,
    };
    recipe.augment.transforms = transforms;
    recipe.augment.batch = mixing;
    recipe.eval.metric = decisive;
    recipe.eval.also = also;
    recipe.train.optimizer = optimizer;
    recipe.train.schedule = schedule;
    recipe.loss.params = table(loss);
    recipe.model.params = table(model);
    Ok(parts)
}

/// Deterministic transforms of every picture, the last one to the input size.
pub fn evaluation_steps(recipe: &Recipe) -> Vec<Spec> {
    let fit = Spec::new("resize").with(json!({"size": recipe.preprocess.size, "mode": recipe.preprocess.resize}));
    recipe.preprocess.steps.iter().cloned().chain([fit]).collect()
}

/// Transforms as one function.
pub fn shared(specs: &[Spec]) -> Result<Shared> {
    let built = specs.iter().map(|s| augment::build(&s.name, s.value())).collect::<Result<Vec<_>, _>>();
    let pipeline = augment::Pipeline(built?);
    Ok(Arc::new(move |image, rng| pipeline.apply(image, rng)))
}

/// Values that no crate checks.
fn check(recipe: &Recipe) -> Result<()> {
    let train = &recipe.train;
    let wrong = |what: &str| Err(Usage::recipe(&recipe.name)).context(what.to_string());
    match () {
        _ if recipe.preprocess.size == 0 || recipe.preprocess.size > 4096 => {
            wrong("preprocess.size must be in 1..=4096")
        }
        _ if train.epochs == 0 => wrong("train.epochs must be at least 1"),
        _ if train.batch_size == 0 => wrong("train.batch_size must be at least 1"),
        _ if train.accumulate == 0 => wrong("train.accumulate must be at least 1"),
        _ if !(train.lr > 0.0 && train.lr.is_finite()) => wrong("train.lr must be positive"),
        _ if !(0.0..1.0).contains(&train.ema) => wrong("train.ema must be in 0..1"),
        _ if !(train.warmup >= 0.0 && train.warmup.is_finite()) => wrong("train.warmup must be at least 0 epochs"),
        _ if train.clip_norm < 0.0 => wrong("train.clip_norm must be at least 0"),
        _ if !(0.0..1.0).contains(&recipe.model.dropout) => wrong("model.dropout must be in 0..1"),
        _ => Ok(()),
    }
}

/// The loss for these classes; class weights come from `counts`.
pub fn loss(recipe: &Recipe, counts: &[usize]) -> Result<Box<dyn Loss>> {
    let mut params = recipe.loss.params.clone();
    let weights = match recipe.loss.class_weights {
        ClassWeights::None => None,
        ClassWeights::Balanced => Some(data::balance::inverse(counts)),
        ClassWeights::Effective => Some(data::balance::effective_number(counts, 0.999)),
    };
    if let Some(weights) = weights {
        if params.get("weights").is_some_and(|w| !w.is_null()) {
            return Err(Usage::recipe(&recipe.name))
                .context("loss: give either `weights` or `class_weights`, not both");
        }
        params.insert("weights".into(), json!(weights));
    }
    let loss = losses::build(&recipe.loss.name, Value::Object(params)).at(recipe, "loss")?;
    loss.check(counts.len()).at(recipe, "loss")?;
    Ok(loss)
}

/// The optimizer of the recipe.
pub fn optimizer(recipe: &Recipe) -> Result<Box<dyn train::optim::Optimizer>> {
    train::optim::build(&recipe.train.optimizer.name, recipe.train.optimizer.value()).at(recipe, "train.optimizer")
}

/// The schedule of the recipe, warm-up included.
pub fn schedule(recipe: &Recipe) -> Result<Box<dyn train::schedule::Schedule>> {
    let spec = &recipe.train.schedule;
    let then = train::schedule::build(&spec.name, spec.value()).at(recipe, "train.schedule")?;
    Ok(Box::new(train::schedule::Warmup { epochs: recipe.train.warmup, then }))
}

/// Channel statistics of the recipe; `measured` are those of the data set.
pub fn stats(recipe: &Recipe, measured: (&[f64], &[f64])) -> data::Stats {
    match &recipe.preprocess.stats {
        StatsChoice::Named(NamedStats::Imagenet) => data::Stats::default(),
        StatsChoice::Named(NamedStats::Dataset) => {
            let narrow = |v: &[f64]| v.iter().map(|v| *v as f32).collect();
            // A channel that never changes is left at its scale.
            let std = measured.1.iter().map(|s| if *s > 1e-6 { *s as f32 } else { 1.0 }).collect();
            data::Stats { mean: narrow(measured.0), std }
        }
        StatsChoice::Given { mean, std } => data::Stats { mean: mean.clone(), std: std.clone() },
    }
}
