//! Averages or rectangles.

use super::mix::sides;
use super::{BatchTransform, Blend, Mode, cut_full, mix};
use crate::check;
use crate::draw::Draw;
use crate::error::Result;
use crate::pixel::Region;
use candle_core::{Result as TensorResult, Tensor};
use serde::{Deserialize, Serialize};

/// [`Mixup`](super::Mixup) or [`CutMix`](super::CutMix), by a coin per batch, pair or picture (timm's `Mixup`, as DeiT and
/// ResNet strikes back use it).
///
/// Picture `i` meets picture `B − 1 − i`. An α of 0 leaves its technique out. With `min_max`, the sides of the rectangle are
/// uniform between these shares of the picture's, and it lies inside (`cutmix_minmax`).
///
/// | field | default | range |
/// |---|---|---|
/// | `mixup_alpha` | 0.8 | ≥ 0 |
/// | `cutmix_alpha` | 1 | ≥ 0 |
/// | `switch` | 0.5 | 0..=1, the probability of a rectangle |
/// | `mode` | `batch` | `batch`, `pair`, `element` |
/// | `min_max` | none | 0 < low ≤ high ≤ 1 |
/// | `p` | 1 | 0..=1, per batch, pair or picture |
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct MixupCutMix {
    /// α of the averages' λ.
    pub mixup_alpha: f64,
    /// α of the rectangles' λ.
    pub cutmix_alpha: f64,
    /// Probability of a rectangle.
    pub switch: f64,
    /// For how many pictures one set of numbers is drawn.
    pub mode: Mode,
    /// Shares of the picture's sides.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub min_max: Option<[f64; 2]>,
    /// Probability.
    pub p: f64,
}

impl Default for MixupCutMix {
    fn default() -> Self {
        Self { mixup_alpha: 0.8, cutmix_alpha: 1.0, switch: 0.5, mode: Mode::Batch, min_max: None, p: 1.0 }
    }
}

impl MixupCutMix {
    fn draw(&self, [width, height]: [usize; 2], draw: &mut Draw) -> Blend {
        if !draw.chance("mixes", self.p) {
            return Blend::NOTHING;
        }
        let pastes = match (self.mixup_alpha > 0.0, self.cutmix_alpha > 0.0 || self.min_max.is_some()) {
            (true, true) => draw.chance("pastes", self.switch),
            (_, pastes) => draw.note("pastes", pastes),
        };
        if !pastes {
            return Blend::Average(draw.beta("lambda", [self.mixup_alpha; 2]));
        }
        let Some([low, high]) = self.min_max else {
            let lambda = draw.beta("lambda", [self.cutmix_alpha; 2]);
            let center = [draw.below("x", width), draw.below("y", height)];
            return Blend::pasted(cut_full([width, height], lambda, center), draw);
        };
        // The highest share itself is excluded, as in timm, unless nothing else is left.
        let mut side = |name, length: usize| {
            let [low, high] = [low, high].map(|share| (length as f64 * share) as i64);
            draw.whole(name, [low, high - 1]) as usize
        };
        let (h, w) = (side("height", height), side("width", width));
        let (top, left) = (draw.below("top", height - h + 1), draw.below("left", width - w + 1));
        Blend::pasted(Region { left: left as isize, top: top as isize, width: w, height: h }, draw)
    }
}

impl BatchTransform for MixupCutMix {
    fn apply(&self, images: &Tensor, targets: &Tensor, draw: &mut Draw) -> TensorResult<(Tensor, Tensor)> {
        let size = sides(images, "mixup_cutmix")?;
        let blends = self.mode.blends(images.dim(0)?, draw, |draw| self.draw(size, draw));
        mix(images, targets, &blends)
    }
    fn validate(&self) -> Result<()> {
        let technique = "batch transform 'mixup_cutmix'";
        for (name, alpha) in [("mixup_alpha", self.mixup_alpha), ("cutmix_alpha", self.cutmix_alpha)] {
            let valid = alpha >= 0.0 && alpha.is_finite();
            check::that(valid, technique, || format!("{name} must be at least 0, got {alpha}"))?;
        }
        let any = self.mixup_alpha > 0.0 || self.cutmix_alpha > 0.0 || self.min_max.is_some();
        check::that(any, technique, || "mixup_alpha and cutmix_alpha are both 0".into())?;
        check::within(technique, "switch", self.switch, [0.0, 1.0])?;
        if let Some(shares) = self.min_max {
            check::interval(technique, "min_max", shares, 1.0)?;
        }
        check::probability(technique, self.p)
    }
}
