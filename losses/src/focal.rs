//! Focal loss: samples that are right already count for less.

use crate::error::Result;
use crate::logits::{log_rest, safe_log, softplus_both};
use crate::loss::{Loss, check_factor, check_length, check_weights, logits, paired, per_class, require};
use candle_core::{Error, Tensor};
use candle_nn::ops::{log_softmax, sigmoid, softmax};
use serde::{Deserialize, Serialize};

/// Softmax: `ℓ = −α Σₖ wₖ yₖ (1 − pₖ)^γ log pₖ`. Sigmoid: `ℓ = Σₖ wₖ αₖ (1 − pₖᵗ)^γ BCEₖ` with
/// `pᵗ = y p + (1 − y)(1 − p)` and `αₖ = α y + (1 − α)(1 − y)`, the sum or the mean over classes.
///
/// Lin et al. 2017, "Focal loss for dense object detection" (arXiv 1708.02002), which has α = 0.25 with the sigmoid.
/// Reference implementation: torchvision's `sigmoid_focal_loss`, whose mean is that over classes. A batch's loss is the
/// mean over its samples, whatever their weights.
///
/// | field | default | range |
/// |---|---|---|
/// | `gamma` | 2 | at least 0, γ |
/// | `alpha` | none | 0..=1; none: no factor |
/// | `weights` | none | w, one number of at least 0 per class, not all 0; none: all 1 |
/// | `sigmoid` | false | every class is a question of its own |
/// | `sum` | false | with the sigmoid: the sum over classes in place of their mean |
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Focal {
    /// γ.
    pub gamma: f64,
    /// α; none: no factor.
    pub alpha: Option<f64>,
    /// w, one weight ≥ 0 per class; none: all 1.
    pub weights: Option<Vec<f64>>,
    /// Whether every class is a question of its own.
    pub sigmoid: bool,
    /// With the sigmoid: the sum over classes in place of their mean.
    pub sum: bool,
}

impl Default for Focal {
    fn default() -> Self {
        Self { gamma: 2.0, alpha: None, weights: None, sigmoid: false, sum: false }
    }
}

impl Focal {
    /// The loss of every class, `[B, K]`.
    fn terms(&self, logits: &Tensor, rows: &Tensor) -> candle_core::Result<Tensor> {
        if !self.sigmoid {
            let log_p = log_softmax(logits, 1)?;
            let easy = (log_rest(&log_p)? * self.gamma)?.exp()?;
            return (rows * (easy * log_p)?)?.affine(-self.alpha.unwrap_or(1.0), 0.0);
        }
        let unwanted = rows.affine(-1.0, 1.0)?;
        let (p, q) = (sigmoid(logits)?, sigmoid(&logits.neg()?)?);
        let wrong = ((rows * q)? + (&unwanted * p)?)?;
        let easy = (safe_log(&wrong)? * self.gamma)?.exp()?;
        let (false_alarm, miss) = softplus_both(logits)?;
        let terms = (((rows * miss)? + (unwanted * false_alarm)?)? * easy)?;
        match self.alpha {
            Some(alpha) => terms * rows.affine(2.0 * alpha - 1.0, 1.0 - alpha)?,
            None => Ok(terms),
        }
    }
}

impl Loss for Focal {
    fn per_sample(&self, output: &Tensor, target: &Tensor) -> candle_core::Result<Tensor> {
        let (logits, rows) = paired(output, target)?;
        self.check(logits.dim(1)?).map_err(Error::wrap)?;
        let mut terms = self.terms(&logits, &rows)?;
        if let Some(weights) = &self.weights {
            terms = terms.broadcast_mul(&per_class(weights, &terms)?)?;
        }
        if self.sigmoid && !self.sum { terms.mean(1) } else { terms.sum(1) }
    }
    fn probabilities(&self, output: &Tensor) -> candle_core::Result<Tensor> {
        let logits = logits(output)?;
        if self.sigmoid { sigmoid(&logits) } else { softmax(&logits, 1) }
    }
    fn validate(&self) -> Result<()> {
        check_factor("focal", "gamma", self.gamma)?;
        require("focal", self.sigmoid || !self.sum, "sum needs sigmoid, a softmax has one class per sample")?;
        require("focal", self.alpha.is_none_or(|a| (0.0..=1.0).contains(&a)), "alpha must be in 0..=1")?;
        check_weights("focal", self.weights.as_ref())
    }
    fn check(&self, classes: usize) -> Result<()> {
        check_length("focal", "weights", self.weights.as_ref(), classes)
    }
}
