//! F-score.

use super::average::{Average, averaged};
use super::{Metric, Weighted};
use crate::error::{Error, Result};
use crate::predictions::Predictions;
use serde::{Deserialize, Serialize};

/// `F_β = (1 + β²)·hits / ((1 + β²)·hits + β²·misses + false alarms)`, 0..=1; 0/0 is 0 (scikit-learn `fbeta_score`).
///
/// Where the truth is rows of values, every class is a question of its own with the threshold ½.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct FScore {
    /// β: recall counts β times as much as precision, > 0.
    pub beta: f64,
    /// How classes come together.
    pub average: Average,
}

impl Default for FScore {
    fn default() -> Self {
        Self { beta: 1.0, average: Average::Macro }
    }
}

impl Metric for FScore {
    fn weighted(&self, predictions: &Predictions) -> Result<Weighted> {
        let square = self.beta * self.beta;
        averaged("f_score", predictions, self.average, move |tally| {
            let hits = (1.0 + square) * tally.hits;
            (hits, hits + square * tally.misses + tally.alarms)
        })
    }
    fn validate(&self) -> Result<()> {
        match self.beta > 0.0 && self.beta.is_finite() {
            true => Ok(()),
            false => Err(Error::Invalid(format!("metric 'f_score': beta must be positive, got {}", self.beta))),
        }
    }
}
