//! Averages of pairs.

use super::BatchTransform;
use crate::check;
use crate::draw::Draw;
use crate::error::Result;
use candle_core::{Result as TensorResult, Tensor};
use serde::{Deserialize, Serialize};

/// `x̃ = λ·x + (1 − λ)·x′`, `ỹ = λ·y + (1 − λ)·y′` with λ ~ Beta(α, α) and the batch in another order as x′, y′
/// (Zhang et al. 2018).
///
/// One λ and one order per batch, as in the reference implementation (`facebookresearch/mixup-cifar10`).
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Mixup {
    /// α, > 0: small ones keep pictures nearly as they are; default 0.2.
    pub alpha: f64,
    /// Probability per batch, 0..=1; default 1.
    pub p: f64,
}

impl Default for Mixup {
    fn default() -> Self {
        Self { alpha: 0.2, p: 1.0 }
    }
}

impl BatchTransform for Mixup {
    fn apply(&self, images: &Tensor, targets: &Tensor, draw: &mut Draw) -> TensorResult<(Tensor, Tensor)> {
        if !draw.chance("mixes", self.p) {
            return Ok((images.clone(), targets.clone()));
        }
        let lambda = draw.beta("lambda", [self.alpha; 2]);
        let order = draw.order("order", images.dim(0)?);
        let order = Tensor::from_vec(order, images.dim(0)?, images.device())?;
        Ok((blend(images, &order, lambda)?, blend(targets, &order, lambda)?))
    }
    fn validate(&self) -> Result<()> {
        let technique = "batch transform 'mixup'";
        check::positive(technique, "alpha", self.alpha)?;
        check::probability(technique, self.p)
    }
}

/// `λ·x + (1 − λ)·x[order]` along the first dimension.
///
/// # Errors
/// An order, `[B]` U32, that does not fit.
pub fn blend(x: &Tensor, order: &Tensor, lambda: f64) -> TensorResult<Tensor> {
    let other = x.contiguous()?.index_select(order, 0)?;
    x.affine(lambda, 0.0)? + other.affine(1.0 - lambda, 0.0)?
}
