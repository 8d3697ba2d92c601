//! Layer normalization over the last axis of `[.., C]` (Ba et al. 2016), exact gradients.
//!
//! Moments are taken in double precision, row by row; the parameters' gradients are summed in fixed pieces.

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

struct Norm {
    eps: f64,
}

impl Norm {
    fn run<T: Element>(&self, x: &[T], weight: &[T], bias: &[T]) -> Vec<T> {
        let c = weight.len();
        let mut y = vec![T::ZERO; x.len()];
        y.par_chunks_mut(task(c)).zip(x.par_chunks(task(c))).for_each(|(y, x)| {
            for (y, x) in y.chunks_exact_mut(c).zip(x.chunks_exact(c)) {
                let (mean, inverse) = moments(x, self.eps);
                let (mean, inverse) = (T::of(mean), T::of(inverse));
                for (y, ((&x, &w), &b)) in y.iter_mut().zip(x.iter().zip(weight).zip(bias)) {
                    *y = (x - mean) * inverse * w + b;
                }
            }
        });
        y
    }
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
            CpuStorage::F64(_) => CpuStorage::F64(self.run::<f64>(slice(x, lx)?, slice(w, lw)?, slice(b, lb)?)),
            _ => narrowed(self.run::<f32>(&widened(x, lx)?, slice(w, lw)?, slice(b, lb)?), x),
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
        let c = self.weight.len();
        let mut out = vec![T::ZERO; x.len() + 2 * c];
        let (dx, parameters) = out.split_at_mut(x.len());
        let tasks = dx.par_chunks_mut(task(c)).zip(x.par_chunks(task(c)).zip(dy.par_chunks(task(c))));
        let parts: Vec<Vec<f64>> = tasks
            .map(|(dx, (x, dy))| {
                let mut sums = vec![0.0; 2 * c];
                let (dot, sum) = sums.split_at_mut(c);
                for (dx, (x, dy)) in dx.chunks_exact_mut(c).zip(x.chunks_exact(c).zip(dy.chunks_exact(c))) {
                    self.row(x, dy, dx, dot, sum);
                }
                sums
            })
            .collect();
        let mut total = vec![0.0; 2 * c];
        for part in parts {
            total.iter_mut().zip(part).for_each(|(t, p)| *t += p);
        }
        parameters.iter_mut().zip(total).for_each(|(p, t)| *p = T::of(t));
        let len = out.len();
        Ok((out, len.into()))
    }
}

impl NormGrad {
    /// With g = dy·w: `dx = (g − mean(g) − x̂·mean(g·x̂)) / σ`; adds `dy·x̂` to `dot` and `dy` to `sum`.
    fn row<T: Element>(&self, x: &[T], dy: &[T], dx: &mut [T], dot: &mut [f64], sum: &mut [f64]) {
        let (mean, inverse) = moments(x, self.eps);
        let (mut g_mean, mut g_dot) = (0.0, 0.0);
        for (i, (x, dy)) in x.iter().zip(dy).enumerate() {
            let (normal, dy) = ((x.wide() - mean) * inverse, dy.wide());
            dot[i] += dy * normal;
            sum[i] += dy;
            g_mean += dy * self.weight[i];
            g_dot += dy * self.weight[i] * normal;
        }
        let count = x.len() as f64;
        let (g_mean, g_dot) = (g_mean / count, g_dot / count);
        for (i, dx) in dx.iter_mut().enumerate() {
            let normal = (x[i].wide() - mean) * inverse;
            *dx = T::of((dy[i].wide() * self.weight[i] - g_mean - normal * g_dot) * inverse);
        }
    }
}
