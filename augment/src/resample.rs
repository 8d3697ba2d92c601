//! Pictures on a device seen through a window: matrices instead of kernels, so that every device has them.

use crate::pixel::{Border, Region};
use candle_core::{Result, Tensor};

/// Images `[.., H, W]` of a float type seen through a window and resized to `[width, height]`, bilinearly and antialiased
/// (PyTorch's `interpolate` with `antialias`).
///
/// What lies outside the window has no influence. Where the window reaches outside the picture, it shows the picture mirrored
/// about its outermost pixels.
pub(crate) fn through(x: &Tensor, window: Region, [width, height]: [usize; 2]) -> Result<Tensor> {
    if x.rank() < 3 {
        candle_core::bail!("pictures are [.., H, W], got {:?}", x.shape());
    }
    let (rows, columns) = (x.rank() - 2, x.rank() - 1);
    let x = along(x, rows, Span { start: window.top, length: window.height }, height)?;
    along(&x, columns, Span { start: window.left, length: window.width }, width)
}

/// A window along an axis.
#[derive(Clone, Copy)]
struct Span {
    start: isize,
    length: usize,
}

/// One of the last two axes through a window, resized to `out`.
fn along(x: &Tensor, axis: usize, span: Span, out: usize) -> Result<Tensor> {
    let n = x.dim(axis)?;
    if span.length == out {
        if span.start == 0 && out == n {
            return Ok(x.clone());
        }
        let inside = (0..out).map(|i| reflected(span.start + i as isize, n) as u32);
        return x.contiguous()?.index_select(&Tensor::from_iter(inside, x.device())?, axis);
    }
    let weights = Tensor::from_vec(weights(span, n, out), (n, out), x.device())?.to_dtype(x.dtype())?;
    let last = x.rank() - 1;
    let x = if axis == last { x.clone() } else { x.transpose(axis, last)? };
    let mut shape = x.dims().to_vec();
    let rows: usize = shape[..last].iter().product();
    shape[last] = out;
    let seen = x.contiguous()?.reshape((rows, n))?.matmul(&weights)?.reshape(shape)?;
    if axis == last { Ok(seen) } else { seen.transpose(axis, last)?.contiguous() }
}

fn reflected(i: isize, n: usize) -> usize {
    Border::Reflect101.index(i, n).unwrap_or(0)
}

/// `[n, out]`: how much of each pixel is in each of the result. Triangles, as wide as two pixels of the larger scale.
fn weights(span: Span, n: usize, out: usize) -> Vec<f32> {
    let scale = span.length as f64 / out as f64;
    let reach = scale.max(1.0);
    let mut weights = vec![0.0; n * out];
    for to in 0..out {
        let center = (to as f64 + 0.5) * scale;
        let first = ((center - reach).floor().max(0.0)) as usize;
        let last = ((center + reach).ceil() as usize).min(span.length);
        let weight = |i: usize| (1.0 - (i as f64 + 0.5 - center).abs() / reach).max(0.0);
        let sum: f64 = (first..last).map(weight).sum();
        for i in first..last {
            weights[reflected(span.start + i as isize, n) * out + to] += (weight(i) / sum) as f32;
        }
    }
    weights
}

#[cfg(test)]
mod tests {
    use super::*;
    use candle_core::Device;

    #[test]
    fn a_ramp_is_resized_as_by_torch() {
        let x = Tensor::arange(0f32, 16.0, &Device::Cpu).unwrap().reshape((1, 4, 4)).unwrap();
        let whole = Region { left: 0, top: 0, width: 4, height: 4 };
        let half = through(&x, whole, [2, 2]).unwrap().flatten_all().unwrap().to_vec1::<f32>().unwrap();
        for (a, b) in half.iter().zip([3.5714, 5.1429, 9.8571, 11.4286]) {
            assert!((a - b).abs() < 1e-4, "{a} {b}");
        }
        let part = Region { left: -1, top: 1, width: 4, height: 2 };
        let moved = through(&x, part, [4, 2]).unwrap().flatten_all().unwrap().to_vec1::<f32>().unwrap();
        assert_eq!(moved, [5., 4., 5., 6., 9., 8., 9., 10.]);
        assert!(through(&x.flatten_all().unwrap(), part, [4, 2]).is_err());
    }
}
