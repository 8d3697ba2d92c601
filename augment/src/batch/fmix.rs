//! Shapes of other pictures.

use super::fourier::inverse_real;
use super::mix::{sides, weighted};
use super::{BatchTransform, blend};
use crate::check;
use crate::draw::Draw;
use crate::error::Result;
use candle_core::{Result as TensorResult, Tensor};
use rand_distr::{Distribution, StandardNormal};
use serde::{Deserialize, Serialize};

/// Pastes an irregular part of another picture: a mask of low frequencies, cut at the height that leaves the share λ
/// (Harris et al. 2020).
///
/// λ ~ Beta(α, α); the mask is noise whose frequencies are weighted by `1/f^decay`. One λ, mask and order per batch, as in the
/// reference implementation (`ecs-vlc/FMix`), but with complex noise as in the paper: the code takes the imaginary parts for
/// more real ones, so its masks are their own images under a half turn. Volumes are cut through all slices.
///
/// | field | default | range |
/// |---|---|---|
/// | `alpha` | 1: all shares equally likely | > 0 |
/// | `decay` | 3 | 0..=10: the higher, the rounder |
/// | `p` | 1 | 0..=1, per batch |
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct FMix {
    /// α of the distribution of λ.
    pub alpha: f64,
    /// Power by which higher frequencies fade.
    pub decay: f64,
    /// Probability.
    pub p: f64,
}

impl Default for FMix {
    fn default() -> Self {
        Self { alpha: 1.0, decay: 3.0, p: 1.0 }
    }
}

impl BatchTransform for FMix {
    fn apply(&self, images: &Tensor, targets: &Tensor, draw: &mut Draw) -> TensorResult<(Tensor, Tensor)> {
        let [width, height] = sides(images, "fmix")?;
        let batch = images.dim(0)?;
        if !draw.chance("mixes", self.p) {
            return Ok((images.clone(), targets.clone()));
        }
        let lambda = draw.beta("lambda", [self.alpha; 2]);
        let mut stream = data::rng::stream(draw.seed("noise"), 0, 0);
        let order = Tensor::from_vec(draw.order("order", batch), batch, images.device())?;
        let mut normal = || StandardNormal.sample(&mut stream);
        let noise: Vec<[f64; 2]> = (0..height * (width / 2 + 1)).map(|_| [normal(), normal()]).collect();
        let (mask, kept) = mask(&low_frequencies(&noise, self.decay, [width, height]), lambda);
        draw.note("kept", kept);
        let mut shape = vec![1; images.rank()];
        shape[images.rank() - 2..].copy_from_slice(&[height, width]);
        let own = Tensor::from_vec(mask, shape, images.device())?;
        Ok((weighted(images, &order, &own)?, blend(targets, &order, kept)?))
    }
    fn validate(&self) -> Result<()> {
        let technique = "batch transform 'fmix'";
        check::positive(technique, "alpha", self.alpha)?;
        check::within(technique, "decay", self.decay, [0.0, 10.0])?;
        check::probability(technique, self.p)
    }
}

/// The picture of `[width, height]` whose spectrum is `noise`, `height` rows of `width / 2 + 1`, weighted by `1/f^decay`.
pub fn low_frequencies(noise: &[[f64; 2]], decay: f64, [width, height]: [usize; 2]) -> Vec<f64> {
    let lowest = 1.0 / width.max(height) as f64;
    let half = width / 2 + 1;
    let weighted = noise.iter().enumerate().map(|(i, [re, im])| {
        let (x, y) = (i % half, i / half);
        let frequency = (x as f64 / width as f64).hypot(y.min(height - y) as f64 / height as f64);
        let weight = frequency.max(lowest).powf(-decay);
        [re * weight, im * weight]
    });
    inverse_real(&weighted.collect::<Vec<_>>(), [width, height])
}

/// 1 at the highest places, a share λ of all, and 0 at the others; and the share that it became.
pub fn mask(heights: &[f64], lambda: f64) -> (Vec<f32>, f64) {
    let count = ((lambda * heights.len() as f64).round() as usize).min(heights.len());
    let mut order: Vec<usize> = (0..heights.len()).collect();
    if (1..heights.len()).contains(&count) {
        order.select_nth_unstable_by(count - 1, |a, b| heights[*b].total_cmp(&heights[*a]).then(a.cmp(b)));
    }
    let mut mask = vec![0.0; heights.len()];
    order[..count].iter().for_each(|i| mask[*i] = 1.0);
    (mask, count as f64 / heights.len().max(1) as f64)
}
