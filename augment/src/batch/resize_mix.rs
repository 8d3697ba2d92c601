//! Small pictures in pictures.

use super::mix::sides;
use super::{BatchTransform, Blend, blend};
use crate::check;
use crate::draw::Draw;
use crate::error::Result;
use crate::pixel::Region;
use crate::resample::through;
use candle_core::{Result as TensorResult, Tensor};
use serde::{Deserialize, Serialize};

/// Pastes all of another picture, shrunk, and mixes the targets by the areas (Qin et al. 2020): unlike a rectangle cut out of
/// it, what is pasted shows what its label says.
///
/// The share of the sides is uniform in `scale`, the place anywhere inside. One share, place and order per batch. The picture is
/// shrunk bilinearly and antialiased. Volumes are shrunk within their slices.
///
/// | field | default | range |
/// |---|---|---|
/// | `scale` | [0.1, 0.8] | 0 < low ≤ high ≤ 1 |
/// | `p` | 1 | 0..=1, per batch |
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct ResizeMix {
    /// Share of the sides.
    pub scale: [f64; 2],
    /// Probability.
    pub p: f64,
}

impl Default for ResizeMix {
    fn default() -> Self {
        Self { scale: [0.1, 0.8], p: 1.0 }
    }
}

impl BatchTransform for ResizeMix {
    fn apply(&self, images: &Tensor, targets: &Tensor, draw: &mut Draw) -> TensorResult<(Tensor, Tensor)> {
        let [width, height] = sides(images, "resize_mix")?;
        let batch = images.dim(0)?;
        if !draw.chance("mixes", self.p) {
            return Ok((images.clone(), targets.clone()));
        }
        let scale = draw.uniform("scale", self.scale);
        let [w, h] = [width, height].map(|side| ((side as f64 * scale) as usize).clamp(1, side));
        let (top, left) = (draw.below("top", height - h + 1), draw.below("left", width - w + 1));
        let order = Tensor::from_vec(draw.order("order", batch), batch, images.device())?;
        let region = Region { left: left as isize, top: top as isize, width: w, height: h };
        let kept = Blend::pasted(region, draw).kept([width, height]);
        Ok((shrink(images, &order, region)?, blend(targets, &order, kept)?))
    }
    fn validate(&self) -> Result<()> {
        let technique = "batch transform 'resize_mix'";
        check::interval(technique, "scale", self.scale, 1.0)?;
        check::probability(technique, self.p)
    }
}

/// Images `[B, C, .., H, W]` with all of the images in another order shrunk into a region, which must lie inside.
///
/// # Errors
/// An order, `[B]` U32, or a region that does not fit.
pub fn shrink(images: &Tensor, order: &Tensor, region: Region) -> TensorResult<Tensor> {
    if region.is_empty() {
        return Ok(images.clone());
    }
    let [width, height] = sides(images, "resize_mix")?;
    let (rows, columns) = (images.rank() - 2, images.rank() - 1);
    let whole = Region { left: 0, top: 0, width, height };
    // Shrunk before they are reordered: there is less to copy then.
    let small = through(images, whole, [region.width, region.height])?.contiguous()?.index_select(order, 0)?;
    let strip = images.narrow(rows, region.top as usize, region.height)?.force_contiguous()?;
    strip.slice_set(&small, columns, region.left as usize)?;
    let pasted = images.force_contiguous()?;
    pasted.slice_set(&strip, rows, region.top as usize)?;
    Ok(pasted)
}
