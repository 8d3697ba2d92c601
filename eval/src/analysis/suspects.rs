//! Labels that are probably wrong: confident learning.

use super::joint::confident_joint;
use crate::error::Result;
use crate::predictions::Predictions;
use serde::Serialize;

/// A given class counts as the best one if it is this close.
const CLOSE: f64 = 1e-6;

/// A sample whose label is probably wrong.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct Suspect {
    /// Index of the sample.
    pub sample: usize,
    /// Class id of its label.
    pub given: usize,
    /// Class id of the best other class.
    pub suggested: usize,
    /// Probability of the given class ("self-confidence", Kuan & Mueller 2022), 0..=½; the lower, the more suspicious.
    pub score: f64,
}

/// Samples whose label is probably wrong, the most suspicious first, by confident learning (Northcutt et al. 2021):
/// the confident joint says how many samples of each given class are of each other class, and those with the largest
/// difference of the two probabilities are taken ("prune by noise rate"), unless their given class is the best.
///
/// As cleanlab's `find_label_issues` with `return_indices_ranked_by="self_confidence"`. The probabilities have to be
/// out-of-fold: a network that has seen a label believes it.
///
/// # Errors
/// [`crate::Error::Truth`] without one true class per sample.
pub fn suspects(predictions: &Predictions) -> Result<Vec<Suspect>> {
    let truth = predictions.true_classes("the search for wrong labels")?;
    let mut members: Vec<Vec<usize>> = vec![vec![]; predictions.classes.len()];
    for (i, &class) in truth.iter().enumerate() {
        members[class as usize].push(i);
    }
    let joint = confident_joint(predictions, truth);
    let p = |i: usize, k: usize| f64::from(predictions.row(i)[k]);
    let mut taken = vec![false; predictions.len()];
    for (given, members) in members.iter().enumerate().filter(|(_, members)| members.len() > 1) {
        for (other, count) in wrong(&joint[given], given).into_iter().enumerate() {
            let margin = |i: usize| p(i, other) - p(i, given);
            let mut order = members.clone();
            order.sort_by(|&a, &b| margin(b).total_cmp(&margin(a)));
            order.iter().take(count).for_each(|&i| taken[i] = true);
        }
    }
    let suspect = |i: usize| {
        let (row, given) = (predictions.row(i), truth[i] as usize);
        let others = (0..row.len()).filter(|k| *k != given);
        let suggested = others.reduce(|best, k| if row[k] > row[best] { k } else { best })?;
        let (score, margin) = (p(i, given), p(i, given) - p(i, suggested));
        (margin + CLOSE < 0.0).then_some(Suspect { sample: i, given, suggested, score })
    };
    let mut found: Vec<Suspect> = (0..taken.len()).filter(|i| taken[*i]).filter_map(suspect).collect();
    found.sort_by(|a, b| a.score.total_cmp(&b.score));
    Ok(found)
}

/// How many samples of class `given` belong to each other class, if one at least is to stay.
fn wrong(row: &[f64], given: usize) -> Vec<usize> {
    let others = row.iter().enumerate().filter(|(k, count)| *k != given && **count > 0.0).count();
    let spared = if row[given] < 1.0 { 1.0 / (others.max(2) - 1) as f64 } else { 0.0 };
    let count = |(k, count): (usize, &f64)| if k == given { 0 } else { (count - spared).max(0.0) as usize };
    row.iter().enumerate().map(count).collect()
}
