//! Layer normalization over the last axis of `[.., C]` (Ba et al. 2016), exact gradients.
//!
//! Moments are taken row by row, in F64 as they are, in F32 on vectors from the row's first value on, so that a large mean
//! costs no digits; the parameters' gradients are summed in fixed pieces.

use super::cpu::simd::{Simd, Work, dispatch};
use super::element::{Element, narrowed, slice, widened};
use super::kernel::{Kernel2, Op2, PIXELS_PER_TASK};
use candle_core::{CpuStorage, CustomOp3, D, DType, Layout, Result, Shape, Tensor, bail};
use rayon::prelude::*;

/// Every row of `x` `[.., C]` normalized by its own mean and biased variance, then scaled by `weight` and moved by `bias`
/// (both `[C]`, F32 for half-precision `x`), as PyTorch's `LayerNorm`.
///
/// # Errors
/// When the parameters do not have C values, or the input is empty.
pub fn layer_norm(x: &Tensor, weight: &Tensor, bias: &Tensor, eps: f64) -> Result<Tensor> {
    check(x, weight, bias)?;
    if !x.device().is_cpu() {
        return composed(x, weight, bias, eps);
    }
    x.contiguous()?.apply_op3(&weight.contiguous()?, &bias.contiguous()?, Norm { eps })
}

/// The same from plain candle ops.
pub fn composed(x: &Tensor, weight: &Tensor, bias: &Tensor, eps: f64) -> Result<Tensor> {
    check(x, weight, bias)?;
    let wide = x.to_dtype(wide(x))?;
    let centered = wide.broadcast_sub(&wide.mean_keepdim(D::Minus1)?)?;
    let variance = centered.sqr()?.mean_keepdim(D::Minus1)?;
    let y = centered.broadcast_div(&(variance + eps)?.sqrt()?)?;
    y.broadcast_mul(weight)?.broadcast_add(bias)?.to_dtype(x.dtype())
}

/// Half precision is computed in F32.
fn wide(x: &Tensor) -> DType {
    if x.dtype() == DType::F64 { DType::F64 } else { DType::F32 }
}

fn check(x: &Tensor, weight: &Tensor, bias: &Tensor) -> Result<()> {
    let c = x.dims().last().copied().unwrap_or(0);
    if weight.dims() != [c] || bias.dims() != [c] {
        bail!("layer_norm: {c} channels, but weight {:?} and bias {:?}", weight.dims(), bias.dims())
    }
    if x.elem_count() == 0 {
        bail!("layer_norm: empty input {:?}", x.dims())
    }
    Ok(())
}

/// Values per task: whole rows, a number that depends on C only.
fn task(c: usize) -> usize {
    (PIXELS_PER_TASK * 16 / c).max(1) * c
}

/// Mean of a row, and 1 / √(variance + eps).
fn moments<T: Element>(x: &[T], eps: f64) -> (f64, f64) {
    let count = x.len() as f64;
    let mean = x.iter().map(|v| v.wide()).sum::<f64>() / count;
    let variance = x.iter().map(|v| (v.wide() - mean) * (v.wide() - mean)).sum::<f64>() / count;
    (mean, 1.0 / (variance + eps).sqrt())
}

/// The same on slices, rows of as many numbers as `weight` has.
pub(super) fn forward<T: Element>(x: &[T], weight: &[T], bias: &[T], eps: f64) -> Vec<T> {
    let c = weight.len();
    let mut y = vec![T::ZERO; x.len()];
    y.par_chunks_mut(task(c)).zip(x.par_chunks(task(c))).for_each(|(y, x)| {
        let rows = (T::single(x), T::single(weight), T::single(bias));
        if let ((Some(x), Some(weight), Some(bias)), Some(y)) = (rows, T::single_mut(y)) {
            return dispatch(Rows { x, weight, bias, eps, y });
        }
        for (y, x) in y.chunks_exact_mut(c).zip(x.chunks_exact(c)) {
            let (mean, inverse) = moments(x, eps);
            let (mean, inverse) = (T::of(mean), T::of(inverse));
            for (y, ((&x, &w), &b)) in y.iter_mut().zip(x.iter().zip(weight).zip(bias)) {
                *y = (x - mean) * inverse * w + b;
            }
        }
    });
    y
}

/// Gradients of `x`, of the weight and of the bias.
pub(super) fn backward<T: Element>(x: &[T], dy: &[T], weight: &[T], eps: f64) -> [Vec<T>; 3] {
    let c = weight.len();
    let mut dx = vec![T::ZERO; x.len()];
    let tasks = dx.par_chunks_mut(task(c)).zip(x.par_chunks(task(c)).zip(dy.par_chunks(task(c))));
    let parts: Vec<Vec<T>> = tasks
        .map(|(dx, (x, dy))| {
            let mut sums = vec![T::ZERO; 2 * c];
            let rows = (T::single(x), T::single(dy), T::single(weight));
            match (rows, T::single_mut(dx), T::single_mut(&mut sums)) {
                ((Some(x), Some(dy), Some(weight)), Some(dx), Some(sums)) => {
                    dispatch(BackRows { x, dy, weight, eps, dx, sums });
                }
                _ => {
                    let (dot, sum) = sums.split_at_mut(c);
                    for (dx, (x, dy)) in dx.chunks_exact_mut(c).zip(x.chunks_exact(c).zip(dy.chunks_exact(c))) {
                        back_row((x, dy), weight, eps, dx, (&mut *dot, &mut *sum));
                    }
                }
            }
            sums
        })
        .collect();
    let mut total = vec![0.0; 2 * c];
    for part in parts {
        total.iter_mut().zip(part).for_each(|(t, p)| *t += p.wide());
    }
    let narrow = |v: &[f64]| v.iter().map(|&v| T::of(v)).collect();
    [dx, narrow(&total[..c]), narrow(&total[c..])]
}

/// With g = dy·w: `dx = (g − mean(g) − x̂·mean(g·x̂)) / σ`; adds `dy·x̂` to the first sums and `dy` to the second ones.
fn back_row<T: Element>((x, dy): (&[T], &[T]), weight: &[T], eps: f64, dx: &mut [T], (dot, sum): (&mut [T], &mut [T])) {
    let (mean, inverse) = moments(x, eps);
    let (mut g_mean, mut g_dot) = (0.0, 0.0);
    for (i, (x, dy)) in x.iter().zip(dy).enumerate() {
        let (normal, dy) = ((x.wide() - mean) * inverse, dy.wide());
        dot[i] += T::of(dy * normal);
        sum[i] += T::of(dy);
        g_mean += dy * weight[i].wide();
        g_dot += dy * weight[i].wide() * normal;
    }
    let count = x.len() as f64;
    let (g_mean, g_dot) = (g_mean / count, g_dot / count);
    for (i, dx) in dx.iter_mut().enumerate() {
        let normal = (x[i].wide() - mean) * inverse;
        *dx = T::of((dy[i].wide() * weight[i].wide() - g_mean - normal * g_dot) * inverse);
    }
}

/// [`moments`] on vectors: the row's first value, the mean from there, 1 / √(variance + eps).
#[inline(always)]
fn vector_moments<S: Simd>(s: S, x: &[f32], eps: f64) -> [S::V; 3] {
    let count = x.len() as f64;
    let (vectors, rest) = x.split_at(x.len() / S::LANES * S::LANES);
    let (first, mut sum) = (s.splat(x[0]), s.zero());
    for x in vectors.chunks_exact(S::LANES) {
        sum = s.add(sum, s.sub(s.read(x, S::LANES), first));
    }
    let mean = ((s.total(sum) + rest.iter().map(|v| f64::from(v - x[0])).sum::<f64>()) / count) as f32;
    let (middle, mut spread) = (s.splat(mean), s.zero());
    for x in vectors.chunks_exact(S::LANES) {
        let d = s.sub(s.sub(s.read(x, S::LANES), first), middle);
        spread = s.fma(d, d, spread);
    }
    let rest = rest.iter().map(|v| f64::from(v - x[0] - mean).powi(2)).sum::<f64>();
    [first, middle, s.splat((1.0 / ((s.total(spread) + rest) / count + eps).sqrt()) as f32)]
}

struct Rows<'a> {
    x: &'a [f32],
    weight: &'a [f32],
    bias: &'a [f32],
    eps: f64,
    y: &'a mut [f32],
}

impl Work for Rows<'_> {
    type Out = ();
    #[inline(always)]
    fn run<S: Simd>(self, s: S) {
        let c = self.weight.len();
        for (y, x) in self.y.chunks_exact_mut(c).zip(self.x.chunks_exact(c)) {
            let [first, mean, inverse] = vector_moments(s, x, self.eps);
            for i in (0..c).step_by(S::LANES) {
                let n = (c - i).min(S::LANES);
                let normal = s.mul(s.sub(s.sub(s.read(&x[i..], n), first), mean), inverse);
                let v = s.fma(normal, s.read(&self.weight[i..], n), s.read(&self.bias[i..], n));
                s.write(&mut y[i..], n, v);
            }
        }
    }
}

/// [`back_row`] on vectors, row by row; `sums` are both sums, one behind the other.
struct BackRows<'a> {
    x: &'a [f32],
    dy: &'a [f32],
    weight: &'a [f32],
    eps: f64,
    dx: &'a mut [f32],
    sums: &'a mut [f32],
}

impl Work for BackRows<'_> {
    type Out = ();
    #[inline(always)]
    fn run<S: Simd>(self, s: S) {
        let c = self.weight.len();
        let (dots, sums) = self.sums.split_at_mut(c);
        let rows = self.x.chunks_exact(c).zip(self.dy.chunks_exact(c));
        for (dx, (x, dy)) in self.dx.chunks_exact_mut(c).zip(rows) {
            let [first, mean, inverse] = vector_moments(s, x, self.eps);
            let (mut g_mean, mut g_dot) = (s.zero(), s.zero());
            for i in (0..c).step_by(S::LANES) {
                let n = (c - i).min(S::LANES);
                // Lanes behind the row have the gradient 0.
                let normal = s.mul(s.sub(s.sub(s.read(&x[i..], n), first), mean), inverse);
                let dy = s.read(&dy[i..], n);
                let (dot, sum) = (s.fma(dy, normal, s.read(&dots[i..], n)), s.add(dy, s.read(&sums[i..], n)));
                s.write(&mut dots[i..], n, dot);
                s.write(&mut sums[i..], n, sum);
                let g = s.mul(dy, s.read(&self.weight[i..], n));
                g_mean = s.add(g_mean, g);
                g_dot = s.fma(g, normal, g_dot);
            }
            let [g_mean, g_dot] = [s.total(g_mean), s.total(g_dot)].map(|v| (v / c as f64) as f32);
            let (g_mean, g_dot) = (s.splat(g_mean), s.splat(g_dot));
            for i in (0..c).step_by(S::LANES) {
                let n = (c - i).min(S::LANES);
                let normal = s.mul(s.sub(s.sub(s.read(&x[i..], n), first), mean), inverse);
                let g = s.fms(s.read(&dy[i..], n), s.read(&self.weight[i..], n), g_mean);
                s.write(&mut dx[i..], n, s.mul(s.fnma(normal, g_dot, g), inverse));
            }
        }
    }
}

struct Norm {
    eps: f64,
}

impl CustomOp3 for Norm {
    fn name(&self) -> &'static str {
        "layer_norm"
    }
    fn cpu_fwd(
        &self,
        x: &CpuStorage,
        lx: &Layout,
        w: &CpuStorage,
        lw: &Layout,
        b: &CpuStorage,
        lb: &Layout,
    ) -> Result<(CpuStorage, Shape)> {
        let y = match x {
            CpuStorage::F64(_) => {
                CpuStorage::F64(forward::<f64>(slice(x, lx)?, slice(w, lw)?, slice(b, lb)?, self.eps))
            }
            _ => narrowed(forward::<f32>(&widened(x, lx)?, slice(w, lw)?, slice(b, lb)?, self.eps), x),
        };
        Ok((y, lx.shape().clone()))
    }
    fn bwd(
        &self,
        x: &Tensor,
        weight: &Tensor,
        _bias: &Tensor,
        _y: &Tensor,
        dy: &Tensor,
    ) -> Result<(Option<Tensor>, Option<Tensor>, Option<Tensor>)> {
        let grad = NormGrad { eps: self.eps, weight: weight.to_dtype(DType::F64)?.to_vec1()? };
        // Widened here, so that the parameters' gradients are not rounded to half precision.
        let wide = wide(x);
        let packed = x.to_dtype(wide)?.apply_op2_no_bwd(&dy.to_dtype(wide)?.contiguous()?, &Op2(grad))?;
        let (n, c) = (x.elem_count(), x.dim(D::Minus1)?);
        let dx = packed.narrow(0, 0, n)?.reshape(x.shape())?.to_dtype(x.dtype())?;
        Ok((Some(dx), Some(packed.narrow(0, n, c)?), Some(packed.narrow(0, n + c, c)?)))
    }
}

/// `x`, `dy` → `dx`, `dweight`, `dbias`, one behind the other.
struct NormGrad {
    eps: f64,
    weight: Vec<f64>,
}

impl Kernel2 for NormGrad {
    const NAME: &'static str = "layer_norm_grad";

    fn run<T: Element>(&self, x: &[T], _: &Shape, dy: &[T], _: &Shape) -> Result<(Vec<T>, Shape)> {
        let weight: Vec<T> = self.weight.iter().map(|&w| T::of(w)).collect();
        let out = backward(x, dy, &weight, self.eps).concat();
        let len = out.len();
        Ok((out, len.into()))
    }
}
