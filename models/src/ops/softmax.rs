//! Softmax and its logarithm over the last axis of `[.., C]`, exact gradients (candle-nn's fused one loses them).
//!
//! Sums are taken in double precision. As PyTorch: a NaN makes its whole row NaN, and so do `+∞` and a row of `-∞`.

use super::element::Element;
use super::kernel::{Kernel1, Kernel2, Op1, Op2, PIXELS_PER_TASK};
use candle_core::{D, Result, Shape, Tensor, bail};
use rayon::prelude::*;

/// `e^x / Σ e^x` over the last axis of `x` `[.., C]`.
///
/// # Errors
/// When the input is empty.
pub fn softmax(x: &Tensor) -> Result<Tensor> {
    check(x)?;
    if x.device().is_cpu() { x.contiguous()?.apply_op1(Op1(Softmax)) } else { composed(x) }
}

/// `x − ln Σ e^x` over the last axis of `x` `[.., C]`.
///
/// # Errors
/// When the input is empty.
pub fn log_softmax(x: &Tensor) -> Result<Tensor> {
    check(x)?;
    if x.device().is_cpu() { x.contiguous()?.apply_op1(Op1(LogSoftmax)) } else { composed_log(x) }
}

/// [`softmax`] from plain candle ops.
pub fn composed(x: &Tensor) -> Result<Tensor> {
    check(x)?;
    let e = x.broadcast_sub(&x.detach().max_keepdim(D::Minus1)?)?.exp()?;
    e.broadcast_div(&e.sum_keepdim(D::Minus1)?)
}

/// [`log_softmax`] from plain candle ops.
pub fn composed_log(x: &Tensor) -> Result<Tensor> {
    check(x)?;
    let x = x.broadcast_sub(&x.detach().max_keepdim(D::Minus1)?)?;
    x.broadcast_sub(&x.exp()?.sum_keepdim(D::Minus1)?.log()?)
}

fn check(x: &Tensor) -> Result<()> {
    if x.rank() == 0 || x.elem_count() == 0 {
        bail!("softmax: empty input {:?}", x.dims())
    }
    Ok(())
}

/// Length of a row, and values per task: whole rows, a number that depends on C only.
fn row(shape: &Shape) -> (usize, usize) {
    let c = shape.dims().last().copied().unwrap_or(1).max(1);
    (c, (PIXELS_PER_TASK * 4 / c).max(1) * c)
}

/// The largest value of a row; NaN is never larger, but stays in the row and spreads from there.
fn largest<T: Element>(x: &[T]) -> T {
    x.iter().fold(T::LOWEST, |m, &v| if v > m { v } else { m })
}

/// Calls `f` with every row of `a` and of the result.
fn map_rows<T: Element>(a: &[T], shape: &Shape, f: impl Fn(&[T], &mut [T]) + Sync) -> Vec<T> {
    let (c, task) = row(shape);
    let mut y = vec![T::ZERO; a.len()];
    y.par_chunks_mut(task).zip(a.par_chunks(task)).for_each(|(y, a)| {
        y.chunks_exact_mut(c).zip(a.chunks_exact(c)).for_each(|(y, a)| f(a, y));
    });
    y
}

/// Calls `f` with every row of `y`, `dy` and of the result.
fn map_row_pairs<T: Element>(y: &[T], dy: &[T], shape: &Shape, f: impl Fn(&[T], &[T], &mut [T]) + Sync) -> Vec<T> {
    let (c, task) = row(shape);
    let mut dx = vec![T::ZERO; y.len()];
    dx.par_chunks_mut(task).zip(y.par_chunks(task).zip(dy.par_chunks(task))).for_each(|(dx, (y, dy))| {
        let rows = dx.chunks_exact_mut(c).zip(y.chunks_exact(c).zip(dy.chunks_exact(c)));
        rows.for_each(|(dx, (y, dy))| f(y, dy, dx));
    });
    dx
}

struct Softmax;

impl Kernel1 for Softmax {
    const NAME: &'static str = "softmax";

    fn run<T: Element>(&self, x: &[T], shape: &Shape) -> Result<(Vec<T>, Shape)> {
        let y = map_rows(x, shape, |x, y| {
            let (top, mut sum) = (largest(x), 0.0);
            for (y, &x) in y.iter_mut().zip(x) {
                *y = (x - top).exp();
                sum += y.wide();
            }
            let sum = T::of(sum);
            y.iter_mut().for_each(|y| *y /= sum);
        });
        Ok((y, shape.clone()))
    }

    fn grad(&self, _: &Tensor, y: &Tensor, dy: &Tensor) -> Result<Tensor> {
        y.apply_op2_no_bwd(dy, &Op2(SoftmaxGrad))
    }
}

struct SoftmaxGrad;

impl Kernel2 for SoftmaxGrad {
    const NAME: &'static str = "softmax_grad";

    fn run<T: Element>(&self, y: &[T], shape: &Shape, dy: &[T], _: &Shape) -> Result<(Vec<T>, Shape)> {
        let dx = map_row_pairs(y, dy, shape, |y, dy, dx| {
            let dot = T::of(y.iter().zip(dy).map(|(y, dy)| y.wide() * dy.wide()).sum());
            dx.iter_mut().zip(y.iter().zip(dy)).for_each(|(dx, (&y, &dy))| *dx = y * (dy - dot));
        });
        Ok((dx, shape.clone()))
    }
}

struct LogSoftmax;

impl Kernel1 for LogSoftmax {
    const NAME: &'static str = "log_softmax";

    fn run<T: Element>(&self, x: &[T], shape: &Shape) -> Result<(Vec<T>, Shape)> {
        let y = map_rows(x, shape, |x, y| {
            let top = largest(x);
            let log = T::of(x.iter().map(|&x| (x - top).exp().wide()).sum::<f64>().ln());
            y.iter_mut().zip(x).for_each(|(y, &x)| *y = x - top - log);
        });
        Ok((y, shape.clone()))
    }

    fn grad(&self, _: &Tensor, y: &Tensor, dy: &Tensor) -> Result<Tensor> {
        y.apply_op2_no_bwd(dy, &Op2(LogSoftmaxGrad))
    }
}

struct LogSoftmaxGrad;

impl Kernel2 for LogSoftmaxGrad {
    const NAME: &'static str = "log_softmax_grad";

    fn run<T: Element>(&self, y: &[T], shape: &Shape, dy: &[T], _: &Shape) -> Result<(Vec<T>, Shape)> {
        let dx = map_row_pairs(y, dy, shape, |y, dy, dx| {
            let sum = T::of(dy.iter().map(|dy| dy.wide()).sum());
            dx.iter_mut().zip(y.iter().zip(dy)).for_each(|(dx, (&y, &dy))| *dx = dy - y.exp() * sum);
        });
        Ok((dx, shape.clone()))
    }
}
