//! Max and average pooling on `[B, H, W, C]`: windows of any size, stride (overlap) and padding, adaptive and global ones,
//! exact gradients.
//!
//! As PyTorch: padding never counts in maxima; a NaN in a window is its maximum; of equal maxima the first one in row order
//! gets the gradient. Averages are summed in double precision.

use super::cpu::pooling::Kind;
use super::cuda;
use super::element::Element;
use super::kernel::{Kernel1, Kernel2, Op1, Op2};
use super::window::{Edge, Sweep, Window};
use candle_core::{Result, Shape, Tensor, bail};
use rayon::prelude::*;
use serde::{Deserialize, Serialize};
use std::sync::Arc;

/// What a pool makes of its window.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Pool {
    /// The largest value.
    Max,
    /// The mean, padding included (PyTorch's default, `count_include_pad`).
    Avg,
    /// The mean of what lies inside the picture (`count_include_pad=False`, and TensorFlow's average).
    AvgInside,
}

impl Pool {
    pub(crate) fn kind(self) -> Kind {
        match self {
            Self::Max => Kind::Max,
            Self::Avg | Self::AvgInside => Kind::Avg,
        }
    }
}

/// `x` `[B, H, W, C]` → `[B, H', W', C]`.
///
/// # Errors
/// When the window does not fit, or is all padding somewhere (padding of more than half its size).
pub fn pool(x: &Tensor, f: Pool, at: Window) -> Result<Tensor> {
    let plan = Plan::of(x, f, at)?;
    let cuda = cuda::has_kernels(x) && at.edge == Edge::Even && at.square() && f != Pool::AvgInside;
    if x.device().is_cpu() || cuda { plan.apply(x, f) } else { composed(x, f, at) }
}

/// `x` `[B, H, W, C]` → `[B, size.0, size.1, C]`: output row `i` sees rows `⌊iH/size⌋` to `⌈(i+1)H/size⌉`, as PyTorch's
/// adaptive pools. The size may be larger than the picture; both averages are the same here.
///
/// # Errors
/// When the input or the size is empty.
pub fn adaptive_pool(x: &Tensor, f: Pool, size: (usize, usize)) -> Result<Tensor> {
    let plan = Plan::adaptive(x, size)?;
    if x.device().is_cpu() { plan.apply(x, f) } else { composed_adaptive(x, f, size) }
}

/// `x` `[B, H, W, C]` as a map of `size`, by the adaptive average; as it is if it has that size.
pub(crate) fn spread(x: &Tensor, size: (usize, usize)) -> Result<Tensor> {
    if (x.dim(1)?, x.dim(2)?) == size { Ok(x.clone()) } else { adaptive_pool(x, Pool::Avg, size) }
}

/// `x` `[B, H, W, C]` → `[B, 1, 1, C]`, over the whole picture.
///
/// # Errors
/// When the input is empty.
pub fn global_pool(x: &Tensor, f: Pool) -> Result<Tensor> {
    let plan = Plan::adaptive(x, (1, 1))?;
    if x.device().is_cpu() { plan.apply(x, f) } else { composed_global(x, f) }
}

/// [`pool`] from plain candle ops, one shifted view per tap: the oracle of the tests, and the way on devices without a
/// kernel. Where maxima are equal, candle shares out their gradient differently.
pub fn composed(x: &Tensor, f: Pool, at: Window) -> Result<Tensor> {
    let plan = Plan::of(x, f, at)?;
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
    let Some(out) = out else { bail!("pool: empty window") };
    if f == Pool::Max {
        return Ok(out);
    }
    let shares = |axis: &[Span]| {
        let shares: Vec<f64> = axis.iter().map(Span::share).collect();
        Tensor::new(shares, x.device())?.to_dtype(x.dtype())
    };
    let (rows, cols) = (shares(&plan.rows)?, shares(&plan.cols)?);
    out.broadcast_mul(&rows.reshape((1, (), 1, 1))?)?.broadcast_mul(&cols.reshape((1, 1, (), 1))?)
}

/// [`adaptive_pool`] from plain candle ops, one piece of the picture per output pixel.
pub fn composed_adaptive(x: &Tensor, f: Pool, size: (usize, usize)) -> Result<Tensor> {
    let plan = Plan::adaptive(x, size)?;
    let row = |r: &Span| {
        let row = x.narrow(1, r.first, r.taps)?;
        let pixels = plan.cols.iter().map(|c| composed_global(&row.narrow(2, c.first, c.taps)?, f));
        Tensor::cat(&pixels.collect::<Result<Vec<_>>>()?, 2)
    };
    Tensor::cat(&plan.rows.iter().map(row).collect::<Result<Vec<_>>>()?, 1)
}

/// [`global_pool`] from plain candle ops.
pub fn composed_global(x: &Tensor, f: Pool) -> Result<Tensor> {
    let pixels = x.flatten(1, 2)?;
    if f == Pool::Max { pixels.max_keepdim(1)?.unsqueeze(1) } else { pixels.mean_keepdim(1)?.unsqueeze(1) }
}

/// Calls `f(tap, view)` with the `[B, H', W', C]` values under each tap of the window, `fill` outside the picture.
pub(crate) fn each_tap_view(
    x: &Tensor,
    at: Window,
    fill: f64,
    mut f: impl FnMut(usize, Tensor) -> Result<()>,
) -> Result<()> {
    let sweep = Sweep::new("window", x.dims(), at)?;
    let [down, across] = at.axes();
    let edge = |t: &Tensor, dim: usize, near: usize, out: usize| -> Result<Tensor> {
        let span = if dim == 1 { down.span() } else { across.span() };
        let far = ((out - 1) * at.stride + span).saturating_sub(near + t.dim(dim)?);
        let side = |pixels: usize| -> Result<Tensor> {
            let mut shape = t.dims().to_vec();
            shape[dim] = pixels;
            Tensor::zeros(shape, t.dtype(), t.device())? + fill
        };
        let t = if near > 0 { Tensor::cat(&[&side(near)?, t], dim)? } else { t.clone() };
        if far > 0 { Tensor::cat(&[&t, &side(far)?], dim) } else { Ok(t) }
    };
    let padded = edge(&edge(&x.contiguous()?, 1, sweep.top, sweep.out_height)?, 2, sweep.left, sweep.out_width)?;
    let pick = |tap: usize, count: usize| -> Result<Tensor> {
        let index = (0..count).map(|i| (i * at.stride + tap * at.dilation) as u32).collect::<Vec<_>>();
        Tensor::from_vec(index, count, x.device())
    };
    for ky in 0..down.size {
        let rows = padded.index_select(&pick(ky, sweep.out_height)?, 1)?;
        for kx in 0..across.size {
            f(ky * across.size + kx, rows.index_select(&pick(kx, sweep.out_width)?, 2)?)?;
        }
    }
    Ok(())
}

/// The part of one window along one axis: coordinates `first`, `first + step`, .. inside the picture.
#[derive(Clone, Copy)]
struct Span {
    first: usize,
    taps: usize,
    step: usize,
    /// Taps that an average divides by.
    counted: usize,
}

impl Span {
    fn coordinates(&self) -> impl Iterator<Item = usize> + use<> {
        let (first, step) = (self.first, self.step);
        (0..self.taps).map(move |i| first + i * step)
    }
    /// A dilated window over a tiny picture can see padding only.
    fn share(&self) -> f64 {
        1.0 / self.counted.max(1) as f64
    }
}

/// All windows over a picture: every output row with every output column.
struct Plan {
    height: usize,
    width: usize,
    channels: usize,
    rows: Vec<Span>,
    cols: Vec<Span>,
    /// The window, but for adaptive pools.
    #[cfg_attr(not(feature = "cuda"), allow(dead_code))]
    window: Option<Window>,
}

impl Plan {
    #[cfg(feature = "cuda")]
    fn sweep(&self, what: &str, dims: &[usize]) -> Result<Sweep> {
        match self.window {
            Some(at) => Sweep::new(what, dims, at),
            None => bail!("{what}: adaptive pools have no kernel on this device"),
        }
    }

    fn of(x: &Tensor, f: Pool, at: Window) -> Result<Arc<Self>> {
        let s = Sweep::new("pool", x.dims(), at)?;
        let [down, across] = at.axes();
        for (near, axis, side) in [(s.top, down, s.height), (s.left, across, s.width)] {
            let (pad, span) = (near.max(axis.far(side)), axis.span());
            if pad * 2 > span {
                bail!("pool: padding {pad} is more than half of the window of {span}")
            }
        }
        let axis = |at: Window, side: usize, near: usize, out: usize| {
            let span = |o: usize| {
                let before = |end: usize| at.taps_before(o, end);
                let (skipped, inside) = (before(near), before(near + side));
                let first = (o * at.stride + skipped * at.dilation).saturating_sub(near);
                let taps = inside - skipped;
                let counted = at.counted(o, side, f == Pool::AvgInside);
                Span { first, taps, step: at.dilation, counted }
            };
            (0..out).map(span).collect::<Vec<_>>()
        };
        let rows = axis(down, s.height, s.top, s.out_height);
        let cols = axis(across, s.width, s.left, s.out_width);
        Ok(Arc::new(Self { height: s.height, width: s.width, channels: s.channels, rows, cols, window: Some(at) }))
    }

    fn adaptive(x: &Tensor, size: (usize, usize)) -> Result<Arc<Self>> {
        let (batch, height, width, channels) = x.dims4()?;
        if batch * height * width * channels * size.0 * size.1 == 0 {
            bail!("adaptive pool: empty input {:?} or size {size:?}", x.dims())
        }
        let axis = |side: usize, out: usize| {
            let span = |o: usize| {
                let first = o * side / out;
                let taps = ((o + 1) * side).div_ceil(out) - first;
                Span { first, taps, step: 1, counted: taps }
            };
            (0..out).map(span).collect::<Vec<_>>()
        };
        let (rows, cols) = (axis(height, size.0), axis(width, size.1));
        Ok(Arc::new(Self { height, width, channels, rows, cols, window: None }))
    }

    fn apply(self: Arc<Self>, x: &Tensor, f: Pool) -> Result<Tensor> {
        let x = x.contiguous()?;
        if f == Pool::Max { x.apply_op1(Op1(Max(self))) } else { x.apply_op1(Op1(Avg(self))) }
    }

    fn out(&self, x: &Shape) -> Result<Shape> {
        Ok((x.dims4()?.0, self.rows.len(), self.cols.len(), self.channels).into())
    }

    /// Values of one picture of the input.
    fn picture(&self) -> usize {
        self.height * self.width * self.channels
    }

    /// Calls `f(offset)` with where the values of each pixel under the window begin within a picture, in row order.
    fn taps(&self, row: &Span, col: &Span, mut f: impl FnMut(usize)) {
        for y in row.coordinates() {
            col.coordinates().for_each(|x| f((y * self.width + x) * self.channels));
        }
    }

    /// Calls `f(picture, row, its windows' values)` for every row of `out`, on all threads.
    fn each_row<T: Element>(&self, x: &[T], out: &mut [T], f: impl Fn(&[T], &Span, &mut [T]) + Sync) {
        let (picture, rows) = (self.picture(), self.rows.len());
        out.par_chunks_mut(self.cols.len() * self.channels).enumerate().for_each(|(line, out)| {
            f(&x[line / rows * picture..][..picture], &self.rows[line % rows], out);
        });
    }

    /// Calls `f(row, col, gradient of that window)` for every window of a picture.
    fn each_window<T: Element>(&self, dy: &[T], mut f: impl FnMut(&Span, &Span, &[T])) {
        let windows = self.rows.iter().flat_map(|row| self.cols.iter().map(move |col| (row, col)));
        windows.zip(dy.chunks_exact(self.channels)).for_each(|((row, col), dy)| f(row, col, dy));
    }
}

struct Max(Arc<Plan>);

impl Kernel1 for Max {
    const NAME: &'static str = "max_pool";

    fn run<T: Element>(&self, x: &[T], shape: &Shape) -> Result<(Vec<T>, Shape)> {
        let (p, out) = (&self.0, self.0.out(shape)?);
        let mut y = vec![T::LOWEST; out.elem_count()];
        p.each_row(x, &mut y, |x, row, y| {
            for (col, y) in p.cols.iter().zip(y.chunks_exact_mut(p.channels)) {
                p.taps(row, col, |at| {
                    for (y, &v) in y.iter_mut().zip(&x[at..][..p.channels]) {
                        if v > *y || v.is_nan() {
                            *y = v;
                        }
                    }
                });
            }
        });
        Ok((y, out))
    }

    #[cfg(feature = "cuda")]
    fn cuda(&self, x: cuda::Input<'_>) -> Result<cuda::Output> {
        let s = self.0.sweep(Self::NAME, x.1.dims())?;
        cuda::launch(Self::NAME, &[x], &s.out_shape(), Some(&s))
    }

    fn grad(&self, x: &Tensor, _: &Tensor, dy: &Tensor) -> Result<Tensor> {
        x.apply_op2_no_bwd(dy, &Op2(MaxGrad(self.0.clone())))
    }
}

/// Finds each maximum again (cheaper than keeping an index for every output) and gives it the gradient.
struct MaxGrad(Arc<Plan>);

impl Kernel2 for MaxGrad {
    const NAME: &'static str = "max_pool_grad";

    fn run<T: Element>(&self, x: &[T], shape: &Shape, dy: &[T], dys: &Shape) -> Result<(Vec<T>, Shape)> {
        let (p, c) = (&self.0, self.0.channels);
        let mut dx = vec![T::ZERO; x.len()];
        let (size, windows) = (p.picture(), dys.elem_count() / dys.dims4()?.0);
        let tasks = dx.par_chunks_mut(size).zip(x.par_chunks(size).zip(dy.par_chunks(windows)));
        tasks.for_each(|(dx, (x, dy))| {
            let mut best = vec![(T::LOWEST, usize::MAX); c];
            p.each_window(dy, |row, col, dy| {
                best.fill((T::LOWEST, usize::MAX));
                p.taps(row, col, |at| {
                    for (best, &v) in best.iter_mut().zip(&x[at..][..c]) {
                        if v > best.0 || v.is_nan() || best.1 == usize::MAX {
                            *best = (v, at);
                        }
                    }
                });
                for (channel, (&(_, at), &dy)) in best.iter().zip(dy).enumerate() {
                    // A dilated window over a tiny picture can see padding only.
                    if at != usize::MAX {
                        dx[at + channel] += dy;
                    }
                }
            });
        });
        Ok((dx, shape.clone()))
    }

    #[cfg(feature = "cuda")]
    fn cuda(&self, x: cuda::Input<'_>, dy: cuda::Input<'_>) -> Result<cuda::Output> {
        let s = self.0.sweep(Self::NAME, x.1.dims())?;
        cuda::launch(Self::NAME, &[x, dy], x.1.shape(), Some(&s))
    }
}

struct Avg(Arc<Plan>);

impl Kernel1 for Avg {
    const NAME: &'static str = "avg_pool";

    fn run<T: Element>(&self, x: &[T], shape: &Shape) -> Result<(Vec<T>, Shape)> {
        let (p, out) = (&self.0, self.0.out(shape)?);
        let mut y = vec![T::ZERO; out.elem_count()];
        p.each_row(x, &mut y, |x, row, y| {
            let mut sum = vec![0f64; p.channels];
            for (col, y) in p.cols.iter().zip(y.chunks_exact_mut(p.channels)) {
                sum.fill(0.0);
                p.taps(row, col, |at| {
                    sum.iter_mut().zip(&x[at..][..p.channels]).for_each(|(sum, &v)| *sum += v.wide());
                });
                let share = row.share() * col.share();
                y.iter_mut().zip(&sum).for_each(|(y, sum)| *y = T::of(sum * share));
            }
        });
        Ok((y, out))
    }

    #[cfg(feature = "cuda")]
    fn cuda(&self, x: cuda::Input<'_>) -> Result<cuda::Output> {
        let s = self.0.sweep(Self::NAME, x.1.dims())?;
        cuda::launch(Self::NAME, &[x], &s.out_shape(), Some(&s))
    }

    fn grad(&self, x: &Tensor, _: &Tensor, dy: &Tensor) -> Result<Tensor> {
        dy.apply_op1_no_bwd(&Op1(AvgGrad { plan: self.0.clone(), x: x.shape().clone() }))
    }
}

struct AvgGrad {
    plan: Arc<Plan>,
    x: Shape,
}

impl Kernel1 for AvgGrad {
    const NAME: &'static str = "avg_pool_grad";

    fn run<T: Element>(&self, dy: &[T], shape: &Shape) -> Result<(Vec<T>, Shape)> {
        let (p, c) = (&self.plan, self.plan.channels);
        let mut dx = vec![T::ZERO; self.x.elem_count()];
        let windows = shape.elem_count() / shape.dims4()?.0;
        dx.par_chunks_mut(p.picture()).zip(dy.par_chunks(windows)).for_each(|(dx, dy)| {
            p.each_window(dy, |row, col, dy| {
                let share = T::of(row.share() * col.share());
                p.taps(row, col, |at| {
                    dx[at..][..c].iter_mut().zip(dy).for_each(|(dx, &dy)| *dx += dy * share);
                });
            });
        });
        Ok((dx, self.x.clone()))
    }

    #[cfg(feature = "cuda")]
    fn cuda(&self, dy: cuda::Input<'_>) -> Result<cuda::Output> {
        let s = self.plan.sweep(Self::NAME, self.x.dims())?;
        cuda::launch(Self::NAME, &[dy], &self.x, Some(&s))
    }
}
