//! Rectangles of other pictures.

use super::{BatchTransform, blend};
use crate::check;
use crate::draw::Draw;
use crate::error::Result;
use crate::pixel::Region;
use candle_core::{Result as TensorResult, Tensor};
use serde::{Deserialize, Serialize};

/// Pastes a rectangle of another picture, and mixes the targets by the areas that are seen (Yun et al. 2019).
///
/// λ ~ Beta(α, α); the rectangle has `√(1 − λ)` of either side, its center anywhere, and is clipped to the picture.
/// `ỹ = λ′·y + (1 − λ′)·y′` with the share λ′ of the picture that is left. One λ, rectangle and order per batch, as in
/// the reference implementation (`clovaai/CutMix-PyTorch`). Volumes are cut through all slices.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct CutMix {
    /// α, > 0; default 1: all areas equally likely.
    pub alpha: f64,
    /// Probability per batch, 0..=1; default 1.
    pub p: f64,
}

impl Default for CutMix {
    fn default() -> Self {
        Self { alpha: 1.0, p: 1.0 }
    }
}

impl BatchTransform for CutMix {
    fn apply(&self, images: &Tensor, targets: &Tensor, draw: &mut Draw) -> TensorResult<(Tensor, Tensor)> {
        let [batch, _, .., height, width] = *images.dims() else {
            candle_core::bail!("cutmix needs images [B, C, H, W] or [B, C, D, H, W], got {:?}", images.shape());
        };
        if !draw.chance("mixes", self.p) {
            return Ok((images.clone(), targets.clone()));
        }
        let lambda = draw.beta("lambda", [self.alpha; 2]);
        let center = [draw.below("x", width), draw.below("y", height)];
        let order = Tensor::from_vec(draw.order("order", batch), batch, images.device())?;
        let (region, kept) = cut([width, height], lambda, center);
        Ok((paste(images, &order, region)?, blend(targets, &order, kept)?))
    }
    fn validate(&self) -> Result<()> {
        let technique = "batch transform 'cutmix'";
        check::positive(technique, "alpha", self.alpha)?;
        check::probability(technique, self.p)
    }
}

/// The rectangle to cut out of pictures of `[width, height]` about `center` `[x, y]`, and the share that is left.
pub fn cut([width, height]: [usize; 2], lambda: f64, center: [usize; 2]) -> (Region, f64) {
    let side = (1.0 - lambda).max(0.0).sqrt();
    let clip = |length: usize, center: usize| {
        let half = (length as f64 * side) as usize / 2;
        let first = center.saturating_sub(half).min(length);
        (first, (center + half).min(length) - first)
    };
    let ((left, w), (top, h)) = (clip(width, center[0]), clip(height, center[1]));
    let kept = 1.0 - (w * h) as f64 / (width * height) as f64;
    (Region { left: left as isize, top: top as isize, width: w, height: h }, kept)
}

/// Images `[B, C, .., H, W]` with a region, which must lie inside, from the images in another order.
///
/// # Errors
/// An order, `[B]` U32, or a region that does not fit.
pub fn paste(images: &Tensor, order: &Tensor, region: Region) -> TensorResult<Tensor> {
    if region.is_empty() {
        return Ok(images.clone());
    }
    let (rows, columns) = (images.rank() - 2, images.rank() - 1);
    let (left, top) = (region.left as usize, region.top as usize);
    let strip = images.narrow(rows, top, region.height)?;
    let patch = strip.narrow(columns, left, region.width)?.contiguous()?.index_select(order, 0)?;
    // Rows first, then whole strips: two block copies instead of a mask over everything.
    let strip = strip.force_contiguous()?;
    strip.slice_set(&patch, columns, left)?;
    let pasted = images.force_contiguous()?;
    pasted.slice_set(&strip, rows, top)?;
    Ok(pasted)
}
