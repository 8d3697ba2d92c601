//! Three-dimensional convolution on `[B, D, H, W, C]`: a sum of two-dimensional ones over the taps along the depth, so that it
//! is as exact, and as fast, as those.

use super::conv2d::{composed as composed2d, conv2d};
use super::window::Window;
use candle_core::{Result, Tensor, bail};

/// `x` `[B, D, H, W, C]` with `weight` `[O, C/groups, kd, k, k]` (PyTorch's layout) → `[B, D', H', W', O]`. No bias.
///
/// `depth` is the window along D (its groups do not count), `at` the one over H and W, which brings the groups.
///
/// # Errors
/// When shapes do not fit, a window is larger than the padded volume, or the input is empty.
pub fn conv3d(x: &Tensor, weight: &Tensor, depth: Window, at: Window) -> Result<Tensor> {
    let out = check(x, weight, depth)?;
    let (b, d, h, w, c) = x.dims5()?;
    let mut sum: Option<Tensor> = None;
    for tap in 0..depth.size {
        // Output slices whose window has this tap inside the volume: neighbours of each other.
        let under = |o: usize| (o * depth.stride + tap * depth.dilation).checked_sub(depth.near(d)).filter(|&i| i < d);
        let inside: Vec<usize> = (0..out).filter(|&o| under(o).is_some()).collect();
        let (Some(&first), count) = (inside.first(), inside.len()) else { continue };
        let slices = match (depth.stride, under(first)) {
            (1, Some(from)) => x.narrow(1, from, count)?,
            _ => {
                let index: Vec<u32> = inside.iter().filter_map(|&o| under(o)).map(|i| i as u32).collect();
                x.contiguous()?.index_select(&Tensor::new(index, x.device())?, 1)?
            }
        };
        let weight = weight.narrow(2, tap, 1)?.squeeze(2)?;
        let y = conv2d(&slices.contiguous()?.reshape((b * count, h, w, c))?, &weight, at)?;
        let (_, out_height, out_width, channels) = y.dims4()?;
        let y = y.reshape((b, count, out_height, out_width, channels))?;
        let y = y.pad_with_zeros(1, first, out - first - count)?;
        sum = Some(match sum {
            None => y,
            Some(sum) => (sum + y)?,
        });
    }
    let Some(sum) = sum else { bail!("conv3d: no window of {} slices reaches into {d}", depth.size) };
    Ok(sum)
}

/// The same from plain candle ops, one output slice after the other.
pub fn composed(x: &Tensor, weight: &Tensor, depth: Window, at: Window) -> Result<Tensor> {
    let out = check(x, weight, depth)?;
    let (d, near) = (x.dim(1)?, depth.near(x.dim(1)?));
    let slice = |o: usize| {
        let mut sum: Option<Tensor> = None;
        for tap in 0..depth.size {
            let i = (o * depth.stride + tap * depth.dilation).checked_sub(near).filter(|&i| i < d);
            // A slice of zeros where the tap is outside the volume.
            let under = x.narrow(1, i.unwrap_or(0), 1)?.squeeze(1)?;
            let under = if i.is_some() { under } else { (under * 0.0)? };
            let y = composed2d(&under, &weight.narrow(2, tap, 1)?.squeeze(2)?.contiguous()?, at)?;
            sum = Some(match sum {
                None => y,
                Some(sum) => (sum + y)?,
            });
        }
        let Some(sum) = sum else { bail!("conv3d: no window of {} slices reaches into {d}", depth.size) };
        Ok(sum)
    };
    Tensor::stack(&(0..out).map(slice).collect::<Result<Vec<_>>>()?, 1)
}

/// Output slices.
fn check(x: &Tensor, weight: &Tensor, depth: Window) -> Result<usize> {
    let (xs, ws) = (x.dims(), weight.dims());
    if xs.len() != 5 || ws.len() != 5 {
        bail!("conv3d: expected [B, D, H, W, C] and a weight [O, C/groups, kd, k, k], got {xs:?} and {ws:?}")
    }
    if x.elem_count() == 0 {
        bail!("conv3d: empty input {xs:?}")
    }
    if depth.size == 0 || depth.stride == 0 || depth.dilation == 0 || ws[2] != depth.size {
        bail!("conv3d: weight {ws:?} does not fit a window of {} slices, or it has no stride or dilation", depth.size)
    }
    let Some(out) = depth.out(xs[1]) else {
        bail!("conv3d: a window of {} slices does not fit into {} padded by {}", depth.span(), xs[1], depth.pad)
    };
    Ok(out)
}
