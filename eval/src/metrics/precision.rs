//! Precision.

use super::average::{Average, averaged};
use super::{Metric, Weighted};
use crate::error::Result;
use crate::predictions::Predictions;
use serde::{Deserialize, Serialize};

/// Share of the predictions of a class that are right, 0..=1; 0 for a class never predicted (scikit-learn
/// `precision_score` with `zero_division=0`).
///
/// Where the truth is rows of values, every class is a question of its own with the threshold ½.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Precision {
    /// How classes come together.
    pub average: Average,
}

impl Metric for Precision {
    fn weighted(&self, predictions: &Predictions) -> Result<Weighted> {
        averaged("precision", predictions, self.average, |tally| (tally.hits, tally.guesses()))
    }
}
