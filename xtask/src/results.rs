//! From predictions to the files that answer: scores, test predictions, submission.

use crate::assemble::Parts;
use crate::fold::is_labelled_test;
use crate::output;
use crate::prepare::{self, Asked, Prepared, is_known};
use crate::progress::Progress;
use crate::recipe::Recipe;
use crate::report::{self, Material};
use crate::times::Times;
use anyhow::{Context, Result};
use candle_core::Device;
use data::Target;
use eval::{Predictions, Run, Scalars, Truth, analysis, bootstrap, ensemble, submission};
use rayon::prelude::*;
use serde_json::{Map, Value, json};
use std::collections::BTreeMap;
use std::time::{SystemTime, UNIX_EPOCH};

/// Samples and pairs in `errors.csv`.
const HARDEST: usize = 100;
const CONFUSED: usize = 50;
/// Most draws for the intervals of the scores that do not decide.
const ALSO: usize = 300;

/// What the folds said.
pub struct Answers {
    /// Of each fold.
    pub folds: Vec<Predictions>,
    /// All folds together.
    pub oof: Predictions,
    /// Each fold's word on what was asked beside.
    pub asked: BTreeMap<Asked, Vec<Predictions>>,
}

/// What the results are made from beside the answers.
pub struct Ending<'a> {
    pub run: &'a Run,
    pub recipe: &'a Recipe,
    pub parts: &'a Parts,
    pub prepared: &'a Prepared,
    pub device: &'a Device,
    pub times: &'a Times,
    pub progress: &'a Progress,
}

/// Writes everything that comes after training. `metrics.json` is the last file: with it a run is finished.
pub fn write(ending: &Ending<'_>, answers: &Answers) -> Result<()> {
    let Ending { run, recipe, parts, prepared, times, progress, .. } = *ending;
    let oof = in_order(&answers.oof, prepared);
    run.write("oof.csv", &oof.to_csv()?)?;
    // Of several labels none is taken for another one.
    if !matches!(oof.truth, Some(Truth::Dense(_))) {
        run.write("errors.csv", &analysis::errors_csv(&oof, HARDEST, CONFUSED)?)?;
    }
    let mut metrics = times.of("scores", || metrics(recipe, parts, prepared, &oof, &answers.folds))?;
    let said = |about| answers.asked.get(&about).filter(|said| !said.is_empty());
    let blend = |about| said(about).map(|said| ensemble::mean(said)).transpose().context("cannot blend the folds");
    if answers.asked.contains_key(&Asked::Unlabelled) && prepare::has_unlabelled(&prepared.collection) {
        // None may be readable; that is said, too.
        let said = blend(Asked::Unlabelled)?.unwrap_or_else(|| Predictions::new(prepared.classes()));
        run.write("unlabelled.csv", &said.to_csv()?)?;
    }
    let blend = blend(Asked::Test)?;
    if let Some(blend) = &blend {
        match test_scores(parts, recipe, prepared, blend) {
            Ok(None) => {}
            Ok(Some(scores)) => metrics["test"] = scores,
            // As where a class is missing there: the answers are as good as without.
            Err(error) => progress.warning(&format!("the test part has no score: {error:#}")),
        }
        submit(run, recipe, prepared, blend, progress)?;
        // The last word on the test part: with it a resumed run has nothing left to say.
        run.write("predictions.csv", &blend.to_csv()?)?;
    }
    let scalars = Scalars::read(&run.path("scalars.jsonl"))?;
    let now = SystemTime::now().duration_since(UNIX_EPOCH).map_or(0.0, |d| d.as_secs_f64());
    let events = eval::track::tensorboard::encode(&scalars, now);
    run.write(&format!("events.out.tfevents.{}.sconce", now as u64), &events)?;
    progress.note("writing the report");
    let (metrics, blend, folds) = (&metrics, blend.as_ref(), &answers.folds);
    let material = Material { ending, scalars: &scalars, metrics, folds, oof: &oof, blend };
    run.write("report.html", report::page(&material)?.to_html().as_bytes())?;
    times.write(run)?;
    run.write("metrics.json", &serde_json::to_vec_pretty(metrics)?)?;
    Ok(())
}

/// Out-of-fold predictions in the order of the rows; of a row that was judged in several repeats their mean.
pub fn in_order(oof: &Predictions, prepared: &Prepared) -> Predictions {
    let mut places = std::collections::HashMap::<&str, Vec<usize>>::new();
    oof.ids.iter().enumerate().for_each(|(i, id)| places.entry(id).or_default().push(i));
    // Ids of the test part may be those of training rows.
    let known = prepared.dataset.rows().iter().filter(|row| is_known(row));
    let said: Vec<&Vec<usize>> = known.filter_map(|row| places.get(row.id.as_str())).collect();
    let mut all = oof.select(&said.iter().map(|places| places[0]).collect::<Vec<_>>());
    let classes = all.classes.len();
    for (row, places) in said.iter().enumerate().filter(|(_, places)| places.len() > 1) {
        for (class, score) in all.scores[row * classes..(row + 1) * classes].iter_mut().enumerate() {
            let sum: f64 = places.iter().map(|&place| f64::from(oof.row(place)[class])).sum();
            *score = (sum / places.len() as f64) as f32;
        }
    }
    all
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
    let groups = prepared.groups(&oof.ids);
    let ci95 = match recipe.eval.bootstrap {
        0 => Value::Null,
        resamples => match bootstrap::grouped_interval(oof, &groups, &*parts.metric, resamples, seed) {
            // As where a single group judges.
            Err(eval::Error::Undefined { .. }) => Value::Null,
            interval => json!(interval?),
        },
    };
    // Where a score is undefined, so is its interval.
    let bounds = |(key, metric): (&String, &dyn eval::Metric)| {
        let ends = bootstrap::grouped_interval(oof, &groups, metric, recipe.eval.bootstrap.min(ALSO), seed).ok()?;
        Some((key.clone(), json!(ends)))
    };
    let also: Vec<_> = parts.also.iter().map(|(key, metric)| (key, &**metric)).collect();
    let mut intervals: Map<String, Value> = match recipe.eval.bootstrap {
        0 => Map::new(),
        _ => also.into_par_iter().filter_map(bounds).collect::<Vec<_>>().into_iter().collect(),
    };
    if !ci95.is_null() {
        intervals.insert(name.clone(), ci95.clone());
    }
    Ok(json!({
        "metric": name,
        "score": score,
        "folds": of_folds,
        "all": scores(parts, name, score, oof),
        "ci95": ci95,
        "ci95_all": intervals,
        "majority": (!matches!(oof.truth, Some(Truth::Dense(_)))).then(|| majority(prepared)),
    }))
}

/// Accuracy of always saying the class that is most frequent among the pictures that a fold learns from, on those that judge.
fn majority(prepared: &Prepared) -> f64 {
    let of_fold = |fold: usize| {
        let (learned, judged) = prepared.split(fold);
        [hits(&prepared.class_counts(&learned), &prepared.class_counts(&judged)), judged.len()]
    };
    let folds = (0..prepared.trained_folds).map(of_fold);
    let [hits, judged] = folds.fold([0usize; 2], |all, fold| [all[0] + fold[0], all[1] + fold[1]]);
    hits as f64 / judged.max(1) as f64
}

/// Pictures of the class, the first of several, that was learned from most; both are counts by class.
fn hits(learned: &[usize], judged: &[usize]) -> usize {
    (0..learned.len()).rev().max_by_key(|&class| learned[class]).map_or(0, |class| judged[class])
}

/// Every score of the recipe that is defined here.
fn scores(parts: &Parts, decisive: &str, score: f64, said: &Predictions) -> Map<String, Value> {
    let also = parts.also.iter().filter_map(|(name, metric)| Some((name.clone(), json!(metric.score(said).ok()?))));
    also.chain([(decisive.to_string(), json!(score))]).collect()
}

/// Scores on the labelled rows of the test part, if there are any.
fn test_scores(parts: &Parts, recipe: &Recipe, prepared: &Prepared, blend: &Predictions) -> Result<Option<Value>> {
    let rows: Vec<_> = prepared.asked(Asked::Test).into_iter().map(|i| &prepared.dataset.rows()[i]).collect();
    // What is only partly known cannot be judged.
    let whole = |row: &data::Row| match &row.target {
        Some(Target::Dense(values)) => !values.iter().any(|value| value.is_nan()),
        _ => true,
    };
    let labelled: Vec<usize> = (0..rows.len()).filter(|&i| is_labelled_test(rows[i]) && whole(rows[i])).collect();
    if labelled.is_empty() {
        return Ok(None);
    }
    let mut said = blend.select(&labelled);
    let classes: Vec<u32> = labelled.iter().filter_map(|&i| rows[i].class()).collect();
    let values = |&i: &usize| match &rows[i].target {
        Some(Target::Dense(values)) => values.clone(),
        _ => vec![],
    };
    said.truth = Some(match classes.len() == labelled.len() {
        true => Truth::Class(classes),
        false => Truth::Dense(labelled.iter().flat_map(values).collect()),
    });
    let score = parts.metric.score(&said)?;
    Ok(Some(Value::Object(scores(parts, &recipe.eval.metric.name, score, &said))))
}

/// Writes `submission.csv`; pictures that could not be read get the shares of the classes.
fn submit(run: &Run, recipe: &Recipe, prepared: &Prepared, blend: &Predictions, progress: &Progress) -> Result<()> {
    let rows = prepared.dataset.rows();
    let known: Vec<usize> = (0..rows.len()).filter(|&i| is_known(&rows[i])).collect();
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
    // Of several labels there is no such class.
    if !metrics["majority"].is_null() {
        output::result(&format!("always the most frequent class: accuracy {}", number(&metrics["majority"])));
    }
    if let Some(test) = metrics["test"].as_object() {
        let scores: Vec<String> = test.iter().map(|(key, value)| format!("{key} {}", number(value))).collect();
        output::result(&format!("test part: {}", scores.join(", ")));
    }
    let answer = match (run.has("submission.csv"), run.has("predictions.csv")) {
        (true, _) => "submission.csv is checked and ready",
        (false, true) => "predictions.csv has the test part",
        (false, false) if run.has("unlabelled.csv") => "unlabelled.csv has the rows without a label",
        (false, false) => "there is no test part, so there is no submission",
    };
    if run.has("report.html") {
        output::result(&format!("open {}", run.path("report.html").display()));
    }
    output::result(&format!("{answer}; everything is in {}", run.folder().display()));
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_most_frequent_class_is_learned_and_judged_on_other_pictures() {
        assert_eq!(hits(&[3, 5, 1], &[9, 2, 4]), 2);
        assert_eq!(hits(&[3, 3], &[1, 7]), 1);
        assert_eq!(hits(&[], &[]), 0);
    }
}
