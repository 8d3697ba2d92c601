//! A lens that zooms.

use crate::check;
use crate::draw::Draw;
use crate::error::Result;
use crate::pixel::zoom_blur;
use crate::transform::Transform;
use data::Image;
use serde::{Deserialize, Serialize};

/// The mean of the picture and of its magnified middles (Hendrycks & Dietterich 2019; Albumentations `ZoomBlur`).
///
/// Magnifications run from 1 up to a `factor`, in equal steps.
///
/// | field | default | range |
/// |---|---|---|
/// | `factor` | [1, 1.31] | largest magnification, 1 ≤ low ≤ high ≤ 3 |
/// | `step` | [0.01, 0.03] | between two magnifications, 0.01 ≤ low ≤ high ≤ 1 |
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct ZoomBlur {
    /// Smallest and largest one of the largest magnification.
    pub factor: [f64; 2],
    /// Smallest and largest step.
    pub step: [f64; 2],
}

impl Default for ZoomBlur {
    fn default() -> Self {
        Self { factor: [1.0, 1.31], step: [0.01, 0.03] }
    }
}

impl Transform for ZoomBlur {
    fn apply(&self, image: Image, draw: &mut Draw) -> Image {
        let step = draw.uniform("step", self.step);
        let factor = draw.uniform("factor", self.factor).max(1.0 + step);
        let count = ((factor - 1.0) / step).ceil() as usize;
        let factors: Vec<f64> = (0..count).map(|i| 1.0 + i as f64 * step).collect();
        zoom_blur(&image, &factors)
    }
    fn validate(&self) -> Result<()> {
        for (name, [low, high], [least, most]) in
            [("factor", self.factor, [1.0, 3.0]), ("step", self.step, [0.01, 1.0])]
        {
            check::that(least <= low && low <= high && high <= most, "transform 'zoom_blur'", || {
                format!("{name} must be [low, high] with {least} ≤ low ≤ high ≤ {most}, got [{low}, {high}]")
            })?;
        }
        Ok(())
    }
}
