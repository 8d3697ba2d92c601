//! Asymmetric loss: the many easy negatives of multi-label data count for less.

use crate::error::Result;
use crate::logits::{hinge, log_rest, mask, safe_log, softplus};
use crate::loss::{Loss, check_factor, check_smoothing, logits, paired, require, smoothed};
use candle_core::Tensor;
use candle_nn::ops::{log_softmax, sigmoid};
use serde::{Deserialize, Serialize};

/// `ℓ = −Σₖ wₖ [yₖ log pₖ + (1 − yₖ) log(1 − p⁻ₖ)]` with `p = σ(z)`, `p⁻ = max(p − clip, 0)` and
/// `w = (y(1 − p) + (1 − y) p⁻)^(γ₊ y + γ₋ (1 − y))`.
///
/// Ridnik et al. 2021, "Asymmetric loss for multi-label classification" (arXiv 2009.14119). Reference implementation:
/// timm `AsymmetricLossMultiLabel`, which stops at `log 1e-8`; here the logarithm goes on.
///
/// | field | default | range |
/// |---|---|---|
/// | `gamma_neg` | 4 | at least 0, γ₋ |
/// | `gamma_pos` | 1 | at least 0, γ₊ |
/// | `clip` | 0.05 | 0, or at least 1e-12 and below 1; what is taken from the probability of negatives |
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Asymmetric {
    /// γ₋.
    pub gamma_neg: f64,
    /// γ₊.
    pub gamma_pos: f64,
    /// What is taken from the probability of negatives.
    pub clip: f64,
}

impl Default for Asymmetric {
    fn default() -> Self {
        Self { gamma_neg: 4.0, gamma_pos: 1.0, clip: 0.05 }
    }
}

impl Loss for Asymmetric {
    fn per_sample(&self, output: &Tensor, target: &Tensor) -> candle_core::Result<Tensor> {
        let (logits, rows) = paired(output, target)?;
        let unwanted = rows.affine(-1.0, 1.0)?;
        let (p, rest) = (sigmoid(&logits)?, sigmoid(&logits.neg()?)?);
        let miss = softplus(&logits.neg()?)?;
        let (risen, false_alarm) = match self.clip {
            0.0 => (p, softplus(&logits)?),
            clip => {
                // 1 − p⁻ = 1 − p + clip has digits where p is next to 1.
                let above = mask(&p.gt(clip)?, p.dtype())?;
                let false_alarm = ((&rest + clip)?.log()?.neg()? * above)?;
                (hinge(&(p - clip)?)?, false_alarm)
            }
        };
        let wrong = ((&rows * rest)? + (&unwanted * risen)?)?;
        let gamma = rows.affine(self.gamma_pos - self.gamma_neg, self.gamma_neg)?;
        let weight = (gamma * safe_log(&wrong)?)?.exp()?;
        (((rows * miss)? + (unwanted * false_alarm)?)? * weight)?.sum(1)
    }
    fn probabilities(&self, output: &Tensor) -> candle_core::Result<Tensor> {
        sigmoid(&logits(output)?)
    }
    fn validate(&self) -> Result<()> {
        check_factor("asymmetric", "gamma_neg", self.gamma_neg)?;
        check_factor("asymmetric", "gamma_pos", self.gamma_pos)?;
        let within = self.clip == 0.0 || (1e-12..1.0).contains(&self.clip);
        require("asymmetric", within, "clip must be 0, or at least 1e-12 and below 1")
    }
}

/// The same for one class per sample: `ℓ = −Σₖ qₖ wₖ log pₖ` with `p = softmax(z)`, `q = (1 − ε)·y + ε/K` and
/// `w = (y(1 − p) + (1 − y) p)^(γ₊ y + γ₋ (1 − y))`.
///
/// Reference implementation: timm `AsymmetricLossSingleLabel`.
///
/// | field | default | range |
/// |---|---|---|
/// | `gamma_neg` | 4 | at least 0, γ₋ |
/// | `gamma_pos` | 1 | at least 0, γ₊ |
/// | `smoothing` | 0.1 | 0..=1, ε |
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct AsymmetricSingle {
    /// γ₋.
    pub gamma_neg: f64,
    /// γ₊.
    pub gamma_pos: f64,
    /// ε, 0..=1.
    pub smoothing: f64,
}

impl Default for AsymmetricSingle {
    fn default() -> Self {
        Self { gamma_neg: 4.0, gamma_pos: 1.0, smoothing: 0.1 }
    }
}

impl Loss for AsymmetricSingle {
    fn per_sample(&self, output: &Tensor, target: &Tensor) -> candle_core::Result<Tensor> {
        let (logits, rows) = paired(output, target)?;
        let log_p = log_softmax(&logits, 1)?;
        let wanted = smoothed(rows.clone(), self.smoothing, 1.0 / logits.dim(1)? as f64)?;
        let wrong = ((&rows * log_rest(&log_p)?.exp()?)? + (rows.affine(-1.0, 1.0)? * log_p.exp()?)?)?;
        let gamma = rows.affine(self.gamma_pos - self.gamma_neg, self.gamma_neg)?;
        let weight = (gamma * safe_log(&wrong)?)?.exp()?;
        (wanted * (weight * log_p)?)?.sum(1)?.neg()
    }
    fn validate(&self) -> Result<()> {
        check_factor("asymmetric_single", "gamma_neg", self.gamma_neg)?;
        check_factor("asymmetric_single", "gamma_pos", self.gamma_pos)?;
        check_smoothing("asymmetric_single", self.smoothing)
    }
}
