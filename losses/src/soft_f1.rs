//! F1 with probabilities in place of decisions, so that it can be maximized.

use crate::error::Result;
use crate::loss::{Loss, check_positive, logits, paired};
use candle_core::{Tensor, bail};
use candle_nn::ops::{sigmoid, softmax};
use serde::{Deserialize, Serialize};

/// `1 − 1/K Σₖ 2 TPₖ / (Σp + Σy + ε)`, `TPₖ = Σ_b p y`, sums over the batch: one less the macro F1 of soft counts.
/// Only a batch has it.
///
/// Maiza 2019, "The unknown benefits of using a soft-F1 loss in classification systems" (Towards Data Science).
/// Reference: the formula in PyTorch, on sure outputs scikit-learn's `f1_score`. A class that the batch lacks adds
/// 1/K, whatever is said of it, and has no gradient.
///
/// | field | default | range |
/// |---|---|---|
/// | `sigmoid` | true | false: softmax, for one class per sample |
/// | `epsilon` | 1e-7 | above 0, ε |
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct SoftF1 {
    /// Whether every class is a question of its own.
    pub sigmoid: bool,
    /// ε.
    pub epsilon: f64,
}

impl Default for SoftF1 {
    fn default() -> Self {
        Self { sigmoid: true, epsilon: 1e-7 }
    }
}

impl Loss for SoftF1 {
    fn per_sample(&self, _: &Tensor, _: &Tensor) -> candle_core::Result<Tensor> {
        bail!("soft_f1 is a loss of a batch: a sample has none of its own")
    }
    fn forward(&self, output: &Tensor, target: &Tensor) -> candle_core::Result<Tensor> {
        let (logits, rows) = paired(output, target)?;
        let p = if self.sigmoid { sigmoid(&logits)? } else { softmax(&logits, 1)? };
        let found = ((&p * &rows)?.sum(0)? * 2.0)?;
        let all = (((p + rows)?.sum(0)?) + self.epsilon)?;
        (found / all)?.mean_all()?.affine(-1.0, 1.0)
    }
    fn probabilities(&self, output: &Tensor) -> candle_core::Result<Tensor> {
        let logits = logits(output)?;
        if self.sigmoid { sigmoid(&logits) } else { softmax(&logits, 1) }
    }
    fn validate(&self) -> Result<()> {
        check_positive("soft_f1", "epsilon", self.epsilon)
    }
}
