//! Rain.

use crate::check;
use crate::draw::Draw;
use crate::error::Result;
use crate::pixel::noise::Words;
use crate::pixel::veil::{self, Streaks};
use crate::transform::Transform;
use data::Image;
use serde::{Deserialize, Serialize};

/// Draws blurred streaks and darkens (Albumentations `RandomRain`).
///
/// Drops fall an eighth of the picture's height, all at one angle.
///
/// | field | default | range |
/// |---|---|---|
/// | `drops` | 0.33 | 0..=10, per row of the picture; Albumentations' heavy rain is 1, its torrents 2 |
/// | `slant` | [-10, 10] | −80 ≤ low ≤ high ≤ 80 degrees from the vertical |
/// | `blur` | 7 | 1..=15 pixels, odd |
/// | `color` | 200 | 0..=255, of a streak before it is blurred |
/// | `brightness` | 0.7 | 0..=1, factor in the end |
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Rain {
    /// Drops per row.
    pub drops: f64,
    /// Degrees from the vertical.
    pub slant: [f64; 2],
    /// Width of a streak.
    pub blur: usize,
    /// Value of a streak.
    pub color: u8,
    /// Darkness of the sky.
    pub brightness: f64,
}

impl Default for Rain {
    fn default() -> Self {
        Self { drops: 0.33, slant: [-10.0, 10.0], blur: 7, color: 200, brightness: 0.7 }
    }
}

impl Transform for Rain {
    fn apply(&self, mut image: Image, draw: &mut Draw) -> Image {
        let slant = draw.uniform("slant", self.slant);
        let words = Words::new(draw.seed("seed"));
        let (width, height) = (image.width(), image.height());
        let count = (height as f64 * self.drops) as u32;
        let length = (height / 8).max(1);
        let starts: Vec<[usize; 2]> = (0..count)
            .map(|i| [words.below(2 * i, width), words.below(2 * i + 1, height.saturating_sub(length).max(1))])
            .collect();
        let streaks = Streaks { length, shift: slant.to_radians().tan(), blur: self.blur, color: self.color };
        veil::rain(&mut image, &starts, streaks, self.brightness);
        image
    }
    fn validate(&self) -> Result<()> {
        let technique = "transform 'rain'";
        check::within(technique, "drops", self.drops, [0.0, 10.0])?;
        check::range(technique, "slant", self.slant, [-80.0, 80.0])?;
        let blur = self.blur;
        check::that((1..=15).contains(&blur) && blur % 2 == 1, technique, || {
            format!("blur must be odd and in 1..=15, got {blur}")
        })?;
        check::within(technique, "brightness", self.brightness, [0.0, 1.0])
    }
}
