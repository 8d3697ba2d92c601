//! Batch normalization over the last axis of `[.., C]` (Ioffe & Szegedy 2015), training and evaluation form, exact gradients.
//!
//! candle-nn's layer costs a dozen passes and takes bf16 activations only with bf16 parameters; here it is one op.
//! Statistics are summed in a fixed number of pieces, so they do not depend on the number of threads.

use super::element::{Element, narrowed, slice, widened};
use super::kernel::{Kernel2, Op2, PIXELS_PER_TASK};
use candle_core::{CpuStorage, CustomOp3, DType, Layout, Result, Shape, Tensor, Var, bail};
use rayon::prelude::*;
use std::sync::{Arc, Mutex, PoisonError};

/// Mean and biased variance of each channel over one batch, and over how many values they were taken.
#[derive(Clone, Debug)]
pub struct Statistics {
    /// `[C]`.
    pub mean: Tensor,
    /// `[C]`, divided by `count`.
    pub variance: Tensor,
    /// Values per channel.
    pub count: usize,
}

impl Statistics {
    /// `running ← (1 − momentum) · running + momentum · batch` for a mean and a variance `[C]`, the batch's unbiased, as
    /// PyTorch.
    pub fn move_into(&self, running: &[Var; 2], momentum: f64) -> Result<()> {
        let unbiased = self.count as f64 / (self.count as f64 - 1.0).max(1.0);
        for (running, (new, factor)) in running.iter().zip([(&self.mean, 1.0), (&self.variance, unbiased)]) {
            let new = (new.to_dtype(running.dtype())? * (momentum * factor))?;
            running.set(&((running.as_detached_tensor() * (1.0 - momentum))? + new)?)?;
        }
        Ok(())
    }
}

/// `x` `[.., C]` normalized by its own mean and variance, then scaled by `weight` and moved by `bias` (both `[C]`).
///
/// A channel with a single value becomes its bias (PyTorch refuses such a batch).
pub fn batch_norm_train(x: &Tensor, weight: &Tensor, bias: &Tensor, eps: f64) -> Result<(Tensor, Statistics)> {
    let count = check(x, weight, bias)?;
    #[cfg(feature = "cudnn")]
    if x.device().is_cuda() && count > 1 {
        return super::cuda::batch_norm::train(x, weight, bias, eps);
    }
    if !x.device().is_cpu() {
        return composed_train(x, weight, bias, eps);
    }
    let (weight, bias) = (weight.contiguous()?, bias.contiguous()?);
    let moments = Arc::new(Mutex::new(None));
    let y = x.contiguous()?.apply_op3(&weight, &bias, Norm { eps, given: None, moments: moments.clone() })?;
    let Some((mean, variance)) = moments.lock().unwrap_or_else(PoisonError::into_inner).clone() else {
        bail!("batch_norm: no statistics")
    };
    let tensor = |v: &[f64]| Tensor::new(v, x.device())?.to_dtype(parameter_dtype(x));
    let statistics = Statistics { mean: tensor(&mean)?, variance: tensor(&variance)?, count };
    Ok((y, statistics))
}

/// The same with given statistics, which are constants: running ones in evaluation, frozen ones in fine-tuning.
pub fn batch_norm_eval(
    x: &Tensor,
    weight: &Tensor,
    bias: &Tensor,
    statistics: (&Tensor, &Tensor),
    eps: f64,
) -> Result<Tensor> {
    check(x, weight, bias)?;
    #[cfg(feature = "cudnn")]
    if x.device().is_cuda() && !(x.track_op() || weight.track_op() || bias.track_op()) {
        return super::cuda::batch_norm::inference(x, weight, bias, statistics, eps);
    }
    if !x.device().is_cpu() {
        return composed_eval(x, weight, bias, statistics, eps);
    }
    let wide = |t: &Tensor| t.to_dtype(DType::F64)?.to_vec1::<f64>();
    let given = Some((wide(statistics.0)?, wide(statistics.1)?));
    x.contiguous()?.apply_op3(&weight.contiguous()?, &bias.contiguous()?, Norm { eps, given, moments: Arc::default() })
}

/// [`batch_norm_train`] from plain candle ops.
pub fn composed_train(x: &Tensor, weight: &Tensor, bias: &Tensor, eps: f64) -> Result<(Tensor, Statistics)> {
    let count = check(x, weight, bias)?;
    let dtype = parameter_dtype(x);
    let rows = x.to_dtype(dtype)?.reshape((count, ()))?;
    let mean = rows.mean_keepdim(0)?;
    let variance = rows.broadcast_sub(&mean)?.sqr()?.mean_keepdim(0)?;
    let inv = (&variance + eps)?.sqrt()?.recip()?;
    let y = rows.broadcast_sub(&mean)?.broadcast_mul(&inv)?;
    let y = y.broadcast_mul(weight)?.broadcast_add(bias)?.reshape(x.shape())?.to_dtype(x.dtype())?;
    let flat = |t: &Tensor| t.flatten_all().map(|t| t.detach());
    Ok((y, Statistics { mean: flat(&mean)?, variance: flat(&variance)?, count }))
}

/// [`batch_norm_eval`] from plain candle ops.
pub fn composed_eval(
    x: &Tensor,
    weight: &Tensor,
    bias: &Tensor,
    (mean, variance): (&Tensor, &Tensor),
    eps: f64,
) -> Result<Tensor> {
    check(x, weight, bias)?;
    let inv = (variance.detach() + eps)?.sqrt()?.recip()?;
    let y = x.to_dtype(parameter_dtype(x))?.broadcast_sub(&mean.detach())?.broadcast_mul(&inv)?;
    y.broadcast_mul(weight)?.broadcast_add(bias)?.to_dtype(x.dtype())
}

/// Norms of half-precision activations are computed in F32.
fn parameter_dtype(x: &Tensor) -> DType {
    if x.dtype() == DType::F64 { DType::F64 } else { DType::F32 }
}

/// Values per channel.
fn check(x: &Tensor, weight: &Tensor, bias: &Tensor) -> Result<usize> {
    let c = x.dims().last().copied().unwrap_or(0);
    if weight.dims() != [c] || bias.dims() != [c] {
        bail!("batch_norm: {c} channels, but weight {:?} and bias {:?}", weight.dims(), bias.dims())
    }
    if x.elem_count() == 0 {
        bail!("batch_norm: empty input {:?}", x.dims())
    }
    Ok(x.elem_count() / c)
}

type Moments = (Vec<f64>, Vec<f64>);

struct Norm {
    eps: f64,
    /// Mean and variance, when they are constants.
    given: Option<Moments>,
    /// Where the batch's own leave.
    moments: Arc<Mutex<Option<Moments>>>,
}

impl Norm {
    fn run<T: Element>(&self, x: &[T], weight: &[T], bias: &[T]) -> Vec<T> {
        let c = weight.len();
        let (mean, variance) = match &self.given {
            Some(given) => given.clone(),
            None => moments(x, c),
        };
        let scale: Vec<f64> = weight.iter().zip(&variance).map(|(w, v)| w.wide() / (v + self.eps).sqrt()).collect();
        // `(x - mean) · scale + bias`, not `x · scale + shift`: the latter cancels when the mean is large.
        let table: Vec<[T; 3]> = (0..c).map(|i| [T::of(mean[i]), T::of(scale[i]), bias[i]]).collect();
        let mut y = vec![T::ZERO; x.len()];
        y.par_chunks_mut(PIXELS_PER_TASK * c).zip(x.par_chunks(PIXELS_PER_TASK * c)).for_each(|(y, x)| {
            for (y, x) in y.chunks_exact_mut(c).zip(x.chunks_exact(c)) {
                y.iter_mut().zip(x.iter().zip(&table)).for_each(|(y, (&x, t))| *y = (x - t[0]) * t[1] + t[2]);
            }
        });
        *self.moments.lock().unwrap_or_else(PoisonError::into_inner) = Some((mean, variance));
        y
    }
}

impl CustomOp3 for Norm {
    fn name(&self) -> &'static str {
        "batch_norm"
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
        let Some((mean, variance)) = self.moments.lock().unwrap_or_else(PoisonError::into_inner).clone() else {
            bail!("batch_norm: backward before forward")
        };
        let inverse = variance.iter().map(|v| 1.0 / (v + self.eps).sqrt()).collect();
        let weight = weight.to_dtype(DType::F64)?.to_vec1::<f64>()?;
        let grad = NormGrad { mean, inverse, weight, constant: self.given.is_some() };
        let packed = x.apply_op2_no_bwd(&dy.contiguous()?, &Op2(grad))?;
        let (n, c) = (x.elem_count(), x.elem_count() / check_rows(x)?);
        let dx = packed.narrow(0, 0, n)?.reshape(x.shape())?;
        let part = |i: usize| packed.narrow(0, n + i * c, c)?.to_dtype(parameter_dtype(x));
        Ok((Some(dx), Some(part(0)?), Some(part(1)?)))
    }
}

fn check_rows(x: &Tensor) -> Result<usize> {
    Ok(x.elem_count() / x.dim(candle_core::D::Minus1)?)
}

/// `x`, `dy` → `dx`, `dweight`, `dbias`, one behind the other.
struct NormGrad {
    mean: Vec<f64>,
    inverse: Vec<f64>,
    weight: Vec<f64>,
    constant: bool,
}

impl Kernel2 for NormGrad {
    const NAME: &'static str = "batch_norm_grad";

    fn run<T: Element>(&self, x: &[T], _: &Shape, dy: &[T], _: &Shape) -> Result<(Vec<T>, Shape)> {
        let c = self.mean.len();
        let table: Vec<[T; 2]> = (0..c).map(|i| [T::of(self.mean[i]), T::of(self.inverse[i])]).collect();
        // Σ dy and Σ dy · x̂
        let [sum, dot] = column_sums(x, dy, c, |x, dy, t: &[T; 2]| [dy, dy * (x - t[0]) * t[1]], &table);
        let count = (x.len() / c) as f64;
        // dx = w·inv · (dy − Σdy/n − x̂·Σ(dy·x̂)/n); with constant statistics only the first term.
        let table: Vec<[T; 4]> = (0..c)
            .map(|i| {
                let a = self.weight[i] * self.inverse[i];
                let (b, m) =
                    if self.constant { (0.0, 0.0) } else { (dot[i] / count * self.inverse[i], sum[i] / count) };
                [a, b, m, self.mean[i]].map(T::of)
            })
            .collect();
        let mut out = vec![T::ZERO; x.len() + 2 * c];
        let (dx, parameters) = out.split_at_mut(x.len());
        let size = PIXELS_PER_TASK * c;
        dx.par_chunks_mut(size).zip(x.par_chunks(size).zip(dy.par_chunks(size))).for_each(|(dx, (x, dy))| {
            for (dx, (x, dy)) in dx.chunks_exact_mut(c).zip(x.chunks_exact(c).zip(dy.chunks_exact(c))) {
                for (i, dx) in dx.iter_mut().enumerate() {
                    let [a, b, m, mean] = table[i];
                    *dx = a * (dy[i] - m - (x[i] - mean) * b);
                }
            }
        });
        for i in 0..c {
            parameters[i] = T::of(dot[i]);
            parameters[c + i] = T::of(sum[i]);
        }
        let len = out.len();
        Ok((out, len.into()))
    }
}

/// Mean and biased variance of every column, in two passes.
fn moments<T: Element>(x: &[T], c: usize) -> Moments {
    let count = (x.len() / c) as f64;
    let [sum, _] = column_sums(x, x, c, |x, _, _: &()| [x, T::ZERO], &vec![(); c]);
    let mean: Vec<f64> = sum.iter().map(|s| s / count).collect();
    let table: Vec<T> = mean.iter().map(|&m| T::of(m)).collect();
    let [square, left] = column_sums(x, x, c, |x, _, m: &T| [(x - *m) * (x - *m), x - *m], &table);
    // The second sum corrects for the rounding of the mean (Chan, Golub & LeVeque 1983).
    let variance = square.iter().zip(&left).map(|(s, l)| (s - l * l / count) / count).collect();
    (mean, variance)
}

/// Two sums over the rows of `a` and `b`; short runs in `T`, the rest in `f64`, in a fixed order.
fn column_sums<T: Element, P: Sync>(
    a: &[T],
    b: &[T],
    c: usize,
    f: impl Fn(T, T, &P) -> [T; 2] + Sync,
    table: &[P],
) -> [Vec<f64>; 2] {
    const RUN: usize = 64;
    let partial: Vec<[Vec<f64>; 2]> = a
        .par_chunks(PIXELS_PER_TASK * c)
        .zip(b.par_chunks(PIXELS_PER_TASK * c))
        .map(|(a, b)| {
            let mut wide = [vec![0.0; c], vec![0.0; c]];
            let mut short = vec![[T::ZERO; 2]; c];
            for (a, b) in a.chunks(RUN * c).zip(b.chunks(RUN * c)) {
                short.fill([T::ZERO; 2]);
                for (a, b) in a.chunks_exact(c).zip(b.chunks_exact(c)) {
                    for (i, s) in short.iter_mut().enumerate() {
                        let [p, q] = f(a[i], b[i], &table[i]);
                        s[0] += p;
                        s[1] += q;
                    }
                }
                for (i, s) in short.iter().enumerate() {
                    wide[0][i] += s[0].wide();
                    wide[1][i] += s[1].wide();
                }
            }
            wide
        })
        .collect();
    let mut total = [vec![0.0; c], vec![0.0; c]];
    for part in partial {
        for (total, part) in total.iter_mut().zip(part) {
            total.iter_mut().zip(part).for_each(|(t, p)| *t += p);
        }
    }
    total
}
