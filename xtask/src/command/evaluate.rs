//! `evaluate`: the scores of a finished run, computed again from its weights.

use crate::args::EvaluateArgs;
use crate::progress::Progress;
use crate::saved::Saved;
use crate::{machine, output, predict, prepare, results};
use anyhow::Result;
use data::{Dataset, Subset};
use eval::{Predictions, Run};
use serde_json::json;
use std::collections::BTreeMap;
use std::sync::Arc;

pub fn run(args: &EvaluateArgs) -> Result<()> {
    let run = Run::open(&args.run)?;
    let device = machine::start(&args.device.device, args.device.threads)?;
    let progress = Progress::new(args.device.quiet);
    let (recipe, parts, prepared) = prepare::again(&run, args.data.as_deref(), &progress)?;

    let mut folds = vec![];
    for fold in 0..prepared.trained_folds {
        let judged = prepared.split(fold).1;
        let saved = Saved::read(&run, fold)?;
        let network = saved.build(0, &device)?;
        let dataset: Arc<dyn Dataset> = Arc::new(Subset::new(prepared.dataset.clone(), judged));
        let stretch = progress.stretch(&format!("fold {}", fold + 1), dataset.rows().len() as u64, "pictures");
        let loader = predict::loader(&saved, dataset, recipe.train.batch_size, &device)?;
        let done = |pictures: usize| stretch.at(pictures as u64);
        folds.push(predict::members(&network, &saved, &saved.members(&run, fold), &loader, done)?);
    }
    let all = results::in_order(&Predictions::concat(&folds)?, &prepared);
    let of_folds = folds.iter().map(|fold| parts.metric.score(fold)).collect::<Result<Vec<_>, _>>()?;
    let mut scores: BTreeMap<String, f64> =
        parts.also.iter().filter_map(|(name, metric)| Some((name.clone(), metric.score(&all).ok()?))).collect();
    let score = parts.metric.score(&all)?;
    scores.insert(recipe.eval.metric.name.clone(), score);
    output::result(
        &json!({"metric": recipe.eval.metric.name, "score": score, "folds": of_folds, "all": scores}).to_string(),
    );
    Ok(())
}
