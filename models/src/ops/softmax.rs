//! Softmax and its logarithm over the last axis of `[.., C]`, exact gradients (candle-nn's fused one loses them).
//!
//! F64 is summed in F64, F32 on vectors whose lanes are added in double precision. As PyTorch: a NaN makes its whole row NaN, and so do `+∞` and a row of `-∞`.

use super::cpu::simd::{Simd, Work, dispatch};
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

/// Every row of `c` numbers becomes the softmax of its `scale`-fold.
pub(super) fn rows<T: Element>(x: &mut [T], c: usize, scale: f64) {
    if let Some(x) = T::single_mut(x) {
        return dispatch(Rows { x, c, scale: scale as f32 });
    }
    let scale = T::of(scale);
    for x in x.chunks_exact_mut(c) {
        let (top, mut sum) = (largest(x), 0.0);
        for x in x.iter_mut() {
            *x = ((*x - top) * scale).exp();
            sum += x.wide();
        }
        let sum = T::of(sum);
        x.iter_mut().for_each(|x| *x /= sum);
    }
}

/// Rows of gradients of softmaxes `y` become those of what these were taken of, `scale · y · (dy − Σ y · dy)`.
pub(super) fn back_rows<T: Element>(y: &[T], dy: &mut [T], c: usize, scale: f64) {
    if let (Some(y), Some(dy)) = (T::single(y), T::single_mut(dy)) {
        return dispatch(BackRows { y, dy, c, scale: scale as f32 });
    }
    let scale = T::of(scale);
    for (dy, y) in dy.chunks_exact_mut(c).zip(y.chunks_exact(c)) {
        let dot = T::of(y.iter().zip(dy.iter()).map(|(y, dy)| y.wide() * dy.wide()).sum());
        dy.iter_mut().zip(y).for_each(|(dy, &y)| *dy = scale * y * (*dy - dot));
    }
}

/// [`largest`] on vectors.
#[inline(always)]
fn top<S: Simd>(s: S, x: &[f32]) -> f32 {
    let mut top = s.splat(f32::NEG_INFINITY);
    let vectors = x.chunks_exact(S::LANES);
    let rest = largest(vectors.remainder());
    for x in vectors {
        // The second operand survives when the first is not a number.
        top = s.max(s.read(x, S::LANES), top);
    }
    let mut lanes = [f32::NEG_INFINITY; 16];
    s.write(&mut lanes, S::LANES, top);
    largest(&lanes).max(rest)
}

/// `x ← e^((x − top) · scale)`; their sum.
#[inline(always)]
fn powers<S: Simd>(s: S, x: &mut [f32], top: f32, scale: f32) -> f64 {
    let (top, scale, mut sum) = (s.splat(top), s.splat(scale), s.zero());
    for x in x.chunks_mut(S::LANES) {
        let n = x.len();
        let y = s.exp(s.mul(s.sub(s.read(x, n), top), scale));
        s.write(x, n, y);
        // Read again, lanes behind the row are zeros.
        sum = s.add(sum, if n == S::LANES { y } else { s.read(x, n) });
    }
    s.total(sum)
}

/// `Σ a · b`.
#[inline(always)]
fn dot<S: Simd>(s: S, a: &[f32], b: &[f32]) -> f64 {
    let mut sum = s.zero();
    for (a, b) in a.chunks(S::LANES).zip(b.chunks(S::LANES)) {
        sum = s.fma(s.read(a, a.len()), s.read(b, a.len()), sum);
    }
    s.total(sum)
}

/// `x ← f(x, other)`.
#[inline(always)]
fn change<S: Simd>(s: S, x: &mut [f32], other: &[f32], f: impl Fn(S::V, S::V) -> S::V) {
    for (x, other) in x.chunks_mut(S::LANES).zip(other.chunks(S::LANES)) {
        let n = x.len();
        let y = f(s.read(x, n), s.read(other, n));
        s.write(x, n, y);
    }
}

struct Rows<'a> {
    x: &'a mut [f32],
    c: usize,
    scale: f32,
}

impl Work for Rows<'_> {
    type Out = ();
    #[inline(always)]
    fn run<S: Simd>(self, s: S) {
        for x in self.x.chunks_exact_mut(self.c) {
            let top = top(s, x);
            let share = s.splat((1.0 / powers(s, x, top, self.scale)) as f32);
            for x in x.chunks_mut(S::LANES) {
                let y = s.mul(s.read(x, x.len()), share);
                s.write(x, x.len(), y);
            }
        }
    }
}

struct BackRows<'a> {
    y: &'a [f32],
    dy: &'a mut [f32],
    c: usize,
    scale: f32,
}

impl Work for BackRows<'_> {
    type Out = ();
    #[inline(always)]
    fn run<S: Simd>(self, s: S) {
        let scale = s.splat(self.scale);
        for (dy, y) in self.dy.chunks_exact_mut(self.c).zip(self.y.chunks_exact(self.c)) {
            let dot = s.splat(dot(s, y, dy) as f32);
            change(
                s,
                dy,
                y,
                #[inline(always)]
                |dy, y| s.mul(scale, s.mul(y, s.sub(dy, dot))),
            );
        }
    }
}

/// Rows become the logarithms of their softmaxes. `room` is a row of scratch memory.
struct LogRows<'a> {
    x: &'a mut [f32],
    room: &'a mut [f32],
}

impl Work for LogRows<'_> {
    type Out = ();
    #[inline(always)]
    fn run<S: Simd>(self, s: S) {
        for x in self.x.chunks_exact_mut(self.room.len()) {
            let top = top(s, x);
            self.room.copy_from_slice(x);
            let log = powers(s, self.room, top, 1.0).ln() as f32;
            x.iter_mut().for_each(|x| *x = *x - top - log);
        }
    }
}

/// Rows of gradients of logarithms `y` become those of what these were taken of, `dy − e^y · Σ dy`.
struct BackLogRows<'a> {
    y: &'a [f32],
    dy: &'a mut [f32],
    c: usize,
}

impl Work for BackLogRows<'_> {
    type Out = ();
    #[inline(always)]
    fn run<S: Simd>(self, s: S) {
        for (dy, y) in self.dy.chunks_exact_mut(self.c).zip(self.y.chunks_exact(self.c)) {
            let mut sum = s.zero();
            for dy in dy.chunks(S::LANES) {
                sum = s.add(sum, s.read(dy, dy.len()));
            }
            let sum = s.splat(s.total(sum) as f32);
            change(
                s,
                dy,
                y,
                #[inline(always)]
                |dy, y| s.fnma(s.exp(y), sum, dy),
            );
        }
    }
}

/// `f` for some whole rows of a copy of `x` at a time.
fn in_tasks<T: Element>(x: &[T], shape: &Shape, f: impl Fn(&mut [T], usize) + Sync) -> Vec<T> {
    let task = row(shape).1;
    let mut y = x.to_vec();
    y.par_chunks_mut(task).enumerate().for_each(|(i, y)| f(y, i * task));
    y
}

struct Softmax;

impl Kernel1 for Softmax {
    const NAME: &'static str = "softmax";

    fn run<T: Element>(&self, x: &[T], shape: &Shape) -> Result<(Vec<T>, Shape)> {
        Ok((in_tasks(x, shape, |y, _| rows(y, row(shape).0, 1.0)), shape.clone()))
    }

    fn grad(&self, _: &Tensor, y: &Tensor, dy: &Tensor) -> Result<Tensor> {
        y.apply_op2_no_bwd(dy, &Op2(SoftmaxGrad))
    }
}

struct SoftmaxGrad;

impl Kernel2 for SoftmaxGrad {
    const NAME: &'static str = "softmax_grad";

    fn run<T: Element>(&self, y: &[T], shape: &Shape, dy: &[T], _: &Shape) -> Result<(Vec<T>, Shape)> {
        let dx = in_tasks(dy, shape, |dy, at| back_rows(&y[at..][..dy.len()], dy, row(shape).0, 1.0));
        Ok((dx, shape.clone()))
    }
}

struct LogSoftmax;

impl Kernel1 for LogSoftmax {
    const NAME: &'static str = "log_softmax";

    fn run<T: Element>(&self, x: &[T], shape: &Shape) -> Result<(Vec<T>, Shape)> {
        let c = row(shape).0;
        let y = in_tasks(x, shape, |y, _| {
            if let Some(x) = T::single_mut(y) {
                return dispatch(LogRows { x, room: &mut vec![0.0; c] });
            }
            for y in y.chunks_exact_mut(c) {
                let top = largest(y);
                let log = T::of(y.iter().map(|&y| (y - top).exp().wide()).sum::<f64>().ln());
                y.iter_mut().for_each(|y| *y = *y - top - log);
            }
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
        let c = row(shape).0;
        let dx = in_tasks(dy, shape, |dy, at| {
            let y = &y[at..][..dy.len()];
            if let (Some(y), Some(dy)) = (T::single(y), T::single_mut(dy)) {
                return dispatch(BackLogRows { y, dy, c });
            }
            for (dy, y) in dy.chunks_exact_mut(c).zip(y.chunks_exact(c)) {
                let sum = T::of(dy.iter().map(|dy| dy.wide()).sum());
                dy.iter_mut().zip(y).for_each(|(dy, &y)| *dy -= y.exp() * sum);
            }
        });
        Ok((dx, shape.clone()))
    }
}
