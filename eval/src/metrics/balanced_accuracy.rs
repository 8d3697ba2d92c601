//! Balanced accuracy.

use super::tally::Events;
use super::{Metric, Weighted};
use crate::error::Result;
use crate::predictions::Predictions;
use serde::{Deserialize, Serialize};

/// Mean recall over the classes that are true somewhere, 0..=1 (scikit-learn `balanced_accuracy_score`).
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct BalancedAccuracy {}

impl Metric for BalancedAccuracy {
    fn weighted(&self, predictions: &Predictions) -> Result<Weighted> {
        let events = Events::of("balanced_accuracy", predictions, false)?;
        Ok(Weighted::new("balanced_accuracy", predictions.len(), move |counts| {
            let tallies = events.tally(counts);
            let recalls = tallies.iter().filter(|t| t.truths() > 0.0).map(|t| t.hits / t.truths());
            let (sum, classes) = recalls.fold((0.0, 0.0), |(sum, n), recall| (sum + recall, n + 1.0));
            Ok(sum / classes)
        }))
    }
}
