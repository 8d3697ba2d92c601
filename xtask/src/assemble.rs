//! From names and parameters to the objects of the six crates: everything is built before anything is read.

use crate::pretrained;
use crate::recipe::{ClassWeights, Data, NamedStats, Preprocess, Recipe, Spec, StatsChoice, table};
use crate::usage::Usage;
use anyhow::{Context, Result, anyhow, bail};
use augment::{BatchTransform, Transform};
use data::Dataset;
use data::decode::Color;
use data::explore::Report;
use eval::Metric;
use losses::Loss;
use serde_json::{Map, Value, json};
use std::path::Path;
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
    resolve(&evaluation_fit(recipe), &transform, "preprocess")?;
    let given: Vec<Spec> = recipe.augment.transforms.iter().map(|t| sized(t, &recipe.preprocess)).collect();
    let transforms = all(&given, &transform, "augment.transforms")?;
    let mixing = all(&recipe.augment.batch, &batch, "augment.batch")?;
    let decisive = resolve(&recipe.eval.metric, &metric, "eval.metric")?;
    let also = all(&recipe.eval.also, &metric, "eval.also")?;
    let optimizer = resolve(&recipe.train.optimizer, &optimizer, "train.optimizer")?;
    let schedule = resolve(&recipe.train.schedule, &schedule, "train.schedule")?;
    data::sampler::build(&recipe.train.sampler).at(recipe, "train.sampler")?;
    let loss = losses::resolve(&recipe.loss.name, Value::Object(recipe.loss.params.clone())).at(recipe, "loss")?;
    let model = models::resolve(&recipe.model.name, &Value::Object(recipe.model.params.clone())).at(recipe, "model")?;
    check_input(recipe, &model)?;
    let [pool, join, head] = network_parts(recipe)?;
    check_loss(recipe, &loss, &head).at(recipe, "loss")?;

    recipe.preprocess.steps = steps;
    // Random changes come between the deterministic steps and the fit to the input size.
    let fit = training_fit(recipe);
    let training: Vec<Spec> = recipe.preprocess.steps.iter().chain(&transforms).chain([&fit]).cloned().collect();
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
    models::ops::set_winograd(recipe.train.winograd);
    recipe.loss.params = table(loss);
    recipe.model.params = table(model);
    recipe.model.pool = pool;
    recipe.model.join = join;
    recipe.model.head = head;
    Ok(parts)
}

/// Deterministic transforms of every picture, the last one to the input size.
pub fn evaluation_steps(recipe: &Recipe) -> Vec<Spec> {
    recipe.preprocess.steps.iter().cloned().chain([evaluation_fit(recipe)]).collect()
}

fn evaluation_fit(recipe: &Recipe) -> Spec {
    let Preprocess { size, resize, crop, interpolation, .. } = &recipe.preprocess;
    Spec::new("resize").with(json!({"size": size, "mode": resize, "crop": crop, "interpolation": interpolation}))
}

/// What brings training pictures to the input size: all of a picture where a random crop has chosen that before.
pub fn training_fit(recipe: &Recipe) -> Spec {
    let mut fit = evaluation_fit(recipe);
    for transform in &recipe.augment.transforms {
        random_crops(&mut written(transform), &mut |_| drop(fit.params.insert("crop".into(), json!(1.0))));
    }
    fit
}

/// Transforms as one function.
pub fn shared(specs: &[Spec]) -> Result<Shared> {
    let built = specs.iter().map(|s| augment::build(&s.name, s.value())).collect::<Result<Vec<_>, _>>();
    let pipeline = augment::Pipeline(built?);
    Ok(Arc::new(move |image, rng| pipeline.apply(image, rng)))
}

/// Gives every `random_resized_crop` without a size or an interpolation those of the network's input.
fn sized(transform: &Spec, preprocess: &Preprocess) -> Spec {
    let mut value = written(transform);
    random_crops(&mut value, &mut |params| {
        params.entry("size").or_insert(json!(preprocess.size));
        params.entry("interpolation").or_insert(json!(preprocess.interpolation));
    });
    let mut params = table(value);
    params.remove("name");
    Spec { name: transform.name.clone(), params }
}

/// A transform as inside another one.
fn written(transform: &Spec) -> Value {
    let mut params = transform.params.clone();
    params.insert("name".into(), json!(transform.name));
    Value::Object(params)
}

/// Calls `change` with the parameters of every `random_resized_crop` in `transform`, also inside others.
fn random_crops(transform: &mut Value, change: &mut dyn FnMut(&mut Map<String, Value>)) {
    const CROP: &str = "random_resized_crop";
    match transform {
        Value::Array(all) => all.iter_mut().for_each(|transform| random_crops(transform, change)),
        Value::String(name) if name == CROP => {
            *transform = json!({"name": CROP});
            random_crops(transform, change);
        }
        Value::Object(params) => {
            if params.get("name").is_some_and(|name| name == CROP) {
                change(params);
            }
            params.iter_mut().filter(|(key, _)| *key == "of").for_each(|(_, value)| random_crops(value, change));
        }
        _ => {}
    }
}

/// Values that no crate checks.
fn check(recipe: &Recipe) -> Result<()> {
    let Recipe { train, preprocess, eval, .. } = recipe;
    let wrong = |what: &str| Err(anyhow!("{what}")).context(Usage::recipe(&recipe.name));
    let finite = |v: f64| (0.0..=1e9).contains(&v);
    match () {
        _ if Path::new(&recipe.name).file_name().is_none_or(|name| name != recipe.name.as_str()) => {
            wrong("name must be that of a folder, without / and ..")
        }
        _ if !(1..=4096).contains(&preprocess.size) => wrong("preprocess.size must be in 1..=4096"),
        _ if !(1..=1_000_000).contains(&train.epochs) => wrong("train.epochs must be at least 1, at most a million"),
        _ if !(1..=65_536).contains(&train.batch_size) => wrong("train.batch_size must be in 1..=65536"),
        _ if !(1..=65_536).contains(&train.accumulate) => wrong("train.accumulate must be in 1..=65536"),
        _ if train.log_every == 0 => wrong("train.log_every must be at least 1"),
        _ if !(1..=1024).contains(&train.prefetch) => wrong("train.prefetch must be in 1..=1024"),
        _ if !(train.lr > 0.0 && train.lr.is_finite()) => wrong("train.lr must be positive"),
        _ if !(0.0..=1000.0).contains(&train.backbone_lr) => wrong("train.backbone_lr must be in 0..=1000"),
        _ if !(train.layer_decay > 0.0 && train.layer_decay <= 1.0) => {
            wrong("train.layer_decay must be above 0 and at most 1")
        }
        _ if !(train.aux_weight > 0.0 && train.aux_weight <= 1000.0) => {
            wrong("train.aux_weight must be above 0 and at most 1000; model.aux = 0 leaves the auxiliary head out")
        }
        _ if !(0.0..1.0).contains(&train.ema) => wrong("train.ema must be in 0..1"),
        _ if !finite(train.warmup) => wrong("train.warmup must be at least 0 epochs"),
        _ if !finite(train.clip_norm) => wrong("train.clip_norm must be at least 0"),
        _ if !(0.0..1.0).contains(&recipe.model.dropout) => wrong("model.dropout must be in 0..1"),
        _ if recipe.model.meta_hidden.contains(&0) => {
            wrong("model.meta_hidden: every layer needs at least one feature")
        }
        _ if recipe.model.views > 1000 => wrong("model.views must be in 0..=1000"),
        _ if eval.bootstrap > 100_000 => wrong("eval.bootstrap must be at most 100000"),
        _ if !(0.0..=1.0).contains(&recipe.data.clean.max_broken) => wrong("data.clean.max_broken must be in 0..=1"),
        _ => Ok(()),
    }
}

/// Pool, join and head with every default written out.
fn network_parts(recipe: &Recipe) -> Result<[Spec; 3]> {
    let model = &recipe.model;
    let pool = models::pools::POOLS.resolve(&model.pool.part()).at(recipe, "model.pool")?;
    let join = models::joins::JOINS.resolve(&model.join.part()).at(recipe, "model.join")?;
    let head = models::heads::HEADS.resolve(&model.head.part()).at(recipe, "model.head")?;
    for rule in &model.init {
        rule.check().at(recipe, "model.init")?;
    }
    if !models::heads::says_classes(&head) {
        let why =
            anyhow!("'{}' says other numbers than a logit per class, which no loss of `list losses` takes", head.name);
        return Err(why).at(recipe, "model.head");
    }
    let written = |part: models::parts::Choice| Spec::new(&part.name).with(Value::Object(part.params));
    Ok([pool, join, head].map(written))
}

/// Whether the network takes pictures of this size and the statistics fit, as far as is known before anything is read.
fn check_input(recipe: &Recipe, model: &Value) -> Result<()> {
    let known = channels(recipe)?;
    let presumed = known.unwrap_or(match &recipe.preprocess.stats {
        StatsChoice::Given { mean, .. } => mean.len().max(1),
        StatsChoice::Named(_) => Color::Rgb.channels(),
    });
    check_stats(recipe, presumed)?;
    // Built once without weights, so that a wrong parameter is found before any picture is read.
    let backbone = models::build(&recipe.model.name, model, presumed, models::init::outline()).at(recipe, "model")?;
    crate::features::check(recipe, backbone.frozen()).context(Usage::recipe(&recipe.name))?;
    let (freeze, stages) = (recipe.train.freeze, backbone.stages().len());
    if freeze > stages {
        let why = anyhow!("train.freeze must be at most {stages}, the stages of the backbone, got {freeze}");
        return Err(why).context(Usage::recipe(&recipe.name));
    }
    let size = recipe.preprocess.size;
    backbone.layers((size, size)).at(recipe, "preprocess.size does not suit the model").map(drop)
}

/// Channels of the decoded pictures, where the recipe says or implies them; those of arrays are known when they are open.
pub fn channels(recipe: &Recipe) -> Result<Option<usize>> {
    let Data { source, demo, params, .. } = &recipe.data;
    let color = match (params.get("color"), source.as_str()) {
        (Some(color), _) => Some(color.clone()),
        (None, "auto") => demo.then(|| json!(Color::default())),
        (None, source) => {
            let mut params = params.clone();
            params.entry("path").or_insert_with(|| ".".into());
            // Parameters that do not fit are found when the source is checked.
            data::source::resolve(source, Value::Object(params)).ok().and_then(|all| all.get("color").cloned())
        }
    };
    let channels = |color| serde_json::from_value(color).map(Color::channels).at(recipe, "data.color");
    color.map(channels).transpose()
}

/// Whether the statistics are those of pictures of so many channels.
pub fn check_stats(recipe: &Recipe, channels: usize) -> Result<()> {
    let measured = vec![0.5; channels];
    stats(recipe, (&measured, &measured))?.check(channels).at(recipe, "preprocess.stats")
}

/// How many pictures of a sample, or slices of its volume, the network sees. Refuses statistics and a network that do not fit
/// the samples: `report` is of their pictures.
pub fn views(recipe: &Recipe, report: &Report, samples: &dyn Dataset) -> Result<usize> {
    check_stats(recipe, report.mean.len())?;
    let model = &recipe.model;
    let params = Value::Object(model.params.clone());
    let reads =
        models::build(&model.name, &params, report.mean.len(), models::init::outline()).at(recipe, "model")?.rank();
    let [thin, _, deep] = report.sizes.depth;
    let pictures = (0..samples.rows().len()).map(|sample| samples.pictures(sample)).max().unwrap_or(1);
    let wrong = |why: String| Err(anyhow!(why)).context(Usage::recipe(&recipe.name));
    let name = &model.name;
    match (reads, deep) {
        (_, 2..) if pictures > 1 => wrong("samples of several volumes are not read; leave data.sample away".into()),
        (5, 2..) if thin != deep => wrong(format!(
            "model '{name}' takes volumes of one depth, but these have {thin} to {deep} slices; a model of pictures takes any, \
             with model.views of them"
        )),
        (5, 2..) if model.views > 1 => wrong(format!("model '{name}' takes a volume as it is; leave model.views away")),
        (5, 2..) => Ok(1),
        (5, _) => wrong(format!("model '{name}' takes volumes, but these are flat pictures; take another model")),
        _ => Ok(if model.views > 0 { model.views } else { pictures.max(deep) }),
    }
}

/// Losses that read something else than a logit for each class of a picture.
const OTHERS: &[(&str, &str)] = &[
    ("coral", "thresholds"),
    ("corn", "thresholds"),
    ("contrastive", "embeddings"),
    ("distillation", "a teacher"),
    ("jsd", "several views of each picture"),
    ("pairwise_cosine", "embeddings"),
    ("supervised_contrastive", "embeddings"),
    ("trajectory_nll", "positions"),
    ("triplet", "embeddings"),
];

/// Refuses a loss that does not read what `head` says.
fn check_loss(recipe: &Recipe, loss: &Value, head: &Spec) -> Result<()> {
    let name = &recipe.loss.name;
    if let Some((_, what)) = OTHERS.iter().find(|(other, _)| other == name) {
        bail!("'{name}' reads {what}, which recipes do not give it yet; take another loss");
    }
    let Some(scale) = loss.get("scale").and_then(Value::as_f64) else { return Ok(()) };
    match head.params.get("scale").and_then(Value::as_f64).filter(|_| head.name == "cosine") {
        Some(of_head) if of_head == scale => Ok(()),
        Some(of_head) => bail!("'{name}' takes the head's scale away, which is {of_head}; set loss.scale = {of_head}"),
        None => bail!("'{name}' reads cosines; set model.head = \"cosine\""),
    }
}

/// Fills in how many samples every class has, wherever a loss asks for that, inside of a sum as well.
fn count_in(params: &mut Value, counts: &[usize]) {
    match params {
        Value::Array(all) => all.iter_mut().for_each(|each| count_in(each, counts)),
        Value::Object(params) => {
            for (key, value) in params {
                match key.as_str() {
                    "counts" if value.is_null() => *value = json!(counts),
                    _ => count_in(value, counts),
                }
            }
        }
        _ => {}
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
            let why = anyhow!("loss: give either `weights` or `class_weights`, not both");
            return Err(why).context(Usage::recipe(&recipe.name));
        }
        params.insert("weights".into(), json!(weights));
    }
    let mut params = losses::resolve(&recipe.loss.name, Value::Object(params)).at(recipe, "loss")?;
    count_in(&mut params, counts);
    let loss = losses::build(&recipe.loss.name, params).at(recipe, "loss")?;
    loss.check(counts.len()).at(recipe, "loss")?;
    Ok(loss)
}

/// Whether an auxiliary head says a logit for each of so many classes.
pub fn check_auxiliary(recipe: &Recipe, channels: usize, classes: usize) -> Result<()> {
    let params = Value::Object(recipe.model.params.clone());
    match models::build(&recipe.model.name, &params, channels, models::init::outline()).at(recipe, "model")?.auxiliary()
    {
        outputs if outputs == 0 || outputs == classes => Ok(()),
        outputs => {
            Err(anyhow!("the auxiliary head has {outputs} outputs for {classes} classes; set model.aux={classes}"))
                .at(recipe, "model")
        }
    }
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

/// Channel statistics of the recipe; `measured` are those of the data set. ImageNet's of gray pictures are the means over
/// its channels.
pub fn stats(recipe: &Recipe, measured: (&[f64], &[f64])) -> Result<data::Stats> {
    Ok(match &recipe.preprocess.stats {
        StatsChoice::Named(NamedStats::Imagenet) if measured.0.len() == 1 => data::Stats::default().gray(),
        StatsChoice::Named(NamedStats::Imagenet) => data::Stats::default(),
        StatsChoice::Named(NamedStats::Dataset) => {
            let narrow = |v: &[f64]| v.iter().map(|v| *v as f32).collect();
            // A channel that never changes is left at its scale.
            let std = measured.1.iter().map(|s| if *s > 1e-6 { *s as f32 } else { 1.0 }).collect();
            data::Stats { mean: narrow(measured.0), std }
        }
        StatsChoice::Named(NamedStats::Pretrained) => {
            let said = pretrained::preprocess(&recipe.model).at(recipe, "preprocess.stats")?;
            let (mean, std) = said.stats(measured.0.len(), recipe.model.input);
            data::Stats { mean, std }
        }
        StatsChoice::Given { mean, std } => data::Stats { mean: mean.clone(), std: std.clone() },
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    /// How the training pictures of a recipe with these transforms are resized.
    fn fits(transforms: &str) -> (Recipe, Spec) {
        let sets = [
            "preprocess.crop=0.5",
            "preprocess.interpolation=bicubic",
            "preprocess.resize=crop",
            &format!("augment.transforms={transforms}"),
        ];
        let mut recipe = Recipe::load("default", &sets.map(String::from)).unwrap();
        parts(&mut recipe).unwrap();
        let fit = training_fit(&recipe);
        (recipe, fit)
    }

    #[test]
    fn random_crops_choose_instead_of_the_middle() {
        let (recipe, fit) = fits("[{name='maybe', of='random_resized_crop'}]");
        assert_eq!((&fit.params["crop"], &fit.params["interpolation"]), (&json!(1.0), &json!("bicubic")));
        let crop = &recipe.augment.transforms[0].params["of"];
        assert_eq!((&crop["size"], &crop["interpolation"]), (&json!(64), &json!("bicubic")));
        assert_eq!(evaluation_steps(&recipe)[0].params["crop"], 0.5);
        let (recipe, fit) = fits("['flip']");
        assert_eq!(fit, evaluation_steps(&recipe)[0]);
    }

    #[test]
    fn losses_get_what_they_read_or_are_refused() {
        let built = |sets: &[&str]| -> Result<Recipe> {
            let mut recipe = Recipe::load("default", &sets.iter().map(|set| set.to_string()).collect::<Vec<_>>())?;
            parts(&mut recipe)?;
            Ok(recipe)
        };
        let refused = |sets: &[&str]| format!("{:#}", built(sets).unwrap_err());
        assert!(refused(&["loss.name=triplet"]).contains("'triplet' reads embeddings"));
        assert!(refused(&["loss.name=arcface"]).contains("set model.head = \"cosine\""));
        let other = refused(&["loss.name=cosface", "model.head={name='cosine', scale=20}"]);
        assert!(other.contains("set loss.scale = 20"), "{other}");
        let recipe = built(&["loss.name=ldam", "model.head=cosine"]).unwrap();
        assert!(format!("{:?}", loss(&recipe, &[7, 300]).unwrap()).contains("[7, 300]"));
        let sum = "loss={name='sum', of=[{name='logit_adjusted'}, {name='poly', weight=0.5}]}";
        assert!(format!("{:?}", loss(&built(&[sum]).unwrap(), &[7, 300]).unwrap()).contains("[7, 300]"));
    }
}
