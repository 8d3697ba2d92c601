//! Turns of volumes.

use crate::check;
use crate::draw::Draw;
use crate::error::Result;
use crate::pixel::{Border, Paint, Sampling, rotation, turn_volume, warp};
use crate::transform::Transform;
use data::Image;
use serde::{Deserialize, Serialize};

/// Turns a volume by a random number of quarter turns in one of several planes (MONAI `RandRotate90`), then about its depth by
/// an angle uniform in ±`degrees`.
///
/// Odd numbers of quarter turns exchange the two sides of the plane.
///
/// | field | default | range |
/// |---|---|---|
/// | `planes` | [`height_width`] | of `height_width`, `depth_height`, `depth_width`; none: no quarter turns |
/// | `degrees` | 0 | 0..=180 |
/// | `border` | `reflect_101` | `constant`, `reflect`, `reflect_101`, `replicate` |
/// | `fill` | 0 | 0..=255, or one for each channel; only for `constant` |
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct VolumeRotate {
    /// In which planes quarter turns happen.
    pub planes: Vec<Plane>,
    /// Largest angle about the depth to either side.
    pub degrees: f64,
    /// What comes in at the corners.
    pub border: Border,
    /// Value of a constant border.
    pub fill: Paint,
}

/// Two axes of a volume.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Plane {
    /// Within the slices.
    HeightWidth,
    /// Front and back, top and bottom.
    DepthHeight,
    /// Front and back, left and right.
    DepthWidth,
}

impl Default for VolumeRotate {
    fn default() -> Self {
        Self { planes: vec![Plane::HeightWidth], degrees: 0.0, border: Border::Reflect101, fill: Paint::default() }
    }
}

impl Transform for VolumeRotate {
    fn apply(&self, image: Image, draw: &mut Draw) -> Image {
        let plane = self.planes.get(draw.below("plane", self.planes.len()));
        let turns = draw.below("quarter_turns", 4);
        let degrees = draw.uniform("degrees", [-self.degrees, self.degrees]);
        let image = match plane {
            None => image,
            Some(Plane::HeightWidth) => turn_volume(image, turns, 1, 2),
            Some(Plane::DepthHeight) => turn_volume(image, turns, 0, 1),
            Some(Plane::DepthWidth) => turn_volume(image, turns, 0, 2),
        };
        if degrees == 0.0 {
            return image;
        }
        let inverse = rotation(degrees, image.width(), image.height());
        warp(&image, inverse, Sampling::Bilinear, self.border, self.fill)
    }
    fn validate(&self) -> Result<()> {
        check::border("transform 'volume_rotate'", self.border, self.fill)?;
        check::within("transform 'volume_rotate'", "degrees", self.degrees, [0.0, 180.0])
    }
    fn check_channels(&self, channels: usize) -> Result<()> {
        check::fill("transform 'volume_rotate'", self.fill, channels)
    }
}
