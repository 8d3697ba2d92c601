//! From predictions to the files that answer: scores, test predictions, submission.

use crate::assemble::Parts;
use crate::fold::is_labelled_test;
use crate::output;
use crate::prepare::Prepared;
use crate::progress::Progress;
use crate::recipe::Recipe;
use anyhow::{Context, Result};
use data::Part;
use eval::{Predictions, Run, Scalars, bootstrap, ensemble, submission};
use serde_json::{Map, Value, json};
use std::time::{SystemTime, UNIX_EPOCH};

/// What the folds said.
pub struct Answers {
    /// Of each fold.
    pub folds: Vec<Predictions>,
    /// All folds together.
    pub oof: Predictions,
    /// Each fold's word on the test part.
    pub tests: Vec<Predictions>,
}

/// Writes everything that comes after training. `metrics.json` is the last file: with it a run is finished.
pub fn write(
    run: &Run,
    recipe: &Recipe,
    parts: &Parts,
    prepared: &Prepared,
    answers: &Answers,
    progress: &Progress,
) -> Result<()> {
    let oof = in_order(&answers.oof, prepared);
    run.write("oof.csv", &oof.to_csv()?)?;
    let mut metrics = metrics(recipe, parts, prepared, &oof, &answers.folds)?;
    if !answers.tests.is_empty() {
        let blend = ensemble::mean(&answers.tests).context("cannot blend the folds")?;
        if let Some(scores) = test_scores(parts, recipe, prepared, &blend)? {
            metrics["test"] = scores;
        }
        submit(run, recipe, prepared, &blend, progress)?;
        // The last word on the test part: with it a resumed run has nothing left to say.
        run.write("predictions.csv", &blend.to_csv()?)?;
    }
    let scalars = Scalars::read(&run.path("scalars.jsonl"))?;
    let now = SystemTime::now().duration_since(UNIX_EPOCH).map_or(0.0, |d| d.as_secs_f64());
    let events = eval::track::tensorboard::encode(&scalars, now);
    run.write(&format!("events.out.tfevents.{}.sconce", now as u64), &events)?;
    run.write("metrics.json", &serde_json::to_vec_pretty(&metrics)?)?;
    Ok(())
}

/// Out-of-fold predictions in the order of the rows.
fn in_order(oof: &Predictions, prepared: &Prepared) -> Predictions {
    let place: std::collections::HashMap<&str, usize> =
        oof.ids.iter().enumerate().map(|(i, id)| (id.as_str(), i)).collect();
    // Ids of the test part may be those of training rows.
    let known = prepared.dataset.rows().iter().filter(|row| row.part != Part::Test);
    let order: Vec<usize> = known.filter_map(|row| place.get(row.id.as_str()).copied()).collect();
    oof.select(&order)
}

fn metrics(
    recipe: &Recipe,
    parts: &Parts,
    prepared: &Prepared,
    oof: &Predictions,
    folds: &[Predictions],
) -> Result<Value> {
    let name = &recipe.eval.metric.name;
    let score = parts.metric.score(oof)?;
    let of_folds = folds.iter().map(|fold| parts.metric.score(fold)).collect::<Result<Vec<_>, _>>()?;
    let seed = data::rng::sub_seed(recipe.seed, "bootstrap");
    let ci95 = match recipe.eval.bootstrap {
        0 => Value::Null,
        resamples => json!(bootstrap::interval(oof, &*parts.metric, resamples, seed)?),
    };
    let rows = prepared.dataset.rows();
    let known: Vec<usize> = (0..rows.len()).filter(|&i| rows[i].part != Part::Test).collect();
    let largest = prepared.class_counts(&known).into_iter().max().unwrap_or(0);
    Ok(json!({
        "metric": name,
        "score": score,
        "folds": of_folds,
        "all": scores(parts, name, score, oof),
        "ci95": ci95,
        "majority": largest as f64 / known.len().max(1) as f64,
    }))
}

/// Every score of the recipe that is defined here.
fn scores(parts: &Parts, decisive: &str, score: f64, said: &Predictions) -> Map<String, Value> {
    let also = parts.also.iter().filter_map(|(name, metric)| Some((name.clone(), json!(metric.score(said).ok()?))));
    also.chain([(decisive.to_string(), json!(score))]).collect()
}

/// Scores on the labelled rows of the test part, if there are any.
fn test_scores(parts: &Parts, recipe: &Recipe, prepared: &Prepared, blend: &Predictions) -> Result<Option<Value>> {
    let rows: Vec<_> = prepared.test().into_iter().map(|i| &prepared.dataset.rows()[i]).collect();
    let labelled: Vec<usize> = (0..rows.len()).filter(|&i| is_labelled_test(rows[i])).collect();
    if labelled.is_empty() {
        return Ok(None);
    }
    let mut said = blend.select(&labelled);
    said.truth = Some(eval::Truth::Class(labelled.iter().filter_map(|&i| rows[i].class()).collect()));
    let score = parts.metric.score(&said)?;
    Ok(Some(Value::Object(scores(parts, &recipe.eval.metric.name, score, &said))))
}

/// Writes `submission.csv`; pictures that could not be read get the shares of the classes.
fn submit(run: &Run, recipe: &Recipe, prepared: &Prepared, blend: &Predictions, progress: &Progress) -> Result<()> {
    let rows = prepared.dataset.rows();
    let known: Vec<usize> = (0..rows.len()).filter(|&i| rows[i].part != Part::Test).collect();
    let counts = prepared.class_counts(&known);
    let shares: Vec<f32> = counts.iter().map(|n| *n as f32 / known.len().max(1) as f32).collect();
    let written = submission::write(blend, &recipe.submission, prepared.sample.as_ref(), &shares)?;
    if let Some(sample) = &prepared.sample {
        submission::check(&written.csv, sample, prepared.classes(), &recipe.submission)?;
    }
    if !written.filled.is_empty() {
        let some = written.filled.iter().take(10).cloned().collect::<Vec<_>>().join(", ");
        progress.warning(&format!(
            "{} ids of the submission have no usable picture and get the shares of the classes: {some}",
            written.filled.len()
        ));
    }
    if written.extra > 0 {
        progress.warning(&format!("{} predictions are not asked for by the sample submission", written.extra));
    }
    Ok(run.write("submission.csv", &written.csv)?)
}

/// Prints the results of a finished run.
pub fn show(run: &Run, json: bool) -> Result<()> {
    let mut metrics: Value = serde_json::from_slice(&run.read("metrics.json")?)?;
    if json {
        metrics["run"] = json!(run.folder());
        output::result(&metrics.to_string());
        return Ok(());
    }
    let number = |value: &Value| value.as_f64().map_or("undefined".to_string(), |v| format!("{v:.4}"));
    let name = metrics["metric"].as_str().unwrap_or("score").to_string();
    let interval = match &metrics["ci95"] {
        Value::Array(ends) => format!(" (95 % interval {} to {})", number(&ends[0]), number(&ends[1])),
        _ => String::new(),
    };
    output::result(&format!("{name} {}{interval}", number(&metrics["score"])));
    let folds: Vec<String> = metrics["folds"].as_array().into_iter().flatten().map(number).collect();
    output::result(&format!("folds {}", folds.join(" ")));
    for (key, value) in metrics["all"].as_object().into_iter().flatten().filter(|(key, _)| **key != name) {
        output::result(&format!("{key} {}", number(value)));
    }
    output::result(&format!("always the most frequent class: accuracy {}", number(&metrics["majority"])));
    if let Some(test) = metrics["test"].as_object() {
        let scores: Vec<String> = test.iter().map(|(key, value)| format!("{key} {}", number(value))).collect();
        output::result(&format!("test part: {}", scores.join(", ")));
    }
    let answer = match (run.has("submission.csv"), run.has("predictions.csv")) {
        (true, _) => "submission.csv is checked and ready",
        (false, true) => "predictions.csv has the test part",
        (false, false) => "there is no test part, so there is no submission",
    };
    output::result(&format!("{answer}; everything is in {}", run.folder().display()));
    Ok(())
}
