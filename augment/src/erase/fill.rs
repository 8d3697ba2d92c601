//! What is seen in place of what is hidden.

use crate::draw::Draw;
use crate::pixel::noise::{Words, normal_bytes, uniform_bytes};
use crate::pixel::{Paint, Region, fill};
use data::Image;
use serde::{Deserialize, Serialize};
use serde_json::Value;

/// What is seen in place of erased pixels.
///
/// The normal distribution is about that of photographs: with ImageNet's mean and deviation, as where `timm` erases
/// normalized pictures by normal noise.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "Value", into = "Value")]
pub enum Fill {
    /// Always the same.
    Constant(Paint),
    /// `"random"`: every byte uniform.
    Random,
    /// `"pixel"`: every byte normal.
    Pixel,
    /// `"color"`: one normal color for each hole.
    Color,
}

/// Mean and deviation of photographs (ImageNet's, of all channels).
const PHOTOGRAPHS: [f32; 2] = [114.5, 57.6];

impl TryFrom<Value> for Fill {
    type Error = String;

    fn try_from(value: Value) -> Result<Self, String> {
        let error = || {
            format!("fill must be in 0..=255, one for each channel, \"random\", \"pixel\" or \"color\", got {value}")
        };
        match value.as_str() {
            Some("random") => Ok(Self::Random),
            Some("pixel") => Ok(Self::Pixel),
            Some("color") => Ok(Self::Color),
            _ => Paint::parse(&value).map(Self::Constant).ok_or_else(error),
        }
    }
}

impl From<Fill> for Value {
    fn from(fill: Fill) -> Self {
        match fill {
            Fill::Constant(paint) => paint.into(),
            Fill::Random => "random".into(),
            Fill::Pixel => "pixel".into(),
            Fill::Color => "color".into(),
        }
    }
}

impl Default for Fill {
    fn default() -> Self {
        Self::Constant(Paint::default())
    }
}

impl Fill {
    /// What it always is; black for noise, which suits any number of channels.
    pub(crate) fn constant(self) -> Paint {
        if let Self::Constant(paint) = self { paint } else { Paint::default() }
    }

    /// Something to fill holes of a picture with. Draws a seed unless it is constant.
    pub(crate) fn source(self, draw: &mut Draw) -> Source {
        let seed = if matches!(self, Self::Constant(_)) { 0 } else { draw.seed("seed") };
        Source { fill: self, words: Words::new(seed), used: 0 }
    }
}

/// Writes what a [`Fill`] says, never the same noise twice.
pub(crate) struct Source {
    fill: Fill,
    words: Words,
    used: u32,
}

impl Source {
    /// Fills a rectangle.
    pub(crate) fn region(&mut self, image: &mut Image, region: Region) {
        let channels = image.channels();
        match self.fill {
            Fill::Constant(paint) => fill(image, region, |row| paint.cover(row, channels)),
            Fill::Random | Fill::Pixel => fill(image, region, |row| self.noise(row)),
            Fill::Color => {
                let mut color = vec![0; channels];
                self.noise(&mut color);
                fill(image, region, |row| row.chunks_mut(channels).for_each(|pixel| pixel.copy_from_slice(&color)));
            }
        }
    }

    /// Fills a pixel, or one value of it where all channels have the same.
    pub(crate) fn values(&mut self, values: &mut [u8]) {
        match self.fill {
            Fill::Constant(paint) => paint.cover(values, values.len()),
            _ => self.noise(values),
        }
    }

    fn noise(&mut self, values: &mut [u8]) {
        let first = self.used;
        match self.fill {
            Fill::Random => uniform_bytes(values, self.words, first),
            _ => normal_bytes(values, PHOTOGRAPHS, self.words, first),
        }
        self.used = first.wrapping_add(values.len() as u32);
    }
}
