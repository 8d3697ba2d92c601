//! What is seen of a fold's training: curves, progress, times, Ctrl-C.

use super::Training;
use crate::progress::Stretch;
use crate::times::Times;
use anyhow::Result;
use data::Waits;
use eval::{Run, Scalar, Scalars};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Instant;
use train::{BoxError, Event, Flow, Measures};

/// Stages of training that are timed apart.
pub const LOADING: &str = "waiting for pictures";
pub(super) const JUDGING: &str = "judging between epochs";

/// Measures what training takes beside waiting for pictures and judging.
pub(super) struct Clock<'a> {
    times: &'a Times,
    since: Instant,
    beside: f64,
}

impl<'a> Clock<'a> {
    pub(super) fn start(times: &'a Times) -> Self {
        Self { times, since: Instant::now(), beside: times.seconds(LOADING) + times.seconds(JUDGING) }
    }

    /// Adds what has passed since the start or the last mark.
    pub(super) fn mark(&mut self) {
        let now = Self::start(self.times);
        let passed = now.since.duration_since(self.since).as_secs_f64();
        self.times.add("training steps", passed - (now.beside - self.beside));
        *self = now;
    }
}

/// The curves of a fold: what it does, and how fast, which no two runs share.
pub struct Curves {
    pub scalars: Scalars,
    pub speed: Scalars,
}

impl Curves {
    /// Those of `run`, cut back to what fold `fold` had done: so many steps and whole epochs. A checkpoint inside an epoch may have
    /// the step of its end, whose lines are written again.
    pub fn resume(run: &Run, fold: usize, (steps, epochs): (usize, usize)) -> Result<Self> {
        let of_steps = |s: &Scalar| ["train/", "speed/"].iter().any(|kind| s.name.starts_with(kind));
        let is_before = |s: &Scalar| s.step <= steps && (s.epoch < epochs || of_steps(s));
        let keep = |s: &Scalar| s.fold < fold || s.fold == fold && is_before(s);
        let scalars = Scalars::resume(run.path("scalars.jsonl"), keep)?;
        Ok(Self { scalars, speed: Scalars::resume(run.path("speed.jsonl"), keep)? })
    }

    /// Brings all lines to disk.
    pub fn flush(&mut self) -> eval::Result<()> {
        self.scalars.flush()?;
        self.speed.flush()
    }
}

/// Watches a fold's training: curves, progress, Ctrl-C.
pub struct Watch<'a> {
    stretch: Stretch,
    title: String,
    metric: String,
    epochs: usize,
    pictures_per_step: usize,
    fold: usize,
    interrupted: Arc<AtomicBool>,
    times: &'a Times,
    /// Whether it was said that training waits for pictures.
    told: bool,
    /// When speed was measured last: step, moment, seconds of waiting until then.
    since: (usize, Instant, f64),
}

impl<'a> Watch<'a> {
    /// Training of so many batches an epoch goes on from `step`; a person reads its `title`.
    pub fn new(training: &'a Training<'_>, title: &str, batches: usize, step: usize) -> Self {
        let train = &training.recipe.train;
        let pictures = train.epochs * batches * train.batch_size;
        Self {
            stretch: training.progress.stretch(title, pictures as u64, "images"),
            title: title.into(),
            metric: training.recipe.eval.metric.name.clone(),
            epochs: train.epochs,
            pictures_per_step: train.batch_size * train.accumulate,
            fold: 0,
            interrupted: training.interrupted.clone(),
            times: training.times,
            told: false,
            since: (step, Instant::now(), training.times.seconds(LOADING)),
        }
    }

    /// As what is seen of fold `fold`.
    pub fn of_fold(self, fold: usize) -> Self {
        Self { fold, ..self }
    }

    /// Writes what an event says into `curves` and shows it; says that training is to be interrupted once a person asks for that.
    pub fn see(&mut self, event: &Event<'_>, curves: &mut Curves) -> Result<Flow, BoxError> {
        match event {
            Event::Step { epoch, step, loss, lr, measures } => {
                self.stretch.at((step * self.pictures_per_step) as u64);
                if let (Some(loss), Some(measures)) = (loss, measures) {
                    for (name, value) in measured(*loss, *lr, measures) {
                        self.push(&mut curves.scalars, (*step, *epoch), &format!("train/{name}"), value)?;
                    }
                    for (name, value) in self.speed(*step) {
                        self.push(&mut curves.speed, (*step, *epoch), &format!("speed/{name}"), value)?;
                    }
                    // A checkpoint may follow that counts on these lines.
                    curves.flush()?;
                }
            }
            Event::Epoch { epoch, step, loss, scores, best } => {
                self.push(&mut curves.scalars, (*step, *epoch), "epoch/loss", *loss)?;
                for (name, value) in &scores.all {
                    self.push(&mut curves.scalars, (*step, *epoch), &format!("validation/{name}"), *value)?;
                }
                curves.flush()?;
                let score =
                    scores.all.get(&self.metric).map(|v| format!(", {} {v:.4}", self.metric)).unwrap_or_default();
                let star = if *best && !scores.all.is_empty() { " *" } else { "" };
                let (title, epochs) = (&self.title, self.epochs);
                self.stretch.line(&format!("{title} epoch {}/{epochs}: loss {loss:.4}{score}{star}", epoch + 1));
                // What judging took is not the speed of learning.
                self.speed(*step);
            }
        }
        Ok(if self.interrupted.load(Ordering::Relaxed) { Flow::Interrupt } else { Flow::Continue })
    }

    /// Writes what the loader did in an epoch, and says where training waited for it what limits it.
    pub fn limited(&mut self, at: (usize, usize), waits: &Waits, curves: &mut Curves) -> Result<(), BoxError> {
        let spent = [
            ("waited", waits.waited_s),
            ("decode", waits.decode_s),
            ("transform", waits.transform_s),
            ("collate", waits.collate_s),
        ];
        for (name, seconds) in spent {
            self.push(&mut curves.speed, at, &format!("loader/{name}_s"), seconds)?;
        }
        curves.flush()?;
        let verdict = waits.verdict();
        // Once for each fold is enough.
        if let (Some(why), false) = (&verdict, self.told) {
            self.stretch.line(&format!("{}: {why}", self.title));
        }
        self.told |= verdict.is_some();
        Ok(())
    }

    fn push(
        &self,
        scalars: &mut Scalars,
        (step, epoch): (usize, usize),
        name: &str,
        value: f64,
    ) -> Result<(), BoxError> {
        Ok(scalars.push(&Scalar { step, epoch, fold: self.fold, name: name.into(), value })?)
    }

    /// Pictures a second and the share of waiting for them, since the last time.
    fn speed(&mut self, step: usize) -> Vec<(&'static str, f64)> {
        let (before, then, waited) = self.since;
        self.since = (step, Instant::now(), self.times.seconds(LOADING));
        let seconds = self.since.1.duration_since(then).as_secs_f64();
        if seconds <= 0.0 || step <= before {
            return vec![];
        }
        let pictures = (step - before) * self.pictures_per_step;
        vec![("images_per_s", pictures as f64 / seconds), ("waiting", (self.since.2 - waited) / seconds)]
    }
}

/// What is logged of a step, by name.
fn measured(loss: f64, lr: f64, measures: &Measures) -> Vec<(String, f64)> {
    let named = |name: &str, value| (name.to_string(), value);
    let Measures { parts, rates, gradient_norm, weight_norm, .. } = measures;
    let mut all = vec![named("loss", loss), named("lr", lr)];
    all.extend(parts.iter().map(|(name, value)| (name.clone(), *value)));
    if rates.len() > 1 {
        all.extend(rates.iter().map(|(name, rate)| (format!("lr/{name}"), *rate)));
    }
    all.extend([named("gradient_norm", *gradient_norm), named("weight_norm", *weight_norm)]);
    let sometimes = [
        ("rollbacks", measures.rollbacks as f64, 0.0),
        ("skipped", measures.skipped as f64, 0.0),
        ("loss_scale", measures.loss_scale.unwrap_or(1.0), 1.0),
        ("pieces", measures.pieces as f64, 1.0),
    ];
    all.extend(sometimes.iter().filter(|(_, value, usual)| value != usual).map(|(name, value, _)| named(name, *value)));
    all
}
