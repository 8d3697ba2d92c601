//! Label-distribution-aware margins: rare classes get more room.

use crate::cross_entropy::weighted_mean;
use crate::error::Result;
use crate::loss::{Loss, check_length, check_positive, check_weights, needed, paired, per_class};
use crate::margins::with_margin;
use candle_core::{Error, Tensor};
use serde::{Deserialize, Serialize};

/// Cross-entropy of `s·(cos θₖ − mₖ)` for the true class k and `s·cos θ` for the others, with
/// `mₖ = M (min n / nₖ)^{1/4}`.
///
/// Cao et al. 2019, "Learning imbalanced datasets with label-distribution-aware margin loss" (arXiv 1906.07413).
/// Reference implementation: kaidic/LDAM-DRW. It reads what the cosine head says, so `scale` must be the head's; of a
/// mixed target each class has its share with its margin. With weights the batch's loss is `Σℓ / Σw_y` for class ids,
/// as cross-entropy's.
///
/// | field | default | range |
/// |---|---|---|
/// | `scale` | 30 | above 0, s; the head's |
/// | `margin` | 0.5 | above 0, M, that of the rarest class |
/// | `weights` | none | w, one number of at least 0 per class, not all 0; none: all 1 |
/// | `counts` | none | n, samples per class; recipes fill it in |
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Ldam {
    /// s, the head's.
    pub scale: f64,
    /// M, the margin of the rarest class.
    pub margin: f64,
    /// w, one weight ≥ 0 per class; none: all 1.
    pub weights: Option<Vec<f64>>,
    /// n, samples per class.
    pub counts: Option<Vec<u64>>,
}

impl Default for Ldam {
    fn default() -> Self {
        Self { scale: 30.0, margin: 0.5, weights: None, counts: None }
    }
}

impl Ldam {
    fn margins(&self, classes: usize) -> Result<Vec<f64>> {
        check_length("ldam", "weights", self.weights.as_ref(), classes)?;
        let counts = needed("ldam", self.counts.as_ref(), classes)?;
        let least = counts.iter().copied().fold(f64::INFINITY, f64::min);
        Ok(counts.iter().map(|n| self.margin * (least / n).powf(0.25)).collect())
    }

    fn terms(&self, output: &Tensor, target: &Tensor) -> candle_core::Result<(Tensor, Option<Tensor>)> {
        let (logits, mut rows) = paired(output, target)?;
        let margins = self.margins(logits.dim(1)?).map_err(Error::wrap)?;
        let mut counted = None;
        if let Some(weights) = &self.weights {
            rows = rows.broadcast_mul(&per_class(weights, &rows)?)?;
            counted = (target.rank() == 1).then(|| rows.sum(1)).transpose()?;
        }
        let margins = per_class(&margins, &logits)?;
        Ok((with_margin(&logits, &rows, self.scale, |cosines| cosines.broadcast_sub(&margins))?, counted))
    }
}

impl Loss for Ldam {
    fn per_sample(&self, output: &Tensor, target: &Tensor) -> candle_core::Result<Tensor> {
        Ok(self.terms(output, target)?.0)
    }
    fn forward(&self, output: &Tensor, target: &Tensor) -> candle_core::Result<Tensor> {
        let (losses, weights) = self.terms(output, target)?;
        weighted_mean(&losses, weights)
    }
    fn validate(&self) -> Result<()> {
        check_positive("ldam", "scale", self.scale)?;
        check_positive("ldam", "margin", self.margin)?;
        check_weights("ldam", self.weights.as_ref())
    }
    fn check(&self, classes: usize) -> Result<()> {
        self.margins(classes).map(drop)
    }
}
