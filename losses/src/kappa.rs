//! Weighted kappa with probabilities in place of decisions.

use crate::error::Result;
use crate::logits::{mask, matrix};
use crate::loss::{Loss, check_positive, paired};
use candle_core::{Tensor, bail};
use candle_nn::ops::softmax;
use serde::{Deserialize, Serialize};

/// `1 − κ = Σ W∘O / Σ W∘E`, `W_ij = |i − j|^r`, `O = Yᵀ P` the soft confusion matrix of a batch and E the one that
/// chance would give. Only a batch has it.
///
/// De La Torre et al. 2018, "Weighted kappa loss function for multi-class classification of ordinal data in deep
/// learning". Reference: the formula in PyTorch, on sure outputs scikit-learn's `cohen_kappa_score`; with `log`
/// TensorFlow Addons `WeightedKappaLoss`, which adds ε = 1e-6 inside.
///
/// | field | default | range |
/// |---|---|---|
/// | `power` | 2 | above 0, r; 1 linear weights, 2 quadratic ones |
/// | `log` | false | the logarithm of (1 − κ + 1e-6), which the paper minimizes |
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Kappa {
    /// r; 1 linear weights, 2 quadratic ones.
    pub power: f64,
    /// Whether the logarithm is minimized.
    pub log: bool,
}

impl Default for Kappa {
    fn default() -> Self {
        Self { power: 2.0, log: false }
    }
}

impl Loss for Kappa {
    fn per_sample(&self, _: &Tensor, _: &Tensor) -> candle_core::Result<Tensor> {
        bail!("kappa is a loss of a batch: a sample has none of its own")
    }
    fn forward(&self, output: &Tensor, target: &Tensor) -> candle_core::Result<Tensor> {
        let (logits, rows) = paired(output, target)?;
        let (batch, classes) = logits.dims2()?;
        let p = softmax(&logits, 1)?;
        let largest = (classes.max(2) - 1) as f64;
        let weights = matrix((classes, classes), &p, |i, j| (i.abs_diff(j) as f64 / largest).powf(self.power))?;
        let observed = (rows.matmul(&weights)? * &p)?.sum_all()?;
        let expected = (rows.sum_keepdim(0)?.matmul(&weights)? * p.sum_keepdim(0)?)?.sum_all()?;
        // Where chance has no errors there are none.
        let none = mask(&expected.le(0.0)?, expected.dtype())?;
        let left = ((observed * batch as f64)? / (expected + none)?)?;
        if self.log { (left + 1e-6)?.log() } else { Ok(left) }
    }
    fn validate(&self) -> Result<()> {
        check_positive("kappa", "power", self.power)
    }
}
