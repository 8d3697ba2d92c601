//! Volumes as pictures.

use crate::error::{Error, Result};
use crate::image::Image;
use serde::{Deserialize, Serialize};

/// A direction through a volume. Pictures across it keep the order of the other two: across depth they are height by width,
/// across height depth by width, across width depth by height.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Axis {
    /// From slice to slice: axial planes of a scan that lies so.
    #[default]
    Depth,
    /// From top to bottom: coronal planes.
    Height,
    /// From left to right: sagittal planes.
    Width,
}

/// Adjacent slices as channels (2.5-D): what lies beyond an end is its last slice.
///
/// | field | default | range |
/// |---|---|---|
/// | `axis` | depth | depth, height, width |
/// | `count` | 3 | slices, odd, 1 to 31 |
/// | `at` | 0.5 | where the middle one lies, from the first slice (0) to the last (1) |
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Slices {
    /// Across what.
    pub axis: Axis,
    /// Slices.
    pub count: usize,
    /// Where the middle one lies.
    pub at: f64,
}

impl Default for Slices {
    fn default() -> Self {
        Self { axis: Axis::Depth, count: 3, at: 0.5 }
    }
}

impl Slices {
    /// A picture of `count` times the channels of `volume`, slice by slice.
    ///
    /// # Errors
    /// [`Error::Invalid`] when a field is out of its range.
    pub fn image(&self, volume: &Image) -> Result<Image> {
        let Self { axis, count, at } = *self;
        if count.is_multiple_of(2) || count > 31 {
            return Err(Error::Invalid(format!("slices: count must be odd and 1 to 31, not {count}")));
        }
        let view = View::across(volume, axis);
        let middle = view.place(at)?;
        let slice = |i: usize| (middle + i).saturating_sub(count / 2).min(view.length - 1);
        let slices: Vec<usize> = (0..count).map(slice).collect();
        let channels = volume.channels();
        let pixels =
            view.pixels().flat_map(|[y, x]| slices.iter().flat_map(move |z| (0..channels).map(move |c| (*z, y, x, c))));
        Image::new(
            view.width,
            view.height,
            count * channels,
            pixels.map(|(z, y, x, c)| view.value(z, y, x, c)).collect(),
        )
    }
}

/// The three planes through one point.
///
/// | field | default | range |
/// |---|---|---|
/// | `at` | [0.5, 0.5, 0.5] | depth, height and width of the point, from the first slice (0) to the last (1) |
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Planes {
    /// Depth, height and width of the point.
    pub at: [f64; 3],
}

impl Default for Planes {
    fn default() -> Self {
        Self { at: [0.5; 3] }
    }
}

impl Planes {
    /// The planes across depth, height and width, of the channels of `volume`.
    ///
    /// # Errors
    /// [`Error::Invalid`] when a field is out of its range.
    pub fn images(&self, volume: &Image) -> Result<[Image; 3]> {
        let plane = |axis, at| Slices { axis, count: 1, at }.image(volume);
        let [z, y, x] = self.at;
        Ok([plane(Axis::Depth, z)?, plane(Axis::Height, y)?, plane(Axis::Width, x)?])
    }

    /// All three as channels of one picture.
    ///
    /// # Errors
    /// As [`Planes::images`], and when the volume is no cube.
    pub fn image(&self, volume: &Image) -> Result<Image> {
        let [depth, height, width, channels] = volume.dims();
        if depth != height || height != width {
            return Err(Error::Invalid(format!(
                "planes: a volume of {depth}×{height}×{width} has planes of several sizes; resize it to a cube first"
            )));
        }
        let planes = self.images(volume)?;
        let pixel = |i: usize| planes.iter().flat_map(move |plane| &plane.pixels()[i * channels..][..channels]);
        Image::new(width, height, 3 * channels, (0..width * height).flat_map(pixel).copied().collect())
    }
}

/// Intensity projection: of all slices, or of slabs of them that slide through the volume (Wallis et al. 1989, Napel et al.
/// 1993).
///
/// | field | default | range |
/// |---|---|---|
/// | `axis` | depth | depth, height, width |
/// | `statistic` | max | max (MIP), mean, min |
/// | `thickness` | all | slices of a slab, 1 to all |
/// | `step` | 1 | slices from one slab to the next, at least 1 |
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Intensity {
    /// Across what.
    pub axis: Axis,
    /// What is kept of the values along it.
    pub statistic: Statistic,
    /// Slices of a slab.
    pub thickness: Option<usize>,
    /// Slices from one slab to the next.
    pub step: usize,
}

impl Default for Intensity {
    fn default() -> Self {
        Self { axis: Axis::Depth, statistic: Statistic::Max, thickness: None, step: 1 }
    }
}

/// What is kept of several values.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Statistic {
    /// The largest.
    #[default]
    Max,
    /// The mean, halves rounded up.
    Mean,
    /// The least.
    Min,
}

impl Intensity {
    /// A picture, or where slabs slide a volume of as many slices as there are whole slabs; the channels of `volume` stay.
    ///
    /// # Errors
    /// [`Error::Invalid`] when a field is out of its range.
    pub fn image(&self, volume: &Image) -> Result<Image> {
        let view = View::across(volume, self.axis);
        let thickness = self.thickness.unwrap_or(view.length);
        if !(1..=view.length).contains(&thickness) || self.step == 0 {
            return Err(Error::Invalid(format!(
                "intensity: thickness must be 1 to the {} slices and step at least 1, not {thickness} and {}",
                view.length, self.step
            )));
        }
        let slabs = 1 + (view.length - thickness) / self.step;
        let mut pixels = Vec::with_capacity(slabs * view.height * view.width * volume.channels());
        for first in (0..slabs).map(|slab| slab * self.step) {
            for ([y, x], c) in view.pixels().flat_map(|at| (0..volume.channels()).map(move |c| (at, c))) {
                let values = (first..first + thickness).map(|z| view.value(z, y, x, c));
                let value = match self.statistic {
                    Statistic::Max => values.max(),
                    Statistic::Min => values.min(),
                    Statistic::Mean => {
                        let sum: u64 = values.map(u64::from).sum();
                        Some(((2 * sum + thickness as u64) / (2 * thickness as u64)) as u8)
                    }
                };
                pixels.push(value.unwrap_or(0));
            }
        }
        Image::volume([slabs, view.height, view.width, volume.channels()], pixels)
    }
}

/// A volume as slices across an axis.
struct View<'a> {
    volume: &'a Image,
    length: usize,
    height: usize,
    width: usize,
    /// Bytes from one slice, row and column to the next.
    strides: [usize; 3],
}

impl<'a> View<'a> {
    fn across(volume: &'a Image, axis: Axis) -> Self {
        let [depth, height, width, channels] = volume.dims();
        let (plane, row) = (height * width * channels, width * channels);
        let (sides, strides) = match axis {
            Axis::Depth => ([depth, height, width], [plane, row, channels]),
            Axis::Height => ([height, depth, width], [row, plane, channels]),
            Axis::Width => ([width, depth, height], [channels, plane, row]),
        };
        let [length, height, width] = sides;
        Self { volume, length, height, width, strides }
    }

    fn value(&self, z: usize, y: usize, x: usize, channel: usize) -> u8 {
        self.volume.pixels()[z * self.strides[0] + y * self.strides[1] + x * self.strides[2] + channel]
    }

    /// Row and column of all pixels of a slice, in order.
    fn pixels(&self) -> impl Iterator<Item = [usize; 2]> + use<> {
        let width = self.width;
        (0..self.height).flat_map(move |y| (0..width).map(move |x| [y, x]))
    }

    /// The slice at a share of the way from the first to the last.
    fn place(&self, at: f64) -> Result<usize> {
        match (0.0..=1.0).contains(&at) {
            true => Ok((at * (self.length - 1) as f64).round() as usize),
            false => Err(Error::Invalid(format!("a slice must lie between 0 (first) and 1 (last), not at {at}"))),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn volume() -> Image {
        Image::volume([2, 3, 4, 1], (0..24).collect()).unwrap()
    }

    #[test]
    fn slices_beyond_the_ends_are_the_last_ones() {
        let image = Slices { at: 0.0, ..Slices::default() }.image(&volume()).unwrap();
        assert_eq!((image.dims(), &image.pixels()[..6]), ([1, 3, 4, 3], &[0, 0, 12, 1, 1, 13][..]));
        let image = Slices { at: 1.0, axis: Axis::Width, count: 3 }.image(&volume()).unwrap();
        assert_eq!((image.dims(), &image.pixels()[..6]), ([1, 2, 3, 3], &[2, 3, 3, 6, 7, 7][..]));
        for (count, at) in [(2, 0.5), (0, 0.5), (33, 0.5), (3, -0.1), (3, 1.1), (3, f64::NAN)] {
            assert!(Slices { count, at, ..Slices::default() }.image(&volume()).is_err());
        }
    }

    #[test]
    fn planes_are_three_pictures_or_the_channels_of_one() {
        let [axial, coronal, sagittal] = Planes { at: [1.0, 0.0, 0.0] }.images(&volume()).unwrap();
        assert_eq!(axial.pixels(), (12..24).collect::<Vec<u8>>());
        assert_eq!((coronal.dims(), coronal.pixels()), ([1, 2, 4, 1], &[0, 1, 2, 3, 12, 13, 14, 15][..]));
        assert_eq!((sagittal.dims(), sagittal.pixels()), ([1, 2, 3, 1], &[0, 4, 8, 12, 16, 20][..]));
        assert!(Planes::default().image(&volume()).unwrap_err().to_string().contains("2×3×4"));
        let cube = Image::volume([2, 2, 2, 1], (0..8).collect()).unwrap();
        assert_eq!(Planes { at: [0.0; 3] }.image(&cube).unwrap().pixels(), [0, 0, 0, 1, 1, 2, 2, 4, 4, 3, 5, 6]);
    }

    #[test]
    fn projections_are_of_all_slices_or_of_slabs() {
        let of = |axis, statistic| Intensity { axis, statistic, ..Intensity::default() }.image(&volume()).unwrap();
        assert_eq!(of(Axis::Depth, Statistic::Max), of(Axis::Depth, Statistic::Max));
        assert_eq!(of(Axis::Height, Statistic::Min).pixels(), [0, 1, 2, 3, 12, 13, 14, 15]);
        assert_eq!(of(Axis::Width, Statistic::Mean).pixels(), [2, 6, 10, 14, 18, 22]);
        let slabs = Intensity { axis: Axis::Width, thickness: Some(2), step: 2, ..Intensity::default() };
        let image = slabs.image(&volume()).unwrap();
        assert_eq!((image.dims(), image.pixels()), ([2, 2, 3, 1], &[1, 5, 9, 13, 17, 21, 3, 7, 11, 15, 19, 23][..]));
        for (thickness, step) in [(0, 1), (5, 1), (1, 0)] {
            assert!(Intensity { thickness: Some(thickness), step, ..slabs.clone() }.image(&volume()).is_err());
        }
    }
}
