//! Dropout and drop-path as functions of (key, site): the same key drops the same things, in any order, on any thread.

use crate::init::mix;
use candle_core::{Result, Tensor};
use rayon::prelude::*;

const VALUES_PER_TASK: usize = 1 << 15;

/// 0 or `1 / (1 − p)` for each of `count` units. `site` tells apart the places of a network.
pub fn keep_mask(key: u64, site: u64, p: f64, count: usize) -> Vec<f32> {
    let base = mix(key ^ mix(site));
    (0..count).map(|i| keep(base, i, p)).collect()
}

/// 0 or `1 / (1 − p)` for unit `i`.
fn keep(base: u64, i: usize, p: f64) -> f32 {
    let unit = (mix(base.wrapping_add(i as u64)) >> 40) as f64 / (1u64 << 24) as f64;
    if unit < p { 0.0 } else { (1.0 / (1.0 - p)) as f32 }
}

/// The probability of dropping something at rate `p` under a factor of all rates: something is left whatever it is.
pub(crate) fn rate(p: f64, factor: f64) -> f64 {
    (p * factor).min(0.99)
}

/// Multiplies every value by its place in [`keep_mask`]. The way back draws the mask again: less memory than keeping it.
pub(crate) fn drop_in_place(values: &mut [f32], p: f64, key: u64, site: u64) {
    let base = mix(key ^ mix(site));
    values.par_chunks_mut(VALUES_PER_TASK).enumerate().for_each(|(task, values)| {
        let first = task * VALUES_PER_TASK;
        values.iter_mut().enumerate().for_each(|(i, v)| *v *= keep(base, first + i, p));
    });
}

/// Drops single values with probability `p` in 0..1 and scales the rest by `1 / (1 − p)` (Srivastava et al. 2014).
pub fn dropout(x: &Tensor, p: f64, key: u64, site: u64) -> Result<Tensor> {
    if p == 0.0 {
        return Ok(x.clone());
    }
    let mask = Tensor::from_vec(keep_mask(key, site, p, x.elem_count()), x.shape(), x.device())?;
    x.mul(&mask.to_dtype(x.dtype())?)
}

/// Drops whole samples of `[B, ..]` with probability `p`: stochastic depth (Huang et al. 2016), timm's `DropPath`.
pub fn drop_path(x: &Tensor, p: f64, key: u64, site: u64) -> Result<Tensor> {
    if p == 0.0 {
        return Ok(x.clone());
    }
    let batch = x.dim(0)?;
    let mut shape = vec![1; x.rank()];
    shape[0] = batch;
    let mask = Tensor::from_vec(keep_mask(key, site, p, batch), shape, x.device())?;
    x.broadcast_mul(&mask.to_dtype(x.dtype())?)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn masks_keep_the_mean_and_repeat() {
        let mask = keep_mask(7, 3, 0.25, 40_000);
        assert_eq!(mask, keep_mask(7, 3, 0.25, 40_000));
        assert_ne!(mask, keep_mask(8, 3, 0.25, 40_000));
        assert_ne!(mask, keep_mask(7, 4, 0.25, 40_000));
        let mean = mask.iter().sum::<f32>() / 40_000.0;
        assert!((mean - 1.0).abs() < 0.01, "{mean}");
        let mut values = vec![1.0; 40_000];
        drop_in_place(&mut values, 0.25, 7, 3);
        assert_eq!(values, mask);
    }
}
