//! Losses between cross-entropy and the absolute error, for labels that may be wrong.

use crate::error::Result;
use crate::logits::log_rest;
use crate::loss::{Loss, check_factor, check_positive, check_smoothing, paired, require, smoothed};
use candle_core::Tensor;
use candle_nn::ops::log_softmax;
use serde::{Deserialize, Serialize};

/// `ℓ = Σₖ yₖ (1 − pₖ^q) / q`, `p = softmax(z)`: near cross-entropy for a small q, the absolute error for q = 1.
///
/// Zhang & Sabuncu 2018, "Generalized cross entropy loss" (arXiv 1805.07836). Reference: the formula in PyTorch.
///
/// | field | default | range |
/// |---|---|---|
/// | `q` | 0.7 | above 0 and at most 1 |
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Gce {
    /// q.
    pub q: f64,
}

impl Default for Gce {
    fn default() -> Self {
        Self { q: 0.7 }
    }
}

impl Loss for Gce {
    fn per_sample(&self, output: &Tensor, target: &Tensor) -> candle_core::Result<Tensor> {
        let (logits, rows) = paired(output, target)?;
        let power = (log_softmax(&logits, 1)? * self.q)?.exp()?;
        (rows * power.affine(-1.0 / self.q, 1.0 / self.q)?)?.sum(1)
    }
    fn validate(&self) -> Result<()> {
        check_positive("gce", "q", self.q)?;
        require("gce", self.q <= 1.0, format!("q must be above 0 and at most 1, got {}", self.q))
    }
}

/// `ℓ = −α Σₖ yₖ log pₖ − β Σₖ pₖ max(log yₖ, A)`: cross-entropy and the reverse.
///
/// Wang et al. 2019, "Symmetric cross entropy for robust learning with noisy labels" (arXiv 1908.06112). Reference:
/// the formula in PyTorch; theirs for CIFAR has A = log 1e-4 and the paper A = −4.
///
/// | field | default | range |
/// |---|---|---|
/// | `alpha` | 0.1 | at least 0, α |
/// | `beta` | 1 | at least 0, β |
/// | `floor` | -4 | below 0, A in place of log 0 |
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Symmetric {
    /// α.
    pub alpha: f64,
    /// β.
    pub beta: f64,
    /// A.
    pub floor: f64,
}

impl Default for Symmetric {
    fn default() -> Self {
        Self { alpha: 0.1, beta: 1.0, floor: -4.0 }
    }
}

impl Loss for Symmetric {
    fn per_sample(&self, output: &Tensor, target: &Tensor) -> candle_core::Result<Tensor> {
        let (logits, rows) = paired(output, target)?;
        let log_p = log_softmax(&logits, 1)?;
        let reverse = (log_p.exp()? * rows.maximum(self.floor.exp())?.log()?)?;
        (((rows * log_p)? * -self.alpha)? - (reverse * self.beta)?)?.sum(1)
    }
    fn validate(&self) -> Result<()> {
        check_factor("symmetric", "alpha", self.alpha)?;
        check_factor("symmetric", "beta", self.beta)?;
        let holds = self.floor < 0.0 && self.floor >= -80.0;
        require("symmetric", holds, "floor must be below 0 and at least -80")
    }
}

/// `ℓ = Σₖ yₖ Σ_{i=1..t} (1 − pₖ)^i / i`, the first t terms of cross-entropy's series: 1 is the absolute error, many
/// are cross-entropy.
///
/// Feng et al. 2020, "Can cross entropy loss be robust to label noise?" Reference: the formula in PyTorch.
///
/// | field | default | range |
/// |---|---|---|
/// | `order` | 2 | 1..=100, t |
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Taylor {
    /// t.
    pub order: usize,
}

impl Default for Taylor {
    fn default() -> Self {
        Self { order: 2 }
    }
}

impl Loss for Taylor {
    fn per_sample(&self, output: &Tensor, target: &Tensor) -> candle_core::Result<Tensor> {
        let (logits, rows) = paired(output, target)?;
        let rest = log_rest(&log_softmax(&logits, 1)?)?.exp()?;
        // Horner's scheme: r (1 + r (1/2 + r (1/3 + …))).
        let last = rest.zeros_like()?;
        let sum = (1..=self.order).rev().try_fold(last, |sum, i| (sum + 1.0 / i as f64)? * &rest)?;
        (rows * sum)?.sum(1)
    }
    fn validate(&self) -> Result<()> {
        require("taylor", (1..=100).contains(&self.order), "order must be in 1..=100")
    }
}

/// `ℓ = Σₖ qₖ [−log pₖ + c (1 − pₖ)]`, `q = (1 − ε)·y + ε/K`: cross-entropy with another first term of its series.
///
/// Leng et al. 2022, "PolyLoss" (arXiv 2204.12511), Poly-1. Reference implementation: timm `PolyCrossEntropy`, which
/// leaves rows unsmoothed.
///
/// | field | default | range |
/// |---|---|---|
/// | `epsilon` | 2 | at least −1, c |
/// | `smoothing` | 0 | 0..=1, ε |
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Poly {
    /// c.
    pub epsilon: f64,
    /// ε, 0..=1.
    pub smoothing: f64,
}

impl Default for Poly {
    fn default() -> Self {
        Self { epsilon: 2.0, smoothing: 0.0 }
    }
}

impl Loss for Poly {
    fn per_sample(&self, output: &Tensor, target: &Tensor) -> candle_core::Result<Tensor> {
        let (logits, rows) = paired(output, target)?;
        let wanted = smoothed(rows, self.smoothing, 1.0 / logits.dim(1)? as f64)?;
        let log_p = log_softmax(&logits, 1)?;
        (wanted * ((log_rest(&log_p)?.exp()? * self.epsilon)? - log_p)?)?.sum(1)
    }
    fn validate(&self) -> Result<()> {
        let holds = self.epsilon >= -1.0 && self.epsilon.is_finite();
        require("poly", holds, format!("epsilon must be at least -1, got {}", self.epsilon))?;
        check_smoothing("poly", self.smoothing)
    }
}
