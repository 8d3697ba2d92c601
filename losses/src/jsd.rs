//! Consistency between views of a picture.

use crate::error::Result;
use crate::loss::{Loss, beside, check_factor, check_smoothing, logits, require, rows, smoothed};
use candle_core::{Error, Tensor, bail};
use candle_nn::ops::log_softmax;
use serde::{Deserialize, Serialize};

/// `ℓ = CE(y, z₁) + α JSD(p₁, …, p_V)`, `JSD = 1/V Σᵥ KL(pᵥ ‖ m)`, `m = 1/V Σᵥ pᵥ`, with `ε` of label smoothing in the
/// cross-entropy.
///
/// Hendrycks et al. 2020, "AugMix" (arXiv 1912.02781). Reference implementation: timm `JsdCrossEntropy`, which keeps m
/// above 1e-7; here its logarithm is exact. Outputs are `[V·B, K]`, the clean pictures first, then all of the second
/// view and so on; targets are those of the B pictures.
///
/// | field | default | range |
/// |---|---|---|
/// | `views` | 3 | at least 2, V |
/// | `alpha` | 12 | at least 0, α |
/// | `smoothing` | 0.1 | 0..=1, ε |
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Jsd {
    /// V.
    pub views: usize,
    /// α.
    pub alpha: f64,
    /// ε, 0..=1.
    pub smoothing: f64,
}

impl Default for Jsd {
    fn default() -> Self {
        Self { views: 3, alpha: 12.0, smoothing: 0.1 }
    }
}

impl Loss for Jsd {
    fn per_sample(&self, output: &Tensor, target: &Tensor) -> candle_core::Result<Tensor> {
        self.validate().map_err(Error::wrap)?;
        let (all, classes) = logits(output)?.dims2()?;
        let batch = all / self.views;
        if batch * self.views != all {
            bail!("{all} outputs are not those of {} views of each picture", self.views);
        }
        let clean = beside(&output.narrow(0, 0, batch)?, target)?;
        let rows = rows(target, classes, clean.dtype())?;
        let wanted = smoothed(rows, self.smoothing, 1.0 / classes as f64)?;
        let log_p = log_softmax(&logits(output)?, 1)?;
        let hard = (wanted * log_p.narrow(0, 0, batch)?)?.sum(1)?.neg()?;
        let log_p = log_p.reshape((self.views, batch, classes))?;
        let mixture = (log_p.log_sum_exp(0)? - (self.views as f64).ln())?;
        let apart = (log_p.exp()? * log_p.broadcast_sub(&mixture.unsqueeze(0)?)?)?.sum(2)?.mean(0)?;
        hard + (apart * self.alpha)?
    }
    fn validate(&self) -> Result<()> {
        require("jsd", self.views > 1, "views must be at least 2")?;
        check_factor("jsd", "alpha", self.alpha)?;
        check_smoothing("jsd", self.smoothing)
    }
}
