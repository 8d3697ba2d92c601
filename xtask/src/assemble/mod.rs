//! From names and parameters to the objects of the six crates: everything is built before anything is read.

mod check;
pub mod loss;

pub use check::{channels, check_auxiliary, check_data, check_pictures, cycles, views};
pub use loss::{check_known, check_soft, check_targets, criterion, outputs};

use crate::pretrained;
use crate::recipe::{Meta, NamedStats, Precision, Preprocess, Recipe, Snapshots, Spec, StatsChoice, Train, table};
use crate::usage::Usage;
use anyhow::{Context, Result, anyhow};
use augment::{BatchTransform, Draw, Pipeline, Transform};
use data::{Changed, Column, Dataset, Image, Normalize, Stream};
use eval::Metric;
use serde_json::{Map, Value, json};
use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::sync::Arc;
use train::TrainConfig;
use train::schedule::{Schedule, Together, Warmup};

/// A picture transform that many threads share.
pub type Shared = Arc<dyn Fn(Image, &mut Stream) -> Image + Send + Sync>;

/// Everything of a recipe that needs no data.
pub struct Parts {
    /// What training pictures go through, by the side of the network's input.
    pub training: BTreeMap<usize, Training>,
    /// Batch mixing, in order.
    pub mixing: Vec<Box<dyn BatchTransform>>,
    /// The score that decides.
    pub metric: Box<dyn Metric>,
    /// Further scores by name.
    pub also: Vec<(String, Box<dyn Metric>)>,
}

/// Random transforms and the fit to the input size, for pictures that went through the deterministic steps.
pub struct Training {
    /// Of a picture.
    pub first: Shared,
    /// The same behind the deterministic steps, to be looked at step by step.
    pub steps: Pipeline,
    /// Of its further copies.
    pub copies: Shared,
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
    check::check(recipe)?;
    recipe.pseudo.as_ref().map(|pseudo| pseudo.check()).transpose().at(recipe, "pseudo")?;
    recipe.data.impute.validate().at(recipe, "data.impute")?;
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
    for step in &steps {
        if augment::build(&step.name, step.value())?.is_random() {
            let why = anyhow!("'{}' changes pictures at random; it belongs into augment.transforms", step.name);
            return Err(why).at(recipe, "preprocess.steps");
        }
    }
    resolve(&fit(&recipe.preprocess), &transform, "preprocess")?;
    let given: Vec<Spec> = recipe.augment.transforms.iter().map(|t| sized(t, &recipe.preprocess)).collect();
    let transforms = all(&given, &transform, "augment.transforms")?;
    let given: Vec<Spec> = recipe.augment.copies.iter().map(|t| sized(t, &recipe.preprocess)).collect();
    let copies = all(&given, &transform, "augment.copies")?;
    let mixing = all(&recipe.augment.batch, &batch, "augment.batch")?;
    let decisive = resolve(&recipe.eval.metric, &metric, "eval.metric")?;
    let also = all(&recipe.eval.also, &metric, "eval.also")?;
    let optimizer = resolve(&recipe.train.optimizer, &optimizer, "train.optimizer")?;
    let others = |spec: &Option<Spec>, at: &str| spec.as_ref().map(|s| resolve(s, &schedule, at)).transpose();
    let momentum = others(&recipe.train.momentum_schedule, "train.momentum_schedule")?;
    let decay = others(&recipe.train.decay_schedule, "train.decay_schedule")?;
    let dropout = others(&recipe.train.dropout_schedule, "train.dropout_schedule")?;
    let schedule = resolve(&recipe.train.schedule, &schedule, "train.schedule")?;
    let order = |name: &str, params| data::sampler::resolve(name, params).map_err(Into::into);
    let sampler = resolve(&recipe.train.sampler, &order, "train.sampler")?;
    let scheme = |name: &str, params| data::split::resolve(name, params).map_err(Into::into);
    let split = counted(recipe)?.map(|split| resolve(&split, &scheme, "data.split")).transpose()?;
    let loss = losses::resolve(&recipe.loss.name, Value::Object(recipe.loss.params.clone())).at(recipe, "loss")?;
    let model = models::resolve(&recipe.model.name, &Value::Object(recipe.model.params.clone())).at(recipe, "model")?;
    check::check_input(recipe, &model)?;
    let [pool, join, head] = check::network_parts(recipe)?;
    check::check_drops(recipe, &model, &[&pool, &join, &head])?;
    let embedding = loss::embedding(recipe)?;
    loss::check(recipe, &loss, &head).at(recipe, "loss")?;

    recipe.preprocess.steps = steps;
    let sides = recipe.train.sizes.iter().chain([&recipe.preprocess.size]);
    let training = sides.map(|&side| Ok((side, training(recipe, &transforms, &copies, side)?)));
    let parts = Parts {
        training: training.collect::<Result<_>>().at(recipe, "augment.transforms")?,
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
    recipe.augment.copies = copies;
    recipe.augment.batch = mixing;
    recipe.eval.metric = decisive;
    recipe.eval.also = also;
    recipe.train.optimizer = optimizer;
    recipe.train.sampler = sampler;
    recipe.data.split = split;
    recipe.train.schedule = schedule;
    recipe.train.warmup = Some(recipe.train.warmup());
    recipe.train.momentum_schedule = momentum;
    recipe.train.decay_schedule = decay;
    recipe.train.dropout_schedule = dropout;
    check::check_cycles(recipe)?;
    models::ops::set_winograd(recipe.train.winograd);
    recipe.loss.params = table(loss);
    recipe.loss.embedding = embedding;
    recipe.model.params = table(model);
    recipe.model.pool = pool;
    recipe.model.join = join;
    recipe.model.head = head;
    Ok(parts)
}

/// The scheme that the recipe names, with `data.folds` where it has folds and does not say how many.
fn counted(recipe: &Recipe) -> Result<Option<Spec>> {
    let folds = recipe.data.folds;
    let Some(mut scheme) = recipe.data.split.clone().filter(|_| folds > 1) else {
        return Ok(recipe.data.split.clone());
    };
    let counts = |name: &str, params: &Map<String, Value>| -> Result<bool> {
        let all = data::split::resolve(name, Value::Object(params.clone())).at(recipe, "data.split")?;
        Ok(all.get("folds").is_some())
    };
    let own = counts(&scheme.name, &scheme.params)?;
    // What is repeated may have them.
    let name = scheme.name.clone();
    let params = match scheme.params.get_mut("of") {
        _ if own => Some(&mut scheme.params),
        Some(Value::Object(of)) => {
            let name = of.get("name").and_then(Value::as_str).unwrap_or_default().to_string();
            counts(&name, &of.iter().filter(|(key, _)| *key != "name").map(|(k, v)| (k.clone(), v.clone())).collect())?
                .then_some(of)
        }
        _ => None,
    };
    let refuse = |why: anyhow::Error| Err(why).context(Usage::recipe(&recipe.name));
    match params.map(|params| params.entry("folds").or_insert(folds.into()).clone()) {
        None => refuse(anyhow!(
            "data.folds = {folds}, but data.split '{name}' has no folds to count; leave data.folds away"
        )),
        Some(given) if given != folds => {
            refuse(anyhow!("data.folds = {folds}, but data.split has {given}; leave one of them away"))
        }
        Some(_) => Ok(Some(scheme)),
    }
}

/// Refuses runs that a recipe learns from and that are not there: a finished run needs them no more.
pub fn check_runs(recipe: &Recipe) -> Result<()> {
    let of = |run: &str, key: &str| match Path::new(run).join("metrics.json").is_file() {
        true => Ok(()),
        false => Err(anyhow!("{key}: '{run}' is no finished run")).context(Usage::recipe(&recipe.name)),
    };
    recipe.loss.teacher.as_ref().map_or(Ok(()), |run| of(run, "loss.teacher"))?;
    recipe.pseudo.as_ref().map_or(Ok(()), |pseudo| of(&pseudo.run, "pseudo.run"))
}

/// The columns of metadata that the network sees.
pub fn columns(recipe: &Recipe, columns: &[Column]) -> Result<BTreeSet<String>> {
    let mut all: BTreeSet<String> = columns.iter().map(|column| column.name.clone()).collect();
    match &recipe.model.meta {
        Meta::All(false) => all.clear(),
        Meta::All(true) => {
            if let Some(split) = &recipe.data.split {
                let split = data::split::build(&split.name, split.value()).at(recipe, "data.split")?;
                let marks = split.marks();
                all.retain(|name| !marks.contains(name));
            }
            if let StatsChoice::Grouped { per_group } = &recipe.preprocess.stats {
                all.remove(per_group);
            }
        }
        Meta::Some(names) => {
            if let Some(unknown) = names.iter().find(|name| !all.contains(*name)) {
                let known = match all.is_empty() {
                    true => "there is none; name it in data.meta".to_string(),
                    false => format!("data.meta has {}", all.into_iter().collect::<Vec<_>>().join(", ")),
                };
                let why = anyhow!("unknown column '{unknown}', {known}");
                return Err(why).at(recipe, "model.meta");
            }
            all = names.iter().cloned().collect();
        }
    }
    Ok(all)
}

/// Deterministic transforms of every picture, the last one to the input size.
pub fn evaluation_steps(recipe: &Recipe) -> Vec<Spec> {
    recipe.preprocess.steps.iter().cloned().chain([fit(&recipe.preprocess)]).collect()
}

fn fit(preprocess: &Preprocess) -> Spec {
    let Preprocess { size, resize, crop, interpolation, .. } = preprocess;
    Spec::new("resize").with(json!({"size": size, "mode": resize, "crop": crop, "interpolation": interpolation}))
}

/// What prepared training pictures of input side `side` go through: random changes, then the fit to the input size.
fn training(recipe: &Recipe, transforms: &[Spec], copies: &[Spec], side: usize) -> Result<Training> {
    let preprocess = Preprocess { size: side, ..recipe.preprocess.clone() };
    let of_side = |transform: &Spec| {
        let same = |size: &Value| size.as_u64() == Some(recipe.preprocess.size as u64);
        changed(transform, &mut |crop| {
            if let Some(size) = crop.get_mut("size").filter(|size| same(size)) {
                *size = json!(side);
            }
        })
    };
    let all: Vec<Spec> = transforms.iter().chain(copies).map(of_side).collect();
    let chain = |count: usize| {
        let fit = training_fit(&preprocess, &all[..count]);
        all[..count].iter().chain([&fit]).cloned().collect::<Vec<Spec>>()
    };
    let (first, copies) = (chain(transforms.len()), chain(all.len()));
    let steps = in_order(&[&preprocess.steps[..], &first].concat())?;
    Ok(Training { first: shared(&first)?, steps, copies: shared(&copies)? })
}

/// The pictures of `dataset` after the deterministic steps: what a cache is to keep.
pub fn prepared(recipe: &Recipe, dataset: Arc<dyn Dataset>) -> Result<Arc<dyn Dataset>> {
    if recipe.preprocess.steps.is_empty() {
        return Ok(dataset);
    }
    let steps = shared(&recipe.preprocess.steps)?;
    // They draw nothing.
    Ok(Arc::new(Changed::new(dataset, move |image| steps(image, &mut Stream::new(0, 0, 0)))))
}

/// Sides and channels, `[depth, height, width, channels]`, of what the deterministic steps make of a picture of these.
pub fn after_steps(recipe: &Recipe, dims: [usize; 4]) -> Result<[usize; 4]> {
    if recipe.preprocess.steps.is_empty() {
        return Ok(dims);
    }
    let black = Image::volume(dims, vec![0; dims.iter().product()])?;
    Ok(shared(&recipe.preprocess.steps)?(black, &mut Stream::new(0, 0, 0)).dims())
}

/// What brings training pictures to the input size: all of a picture where a random crop has chosen that before.
pub fn training_fit(preprocess: &Preprocess, transforms: &[Spec]) -> Spec {
    let mut fit = fit(preprocess);
    for transform in transforms {
        random_crops(&mut written(transform), &mut |_| drop(fit.params.insert("crop".into(), json!(1.0))));
    }
    fit
}

/// Transforms one after the other.
fn in_order(specs: &[Spec]) -> Result<Pipeline> {
    let built = specs.iter().map(|s| augment::build(&s.name, s.value())).collect::<Result<Vec<_>, _>>();
    Ok(Pipeline(built?))
}

/// Transforms as one function.
pub fn shared(specs: &[Spec]) -> Result<Shared> {
    let pipeline = in_order(specs)?;
    Ok(Arc::new(move |image, rng| pipeline.apply(image, &mut Draw::of(rng))))
}

/// Gives every `random_resized_crop` without a size or an interpolation those of the network's input.
fn sized(transform: &Spec, preprocess: &Preprocess) -> Spec {
    changed(transform, &mut |params| {
        params.entry("size").or_insert(json!(preprocess.size));
        params.entry("interpolation").or_insert(json!(preprocess.interpolation));
    })
}

/// A transform with its random crops changed.
fn changed(transform: &Spec, change: &mut dyn FnMut(&mut Map<String, Value>)) -> Spec {
    let mut value = written(transform);
    random_crops(&mut value, change);
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

/// The optimizer of the recipe.
pub fn optimizer(recipe: &Recipe) -> Result<Box<dyn train::optim::Optimizer>> {
    train::optim::build(&recipe.train.optimizer.name, recipe.train.optimizer.value()).at(recipe, "train.optimizer")
}

/// The schedule of the recipe, warm-up included.
pub fn schedule(recipe: &Recipe) -> Result<Box<dyn Schedule>> {
    let build = |spec: &Spec, at: &str| train::schedule::build(&spec.name, spec.value()).at(recipe, at);
    let other = |spec: &Option<Spec>, at: &str| spec.as_ref().map(|spec| build(spec, at)).transpose();
    let Train { schedule, momentum_schedule, decay_schedule, warmup_from, .. } = &recipe.train;
    let (momentum, decay) =
        (other(momentum_schedule, "train.momentum_schedule")?, other(decay_schedule, "train.decay_schedule")?);
    let (epochs, then) = (recipe.train.warmup(), build(schedule, "train.schedule")?);
    let from = (*warmup_from > 0.0).then_some(*warmup_from);
    Ok(Box::new(Together { lr: Box::new(Warmup { epochs, from, then }), momentum, decay }))
}

/// The schedule of dropout and drop-path, where there is one.
pub fn dropout(recipe: &Recipe) -> Result<Option<Box<dyn Schedule>>> {
    let spec = recipe.train.dropout_schedule.as_ref();
    spec.map(|s| train::schedule::build(&s.name, s.value()).at(recipe, "train.dropout_schedule")).transpose()
}

/// How the recipe trains; where files go is for the caller to say.
pub fn train_config(recipe: &Recipe) -> TrainConfig {
    let Train { ema_rise, guard, save_every, log_every, epochs, accumulate, centralize, .. } = recipe.train;
    let train = &recipe.train;
    let some = |value: f64| (value > 0.0).then_some(value);
    TrainConfig {
        epochs,
        lr: train.highest_lr(),
        accumulate,
        centralize,
        clip_unit: some(train.clip_unit),
        clip_unit_except: train.clip_unit_except.clone(),
        clip_value: some(train.clip_value),
        clip_norm: some(train.clip_norm),
        l1: some(train.l1),
        ema: some(train.ema),
        ema_rise,
        swa: some(train.swa),
        snapshots: train.snapshots != Snapshots::None,
        guard,
        spike: some(train.spike),
        min_delta: train.min_delta,
        patience: (train.patience > 0).then_some(train.patience),
        loss_scale: (train.precision == Precision::F16).then_some(train.loss_scale),
        save_every,
        log_every,
        ..TrainConfig::default()
    }
}

/// Channel statistics of the recipe; `measured` are those of the pictures that are learned from, which also stand in where
/// pictures or groups have their own. Those of color pictures become those of gray ones by their means over the channels.
pub fn stats(recipe: &Recipe, measured: [Vec<f64>; 2]) -> Result<data::Stats> {
    let known = |name: &str| -> Result<data::Stats> {
        let stats = data::normalize::named(name)?;
        Ok(if measured[0].len() == 1 { stats.gray() } else { stats })
    };
    Ok(match &recipe.preprocess.stats {
        StatsChoice::Named(NamedStats::Imagenet) => known("imagenet")?,
        StatsChoice::Named(NamedStats::Cifar10) => known("cifar10")?,
        StatsChoice::Named(NamedStats::Cifar100) => known("cifar100")?,
        StatsChoice::Named(NamedStats::Mnist) => known("mnist")?,
        StatsChoice::Named(NamedStats::FashionMnist) => known("fashion_mnist")?,
        StatsChoice::Named(NamedStats::Inception) => known("inception")?,
        StatsChoice::Named(NamedStats::Dataset | NamedStats::PerImage) | StatsChoice::Grouped { .. } => {
            let narrow = |v: &[f64]| v.iter().map(|v| *v as f32).collect();
            // A channel that never changes is left at its scale.
            let std = measured[1].iter().map(|s| if *s > 1e-6 { *s as f32 } else { 1.0 }).collect();
            data::Stats { mean: narrow(&measured[0]), std }
        }
        StatsChoice::Named(NamedStats::Pretrained) => {
            let said = pretrained::preprocess(&recipe.model).at(recipe, "preprocess.stats")?;
            let (mean, std) = said.stats(measured[0].len(), recipe.model.input);
            data::Stats { mean, std }
        }
        StatsChoice::Given { mean, std } => data::Stats { mean: mean.clone(), std: std.clone() },
    })
}

/// What pictures are normalized with where that is not the same for all; `pictures` are prepared. A group is measured over all its
/// pictures, those that judge and are predicted as well: no label is needed, and groups that judge are not among those learned from.
pub fn normalize(recipe: &Recipe, pictures: &dyn Dataset) -> Result<Option<Normalize>> {
    Ok(match &recipe.preprocess.stats {
        StatsChoice::Named(NamedStats::PerImage) => Some(Normalize::PerImage { unbiased: false }),
        StatsChoice::Grouped { per_group } => {
            let key = data::Key::find(per_group, pictures.columns()).at(recipe, "preprocess.stats")?;
            let all: Vec<usize> = (0..pictures.rows().len()).collect();
            Some(Normalize::per_group(key, pictures, &all, &|image| image)?)
        }
        _ => None,
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
        let fit = training_fit(&recipe.preprocess, &recipe.augment.transforms);
        (recipe, fit)
    }

    #[test]
    fn every_bundled_recipe_builds() {
        for (name, _) in crate::recipe::BUNDLED {
            let mut recipe = Recipe::load(name, &[]).unwrap();
            parts(&mut recipe).unwrap_or_else(|error| panic!("{name}: {error:#}"));
        }
    }

    #[test]
    fn transforms_must_have_a_meaning_for_the_channels() {
        let with = |channels: usize, transforms: &str| {
            let recipe = Recipe::load("default", &[format!("augment.transforms={transforms}")]).unwrap();
            check_pictures(&recipe, channels).map_err(|error| format!("{error:#}"))
        };
        assert!(with(6, "['dihedral', 'rotate']").is_ok() && with(3, "[{name='maybe', of='hue'}]").is_ok());
        let why = with(6, "['dihedral', {name='maybe', of='hue'}]").unwrap_err();
        assert!(why.contains("augment.transforms") && why.contains("'hue'") && why.contains('6'), "{why}");
    }

    #[test]
    fn a_network_sees_no_folds_and_times() {
        let all = ["age", "day", "plate"].map(|name| Column { name: name.into(), categories: vec![] });
        let seen = |sets: &[&str]| {
            let sets: Vec<String> = sets.iter().map(|set| set.to_string()).collect();
            columns(&Recipe::load("default", &sets).unwrap(), &all).map(Vec::from_iter).map_err(|e| format!("{e:#}"))
        };
        assert_eq!(seen(&[]).unwrap(), ["age", "day", "plate"]);
        let split = "data.split={name='predefined', column='day'}";
        assert_eq!(seen(&[split, "preprocess.stats={per_group='plate'}"]).unwrap(), ["age"]);
        assert_eq!(seen(&[split, "model.meta=['day']"]).unwrap(), ["day"]);
        assert!(seen(&["model.meta=false"]).unwrap().is_empty());
        assert!(
            seen(&["model.meta=['sex']"]).unwrap_err().contains("unknown column 'sex', data.meta has age, day, plate")
        );
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
    fn every_key_of_training_arrives() {
        let sets = [
            "train.epochs=7",
            "train.lr=0.2",
            "train.lr_batch=16",
            "train.accumulate=3",
            "train.centralize=true",
            "train.clip_unit=0.01",
            "train.clip_unit_except=['head.', 'pool.']",
            "train.clip_value=0.5",
            "train.clip_norm=2",
            "train.l1=1e-4",
            "train.ema=0.99",
            "train.ema_rise=none",
            "train.guard=50",
            "train.spike=3",
            "train.patience=4",
            "train.min_delta=0.01",
            "train.precision=f16",
            "train.loss_scale=1024",
            "train.save_every=9",
            "train.log_every=8",
            "train.schedule={name='warm_restarts', first=2}",
            "train.warmup=1",
            "train.warmup_from=0.25",
            "train.momentum_schedule={name='linear', from=0.5, to=1}",
            "train.decay_schedule={name='constant'}",
        ];
        let mut recipe = Recipe::load("default", &sets.map(String::from)).unwrap();
        parts(&mut recipe).unwrap();
        let TrainConfig {
            epochs,
            lr,
            accumulate,
            centralize,
            clip_unit,
            clip_unit_except,
            clip_value,
            clip_norm,
            l1,
            ..
        } = train_config(&recipe);
        assert_eq!((epochs, lr, accumulate, centralize), (7, 0.2 * 32.0 * 3.0 / 16.0, 3, true));
        assert_eq!((clip_unit, clip_value, clip_norm, l1), (Some(0.01), Some(0.5), Some(2.0), Some(1e-4)));
        assert_eq!(clip_unit_except, ["head.", "pool."]);
        let TrainConfig {
            ema,
            ema_rise,
            swa,
            snapshots,
            guard,
            spike,
            patience,
            min_delta,
            loss_scale,
            save_every,
            log_every,
            ..
        } = train_config(&recipe);
        assert_eq!((ema, ema_rise, swa, snapshots), (Some(0.99), train::Rise::None, None, false));
        assert_eq!((guard, spike, patience, loss_scale), (50, Some(3.0), Some(4), Some(1024.0)));
        assert_eq!((save_every, log_every, min_delta), (9, 8, 0.01));
        let schedule = schedule(&recipe).unwrap();
        let at = |step| train::Progress { epoch: step / 10, step, steps_per_epoch: 10, epochs: 7 };
        assert_eq!(
            (schedule.factor(at(0), &[]), schedule.momentum(at(0), &[]), schedule.momentum(at(35), &[])),
            (0.25, 0.5, 0.75)
        );
        assert!(schedule.ends_cycle(at(19)));
        let sets = ["train.snapshots=soup", "train.schedule={name='warm_restarts', first=2}", "train.epochs=7"];
        let mut recipe = Recipe::load("default", &sets.map(String::from)).unwrap();
        parts(&mut recipe).unwrap();
        assert!(train_config(&recipe).snapshots);
        // None of these is on by itself.
        let plain = train_config(&Recipe::default());
        assert_eq!(
            (plain.clip_unit, plain.clip_value, plain.clip_norm, plain.l1, plain.ema),
            (None, None, None, None, None)
        );
        assert_eq!(
            (plain.swa, plain.spike, plain.loss_scale, plain.snapshots, plain.guard),
            (None, None, None, false, 0)
        );
    }
}
