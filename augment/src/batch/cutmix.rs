//! Rectangles of other pictures.

use super::mix::sides;
use super::{BatchTransform, Blend, Mode, blend, mix};
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
/// the reference implementation (`clovaai/CutMix-PyTorch`); with another `mode` one λ and rectangle per pair or per picture,
/// and the order reversed, as in timm. Volumes are cut through all slices.
///
/// | field | default | range |
/// |---|---|---|
/// | `alpha` | 1: all areas equally likely | > 0 |
/// | `mode` | `batch` | `batch`, `pair`, `element` |
/// | `p` | 1 | 0..=1, per batch, pair or picture |
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct CutMix {
    /// α of the distribution of λ.
    pub alpha: f64,
    /// For how many pictures one rectangle is drawn.
    pub mode: Mode,
    /// Probability.
    pub p: f64,
}

impl Default for CutMix {
    fn default() -> Self {
        Self { alpha: 1.0, mode: Mode::Batch, p: 1.0 }
    }
}

impl BatchTransform for CutMix {
    fn apply(&self, images: &Tensor, targets: &Tensor, draw: &mut Draw) -> TensorResult<(Tensor, Tensor)> {
        let [width, height] = sides(images, "cutmix")?;
        let batch = images.dim(0)?;
        if self.mode != Mode::Batch {
            let blends = self.mode.blends(batch, draw, |draw| {
                if !draw.chance("mixes", self.p) {
                    return Blend::NOTHING;
                }
                let lambda = draw.beta("lambda", [self.alpha; 2]);
                let center = [draw.below("x", width), draw.below("y", height)];
                Blend::pasted(cut_full([width, height], lambda, center), draw)
            });
            return mix(images, targets, &blends);
        }
        if !draw.chance("mixes", self.p) {
            return Ok((images.clone(), targets.clone()));
        }
        let lambda = draw.beta("lambda", [self.alpha; 2]);
        let center = [draw.below("x", width), draw.below("y", height)];
        let order = Tensor::from_vec(draw.order("order", batch), batch, images.device())?;
        let (region, kept) = cut([width, height], lambda, center);
        Blend::pasted(region, draw);
        Ok((paste(images, &order, region)?, blend(targets, &order, kept)?))
    }
    fn validate(&self) -> Result<()> {
        let technique = "batch transform 'cutmix'";
        check::positive(technique, "alpha", self.alpha)?;
        check::probability(technique, self.p)
    }
}

/// The rectangle to cut out of pictures of `[width, height]` about `center` `[x, y]`, and the share that is left.
///
/// Odd sides lose a pixel, as in the reference implementation.
pub fn cut([width, height]: [usize; 2], lambda: f64, center: [usize; 2]) -> (Region, f64) {
    let region = rectangle([width, height], lambda, center, 0);
    (region, Blend::Paste(region).kept([width, height]))
}

/// As [`cut`], but odd sides keep all their pixels: timm's rectangle.
pub fn cut_full(size: [usize; 2], lambda: f64, center: [usize; 2]) -> Region {
    rectangle(size, lambda, center, 1)
}

fn rectangle([width, height]: [usize; 2], lambda: f64, center: [usize; 2], odd: usize) -> Region {
    let side = (1.0 - lambda).max(0.0).sqrt();
    let clip = |length: usize, center: usize| {
        let whole = (length as f64 * side) as usize;
        let first = center.saturating_sub(whole / 2).min(length);
        (first, (center + (whole + odd) / 2).min(length) - first)
    };
    let ((left, w), (top, h)) = (clip(width, center[0]), clip(height, center[1]));
    Region { left: left as isize, top: top as isize, width: w, height: h }
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
