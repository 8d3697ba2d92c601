//! From pictures to tensors.

use crate::error::{Error, Result};
use crate::image::Image;
use crate::row::{Row, Target};
use candle_core::{DType, Device, Tensor};
use rayon::prelude::*;
use serde::{Deserialize, Serialize};

/// Mean and standard deviation of each channel, in units of 0..=1.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Stats {
    /// One value per channel.
    pub mean: Vec<f32>,
    /// One value per channel, > 0.
    pub std: Vec<f32>,
}

impl Default for Stats {
    /// ImageNet's.
    fn default() -> Self {
        Self { mean: vec![0.485, 0.456, 0.406], std: vec![0.229, 0.224, 0.225] }
    }
}

impl Stats {
    /// One channel with the mean of the means and of the deviations: what is usual for gray pictures, ImageNet's become
    /// 0.449 and 0.226.
    pub fn gray(&self) -> Self {
        let mean = |values: &[f32]| vec![values.iter().sum::<f32>() / values.len().max(1) as f32];
        Self { mean: mean(&self.mean), std: mean(&self.std) }
    }

    /// Checks that there is a value per channel and no deviation is 0.
    ///
    /// # Errors
    /// [`Error::Invalid`] says which.
    pub fn check(&self, channels: usize) -> Result<()> {
        if self.mean.len() != channels || self.std.len() != channels {
            let (m, s) = (self.mean.len(), self.std.len());
            return Err(Error::Invalid(format!(
                "the pictures have {channels} channels, but stats has {m} means and {s} deviations; give one of each per channel"
            )));
        }
        match self.std.iter().all(|s| *s > 0.0 && s.is_finite()) && self.mean.iter().all(|m| m.is_finite()) {
            true => Ok(()),
            false => Err(Error::Invalid("stats: deviations must be positive and means finite".into())),
        }
    }
}

/// Some samples as tensors.
#[derive(Clone, Debug)]
pub struct Batch {
    /// Their ids.
    pub ids: Vec<String>,
    /// `[B, C, H, W]`, `[B, C, D, H, W]` for volumes, or `[B, V, C, H, W]` of several views, `(v/255 − mean) / std`; the rows of
    /// the features where a loader has such.
    pub images: Tensor,
    /// `[B]` U32 classes or `[B, K]` F32 rows; `None` when a sample has no target.
    pub targets: Option<Tensor>,
    /// `[B, M]` F32.
    pub meta: Option<Tensor>,
}

/// Stacks pictures of one size into normalized F32 `[B, C, H, W]` (`[B, C, D, H, W]` for volumes).
///
/// # Errors
/// [`Error::Invalid`] when there is none, sizes differ, or `stats` has other channels.
pub fn stack(images: &[Image], stats: &Stats, device: &Device) -> Result<Tensor> {
    let Some(first) = images.first() else { return Err(Error::Invalid("a batch needs at least one picture".into())) };
    let [depth, height, width, channels] = first.dims();
    stats.check(channels)?;
    if let Some(other) = images.iter().find(|image| image.dims() != first.dims()) {
        let (a, b) = (first.dims(), other.dims());
        return Err(Error::Invalid(format!(
            "pictures of one batch have different sizes: {a:?} and {b:?}; resize them"
        )));
    }
    let table: Vec<[f32; 256]> = stats
        .mean
        .iter()
        .zip(&stats.std)
        .map(|(mean, std)| std::array::from_fn(|v| (v as f32 / 255.0 - mean) / std))
        .collect();
    let plane = depth * height * width;
    let mut values = vec![0.0f32; images.len() * channels * plane];
    values.par_chunks_mut(channels * plane).zip(images).for_each(|(out, image)| {
        for (c, (out, table)) in out.chunks_exact_mut(plane).zip(&table).enumerate() {
            for (out, pixel) in out.iter_mut().zip(image.pixels().chunks_exact(channels)) {
                *out = table[usize::from(pixel[c])];
            }
        }
    });
    let shape = match depth {
        1 => vec![images.len(), channels, height, width],
        _ => vec![images.len(), channels, depth, height, width],
    };
    Ok(Tensor::from_vec(values, shape, device)?)
}

/// Targets of `rows`: `[B]` U32, `[B, K]` F32, or `None` when one has none.
///
/// # Errors
/// [`Error::Invalid`] when kinds or lengths are mixed.
pub fn targets(rows: &[&Row], device: &Device) -> Result<Option<Tensor>> {
    let (mut classes, mut dense, mut width) = (vec![], vec![], 0);
    for row in rows {
        match &row.target {
            None => return Ok(None),
            Some(Target::Class(class)) => classes.push(*class),
            Some(Target::Dense(values)) => {
                dense.extend_from_slice(values);
                width = values.len();
            }
        }
    }
    match (classes.len(), dense.len()) {
        (n, 0) if n == rows.len() => Ok(Some(Tensor::from_vec(classes, n, device)?)),
        (0, n) if n == width * rows.len() => Ok(Some(Tensor::from_vec(dense, (rows.len(), width), device)?)),
        _ => Err(Error::Invalid("the targets of one batch are of different kinds or lengths".into())),
    }
}

/// Casts where another type is wanted.
pub(crate) fn cast(tensor: Tensor, dtype: DType) -> Result<Tensor> {
    Ok(if tensor.dtype() == dtype { tensor } else { tensor.to_dtype(dtype)? })
}
