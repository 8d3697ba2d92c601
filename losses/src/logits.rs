//! Parts of losses, with digits where the plain formula loses them and gradients where candle's operation has none.

use candle_core::{DType, Device, Tensor};

/// As good as −∞ for a logit, but no NaN comes of it.
pub(crate) const NEVER: f64 = -1e30;

/// `log(1 + e^x)` and `log(1 + e^−x)`.
///
/// Written as relu(x) + tail and (relu(x) − x) + tail no digits are lost, and gradients are right at x = 0, where relu
/// and abs have kinks that cancel only in this form.
pub(crate) fn softplus_both(x: &Tensor) -> candle_core::Result<(Tensor, Tensor)> {
    let tail = (x.abs()?.neg()?.exp()? + 1.0)?.log()?;
    let positive = x.relu()?;
    let negative = ((&positive - x)? + &tail)?;
    Ok(((positive + tail)?, negative))
}

/// `log(1 + e^x)`.
pub(crate) fn softplus(x: &Tensor) -> candle_core::Result<Tensor> {
    Ok(softplus_both(x)?.0)
}

/// A comparison's result as 0 and 1, without gradient.
pub(crate) fn mask(condition: &Tensor, dtype: DType) -> candle_core::Result<Tensor> {
    Ok(condition.to_dtype(dtype)?.detach())
}

/// `max(x, 0)` whose gradient at 0 is 0, as PyTorch's; candle's relu has 1.
pub(crate) fn hinge(x: &Tensor) -> candle_core::Result<Tensor> {
    x * mask(&x.gt(0.0)?, x.dtype())?
}

/// `|x|` whose gradient at 0 is 0, as PyTorch's; candle's has 1.
pub(crate) fn magnitude(x: &Tensor) -> candle_core::Result<Tensor> {
    x * x.sign()?.detach()
}

/// `log x` of numbers of at least 0. Where there is next to nothing it and its gradient stay finite: the gradient is 0.
pub(crate) fn safe_log(x: &Tensor) -> candle_core::Result<Tensor> {
    floored(x)?.log()
}

/// `√x` of numbers of at least 0, with a gradient of 0 where there is next to nothing.
pub(crate) fn safe_sqrt(x: &Tensor) -> candle_core::Result<Tensor> {
    floored(x)?.sqrt()
}

fn floored(x: &Tensor) -> candle_core::Result<Tensor> {
    // Above the square root of the least normal number, for gradients divide by squares.
    let least = if x.dtype() == DType::F64 { 1e-150 } else { 1e-18 };
    let floor = x.zeros_like()?.affine(0.0, least)?;
    // What is not a number is not below either.
    x.le(least)?.where_cond(&floor, x)
}

/// `log(1 − pₖ)` for every class, `[B, K]`, from `log p`.
///
/// At most one class has more than half. What the others have together is summed without it, for `1 − p` has no digits
/// left there.
pub(crate) fn log_rest(log_p: &Tensor) -> candle_core::Result<Tensor> {
    let p = log_p.exp()?;
    let top = mask(&p.gt(0.5)?, p.dtype())?;
    let below = top.affine(-1.0, 1.0)?;
    let others = (log_p + (&top * NEVER)?)?.log_sum_exp(1)?.unsqueeze(1)?;
    let rest = (p * &below)?.affine(-1.0, 1.0)?.log()?;
    top.broadcast_mul(&others)? + (below * rest)?
}

/// Rows as distributions: divided by what they sum to, so that several labels share a sample. Rows of zeros stay.
pub(crate) fn distributions(rows: &Tensor) -> candle_core::Result<Tensor> {
    let total = rows.sum_keepdim(1)?;
    let none = mask(&total.eq(&total.zeros_like()?)?, total.dtype())?;
    rows.broadcast_div(&(total + none)?)
}

/// A matrix of `dtype` on the device of `like`, from what `of` says of row and column.
pub(crate) fn matrix(
    (rows, columns): (usize, usize),
    like: &Tensor,
    of: impl Fn(usize, usize) -> f64,
) -> candle_core::Result<Tensor> {
    let of = &of;
    let values: Vec<f64> = (0..rows).flat_map(|i| (0..columns).map(move |j| of(i, j))).collect();
    Tensor::from_vec(values, (rows, columns), &Device::Cpu)?.to_dtype(like.dtype())?.to_device(like.device())
}

/// `value` with the `gradient` of each of its numbers towards that of `input`, whatever either was computed from.
pub(crate) fn with_slope(value: &Tensor, input: &Tensor, slope: &Tensor) -> candle_core::Result<Tensor> {
    value.detach() + ((input - input.detach())? * slope.detach())?
}

/// `value` `[B]` with `gradient` `[B, K]` towards `input`, whatever either was computed from.
pub(crate) fn with_gradient(value: &Tensor, input: &Tensor, gradient: &Tensor) -> candle_core::Result<Tensor> {
    let nothing = (input - input.detach())?;
    value.detach() + (nothing * gradient.detach())?.sum(1)?
}

/// The losses `[B]` of logits beside rows `[B, K]`. `of` says the value of a sample and writes its gradient into the
/// third slice. It computes in F64 on the CPU; on another device that is waited for.
pub(crate) fn row_by_row(
    logits: &Tensor,
    rows: &Tensor,
    of: impl Fn(&[f64], &[f64], &mut [f64]) -> f64,
) -> candle_core::Result<Tensor> {
    let numbers = |t: &Tensor| t.to_device(&Device::Cpu)?.to_dtype(DType::F64)?.to_vec2::<f64>();
    let (batch, classes) = logits.dims2()?;
    let mut gradient = vec![0.0; batch * classes];
    let samples = numbers(logits)?.into_iter().zip(numbers(rows)?).zip(gradient.chunks_exact_mut(classes));
    let values: Vec<f64> = samples.map(|((z, q), gradient)| of(&z, &q, gradient)).collect();
    let back = |t: Tensor| t.to_dtype(logits.dtype())?.to_device(logits.device());
    let values = back(Tensor::from_vec(values, batch, &Device::Cpu)?)?;
    let gradient = back(Tensor::from_vec(gradient, (batch, classes), &Device::Cpu)?)?;
    with_gradient(&values, logits, &gradient)
}

#[cfg(test)]
mod tests {
    use super::*;
    use candle_core::Var;

    #[test]
    fn what_is_not_a_number_has_no_logarithm() {
        for dtype in [DType::F64, DType::F32] {
            let x = Tensor::new(&[f64::NAN, 0.0], &Device::Cpu).unwrap().to_dtype(dtype).unwrap();
            for y in [safe_log(&x), safe_sqrt(&x)] {
                let y = y.unwrap().to_dtype(DType::F64).unwrap().to_vec1::<f64>().unwrap();
                assert!(y[0].is_nan() && y[1].is_finite(), "{y:?}");
            }
        }
    }

    #[test]
    fn the_rest_of_a_sure_class_has_digits() {
        let log_p = Tensor::new(&[[0f32, -40.0, -50.0]], &Device::Cpu).unwrap();
        let rest = log_rest(&log_p).unwrap().to_vec2::<f32>().unwrap().remove(0);
        assert!((rest[0] + 40.0).abs() < 1e-4 && rest[1].abs() < 1e-6 && rest[2].abs() < 1e-6, "{rest:?}");
        let alone = log_rest(&Tensor::new(&[[0f32]], &Device::Cpu).unwrap()).unwrap();
        assert!(alone.to_vec2::<f32>().unwrap()[0][0] < -1e29);
    }

    #[test]
    fn kinks_have_the_gradients_of_pytorch() {
        let x = Var::new(&[-1f64, 0.0, 2.0], &Device::Cpu).unwrap();
        let of = |y: candle_core::Result<Tensor>| {
            y.unwrap().sum_all().unwrap().backward().unwrap().get(&x).unwrap().to_vec1::<f64>().unwrap()
        };
        assert_eq!(of(hinge(&x)), [0.0, 0.0, 1.0]);
        assert_eq!(of(magnitude(&x)), [-1.0, 0.0, 1.0]);
        assert_eq!(of(softplus(&x))[1], 0.5);
        assert_eq!(of(safe_sqrt(&x.relu().unwrap()))[1], 0.0);
        assert_eq!(of(safe_log(&x.relu().unwrap()))[1], 0.0);
    }
}
