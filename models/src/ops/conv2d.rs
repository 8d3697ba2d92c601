//! Two-dimensional convolution on `[B, H, W, C]`: any size, stride, padding, dilation and number of groups, exact gradients.
//!
//! F32 on a CPU runs on the kernels of [`super::cpu`]; F64 gathers windows into rows (im2col) and multiplies matrices, the
//! exact way that tests compare with. candle's own convolution loses non-square inputs and is slow in groups.
#![allow(unsafe_code)]

use super::cpu::conv::{forward, input_gradient, kernel, weight_gradient};
use super::cpu::geometry;
use super::cpu::rows::{Sink, Source};
use super::cpu::scratch::unwritten;
use super::cuda;
use super::element::Element;
use super::gemm::{Matrix, multiply};
use super::kernel::{Kernel2, Op2, PIXELS_PER_TASK};
use super::window::{Edge, Sweep, Window};
use candle_core::{Result, Shape, Tensor, bail};
use rayon::prelude::*;

/// `x` `[B, H, W, C]` with `weight` `[O, C/groups, kh, kw]` (PyTorch's layout) → `[B, H', W', O]`. No bias.
///
/// The weight is cast to the type of `x`, so that F32 variables get F32 gradients from half-precision maps.
///
/// # Errors
/// When shapes do not fit: channels that do not divide into the groups, a window larger than the padded picture, an empty batch.
pub fn conv2d(x: &Tensor, weight: &Tensor, at: Window) -> Result<Tensor> {
    Geometry::new(x.dims(), weight.dims(), at)?;
    let weight = &weight.to_dtype(x.dtype())?;
    let run = |x: &Tensor, at| x.contiguous()?.apply_op2(&weight.contiguous()?, Op2(Conv(at)));
    if x.device().is_cpu() || cuda::has_cudnn(x) && at.edge == Edge::Even {
        run(x, at)
    } else if cuda::has_cudnn(x) {
        // cuDNN pads both sides alike.
        let (x, at) = padded(x, at)?;
        run(&x, at)
    } else {
        composed(x, weight, at)
    }
}

/// `x` with its padding written down, and the window that adds none.
fn padded(x: &Tensor, at: Window) -> Result<(Tensor, Window)> {
    let (_, h, w, _) = x.dims4()?;
    let x = x.pad_with_zeros(1, at.near(h), at.far(h))?.pad_with_zeros(2, at.near(w), at.far(w))?;
    Ok((x, Window { pad: 0, edge: Edge::Even, ..at }))
}

/// The same from plain candle ops, one shifted view per tap: the oracle of the tests, and the way on devices without a kernel.
pub fn composed(x: &Tensor, weight: &Tensor, at: Window) -> Result<Tensor> {
    let g = Geometry::new(x.dims(), weight.dims(), at)?;
    let (ci, co) = (g.group_in, g.group_out);
    let mut groups = vec![None; at.groups];
    super::pool::each_tap_view(x, at, 0.0, |tap, view| {
        for (group, sum) in groups.iter_mut().enumerate() {
            let [_, across] = at.sides();
            let (ky, kx) = (tap / across, tap % across);
            let w = weight.narrow(0, group * co, co)?.narrow(2, ky, 1)?.narrow(3, kx, 1)?.reshape((co, ci))?.t()?;
            let part = view.narrow(3, group * ci, ci)?.contiguous()?.reshape(((), ci))?.matmul(&w)?;
            *sum = Some(match sum.take() {
                None => part,
                Some(sum) => (sum + part)?,
            });
        }
        Ok(())
    })?;
    let parts: Vec<Tensor> = groups.into_iter().flatten().collect();
    Tensor::cat(&parts, 1)?.reshape((g.sweep.batch, g.sweep.out_height, g.sweep.out_width, g.out))
}

/// Everything about one convolution but its numbers.
#[derive(Clone, Copy)]
struct Geometry {
    sweep: Sweep,
    out: usize,
    group_in: usize,
    group_out: usize,
    /// Multiplications per output value: taps times channels of a group.
    depth: usize,
}

impl Geometry {
    fn new(x: &[usize], weight: &[usize], at: Window) -> Result<Self> {
        let sweep = Sweep::new("conv2d", x, at)?;
        let (channels, groups) = (sweep.channels, at.groups);
        let [out, group_in, kh, kw] = *weight else {
            bail!("conv2d: expected a weight [O, C/groups, k, k], got {weight:?}")
        };
        if channels % groups != 0 || out % groups != 0 || out == 0 {
            bail!("conv2d: {channels} -> {out} channels do not divide into {groups} groups")
        }
        if group_in != channels / groups || [kh, kw] != at.sides() {
            bail!(
                "conv2d: weight {weight:?} does not fit {channels} channels in {groups} groups and a window of {}",
                at.spans()
            )
        }
        Ok(Self { sweep, out, group_in, group_out: out / groups, depth: at.taps() * group_in })
    }
    /// As the kernels for `f32` take it.
    fn sizes(&self) -> geometry::Geometry {
        let (s, at) = (&self.sweep, self.sweep.at);
        geometry::Geometry {
            samples: s.batch,
            h: s.height,
            w: s.width,
            ci: s.channels,
            oh: s.out_height,
            ow: s.out_width,
            co: self.out,
            size: at.sides()[0],
            across: at.sides()[1],
            stride: at.stride,
            dilation: at.dilation,
            groups: at.groups,
            top: s.top,
            left: s.left,
        }
    }
    fn depthwise(&self) -> bool {
        self.group_in == 1 && self.group_out == 1
    }
    /// Whether the rows of `x` already are the windows.
    fn pointwise(&self) -> bool {
        let at = self.sweep.at;
        let unpadded = self.sweep.out_pixels_each() == self.sweep.pixels_each();
        at.taps() == 1 && at.stride == 1 && unpadded && at.groups == 1
    }
    /// Output pixels per task: rows of windows that stay in cache together.
    fn tile(&self) -> usize {
        (64 * 1024 / self.depth.max(1)).clamp(32, PIXELS_PER_TASK)
    }
    /// `[O, I, k, k]` → per group `[k·k·I, O]`, the order in which windows are gathered.
    fn packed<T: Element>(&self, weight: &[T]) -> Vec<T> {
        let (taps, ci, co) = (self.sweep.at.taps(), self.group_in, self.group_out);
        let mut packed = vec![T::ZERO; weight.len()];
        for (o, filter) in weight.chunks_exact(ci * taps).enumerate() {
            let (group, o) = (o / co, o % co);
            for (i, plane) in filter.chunks_exact(taps).enumerate() {
                for (tap, &v) in plane.iter().enumerate() {
                    packed[group * self.depth * co + (tap * ci + i) * co + o] = v;
                }
            }
        }
        packed
    }
    /// The inverse of [`Self::packed`].
    fn unpacked<T: Element>(&self, packed: &[T]) -> Vec<T> {
        let (taps, ci, co) = (self.sweep.at.taps(), self.group_in, self.group_out);
        let mut weight = vec![T::ZERO; packed.len()];
        for (o, filter) in weight.chunks_exact_mut(ci * taps).enumerate() {
            let (group, o) = (o / co, o % co);
            for (i, plane) in filter.chunks_exact_mut(taps).enumerate() {
                for (tap, v) in plane.iter_mut().enumerate() {
                    *v = packed[group * self.depth * co + (tap * ci + i) * co + o];
                }
            }
        }
        weight
    }
    /// The windows of `pixels` of one group as rows of `columns`.
    fn gather<T: Element>(&self, x: &[T], group: usize, pixels: std::ops::Range<usize>, columns: &mut Vec<T>) {
        let (ci, c) = (self.group_in, self.sweep.channels);
        columns.clear();
        for pixel in pixels {
            self.sweep.taps(pixel, |_, inside| match inside {
                Some(at) => columns.extend_from_slice(&x[at * c + group * ci..][..ci]),
                None => columns.resize(columns.len() + ci, T::ZERO),
            });
        }
    }
    /// Adds rows of window gradients back into the picture's gradient; `offset` is the first pixel that `dx` holds.
    fn scatter<T: Element>(
        &self,
        columns: &[T],
        group: usize,
        pixels: std::ops::Range<usize>,
        dx: &mut [T],
        offset: usize,
    ) {
        let (ci, c) = (self.group_in, self.sweep.channels);
        for (row, pixel) in columns.chunks_exact(self.depth).zip(pixels) {
            self.sweep.taps(pixel, |tap, inside| {
                if let Some(at) = inside {
                    let to = &mut dx[(at - offset) * c + group * ci..][..ci];
                    to.iter_mut().zip(&row[tap * ci..][..ci]).for_each(|(to, &v)| *to += v);
                }
            });
        }
    }
}

struct Conv(Window);

impl Kernel2 for Conv {
    const NAME: &'static str = "conv2d";

    fn run<T: Element>(&self, x: &[T], xs: &Shape, w: &[T], ws: &Shape) -> Result<(Vec<T>, Shape)> {
        let g = Geometry::new(xs.dims(), ws.dims(), self.0)?;
        let (out, tile) = (g.out, g.tile());
        let shape = (g.sweep.batch, g.sweep.out_height, g.sweep.out_width, out);
        if let (Some(x), Some(w)) = (T::single(x), T::single(w)) {
            let sizes = g.sizes();
            // SAFETY: kernels store every output.
            let mut y = unsafe { unwritten(g.sweep.out_pixels() * out) };
            forward(kernel(&sizes), &sizes, Source::Dense(x), w, Sink::Store, &mut y);
            return Ok((T::of_single(y), shape.into()));
        }
        let weights = g.packed(w);
        let mut y = vec![T::ZERO; g.sweep.out_pixels() * out];
        y.par_chunks_mut(tile * out).enumerate().for_each_init(Vec::new, |columns, (task, y)| {
            let first = task * tile;
            let pixels = first..first + y.len() / out;
            if g.depthwise() {
                return depthwise_forward(&g, x, &weights, pixels, y);
            }
            for group in 0..self.0.groups {
                let w = Matrix::new(&weights[group * g.depth * g.group_out..], g.depth, g.group_out, g.group_out);
                let rows = if g.pointwise() {
                    &x[first * g.depth..]
                } else {
                    g.gather(x, group, pixels.clone(), columns);
                    &columns[..]
                };
                let rows = Matrix::new(rows, pixels.len(), g.depth, g.depth);
                multiply(rows, w, &mut y[group * g.group_out..], out, false);
            }
        });
        Ok((y, shape.into()))
    }

    #[cfg(feature = "cudnn")]
    fn cuda(&self, x: cuda::Input<'_>, w: cuda::Input<'_>) -> Result<cuda::Output> {
        cuda::conv2d::forward(self.0, x, w)
    }

    fn grad(&self, x: &Tensor, w: &Tensor, dy: &Tensor) -> Result<(Option<Tensor>, Option<Tensor>)> {
        let dx = x.track_op().then(|| dy.apply_op2_no_bwd(w, &Op2(GradInput { x: x.shape().clone(), at: self.0 })));
        let dw = w.track_op().then(|| x.apply_op2_no_bwd(dy, &Op2(GradWeight { w: w.shape().clone(), at: self.0 })));
        Ok((dx.transpose()?, dw.transpose()?))
    }
}

/// `dy`, `w` → `dx`; one task a picture, because neighbouring windows overlap.
struct GradInput {
    x: Shape,
    at: Window,
}

impl Kernel2 for GradInput {
    const NAME: &'static str = "conv2d_grad_input";

    fn run<T: Element>(&self, dy: &[T], _: &Shape, w: &[T], ws: &Shape) -> Result<(Vec<T>, Shape)> {
        let g = Geometry::new(self.x.dims(), ws.dims(), self.at)?;
        let (out, each) = (g.out, g.sweep.out_pixels_each());
        if let (Some(dy), Some(w)) = (T::single(dy), T::single(w)) {
            let sizes = g.sizes();
            // SAFETY: kernels store the gradient of every input.
            let mut dx = unsafe { unwritten(self.x.elem_count()) };
            input_gradient(kernel(&sizes), &sizes, Source::Dense(dy), w, Sink::Store, &mut dx);
            return Ok((T::of_single(dx), self.x.clone()));
        }
        let weights = g.packed(w);
        let mut dx = vec![T::ZERO; self.x.elem_count()];
        let stride = g.sweep.pixels_each() * g.sweep.channels;
        dx.par_chunks_mut(stride).enumerate().for_each_init(Vec::new, |columns, (sample, dx)| {
            let offset = sample * g.sweep.pixels_each();
            if g.depthwise() {
                return depthwise_grad_input(&g, dy, &weights, sample, dx);
            }
            for group in 0..self.at.groups {
                let w = Matrix::new(&weights[group * g.depth * g.group_out..], g.depth, g.group_out, g.group_out);
                for start in (sample * each..(sample + 1) * each).step_by(g.tile()) {
                    let pixels = start..(start + g.tile()).min((sample + 1) * each);
                    let dy = Matrix::new(&dy[start * out + group * g.group_out..], pixels.len(), g.group_out, out);
                    if g.pointwise() {
                        multiply(dy, w.transposed(), &mut dx[(start - offset) * g.depth..], g.depth, false);
                        continue;
                    }
                    columns.clear();
                    columns.resize(pixels.len() * g.depth, T::ZERO);
                    multiply(dy, w.transposed(), columns, g.depth, false);
                    g.scatter(columns, group, pixels, dx, offset);
                }
            }
        });
        Ok((dx, self.x.clone()))
    }

    #[cfg(feature = "cudnn")]
    fn cuda(&self, dy: cuda::Input<'_>, w: cuda::Input<'_>) -> Result<cuda::Output> {
        cuda::conv2d::grad_input(self.at, &self.x, dy, w)
    }
}

/// `x`, `dy` → `dw`; a fixed number of partial sums, added in order.
struct GradWeight {
    w: Shape,
    at: Window,
}

impl Kernel2 for GradWeight {
    const NAME: &'static str = "conv2d_grad_weight";

    fn run<T: Element>(&self, x: &[T], xs: &Shape, dy: &[T], _: &Shape) -> Result<(Vec<T>, Shape)> {
        let g = Geometry::new(xs.dims(), self.w.dims(), self.at)?;
        let (total, out) = (g.sweep.out_pixels(), g.out);
        if let (Some(x), Some(dy)) = (T::single(x), T::single(dy)) {
            let sizes = g.sizes();
            let dw = weight_gradient(kernel(&sizes), &sizes, Source::Dense(x), Source::Dense(dy));
            return Ok((T::of_single(dw), self.w.clone()));
        }
        let size = self.w.elem_count();
        // Partial sums cost memory: fewer of them for large weights. The number depends on shapes only.
        let parts = total.div_ceil(g.tile()).min((16 << 20) / size.max(1)).clamp(1, 16);
        let share = total.div_ceil(parts);
        let sums: Vec<Vec<T>> = (0..parts)
            .into_par_iter()
            .map_init(Vec::new, |columns, part| {
                let mut sum = vec![T::ZERO; size];
                let range = (part * share).min(total)..((part + 1) * share).min(total);
                for start in range.clone().step_by(g.tile()) {
                    let pixels = start..(start + g.tile()).min(range.end);
                    if g.depthwise() {
                        depthwise_grad_weight(&g, x, dy, pixels, &mut sum);
                        continue;
                    }
                    for group in 0..self.at.groups {
                        let dy = Matrix::new(&dy[start * out + group * g.group_out..], pixels.len(), g.group_out, out);
                        let rows = if g.pointwise() {
                            &x[start * g.depth..]
                        } else {
                            g.gather(x, group, pixels.clone(), columns);
                            &columns[..]
                        };
                        let rows = Matrix::new(rows, pixels.len(), g.depth, g.depth);
                        let to = &mut sum[group * g.depth * g.group_out..];
                        multiply(rows.transposed(), dy, to, g.group_out, true);
                    }
                }
                sum
            })
            .collect();
        let mut sums = sums.into_iter();
        let mut dw = sums.next().unwrap_or_default();
        for part in sums {
            dw.iter_mut().zip(part).for_each(|(sum, v)| *sum += v);
        }
        // A depthwise sum is [taps, channels]; packed per group it would be [taps] for each channel in turn.
        let dw = if g.depthwise() { transposed(&dw, g.out) } else { g.unpacked(&dw) };
        Ok((dw, self.w.clone()))
    }

    #[cfg(feature = "cudnn")]
    fn cuda(&self, x: cuda::Input<'_>, dy: cuda::Input<'_>) -> Result<cuda::Output> {
        cuda::conv2d::grad_weight(self.at, &self.w, x, dy)
    }
}

/// `[rows, cols]` → `[cols, rows]`.
fn transposed<T: Element>(v: &[T], cols: usize) -> Vec<T> {
    (0..cols).flat_map(|c| v.iter().skip(c).step_by(cols).copied()).collect()
}

/// With one channel a group the packed weights are `[channel][tap]`; the loops below want `[tap][channel]`.
fn depthwise_forward<T: Element>(g: &Geometry, x: &[T], w: &[T], pixels: std::ops::Range<usize>, y: &mut [T]) {
    let (c, w) = (g.out, transposed(w, g.depth));
    for (y, pixel) in y.chunks_exact_mut(c).zip(pixels) {
        g.sweep.taps(pixel, |tap, inside| {
            if let Some(at) = inside {
                let (x, w) = (&x[at * c..][..c], &w[tap * c..][..c]);
                y.iter_mut().zip(x.iter().zip(w)).for_each(|(y, (&x, &w))| *y += x * w);
            }
        });
    }
}

fn depthwise_grad_input<T: Element>(g: &Geometry, dy: &[T], w: &[T], sample: usize, dx: &mut [T]) {
    let (c, each, offset) = (g.out, g.sweep.out_pixels_each(), sample * g.sweep.pixels_each());
    let w = transposed(w, g.depth);
    for pixel in sample * each..(sample + 1) * each {
        let dy = &dy[pixel * c..][..c];
        g.sweep.taps(pixel, |tap, inside| {
            if let Some(at) = inside {
                let (dx, w) = (&mut dx[(at - offset) * c..][..c], &w[tap * c..][..c]);
                dx.iter_mut().zip(dy.iter().zip(w)).for_each(|(dx, (&dy, &w))| *dx += dy * w);
            }
        });
    }
}

fn depthwise_grad_weight<T: Element>(g: &Geometry, x: &[T], dy: &[T], pixels: std::ops::Range<usize>, sum: &mut [T]) {
    let c = g.out;
    for pixel in pixels {
        let dy = &dy[pixel * c..][..c];
        g.sweep.taps(pixel, |tap, inside| {
            if let Some(at) = inside {
                let (x, sum) = (&x[at * c..][..c], &mut sum[tap * c..][..c]);
                sum.iter_mut().zip(dy.iter().zip(x)).for_each(|(sum, (&dy, &x))| *sum += dy * x);
            }
        });
    }
}

#[cfg(test)]
mod tests {
    use super::super::window::k;
    use super::*;
    use candle_core::Device;

    /// What cuDNN is given instead of TensorFlow's padding, over even and odd sides.
    #[test]
    fn padding_written_down_is_the_same_convolution() {
        let numbers = |shape: &[usize]| {
            let values: Vec<f64> = (0..shape.iter().product()).map(|i: usize| ((i * 37) % 23) as f64 - 11.0).collect();
            Tensor::from_vec(values, shape, &Device::Cpu).unwrap()
        };
        for (at, side) in [(k(3).stride(2).same(), 8), (k(5).stride(2).same(), 7), (k(1).stride(2).same(), 6)] {
            let (x, w) = (numbers(&[2, side, 9, 3]), numbers(&[4, 3, at.size, at.size]));
            let (wider, bare) = padded(&x, at).unwrap();
            let [a, b] = [conv2d(&x, &w, at), conv2d(&wider, &w, bare)].map(|y| y.unwrap());
            assert_eq!(a.dims(), b.dims());
            assert_eq!(
                a.flatten_all().unwrap().to_vec1::<f64>().unwrap(),
                b.flatten_all().unwrap().to_vec1::<f64>().unwrap()
            );
        }
    }
}
