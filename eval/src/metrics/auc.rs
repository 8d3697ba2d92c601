//! Area under the ROC curve.

use super::tally::questions;
use super::{Metric, Weighted};
use crate::error::{Error, Result};
use crate::predictions::{Predictions, Truth};
use serde::{Deserialize, Serialize};

/// The chance that a sample of a class has a higher score for it than a sample of the rest, ties counting half, 0..=1;
/// the mean over classes (scikit-learn `roc_auc_score` with `multi_class="ovr", average="macro"`).
///
/// Of two classes only the second is asked. Classes that are true nowhere or everywhere are left out of the mean, where
/// scikit-learn fails or gives NaN. A truth of rows of values is cut at ½.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Auc {}

/// All samples by their score for one class, ascending.
struct Ranking(Vec<Place>);

#[derive(Clone, Copy)]
struct Place {
    sample: u32,
    /// Whether the sample is of the class.
    positive: bool,
    /// Whether the next place has a higher score.
    last: bool,
}

impl Ranking {
    fn new(scores: &[f32], positive: impl Fn(usize) -> bool) -> Self {
        let mut order: Vec<u32> = (0..scores.len() as u32).collect();
        order.sort_unstable_by(|a, b| scores[*a as usize].total_cmp(&scores[*b as usize]));
        let place = |(i, sample): (usize, &u32)| Place {
            sample: *sample,
            positive: positive(*sample as usize),
            last: order.get(i + 1).is_none_or(|next| scores[*next as usize] != scores[*sample as usize]),
        };
        Self(order.iter().enumerate().map(place).collect())
    }

    /// None where there are no pairs.
    fn area(&self, counts: &[u32]) -> Option<f64> {
        // All sums are whole numbers or halves, so that the order of equal scores cannot change a digit.
        let (mut below, mut area, mut positives) = (0.0, 0.0, 0.0);
        let mut tied = [0.0, 0.0];
        for place in &self.0 {
            tied[usize::from(place.positive)] += f64::from(counts[place.sample as usize]);
            if place.last {
                let [negative, positive] = std::mem::take(&mut tied);
                area += positive * (below + 0.5 * negative);
                below += negative;
                positives += positive;
            }
        }
        let pairs = positives * below;
        (pairs > 0.0).then(|| area / pairs)
    }
}

impl Metric for Auc {
    fn weighted(&self, predictions: &Predictions) -> Result<Weighted> {
        let (samples, classes) = (predictions.len(), predictions.classes.len());
        let positive: Vec<bool> = match &predictions.truth {
            Some(Truth::Dense(_)) => questions(predictions)?.into_iter().map(|(_, truth)| truth).collect(),
            _ => {
                let truth = predictions.true_classes("auc")?.iter();
                truth.flat_map(|class| (0..classes).map(move |k| k == *class as usize)).collect()
            }
        };
        let one_class = matches!(predictions.truth, Some(Truth::Class(_)));
        let asked = if one_class && classes == 2 { 1..2 } else { 0..classes };
        let ranking = |k: usize| {
            let scores: Vec<f32> = (0..samples).map(|i| predictions.scores[i * classes + k]).collect();
            Ranking::new(&scores, |i| positive[i * classes + k])
        };
        let rankings: Vec<Ranking> = asked.map(ranking).collect();
        Ok(Weighted::new("auc", samples, move |counts| {
            let areas: Vec<f64> = rankings.iter().filter_map(|ranking| ranking.area(counts)).collect();
            match areas.len() {
                0 => Err(Error::Undefined { what: "auc", why: "no class is true of some samples and not of others" }),
                n => Ok(areas.iter().sum::<f64>() / n as f64),
            }
        }))
    }
}
