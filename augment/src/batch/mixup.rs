//! Averages of pairs.

use super::{BatchTransform, Blend, Mode, mix};
use crate::check;
use crate::draw::Draw;
use crate::error::Result;
use candle_core::{Result as TensorResult, Tensor};
use serde::{Deserialize, Serialize};

/// `x̃ = λ·x + (1 − λ)·x′`, `ỹ = λ·y + (1 − λ)·y′` with λ ~ Beta(α, α) and the batch in another order as x′, y′
/// (Zhang et al. 2018).
///
/// One λ and one order per batch, as in the reference implementation (`facebookresearch/mixup-cifar10`); with another `mode`
/// one λ per pair or per picture, and the order reversed, as in timm.
///
/// | field | default | range |
/// |---|---|---|
/// | `alpha` | 0.2 | > 0: small ones keep pictures nearly as they are |
/// | `mode` | `batch` | `batch`, `pair`, `element` |
/// | `p` | 1 | 0..=1, per batch, pair or picture |
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Mixup {
    /// α of the distribution of λ.
    pub alpha: f64,
    /// For how many pictures one λ is drawn.
    pub mode: Mode,
    /// Probability.
    pub p: f64,
}

impl Default for Mixup {
    fn default() -> Self {
        Self { alpha: 0.2, mode: Mode::Batch, p: 1.0 }
    }
}

impl BatchTransform for Mixup {
    fn apply(&self, images: &Tensor, targets: &Tensor, draw: &mut Draw) -> TensorResult<(Tensor, Tensor)> {
        if self.mode != Mode::Batch {
            let blends = self.mode.blends(images.dim(0)?, draw, |draw| {
                if draw.chance("mixes", self.p) {
                    Blend::Average(draw.beta("lambda", [self.alpha; 2]))
                } else {
                    Blend::NOTHING
                }
            });
            return mix(images, targets, &blends);
        }
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
