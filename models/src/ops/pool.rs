//! Max and average pooling on `[B, H, W, C]` with any size, stride (overlap) and padding, exact gradients.
//!
//! As PyTorch: padding counts in averages (`count_include_pad`), never in maxima; a NaN in a window is its maximum;
//! of equal maxima the first one in row order gets the gradient.

use super::cpu::pooling::Kind;
use super::cuda;
use super::element::Element;
use super::kernel::{Kernel1, Kernel2, Op1, Op2};
use super::window::{Sweep, Window};
use candle_core::{Result, Shape, Tensor};
use rayon::prelude::*;
use serde::{Deserialize, Serialize};

/// What a pool makes of its window.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Pool {
    /// The largest value.
    Max,
    /// The mean, padding included.
    Avg,
}

impl Pool {
    pub(crate) fn kind(self) -> Kind {
        match self {
            Self::Max => Kind::Max,
            Self::Avg => Kind::Avg,
        }
    }
}

/// `x` `[B, H, W, C]` → `[B, H', W', C]`.
///
/// # Errors
/// When the window does not fit, or is all padding somewhere (`pad` more than half its size).
pub fn pool(x: &Tensor, f: Pool, at: Window) -> Result<Tensor> {
    check(x, at)?;
    match (x.device().is_cpu() || cuda::has_kernels(x), f) {
        (true, Pool::Max) => x.contiguous()?.apply_op1(Op1(Max(at))),
        (true, Pool::Avg) => x.contiguous()?.apply_op1(Op1(Avg(at))),
        _ => composed(x, f, at),
    }
}

fn check(x: &Tensor, at: Window) -> Result<Sweep> {
    let sweep = Sweep::new("pool", x.dims(), at)?;
    if at.pad * 2 > at.span() {
        candle_core::bail!("pool: padding {} is more than half of the window of {}", at.pad, at.span())
    }
    Ok(sweep)
}

/// The same from plain candle ops, one shifted view per tap: the oracle of the tests, and the way on devices without a kernel.
/// Where maxima are equal, candle shares out their gradient differently.
pub fn composed(x: &Tensor, f: Pool, at: Window) -> Result<Tensor> {
    check(x, at)?;
    let mut out: Option<Tensor> = None;
    let fill = if f == Pool::Max { f64::NEG_INFINITY } else { 0.0 };
    each_tap_view(x, at, fill, |_, view| {
        out = Some(match out.take() {
            None => view,
            Some(out) if f == Pool::Max => out.maximum(&view)?,
            Some(out) => (out + view)?,
        });
        Ok(())
    })?;
    let Some(out) = out else { candle_core::bail!("pool: empty window") };
    if f == Pool::Avg { out / (at.size * at.size) as f64 } else { Ok(out) }
}

/// Calls `f(tap, view)` with the `[B, H', W', C]` values under each tap of the window, `fill` outside the picture.
pub(crate) fn each_tap_view(
    x: &Tensor,
    at: Window,
    fill: f64,
    mut f: impl FnMut(usize, Tensor) -> Result<()>,
) -> Result<()> {
    let sweep = Sweep::new("window", x.dims(), at)?;
    let edge = |t: &Tensor, dim: usize| -> Result<Tensor> {
        if at.pad == 0 {
            return Ok(t.clone());
        }
        let mut shape = t.dims().to_vec();
        shape[dim] = at.pad;
        let side = (Tensor::zeros(shape, t.dtype(), t.device())? + fill)?;
        Tensor::cat(&[&side, t, &side], dim)
    };
    let padded = edge(&edge(x, 1)?, 2)?;
    let pick = |tap: usize, count: usize| -> Result<Tensor> {
        let index = (0..count).map(|i| (i * at.stride + tap * at.dilation) as u32).collect::<Vec<_>>();
        Tensor::from_vec(index, count, x.device())
    };
    for ky in 0..at.size {
        let rows = padded.index_select(&pick(ky, sweep.out_height)?, 1)?;
        for kx in 0..at.size {
            f(ky * at.size + kx, rows.index_select(&pick(kx, sweep.out_width)?, 2)?)?;
        }
    }
    Ok(())
}

struct Max(Window);

impl Kernel1 for Max {
    const NAME: &'static str = "max_pool";

    fn run<T: Element>(&self, x: &[T], shape: &Shape) -> Result<(Vec<T>, Shape)> {
        let s = Sweep::new("max_pool", shape.dims(), self.0)?;
        let (c, row) = (s.channels, s.out_width * s.channels);
        let mut y = vec![T::LOWEST; s.out_pixels() * c];
        y.par_chunks_mut(row).enumerate().for_each(|(line, y)| {
            for (ox, y) in y.chunks_exact_mut(c).enumerate() {
                s.taps(line * s.out_width + ox, |_, inside| {
                    let Some(at) = inside else { return };
                    for (y, &v) in y.iter_mut().zip(&x[at * c..][..c]) {
                        if v > *y || v.is_nan() {
                            *y = v;
                        }
                    }
                });
            }
        });
        Ok((y, s.out_shape()))
    }

    #[cfg(feature = "cuda")]
    fn cuda(&self, x: cuda::Input<'_>) -> Result<cuda::Output> {
        let s = Sweep::new(Self::NAME, x.1.dims(), self.0)?;
        cuda::launch(Self::NAME, &[x], &s.out_shape(), Some(&s))
    }

    fn grad(&self, x: &Tensor, _: &Tensor, dy: &Tensor) -> Result<Tensor> {
        x.apply_op2_no_bwd(dy, &Op2(MaxGrad(self.0)))
    }
}

/// Finds each maximum again (cheaper than keeping an index for every output) and gives it the gradient.
struct MaxGrad(Window);

impl Kernel2 for MaxGrad {
    const NAME: &'static str = "max_pool_grad";

    fn run<T: Element>(&self, x: &[T], shape: &Shape, dy: &[T], _: &Shape) -> Result<(Vec<T>, Shape)> {
        let s = Sweep::new("max_pool", shape.dims(), self.0)?;
        let c = s.channels;
        let mut dx = vec![T::ZERO; x.len()];
        let each = s.pixels_each();
        dx.par_chunks_mut(each * c).enumerate().for_each(|(sample, dx)| {
            let mut best = vec![(T::LOWEST, usize::MAX); c];
            for pixel in sample * s.out_pixels_each()..(sample + 1) * s.out_pixels_each() {
                best.fill((T::LOWEST, usize::MAX));
                s.taps(pixel, |_, inside| {
                    let Some(at) = inside else { return };
                    for (best, &v) in best.iter_mut().zip(&x[at * c..][..c]) {
                        if v > best.0 || v.is_nan() || best.1 == usize::MAX {
                            *best = (v, at - sample * each);
                        }
                    }
                });
                for (channel, (&(_, at), &dy)) in best.iter().zip(&dy[pixel * c..][..c]).enumerate() {
                    // A dilated window over a tiny picture can see padding only.
                    if at != usize::MAX {
                        dx[at * c + channel] += dy;
                    }
                }
            }
        });
        Ok((dx, shape.clone()))
    }

    #[cfg(feature = "cuda")]
    fn cuda(&self, x: cuda::Input<'_>, dy: cuda::Input<'_>) -> Result<cuda::Output> {
        let s = Sweep::new(Self::NAME, x.1.dims(), self.0)?;
        cuda::launch(Self::NAME, &[x, dy], x.1.shape(), Some(&s))
    }
}

struct Avg(Window);

impl Kernel1 for Avg {
    const NAME: &'static str = "avg_pool";

    fn run<T: Element>(&self, x: &[T], shape: &Shape) -> Result<(Vec<T>, Shape)> {
        let s = Sweep::new("avg_pool", shape.dims(), self.0)?;
        let (c, row) = (s.channels, s.out_width * s.channels);
        let share = T::of(1.0 / (self.0.size * self.0.size) as f64);
        let mut y = vec![T::ZERO; s.out_pixels() * c];
        y.par_chunks_mut(row).enumerate().for_each(|(line, y)| {
            for (ox, y) in y.chunks_exact_mut(c).enumerate() {
                s.taps(line * s.out_width + ox, |_, inside| {
                    let Some(at) = inside else { return };
                    y.iter_mut().zip(&x[at * c..][..c]).for_each(|(y, &v)| *y += v);
                });
                y.iter_mut().for_each(|y| *y *= share);
            }
        });
        Ok((y, s.out_shape()))
    }

    #[cfg(feature = "cuda")]
    fn cuda(&self, x: cuda::Input<'_>) -> Result<cuda::Output> {
        let s = Sweep::new(Self::NAME, x.1.dims(), self.0)?;
        cuda::launch(Self::NAME, &[x], &s.out_shape(), Some(&s))
    }

    fn grad(&self, x: &Tensor, _: &Tensor, dy: &Tensor) -> Result<Tensor> {
        dy.apply_op1_no_bwd(&Op1(AvgGrad { x: x.shape().clone(), at: self.0 }))
    }
}

struct AvgGrad {
    x: Shape,
    at: Window,
}

impl Kernel1 for AvgGrad {
    const NAME: &'static str = "avg_pool_grad";

    fn run<T: Element>(&self, dy: &[T], _: &Shape) -> Result<(Vec<T>, Shape)> {
        let s = Sweep::new("avg_pool", self.x.dims(), self.at)?;
        let (c, each) = (s.channels, s.pixels_each());
        let share = T::of(1.0 / (self.at.size * self.at.size) as f64);
        let mut dx = vec![T::ZERO; self.x.elem_count()];
        dx.par_chunks_mut(each * c).enumerate().for_each(|(sample, dx)| {
            for pixel in sample * s.out_pixels_each()..(sample + 1) * s.out_pixels_each() {
                let dy = &dy[pixel * c..][..c];
                s.taps(pixel, |_, inside| {
                    let Some(at) = inside else { return };
                    let dx = &mut dx[(at - sample * each) * c..][..c];
                    dx.iter_mut().zip(dy).for_each(|(dx, &dy)| *dx += dy * share);
                });
            }
        });
        Ok((dx, self.x.clone()))
    }

    #[cfg(feature = "cuda")]
    fn cuda(&self, dy: cuda::Input<'_>) -> Result<cuda::Output> {
        let s = Sweep::new(Self::NAME, self.x.dims(), self.at)?;
        cuda::launch(Self::NAME, &[dy], &self.x, Some(&s))
    }
}
