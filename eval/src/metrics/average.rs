//! From one ratio per class to one number.

use super::tally::{Events, Tally};
use super::weighted::Weighted;
use crate::error::Result;
use crate::predictions::{Predictions, Truth};
use serde::{Deserialize, Serialize};

/// How the classes of precision, recall and F come together.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Average {
    /// The plain mean over classes that occur, as truth or as prediction.
    #[default]
    Macro,
    /// Over all samples at once; equals accuracy where every sample has one class.
    Micro,
    /// The mean weighted by how many samples are of the class.
    Weighted,
}

/// The average of `ratio`, a numerator and a denominator; 0/0 is 0.
pub(crate) fn averaged(
    what: &'static str,
    predictions: &Predictions,
    average: Average,
    ratio: impl Fn(&Tally) -> (f64, f64) + Send + Sync + 'static,
) -> Result<Weighted> {
    let events = Events::of(what, predictions, true)?;
    // With rows of values every class is a question that was asked, whether or not the answer is ever yes.
    let rows = matches!(predictions.truth, Some(Truth::Dense(_)));
    let value = move |tally: &Tally| match ratio(tally) {
        (_, 0.0) => 0.0,
        (numerator, denominator) => numerator / denominator,
    };
    Ok(Weighted::new(what, predictions.len(), move |counts| {
        let tallies = events.tally(counts);
        let mean = |weight: &dyn Fn(&Tally) -> f64| {
            let total: f64 = tallies.iter().map(weight).sum();
            let sum: f64 = tallies.iter().map(|tally| weight(tally) * value(tally)).sum();
            if total == 0.0 { 0.0 } else { sum / total }
        };
        Ok(match average {
            Average::Macro => mean(&|t| if rows || t.truths() + t.guesses() > 0.0 { 1.0 } else { 0.0 }),
            Average::Micro => value(&tallies.iter().fold(Tally::default(), |sum, tally| sum.plus(*tally))),
            Average::Weighted => mean(&Tally::truths),
        })
    }))
}
