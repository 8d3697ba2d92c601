//! Future positions with several guesses.

use crate::error::Result;
use crate::logits::mask;
use crate::loss::{Loss, beside, logits, require};
use candle_core::{Error, Tensor, bail};
use candle_nn::ops::{log_softmax, softmax};
use serde::{Deserialize, Serialize};

/// `ℓ = −log Σ_m exp(log c_m − ½ Σ_t aₜ [(x̄ₜᵐ − xₜ)² + (ȳₜᵐ − yₜ)²])`, c the softmax of the confidences, a 0 where a
/// position is not known.
///
/// Houston et al. 2020, "One thousand and one hours" (arXiv 2006.14480). Reference implementation: l5kit
/// `neg_multi_log_likelihood`. It reads what the head `trajectory` says, M·T·2 positions mode by mode and M
/// confidences, none for one mode. A target is `[B, 2·T]`: x and y of every step, NaN where not known.
///
/// | field | default | range |
/// |---|---|---|
/// | `modes` | 3 | at least 1, M; the head's |
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct TrajectoryNll {
    /// M, the head's.
    pub modes: usize,
}

impl Default for TrajectoryNll {
    fn default() -> Self {
        Self { modes: 3 }
    }
}

impl TrajectoryNll {
    /// Positions `[B, M, 2·T]` and confidences `[B, M]`, of which one mode has none.
    fn split(&self, outputs: &Tensor) -> candle_core::Result<(Tensor, Option<Tensor>)> {
        self.validate().map_err(Error::wrap)?;
        let (batch, width) = outputs.dims2()?;
        let confidences = if self.modes > 1 { self.modes } else { 0 };
        let positions = width.saturating_sub(confidences);
        if positions == 0 || positions % (2 * self.modes) != 0 {
            bail!("{width} outputs are not the positions and confidences of {} modes", self.modes);
        }
        let shape = (batch, self.modes, positions / self.modes);
        let confidences = (self.modes > 1).then(|| outputs.narrow(1, positions, confidences)).transpose()?;
        Ok((outputs.narrow(1, 0, positions)?.reshape(shape)?, confidences))
    }
}

impl Loss for TrajectoryNll {
    fn per_sample(&self, output: &Tensor, target: &Tensor) -> candle_core::Result<Tensor> {
        let outputs = beside(output, target)?;
        let (positions, confidences) = self.split(&outputs)?;
        let numbers = positions.dim(2)?;
        if target.rank() != 2 || target.dim(1)? != numbers || !target.dtype().is_float() {
            let (dims, kind) = (target.dims(), target.dtype());
            bail!("a target is [B, {numbers}] positions, got {dims:?} {kind:?}");
        }
        let target = target.to_dtype(outputs.dtype())?;
        let known = target.eq(&target)?;
        let target = known.where_cond(&target, &target.zeros_like()?)?.unsqueeze(1)?;
        let known = mask(&known, outputs.dtype())?.unsqueeze(1)?;
        let apart = positions.broadcast_sub(&target)?.broadcast_mul(&known)?;
        let fits = (apart.sqr()?.sum(2)? * -0.5)?;
        match confidences {
            Some(confidences) => (log_softmax(&confidences, 1)? + fits)?.log_sum_exp(1)?.neg(),
            None => fits.sum(1)?.neg(),
        }
    }
    /// The positions as they are and, for several modes, confidences that sum to 1.
    fn probabilities(&self, output: &Tensor) -> candle_core::Result<Tensor> {
        let (positions, confidences) = self.split(&logits(output)?)?;
        let positions = positions.flatten_from(1)?;
        match confidences {
            Some(confidences) => Tensor::cat(&[&positions, &softmax(&confidences, 1)?], 1),
            None => Ok(positions),
        }
    }
    fn validate(&self) -> Result<()> {
        require("trajectory_nll", self.modes > 0, "modes must be at least 1")
    }
}
