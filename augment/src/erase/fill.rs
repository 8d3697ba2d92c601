//! What is seen in place of what is hidden.

use crate::draw::Draw;
use crate::pixel::noise::{Words, normal_bytes, uniform_bytes};
use crate::pixel::{Region, fill};
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
    /// One value in all channels.
    Constant(u8),
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
        let byte = value.as_u64().and_then(|v| u8::try_from(v).ok());
        match (byte, value.as_str()) {
            (Some(byte), _) => Ok(Self::Constant(byte)),
            (_, Some("random")) => Ok(Self::Random),
            (_, Some("pixel")) => Ok(Self::Pixel),
            (_, Some("color")) => Ok(Self::Color),
            _ => Err(format!("what fills must be in 0..=255, \"random\", \"pixel\" or \"color\", got {value}")),
        }
    }
}

impl From<Fill> for Value {
    fn from(fill: Fill) -> Self {
        match fill {
            Fill::Constant(byte) => byte.into(),
            Fill::Random => "random".into(),
            Fill::Pixel => "pixel".into(),
            Fill::Color => "color".into(),
        }
    }
}

impl Fill {
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
        if self.fill == Fill::Color {
            let color = self.color(image.channels());
            return fill(image, region, |row| {
                row.chunks_mut(color.len()).for_each(|pixel| pixel.copy_from_slice(&color))
            });
        }
        fill(image, region, |row| self.values(row));
    }

    /// Fills some values.
    pub(crate) fn values(&mut self, values: &mut [u8]) {
        let first = self.used;
        match self.fill {
            Fill::Constant(byte) => return values.fill(byte),
            Fill::Random => uniform_bytes(values, self.words, first),
            Fill::Pixel | Fill::Color => normal_bytes(values, PHOTOGRAPHS, self.words, first),
        }
        self.used = first.wrapping_add(values.len() as u32);
    }

    /// A color.
    fn color(&mut self, channels: usize) -> Vec<u8> {
        let mut color = vec![0; channels];
        self.values(&mut color);
        color
    }
}
