//! Binary cross-entropy: every class is a question of its own.

use crate::error::Result;
use crate::logits::{softplus_both, with_slope};
use crate::loss::{Loss, check_factors, check_length, check_smoothing, logits, paired, per_class, require, smoothed};
use candle_core::{Error, Tensor};
use candle_nn::ops::sigmoid;
use serde::{Deserialize, Serialize};

/// `ℓ = 1/K Σₖ [pₖ qₖ log(1 + e^−zₖ) + (1 − qₖ) log(1 + e^zₖ)]` with `q = (1 − ε)·y + ε/2`.
///
/// Smoothing goes towards ½, the middle of a yes-or-no question (Keras `BinaryCrossentropy`), whatever K is. For one
/// class per sample as in Wightman et al. 2021, "ResNet strikes back", class ids become one-hot rows, and a threshold
/// of 0.2 makes mixed rows yes or no again. Reference implementations: `torch.nn.functional`'s
/// `binary_cross_entropy_with_logits` and `binary_cross_entropy`, timm's `BinaryCrossEntropy`.
///
/// | field | default | range |
/// |---|---|---|
/// | `smoothing` | 0 | 0..=1, ε |
/// | `pos_weight` | none | p, one number of at least 0 per class for its positives; none: all 1 |
/// | `threshold` | none | 0..1; targets above it, after smoothing, are 1 and all others 0 |
/// | `sigmoid` | true | false: outputs are probabilities already; logarithms of at least −100, slopes of at most 1e12 |
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Bce {
    /// ε, 0..=1.
    pub smoothing: f64,
    /// p, one factor ≥ 0 per class for its positives; none: all 1.
    pub pos_weight: Option<Vec<f64>>,
    /// Targets above it are 1, all others 0.
    pub threshold: Option<f64>,
    /// Whether outputs are logits; false: they are probabilities.
    pub sigmoid: bool,
}

impl Default for Bce {
    fn default() -> Self {
        Self { smoothing: 0.0, pos_weight: None, threshold: None, sigmoid: true }
    }
}

/// `−log(1 − p)` and `−log p` as far as PyTorch's `BCELoss` goes, which is 100, with its gradients, which are those of
/// `p (1 − p)` of at least 1e-12.
fn surprises(p: &Tensor) -> candle_core::Result<(Tensor, Tensor)> {
    let rest = p.affine(-1.0, 1.0)?;
    // PyTorch's number is in single precision for doubles too.
    let spread = (p * &rest)?.maximum(f64::from(1e-12f32))?;
    let of = |p: &Tensor| p.log()?.maximum(-100.0)?.neg();
    Ok((with_slope(&of(&rest)?, p, &(p / &spread)?)?, with_slope(&of(p)?, p, &(&rest / &spread)?.neg()?)?))
}

impl Loss for Bce {
    fn per_sample(&self, output: &Tensor, target: &Tensor) -> candle_core::Result<Tensor> {
        let (logits, rows) = paired(output, target)?;
        self.check(logits.dim(1)?).map_err(Error::wrap)?;
        let mut wanted = smoothed(rows, self.smoothing, 0.5)?;
        if let Some(threshold) = self.threshold {
            wanted = wanted.gt(threshold)?.to_dtype(wanted.dtype())?;
        }
        let unwanted = wanted.affine(-1.0, 1.0)?;
        let wanted = match &self.pos_weight {
            Some(factors) => wanted.broadcast_mul(&per_class(factors, &wanted)?)?,
            None => wanted,
        };
        let (false_alarm, miss) = match self.sigmoid {
            true => softplus_both(&logits)?,
            false => surprises(&logits)?,
        };
        ((wanted * miss)? + (unwanted * false_alarm)?)?.mean(1)
    }
    fn probabilities(&self, output: &Tensor) -> candle_core::Result<Tensor> {
        let logits = logits(output)?;
        if self.sigmoid { sigmoid(&logits) } else { Ok(logits) }
    }
    fn validate(&self) -> Result<()> {
        check_smoothing("bce", self.smoothing)?;
        let within = self.threshold.is_none_or(|t| (0.0..1.0).contains(&t));
        require("bce", within, "threshold must be at least 0 and below 1")?;
        check_factors("bce", "pos_weight", self.pos_weight.as_ref())
    }
    fn check(&self, classes: usize) -> Result<()> {
        check_length("bce", "pos_weight", self.pos_weight.as_ref(), classes)
    }
}
