//! From pictures to tensors.

use crate::error::{Error, Result};
use crate::image::Image;
use crate::row::{Row, Target};
use candle_core::{DType, Device, Tensor};
use serde::{Deserialize, Serialize};
use std::borrow::Cow;

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
    let mut stack = Stack::new(stats, images.len());
    images.iter().try_for_each(|image| stack.push(image))?;
    stack.tensor(device)
}

/// A stack of pictures in the making.
pub(crate) struct Stack<'a> {
    stats: Cow<'a, Stats>,
    count: usize,
    dims: Option<[usize; 4]>,
    /// The normalized value of each level, per channel.
    tables: Vec<[f32; 256]>,
    values: Vec<f32>,
}

impl<'a> Stack<'a> {
    /// Of `count` pictures.
    pub fn new(stats: &'a Stats, count: usize) -> Self {
        Self { stats: Cow::Borrowed(stats), count, dims: None, tables: tables(stats), values: vec![] }
    }

    /// Puts one more behind the others, normalized with `stats` as all from here on.
    pub fn push_as(&mut self, image: &Image, stats: Cow<'a, Stats>) -> Result<()> {
        if stats != self.stats {
            stats.check(image.channels())?;
            (self.tables, self.stats) = (tables(&stats), stats);
        }
        self.push(image)
    }

    /// Puts one more behind the others.
    pub fn push(&mut self, image: &Image) -> Result<()> {
        let dims = image.dims();
        match self.dims {
            None => {
                self.stats.check(image.channels())?;
                self.dims = Some(dims);
                // Each value is written once: the memory is not cleared before.
                self.values.reserve_exact(self.count * image.pixels().len());
            }
            Some(first) if first != dims => {
                return Err(Error::Invalid(format!(
                    "pictures of one batch have different sizes: {first:?} and {dims:?}; resize them"
                )));
            }
            Some(_) => {}
        }
        match self.tables.len() {
            1 => self.planes::<1>(image.pixels()),
            3 => self.planes::<3>(image.pixels()),
            channels => {
                for (c, table) in self.tables.iter().enumerate() {
                    self.values.extend(image.pixels().chunks_exact(channels).map(|pixel| table[usize::from(pixel[c])]));
                }
            }
        }
        Ok(())
    }

    /// As for any number of channels, faster where it is known.
    fn planes<const C: usize>(&mut self, pixels: &[u8]) {
        let (pixels, _) = pixels.as_chunks::<C>();
        for (c, table) in self.tables.iter().enumerate().take(C) {
            self.values.extend(pixels.iter().map(|pixel| table[usize::from(pixel[c])]));
        }
    }

    /// All that were pushed, on `device`.
    pub fn tensor(self, device: &Device) -> Result<Tensor> {
        let [depth, height, width, channels] =
            self.dims.ok_or_else(|| Error::Invalid("a batch needs at least one picture".into()))?;
        let count = self.values.len() / (depth * height * width * channels);
        let shape = match depth {
            1 => vec![count, channels, height, width],
            _ => vec![count, channels, depth, height, width],
        };
        Ok(Tensor::from_vec(self.values, shape, device)?)
    }
}

fn tables(stats: &Stats) -> Vec<[f32; 256]> {
    let level = |mean: f32, std: f32| std::array::from_fn(|v| (v as f32 / 255.0 - mean) / std);
    stats.mean.iter().zip(&stats.std).map(|(mean, std)| level(*mean, *std)).collect()
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
