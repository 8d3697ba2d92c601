//! Less sharp: out of focus, in motion, through glass.

mod box_blur;
mod defocus;
mod gaussian_blur;
mod glass_blur;
mod median_blur;
mod motion_blur;
mod zoom_blur;

pub use box_blur::BoxBlur;
pub use defocus::Defocus;
pub use gaussian_blur::GaussianBlur;
pub use glass_blur::GlassBlur;
pub use median_blur::MedianBlur;
pub use motion_blur::MotionBlur;
pub use zoom_blur::ZoomBlur;

use crate::check;
use crate::draw::Draw;
use crate::error::Result;

/// Two odd sizes of a kernel in order, from 3 to `most`.
fn check_kernel(technique: &str, [low, high]: [usize; 2], most: usize) -> Result<()> {
    let holds = 3 <= low && low <= high && high <= most && low % 2 == 1 && high % 2 == 1;
    check::that(holds, technique, || {
        format!("kernel must be [low, high], odd, with 3 ≤ low ≤ high ≤ {most}, got [{low}, {high}]")
    })
}

/// One of the odd sizes between two.
fn draw_kernel(draw: &mut Draw, [low, high]: [usize; 2]) -> usize {
    let radius = draw.whole("radius", [low as i64 / 2, high as i64 / 2]);
    2 * radius as usize + 1
}
