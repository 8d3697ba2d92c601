//! Brightness, contrast, saturation and hue.

use crate::check;
use crate::draw::Draw;
use crate::error::Result;
use crate::pixel::{color, tone};
use crate::transform::Transform;
use data::Image;
use serde::{Deserialize, Serialize};

/// Changes brightness, contrast, saturation and hue in random order (`torchvision` `ColorJitter`).
///
/// A strength `b` draws the factor uniform in `max(0, 1 − b)..1 + b`, for the hue a turn in `−b..b`. Saturation and hue
/// leave pictures alone that have not three channels.
///
/// | field | default | range |
/// |---|---|---|
/// | `brightness` | 0 | ≥ 0 |
/// | `contrast` | 0 | ≥ 0 |
/// | `saturation` | 0 | ≥ 0 |
/// | `hue` | 0 | 0..=0.5 turns |
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct ColorJitter {
    /// Strength on the distance to black.
    pub brightness: f64,
    /// Strength on the distance to the mean gray.
    pub contrast: f64,
    /// Strength on the distance to each pixel's gray.
    pub saturation: f64,
    /// Largest turn of the color circle to either side.
    pub hue: f64,
}

impl Transform for ColorJitter {
    fn apply(&self, mut image: Image, draw: &mut Draw) -> Image {
        let order = draw.order("order", 4);
        let mut factor = |name, strength: f64| draw.uniform(name, [(1.0 - strength).max(0.0), 1.0 + strength]);
        let factors = [
            factor("brightness", self.brightness),
            factor("contrast", self.contrast),
            factor("saturation", self.saturation),
        ];
        let turns = draw.uniform("turns", [-self.hue, self.hue]);
        // The table of a step waits, so that brightness after contrast needs no reading of its own.
        let mut waiting: Option<tone::Table> = None;
        let flush = |image: &mut Image, waiting: &mut Option<tone::Table>| {
            if let Some(table) = waiting.take() {
                tone::look_up(image, &table);
            }
        };
        for step in order {
            match step {
                0 if self.brightness > 0.0 => {
                    let table = color::brighter(factors[0]);
                    waiting = Some(waiting.map_or(table, |first| tone::then(&first, &table)));
                }
                1 if self.contrast > 0.0 => {
                    flush(&mut image, &mut waiting);
                    waiting = Some(color::more_contrast(&image, factors[1]));
                }
                2 if self.saturation > 0.0 => {
                    flush(&mut image, &mut waiting);
                    color::saturation(&mut image, factors[2]);
                }
                3 if self.hue > 0.0 => {
                    flush(&mut image, &mut waiting);
                    color::hue(&mut image, turns);
                }
                _ => {}
            }
        }
        flush(&mut image, &mut waiting);
        image
    }
    fn check_channels(&self, channels: usize) -> Result<()> {
        match self.saturation > 0.0 || self.hue > 0.0 {
            true => check::colors("transform 'color_jitter': saturation and hue", channels),
            false => Ok(()),
        }
    }
    fn validate(&self) -> Result<()> {
        let technique = "transform 'color_jitter'";
        let strengths = [("brightness", self.brightness), ("contrast", self.contrast), ("saturation", self.saturation)];
        strengths.into_iter().try_for_each(|(name, strength)| check::strength(technique, name, strength))?;
        check::within(technique, "hue", self.hue, [0.0, 0.5])
    }
}
