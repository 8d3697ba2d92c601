//! Columns and rows of unequal widths.

use crate::check;
use crate::draw::Draw;
use crate::error::Result;
use crate::pixel::{Border, Paint, Sampling, remap_axes};
use crate::transform::Transform;
use data::Image;
use serde::{Deserialize, Serialize};

/// Stretches columns and rows by factors uniform in `1 ± limit`, scaled so that they cover the picture (Albumentations
/// `GridDistortion`).
///
/// | field | default | range |
/// |---|---|---|
/// | `steps` | 5 | 1..=1000, columns and rows |
/// | `limit` | 0.3 | 0..=0.99 |
/// | `interpolation` | `bilinear` | `nearest`, `bilinear`, `bicubic` |
/// | `border` | `reflect_101` | `constant`, `reflect`, `reflect_101`, `replicate` |
/// | `fill` | 0 | 0..=255, or one for each channel; only for `constant` |
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct GridDistortion {
    /// Columns and rows.
    pub steps: usize,
    /// Largest change of a width.
    pub limit: f64,
    /// How values between pixels are read.
    pub interpolation: Sampling,
    /// What comes in from outside, where rounding reaches there.
    pub border: Border,
    /// Value of a constant border.
    pub fill: Paint,
}

impl Default for GridDistortion {
    fn default() -> Self {
        let (interpolation, border) = (Sampling::Bilinear, Border::Reflect101);
        Self { steps: 5, limit: 0.3, interpolation, border, fill: Paint::default() }
    }
}

impl Transform for GridDistortion {
    fn apply(&self, image: Image, draw: &mut Draw) -> Image {
        let mut axis = |name, side: usize| {
            let factors: Vec<f64> =
                (0..self.steps).map(|_| draw.uniform(name, [1.0 - self.limit, 1.0 + self.limit])).collect();
            places(&factors, side)
        };
        let (columns, rows) = (axis("column", image.width()), axis("row", image.height()));
        remap_axes(&image, [&columns, &rows], (self.interpolation, self.border, self.fill))
    }
    fn validate(&self) -> Result<()> {
        check::border("transform 'grid_distortion'", self.border, self.fill)?;
        let technique = "transform 'grid_distortion'";
        check::that((1..=1000).contains(&self.steps), technique, || {
            format!("steps must be in 1..=1000, got {}", self.steps)
        })?;
        check::within(technique, "limit", self.limit, [0.0, 0.99])
    }
    fn check_channels(&self, channels: usize) -> Result<()> {
        check::fill("transform 'grid_distortion'", self.fill, channels)
    }
}

/// Where the pixels of a side are read: steps of equal widths, stretched by the factors so that both ends stay.
fn places(factors: &[f64], side: usize) -> Vec<f32> {
    let last = side.saturating_sub(1) as f64;
    let (total, width) = (factors.iter().sum::<f64>(), last / factors.len() as f64);
    let mut places = Vec::with_capacity(side);
    let mut end = 0.0;
    for (i, factor) in factors.iter().enumerate() {
        let (from, to) = (i as f64 * width, (i + 1) as f64 * width);
        let start = end;
        end += factor / total * last;
        let stop = if i + 1 == factors.len() { side } else { (to.ceil() as usize).min(side) };
        let rise = (end - start) / width.max(f64::MIN_POSITIVE);
        places.extend((places.len()..stop).map(|x| (start + (x as f64 - from) * rise) as f32));
    }
    places
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn steps_are_stretched_and_both_ends_stay() {
        assert_eq!(places(&[1.0, 3.0], 9), [0.0, 0.5, 1.0, 1.5, 2.0, 3.5, 5.0, 6.5, 8.0]);
        assert_eq!(places(&[0.7, 0.7, 0.7], 4), [0.0, 1.0, 2.0, 3.0]);
        assert_eq!(places(&[1.3, 0.7], 1), [0.0]);
        for (steps, side) in [(5, 2), (7, 3), (1, 30), (1000, 7)] {
            let factors: Vec<f64> = (0..steps).map(|i| 0.7 + 0.6 * f64::from(i * 37 % 100) / 100.0).collect();
            let places = places(&factors, side);
            assert!(places.len() == side && places.is_sorted_by(|a, b| a < b), "{places:?}");
            assert!(places[0] == 0.0 && (places[side - 1] - (side as f32 - 1.0)).abs() < 1e-4, "{places:?}");
        }
    }
}
