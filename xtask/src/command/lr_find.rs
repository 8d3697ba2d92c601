//! `lr-find`: the learning-rate range test (Smith 2017) on networks that are thrown away.

use crate::args::LrFindArgs;
use crate::fold::{Fold, Training};
use crate::pipeline::{self, Session};
use crate::usage::Usage;
use crate::{assemble, output};
use anyhow::{Context, Result, bail};
use serde_json::json;
use train::schedule::Schedule;
use train::{BoxError, Curve, Error, Event, Flow, RangeTest, Scores, Suggestions, TrainConfig, Trainer};

/// Lines of the drawn curve.
const LINES: usize = 24;
/// Width of its bars.
const WIDTH: f64 = 40.0;

pub fn run(args: &LrFindArgs) -> Result<()> {
    let common = &args.recipe.common;
    let test = RangeTest { from: args.from, to: args.to, steps: args.steps.into() };
    test.validate().context(Usage::command_line())?;
    let mut recipe = pipeline::recipe(&args.recipe)?;
    // What would change in the middle of the test is as it is in the end.
    (recipe.train.unfreeze, recipe.train.sizes) = (0, vec![]);
    // `train.lr` may be meant for another batch.
    let meant = recipe.train.lr / recipe.train.highest_lr();
    let session = Session::new(recipe, common, || common.start())?;
    let mut curve = session.aside(|training| measure(training, &training.fold(0)?, &test))?;
    curve.points.iter_mut().for_each(|(lr, _)| *lr *= meant);
    let Some(found) = curve.suggest() else {
        let steps = curve.points.len();
        match curve.points.iter().all(|(_, loss)| loss.is_finite()) {
            true => bail!("the loss grew far too large within {steps} steps; begin lower with --from"),
            false => bail!("the loss was no number after {steps} steps; begin lower with --from"),
        }
    };
    output::result(&match common.json {
        true => json!({
            "lr": found.valley, "steep": found.steep, "minimum": found.minimum, "curve": curve.points,
        })
        .to_string(),
        false => shown(&curve, found),
    });
    Ok(())
}

/// Trains `fold` with growing rates until they are far too high.
fn measure(training: &Training<'_>, fold: &Fold, test: &RangeTest) -> Result<Curve> {
    let recipe = training.recipe;
    let steps_per_epoch = fold.batches().div_ceil(recipe.train.accumulate).max(1);
    let config = TrainConfig {
        epochs: test.steps.div_ceil(steps_per_epoch),
        lr: 1.0,
        log_every: 1,
        patience: None,
        snapshots: false,
        swa: None,
        // A state to go back to would hide that a rate was too high.
        guard: 0,
        spike: None,
        ..assemble::train_config(recipe)
    };
    let stretch = training.progress.stretch("range test", test.steps as u64, "steps");
    let mut curve = Curve::default();
    let mut trainer = Trainer::new(
        config,
        &fold.trained.vars,
        fold.params(recipe),
        assemble::optimizer(recipe)?,
        Box::new(test.clone()),
    )?
    .with_hook(|event: &Event<'_>| -> Result<Flow, BoxError> {
        let Event::Step { step, loss, lr, .. } = event else { return Ok(Flow::Continue) };
        stretch.at(*step as u64);
        let over = loss.is_some_and(|loss| curve.push(*lr, loss)) || *step >= test.steps;
        Ok(if over { Flow::Stop } else { Flow::Continue })
    });
    let batches = |epoch, first| fold.steps(training.parts, epoch, first);
    let outcome = trainer.fit(fold, fold.batches(), batches, |_| Ok::<_, Error>(None::<Scores>));
    drop(trainer);
    match outcome {
        Ok(_) | Err(Error::NotFinite { .. } | Error::NothingLearned { .. }) => Ok(curve),
        Err(error) => Err(error.into()),
    }
}

/// The curve as bars, and what it says.
fn shown(curve: &Curve, found: Suggestions) -> String {
    let points = &curve.points;
    let (least, most) = points.iter().fold((f64::MAX, f64::MIN), |(a, b), (_, loss)| (a.min(*loss), b.max(*loss)));
    let every = points.len().div_ceil(LINES);
    let mark = |first: usize| {
        let holds = |lr: f64| points[first..].iter().take(every).any(|(rate, _)| *rate == lr);
        let names = [("valley", found.valley), ("steepest", found.steep)];
        let here = names.iter().filter(|(_, lr)| holds(*lr)).map(|(name, _)| *name).collect::<Vec<_>>();
        if here.is_empty() { String::new() } else { format!("  < {}", here.join(", ")) }
    };
    let lines = (0..points.len()).step_by(every).map(|i| {
        let (lr, loss) = points[i];
        let width = (WIDTH * (loss - least) / (most - least).max(1e-12)).round() as usize;
        format!("{lr:>8.1e} {loss:>9.4} {}{}", "█".repeat(1 + width), mark(i))
    });
    let curve: Vec<String> = std::iter::once("      lr      loss".to_string()).chain(lines).collect();
    format!(
        "{}\nsuggested: --set train.lr={:.2e}\n(loss falls fastest at {:.1e}, a tenth of the rate with the least loss is {:.1e})",
        curve.join("\n"),
        found.valley,
        found.steep,
        found.minimum
    )
}
