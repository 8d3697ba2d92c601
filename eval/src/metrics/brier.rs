//! Brier score.

use super::{Goal, Metric, Weighted};
use crate::error::{Error, Result};
use crate::predictions::{Predictions, Truth};
use serde::{Deserialize, Serialize};

/// Mean over samples of `Σₖ (pₖ − yₖ)²` (Brier 1950), 0..=2 for probabilities; half of that for two classes, as
/// scikit-learn's `brier_score_loss`.
///
/// A truth of rows of values takes the place of y.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Brier {}

impl Metric for Brier {
    fn weighted(&self, predictions: &Predictions) -> Result<Weighted> {
        let classes = predictions.classes.len();
        let scale = if classes < 3 { 0.5 } else { 1.0 };
        let distance = |i: usize, truth: &dyn Fn(usize) -> f64| {
            let squares = predictions.row(i).iter().enumerate().map(|(k, p)| (f64::from(*p) - truth(k)).powi(2));
            scale * squares.sum::<f64>()
        };
        let distances: Vec<f64> = match &predictions.truth {
            Some(Truth::Dense(values)) => {
                predictions.check()?;
                if values.iter().any(|v| v.is_nan()) {
                    return Err(Error::Truth { what: "brier", needs: "a truth without missing values" });
                }
                let row = |i: usize| distance(i, &|k| f64::from(values[i * classes + k]));
                (0..predictions.len()).map(row).collect()
            }
            _ => {
                let truth = predictions.true_classes("brier")?.iter().enumerate();
                truth.map(|(i, class)| distance(i, &|k| f64::from(k == *class as usize))).collect()
            }
        };
        Ok(Weighted::mean("brier", distances))
    }
    fn goal(&self) -> Goal {
        Goal::Minimize
    }
}
