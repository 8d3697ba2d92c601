//! A part of the picture.

use crate::check;
use crate::draw::Draw;
use crate::error::Result;
use crate::pixel::{Border, Paint, Region, window};
use crate::transform::Transform;
use data::Image;
use serde::{Deserialize, Serialize};

/// Cuts out a rectangle anywhere (`torchvision` and Albumentations `RandomCrop`).
///
/// Pictures that are smaller lie anywhere within a border.
///
/// | field | default | range |
/// |---|---|---|
/// | `size` | 224 | pixels, ≥ 1 |
/// | `width`, `height` | `size` | pixels, ≥ 1; without `size` where both are given |
/// | `border` | `constant` | `constant`, `reflect`, `reflect_101`, `replicate` |
/// | `fill` | 0 | 0..=255, or one for each channel; only for `constant` |
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct RandomCrop {
    /// Sides of the result.
    pub size: usize,
    /// Its width, where it is no square.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub width: Option<usize>,
    /// Its height.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub height: Option<usize>,
    /// What lies around smaller pictures.
    pub border: Border,
    /// Value of a constant border.
    pub fill: Paint,
}

/// Sides of crops where nothing else is said.
pub(super) const SIZE: usize = 224;

impl Default for RandomCrop {
    fn default() -> Self {
        Self { size: SIZE, width: None, height: None, border: Border::Constant, fill: Paint::default() }
    }
}

impl Transform for RandomCrop {
    fn apply(&self, image: Image, draw: &mut Draw) -> Image {
        let (width, height) = (self.width.unwrap_or(self.size), self.height.unwrap_or(self.size));
        let mut start = |name, outer: usize, inner: usize| {
            let last = outer as isize - inner as isize;
            last.min(0) + draw.below(name, last.unsigned_abs() + 1) as isize
        };
        let (top, left) = (start("top", image.height(), height), start("left", image.width(), width));
        window(image, Region { left, top, width, height }, self.border, self.fill)
    }
    fn validate(&self) -> Result<()> {
        check::border("transform 'random_crop'", self.border, self.fill)?;
        sides("transform 'random_crop'", self.size, [self.width, self.height])
    }
    fn check_channels(&self, channels: usize) -> Result<()> {
        check::fill("transform 'random_crop'", self.fill, channels)
    }
}

/// The sides of a crop.
pub(super) fn sides(technique: &str, size: usize, [width, height]: [Option<usize>; 2]) -> Result<()> {
    check::side(technique, "size", size)?;
    let ignored = width.is_some() && height.is_some() && size != SIZE;
    check::that(!ignored, technique, || {
        format!("size is for squares, leave it out beside width and height, got {size}")
    })?;
    width.map_or(Ok(()), |width| check::side(technique, "width", width))?;
    height.map_or(Ok(()), |height| check::side(technique, "height", height))
}

#[cfg(test)]
mod tests {
    use super::*;
    use rand::SeedableRng;
    use rand_chacha::ChaCha8Rng;

    #[test]
    fn every_place_happens_and_no_other() {
        let mut rng = ChaCha8Rng::seed_from_u64(0);
        let picture = Image::new(3, 1, 1, vec![1, 2, 3]).unwrap();
        let mut all = |width| {
            let crop = RandomCrop { size: 1, width: Some(width), ..Default::default() };
            let mut seen: Vec<Vec<u8>> =
                (0..200).map(|_| crop.apply(picture.clone(), &mut Draw::new(&mut rng)).into_pixels()).collect();
            seen.sort();
            seen.dedup();
            seen
        };
        assert_eq!(all(2), [[1, 2], [2, 3]]);
        assert_eq!(all(3), [[1, 2, 3]]);
        assert_eq!(all(5), [[0, 0, 1, 2, 3], [0, 1, 2, 3, 0], [1, 2, 3, 0, 0]]);
    }
}
