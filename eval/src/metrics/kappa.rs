//! Cohen's kappa.

use super::weighted::total;
use super::{Metric, Weighted};
use crate::error::{Error, Result};
use crate::predictions::Predictions;
use serde::{Deserialize, Serialize};

/// Agreement of true and predicted classes beyond chance, at most 1, `1 − Σ w·observed / Σ w·expected` (Cohen 1968;
/// scikit-learn `cohen_kappa_score` with all K labels).
///
/// The classes are taken as grades in their order, whether or not they all occur.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Kappa {
    /// What a mistake costs.
    pub weights: KappaWeights,
}

/// What a mistake costs by how many grades it is off.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum KappaWeights {
    /// 1, however far.
    None,
    /// The distance.
    Linear,
    /// The square of the distance.
    #[default]
    Quadratic,
}

impl KappaWeights {
    fn cost(self, a: usize, b: usize) -> f64 {
        let distance = a.abs_diff(b) as f64;
        match self {
            Self::None => f64::from(a != b),
            Self::Linear => distance,
            Self::Quadratic => distance * distance,
        }
    }
}

impl Metric for Kappa {
    fn weighted(&self, predictions: &Predictions) -> Result<Weighted> {
        let (weights, classes) = (self.weights, predictions.classes.len());
        let truth = predictions.true_classes("kappa")?.iter().enumerate();
        let pairs: Vec<(usize, usize)> = truth.map(|(i, class)| (*class as usize, predictions.best(i))).collect();
        Ok(Weighted::new("kappa", predictions.len(), move |counts| {
            let (mut truths, mut guesses, mut observed) = (vec![0.0; classes], vec![0.0; classes], 0.0);
            for (&(truth, guess), count) in pairs.iter().zip(counts) {
                let count = f64::from(*count);
                truths[truth] += count;
                guesses[guess] += count;
                observed += count * weights.cost(truth, guess);
            }
            let mut expected = 0.0;
            for (a, truths) in truths.iter().enumerate().filter(|(_, n)| **n > 0.0) {
                expected += guesses.iter().enumerate().map(|(b, n)| truths * n * weights.cost(a, b)).sum::<f64>();
            }
            match expected {
                0.0 => Err(Error::Undefined { what: "kappa", why: "all truths and predictions are of one class" }),
                _ => Ok(1.0 - observed * total(counts) / expected),
            }
        }))
    }
}
