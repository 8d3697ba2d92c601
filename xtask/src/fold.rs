//! One fold: train, keep the best weights, predict what it was not trained on and the test part.

use crate::assemble::{self, Parts};
use crate::bootstrap::Drawn;
use crate::features;
use crate::predict;
use crate::prepare::Prepared;
use crate::pretrained::Start;
use crate::progress::{Progress, Stretch};
use crate::recipe::Recipe;
use crate::saved::{Saved, Trained};
use crate::times::Times;
use anyhow::{Context, Result};
use candle_core::{DType, Device, Tensor};
use data::rng::{stream, sub_seed};
use data::{Batch, Dataset, Loader, LoaderConfig, Part, Subset};
use eval::{Goal, Predictions, Run, Scalar, Scalars};
use losses::Loss;
use models::parts::Choice;
use models::pretrained::Report;
use models::{NetworkConfig, Pass};
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Instant;
use train::{BoxError, Event, Flow, Params, Scores, Task, TrainConfig, Trainer};

/// Stages of training that are timed apart.
const LOADING: &str = "waiting for pictures";
const JUDGING: &str = "judging between epochs";

/// What all folds share.
pub struct Training<'a> {
    pub recipe: &'a Recipe,
    pub parts: &'a Parts,
    pub prepared: &'a Prepared,
    /// Rows of the whole data set, their decoded pictures kept.
    pub pictures: Arc<dyn Dataset>,
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
    /// Whether only what stands behind the backbone is trained.
    still: bool,
    /// Heads that learn from resamples.
    bags: usize,
    pub train: Loader,
    pub validation: Loader,
    pub test: Option<Loader>,
    loss: Box<dyn Loss>,
    seed: u64,
    batches: usize,
}

/// A training batch with soft targets where batches are mixed, and the key of the network's random numbers.
pub struct Step {
    pub batch: Batch,
    pub targets: Tensor,
    key: u64,
    /// What each head of a bag learns from.
    drawn: Option<Drawn>,
}

/// What a finished fold said; `None` from [`Training::run`] means that Ctrl-C ended it, with a checkpoint.
pub struct Answer {
    /// Of the rows that judge it.
    pub oof: Predictions,
    /// Of the test part, if it was asked.
    pub test: Option<Predictions>,
}

impl Training<'_> {
    /// Builds network, loaders and loss of fold `number`.
    pub fn fold(&self, number: usize) -> Result<Fold> {
        let (recipe, prepared) = (self.recipe, self.prepared);
        let (learn, judge) = prepared.split(number);
        let rows = prepared.dataset.rows();
        let columns = if recipe.model.meta { prepared.dataset.columns() } else { &[] };
        let encoder = data::tabular::Encoder::fit(columns, learn.iter().map(|&i| &rows[i]));
        let network = NetworkConfig {
            model: recipe.model.name.clone(),
            params: Value::Object(recipe.model.params.clone()),
            classes: prepared.classes().len(),
            channels: prepared.report.mean.len(),
            pool: recipe.model.pool.part(),
            meta: encoder.width(),
            meta_hidden: recipe.model.meta_hidden.clone(),
            dropout: recipe.model.dropout,
            head: head(recipe),
            ..NetworkConfig::default()
        };
        let saved = Saved {
            network,
            classes: prepared.classes().to_vec(),
            color: prepared.color,
            steps: assemble::evaluation_steps(recipe),
            stats: assemble::stats(recipe, (&prepared.report.mean, &prepared.report.std))?,
            encoder,
            views: recipe.eval.views,
        };
        let seed = sub_seed(recipe.seed, &format!("fold{number}"));
        // Features are of the same network in all folds, so that they are computed once.
        let weights = sub_seed(if recipe.train.features { recipe.seed } else { seed }, "weights");
        let trained = saved.build(weights, self.device)?;
        models::init::restart(&trained.vars, weights, &recipe.model.init).context("model.init")?;
        let begun = self.start.map(|start| start.load(&saved.network, &trained.vars)).transpose()?;
        let loss = assemble::loss(recipe, &prepared.class_counts(&learn))?;

        let size = recipe.train.batch_size;
        let config = LoaderConfig {
            batch_size: size,
            seed,
            // A small last batch makes poor batch statistics.
            drop_last: learn.len() >= size,
            prefetch: recipe.train.prefetch,
            stats: saved.stats.clone(),
        };
        let subset =
            |rows: &[usize]| -> Arc<dyn Dataset> { Arc::new(Subset::new(self.pictures.clone(), rows.to_vec())) };
        let features = self.features.then(|| features::rows(self, &saved, &trained)).transpose()?;
        let fed = |loader: Loader, rows: &[usize]| -> Result<Loader> {
            let Some(features) = &features else { return Ok(loader) };
            let rows = rows.iter().map(|&row| row as u32).collect::<Vec<_>>();
            Ok(loader.with_features(features.index_select(&Tensor::new(rows, features.device())?, 0)?))
        };
        let transform = self.parts.training.clone();
        let train = Loader::new(subset(&learn), data::sampler::build(&recipe.train.sampler)?, config)
            .with_transform(move |image, rng| transform(image, rng))
            .with_meta(saved.encoder.clone())
            .on(self.device, DType::F32);
        let train = fed(train, &learn)?;
        let judging = |rows: &[usize]| fed(predict::loader(&saved, subset(rows), size, self.device)?, rows);
        let validation = judging(&judge)?;
        let test = Some(prepared.test()).filter(|rows| !rows.is_empty());
        let test = test.map(|rows| judging(&rows)).transpose()?;
        let batches = match recipe.train.steps_per_epoch {
            0 => train.batches(),
            limit => train.batches().min(limit * recipe.train.accumulate),
        };
        let still = recipe.train.backbone_lr == 0.0 || trained.network.frozen();
        let bags = recipe.train.bags;
        Ok(Fold { number, saved, trained, begun, still, bags, train, validation, test, loss, seed, batches })
    }

    /// Trains `fold` from where its checkpoint is, and predicts.
    pub fn run(&self, run: &Run, fold: Fold) -> Result<Option<Answer>> {
        let number = fold.number;
        fold.saved.write(run, number)?;
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
            let said = || predict::all(&fold.trained, loader, &fold.saved.classes, fold.saved.views, done);
            self.times.of("predicting", said)
        };
        let test = fold.test.as_ref().map(|loader| predict(loader, "test part")).transpose()?;
        if let Some(test) = &test {
            run.write(&format!("fold{number}/test.csv"), &test.to_csv()?)?;
        }
        let oof = predict(&fold.validation, "out-of-fold")?;
        run.write(&format!("fold{number}/oof.csv"), &oof.to_csv()?)?;
        self.times.write(run)?;
        Ok(Some(Answer { oof, test }).filter(|_| !self.interrupted.load(Ordering::Relaxed)))
    }

    /// Whether training came to its end; `clock` adds what a checkpoint cost before it is written.
    fn train(&self, run: &Run, fold: &Fold, folder: PathBuf, clock: &mut Clock<'_>) -> Result<bool> {
        let train = &self.recipe.train;
        let config = TrainConfig {
            epochs: train.epochs,
            lr: train.lr,
            accumulate: train.accumulate,
            clip_norm: (train.clip_norm > 0.0).then_some(train.clip_norm),
            ema: (train.ema > 0.0).then_some(train.ema),
            patience: (train.patience > 0).then_some(train.patience),
            folder: Some(folder.clone()),
            save_every: train.save_every,
            log_every: train.log_every,
            fingerprint: format!("{}/{}", self.fingerprint, fold.number),
        };
        let optimizer = assemble::optimizer(self.recipe)?;
        let params = fold.params(self.recipe);
        let watch = Watch::new(self, fold);
        // What does not learn needs no checkpoint.
        let all = &fold.trained.vars;
        let vars = if fold.still { features::behind(all) } else { all.clone() };
        let mut trainer = Trainer::new(config, &vars, params, optimizer, assemble::schedule(self.recipe)?)?;
        trainer.resume()?;
        let (done, epochs) = (trainer.state().step, trainer.state().epoch);
        // A checkpoint inside an epoch may have the step of its end, whose lines are written again.
        let is_before = |s: &Scalar| s.step <= done && (s.epoch < epochs || s.name.starts_with("train/"));
        let keep = |s: &Scalar| s.fold < fold.number || s.fold == fold.number && is_before(s);
        let mut scalars = Scalars::resume(run.path("scalars.jsonl"), keep)?;
        let is_saved = |event: &Event<'_>| match event {
            Event::Step { step, .. } => train.save_every > 0 && step.is_multiple_of(train.save_every),
            Event::Epoch { .. } => true,
        };
        let mut trainer = trainer.with_hook(|event: &Event<'_>| -> Result<Flow, BoxError> {
            let flow = watch.see(event, &mut scalars)?;
            if is_saved(event) {
                clock.mark();
                self.times.write(run)?;
            }
            Ok(flow)
        });
        let outcome = trainer.fit(
            &fold.task(),
            fold.batches,
            |epoch, first| {
                let mut steps = fold.steps(self.parts, epoch, first);
                std::iter::from_fn(move || self.times.of(LOADING, || steps.next()))
            },
            |_| self.times.of(JUDGING, || self.score(fold)),
        )?;
        drop(trainer);
        scalars.flush()?;
        if outcome.finished && fold.still {
            features::write_whole(all, &folder.join("weights.safetensors"))?;
        }
        Ok(outcome.finished)
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
    /// Optimizer steps of an epoch's batches: what a step learns from, in order.
    fn steps(&self, parts: &Parts, epoch: usize, first: usize) -> impl Iterator<Item = Result<Step, BoxError>> {
        let classes = self.saved.classes.len();
        let batches = self.train.epoch_from(epoch, first).take(self.batches - first);
        batches.enumerate().map(move |(i, batch)| {
            let index = (first + i) as u64;
            let mut batch = batch?;
            let targets = batch.targets.take().ok_or("a training row has no label")?;
            let (images, targets) = if parts.mixing.is_empty() {
                (batch.images.clone(), targets)
            } else {
                let mut rng = stream(sub_seed(self.seed, "mixing"), epoch, index);
                let soft = losses::rows(&targets, classes, DType::F32)?;
                parts.mixing.iter().try_fold((batch.images.clone(), soft), |(x, y), mix| mix.apply(&x, &y, &mut rng))?
            };
            batch.images = images;
            let key = sub_seed(self.seed, &format!("network/{epoch}/{index}"));
            let draw = || Drawn::new(sub_seed(self.seed, "bags"), &batch.ids, self.bags, targets.device());
            let drawn = (self.bags > 1).then(draw).transpose()?;
            Ok(Step { batch, targets, key, drawn })
        })
    }

    /// What a step means.
    pub fn task(&self) -> impl Task<Batch = Step> + '_ {
        train::supervised(
            |step: &Step, _| {
                let network = &self.trained.network;
                let (images, meta) = (&step.batch.images, step.batch.meta.as_ref());
                let (mut train, mut eval) = (Pass::train(step.key), Pass::eval());
                if !self.still {
                    return network.forward(images, meta, &mut train);
                }
                let rows = match images.rank() {
                    2 => images.clone(),
                    _ => network.embed(&network.features(images, &mut eval)?, &mut eval)?,
                };
                match step.drawn {
                    Some(_) => network.each(&rows, meta, &mut train),
                    None => network.classify(&rows, meta, &mut train),
                }
            },
            |logits: &Tensor, step: &Step| match &step.drawn {
                Some(drawn) => drawn.loss(logits, &step.targets, |logits, targets| self.loss.forward(logits, targets)),
                None => self.loss.forward(logits, &step.targets),
            },
        )
    }

    /// What is trained.
    pub fn params(&self, recipe: &Recipe) -> Params {
        let (decays, backbone) = (recipe.train.decay_norms, recipe.train.backbone_lr);
        let scale = |name: &str| match features::is_seeing(name) {
            true => Some(backbone).filter(|_| !self.still),
            false => Some(1.0),
        };
        Params::new(&self.trained.vars, scale).with_decay(|_, shape| decays || shape.len() > 1)
    }

    /// Batches of an epoch.
    pub fn batches(&self) -> usize {
        self.batches
    }

    /// The first steps of training, for trying out.
    pub fn first_steps(&self, parts: &Parts) -> impl Iterator<Item = Result<Step, BoxError>> {
        self.steps(parts, 0, 0)
    }
}

/// The head of the recipe, or a bag of such.
fn head(recipe: &Recipe) -> Choice {
    let head = recipe.model.head.part();
    match recipe.train.bags {
        1 => head,
        bags => Choice::with("bag", json!({"heads": bags, "of": head})),
    }
}

/// Measures what training takes beside waiting for pictures and judging.
struct Clock<'a> {
    times: &'a Times,
    since: Instant,
    beside: f64,
}

impl<'a> Clock<'a> {
    fn start(times: &'a Times) -> Self {
        Self { times, since: Instant::now(), beside: times.seconds(LOADING) + times.seconds(JUDGING) }
    }

    /// Adds what has passed since the start or the last mark.
    fn mark(&mut self) {
        let now = Self::start(self.times);
        let passed = now.since.duration_since(self.since).as_secs_f64();
        self.times.add("training steps", passed - (now.beside - self.beside));
        *self = now;
    }
}

/// Watches a fold's training: curves, progress, Ctrl-C.
struct Watch {
    stretch: Stretch,
    title: String,
    metric: String,
    epochs: usize,
    pictures_per_step: usize,
    fold: usize,
    interrupted: Arc<AtomicBool>,
}

impl Watch {
    fn new(training: &Training<'_>, fold: &Fold) -> Self {
        let train = &training.recipe.train;
        let title = format!("fold {}/{}", fold.number + 1, training.prepared.trained_folds);
        let pictures = train.epochs * fold.batches * train.batch_size;
        Self {
            stretch: training.progress.stretch(&title, pictures as u64, "images"),
            title,
            metric: training.recipe.eval.metric.name.clone(),
            epochs: train.epochs,
            pictures_per_step: train.batch_size * train.accumulate,
            fold: fold.number,
            interrupted: training.interrupted.clone(),
        }
    }

    fn see(&self, event: &Event<'_>, scalars: &mut Scalars) -> Result<Flow, BoxError> {
        let mut push = |step: usize, epoch: usize, name: &str, value: f64| {
            scalars.push(&Scalar { step, epoch, fold: self.fold, name: name.into(), value })
        };
        match event {
            Event::Step { epoch, step, loss, lr } => {
                self.stretch.at((step * self.pictures_per_step) as u64);
                if let Some(loss) = loss {
                    push(*step, *epoch, "train/loss", *loss)?;
                    push(*step, *epoch, "train/lr", *lr)?;
                    // A checkpoint may follow that counts on these lines.
                    scalars.flush()?;
                }
            }
            Event::Epoch { epoch, step, loss, scores, best } => {
                push(*step, *epoch, "epoch/loss", *loss)?;
                for (name, value) in &scores.all {
                    push(*step, *epoch, &format!("validation/{name}"), *value)?;
                }
                scalars.flush()?;
                let score =
                    scores.all.get(&self.metric).map(|v| format!(", {} {v:.4}", self.metric)).unwrap_or_default();
                let star = if *best && !scores.all.is_empty() { " *" } else { "" };
                let (title, epochs) = (&self.title, self.epochs);
                self.stretch.line(&format!("{title} epoch {}/{epochs}: loss {loss:.4}{score}{star}", epoch + 1));
            }
        }
        Ok(if self.interrupted.load(Ordering::Relaxed) { Flow::Interrupt } else { Flow::Continue })
    }
}

/// Predictions of a fold that was finished before.
pub fn finished(run: &Run, fold: usize, prepared: &Prepared, tested: bool) -> Result<Option<Answer>> {
    let read = |name: &str, rows: usize| -> Result<Option<Predictions>> {
        let name = format!("fold{fold}/{name}");
        if !run.has(&name) {
            return Ok(None);
        }
        let text = String::from_utf8(run.read(&name)?).with_context(|| format!("'{name}' is no text"))?;
        let said = Predictions::from_csv(&text).with_context(|| format!("'{}'", run.path(&name).display()))?;
        Ok(Some(said).filter(|said| said.len() == rows))
    };
    let test = if tested { read("test.csv", prepared.test().len())? } else { None };
    let oof = read("oof.csv", prepared.split(fold).1.len())?;
    Ok(oof.filter(|_| test.is_some() == tested).map(|oof| Answer { oof, test }))
}

/// Whether a row is judged at the end: a labelled row of the test part.
pub fn is_labelled_test(row: &data::Row) -> bool {
    row.part == Part::Test && row.target.is_some()
}
