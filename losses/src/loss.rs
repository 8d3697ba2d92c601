//! The trait of all losses, and targets as rows.

use crate::error::{Error, Result};
use candle_core::{DType, Device, Tensor, bail};
use candle_nn::ops::softmax;
use std::fmt::Debug;

/// What training minimizes.
///
/// `output` is `[B, K]` logits unless the loss says what else it reads. A target is a tensor too: `[B]` U32 class ids
/// or `[B, K]` rows of floats (one-hot, smoothed, mixed up, distilled, multi-label); every loss of classes takes all of
/// them. Half precision is computed in F32, F64 stays F64.
pub trait Loss: Debug + Send + Sync {
    /// The loss of every sample, `[B]`, F32 or F64. Where samples are compared with each other it is what a sample
    /// loses in the comparisons that start from it.
    ///
    /// # Errors
    /// Shapes that do not fit, class ids that are not below K, a loss that only a whole batch has.
    fn per_sample(&self, output: &Tensor, target: &Tensor) -> candle_core::Result<Tensor>;
    /// The loss of the batch, a scalar: the mean over the samples unless the loss says otherwise.
    ///
    /// # Errors
    /// As [`Loss::per_sample`].
    fn forward(&self, output: &Tensor, target: &Tensor) -> candle_core::Result<Tensor> {
        self.per_sample(output, target)?.mean_all()
    }
    /// The probabilities that an output means, `[B, K]` for K classes, F32 or F64: the softmax of its logits unless the
    /// loss says otherwise.
    ///
    /// # Errors
    /// Shapes that do not fit, an output that says nothing about classes.
    fn probabilities(&self, output: &Tensor) -> candle_core::Result<Tensor> {
        softmax(&logits(output)?, 1)
    }
    /// Rejects impossible parameters.
    ///
    /// # Errors
    /// [`Error::Invalid`] names the parameter.
    fn validate(&self) -> Result<()> {
        Ok(())
    }
    /// Rejects parameters that do not fit `classes` classes, such as a list of weights of another length.
    ///
    /// # Errors
    /// [`Error::Invalid`] names the parameter.
    fn check(&self, classes: usize) -> Result<()> {
        let _ = classes;
        Ok(())
    }
}

/// Any target as rows, `[B, K]` of `dtype`, K = `classes`; class ids become one-hot rows.
///
/// # Errors
/// A target that is neither `[B]` U32 nor `[B, K]` floats, and on the CPU a class id that is not below K. Elsewhere
/// looking at the ids would wait for the device at every step: there the row of such an id is NaN.
pub fn rows(target: &Tensor, classes: usize, dtype: DType) -> candle_core::Result<Tensor> {
    match (target.dims(), target.dtype()) {
        ([_], DType::U32) => one_hot(target, classes, dtype),
        (&[_, k], kind) if k == classes && kind.is_float() => target.to_dtype(dtype),
        (dims, kind) => {
            bail!("a target is [B] U32 class ids or [B, {classes}] rows of floats, got {dims:?} {kind:?}")
        }
    }
}

fn one_hot(ids: &Tensor, classes: usize, dtype: DType) -> candle_core::Result<Tensor> {
    let all = Tensor::arange(0u32, classes as u32, ids.device())?.unsqueeze(0)?;
    let rows = ids.unsqueeze(1)?.broadcast_eq(&all)?.to_dtype(dtype)?;
    if !ids.device().is_cpu() {
        return rows.broadcast_div(&rows.sum_keepdim(1)?);
    }
    match ids.to_vec1::<u32>()?.into_iter().enumerate().find(|(_, id)| *id as usize >= classes) {
        Some((i, id)) => bail!("sample {i} of the batch has class id {id}, but there are only {classes} classes"),
        None => Ok(rows),
    }
}

/// `[B, K]` in at least F32.
pub(crate) fn logits(output: &Tensor) -> candle_core::Result<Tensor> {
    match output.dims() {
        [_, _] => output.to_dtype(if output.dtype() == DType::F64 { DType::F64 } else { DType::F32 }),
        dims => bail!("an output is [B, K] logits, got {dims:?}"),
    }
}

/// `output` in at least F32, after a look at whether there is a target for each of its samples.
pub(crate) fn beside(output: &Tensor, target: &Tensor) -> candle_core::Result<Tensor> {
    let logits = logits(output)?;
    if logits.elem_count() == 0 || target.dims().first() != Some(&logits.dim(0)?) {
        bail!("an output of shape {:?} and a target of shape {:?} do not fit", output.dims(), target.dims());
    }
    Ok(logits)
}

/// `output` in at least F32 and `target` as rows beside it.
pub(crate) fn paired(output: &Tensor, target: &Tensor) -> candle_core::Result<(Tensor, Tensor)> {
    let logits = beside(output, target)?;
    let rows = rows(target, logits.dim(1)?, logits.dtype())?;
    Ok((logits, rows))
}

/// `(1 − smoothing)·rows + smoothing·to`.
pub(crate) fn smoothed(rows: Tensor, smoothing: f64, to: f64) -> candle_core::Result<Tensor> {
    match smoothing {
        0.0 => Ok(rows),
        smoothing => rows.affine(1.0 - smoothing, smoothing * to),
    }
}

/// One number per class as `[1, K]`, of the type and on the device of `like`.
pub(crate) fn per_class(values: &[f64], like: &Tensor) -> candle_core::Result<Tensor> {
    Tensor::new(values, &Device::Cpu)?.to_dtype(like.dtype())?.to_device(like.device())?.unsqueeze(0)
}

/// Whether `holds` of a parameter; `rule` names it and says what it must be.
pub(crate) fn require(name: &'static str, holds: bool, rule: impl Into<String>) -> Result<()> {
    match holds {
        true => Ok(()),
        false => Err(Error::Invalid { name, why: rule.into() }),
    }
}

pub(crate) fn check_smoothing(name: &'static str, smoothing: f64) -> Result<()> {
    require(name, (0.0..=1.0).contains(&smoothing), format!("smoothing must be in 0..=1, got {smoothing}"))
}

/// Whether a number is finite and at least 0.
pub(crate) fn check_factor(name: &'static str, field: &str, factor: f64) -> Result<()> {
    let rule = format!("{field} must be finite and at least 0, got {factor}");
    require(name, factor >= 0.0 && factor.is_finite(), rule)
}

/// Whether a number is finite and above 0, in single precision too, which is what is computed with.
pub(crate) fn check_positive(name: &'static str, field: &str, number: f64) -> Result<()> {
    let holds = number as f32 > 0.0 && (number as f32).is_finite();
    require(name, holds, format!("{field} must be finite and above 0 in single precision, got {number}"))
}

pub(crate) fn check_factors(name: &'static str, field: &str, factors: Option<&Vec<f64>>) -> Result<()> {
    factors.into_iter().flatten().try_for_each(|w| check_factor(name, field, *w))
}

/// Whether one weight per class makes some class count.
pub(crate) fn check_weights(name: &'static str, weights: Option<&Vec<f64>>) -> Result<()> {
    check_factors(name, "weights", weights)?;
    let some = weights.is_none_or(|weights| weights.iter().any(|w| *w > 0.0));
    require(name, some, "weights must not all be 0, no sample would count")
}

pub(crate) fn check_length<T>(name: &'static str, field: &str, factors: Option<&Vec<T>>, classes: usize) -> Result<()> {
    match factors.map(Vec::len) {
        Some(length) if length != classes => {
            let why = format!("{field} needs one number per class, got {length} for {classes} classes");
            Err(Error::Invalid { name, why })
        }
        _ => Ok(()),
    }
}

/// Samples of each class, as a loss needs them that knows how frequent classes are. A class without samples counts as
/// one with a single sample.
pub(crate) fn needed(name: &'static str, counts: Option<&Vec<u64>>, classes: usize) -> Result<Vec<f64>> {
    check_length(name, "counts", counts, classes)?;
    match counts {
        Some(counts) => Ok(counts.iter().map(|n| *n.max(&1) as f64).collect()),
        None => {
            let why = "counts is missing, the number of training samples of each class; recipes fill it in";
            Err(Error::Invalid { name, why: why.into() })
        }
    }
}
