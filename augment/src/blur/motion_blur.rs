//! Means along a line.

use super::{check_kernel, draw_kernel};
use crate::check;
use crate::draw::Draw;
use crate::error::Result;
use crate::pixel::{MAX_LINE, mean_of, motion_line};
use crate::transform::Transform;
use data::Image;
use serde::{Deserialize, Serialize};

/// The mean along a line, as of a moving camera (Albumentations `MotionBlur`); mirrored at the border.
///
/// | field | default | range |
/// |---|---|---|
/// | `kernel` | [3, 7] | sides of the square that holds the line, odd, 3 ≤ low ≤ high ≤ 99 |
/// | `angle` | [0, 360] | degrees, −360 ≤ low ≤ high ≤ 360 |
/// | `direction` | [−1, 1] | −1 only backward, 0 symmetric, 1 only forward |
/// | `shifted` | true | the line moves up to a quarter of the side off the middle |
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct MotionBlur {
    /// Smallest and largest side.
    pub kernel: [usize; 2],
    /// Smallest and largest angle.
    pub angle: [f64; 2],
    /// Smallest and largest direction.
    pub direction: [f64; 2],
    /// Whether the line leaves the middle.
    pub shifted: bool,
}

impl Default for MotionBlur {
    fn default() -> Self {
        Self { kernel: [3, 7], angle: [0.0, 360.0], direction: [-1.0, 1.0], shifted: true }
    }
}

impl Transform for MotionBlur {
    fn apply(&self, mut image: Image, draw: &mut Draw) -> Image {
        let size = draw_kernel(draw, self.kernel);
        let (angle, direction) = (draw.uniform("angle", self.angle), draw.uniform("direction", self.direction));
        let most = (size / 2) as f64 / 2.0;
        let mut shift = |name| if self.shifted { draw.uniform(name, [-most, most]) } else { 0.0 };
        let shift = [shift("shift_x"), shift("shift_y")];
        mean_of(&mut image, &motion_line(size, angle, direction, shift));
        image
    }
    fn validate(&self) -> Result<()> {
        let technique = "transform 'motion_blur'";
        check_kernel(technique, self.kernel, MAX_LINE)?;
        for (name, [low, high], most) in [("angle", self.angle, 360.0), ("direction", self.direction, 1.0)] {
            check::that(-most <= low && low <= high && high <= most, technique, || {
                format!("{name} must be [low, high] with −{most} ≤ low ≤ high ≤ {most}, got [{low}, {high}]")
            })?;
        }
        Ok(())
    }
}
