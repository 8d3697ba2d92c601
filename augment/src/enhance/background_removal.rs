//! One range of colors kept.

use crate::check;
use crate::draw::Draw;
use crate::error::Result;
use crate::pixel::{Paint, keep_colors};
use crate::transform::Transform;
use data::Image;
use serde::{Deserialize, Serialize};

/// Overwrites everything that has not a color in a range of hue, saturation and value: plants without soil, as in the
/// notebooks on plant seedlings.
///
/// Colors are OpenCV's for bytes: hue 0..180. The mask of what stays is closed by an ellipse first. Only for three channels.
///
/// | field | default | range |
/// |---|---|---|
/// | `low` | [25, 100, 50] | hue, saturation, value |
/// | `high` | [95, 255, 255] | hue, saturation, value, both bounds included |
/// | `closing` | 11 | 1..=255, odd; 1 closes nothing |
/// | `fill` | 0 | 0..=255, or one for each channel |
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct BackgroundRemoval {
    /// Lowest hue, saturation and value.
    pub low: [u8; 3],
    /// Highest hue, saturation and value.
    pub high: [u8; 3],
    /// Sides of the ellipse.
    pub closing: usize,
    /// What is seen instead.
    pub fill: Paint,
}

impl Default for BackgroundRemoval {
    fn default() -> Self {
        Self { low: [25, 100, 50], high: [95, 255, 255], closing: 11, fill: Paint::default() }
    }
}

impl Transform for BackgroundRemoval {
    fn apply(&self, mut image: Image, _: &mut Draw) -> Image {
        keep_colors(&mut image, [self.low, self.high], self.closing, self.fill);
        image
    }
    fn validate(&self) -> Result<()> {
        let technique = "transform 'background_removal'";
        let ordered = self.low.iter().zip(&self.high).all(|(low, high)| low <= high);
        check::that(ordered, technique, || {
            format!("low must not be above high, got {:?} and {:?}", self.low, self.high)
        })?;
        check::odd(technique, "closing", self.closing, 1)
    }
    fn check_channels(&self, channels: usize) -> Result<()> {
        check::that(channels == 3, "transform 'background_removal'", || {
            format!("needs colors, pictures of 3 channels, got {channels}")
        })?;
        check::fill("transform 'background_removal'", self.fill, channels)
    }
    fn is_random(&self) -> bool {
        false
    }
}
