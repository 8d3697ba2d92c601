//! One fold: train, keep the best weights, predict what it was not trained on and the test part.

mod refresh;
mod step;
mod watch;

pub use step::Step;
pub use watch::{Curves, LOADING, Watch};

use crate::assemble::{self, Parts};
use crate::criterion::Criterion;
use crate::features;
use crate::predict;
use crate::prepare::{Asked, Prepared};
use crate::pretrained::Start;
use crate::progress::Progress;
use crate::pseudo::Told;
use crate::recipe::{NamedStats, Recipe, Snapshots, StatsChoice, Train};
use crate::saved::{self, Saved, Trained};
use crate::teacher::Teacher;
use crate::times::Times;
use anyhow::{Context, Result, bail};
use candle_core::{DType, Device, Tensor};
use data::rng::sub_seed;
use data::{Dataset, Loader, LoaderConfig, Meter, Normalize, Part, Subset};
use eval::{Goal, Predictions, Run};
use models::parts::Choice;
use models::pretrained::Report;
use models::{Network, NetworkConfig, init};
use serde_json::{Value, json};
use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use train::checkpoint::Checkpoint;
use train::schedule::Schedule;
use train::{BoxError, Event, Flow, Params, Scores, TrainConfig, Trainer};
use watch::{Clock, JUDGING};

/// What all folds share.
pub struct Training<'a> {
    pub recipe: &'a Recipe,
    pub parts: &'a Parts,
    pub prepared: &'a Prepared,
    /// Rows of the whole data set, their decoded pictures kept.
    pub pictures: Arc<dyn Dataset>,
    /// What they are normalized with where that is not the same for all.
    pub normalize: Option<Normalize>,
    pub device: &'a Device,
    pub progress: &'a Progress,
    /// Where the time goes.
    pub times: &'a Times,
    /// Set by Ctrl-C.
    pub interrupted: Arc<AtomicBool>,
    /// Tells whether a checkpoint is this run's.
    pub fingerprint: String,
    /// Pretrained weights.
    pub start: Option<&'a Start>,
    /// Whether features stand in for pictures.
    pub features: bool,
}

/// A fold ready to be trained.
pub struct Fold {
    pub number: usize,
    pub saved: Saved,
    pub trained: Trained,
    /// What the pretrained weights set.
    pub begun: Option<Report>,
    /// What was believed of pseudo-labels.
    told: Option<Told>,
    /// Stages of the backbone that stay as they are.
    freeze: usize,
    /// Heads that learn from resamples.
    bags: usize,
    /// Epochs from one stage's first to that of the stage before it; 0: all begin together.
    unfreeze: usize,
    /// Training batches with pictures of their last size.
    pub train: Loader,
    /// The same with smaller pictures, and the epoch that they are for no more.
    smaller: Vec<(usize, Loader)>,
    pub validation: Loader,
    /// What it is asked about beside.
    pub asked: Vec<(Asked, Loader)>,
    criterion: Criterion,
    /// Who says what the criterion may listen to.
    teacher: Option<Teacher>,
    /// What dropout is multiplied by.
    dropout: Option<Box<dyn Schedule>>,
    /// What goes through the network in training.
    precision: DType,
    recompute: bool,
    /// Copies of each picture in a batch.
    copies: usize,
    seed: u64,
    batches: usize,
    /// Terms of the last loss.
    terms: Mutex<Vec<(String, Tensor)>>,
    /// How long the epoch's steps waited for pictures.
    meter: Mutex<Option<Meter>>,
}

/// What a finished fold said; `None` from [`Training::run`] means that Ctrl-C ended it, with a checkpoint.
pub struct Answer {
    /// Of the rows that judge it.
    pub oof: Predictions,
    /// Of what it was asked about beside.
    pub asked: BTreeMap<Asked, Predictions>,
}

impl Training<'_> {
    /// Builds network, loaders and loss of fold `number`.
    pub fn fold(&self, number: usize) -> Result<Fold> {
        let (recipe, prepared) = (self.recipe, self.prepared);
        let (learn, judge) = prepared.split(number);
        let rows = prepared.dataset.rows();
        let seen = assemble::columns(recipe, prepared.dataset.columns())?;
        let columns = if seen.is_empty() { &[] } else { prepared.dataset.columns() };
        let learned = learn.iter().map(|&i| &rows[i]);
        let encoder = data::tabular::Encoder::fit(columns, learned.clone());
        let encoder = encoder.with_imputed(&recipe.data.impute, columns, learned)?;
        let encoder = encoder.only(columns, |name| seen.contains(name));
        let criterion = assemble::criterion(recipe, &prepared.class_counts(&learn))?;
        // Features are computed once for all folds.
        let seen = if recipe.train.features { [&learn[..], &judge].concat() } else { learn.clone() };
        let network = NetworkConfig {
            model: recipe.model.name.clone(),
            params: Value::Object(recipe.model.params.clone()),
            classes: assemble::outputs(recipe, prepared.classes().len()),
            channels: prepared.channels,
            pool: recipe.model.pool.part(),
            views: prepared.views,
            join: recipe.model.join.part(),
            meta: encoder.width(),
            meta_hidden: recipe.model.meta_hidden.clone(),
            dropout: recipe.model.dropout,
            head: head(recipe),
        };
        let saved = Saved {
            network,
            classes: prepared.classes().to_vec(),
            color: prepared.color,
            steps: assemble::evaluation_steps(recipe),
            stats: assemble::stats(recipe, self.channels(&seen)?)?,
            normalize: self.normalize.clone(),
            encoder,
            views: recipe.eval.views,
            loss: criterion.spec.clone(),
            ensemble: recipe.train.snapshots == Snapshots::Ensemble,
        };
        let seed = sub_seed(recipe.seed, &format!("fold{number}"));
        // Features are of the same network in all folds unless each begins with its own weights, so that they are computed once.
        let weights = sub_seed(if recipe.train.features { recipe.seed } else { seed }, "weights");
        let trained = saved.build(weights, self.device)?;
        let folder = recipe.loss.teacher.as_ref().map(Path::new);
        let open = |folder: &Path| Teacher::open(folder, number, &saved, prepared, self.device);
        let teacher = folder.map(open).transpose()?;
        if prepared.views > 1 && criterion.embeds() {
            bail!("losses of embeddings compare pictures, but a sample has {} of them", prepared.views);
        }

        let subset =
            |rows: &[usize]| -> Arc<dyn Dataset> { Arc::new(Subset::new(self.pictures.clone(), rows.to_vec())) };
        let mut told = None;
        let pictures: Arc<dyn Dataset> = match &recipe.pseudo {
            None => subset(&learn),
            Some(pseudo) => {
                let (pictures, said) = pseudo.join(self.pictures.clone(), &learn, number, prepared)?;
                told = Some(said);
                Arc::new(pictures)
            }
        };
        let (size, sampler) = (recipe.train.batch_size, &recipe.train.sampler);
        let sampler = data::sampler::build(&sampler.name, sampler.value(), prepared.dataset.columns())?;
        let config = LoaderConfig {
            batch_size: size,
            seed,
            // A small last batch makes poor batch statistics.
            drop_last: sampler.length(pictures.rows()) * recipe.train.repeat >= size,
            repeat: recipe.train.repeat,
            prefetch: recipe.train.prefetch,
            stats: saved.stats.clone(),
            views: prepared.views,
        };
        let train = Loader::new(pictures, sampler, config)
            .with_normalize(saved.normalize.clone())
            .with_meta(saved.encoder.clone())
            .on(self.device, DType::F32);
        let of_side = |side: usize| -> Result<Loader> {
            let assemble::Training { first, copies, .. } = self.parts.training.get(&side).context("no such side")?;
            let (first, copies) = (first.clone(), copies.clone());
            let train = train.clone().with_transform(move |image, rng| first(image, rng));
            Ok(train.with_copies(move |image, rng| copies(image, rng)))
        };
        let smaller = recipe.train.smaller().map(|(until, side)| Ok((until, of_side(side)?)));
        let smaller = smaller.collect::<Result<Vec<_>>>()?;
        let train = of_side(recipe.preprocess.size)?;

        let still = recipe.train.backbone_lr == 0.0 || trained.network.frozen();
        let begun = self.begin(number, &saved.network, &trained, weights, (&train, still))?;
        let features = self.features.then(|| features::rows(self, &saved, &trained)).transpose()?;
        let fed = |loader: Loader, rows: &[usize]| -> Result<Loader> {
            let Some(features) = &features else { return Ok(loader) };
            let rows = rows.iter().map(|&row| row as u32).collect::<Vec<_>>();
            Ok(loader.with_features(features.index_select(&Tensor::new(rows, features.device())?, 0)?))
        };
        let train = fed(train, &learn)?;
        let judging = |rows: &[usize]| fed(predict::prepared(&saved, subset(rows), size, self.device)?, rows);
        let validation = judging(&judge)?;
        let asked = Asked::ALL.map(|about| (about, prepared.asked(about)));
        let asked = asked.iter().filter(|(_, rows)| !rows.is_empty());
        let asked = asked.map(|(about, rows)| Ok((*about, judging(rows)?))).collect::<Result<_>>()?;
        let batches = match recipe.train.steps_per_epoch {
            0 => train.batches(),
            limit => train.batches().min(limit * recipe.train.accumulate),
        };
        let freeze = if still { usize::MAX } else { recipe.train.freeze };
        let Train { bags, unfreeze, recompute, repeat, precision, .. } = recipe.train;
        Ok(Fold {
            number,
            saved,
            trained,
            begun,
            told,
            freeze,
            unfreeze,
            bags,
            train,
            smaller,
            validation,
            asked,
            criterion,
            teacher,
            dropout: assemble::dropout(recipe)?,
            precision: precision.dtype(),
            recompute,
            copies: repeat,
            seed,
            batches,
            terms: Mutex::default(),
            meter: Mutex::default(),
        })
    }

    /// Sets what variables of fold `number` start from other than their family's values; `still` says that the backbone is not
    /// trained. What pretrained weights set, if there are such.
    fn begin(
        &self,
        number: usize,
        config: &NetworkConfig,
        Trained { network, vars, .. }: &Trained,
        seed: u64,
        (train, still): (&Loader, bool),
    ) -> Result<Option<Report>> {
        let model = &self.recipe.model;
        if self.start.is_none() && !self.recipe.train.features && models::begins(&model.name)? {
            let pictures = first_pictures(train, BEGINNING)?;
            let alone = if config.views > 1 { pictures.flatten(0, 1)? } else { pictures };
            models::begin(&model.name, vars, &alone)?;
        }
        init::restart(vars, seed, &model.init).context("model.init")?;
        let mut begun = self.start.map(|start| start.of_fold(number, self.prepared, config, vars)).transpose()?;
        if let Some(begun) = begun.as_mut().filter(|_| !still)
            && init::is_folded(vars)?
        {
            init::unfold(network, vars, &first_pictures(train, 1)?)?;
            let what = "take the statistics of training pictures, as the weights were folded";
            begun.adapted.push(("batch norms".into(), what.into()));
        }
        if model.lsuv {
            init::lsuv(network, vars, &first_pictures(train, 1)?).context("model.lsuv")?;
        }
        Ok(begun)
    }

    /// Mean and deviation of every channel over the pictures of `rows` as training sees them: of prepared ones they are measured,
    /// of others the report knows them.
    fn channels(&self, rows: &[usize]) -> Result<[Vec<f64>; 2]> {
        let preprocess = &self.recipe.preprocess;
        let asked = matches!(preprocess.stats, StatsChoice::Named(NamedStats::Dataset));
        let same = self.prepared.channels == self.prepared.report.mean.len();
        if preprocess.steps.is_empty() || (!asked && same) {
            return Ok(self.prepared.channels(rows));
        }
        let stats = data::normalize::measure(&*self.pictures, rows, &|image| image)?;
        Ok([stats.mean, stats.std].map(|values| values.into_iter().map(f64::from).collect()))
    }

    /// Trains `fold` from where its checkpoint is, and predicts.
    pub fn run(&self, run: &Run, fold: Fold) -> Result<Option<Answer>> {
        let number = fold.number;
        fold.saved.write(run, number)?;
        match &fold.told {
            Some(told) if told.believed == 0 => {
                self.progress.warning(&format!("fold {}: {told}; lower pseudo.confidence", number + 1));
            }
            Some(told) => self.progress.note(&format!("fold {}: {told}", number + 1)),
            None => {}
        }
        let mut clock = Clock::start(self.times);
        let finished = self.train(run, &fold, run.path(&format!("fold{number}")), &mut clock);
        clock.mark();
        self.times.write(run)?;
        if !finished? {
            return Ok(None);
        }
        let folds = self.prepared.trained_folds;
        let predict = |loader: &Loader, what: &str| -> Result<Predictions> {
            let title = format!("fold {}/{folds}: {what}", number + 1);
            let stretch = self.progress.stretch(&title, loader.rows().len() as u64, "pictures");
            let done = |pictures: usize| stretch.at(pictures as u64);
            let members = fold.saved.members(run, number);
            self.times.of("predicting", || predict::members(&fold.trained, &fold.saved, &members, loader, done))
        };
        let mut asked = BTreeMap::new();
        for (about, loader) in &fold.asked {
            let said = predict(loader, about.name())?;
            run.write(&format!("fold{number}/{}", about.file()), &said.to_csv()?)?;
            asked.insert(*about, said);
        }
        let oof = predict(&fold.validation, "out-of-fold")?;
        run.write(&format!("fold{number}/oof.csv"), &oof.to_csv()?)?;
        self.times.write(run)?;
        Ok(Some(Answer { oof, asked }).filter(|_| !self.interrupted.load(Ordering::Relaxed)))
    }

    /// Whether training came to its end; `clock` adds what a checkpoint cost before it is written.
    fn train(&self, run: &Run, fold: &Fold, folder: PathBuf, clock: &mut Clock<'_>) -> Result<bool> {
        let train = &self.recipe.train;
        let config = TrainConfig {
            folder: Some(folder.clone()),
            fingerprint: format!("{}/{}", self.fingerprint, fold.number),
            ..assemble::train_config(self.recipe)
        };
        let optimizer = assemble::optimizer(self.recipe)?;
        let params = fold.params(self.recipe);
        // What does not learn needs no checkpoint.
        let all = &fold.trained.vars;
        let vars = if fold.still() { features::behind(all) } else { all.clone() };
        let mut trainer = Trainer::new(config, &vars, params, optimizer, assemble::schedule(self.recipe)?)?
            .with_refresh(|epoch| Ok(refresh::refresh(fold, self.parts, epoch)?));
        trainer.resume()?;
        let (done, epochs) = (trainer.state().step, trainer.state().epoch);
        let mut curves = Curves::resume(run, fold.number, (done, epochs))?;
        let title = format!("fold {}/{}", fold.number + 1, self.prepared.trained_folds);
        let mut watch = Watch::new(self, &title, fold.batches, done).of_fold(fold.number);
        let is_saved = |event: &Event<'_>| match event {
            Event::Step { step, .. } => train.save_every > 0 && step.is_multiple_of(train.save_every),
            Event::Epoch { .. } => true,
        };
        let mut trainer = trainer.with_hook(|event: &Event<'_>| -> Result<Flow, BoxError> {
            let flow = watch.see(event, &mut curves)?;
            if let (Event::Epoch { epoch, step, .. }, Some(waits)) = (event, fold.waits()) {
                watch.limited((*step, *epoch), &waits, &mut curves)?;
            }
            if is_saved(event) {
                clock.mark();
                self.times.write(run)?;
            }
            Ok(flow)
        });
        let outcome = trainer.fit(
            fold,
            fold.batches,
            |epoch, first| {
                let mut steps = fold.steps(self.parts, epoch, first);
                std::iter::from_fn(move || self.times.of(LOADING, || steps.next()))
            },
            |_| self.times.of(JUDGING, || self.score(fold)),
        )?;
        drop(trainer);
        curves.flush()?;
        if outcome.finished && train.snapshots == Snapshots::Soup {
            self.soup(run, fold)?;
        }
        if outcome.finished && fold.still() {
            // Files hold the whole network: the backbone that did not learn as well.
            features::write_whole(all, &folder.join("weights.safetensors"))?;
            for path in saved::snapshots(run, fold.number) {
                set(all, &Checkpoint::read(&path)?.tensors)?;
                features::write_whole(all, &path)?;
            }
        }
        Ok(outcome.finished)
    }

    /// Puts the greedy soup of a fold's snapshots in place of its best weights.
    fn soup(&self, run: &Run, fold: &Fold) -> Result<()> {
        let kept = saved::snapshots(run, fold.number);
        let kept = kept.iter().map(|path| Ok(Checkpoint::read(path)?.tensors)).collect::<Result<Vec<_>>>()?;
        if kept.is_empty() {
            return Ok(());
        }
        let vars = &fold.trained.vars;
        // Pictures have their last size then, and all that ever learns has learned.
        let last = self.recipe.train.epochs - 1;
        let put = |weights: &BTreeMap<String, Tensor>| -> Result<()> {
            set(vars, weights)?;
            refresh::refresh(fold, self.parts, last)
        };
        let score = |weights: &BTreeMap<String, Tensor>| -> Result<f64> {
            put(weights)?;
            Ok(self.score(fold)?.map_or(f64::NEG_INFINITY, |scores| scores.decisive))
        };
        let soup = train::greedy_soup(&kept, score)?;
        put(&soup.weights)?;
        let what = format!("fold {}: soup of {} of {} snapshots", fold.number + 1, soup.ingredients.len(), kept.len());
        self.progress.note(&what);
        features::write_whole(vars, &run.path(&format!("fold{}/weights.safetensors", fold.number)))
    }

    /// Scores of the current weights on the rows that judge them, without views.
    fn score(&self, fold: &Fold) -> Result<Option<Scores>> {
        let said = predict::all(&fold.trained, &fold.validation, &fold.saved.classes, augment::Views::None, |_| ())?;
        let score = self.parts.metric.score(&said)?;
        let mut all = BTreeMap::from([(self.recipe.eval.metric.name.clone(), score)]);
        for (name, metric) in &self.parts.also {
            // Some scores are undefined on a fold that lacks a class.
            all.extend(metric.score(&said).ok().map(|value| (name.clone(), value)));
        }
        let sign = if self.parts.metric.goal() == Goal::Maximize { 1.0 } else { -1.0 };
        Ok(Some(Scores { decisive: sign * score, all }))
    }
}

impl Fold {
    /// Whether nothing of the backbone is trained.
    fn still(&self) -> bool {
        self.freeze == usize::MAX
    }

    /// What is trained.
    pub fn params(&self, recipe: &Recipe) -> Params {
        let rates = rates(&self.trained.network, &recipe.train, self.freeze);
        let decays = recipe.train.decay_norms;
        let stages = self.trained.network.stages();
        let last = stages.len() - 1;
        let stage = |name: &str| stages.iter().position(|(_, names)| names.iter().any(|n| n == name)).unwrap_or(last);
        Params::new(&self.trained.vars, |name| rates.get(name).copied())
            .with_decay(|_, shape| decays || shape.len() > 1)
            .with_start(|name| self.unfreeze * (last - stage(name)))
    }

    /// How many stages of the backbone stay as they are in `epoch`.
    fn frozen(&self, epoch: usize) -> usize {
        let thawed = epoch.checked_div(self.unfreeze);
        let waiting = thawed.map_or(0, |thawed| (self.trained.network.stages().len() - 1).saturating_sub(thawed));
        self.freeze.max(waiting)
    }

    /// Names of the variables of those stages.
    fn still_names(&self, epoch: usize) -> BTreeSet<String> {
        let stages = self.trained.network.stages();
        let count = self.frozen(epoch).min(stages.len() - 1);
        stages.into_iter().take(count).flat_map(|(_, names)| names).collect()
    }

    /// Training batches of `epoch`.
    fn loader(&self, epoch: usize) -> &Loader {
        self.smaller.iter().find(|(until, _)| epoch < *until).map_or(&self.train, |(_, loader)| loader)
    }

    /// Batches of an epoch.
    pub fn batches(&self) -> usize {
        self.batches
    }

    /// How far training is when all that ever learns does: what a step takes is tried out there.
    pub fn thawed(&self, epochs: usize) -> train::Progress {
        let epoch = self.unfreeze * (self.trained.network.stages().len() - 1);
        train::Progress { epoch, step: 0, steps_per_epoch: self.batches, epochs }
    }
}

/// Gives the variables `vars` the values of `weights`; others stay.
fn set(vars: &candle_nn::VarMap, weights: &BTreeMap<String, Tensor>) -> Result<()> {
    let all = train::variables(vars);
    weights.iter().try_for_each(|(name, value)| {
        Ok(all.get(name).map_or(Ok(()), |var| var.set(&value.to_device(var.device())?))?)
    })
}

/// Numbers of pictures that a family starts from: the reference takes 5,000 of 32 pixels.
const BEGINNING: usize = 5000 * 3 * 32 * 32;

/// The first training pictures: batches of the first epoch until they have so many numbers.
fn first_pictures(train: &Loader, numbers: usize) -> Result<Tensor> {
    let (mut batches, mut seen) = (vec![], 0);
    for batch in train.epoch_from(0, 0) {
        let images = batch?.images;
        seen += images.elem_count();
        batches.push(images);
        if seen >= numbers {
            break;
        }
    }
    Ok(Tensor::cat(&batches, 0)?)
}

/// The head of the recipe, or a bag of such.
fn head(recipe: &Recipe) -> Choice {
    let head = recipe.model.head.part();
    match recipe.train.bags {
        1 => head,
        bags => Choice::with("bag", json!({"heads": bags, "of": head})),
    }
}

/// Factors of the learning rate by variable: what stands behind the backbone has that of the recipe, the backbone's stages
/// smaller ones towards the input; the first `freeze`, and the pool of features that are computed before, have none.
fn rates(network: &Network, train: &Train, freeze: usize) -> BTreeMap<String, f64> {
    let stages = network.stages();
    let last = stages.len() - 1;
    let rate = |stage: usize, name: &str| match stage {
        _ if train.features && name.starts_with("pool.") => 0.0,
        _ if stage == last => 1.0,
        _ if stage < freeze => 0.0,
        _ => train.backbone_lr * train.layer_decay.powi((last - stage) as i32),
    };
    let named = stages.into_iter().enumerate().flat_map(|(i, (_, names))| names.into_iter().map(move |name| (name, i)));
    let named: Vec<(String, usize)> = named.collect();
    let norms: BTreeSet<String> =
        named.iter().filter_map(|(name, _)| Some(format!("{}.bias", name.strip_suffix(".running_mean")?))).collect();
    let bias = |name: &str| if norms.contains(name) { train.bias_lr } else { 1.0 };
    named
        .into_iter()
        .map(|(name, stage)| (rate(stage, &name) * bias(&name), name))
        .filter(|(rate, _)| *rate > 0.0)
        .map(|(r, n)| (n, r))
        .collect()
}

/// Predictions of a fold that was finished before, of all of `about` that there is.
pub fn finished(run: &Run, fold: usize, prepared: &Prepared, about: &[Asked]) -> Result<Option<Answer>> {
    let read = |name: &str, rows: usize| -> Result<Option<Predictions>> {
        let name = format!("fold{fold}/{name}");
        if !run.has(&name) {
            return Ok(None);
        }
        let text = String::from_utf8(run.read(&name)?).with_context(|| format!("'{name}' is no text"))?;
        let said = Predictions::from_csv(&text).with_context(|| format!("'{}'", run.path(&name).display()))?;
        Ok(Some(said).filter(|said| said.len() == rows))
    };
    let mut asked = BTreeMap::new();
    for &about in about {
        let rows = prepared.asked(about).len();
        match read(about.file(), rows)? {
            Some(said) => drop(asked.insert(about, said)),
            None if rows > 0 => return Ok(None),
            None => {}
        }
    }
    Ok(read("oof.csv", prepared.split(fold).1.len())?.map(|oof| Answer { oof, asked }))
}

/// Whether a row is judged at the end: a labelled row of the test part.
pub fn is_labelled_test(row: &data::Row) -> bool {
    row.part == Part::Test && row.target.is_some()
}

#[cfg(test)]
mod tests;
