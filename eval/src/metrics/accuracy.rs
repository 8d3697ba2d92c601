//! Accuracy.

use super::tally::questions;
use super::{Metric, Weighted};
use crate::error::Result;
use crate::predictions::{Predictions, Truth};
use serde::{Deserialize, Serialize};

/// Share of samples whose best class is the true one, 0..=1 (scikit-learn `accuracy_score`).
///
/// Where the truth is rows of values, a sample is right if every class is on the true side of ½: subset accuracy.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Accuracy {}

impl Metric for Accuracy {
    fn weighted(&self, predictions: &Predictions) -> Result<Weighted> {
        let right = match &predictions.truth {
            Some(Truth::Dense(_)) => {
                let questions = questions(predictions)?;
                let rows = questions.chunks(predictions.classes.len().max(1));
                rows.map(|row| row.iter().all(|(guess, truth)| guess == truth)).map(f64::from).collect()
            }
            _ => {
                let truth = predictions.true_classes("accuracy")?.iter().enumerate();
                truth.map(|(i, class)| f64::from(predictions.best(i) == *class as usize)).collect()
            }
        };
        Ok(Weighted::mean("accuracy", right))
    }
}
