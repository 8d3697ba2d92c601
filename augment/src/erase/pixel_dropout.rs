//! Single pixels.

use crate::check;
use crate::draw::Draw;
use crate::erase::Fill;
use crate::error::Result;
use crate::pixel::noise;
use crate::transform::Transform;
use data::Image;
use serde::{Deserialize, Serialize};

/// Hides each pixel with the same small probability (Albumentations `PixelDropout`).
///
/// | field | default | range |
/// |---|---|---|
/// | `share` | 0.01 | 0..=1 |
/// | `per_channel` | false | true: each channel of a pixel by itself |
/// | `fill` | 0 | 0..=255, or one for each channel; `"random"`, `"pixel"`, `"color"` as in `random_erasing`: of each pixel |
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct PixelDropout {
    /// Probability of a pixel.
    pub share: f64,
    /// Whether channels are hidden one by one.
    pub per_channel: bool,
    /// What is seen instead.
    pub fill: Fill,
}

impl Default for PixelDropout {
    fn default() -> Self {
        Self { share: 0.01, per_channel: false, fill: Fill::default() }
    }
}

impl Transform for PixelDropout {
    fn apply(&self, mut image: Image, draw: &mut Draw) -> Image {
        let mut source = self.fill.source(draw);
        let group = if self.per_channel { 1 } else { image.channels() };
        noise::scatter(&mut image, group, self.share, draw.seed("places"), |values, _| source.values(values));
        image
    }
    fn validate(&self) -> Result<()> {
        let technique = "transform 'pixel_dropout'";
        let one = self.fill.constant().values().len() == 1;
        check::that(one || !self.per_channel, technique, || "fill must be one value with per_channel".into())?;
        check::within(technique, "share", self.share, [0.0, 1.0])
    }
    fn check_channels(&self, channels: usize) -> Result<()> {
        check::fill("transform 'pixel_dropout'", self.fill.constant(), channels)
    }
}
