//! A score that can be asked again with other weights.

use crate::error::{Error, Result};

type Score = dyn Fn(&[u32]) -> Result<f64> + Send + Sync;

/// A score as a function of how often each sample counts.
pub struct Weighted {
    what: &'static str,
    samples: usize,
    score: Box<Score>,
}

impl Weighted {
    /// The score `what` of `samples` samples; `score` gets one count per sample, not all of them 0.
    pub fn new(
        what: &'static str,
        samples: usize,
        score: impl Fn(&[u32]) -> Result<f64> + Send + Sync + 'static,
    ) -> Self {
        Self { what, samples, score: Box::new(score) }
    }

    /// The mean of one value per sample.
    pub fn mean(what: &'static str, values: Vec<f64>) -> Self {
        Self::new(what, values.len(), move |counts| {
            let sum: f64 = values.iter().zip(counts).map(|(value, count)| value * f64::from(*count)).sum();
            Ok(sum / total(counts))
        })
    }

    /// The score where sample `i` counts `counts[i]` times.
    ///
    /// # Errors
    /// Another number of counts than of samples, and [`Error::Undefined`] where the score has no value.
    pub fn score(&self, counts: &[u32]) -> Result<f64> {
        if counts.len() != self.samples {
            let (what, samples, got) = (self.what, self.samples, counts.len());
            return Err(Error::Invalid(format!("{what} of {samples} samples got counts for {got}")));
        }
        if counts.iter().all(|count| *count == 0) {
            return Err(Error::Undefined { what: self.what, why: "there are no samples" });
        }
        (self.score)(counts)
    }
}

/// How many samples there are.
pub(crate) fn total(counts: &[u32]) -> f64 {
    counts.iter().map(|count| f64::from(*count)).sum()
}
