//! Earth mover's distance between distributions over ordered bins.

use crate::error::Result;
use crate::logits::{distributions, magnitude, matrix, safe_log, safe_sqrt};
use crate::loss::{Loss, paired, require};
use candle_core::Tensor;
use candle_nn::ops::softmax;
use serde::{Deserialize, Serialize};

/// `ℓ = (1/K Σₖ |CDF_p(k) − CDF_q(k)|^r)^{1/r}`, `p = softmax(z)`, q the target divided by what it sums to.
///
/// Hou et al. 2016, "Squared earth mover's distance-based loss" (arXiv 1611.05916), in the form of Talebi & Milanfar
/// 2017, "NIMA" (arXiv 1709.05424). Reference: the formula in PyTorch. Where p equals q the gradient is 0.
///
/// | field | default | range |
/// |---|---|---|
/// | `r` | 2 | at least 1 |
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Emd {
    /// r, at least 1.
    pub r: f64,
}

impl Default for Emd {
    fn default() -> Self {
        Self { r: 2.0 }
    }
}

impl Loss for Emd {
    fn per_sample(&self, output: &Tensor, target: &Tensor) -> candle_core::Result<Tensor> {
        let (logits, rows) = paired(output, target)?;
        let classes = logits.dim(1)?;
        let up_to = matrix((classes, classes), &logits, |i, k| if i <= k { 1.0 } else { 0.0 })?;
        let apart = (softmax(&logits, 1)? - distributions(&rows)?)?.matmul(&up_to)?;
        match self.r {
            1.0 => magnitude(&apart)?.mean(1),
            2.0 => safe_sqrt(&apart.sqr()?.mean(1)?),
            r => {
                let powers = (safe_log(&magnitude(&apart)?)? * r)?.exp()?;
                (safe_log(&powers.mean(1)?)? / r)?.exp()
            }
        }
    }
    fn validate(&self) -> Result<()> {
        let holds = self.r >= 1.0 && self.r.is_finite();
        require("emd", holds, format!("r must be at least 1, got {}", self.r))
    }
}
