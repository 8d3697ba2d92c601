//! Which runs can be compared, and how surely one is better.

use super::finished::Finished;
use super::settings;
use crate::recipe::Spec;
use anyhow::Result;
use data::rng::sub_seed;
use eval::bootstrap;
use serde_json::Value;
use std::collections::{BTreeMap, HashMap};

/// Draws of the bootstrap, as in a run.
const RESAMPLES: usize = 1000;

/// Runs and what came out of laying them side by side.
pub struct Comparison {
    pub runs: Vec<Finished>,
    /// Of each run to the first; none where they cannot be paired.
    pub differences: Vec<Option<Difference>>,
    /// Settings that are not the same everywhere.
    pub settings: BTreeMap<String, Vec<Value>>,
    /// Whether all were trained and judged on the same rows.
    pub same_rows: bool,
    /// Whether all are judged by the same metric.
    pub same_metric: bool,
    /// In words: what cannot be compared, and which runs were left out.
    pub notes: Vec<String>,
}

/// How much more a run scores than the first one on the same samples.
pub struct Difference {
    pub score: f64,
    /// 95 % interval of the paired bootstrap, of whole groups where rows have one, where the score can be resampled.
    pub ci95: Option<[f64; 2]>,
}

impl Comparison {
    /// Compares every run with the first one; `notes` are said before.
    pub fn of(runs: Vec<Finished>, notes: Vec<String>) -> Result<Self> {
        let mut all = Self {
            differences: runs.iter().map(|_| None).collect(),
            settings: settings::differing(&runs),
            runs,
            same_rows: true,
            same_metric: true,
            notes,
        };
        for other in 1..all.runs.len() {
            all.judge(other)?;
        }
        Ok(all)
    }

    /// Whether the scores of all runs are of the same kind.
    pub fn comparable(&self) -> bool {
        self.same_rows && self.same_metric
    }

    /// Whether all runs mean the same by a score of this name.
    pub fn agrees(&self, metric: &str) -> bool {
        let first = self.runs.first().map(|run| run.spec(metric));
        self.runs.iter().all(|run| Some(run.spec(metric)) == first)
    }

    fn judge(&mut self, other: usize) -> Result<()> {
        let (first, run) = (&self.runs[0], &self.runs[other]);
        let (a, b) = (&first.name, &run.name);
        let (mut notes, mut place) = (vec![], None);
        if first.environment.data_fingerprint != run.environment.data_fingerprint {
            notes.push(format!("'{b}' has other pictures or labels than '{a}': their scores cannot be compared"));
        } else if let Some(why) = other_folds(first, run) {
            notes.push(format!("'{b}' has other folds than '{a}' ({why}): a part of any difference is chance"));
        } else {
            place = aligned(first, run);
            if place.is_none() {
                notes.push(format!("'{b}' and '{a}' did not predict the same pictures: they cannot be paired"));
            }
        }
        let same_metric = first.metric == run.metric;
        if !same_metric {
            let [by, not] = [&run.metric, &first.metric].map(named);
            notes.push(format!("'{b}' is judged by {by}, '{a}' by {not}: the scores that decide cannot be compared"));
        }
        let (version, commit) = (&first.environment.version, &first.environment.git_commit);
        self.same_rows &= place.is_some();
        self.same_metric &= same_metric;
        if (version, commit) != (&run.environment.version, &run.environment.git_commit) {
            notes.push(format!("'{b}' was made by another version of the program than '{a}'"));
        }
        if let (Some(place), true) = (place, same_metric) {
            self.differences[other] = difference(first, run, &place)?;
        }
        self.notes.extend(notes);
        Ok(())
    }
}

/// In what the folds differ, if they do.
fn other_folds(a: &Finished, b: &Finished) -> Option<String> {
    let (trained, others) = (a.metrics.folds.len(), b.metrics.folds.len());
    if trained != others {
        return Some(format!("{others} were trained instead of {trained}"));
    }
    let fold_of: HashMap<&str, &str> = a.folds.iter().map(|[id, fold, _]| (id.as_str(), fold.as_str())).collect();
    let moved = b.folds.iter().filter(|[id, fold, _]| fold_of.get(id.as_str()) != Some(&fold.as_str())).count();
    let of = b.folds.len();
    (a.folds != b.folds).then(|| format!("{moved} of {of} pictures lie in another one"))
}

/// For every out-of-fold prediction of `a` the place of the same picture's in `b`, where both predicted the same ones.
fn aligned(a: &Finished, b: &Finished) -> Option<Vec<usize>> {
    let place: HashMap<&str, usize> = b.oof.ids.iter().enumerate().map(|(i, id)| (id.as_str(), i)).collect();
    let found: Option<Vec<usize>> = a.oof.ids.iter().map(|id| place.get(id.as_str()).copied()).collect();
    found.filter(|found| found.len() == b.oof.len() && a.oof.classes == b.oof.classes)
}

/// None where a score is not defined.
fn difference(a: &Finished, b: &Finished, place: &[usize]) -> Result<Option<Difference>> {
    let (metric, said) = (a.scorer()?, b.oof.select(place));
    let (Ok(first), Ok(second)) = (metric.score(&a.oof), metric.score(&said)) else { return Ok(None) };
    let seed = sub_seed(0, "compare");
    let groups: Vec<Option<&str>> = a.oof.ids.iter().map(|id| a.groups.get(id).map(String::as_str)).collect();
    let ci95 = match bootstrap::grouped_difference(&a.oof, &said, &groups, &*metric, RESAMPLES, seed) {
        Ok(interval) => Some(interval),
        Err(eval::Error::Undefined { .. }) => None,
        Err(error) => return Err(error.into()),
    };
    Ok(Some(Difference { score: second - first, ci95 }))
}

/// A metric with its parameters.
fn named(spec: &Spec) -> String {
    match spec.params.is_empty() {
        true => spec.name.clone(),
        false => format!("{} {}", spec.name, spec.value()),
    }
}
