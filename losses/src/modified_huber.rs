//! A hinge that is smooth where it begins and straight far away.

use crate::logits::hinge;
use crate::loss::{Loss, paired};
use candle_core::Tensor;
use serde::{Deserialize, Serialize};

/// `ℓ = 1/K Σₖ [yₖ h(zₖ) + (1 − yₖ) h(−zₖ)]` with `h(z) = max(0, 1 − z)²` for z ≥ −1, else `−4z`.
///
/// Zhang 2004, "Solving large scale linear prediction problems using stochastic gradient descent algorithms", the form
/// for classes in Yessou et al. 2020 (arXiv 2009.13935). Reference: scikit-learn
/// `SGDClassifier(loss="modified_huber")`. A probability is `(clip(z, −1, 1) + 1) / 2`, as there. No parameters.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct ModifiedHuber {}

/// `h(z) = max(0, 1 − max(z, −1))² + 4 max(0, −1 − z)`, which is the same.
fn half(z: &Tensor) -> candle_core::Result<Tensor> {
    let far = hinge(&z.affine(-1.0, -1.0)?)?;
    let near = hinge(&(z.affine(-1.0, 1.0)? - &far)?)?;
    near.sqr()? + (far * 4.0)?
}

impl Loss for ModifiedHuber {
    fn per_sample(&self, output: &Tensor, target: &Tensor) -> candle_core::Result<Tensor> {
        let (logits, rows) = paired(output, target)?;
        let unwanted = rows.affine(-1.0, 1.0)?;
        ((rows * half(&logits)?)? + (unwanted * half(&logits.neg()?)?)?)?.mean(1)
    }
    fn probabilities(&self, output: &Tensor) -> candle_core::Result<Tensor> {
        crate::loss::logits(output)?.clamp(-1.0, 1.0)?.affine(0.5, 0.5)
    }
}
