//! Softmax cross-entropy with label smoothing and class weights.

use crate::error::Result;
use crate::loss::{Loss, check_length, check_smoothing, check_weights, paired, per_class, smoothed};
use candle_core::{DType, Error, Tensor};
use candle_nn::ops::log_softmax;
use serde::{Deserialize, Serialize};

/// `ℓ = −Σₖ wₖ qₖ log softmax(z)ₖ` with `q = (1 − ε)·y + ε/K`.
///
/// Label smoothing: Szegedy et al. 2016, "Rethinking the Inception architecture"; where ε is to be shared by the K − 1
/// other classes, give ε·K/(K − 1). Reference implementation: `torch.nn.functional.cross_entropy`. The batch's loss is
/// `Σℓ / Σw_y` over the samples that count for class ids, where `w_y` is the weight of the true class, and `Σℓ / B` for
/// rows, both as PyTorch; if no sample of the batch has any weight it is `Σℓ`, where PyTorch's is NaN. A row loses its
/// share s of the ignored class and counts as 1 − s of a sample, so that one-hot rows count as their class ids do;
/// PyTorch ignores no part of a row.
///
/// | field | default | range |
/// |---|---|---|
/// | `smoothing` | 0 | 0..=1, ε, the share of every target that is spread over all classes |
/// | `weights` | none | w, one number of at least 0 per class, not all 0; none: all 1 |
/// | `ignore` | none | a class id whose samples, or shares of rows, do not count; it need not be below K |
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct CrossEntropy {
    /// ε, the share of every target that is spread over all classes, 0..=1.
    pub smoothing: f64,
    /// w, one weight ≥ 0 per class; none: all 1.
    pub weights: Option<Vec<f64>>,
    /// Samples of this class id, and shares of rows, do not count.
    pub ignore: Option<u32>,
}

impl CrossEntropy {
    /// Logits and rows without what is ignored, and how much of each sample is left then, `[B, 1]`.
    fn counted(&self, output: &Tensor, target: &Tensor) -> candle_core::Result<(Tensor, Tensor, Option<Tensor>)> {
        match (self.ignore, target.rank(), target.dtype()) {
            (Some(ignored), 1, DType::U32) => {
                // Its id need not be one of a class.
                let kept = target.ne(ignored)?;
                let (logits, rows) = paired(output, &kept.where_cond(target, &target.zeros_like()?)?)?;
                let kept = kept.to_dtype(rows.dtype())?.unsqueeze(1)?;
                Ok((logits, rows.broadcast_mul(&kept)?, Some(kept)))
            }
            (Some(ignored), ..) => {
                let (logits, rows) = paired(output, target)?;
                if ignored as usize >= rows.dim(1)? {
                    return Ok((logits, rows, None));
                }
                let others: Vec<f64> = (0..rows.dim(1)?).map(|k| f64::from(k != ignored as usize)).collect();
                let others = rows.broadcast_mul(&per_class(&others, &rows)?)?;
                let kept = (rows - &others)?.sum_keepdim(1)?.affine(-1.0, 1.0)?;
                Ok((logits, others, Some(kept)))
            }
            (None, ..) => {
                let (logits, rows) = paired(output, target)?;
                Ok((logits, rows, None))
            }
        }
    }

    /// The loss of every sample, and the weight of each that may count otherwise than as one.
    fn terms(&self, output: &Tensor, target: &Tensor) -> candle_core::Result<(Tensor, Option<Tensor>)> {
        let (logits, rows, kept) = self.counted(output, target)?;
        let classes = logits.dim(1)?;
        self.check(classes).map_err(Error::wrap)?;
        let share = self.smoothing / classes as f64;
        let mut wanted = match &kept {
            Some(kept) => (&rows * (1.0 - self.smoothing))?.broadcast_add(&(kept * share)?)?,
            None => smoothed(rows.clone(), self.smoothing, 1.0 / classes as f64)?,
        };
        let mut counted = kept.map(|kept| kept.squeeze(1)).transpose()?;
        if let Some(weights) = &self.weights {
            let weights = per_class(weights, &wanted)?;
            wanted = wanted.broadcast_mul(&weights)?;
            if target.rank() == 1 {
                counted = Some(rows.broadcast_mul(&weights)?.sum(1)?);
            }
        }
        Ok(((wanted * log_softmax(&logits, 1)?)?.sum(1)?.neg()?, counted))
    }
}

/// The mean of `losses`, each of which counts as `weights` says that have been multiplied into them; their sum if none
/// counts.
pub(crate) fn weighted_mean(losses: &Tensor, weights: Option<Tensor>) -> candle_core::Result<Tensor> {
    let Some(weights) = weights else {
        return losses.mean_all();
    };
    let total = weights.sum_all()?;
    let none = total.eq(&total.zeros_like()?)?.to_dtype(total.dtype())?;
    losses.sum_all()? / (total + none)?
}

impl Loss for CrossEntropy {
    fn per_sample(&self, output: &Tensor, target: &Tensor) -> candle_core::Result<Tensor> {
        Ok(self.terms(output, target)?.0)
    }
    fn forward(&self, output: &Tensor, target: &Tensor) -> candle_core::Result<Tensor> {
        let (losses, weights) = self.terms(output, target)?;
        weighted_mean(&losses, weights)
    }
    fn validate(&self) -> Result<()> {
        check_smoothing("cross_entropy", self.smoothing)?;
        check_weights("cross_entropy", self.weights.as_ref())
    }
    fn check(&self, classes: usize) -> Result<()> {
        check_length("cross_entropy", "weights", self.weights.as_ref(), classes)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use candle_core::Device;

    #[test]
    fn weights_of_zero_silence_a_class() {
        let logits = Tensor::new(&[[2f32, 1.0], [0.5, 0.1]], &Device::Cpu).unwrap();
        let loss = CrossEntropy { weights: Some(vec![0.0, 1.0]), ..Default::default() };
        let of = |ids: &[u32]| {
            let target = Tensor::new(ids, &Device::Cpu).unwrap();
            loss.forward(&logits, &target).unwrap().to_scalar::<f32>().unwrap()
        };
        assert_eq!(of(&[0, 0]), 0.0);
        assert!((of(&[0, 1]) - 0.913015).abs() < 1e-6);
    }

    #[test]
    fn half_precision_is_computed_in_single() {
        let logits = Tensor::new(&[[2f32, 1.0, 0.125]], &Device::Cpu).unwrap();
        let target = Tensor::new(&[0u32], &Device::Cpu).unwrap();
        let half = logits.to_dtype(DType::BF16).unwrap();
        let loss = CrossEntropy::default();
        let of = |logits| loss.per_sample(logits, &target).unwrap().to_vec1::<f32>().unwrap();
        assert_eq!(of(&logits), of(&half));
    }
}
