//! Parts of volumes.

use crate::check;
use crate::draw::Draw;
use crate::error::Result;
use crate::pixel::{Border, Paint, Region, window_volume};
use crate::transform::Transform;
use data::Image;
use serde::{Deserialize, Serialize};

/// Crops a box of one size out of a volume; a volume that is smaller is padded (MONAI `RandSpatialCrop`, `CenterSpatialCrop`
/// and `SpatialPad`).
///
/// A smaller volume lies in the middle of the padding.
///
/// | field | default | range |
/// |---|---|---|
/// | `size` | [64, 64, 64] | `[depth, height, width]`, ≥ 1 |
/// | `place` | `random` | `random`, `center` |
/// | `border` | `constant` | `constant`, `reflect`, `reflect_101`, `replicate` |
/// | `fill` | 0 | 0..=255, or one for each channel; only for `constant` |
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct VolumeCrop {
    /// Sides of the result.
    pub size: [usize; 3],
    /// Where the box lies.
    pub place: Place,
    /// What the padding shows.
    pub border: Border,
    /// Value of a constant border.
    pub fill: Paint,
}

/// Where a crop lies.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Place {
    /// Anywhere.
    #[default]
    Random,
    /// In the middle.
    Center,
}

impl Default for VolumeCrop {
    fn default() -> Self {
        Self { size: [64; 3], place: Place::Random, border: Border::Constant, fill: Paint::default() }
    }
}

impl Transform for VolumeCrop {
    fn apply(&self, image: Image, draw: &mut Draw) -> Image {
        let [depth, height, width] = self.size;
        let mut start = |name, outer: usize, inner: usize| match self.place {
            Place::Random if outer > inner => draw.below(name, outer - inner + 1) as isize,
            // Half a pixel to the front where there is no middle.
            _ => (outer as isize - inner as isize).div_euclid(2),
        };
        let front = start("front", image.depth(), depth);
        let (top, left) = (start("top", image.height(), height), start("left", image.width(), width));
        window_volume(image, (front, depth), Region { left, top, width, height }, self.border, self.fill)
    }
    fn validate(&self) -> Result<()> {
        check::border("transform 'volume_crop'", self.border, self.fill)?;
        check::volume("transform 'volume_crop'", self.size)
    }
    fn check_channels(&self, channels: usize) -> Result<()> {
        check::fill("transform 'volume_crop'", self.fill, channels)
    }
    fn is_random(&self) -> bool {
        self.place == Place::Random
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use rand::SeedableRng;
    use rand_chacha::ChaCha8Rng;

    #[test]
    fn every_place_happens_and_no_other() {
        let mut rng = ChaCha8Rng::seed_from_u64(0);
        let volume = Image::volume([3, 1, 2, 1], (0..6).collect()).unwrap();
        let crop = VolumeCrop { size: [2, 1, 1], ..Default::default() };
        let mut seen: Vec<Vec<u8>> =
            (0..200).map(|_| crop.apply(volume.clone(), &mut Draw::new(&mut rng)).into_pixels()).collect();
        seen.sort();
        seen.dedup();
        assert_eq!(seen, [[0, 2], [1, 3], [2, 4], [3, 5]]);
        let padded = VolumeCrop { size: [5, 1, 1], place: Place::Center, border: Border::Constant, fill: 9.into() };
        assert_eq!(padded.apply(volume, &mut Draw::new(&mut rng)).pixels(), [9, 0, 2, 4, 9]);
        assert!(!padded.is_random() && crop.is_random());
    }
}
