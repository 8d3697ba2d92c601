//! Top-k accuracy.

use super::{Metric, Weighted};
use crate::error::{Error, Result};
use crate::predictions::Predictions;
use serde::{Deserialize, Serialize};

/// Share of samples whose true class is among the `k` best, 0..=1.
///
/// Of equal scores the first class is better, as everywhere here; scikit-learn's `top_k_accuracy_score` takes the last.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct TopK {
    /// How many guesses a sample has, at least 1.
    pub k: usize,
}

impl Default for TopK {
    fn default() -> Self {
        Self { k: 5 }
    }
}

impl Metric for TopK {
    fn weighted(&self, predictions: &Predictions) -> Result<Weighted> {
        let truth = predictions.true_classes("top_k")?.iter().enumerate();
        let found = truth.map(|(i, class)| {
            let (row, class) = (predictions.row(i), *class as usize);
            let better = row.iter().enumerate().filter(|(k, s)| **s > row[class] || **s == row[class] && *k < class);
            f64::from(better.count() < self.k)
        });
        Ok(Weighted::mean("top_k", found.collect()))
    }
    fn validate(&self) -> Result<()> {
        match self.k >= 1 {
            true => Ok(()),
            false => Err(Error::Invalid("metric 'top_k': k must be at least 1".into())),
        }
    }
}
