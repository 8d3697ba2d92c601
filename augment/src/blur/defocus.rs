//! A lens out of focus.

use crate::check;
use crate::draw::Draw;
use crate::error::Result;
use crate::pixel::{Border, MAX_RADIUS, disc_blur, gaussian_blur};
use crate::transform::Transform;
use data::Image;
use serde::{Deserialize, Serialize};

/// The mean over a disc with a soft edge (Hendrycks & Dietterich 2019; Albumentations `Defocus`); mirrored at the border.
///
/// Above a radius of 7 Albumentations' weights add up to something else than 1, which changes the brightness; here they
/// do not.
///
/// | field | default | range |
/// |---|---|---|
/// | `radius` | [3, 10] | pixels, 1 ≤ low ≤ high ≤ 60 |
/// | `alias_blur` | [0.1, 0.5] | standard deviation of the edge, 0 < low ≤ high ≤ 10 |
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Defocus {
    /// Smallest and largest radius.
    pub radius: [usize; 2],
    /// Smallest and largest softness.
    pub alias_blur: [f64; 2],
}

impl Default for Defocus {
    fn default() -> Self {
        Self { radius: [3, 10], alias_blur: [0.1, 0.5] }
    }
}

impl Transform for Defocus {
    fn apply(&self, image: Image, draw: &mut Draw) -> Image {
        let radius = draw.whole("radius", self.radius.map(|radius| radius as i64)) as usize;
        let sigma = draw.uniform("alias_blur", self.alias_blur);
        let mut image = disc_blur(&image, radius);
        gaussian_blur(&mut image, sigma, if radius <= 8 { 3 } else { 5 }, Border::Reflect101, 0);
        image
    }
    fn validate(&self) -> Result<()> {
        let (technique, [low, high]) = ("transform 'defocus'", self.radius);
        check::that(1 <= low && low <= high && high <= MAX_RADIUS, technique, || {
            format!("radius must be [low, high] with 1 ≤ low ≤ high ≤ {MAX_RADIUS}, got [{low}, {high}]")
        })?;
        check::interval(technique, "alias_blur", self.alias_blur, 10.0)
    }
}
