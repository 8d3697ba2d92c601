//! `--max-minutes`: the one place where a clock chooses a number. It times the first steps, fixes the number of epochs
//! and writes it into the recipe.

use crate::assemble;
use crate::fold::{Fold, Training};
use crate::predict;
use crate::recipe::Snapshots;
use anyhow::{Result, anyhow};
use augment::Views;
use std::time::Instant;
use train::optim::Pace;
use train::{Gradients, Task};

/// Steps before the clock runs: the first ones fill caches.
const WARM: usize = 2;
/// Timed steps.
const TIMED: usize = 8;
/// Share of the time that is planned; the rest is for surprises.
const PLANNED: f64 = 0.85;

/// What one batch costs.
pub struct Seconds {
    /// Training step, loading included.
    pub step: f64,
    /// Batch that is only predicted, without views.
    pub judge: f64,
}

/// Trains and judges a batch or a few on a network that is thrown away, and times them.
pub fn try_step(training: &Training<'_>, fold: &Fold) -> Result<Seconds> {
    let params = fold.params(training.recipe);
    let mut optimizer = assemble::optimizer(training.recipe)?;
    let at = fold.thawed(training.recipe.train.epochs);
    let mut times = vec![];
    let mut clock = Instant::now();
    for step in fold.first_steps(training.parts).take(WARM + TIMED) {
        let step = step.map_err(|error| anyhow!(error))?;
        let mut gradients = Gradients::take(&fold.loss(&step, at)?.backward()?, &params)?;
        if optimizer.climbs() {
            optimizer.climb(&params, &gradients)?;
            gradients = Gradients::take(&fold.loss(&step, at)?.backward()?, &params)?;
        }
        optimizer.step(&params, &gradients, Pace::new(training.recipe.train.lr * 1e-3))?;
        times.push(clock.elapsed().as_secs_f64());
        clock = Instant::now();
    }
    let mut judged = vec![];
    for batch in fold.validation.epoch(0).take(3) {
        let batch = batch?;
        clock = Instant::now();
        let scores = predict::batch(&fold.trained, &batch, Views::None)?;
        scores.sum_all()?.to_scalar::<f32>()?;
        judged.push(clock.elapsed().as_secs_f64());
    }
    Ok(Seconds { step: middle(times, WARM), judge: middle(judged, 1) })
}

/// The median without the first `warm` values, where there are more.
fn middle(mut times: Vec<f64>, warm: usize) -> f64 {
    if times.len() > warm {
        times.drain(..warm);
    }
    times.sort_by(f64::total_cmp);
    times.get(times.len() / 2).copied().unwrap_or(0.0)
}

/// `train.epochs`, lowered, and where not even one epoch fits `train.steps_per_epoch`, so that all folds end before `deadline`.
pub fn fitting(training: &Training<'_>, deadline: Instant) -> Result<(usize, usize)> {
    let Training { recipe, prepared, progress, .. } = training;
    let fold = training.fold(0)?;
    let seconds = try_step(training, &fold)?;
    let folds = prepared.trained_folds as f64;
    let judged = fold.validation.batches() as f64;
    let tested = fold.asked.iter().map(|(_, loader)| loader.batches()).sum::<usize>() as f64;
    let views = recipe.eval.views.count() as f64;
    // Of weights that are averaged, what goes into the average is judged or measured as well.
    let cycles = if recipe.train.snapshots == Snapshots::None { 0 } else { assemble::cycles(recipe)? } as f64;
    let measured = seconds.judge * fold.batches() as f64;
    let members = if recipe.train.snapshots == Snapshots::Ensemble { cycles.max(1.0) } else { 1.0 };
    let soup = if recipe.train.snapshots == Snapshots::Soup { 2.0 * cycles } else { 0.0 };
    let at_end =
        folds * (members * views * seconds.judge * (judged + tested) + soup * (judged * seconds.judge + measured));
    let left = PLANNED * deadline.saturating_duration_since(Instant::now()).as_secs_f64() - at_end;
    let judging = folds * seconds.judge * judged;
    let averaging = if recipe.train.swa > 0.0 { folds * (1.0 - recipe.train.swa) * measured } else { 0.0 };
    let epoch = folds * seconds.step * fold.batches() as f64 + judging + averaging;
    let fitting = (left / epoch.max(1e-9)).floor();
    // Each size of pictures has an epoch.
    let least = 1 + recipe.train.sizes.len();
    let epochs = recipe.train.epochs.min(least.max(fitting as usize));
    let mut steps_per_epoch = recipe.train.steps_per_epoch;
    if fitting < least as f64 {
        let epoch = left / least as f64 - judging - averaging;
        let steps = (epoch / (folds * seconds.step * recipe.train.accumulate as f64).max(1e-9)).floor();
        steps_per_epoch = steps.max(1.0) as usize;
        let hint = if folds > 1.0 { "; fewer folds (data.folds = 1) would get more" } else { "" };
        progress.warning(&format!(
            "the time is too short for {least} whole epochs of every fold: an epoch gets {steps_per_epoch} steps{hint}"
        ));
    }
    progress.note(&format!(
        "a step takes {:.3} s: {epochs} epochs for each of {} folds fit into the time",
        seconds.step, prepared.trained_folds
    ));
    Ok((epochs, steps_per_epoch))
}
