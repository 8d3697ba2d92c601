//! Log loss.

use super::{Goal, Metric, Weighted};
use crate::error::Result;
use crate::predictions::{Predictions, wrong};
use serde::{Deserialize, Serialize};

/// Mean of `−log p` of the true class, in nats, at least 0 (scikit-learn `log_loss`).
///
/// Each row is divided by its sum, then `p` is clipped to `ε..=1 − ε` with the machine precision ε of F64, so that a
/// sure mistake costs 36.04.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct LogLoss {}

impl Metric for LogLoss {
    fn weighted(&self, predictions: &Predictions) -> Result<Weighted> {
        Ok(Weighted::mean("log_loss", losses("log_loss", predictions)?))
    }
    fn goal(&self) -> Goal {
        Goal::Minimize
    }
}

/// What each sample adds to the log loss.
pub(crate) fn losses(what: &'static str, predictions: &Predictions) -> Result<Vec<f64>> {
    let truth = predictions.true_classes(what)?.iter().enumerate();
    let loss = |(i, class): (usize, &u32)| {
        let row = predictions.row(i);
        let sum: f64 = row.iter().map(|p| f64::from(*p)).sum();
        if row.iter().any(|p| *p < 0.0) || sum <= 0.0 {
            let id = &predictions.ids[i];
            return wrong(format!("{what} needs probabilities, but sample '{id}' has {row:?}"));
        }
        let p = f64::from(row[*class as usize]) / sum;
        Ok(-p.clamp(f64::EPSILON, 1.0 - f64::EPSILON).ln())
    };
    truth.map(loss).collect()
}
