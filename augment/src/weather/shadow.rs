//! Shadows.

use crate::check;
use crate::draw::Draw;
use crate::error::Result;
use crate::pixel::polygon;
use crate::transform::Transform;
use data::Image;
use serde::{Deserialize, Serialize};

/// Darkens random polygons (Albumentations `RandomShadow`).
///
/// The sides of a polygon may cross: what they enclose an even number of times stays light. Where shadows meet, both darken.
///
/// | field | default | range |
/// |---|---|---|
/// | `count` | [1, 2] | 0 ≤ low ≤ high ≤ 100 shadows |
/// | `vertices` | 5 | 3..=100 |
/// | `intensity` | [0.5, 0.5] | 0 ≤ low ≤ high ≤ 1; 1 is black |
/// | `region` | [0, 0.5, 1, 1] | left, top, right, bottom, shares of the sides: where vertices lie |
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Shadow {
    /// How many.
    pub count: [usize; 2],
    /// Of a polygon.
    pub vertices: usize,
    /// Share of the light that is lost.
    pub intensity: [f64; 2],
    /// Left, top, right, bottom.
    pub region: [f64; 4],
}

impl Default for Shadow {
    fn default() -> Self {
        Self { count: [1, 2], vertices: 5, intensity: [0.5, 0.5], region: [0.0, 0.5, 1.0, 1.0] }
    }
}

impl Transform for Shadow {
    fn apply(&self, mut image: Image, draw: &mut Draw) -> Image {
        let [left, top, right, bottom] = self.region;
        let (width, height) = ((image.width() - 1) as f64, (image.height() - 1) as f64);
        for _ in 0..draw.whole("count", self.count.map(|n| n as i64)) {
            let intensity = draw.uniform("intensity", self.intensity);
            let vertices: Vec<[f64; 2]> = (0..self.vertices)
                .map(|_| {
                    [
                        draw.uniform("x", [left * width, right * width]),
                        draw.uniform("y", [top * height, bottom * height]),
                    ]
                })
                .map(|vertex| vertex.map(f64::round))
                .collect();
            polygon::darken(&mut image, &vertices, 1.0 - intensity);
        }
        image
    }
    fn validate(&self) -> Result<()> {
        let technique = "transform 'shadow'";
        check::range(technique, "count", self.count.map(|n| n as f64), [0.0, 100.0])?;
        check::within(technique, "vertices", self.vertices as f64, [3.0, 100.0])?;
        check::range(technique, "intensity", self.intensity, [0.0, 1.0])?;
        let [left, top, right, bottom] = self.region;
        check::range(technique, "region's left and right", [left, right], [0.0, 1.0])?;
        check::range(technique, "region's top and bottom", [top, bottom], [0.0, 1.0])
    }
}
