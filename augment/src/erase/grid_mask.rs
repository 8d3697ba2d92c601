//! A turned grid of squares.

use crate::check;
use crate::draw::Draw;
use crate::erase::Extent;
use crate::error::Result;
use crate::pixel::{Paint, grid};
use crate::transform::Transform;
use data::Image;
use serde::{Deserialize, Serialize};

/// Hides a regular grid of squares, shifted and turned at random (Chen et al. 2020, GridMask; with the reference code's `mode`
/// 1, which the paper uses).
///
/// | field | default | range |
/// |---|---|---|
/// | `d` | [96, 224] | ≥ 2 pixels from one square to the next; or 0 < low ≤ high < 1, shares of the shorter side |
/// | `ratio` | 0.6 | 0..=1, share of `d` that stays between squares: 1 − (1 − ratio)² of the picture is seen |
/// | `rotate` | 360 | 0..=360 degrees: angles are uniform from 0 to this |
/// | `fill` | 0 | 0..=255, or one for each channel |
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct GridMask {
    /// Period.
    pub d: Extent,
    /// Share of the period between squares.
    pub ratio: f64,
    /// Largest angle, degrees.
    pub rotate: f64,
    /// What is seen instead.
    pub fill: Paint,
}

impl Default for GridMask {
    fn default() -> Self {
        Self { d: Extent([96.0, 224.0]), ratio: 0.6, rotate: 360.0, fill: Paint::default() }
    }
}

impl Transform for GridMask {
    fn apply(&self, mut image: Image, draw: &mut Draw) -> Image {
        let period = self.d.draw("d", image.width().min(image.height()), draw).max(2);
        let kept = (period as f64 * self.ratio).round() as usize;
        let shift = [draw.below("left", period), draw.below("top", period)];
        let degrees = draw.uniform("degrees", [0.0, self.rotate]);
        grid::mask(&mut image, [period, kept], shift, degrees, self.fill);
        image
    }
    fn validate(&self) -> Result<()> {
        let technique = "transform 'grid_mask'";
        self.d.validate(technique, "d")?;
        check::that(self.d.0[0] != 1.0, technique, || "d must be at least 2 pixels, got 1".into())?;
        check::within(technique, "ratio", self.ratio, [0.0, 1.0])?;
        check::within(technique, "rotate", self.rotate, [0.0, 360.0])
    }
    fn check_channels(&self, channels: usize) -> Result<()> {
        check::fill("transform 'grid_mask'", self.fill, channels)
    }
}
