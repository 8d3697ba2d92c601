//! Distances between numbers: mean squared error, Huber, smooth L1.
//!
//! Outputs and targets are `[B, K]` numbers. A target that is NaN is not known: its distance is 0, and the mean is
//! over all K, as the Lyft baseline's. Class ids beside a single output are numbers (with thresholds that make classes of
//! them: [`OrdinalRegression`](crate::OrdinalRegression)); beside several outputs they are one-hot rows. An output is not
//! a probability: `probabilities` says it as it is.

use crate::error::Result;
use crate::logits::{magnitude, mask};
use crate::loss::{Loss, beside, check_positive, logits, rows};
use candle_core::{DType, Tensor};
use serde::{Deserialize, Serialize};

/// `output − target` `[B, K]`, 0 where the target is not known.
fn errors(output: &Tensor, target: &Tensor) -> candle_core::Result<Tensor> {
    let numbers = beside(output, target)?;
    let wanted = match (numbers.dim(1)?, target.rank(), target.dtype()) {
        (1, 1, DType::U32) => target.to_dtype(numbers.dtype())?.unsqueeze(1)?,
        (outputs, ..) => rows(target, outputs, numbers.dtype())?,
    };
    let known = wanted.eq(&wanted)?;
    let wanted = known.where_cond(&wanted, &wanted.zeros_like()?)?;
    (&numbers - wanted)? * mask(&known, numbers.dtype())?
}

/// `½e²` up to δ, then `δ(|e| − ½δ)`.
fn huber(errors: &Tensor, delta: f64) -> candle_core::Result<Tensor> {
    let size = magnitude(errors)?;
    let near = size.minimum(delta)?;
    (near.sqr()? * 0.5)? + ((size - near)? * delta)?
}

/// `ℓ = 1/K Σₖ eₖ²`, `e` being output less target.
///
/// Reference implementation: `torch.nn.functional.mse_loss`. No parameters.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Mse {}

impl Loss for Mse {
    fn per_sample(&self, output: &Tensor, target: &Tensor) -> candle_core::Result<Tensor> {
        errors(output, target)?.sqr()?.mean(1)
    }
    fn probabilities(&self, output: &Tensor) -> candle_core::Result<Tensor> {
        logits(output)
    }
}

/// `ℓ = 1/K Σₖ h(eₖ)`, `h = ½e²` up to δ, then `δ(|e| − ½δ)`, `e` being output less target.
///
/// Huber 1964, "Robust estimation of a location parameter". Reference implementation: `torch.nn.functional.huber_loss`.
///
/// | field | default | range |
/// |---|---|---|
/// | `delta` | 1 | above 0, δ |
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Huber {
    /// δ.
    pub delta: f64,
}

impl Default for Huber {
    fn default() -> Self {
        Self { delta: 1.0 }
    }
}

impl Loss for Huber {
    fn per_sample(&self, output: &Tensor, target: &Tensor) -> candle_core::Result<Tensor> {
        huber(&errors(output, target)?, self.delta)?.mean(1)
    }
    fn probabilities(&self, output: &Tensor) -> candle_core::Result<Tensor> {
        logits(output)
    }
    fn validate(&self) -> Result<()> {
        check_positive("huber", "delta", self.delta)
    }
}

/// `ℓ = 1/K Σₖ h(eₖ)`, `h = ½e²/β` up to β, then `|e| − ½β`, `e` being output less target; β = 0 is the absolute error.
///
/// Girshick 2015, "Fast R-CNN" (arXiv 1504.08083). Reference implementation: `torch.nn.functional.smooth_l1_loss`.
///
/// | field | default | range |
/// |---|---|---|
/// | `beta` | 1 | at least 0, β |
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct SmoothL1 {
    /// β.
    pub beta: f64,
}

impl Default for SmoothL1 {
    fn default() -> Self {
        Self { beta: 1.0 }
    }
}

impl Loss for SmoothL1 {
    fn per_sample(&self, output: &Tensor, target: &Tensor) -> candle_core::Result<Tensor> {
        let errors = errors(output, target)?;
        match self.beta {
            0.0 => magnitude(&errors)?.mean(1),
            beta => huber(&errors, beta)?.mean(1)? / beta,
        }
    }
    fn probabilities(&self, output: &Tensor) -> candle_core::Result<Tensor> {
        logits(output)
    }
    fn validate(&self) -> Result<()> {
        if self.beta == 0.0 { Ok(()) } else { check_positive("smooth_l1", "beta", self.beta) }
    }
}
