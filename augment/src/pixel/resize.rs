//! Resampling.

use super::{Region, image, sound};
use data::Image;
use fast_image_resize::images::{CroppedImage, Image as Out, ImageRef};
use fast_image_resize::{FilterType, PixelType, ResizeAlg, ResizeOptions, Resizer};
use serde::{Deserialize, Serialize};

/// Which pixels a resized one is made of; more of them where the picture shrinks.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Interpolation {
    /// The nearest pixel, also where the picture shrinks.
    Nearest,
    /// The nearest 2×2, linearly weighted.
    #[default]
    Bilinear,
    /// The nearest 4×4, by Keys' cubic with a = −½.
    Bicubic,
    /// The nearest 6×6, by a windowed sinc.
    Lanczos,
}

/// A region of the picture, resized to `[width, height]`; antialiased when it shrinks, as Pillow and `torchvision` do.
///
/// Pixels outside the region have no influence. The region is clipped to the picture; an empty one is all of it.
pub fn resize(source: Image, region: Region, [width, height]: [usize; 2], interpolation: Interpolation) -> Image {
    let region = region.inside(&source);
    let region = if region.is_empty() { Region::whole(&source) } else { region };
    let (width, height) = (width.max(1), height.max(1));
    if region == Region::whole(&source) && (width, height) == (source.width(), source.height()) {
        return source;
    }
    let shown = [0.0, 0.0, region.width as f64, region.height as f64];
    framed(&source, Frame { region, shown, interpolation }, width, height)
}

/// The picture resized to `[width, height]` as by [`resize`], of which only the middle is computed.
pub fn resize_middle(
    source: Image,
    [width, height]: [usize; 2],
    middle: [usize; 2],
    interpolation: Interpolation,
) -> Image {
    let (full, middle) = ([width.max(1), height.max(1)], middle.map(|side| side.max(1)));
    let sides = [source.width(), source.height()];
    if full == sides && middle[0] >= sides[0] && middle[1] >= sides[1] {
        return source;
    }
    let [(left, width), (top, height)] = [0, 1].map(|i| {
        let (side, scale) = (sides[i] as f64, sides[i] as f64 / full[i] as f64);
        let cut = full[i].saturating_sub(middle[i]);
        if cut == 0 {
            return (0.0, side);
        }
        let length = (full[i] - cut) as f64 * scale;
        let start = between_centers((cut as f64 / 2.0).round_ties_even() * scale, length, scale);
        // Rounding must not reach over the edge.
        (start, if start + length > side { (side - start).next_down() } else { length })
    });
    let frame = Frame { region: Region::whole(&source), shown: [left, top, width, height], interpolation };
    framed(&source, frame, middle[0].min(full[0]), middle[1].min(full[1]))
}

/// `start`, or a little more where the first or the last pixel of an enlarged middle would lie upon one of the picture: then the
/// weights of its neighbors are 0, and `fast_image_resize` 6.1 reads too few columns for those between, or beyond the end.
///
/// Of three places at most two can meet one, so that another is found. Where nothing grows, no weight within is 0.
fn between_centers(start: f64, length: f64, scale: f64) -> f64 {
    if scale >= 1.0 {
        return start;
    }
    let meets = |start: f64| {
        let ends = [start + scale / 2.0, start + length - scale / 2.0];
        ends.iter().any(|at| ((at - 0.5) - (at - 0.5).round()).abs() <= 1e-6)
    };
    [start, start + 1e-5, start + 2e-5].into_iter().find(|start| !meets(*start)).unwrap_or(start)
}

/// A region that has an influence and, within it, the `[left, top, width, height]` to be seen.
#[derive(Clone, Copy)]
struct Frame {
    region: Region,
    shown: [f64; 4],
    interpolation: Interpolation,
}

fn framed(source: &Image, frame: Frame, width: usize, height: usize) -> Image {
    let [depth, _, _, channels] = source.dims();
    let mut pixels = vec![0; depth * height * width * channels];
    let mut resizer = Resizer::new();
    let slices = source.pixels().chunks_exact(source.height() * source.width() * channels);
    for (slice, out) in slices.zip(pixels.chunks_exact_mut(height * width * channels)) {
        match pixel_type(channels) {
            Some(kind) => resample(&mut resizer, kind, (slice, source.width(), frame), (out, width)),
            None => in_groups(&mut resizer, channels, (slice, source.width(), frame), (out, width)),
        }
    }
    image([depth, height, width, channels], pixels)
}

fn pixel_type(channels: usize) -> Option<PixelType> {
    match channels {
        1 => Some(PixelType::U8),
        2 => Some(PixelType::U8x2),
        3 => Some(PixelType::U8x3),
        4 => Some(PixelType::U8x4),
        _ => None,
    }
}

/// `(bytes, width, frame)` → `(bytes, width)`, 1 to 4 channels.
fn resample(resizer: &mut Resizer, kind: PixelType, from: (&[u8], usize, Frame), to: (&mut [u8], usize)) {
    let ((bytes, width, Frame { region, shown, interpolation }), (out, out_width)) = (from, to);
    let rows = |bytes: &[u8], width: usize| (bytes.len() / kind.size() / width) as u32;
    let source = sound(ImageRef::new(width as u32, rows(bytes, width), bytes, kind));
    let (left, top) = (region.left as u32, region.top as u32);
    let source = sound(CroppedImage::new(&source, left, top, region.width as u32, region.height as u32));
    let out_rows = rows(out, out_width);
    let mut out = sound(Out::from_slice_u8(out_width as u32, out_rows, out, kind));
    let algorithm = match interpolation {
        Interpolation::Nearest => ResizeAlg::Nearest,
        Interpolation::Bilinear => ResizeAlg::Convolution(FilterType::Bilinear),
        Interpolation::Bicubic => ResizeAlg::Convolution(FilterType::CatmullRom),
        Interpolation::Lanczos => ResizeAlg::Convolution(FilterType::Lanczos3),
    };
    let options = ResizeOptions::new()
        .resize_alg(algorithm)
        .crop(shown[0], shown[1], shown[2], shown[3])
        // The channels are colors or stains under a microscope, never transparency.
        .use_alpha(false);
    sound(resizer.resize(&source, &mut out, &options));
}

/// Any other number of channels: four at a time.
fn in_groups(resizer: &mut Resizer, channels: usize, from: (&[u8], usize, Frame), to: (&mut [u8], usize)) {
    let ((bytes, width, frame), (out, out_width)) = (from, to);
    let region = frame.region;
    let gathered_frame = Frame { region: Region { left: 0, top: 0, ..region }, ..frame };
    for first in (0..channels).step_by(4) {
        let group = first..channels.min(first + 4);
        let Some(kind) = pixel_type(group.len()) else { continue };
        let rows = bytes.chunks_exact(width * channels).skip(region.top as usize).take(region.height);
        let pixels = rows.flat_map(|row| row.chunks_exact(channels).skip(region.left as usize).take(region.width));
        let mut gathered = Vec::with_capacity(region.width * region.height * group.len());
        pixels.for_each(|pixel| gathered.extend_from_slice(&pixel[group.clone()]));
        let mut resized = vec![0; out.len() / channels * group.len()];
        resample(resizer, kind, (&gathered, region.width, gathered_frame), (&mut resized, out_width));
        for (pixel, values) in out.chunks_exact_mut(channels).zip(resized.chunks_exact(group.len())) {
            pixel[group.clone()].copy_from_slice(values);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn bilinear(source: Image, region: Region, width: usize, height: usize) -> Image {
        resize(source, region, [width, height], Interpolation::Bilinear)
    }

    #[test]
    fn channels_and_regions_do_not_leak_into_each_other() {
        let value = |x: usize, y: usize, c: usize| (x * 23 + y * 11 + c * 37) as u8;
        let picture = |region: Region, channels: usize| {
            let xs = region.left as usize..region.left as usize + region.width;
            let ys = region.top as usize..region.top as usize + region.height;
            let pixels = ys.flat_map(|y| xs.clone().flat_map(move |x| (0..channels).map(move |c| value(x, y, c))));
            Image::new(region.width, region.height, channels, pixels.collect()).unwrap()
        };
        let all = Region { left: 0, top: 0, width: 9, height: 8 };
        let part = Region { left: 2, top: 3, width: 5, height: 4 };
        for channels in 1..=9 {
            let seen = bilinear(picture(all, channels), part, 3, 6);
            assert_eq!(seen, bilinear(picture(part, channels), Region { left: 0, top: 0, ..part }, 3, 6));
            for c in 0..channels {
                let single: Vec<u8> =
                    picture(all, channels).pixels().iter().skip(c).step_by(channels).copied().collect();
                let single = bilinear(Image::new(9, 8, 1, single).unwrap(), part, 3, 6);
                let ours = seen.pixels().iter().skip(c).step_by(channels);
                assert!(ours.zip(single.pixels()).all(|(a, b)| a.abs_diff(*b) <= 1), "{channels} channels");
            }
        }
    }

    #[test]
    fn middles_that_meet_pixels_are_read_within_the_picture() {
        for width in 1..120 {
            let picture = Image::new(width, 1, 1, (0..width).map(|x| (x * 7) as u8).collect()).unwrap();
            for (full, middle) in
                [(9 * width, 9), (8 * width, 8), (5 * width, 2), (width, 1), (3 * width, 3 * width - 1)]
            {
                for interpolation in [Interpolation::Bilinear, Interpolation::Bicubic, Interpolation::Lanczos] {
                    let seen = resize_middle(picture.clone(), [full, 9], [middle, 9], interpolation);
                    assert_eq!((seen.width(), seen.height()), (middle.min(full), 9));
                }
            }
        }
    }

    #[test]
    fn large_magnifications_read_within_the_picture() {
        for side in 4..12 {
            let picture = Image::new(side, side, 1, (0..side * side).map(|v| v as u8).collect()).unwrap();
            for factor in [20, 21, 25, 40, 1000] {
                for middle in [25, 26, 27, 6, 74] {
                    let seen = resize_middle(picture.clone(), [factor * side; 2], [middle; 2], Interpolation::Bicubic);
                    assert_eq!(seen.width(), middle.min(factor * side));
                }
            }
        }
    }

    #[test]
    fn the_middle_is_that_of_the_whole() {
        use crate::pixel::{Border, window};
        let picture = Image::new(31, 17, 1, (0..31 * 17).map(|i| (i * 37 % 256) as u8).collect()).unwrap();
        for full in [[12, 9], [62, 34], [9, 1], [31, 17]] {
            for middle in [[9, 9], [1, 8], [100, 3]] {
                for interpolation in [Interpolation::Bilinear, Interpolation::Bicubic] {
                    let whole = resize(picture.clone(), Region::whole(&picture), full, interpolation);
                    let (width, height) = (middle[0].min(full[0]), middle[1].min(full[1]));
                    let want = window(whole.clone(), Region::centered(&whole, width, height), Border::Constant, 0);
                    let ours = resize_middle(picture.clone(), full, middle, interpolation);
                    assert_eq!(ours.dims(), want.dims());
                    assert!(
                        ours.pixels().iter().zip(want.pixels()).all(|(a, b)| a.abs_diff(*b) <= 1),
                        "{full:?} {middle:?} {interpolation:?}"
                    );
                }
            }
        }
    }

    #[test]
    fn one_color_stays_one_color() {
        for (width, height) in [(1, 1), (300, 1), (7, 5)] {
            let seen = bilinear(
                Image::filled(50, 40, &[255, 3, 128]),
                Region { left: 1, top: 1, width: 40, height: 30 },
                width,
                height,
            );
            assert_eq!(seen, Image::filled(width, height, &[255, 3, 128]));
        }
    }
}
