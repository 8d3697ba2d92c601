//! The samples that cost most.

use crate::error::Result;
use crate::metrics::log_loss::losses;
use crate::predictions::Predictions;
use serde::Serialize;

/// A sample and what it costs.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct Hard {
    /// Index of the sample.
    pub sample: usize,
    /// `−log p` of the true class, in nats, as [`crate::metrics::LogLoss`].
    pub loss: f64,
}

/// The `n` samples with the highest loss, descending; equal losses in the order of the samples.
///
/// # Errors
/// [`crate::Error::Truth`] without one true class per sample, and scores that are no probabilities.
pub fn hardest(predictions: &Predictions, n: usize) -> Result<Vec<Hard>> {
    let losses = losses("the search for hard samples", predictions)?.into_iter().enumerate();
    let mut all: Vec<Hard> = losses.map(|(sample, loss)| Hard { sample, loss }).collect();
    all.sort_by(|a, b| b.loss.total_cmp(&a.loss));
    all.truncate(n);
    Ok(all)
}
