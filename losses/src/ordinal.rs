//! Ordered classes: CORAL, CORN, and soft labels that know the order.
//!
//! Probabilities are of classes, and what is said in the end is the likeliest one. The rank of the papers, how many
//! probabilities of "above class k" are over ½, is the median of the same distribution, which can be another class.

use crate::error::Result;
use crate::logits::{distributions, hinge, matrix, softplus_both};
use crate::loss::{Loss, beside, check_positive, logits, paired, rows};
use candle_core::{D, Tensor};
use candle_nn::ops::{log_softmax, sigmoid};
use serde::{Deserialize, Serialize};

/// Logits `[B, K − 1]` and how much of each target lies above each of the thresholds: in classes k + 1, k + 2, … .
fn levels(output: &Tensor, target: &Tensor) -> candle_core::Result<(Tensor, Tensor)> {
    let logits = beside(output, target)?;
    let thresholds = logits.dim(1)?;
    let rows = rows(target, thresholds + 1, logits.dtype())?;
    let above = matrix((thresholds + 1, thresholds), &logits, |class, k| if class > k { 1.0 } else { 0.0 })?;
    Ok((logits, rows.matmul(&above)?))
}

/// Classes `[B, K]` from the probabilities `[B, K − 1]` of "above class k": differences of neighbours, none below 0.
fn differences(above: &Tensor) -> candle_core::Result<Tensor> {
    let edge = above.narrow(1, 0, 1)?.zeros_like()?;
    let each = hinge(&(Tensor::cat(&[&(&edge + 1.0)?, above], 1)? - Tensor::cat(&[above, &edge], 1)?)?)?;
    each.broadcast_div(&each.sum_keepdim(D::Minus1)?)
}

/// `ℓ = −Σₖ [lₖ log σ(zₖ) + (1 − lₖ) log(1 − σ(zₖ))]` over K − 1 thresholds, `lₖ` being 1 where the class is above k;
/// of a mixed target, how much of it is.
///
/// Cao et al. 2020, "Rank consistent ordinal regression for neural networks" (arXiv 1901.07884). Reference
/// implementation: coral-pytorch `coral_loss`. It reads what the head `coral` says, `[B, K − 1]` logits. No
/// parameters.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Coral {}

impl Loss for Coral {
    fn per_sample(&self, output: &Tensor, target: &Tensor) -> candle_core::Result<Tensor> {
        let (logits, levels) = levels(output, target)?;
        let (false_alarm, miss) = softplus_both(&logits)?;
        ((&levels * miss)? + (levels.affine(-1.0, 1.0)? * false_alarm)?)?.sum(1)
    }
    /// Differences of neighbouring thresholds, none below 0 while training has not put them in order.
    fn probabilities(&self, output: &Tensor) -> candle_core::Result<Tensor> {
        differences(&sigmoid(&logits(output)?)?)
    }
}

/// CORAL whose threshold k is asked only of samples that are above k − 1:
/// `ℓ = −Σₖ [lₖ log σ(zₖ) + (lₖ₋₁ − lₖ) log(1 − σ(zₖ))]` with `l₋₁ = 1`; a batch's loss is `Σℓ` divided by the number
/// of questions asked.
///
/// Shi et al. 2021, "Deep neural networks for rank-consistent ordinal regression based on conditional probabilities"
/// (arXiv 2111.08851). Reference implementation: coral-pytorch `corn_loss`. It reads `[B, K − 1]` logits. No
/// parameters.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Corn {}

impl Corn {
    /// The loss of every sample, and how many questions it was asked.
    fn terms(output: &Tensor, target: &Tensor) -> candle_core::Result<(Tensor, Tensor)> {
        let (logits, levels) = levels(output, target)?;
        let (false_alarm, miss) = softplus_both(&logits)?;
        let asked = match logits.dim(1)? {
            1 => levels.ones_like()?,
            thresholds => {
                let before = levels.narrow(1, 0, thresholds - 1)?;
                Tensor::cat(&[levels.narrow(1, 0, 1)?.ones_like()?, before], 1)?
            }
        };
        let losses = ((&levels * miss)? + ((&asked - &levels)? * false_alarm)?)?.sum(1)?;
        Ok((losses, asked.sum(1)?))
    }
}

impl Loss for Corn {
    fn per_sample(&self, output: &Tensor, target: &Tensor) -> candle_core::Result<Tensor> {
        Ok(Self::terms(output, target)?.0)
    }
    fn forward(&self, output: &Tensor, target: &Tensor) -> candle_core::Result<Tensor> {
        let (losses, asked) = Self::terms(output, target)?;
        losses.sum_all()? / asked.sum_all()?
    }
    /// "Above k" is the product of the answers up to k.
    fn probabilities(&self, output: &Tensor) -> candle_core::Result<Tensor> {
        let logits = logits(output)?;
        let (_, no) = softplus_both(&logits)?;
        let up_to = matrix((logits.dim(1)?, logits.dim(1)?), &logits, |i, k| if i <= k { -1.0 } else { 0.0 })?;
        differences(&no.matmul(&up_to)?.exp()?)
    }
}

/// Cross-entropy with `qₖ ∝ e^{−|k − y| / τ}` in place of one class y; of a mixed target, the mixture of these.
///
/// Díaz & Marathe 2019, "Soft labels for ordinal regression". Reference: the formula in PyTorch.
///
/// | field | default | range |
/// |---|---|---|
/// | `temperature` | 1 | above 0, τ |
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct SoftOrdinal {
    /// τ.
    pub temperature: f64,
}

impl Default for SoftOrdinal {
    fn default() -> Self {
        Self { temperature: 1.0 }
    }
}

impl Loss for SoftOrdinal {
    fn per_sample(&self, output: &Tensor, target: &Tensor) -> candle_core::Result<Tensor> {
        let (logits, rows) = paired(output, target)?;
        let classes = logits.dim(1)?;
        let near = matrix((classes, classes), &logits, |y, k| (-(y.abs_diff(k) as f64) / self.temperature).exp())?;
        (rows.matmul(&distributions(&near)?)? * log_softmax(&logits, 1)?)?.sum(1)?.neg()
    }
    fn validate(&self) -> Result<()> {
        check_positive("soft_ordinal", "temperature", self.temperature)
    }
}
