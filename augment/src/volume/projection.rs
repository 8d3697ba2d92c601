//! Volumes as pictures.

use crate::check;
use crate::draw::Draw;
use crate::error::Result;
use crate::pixel::{Interpolation, Region, resize};
use crate::transform::Transform;
use data::Image;
use data::convert::projection::{Axis, Intensity, Planes, Slices, Statistic};
use serde::{Deserialize, Serialize};

/// A picture of a volume, for networks of pictures: adjacent slices as channels (2.5-D), the three planes through a point as
/// channels, or what is kept along an axis (MIP); nothing random ([`data::convert::projection`]).
///
/// Slices have `count` times the channels of the volume, planes three times as many; planes of other sides than the first, which
/// lies across the depth, are resized to it. Of a picture, the volume of one slice, slices are all that one.
///
/// | field | default | range |
/// |---|---|---|
/// | `mode` | `slices` | `slices`, `planes`, `max`, `mean`, `min` |
/// | `axis` | `depth` | `depth`, `height`, `width`: across what, but for planes |
/// | `count` | 3 | odd, 1..=31: slices |
/// | `at` | [0.5, 0.5, 0.5] | depth, height and width where the middle slice or the planes lie, from the first (0) to the last (1) |
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Projection {
    /// What the picture shows.
    pub mode: Mode,
    /// Across what, but for planes.
    pub axis: Axis,
    /// Slices.
    pub count: usize,
    /// Depth, height and width where slices and planes lie.
    pub at: [f64; 3],
}

/// What a picture shows of a volume.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Mode {
    /// Adjacent slices, as channels.
    #[default]
    Slices,
    /// Three planes, as channels.
    Planes,
    /// The largest values.
    Max,
    /// The means.
    Mean,
    /// The least values.
    Min,
}

impl Default for Projection {
    fn default() -> Self {
        Self { mode: Mode::Slices, axis: Axis::Depth, count: 3, at: [0.5; 3] }
    }
}

impl Transform for Projection {
    fn apply(&self, image: Image, _: &mut Draw) -> Image {
        let Self { axis, count, at, .. } = *self;
        let intensity = |statistic| Intensity { axis, statistic, ..Intensity::default() }.image(&image);
        let projected = match self.mode {
            Mode::Slices => Slices { axis, count, at: at[axis as usize] }.image(&image),
            Mode::Planes => Planes { at }.images(&image).and_then(side_by_side),
            Mode::Max => intensity(Statistic::Max),
            Mode::Mean => intensity(Statistic::Mean),
            Mode::Min => intensity(Statistic::Min),
        };
        // Only what was refused when this was built can fail.
        projected.unwrap_or(image)
    }
    fn validate(&self) -> Result<()> {
        let (technique, count) = ("transform 'projection'", self.count);
        check::that(count % 2 == 1 && count <= 31, technique, || {
            format!("count must be an odd number in 1..=31, got {count}")
        })?;
        self.at.iter().try_for_each(|at| check::within(technique, "at", *at, [0.0, 1.0]))
    }
    fn is_random(&self) -> bool {
        false
    }
}

/// Planes as the channels of one picture, as large as the first.
fn side_by_side(planes: [Image; 3]) -> data::Result<Image> {
    let ([width, height], channels) = ([planes[0].width(), planes[0].height()], planes[0].channels());
    let planes = planes.map(|plane| {
        let whole = Region::whole(&plane);
        resize(plane, whole, [width, height], Interpolation::Bilinear)
    });
    let pixel = |i: usize| planes.iter().flat_map(move |plane| &plane.pixels()[i * channels..][..channels]);
    Image::new(width, height, 3 * channels, (0..width * height).flat_map(pixel).copied().collect())
}
