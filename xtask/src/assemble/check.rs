//! Recipes that cannot be, found before anything is read.

use super::{At, in_order, stats};
use crate::recipe::{ClassWeights, Data, LrScaling, NamedStats, Recipe, Snapshots, Spec, StatsChoice};
use crate::usage::Usage;
use anyhow::{Context, Result, anyhow};
use augment::Transform;
use data::decode::Color;
use data::explore::Report;
use data::source::Collection;
use data::{Dataset, Kind};
use serde_json::{Value, json};
use std::path::Path;
use train::Rise;

/// Values that no crate checks.
pub(super) fn check(recipe: &Recipe) -> Result<()> {
    let Recipe { train, preprocess, eval, .. } = recipe;
    let wrong = |what: &str| Err(anyhow!("{what}")).context(Usage::recipe(&recipe.name));
    let finite = |v: f64| (0.0..=1e9).contains(&v);
    let factors = [
        ("clip_norm", train.clip_norm),
        ("clip_value", train.clip_value),
        ("clip_unit", train.clip_unit),
        ("l1", train.l1),
    ];
    if let Some((key, _)) = factors.iter().find(|(_, factor)| !finite(*factor)) {
        return wrong(&format!("train.{key} must be at least 0"));
    }
    match () {
        _ if Path::new(&recipe.name).file_name().is_none_or(|name| name != recipe.name.as_str()) => {
            wrong("name must be that of a folder, without / and ..")
        }
        _ if !(1..=4096).contains(&preprocess.size) => wrong("preprocess.size must be in 1..=4096"),
        _ if !(1..=1_000_000).contains(&train.epochs) => wrong("train.epochs must be at least 1, at most a million"),
        _ if train.steps_per_epoch > 1_000_000_000 => wrong("train.steps_per_epoch must be at most a billion"),
        _ if train.unfreeze > 1_000_000 => wrong("train.unfreeze must be at most a million"),
        _ if train.lr_scaling == LrScaling::Sqrt && train.lr_batch == 0 => {
            wrong("train.lr_scaling scales from the batch that train.lr is meant for; set train.lr_batch")
        }
        _ if train.freeze > 0 && train.backbone_lr == 0.0 => wrong(
            "train.backbone_lr = 0 leaves all stages as they are; leave train.freeze away, or set train.backbone_lr",
        ),
        _ if train.snapshots != Snapshots::None && (train.ema > 0.0 || train.swa > 0.0) => wrong(
            "train.snapshots keep the weights themselves, not their averages; set train.ema = 0 and train.swa = 0",
        ),
        _ if train.dropout_schedule.as_ref().is_some_and(|schedule| schedule.name == "plateau") => {
            wrong("train.dropout_schedule is of steps and hears of no score; take another schedule than plateau")
        }
        _ if !(1..=65_536).contains(&train.batch_size) => wrong("train.batch_size must be in 1..=65536"),
        _ if !(1..=65_536).contains(&train.accumulate) => wrong("train.accumulate must be in 1..=65536"),
        _ if !(1..=1000).contains(&train.repeat) || !train.batch_size.is_multiple_of(train.repeat) => {
            wrong("train.repeat must be in 1..=1000, and train.batch_size a multiple of it")
        }
        _ if train.repeat == 1 && !recipe.augment.copies.is_empty() => {
            wrong("augment.copies change what train.repeat copies; set train.repeat = 2 or more")
        }
        _ if train.sizes.iter().any(|size| !(1..=4096).contains(size)) => wrong("train.sizes must be in 1..=4096"),
        _ if train.sizes.len() >= train.epochs && !train.sizes.is_empty() => {
            wrong("train.sizes needs an epoch for each size and one for preprocess.size; set more train.epochs")
        }
        _ if train.log_every == 0 => wrong("train.log_every must be at least 1"),
        _ if !(1..=1024).contains(&train.prefetch) => wrong("train.prefetch must be in 1..=1024"),
        _ if !(train.lr > 0.0 && train.lr.is_finite()) => wrong("train.lr must be positive"),
        _ if !(0.0..=1000.0).contains(&train.backbone_lr) => wrong("train.backbone_lr must be in 0..=1000"),
        _ if !(train.bias_lr > 0.0 && train.bias_lr <= 1000.0) => wrong("train.bias_lr must be above 0, at most 1000"),
        _ if !(train.layer_decay > 0.0 && train.layer_decay <= 1.0) => {
            wrong("train.layer_decay must be above 0 and at most 1")
        }
        _ if !(train.aux_weight > 0.0 && train.aux_weight <= 1000.0) => {
            wrong("train.aux_weight must be above 0 and at most 1000; model.aux = 0 leaves the auxiliary head out")
        }
        _ if train.unfreeze > 0 && (train.backbone_lr == 0.0 || train.features) => {
            wrong("train.unfreeze is of a backbone that is trained; set train.backbone_lr above 0")
        }
        _ if !(0.0..1.0).contains(&train.ema) => wrong("train.ema must be in 0..1"),
        _ if train.ema == 0.0 && train.ema_rise != Rise::default() => {
            wrong("train.ema_rise is how train.ema begins; set train.ema above 0")
        }
        _ if !(0.0..1.0).contains(&train.swa) => wrong("train.swa must be in 0..1"),
        _ if train.swa > 0.0 && train.ema > 0.0 => {
            wrong("train.swa and train.ema both average the weights; set one of them to 0")
        }
        _ if !(0.0..=1.0).contains(&train.warmup_from) => wrong("train.warmup_from must be in 0..=1"),
        _ if !finite(train.warmup()) => wrong("train.warmup must be at least 0 epochs"),
        _ if !finite(train.min_delta) => wrong("train.min_delta must be at least 0"),
        _ if train.min_delta > 0.0 && train.patience == 0 => {
            wrong("train.min_delta is what a better score means to train.patience; set train.patience")
        }
        _ if train.spike != 0.0 && !(train.spike > 1.0 && train.spike.is_finite()) => {
            wrong("train.spike must be above 1, or 0")
        }
        _ if train.spike > 0.0 && train.guard == 0 => {
            wrong("train.spike leads back to a state of train.guard; set train.guard = 100 or so")
        }
        _ if !(train.loss_scale >= 1.0 && train.loss_scale.is_finite()) => wrong("train.loss_scale must be at least 1"),
        _ if matches!(recipe.loss.class_weights, ClassWeights::Effective { effective } if !(0.0..1.0).contains(&effective)) => {
            wrong("loss.class_weights: effective must be in 0..1")
        }
        _ if matches!(&preprocess.stats, StatsChoice::Grouped { per_group } if per_group == "class") => wrong(
            "preprocess.stats: pictures that are normalized by their class tell it; take the column of what they were taken with",
        ),
        _ if !finite(recipe.loss.similarity) => wrong("loss.similarity must be at least 0"),
        _ if !(0.0..1.0).contains(&recipe.model.dropout) => wrong("model.dropout must be in 0..1"),
        _ if recipe.model.lsuv && (recipe.model.pretrained.is_some() || train.features || train.backbone_lr == 0.0) => {
            wrong(
                "model.lsuv scales layers that start at random; leave it away with model.pretrained, train.features and \
                   train.backbone_lr = 0",
            )
        }
        _ if recipe.model.meta_hidden.contains(&0) => {
            wrong("model.meta_hidden: every layer needs at least one feature")
        }
        _ if recipe.model.views > 1000 => wrong("model.views must be in 0..=1000"),
        _ if eval.bootstrap > 100_000 => wrong("eval.bootstrap must be at most 100000"),
        _ if !(0.0..=1.0).contains(&recipe.data.clean.max_broken) => wrong("data.clean.max_broken must be in 0..=1"),
        _ => Ok(()),
    }
}

/// Whether the schedule has several cycles where weights are kept at their ends.
pub(super) fn check_cycles(recipe: &Recipe) -> Result<()> {
    if recipe.train.snapshots == Snapshots::None {
        return Ok(());
    }
    if cycles(recipe)? > 1 {
        return Ok(());
    }
    let why = "train.snapshots are of the ends of several cycles, which train.schedule has not within train.epochs; take \
               \"warm_restarts\" or \"cyclic\"";
    Err(anyhow!(why)).context(Usage::recipe(&recipe.name))
}

/// How many cycles of the schedule end within training.
pub fn cycles(recipe: &Recipe) -> Result<usize> {
    const STEPS: usize = 100;
    let (schedule, epochs) = (super::schedule(recipe)?, recipe.train.epochs);
    let ends =
        |step| schedule.ends_cycle(train::Progress { epoch: step / STEPS, step, steps_per_epoch: STEPS, epochs });
    Ok((0..epochs * STEPS).filter(|step| ends(*step)).count())
}

/// Pool, join and head with every default written out.
pub(super) fn network_parts(recipe: &Recipe) -> Result<[Spec; 3]> {
    let model = &recipe.model;
    let pool = models::pools::POOLS.resolve(&model.pool.part()).at(recipe, "model.pool")?;
    let join = models::joins::JOINS.resolve(&model.join.part()).at(recipe, "model.join")?;
    let head = models::heads::HEADS.resolve(&model.head.part()).at(recipe, "model.head")?;
    for rule in &model.init {
        rule.check().at(recipe, "model.init")?;
    }
    let written = |part: models::parts::Choice| Spec::new(&part.name).with(Value::Object(part.params));
    Ok([pool, join, head].map(written))
}

/// Whether the network takes pictures of this size and the statistics fit, as far as is known before anything is read.
pub(super) fn check_input(recipe: &Recipe, model: &Value) -> Result<()> {
    let known = channels(recipe)?;
    let presumed = known.unwrap_or(match &recipe.preprocess.stats {
        StatsChoice::Given { mean, .. } => mean.len().max(1),
        StatsChoice::Named(NamedStats::Mnist | NamedStats::FashionMnist) => Color::Gray.channels(),
        _ => Color::Rgb.channels(),
    });
    // What the steps make of pictures is known where the pictures are.
    let presumed = match known {
        Some(channels) => check_pictures(recipe, channels)?,
        None => check_seen(recipe, [presumed; 2])?,
    };
    // Built once without weights, so that a wrong parameter is found before any picture is read.
    let backbone = models::build(&recipe.model.name, model, presumed, models::init::outline()).at(recipe, "model")?;
    crate::features::check(recipe, backbone.frozen()).context(Usage::recipe(&recipe.name))?;
    let (freeze, stages) = (recipe.train.freeze, backbone.stages().len());
    if freeze > stages {
        let why = anyhow!("train.freeze must be at most {stages}, the stages of the backbone, got {freeze}");
        return Err(why).context(Usage::recipe(&recipe.name));
    }
    if recipe.train.recompute && backbone.rank() == 5 {
        let why = anyhow!("train.recompute is for networks of pictures; set train.recompute = false");
        return Err(why).context(Usage::recipe(&recipe.name));
    }
    let thawed = recipe.train.unfreeze * (stages - freeze);
    if recipe.train.unfreeze > 0 && thawed >= recipe.train.epochs {
        let why = anyhow!(
            "train.unfreeze: the first of {} stages would begin to learn in epoch {}; set train.epochs above {thawed}, a smaller \
             train.unfreeze, or train.freeze",
            stages - freeze,
            thawed + 1
        );
        return Err(why).context(Usage::recipe(&recipe.name));
    }
    for &size in &recipe.train.sizes {
        backbone.layers((size, size)).at(recipe, "train.sizes do not suit the model")?;
    }
    let size = recipe.preprocess.size;
    backbone.layers((size, size)).at(recipe, "preprocess.size does not suit the model").map(drop)
}

/// Whether there is something that a schedule of dropout multiplies: in the resolved model, its pool or its head.
pub(super) fn check_drops(recipe: &Recipe, model: &Value, parts: &[&Spec]) -> Result<()> {
    let within = parts.iter().any(|part| drops(&part.value()));
    if recipe.train.dropout_schedule.is_none() || recipe.model.dropout > 0.0 || drops(model) || within {
        return Ok(());
    }
    let why = anyhow!("train.dropout_schedule has nothing to drop; set model.dropout, or the model's drop_path");
    Err(why).context(Usage::recipe(&recipe.name))
}

/// Whether a parameter with such a name is above 0.
fn drops(params: &Value) -> bool {
    let above =
        |(name, value): (&String, &Value)| name.contains("drop") && value.as_f64().is_some_and(|value| value > 0.0);
    params.as_object().is_some_and(|params| params.iter().any(above))
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

/// Refuses what the recipe says of columns, groups, ids and labels that `collection` does not have, and a loss or score that has no
/// meaning for its targets.
pub fn check_data(recipe: &Recipe, collection: &Collection) -> Result<()> {
    let wrong = |what: String| Err(anyhow!(what)).context(Usage::recipe(&recipe.name));
    let (rows, columns) = (collection.dataset.rows(), collection.dataset.columns());
    super::check_targets(recipe, collection.target, collection.dataset.classes())?;
    recipe.pseudo.as_ref().map_or(Ok(()), |pseudo| pseudo.check_target(collection.target)).at(recipe, "pseudo")?;
    super::columns(recipe, columns)?;
    data::clean::check(collection, &recipe.data.clean, &recipe.data.drop_labels).at(recipe, "data.clean")?;
    data::impute::Imputer::fit(&recipe.data.impute, columns, [].iter()).at(recipe, "data.impute")?;
    if let Some(split) = &recipe.data.split {
        let split = data::split::build(&split.name, split.value()).at(recipe, "data.split")?;
        for column in split.columns() {
            data::Key::find(&column, columns).at(recipe, "data.split")?;
        }
    }
    let Spec { name, .. } = &recipe.train.sampler;
    let sampler = data::sampler::build(name, recipe.train.sampler.value(), columns).at(recipe, "train.sampler")?;
    let (size, together) = (recipe.train.batch_size, sampler.together() * recipe.train.repeat);
    let grouped = rows.iter().any(|row| row.group.is_some());
    let by_group = matches!(&recipe.preprocess.stats, StatsChoice::Grouped { per_group } if per_group == "group");
    if let StatsChoice::Grouped { per_group } = &recipe.preprocess.stats {
        data::Key::find(per_group, columns).at(recipe, "preprocess.stats")?;
    }
    match () {
        _ if sampler.together() > 1 && !size.is_multiple_of(together) => wrong(format!(
            "train.sampler: '{name}' puts {together} pictures side by side, some of which batches of {size} would cut apart; set \
             train.batch_size to a multiple of {together}"
        )),
        // Those of one class that stand side by side are of two groups.
        _ if sampler.together() > 1 && !grouped => wrong(format!(
            "train.sampler: '{name}' goes by groups, but no row has one; say which column it is (data.group)"
        )),
        _ if by_group && !grouped => {
            wrong("preprocess.stats: no row has a group; say which column it is (data.group)".into())
        }
        _ if sampler.by_class() && collection.target == Kind::MultiLabel => wrong(format!(
            "train.sampler: '{name}' goes by the one class of a picture, but data.target is 'multi_label'; take 'multiplier', which \
             counts every label"
        )),
        _ => Ok(()),
    }
}

/// Side of a picture that is tried, pixels.
const SIDE: usize = 8;

/// Whether the transforms have a meaning for pictures of so many channels, and the statistics fit what the deterministic steps make
/// of them; gives the channels that those have.
pub fn check_pictures(recipe: &Recipe, channels: usize) -> Result<usize> {
    let [_, _, _, seen] = super::after_steps(recipe, [1, SIDE, SIDE, channels])?;
    check_seen(recipe, [channels, seen])
}

/// The same for pictures whose channels before and behind the steps are known.
fn check_seen(recipe: &Recipe, [stored, seen]: [usize; 2]) -> Result<usize> {
    let measured = vec![0.5; seen];
    stats(recipe, [measured.clone(), measured])?.check(seen).at(recipe, "preprocess.stats")?;
    let augment = &recipe.augment;
    for (specs, at, channels) in [
        (&recipe.preprocess.steps, "preprocess.steps", stored),
        (&augment.transforms, "augment.transforms", seen),
        (&augment.copies, "augment.copies", seen),
    ] {
        let fits = in_order(specs)?.check_channels(channels).map_err(anyhow::Error::from);
        let hint = || {
            format!(
                "set {at} to what has a meaning for {channels} channels, or extend a recipe that does, as 'satellite'"
            )
        };
        let fits = if matches!(channels, 1 | 3) { fits } else { fits.with_context(hint) };
        fits.at(recipe, at)?;
    }
    Ok(seen)
}

/// How many pictures of a sample, or slices of its volume, the network sees. Refuses statistics and a network that do not fit
/// the samples: `report` is of their pictures, which the deterministic steps may change. Also gives the channels that it sees.
pub fn views(recipe: &Recipe, report: &Report, samples: &dyn Dataset) -> Result<(usize, usize)> {
    let channels = check_pictures(recipe, report.mean.len())?;
    let model = &recipe.model;
    let params = Value::Object(model.params.clone());
    let reads = models::build(&model.name, &params, channels, models::init::outline()).at(recipe, "model")?.rank();
    let [thin, _, deep] = report.sizes.depth;
    let depth = |stored: usize| {
        super::after_steps(recipe, [stored.max(1), SIDE, SIDE, report.mean.len().max(1)]).map(|[depth, ..]| depth)
    };
    let (thin, deep) = (depth(thin)?, depth(deep)?);
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
        (5, 2..) => Ok((1, channels)),
        (5, _) => wrong(format!("model '{name}' takes volumes, but these are flat pictures; take another model")),
        _ => Ok((if model.views > 0 { model.views } else { pictures.max(deep) }, channels)),
    }
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn contradictions_are_refused_with_what_to_change() {
        for (sets, said) in [
            (&["train.steps_per_epoch=1152921504606846976"][..], "steps_per_epoch must be at most"),
            (&["train.unfreeze=4611686018427387904"], "unfreeze must be at most"),
            (&["train.unfreeze=3", "train.epochs=9", "model.name=resnet18"], "set train.epochs above"),
            (&["train.lr_scaling=sqrt"], "set train.lr_batch"),
            (&["train.freeze=1", "train.backbone_lr=0"], "leave train.freeze away"),
            (&["train.snapshots=ensemble", "train.ema=0.9"], "set train.ema = 0"),
            (&["train.ema_rise=none"], "set train.ema above 0"),
            (&["train.dropout_schedule=plateau", "model.dropout=0.1"], "another schedule than plateau"),
            (&["train.dropout_schedule=linear", "model.dropout=0"], "nothing to drop"),
            (&["train.recompute=true", "model.name=r3d_18"], "set train.recompute = false"),
            (&["train.min_delta=0.1"], "set train.patience"),
            (&["preprocess.stats={per_group='class'}"], "normalized by their class tell it"),
            (&["loss.class_weights={effective=1}"], "effective must be in 0..1"),
            (&["data.impute={numbers={knn=0}}"], "data.impute"),
            (&["data.split={name='stratified', folds=4}", "data.folds=3"], "data.folds = 3, but data.split has 4"),
            (&["data.split=hold_out", "data.folds=3"], "'hold_out' has no folds to count"),
            (&["pseudo.run=runs/a", "pseudo.per_class=1152921504606846976"], "per_class must be at most"),
        ] {
            let sets: Vec<String> = sets.iter().map(|set| set.to_string()).collect();
            let mut recipe = Recipe::load("default", &sets).unwrap();
            let Err(error) = crate::assemble::parts(&mut recipe) else { panic!("{sets:?} is taken") };
            assert!(error.is::<Usage>(), "{error:#}");
            assert!(format!("{error:#}").contains(said), "{error:#}");
        }
        // The head drops by itself.
        let sets = ["train.dropout_schedule=linear", "model.head=mlp"].map(String::from);
        crate::assemble::parts(&mut Recipe::load("default", &sets).unwrap()).unwrap();
    }
}
