//! Recall.

use super::average::{Average, averaged};
use super::{Metric, Weighted};
use crate::error::Result;
use crate::predictions::Predictions;
use serde::{Deserialize, Serialize};

/// Share of the samples of a class that are found, 0..=1; 0 for a class that is never true (scikit-learn
/// `recall_score` with `zero_division=0`).
///
/// Where the truth is rows of values, every class is a question of its own with the threshold ½.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Recall {
    /// How classes come together.
    pub average: Average,
}

impl Metric for Recall {
    fn weighted(&self, predictions: &Predictions) -> Result<Weighted> {
        averaged("recall", predictions, self.average, |tally| (tally.hits, tally.truths()))
    }
}
