//! The share of wrong yes-or-no answers, with probabilities in place of decisions.

use crate::loss::{Loss, logits, paired};
use candle_core::Tensor;
use candle_nn::ops::sigmoid;
use serde::{Deserialize, Serialize};

/// `ℓ = 1/K Σₖ [yₖ (1 − pₖ) + (1 − yₖ) pₖ]`, `p = σ(z)`: the expected Hamming loss.
///
/// Yessou et al. 2020, "A comparative study of deep learning loss functions for multi-label remote sensing image
/// classification" (arXiv 2009.13935). Reference: the formula in PyTorch. No parameters.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Hamming {}

impl Loss for Hamming {
    fn per_sample(&self, output: &Tensor, target: &Tensor) -> candle_core::Result<Tensor> {
        let (logits, rows) = paired(output, target)?;
        let unwanted = rows.affine(-1.0, 1.0)?;
        ((rows * sigmoid(&logits.neg()?)?)? + (unwanted * sigmoid(&logits)?)?)?.mean(1)
    }
    fn probabilities(&self, output: &Tensor) -> candle_core::Result<Tensor> {
        sigmoid(&logits(output)?)
    }
}
