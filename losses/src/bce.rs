//! Binary cross-entropy: every class is a question of its own.

use crate::error::Result;
use crate::loss::{Loss, check_factors, check_length, check_smoothing, paired, per_class, smoothed};
use candle_core::{Error, Tensor};
use serde::{Deserialize, Serialize};

/// `ℓ = 1/K Σₖ [pₖ qₖ log(1 + e^−zₖ) + (1 − qₖ) log(1 + e^zₖ)]` with `q = (1 − ε)·y + ε/2`, as
/// `torch.nn.functional.binary_cross_entropy_with_logits`.
///
/// Smoothing goes towards ½, the middle of a yes-or-no question (Keras `BinaryCrossentropy`), whatever K is. For one
/// class per sample as in Wightman et al. 2021, "ResNet strikes back", class ids become one-hot rows.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Bce {
    /// ε, 0..=1.
    pub smoothing: f64,
    /// p, one factor ≥ 0 per class for its positives; none: all 1.
    pub pos_weight: Option<Vec<f64>>,
}

impl Loss for Bce {
    fn per_sample(&self, output: &Tensor, target: &Tensor) -> candle_core::Result<Tensor> {
        let (logits, rows) = paired(output, target)?;
        self.check(logits.dim(1)?).map_err(Error::wrap)?;
        let wanted = smoothed(rows, self.smoothing, 0.5)?;
        let unwanted = wanted.affine(-1.0, 1.0)?;
        let wanted = match &self.pos_weight {
            Some(factors) => wanted.broadcast_mul(&per_class(factors, &wanted)?)?,
            None => wanted,
        };
        // softplus(z) = relu(z) + tail and softplus(−z) = (relu(z) − z) + tail lose no digits, and their gradients
        // are right at z = 0, where relu and abs have kinks that cancel only in this form.
        let tail = (logits.abs()?.neg()?.exp()? + 1.0)?.log()?;
        let positive = logits.relu()?;
        let miss = ((&positive - &logits)? + &tail)?;
        let false_alarm = (positive + tail)?;
        ((wanted * miss)? + (unwanted * false_alarm)?)?.mean(1)
    }
    fn validate(&self) -> Result<()> {
        check_smoothing("bce", self.smoothing)?;
        check_factors("bce", "pos_weight", self.pos_weight.as_ref())
    }
    fn check(&self, classes: usize) -> Result<()> {
        check_length("bce", "pos_weight", self.pos_weight.as_ref(), classes)
    }
}
