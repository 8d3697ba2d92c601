//! Matthews correlation.

use super::tally::Events;
use super::weighted::total;
use super::{Metric, Weighted};
use crate::error::Result;
use crate::predictions::Predictions;
use serde::{Deserialize, Serialize};

/// Correlation of true and predicted classes, −1..=1, R_K of Gorodkin 2004 (scikit-learn `matthews_corrcoef`).
///
/// 0 where all truths or all predictions are of one class.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Matthews {}

impl Metric for Matthews {
    fn weighted(&self, predictions: &Predictions) -> Result<Weighted> {
        let events = Events::of("matthews", predictions, false)?;
        Ok(Weighted::new("matthews", predictions.len(), move |counts| {
            let (tallies, n) = (events.tally(counts), total(counts));
            let sum = |f: &dyn Fn(&super::tally::Tally) -> f64| tallies.iter().map(f).sum::<f64>();
            let both = n * sum(&|t| t.hits) - sum(&|t| t.truths() * t.guesses());
            let truths = n * n - sum(&|t| t.truths() * t.truths());
            let guesses = n * n - sum(&|t| t.guesses() * t.guesses());
            match truths * guesses {
                0.0 => Ok(0.0),
                // Two roots: the product of two numbers near n⁴ would lose digits earlier.
                _ => Ok(both / (truths.sqrt() * guesses.sqrt())),
            }
        }))
    }
}
