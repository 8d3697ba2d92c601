//! The noise of sensitive sensors.

use crate::check;
use crate::draw::Draw;
use crate::error::Result;
use crate::pixel::noise;
use crate::transform::Transform;
use data::Image;
use serde::{Deserialize, Serialize};

/// The noise of a camera at a high ISO number: hues turn, and pixels get lighter (Albumentations `ISONoise`).
///
/// Hues turn by normal noise with a deviation of `color_shift · intensity` turns. The lightness l (of HLS) becomes
/// `l + n / 255 · (1 − l)`, where n is from the Poisson distribution with mean `255 · intensity · deviation of l`. These are
/// the scales of Albumentations 1; version 2.0.8 lost the factors 360 and 255, so that hues stay and few pixels change.
///
/// | field | default | range |
/// |---|---|---|
/// | `color_shift` | [0.01, 0.05] | 0 ≤ low ≤ high ≤ 1, turns |
/// | `intensity` | [0.1, 0.5] | 0 ≤ low ≤ high ≤ 10 |
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct IsoNoise {
    /// How far hues turn.
    pub color_shift: [f64; 2],
    /// Strength of both noises.
    pub intensity: [f64; 2],
}

impl Default for IsoNoise {
    fn default() -> Self {
        Self { color_shift: [0.01, 0.05], intensity: [0.1, 0.5] }
    }
}

impl Transform for IsoNoise {
    fn apply(&self, mut image: Image, draw: &mut Draw) -> Image {
        let color_shift = draw.uniform("color_shift", self.color_shift);
        let intensity = draw.uniform("intensity", self.intensity);
        noise::iso(&mut image, color_shift, intensity, draw.seed("seed"));
        image
    }
    fn validate(&self) -> Result<()> {
        let technique = "transform 'iso_noise'";
        check::range(technique, "color_shift", self.color_shift, [0.0, 1.0])?;
        check::range(technique, "intensity", self.intensity, [0.0, 10.0])
    }
    fn check_channels(&self, channels: usize) -> Result<()> {
        check::colors("transform 'iso_noise'", channels)
    }
}
