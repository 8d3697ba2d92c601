//! Nearest and bilinear resampling of maps `[B, H, W, C]` to any size, exact gradients.
//!
//! As PyTorch's `interpolate` without antialiasing, both ways (a smaller size just skips pixels). candle's nearest one
//! takes whole factors only and loses gradients, its bilinear one has none.

use super::element::Element;
use super::kernel::{Kernel1, Op1};
use candle_core::{Device, Result, Shape, Tensor, bail};
use rayon::prelude::*;
use serde::{Deserialize, Serialize};
use std::sync::Arc;

/// How pixels are made from their neighbours.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Upsample {
    /// The pixel at `⌊i · scale⌋`.
    Nearest,
    /// The four neighbours of `(i + ½) · scale − ½`; with `align_corners` the first and last pixels stay where they are.
    Bilinear {
        /// Whether corners map to corners.
        align_corners: bool,
    },
}

impl Upsample {
    /// Where the coordinates of an axis come from.
    fn axis(self, side: usize, out: usize, factor: Option<f64>) -> Vec<Source> {
        match self {
            Self::Nearest => nearest(side, out, factor),
            Self::Bilinear { align_corners } => bilinear(side, out, factor, align_corners),
        }
    }
}

/// How large the result is.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Extent {
    /// Height and width in pixels.
    Size(usize, usize),
    /// Factors of height and width, rounded down; coordinates follow the factor, not the rounded size.
    Factor(f64, f64),
}

/// `x` `[B, H, W, C]` → `[B, H', W', C]`.
///
/// # Errors
/// When the input or the result is empty, or a factor is not a positive number.
pub fn upsample(x: &Tensor, f: Upsample, to: Extent) -> Result<Tensor> {
    let plan = Plan::new(x, f, to)?;
    if x.device().is_cpu() { x.contiguous()?.apply_op1(Op1(Resample(Arc::new(plan)))) } else { plan.composed(x) }
}

/// The same from plain candle ops: a product with a matrix of weights along each axis.
pub fn composed(x: &Tensor, f: Upsample, to: Extent) -> Result<Tensor> {
    Plan::new(x, f, to)?.composed(x)
}

/// Where an output coordinate comes from: `(1 − share) · low + share · high`.
#[derive(Clone, Copy)]
struct Source {
    low: usize,
    high: usize,
    share: f64,
}

/// Where every pixel of maps of one size comes from.
pub(crate) struct Plan {
    height: usize,
    width: usize,
    channels: usize,
    rows: Vec<Source>,
    cols: Vec<Source>,
    nearest: bool,
}

impl Plan {
    fn new(x: &Tensor, f: Upsample, to: Extent) -> Result<Self> {
        let (batch, height, width, channels) = x.dims4()?;
        let (out, factors) = match to {
            Extent::Size(h, w) => ((h, w), (None, None)),
            Extent::Factor(h, w) if h > 0.0 && w > 0.0 && h.is_finite() && w.is_finite() => {
                (((height as f64 * h) as usize, (width as f64 * w) as usize), (Some(h), Some(w)))
            }
            Extent::Factor(h, w) => bail!("upsample: factors must be positive, got {h} and {w}"),
        };
        if batch * height * width * channels * out.0 * out.1 == 0 {
            bail!("upsample: empty input {:?} or result {out:?}", x.dims())
        }
        let (rows, cols) = (f.axis(height, out.0, factors.0), f.axis(width, out.1, factors.1));
        Ok(Self { height, width, channels, rows, cols, nearest: f == Upsample::Nearest })
    }

    /// From maps of a height, a width and so many channels to a height and a width.
    pub(crate) fn sized(((height, width), channels): ((usize, usize), usize), f: Upsample, to: (usize, usize)) -> Self {
        let (rows, cols) = (f.axis(height, to.0, None), f.axis(width, to.1, None));
        Self { height, width, channels, rows, cols, nearest: f == Upsample::Nearest }
    }

    /// Values of one map, before and after.
    fn values(&self) -> (usize, usize) {
        (self.height * self.width * self.channels, self.rows.len() * self.cols.len() * self.channels)
    }

    /// The resampled maps.
    pub(crate) fn forward<T: Element>(&self, x: &[T]) -> Vec<T> {
        let (c, (before, after), line) = (self.channels, self.values(), self.width * self.channels);
        let mut y = vec![T::ZERO; x.len() / before * after];
        y.par_chunks_mut(self.cols.len() * c).enumerate().for_each_init(Vec::new, |mixed: &mut Vec<T>, (i, y)| {
            let row = self.rows[i % self.rows.len()];
            let of = |y: usize| &x[(i / self.rows.len() * self.height + y) * line..][..line];
            let (low, high) = (of(row.low), of(row.high));
            let pixels = y.chunks_exact_mut(c).zip(&self.cols);
            if self.nearest {
                pixels.for_each(|(y, col)| y.copy_from_slice(&low[col.low * c..][..c]));
                return;
            }
            // Two whole lines become one, then two pixels of that: long loops without a choice in them.
            mixed.clear();
            mixed.extend(low.iter().zip(high).map(|(&a, &b)| mix(a, b, T::of(row.share))));
            for (y, col) in pixels {
                let (low, high, share) = (&mixed[col.low * c..][..c], &mixed[col.high * c..][..c], T::of(col.share));
                y.iter_mut().zip(low.iter().zip(high)).for_each(|(y, (&a, &b))| *y = mix(a, b, share));
            }
        });
        y
    }

    /// Gives every output's gradient back to its neighbours: along the rows, then from rows to those that they were made of.
    pub(crate) fn backward<T: Element>(&self, dy: &[T]) -> Vec<T> {
        let (c, (before, after), line) = (self.channels, self.values(), self.width * self.channels);
        let mut lines = vec![T::ZERO; dy.len() / self.cols.len() * self.width];
        lines.par_chunks_mut(line).zip(dy.par_chunks(self.cols.len() * c)).for_each(|(line, dy)| {
            for (col, dy) in self.cols.iter().zip(dy.chunks_exact(c)) {
                self.parts(col).for_each(|(x, share)| give(&mut line[x * c..][..c], dy, share));
            }
        });
        let mut readers = vec![vec![]; self.height];
        for (out, row) in self.rows.iter().enumerate() {
            self.parts(row).for_each(|(y, share)| readers[y].push((out, share)));
        }
        let mut dx = vec![T::ZERO; dy.len() / after * before];
        dx.par_chunks_mut(line).enumerate().for_each(|(i, dx)| {
            let (sample, y) = (i / self.height, i % self.height);
            for &(out, share) in &readers[y] {
                give(dx, &lines[(sample * self.rows.len() + out) * line..][..line], share);
            }
        });
        dx
    }

    fn composed(&self, x: &Tensor) -> Result<Tensor> {
        let (b, h, w, c) = x.dims4()?;
        let rows = matrix(&self.rows, h, x.device())?.to_dtype(x.dtype())?;
        let cols = matrix(&self.cols, w, x.device())?.to_dtype(x.dtype())?;
        let y = rows.broadcast_matmul(&x.reshape((b, h, w * c))?)?;
        let y = cols.broadcast_matmul(&y.reshape((b * self.rows.len(), w, c))?)?;
        y.reshape((b, self.rows.len(), self.cols.len(), c))
    }
}

/// PyTorch computes in single precision here, and which pixel is nearest depends on that.
fn nearest(side: usize, out: usize, factor: Option<f64>) -> Vec<Source> {
    let scale = factor.map_or(side as f32 / out as f32, |f| (1.0 / f) as f32);
    let source = |i: usize| match () {
        () if out == side => i,
        () if out == 2 * side => i / 2,
        () => ((i as f32 * scale) as usize).min(side - 1),
    };
    (0..out).map(source).map(|i| Source { low: i, high: i, share: 0.0 }).collect()
}

fn bilinear(side: usize, out: usize, factor: Option<f64>, align_corners: bool) -> Vec<Source> {
    let at = |i: usize| match align_corners {
        true if out == 1 => 0.0,
        true => i as f64 * ((side - 1) as f64 / (out - 1) as f64),
        false => {
            let scale = factor.map_or(side as f64 / out as f64, |f| 1.0 / f);
            ((i as f64 + 0.5) * scale - 0.5).max(0.0)
        }
    };
    let source = |at: f64| {
        let low = (at as usize).min(side - 1);
        Source { low, high: (low + 1).min(side - 1), share: (at - low as f64).min(1.0) }
    };
    (0..out).map(at).map(source).collect()
}

/// `[out, side]`, the weight of each input coordinate in each output coordinate.
fn matrix(axis: &[Source], side: usize, device: &Device) -> Result<Tensor> {
    let mut weights = vec![0f64; axis.len() * side];
    for (row, source) in weights.chunks_exact_mut(side).zip(axis) {
        row[source.low] += 1.0 - source.share;
        row[source.high] += source.share;
    }
    Tensor::from_vec(weights, (axis.len(), side), device)
}

struct Resample(Arc<Plan>);

impl Kernel1 for Resample {
    const NAME: &'static str = "upsample";

    fn run<T: Element>(&self, x: &[T], shape: &Shape) -> Result<(Vec<T>, Shape)> {
        let p = &self.0;
        Ok((p.forward(x), (shape.dims4()?.0, p.rows.len(), p.cols.len(), p.channels).into()))
    }

    fn grad(&self, x: &Tensor, _: &Tensor, dy: &Tensor) -> Result<Tensor> {
        dy.apply_op1_no_bwd(&Op1(ResampleGrad { plan: self.0.clone(), x: x.shape().clone() }))
    }
}

fn mix<T: Element>(a: T, b: T, share: T) -> T {
    a * (T::ONE - share) + b * share
}

struct ResampleGrad {
    plan: Arc<Plan>,
    x: Shape,
}

impl Plan {
    /// The inputs of an output coordinate and their shares.
    fn parts(&self, source: &Source) -> impl Iterator<Item = (usize, f64)> + use<> {
        let share = if self.nearest { 0.0 } else { source.share };
        let parts = [(source.low, 1.0 - share), (source.high, share)];
        parts.into_iter().take(if self.nearest { 1 } else { 2 })
    }
}

/// `to += share · from`.
fn give<T: Element>(to: &mut [T], from: &[T], share: f64) {
    let share = T::of(share);
    to.iter_mut().zip(from).for_each(|(to, &from)| *to += from * share);
}

impl Kernel1 for ResampleGrad {
    const NAME: &'static str = "upsample_grad";

    fn run<T: Element>(&self, dy: &[T], _: &Shape) -> Result<(Vec<T>, Shape)> {
        Ok((self.plan.backward(dy), self.x.clone()))
    }
}
