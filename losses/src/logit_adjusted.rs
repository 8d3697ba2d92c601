//! Cross-entropy that knows how frequent classes are.

use crate::error::Result;
use crate::loss::{Loss, check_smoothing, needed, paired, per_class, require, smoothed};
use candle_core::{Error, Tensor};
use candle_nn::ops::log_softmax;
use serde::{Deserialize, Serialize};

/// `ℓ = −Σₖ qₖ log softmax(z + τ log π)ₖ` with the shares `π = n / Σn` and `q = (1 − ε)·y + ε/K`; logits are used
/// without the adjustment afterwards, as if all classes were equally frequent.
///
/// Menon et al. 2020, "Long-tail learning via logit adjustment" (arXiv 2007.07314). Reference: their equation 10 in
/// PyTorch.
///
/// | field | default | range |
/// |---|---|---|
/// | `tau` | 1 | τ, finite |
/// | `smoothing` | 0 | 0..=1, ε |
/// | `counts` | none | n, samples per class; recipes fill it in |
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct LogitAdjusted {
    /// τ.
    pub tau: f64,
    /// ε, 0..=1.
    pub smoothing: f64,
    /// n, samples per class.
    pub counts: Option<Vec<u64>>,
}

impl Default for LogitAdjusted {
    fn default() -> Self {
        Self { tau: 1.0, smoothing: 0.0, counts: None }
    }
}

impl LogitAdjusted {
    /// `τ log π`.
    fn adjustment(&self, classes: usize) -> Result<Vec<f64>> {
        let counts = needed("logit_adjusted", self.counts.as_ref(), classes)?;
        let total: f64 = counts.iter().sum();
        Ok(counts.iter().map(|n| self.tau * (n / total).ln()).collect())
    }
}

impl Loss for LogitAdjusted {
    fn per_sample(&self, output: &Tensor, target: &Tensor) -> candle_core::Result<Tensor> {
        let (logits, rows) = paired(output, target)?;
        let classes = logits.dim(1)?;
        let adjustment = self.adjustment(classes).map_err(Error::wrap)?;
        let logits = logits.broadcast_add(&per_class(&adjustment, &logits)?)?;
        let wanted = smoothed(rows, self.smoothing, 1.0 / classes as f64)?;
        (wanted * log_softmax(&logits, 1)?)?.sum(1)?.neg()
    }
    fn validate(&self) -> Result<()> {
        require("logit_adjusted", self.tau.is_finite(), "tau must be finite")?;
        check_smoothing("logit_adjusted", self.smoothing)
    }
    fn check(&self, classes: usize) -> Result<()> {
        self.adjustment(classes).map(drop)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The class table of APTOS 2019.
    #[test]
    fn logarithms_of_shares() {
        let loss = LogitAdjusted { counts: Some(vec![1805, 370, 999, 193, 295]), ..Default::default() };
        let known = [-0.7074, -2.2923, -1.299, -2.9431, -2.5188];
        for (ours, known) in loss.adjustment(5).unwrap().iter().zip(known) {
            assert!((ours - known).abs() < 1e-4, "{ours}, known {known}");
        }
    }
}
