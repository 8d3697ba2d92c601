//! Lungs without what is around them.

use crate::check;
use crate::draw::Draw;
use crate::error::Result;
use crate::pixel::{Paint, close_mask, label};
use crate::transform::Transform;
use data::Image;
use serde::{Deserialize, Serialize};

/// Keeps the lungs of a computed tomography of bytes, for volumes and pictures of one channel (the segmentation that the
/// notebooks of the Data Science Bowl 2017 share).
///
/// Air is darker than `threshold`. Of its parts that are 6-connected, those are dropped that reach the side of a slice:
/// the air around the body. The largest `keep` of the others are the lungs; closed in each slice by an ellipse, so that vessels
/// within and at the rim stay. What is not in a lung becomes `fill`; where no part is found, the volume stays.
///
/// | field | default | range |
/// |---|---|---|
/// | `threshold` | 124 | 1..=255: −320 Hounsfield units in the window −1000..400 |
/// | `keep` | 2 | ≥ 1 |
/// | `closing` | 9 | 1..=255, odd; 1 closes nothing |
/// | `fill` | 0 | 0..=255, or one for each channel |
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct LungMask {
    /// What is darker is air.
    pub threshold: u8,
    /// How many parts stay.
    pub keep: usize,
    /// Sides of the ellipse.
    pub closing: usize,
    /// What is seen instead.
    pub fill: Paint,
}

impl Default for LungMask {
    fn default() -> Self {
        Self { threshold: 124, keep: 2, closing: 9, fill: Paint::default() }
    }
}

impl Transform for LungMask {
    fn apply(&self, mut image: Image, _: &mut Draw) -> Image {
        let [depth, height, width, channels] = image.dims();
        if channels != 1 {
            return image;
        }
        let fill = self.fill.values()[0];
        let air: Vec<bool> = image.pixels().iter().map(|v| *v < self.threshold).collect();
        let (labels, parts) = label(&air, [depth, height, width]);
        let mut inside: Vec<usize> = (0..parts.len()).filter(|i| !parts[*i].touches_side).collect();
        // Sorting is stable: of equal parts, the first.
        inside.sort_by_key(|i| std::cmp::Reverse(parts[*i].size));
        inside.truncate(self.keep);
        if inside.is_empty() {
            return image;
        }
        let lungs: Vec<u32> = inside.iter().map(|i| *i as u32 + 1).collect();
        let mut mask: Vec<u8> = labels.iter().map(|label| if lungs.contains(label) { 255 } else { 0 }).collect();
        mask.chunks_exact_mut(height * width).for_each(|slice| close_mask(slice, width, self.closing));
        for (value, kept) in image.pixels_mut().iter_mut().zip(&mask) {
            *value = if *kept > 0 { *value } else { fill };
        }
        image
    }
    fn validate(&self) -> Result<()> {
        let technique = "transform 'lung_mask'";
        check::that(self.threshold > 0, technique, || "threshold must be at least 1, got 0".into())?;
        check::that(self.keep > 0, technique, || "keep must be at least 1, got 0".into())?;
        check::odd(technique, "closing", self.closing, 1)
    }
    fn check_channels(&self, channels: usize) -> Result<()> {
        check::that(channels == 1, "transform 'lung_mask'", || {
            format!("needs volumes or pictures of 1 channel, got {channels}")
        })?;
        check::fill("transform 'lung_mask'", self.fill, channels)
    }
    fn is_random(&self) -> bool {
        false
    }
}
