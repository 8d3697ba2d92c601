//! The crop of CIFAR.

use crate::check;
use crate::draw::Draw;
use crate::error::Result;
use crate::pixel::{Border, Paint, Region, window};
use crate::transform::Transform;
use data::Image;
use serde::{Deserialize, Serialize};

/// Pads every side and crops anywhere: a shift by up to `padding` pixels (He et al. 2016, on CIFAR).
///
/// Pictures that are smaller than `size` even with padding lie anywhere within the border.
///
/// | field | default | range |
/// |---|---|---|
/// | `size` | the picture's own sides | pixels, ≥ 1 |
/// | `padding` | 4 | pixels |
/// | `border` | `constant` | `constant`, `reflect`, `reflect_101`, `replicate` |
/// | `fill` | 0 | 0..=255, or one for each channel; only for `constant` |
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct PadCrop {
    /// Sides of the result.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub size: Option<usize>,
    /// Width of the border.
    pub padding: usize,
    /// What the border shows.
    pub border: Border,
    /// Value of a constant border.
    pub fill: Paint,
}

impl Default for PadCrop {
    fn default() -> Self {
        Self { size: None, padding: 4, border: Border::Constant, fill: Paint::default() }
    }
}

impl Transform for PadCrop {
    fn apply(&self, image: Image, draw: &mut Draw) -> Image {
        let mut start = |name, outer: usize, inner: usize| {
            let first = -(self.padding as isize);
            let last = (outer + self.padding) as isize - inner as isize;
            first.min(last) + draw.below(name, first.abs_diff(last) + 1) as isize
        };
        let (width, height) = (self.size.unwrap_or(image.width()), self.size.unwrap_or(image.height()));
        let (top, left) = (start("top", image.height(), height), start("left", image.width(), width));
        window(image, Region { left, top, width, height }, self.border, self.fill)
    }
    fn validate(&self) -> Result<()> {
        check::border("transform 'pad_crop'", self.border, self.fill)?;
        let technique = "transform 'pad_crop'";
        check::within(technique, "padding", self.padding as f64, [0.0, check::MAX_SIDE as f64])?;
        self.size.map_or(Ok(()), |size| check::side(technique, "size", size))
    }
    fn check_channels(&self, channels: usize) -> Result<()> {
        check::fill("transform 'pad_crop'", self.fill, channels)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use rand::SeedableRng;
    use rand_chacha::ChaCha8Rng;

    #[test]
    fn every_shift_happens_and_no_other() {
        let mut rng = ChaCha8Rng::seed_from_u64(0);
        let picture = Image::new(3, 1, 1, vec![1, 2, 3]).unwrap();
        let crop = PadCrop { padding: 1, ..Default::default() };
        let mut seen: Vec<Vec<u8>> =
            (0..200).map(|_| crop.apply(picture.clone(), &mut Draw::new(&mut rng)).into_pixels()).collect();
        seen.sort();
        seen.dedup();
        assert_eq!(seen, [[0, 0, 0], [0, 1, 2], [1, 2, 3], [2, 3, 0]]);
        let larger = PadCrop { padding: 0, size: Some(5), ..Default::default() };
        assert_eq!(larger.apply(picture, &mut Draw::new(&mut rng)).pixels().iter().filter(|v| **v > 0).count(), 3);
    }
}
