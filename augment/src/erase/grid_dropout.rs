//! A grid of holes.

use crate::check;
use crate::draw::Draw;
use crate::erase::Fill;
use crate::error::Result;
use crate::pixel::{grid, noise::Words};
use crate::transform::Transform;
use data::Image;
use serde::{Deserialize, Serialize};

/// Divides the picture into cells and hides a rectangle in each (Albumentations `GridDropout`).
///
/// | field | default | range |
/// |---|---|---|
/// | `ratio` | 0.5 | 0 < ratio ≤ 1, of a hole's sides to its cell's |
/// | `unit` | a tenth of each side | [low, high], 2..=32768 pixels: the sides of a cell, about |
/// | `random_offset` | true | false: each hole lies at its cell's upper left corner |
/// | `fill` | 0 | 0..=255, or one for each channel; `"random"`, `"pixel"`, `"color"` as in `random_erasing` |
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct GridDropout {
    /// Side of a hole over the side of its cell.
    pub ratio: f64,
    /// Sides of a cell.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub unit: Option<[usize; 2]>,
    /// Whether each hole lies somewhere else in its cell.
    pub random_offset: bool,
    /// What is seen instead.
    pub fill: Fill,
}

impl Default for GridDropout {
    fn default() -> Self {
        Self { ratio: 0.5, unit: None, random_offset: true, fill: Fill::default() }
    }
}

impl Transform for GridDropout {
    fn apply(&self, mut image: Image, draw: &mut Draw) -> Image {
        let sides = [image.height(), image.width()];
        let units = match self.unit {
            Some(unit) => [draw.whole("unit", unit.map(|n| n as i64)).max(1) as usize; 2],
            None => sides.map(|side| (side / 10).max(2)),
        };
        let cells = [0, 1].map(|i| (sides[i] / units[i]).max(1));
        let seed = self.random_offset.then(|| draw.seed("offsets"));
        let mut source = self.fill.source(draw);
        for hole in grid::holes(sides, cells, self.ratio, seed.map(Words::new)) {
            source.region(&mut image, hole);
        }
        image
    }
    fn validate(&self) -> Result<()> {
        let technique = "transform 'grid_dropout'";
        let ratio = self.ratio;
        check::that(ratio > 0.0 && ratio <= 1.0, technique, || {
            format!("ratio must be in 0..=1, above 0, got {ratio}")
        })?;
        let unit = self.unit.unwrap_or([2, 2]).map(|n| n as f64);
        check::range(technique, "unit", unit, [2.0, check::MAX_SIDE as f64])
    }
    fn check_channels(&self, channels: usize) -> Result<()> {
        check::fill("transform 'grid_dropout'", self.fill.constant(), channels)
    }
}
