//! Scores: pure functions of predictions that carry their truth.

mod accuracy;
mod auc;
mod average;
mod balanced_accuracy;
mod brier;
mod calibration;
mod f_score;
mod kappa;
pub(crate) mod log_loss;
mod matthews;
mod precision;
mod recall;
mod tally;
mod top_k;
mod weighted;

pub use accuracy::Accuracy;
pub use auc::Auc;
pub use average::Average;
pub use balanced_accuracy::BalancedAccuracy;
pub use brier::Brier;
pub use calibration::{Bin, Calibration, reliability};
pub use f_score::FScore;
pub use kappa::{Kappa, KappaWeights};
pub use log_loss::LogLoss;
pub use matthews::Matthews;
pub use precision::Precision;
pub use recall::Recall;
pub(crate) use tally::THRESHOLD;
pub use top_k::TopK;
pub use weighted::Weighted;

use crate::error::{Error, Result};
use crate::predictions::Predictions;
use serde::{Deserialize, Serialize, de::DeserializeOwned};
use serde_json::Value;
use std::fmt::Debug;

/// A number that says how good predictions are.
pub trait Metric: Debug + Send + Sync {
    /// The score as a function of how often each sample counts, with everything else computed once: a bootstrap asks a
    /// thousand times.
    ///
    /// # Errors
    /// [`Error::Truth`] without a truth of a kind that this metric takes.
    fn weighted(&self, predictions: &Predictions) -> Result<Weighted>;
    /// The score, every sample counting once.
    ///
    /// # Errors
    /// As [`Metric::weighted`], and [`Error::Undefined`] where the score has no value.
    fn score(&self, predictions: &Predictions) -> Result<f64> {
        self.weighted(predictions)?.score(&vec![1; predictions.len()])
    }
    /// Which way is better.
    fn goal(&self) -> Goal {
        Goal::Maximize
    }
    /// Rejects impossible parameters.
    ///
    /// # Errors
    /// [`Error::Invalid`] names the parameter.
    fn validate(&self) -> Result<()> {
        Ok(())
    }
}

/// Which way a score gets better.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Goal {
    /// Higher is better.
    Maximize,
    /// Lower is better.
    Minimize,
}

impl Goal {
    /// Whether `score` is better than `than`; a NaN never is, and any number is better than one.
    pub fn better(self, score: f64, than: f64) -> bool {
        match self {
            _ if score.is_nan() || than.is_nan() => !score.is_nan(),
            Self::Maximize => score > than,
            Self::Minimize => score < than,
        }
    }
}

/// A line of the table of metrics.
pub struct Entry {
    /// Name in recipes.
    pub name: &'static str,
    /// One sentence.
    pub doc: &'static str,
    build: fn(Value) -> Result<Box<dyn Metric>, serde_json::Error>,
    resolve: fn(Value) -> Result<Value, serde_json::Error>,
}

impl Entry {
    const fn of<M: Metric + Serialize + DeserializeOwned + 'static>(name: &'static str, doc: &'static str) -> Self {
        Self {
            name,
            doc,
            build: |params| Ok(Box::new(serde_json::from_value::<M>(params)?)),
            resolve: |params| serde_json::to_value(serde_json::from_value::<M>(params)?),
        }
    }
}

/// All metrics.
pub const METRICS: &[Entry] = &[
    Entry::of::<Accuracy>("accuracy", "Share of samples whose best class is the true one."),
    Entry::of::<Auc>("auc", "Area under the ROC curve, one class against the rest, averaged over classes."),
    Entry::of::<BalancedAccuracy>("balanced_accuracy", "Mean of the classes' recalls."),
    Entry::of::<Brier>("brier", "Squared distance of the probabilities from the truth (Brier 1950)."),
    Entry::of::<Calibration>("calibration", "Expected gap of confidence and accuracy, 15 bins (Naeini et al. 2015)."),
    Entry::of::<FScore>("f_score", "Weighted harmonic mean of precision and recall; macro, micro or weighted."),
    Entry::of::<Kappa>("kappa", "Agreement beyond chance, quadratic, linear or plain (Cohen 1968)."),
    Entry::of::<LogLoss>("log_loss", "Mean negative log probability of the true class."),
    Entry::of::<Matthews>("matthews", "Correlation of true and predicted classes (Gorodkin 2004)."),
    Entry::of::<Precision>("precision", "Share of the predictions of a class that are right."),
    Entry::of::<Recall>("recall", "Share of the samples of a class that are found."),
    Entry::of::<TopK>("top_k", "Share of samples whose true class is among the k best."),
];

/// The metric `name` with `params`, an object.
///
/// # Errors
/// Unknown names and parameters, impossible values.
pub fn build(name: &str, params: Value) -> Result<Box<dyn Metric>> {
    let metric = (find(name)?.build)(params).map_err(|source| parameter(name, source))?;
    metric.validate()?;
    Ok(metric)
}

/// `params` with every default written out.
///
/// # Errors
/// As [`build`].
pub fn resolve(name: &str, params: Value) -> Result<Value> {
    build(name, params.clone())?;
    (find(name)?.resolve)(params).map_err(|source| parameter(name, source))
}

fn find(name: &str) -> Result<&'static Entry> {
    let known = || METRICS.iter().map(|e| e.name).collect::<Vec<_>>().join(", ");
    METRICS.iter().find(|e| e.name == name).ok_or_else(|| Error::Unknown { name: name.into(), known: known() })
}

fn parameter(name: &str, source: serde_json::Error) -> Error {
    Error::Parameter { name: name.into(), source }
}
