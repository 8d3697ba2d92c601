//! Maps from the pixels of the result to places in a picture.

use super::Border;
use super::read::{BITS, Reader, Sampling, place, place_f32};
use data::Image;

/// Coordinates of affine maps are in 2⁻³² pixels, so that stepping along a row adds no visible error.
const ONE: f64 = (1i64 << 32) as f64;

/// Turns a picture of this size about its center, counter-clockwise: the matrix for [`warp`].
pub fn rotation(degrees: f64, width: usize, height: usize) -> [f64; 6] {
    let (sin, cos) = degrees.to_radians().sin_cos();
    let (x, y) = ((width as f64 - 1.0) / 2.0, (height as f64 - 1.0) / 2.0);
    [cos, -sin, x - cos * x + sin * y, sin, cos, y - sin * x - cos * y]
}

/// Each pixel `(x, y)` of the result is read at `(a·x + b·y + c, d·x + e·y + f)` of the picture.
///
/// `inverse` is `[a, b, c, d, e, f]`; pixels lie at whole numbers. The size stays; `fill` is the value of a constant
/// border. Rounded to the nearest, as `torchvision` does.
pub fn warp(source: &Image, inverse: [f64; 6], sampling: Sampling, border: Border, fill: u8) -> Image {
    let [a, b, c, d, e, f] = inverse;
    let (step_x, step_y) = ((a * ONE) as i64, (d * ONE) as i64);
    Reader { sampling, border, fill }.read(source, [source.width(), source.height()], |y, xs, ys| {
        let first = |slope: f64, offset: f64| ((slope * y as f64 + offset) * ONE) as i64;
        line(xs, first(b, c), step_x);
        line(ys, first(e, f), step_y);
    })
}

#[inline(always)]
fn line(places: &mut [i32], mut at: i64, step: i64) {
    for value in places {
        *value = place(at);
        at = at.wrapping_add(step);
    }
}

/// Each pixel `(x, y)` of the result is read at `((a·x + b·y + c) / w, (d·x + e·y + f) / w)` with `w = g·x + h·y + i` of the
/// picture.
///
/// `inverse` is `[a, b, c, d, e, f, g, h, i]`; else as [`warp`].
pub fn project(source: &Image, inverse: [f64; 9], sampling: Sampling, border: Border, fill: u8) -> Image {
    let [a, b, c, d, e, f, g, h, i] = inverse;
    let most = f64::from(super::read::FAR);
    let unit = f64::from(1 << BITS);
    Reader { sampling, border, fill }.read(source, [source.width(), source.height()], |row, xs, ys| {
        let y = row as f64;
        let [from_x, from_y, from_w] = [b * y + c, e * y + f, h * y + i];
        for ((x, seen_x), seen_y) in (0i32..).zip(xs).zip(ys) {
            let x = f64::from(x);
            let scale = unit / (g * x + from_w);
            let place = |v: f64| (v * scale).max(-most).min(most).round_ties_even() as i32;
            (*seen_x, *seen_y) = (place(a * x + from_x), place(d * x + from_y));
        }
    })
}

/// Where each pixel of the result is read, in pixels of the picture, row by row.
#[derive(Clone, Debug)]
pub struct Map {
    width: usize,
    x: Vec<f32>,
    y: Vec<f32>,
}

impl Map {
    /// Of rows of `width` places each, as `cv2.remap` takes them; none when they do not fill whole rows.
    pub fn new(width: usize, x: Vec<f32>, y: Vec<f32>) -> Option<Self> {
        let whole = width > 0 && !x.is_empty() && x.len() == y.len() && x.len().is_multiple_of(width);
        whole.then_some(Self { width, x, y })
    }
}

/// The picture read at the places of a map; else as [`warp`]. The result has the map's size.
pub fn remap(source: &Image, map: &Map, sampling: Sampling, border: Border, fill: u8) -> Image {
    let (x, y) = (map.x.chunks_exact(map.width), map.y.chunks_exact(map.width));
    let rows: Vec<_> = x.zip(y).collect();
    Reader { sampling, border, fill }.read(source, [map.width, rows.len()], |row, xs, ys| {
        let (x, y) = rows[row];
        xs.iter_mut().zip(x).for_each(|(place, v)| *place = place_f32(*v));
        ys.iter_mut().zip(y).for_each(|(place, v)| *place = place_f32(*v));
    })
}

/// As [`remap`] with a map of the picture's own size of which each row is written when it is needed: `rows` gets its number
/// and room for its places.
#[inline(always)]
pub(super) fn remap_rows(source: &Image, reader: Reader, mut rows: impl FnMut(usize, &mut [f32], &mut [f32])) -> Image {
    let (width, height) = (source.width(), source.height());
    let (mut x, mut y) = (vec![0.0; width], vec![0.0; width]);
    reader.read(source, [width, height], |row, xs, ys| {
        rows(row, &mut x, &mut y);
        xs.iter_mut().zip(&x).for_each(|(place, v)| *place = place_f32(*v));
        ys.iter_mut().zip(&y).for_each(|(place, v)| *place = place_f32(*v));
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    const BORDERS: [Border; 4] = [Border::Constant, Border::Reflect, Border::Reflect101, Border::Replicate];
    const SAMPLINGS: [Sampling; 3] = [Sampling::Nearest, Sampling::Bilinear, Sampling::Bicubic];

    #[test]
    fn whole_numbers_move_pixels_exactly() {
        let picture = Image::new(3, 2, 1, vec![1, 2, 3, 4, 5, 6]).unwrap();
        for sampling in SAMPLINGS {
            let shift = |border| warp(&picture, [1., 0., 1., 0., 1., 0.], sampling, border, 9).into_pixels();
            assert_eq!(shift(Border::Constant), [2, 3, 9, 5, 6, 9]);
            assert_eq!(shift(Border::Reflect), [2, 3, 3, 5, 6, 6]);
            assert_eq!(shift(Border::Reflect101), [2, 3, 2, 5, 6, 5]);
            assert_eq!(shift(Border::Replicate), [2, 3, 3, 5, 6, 6]);
            let turned = warp(&picture, rotation(180.0, 3, 2), sampling, Border::Constant, 0);
            assert_eq!(turned.pixels(), [6, 5, 4, 3, 2, 1]);
        }
    }

    /// Wherever the vectors end and borders begin, every pixel is what it is alone.
    #[test]
    fn pixels_do_not_depend_on_their_neighbors() {
        for (width, height, channels) in [(40, 23, 3), (33, 9, 1), (17, 30, 4), (50, 5, 2), (19, 18, 5), (2, 2, 3)] {
            let pixels = (0..width * height * channels).map(|i| (i * i / 7 % 256) as u8).collect();
            let picture = Image::new(width, height, channels, pixels).unwrap();
            for (border, sampling) in BORDERS.iter().flat_map(|b| SAMPLINGS.map(|s| (*b, s))) {
                for scale in [0.6, 1.7, 30.0] {
                    let mut m = rotation(29.0, width, height).map(|v| v * scale);
                    m[2] -= 9.3;
                    let seen = warp(&picture, m, sampling, border, 77);
                    for (i, pixel) in seen.pixels().chunks_exact(channels).enumerate() {
                        // The step along the row is rounded to 2⁻³² pixels, so its multiples are.
                        let at = |k: usize| {
                            let start = ((m[k + 1] * (i / width) as f64 + m[k + 2]) * ONE) as i64;
                            place(start + (m[k] * ONE) as i64 * (i % width) as i64)
                        };
                        let want = Reader { sampling, border, fill: 77 }.alone(&picture, at(0), at(3));
                        assert_eq!(pixel, want, "{width} {channels} {border:?} {sampling:?} {scale} {i}");
                    }
                }
            }
        }
    }

    #[test]
    fn absurd_matrices_do_not_panic() {
        for picture in [Image::filled(3, 2, &[7, 8]), Image::filled(40, 30, &[1, 2, 3]), Image::filled(1, 40, &[1])] {
            for value in [f64::NAN, f64::INFINITY, 1e300, -1e300, 1e9] {
                for (border, sampling) in BORDERS.iter().flat_map(|b| SAMPLINGS.map(|s| (*b, s))) {
                    assert_eq!(warp(&picture, [value; 6], sampling, border, 0).dims(), picture.dims());
                    assert_eq!(project(&picture, [value; 9], sampling, border, 0).dims(), picture.dims());
                    let map = Map::new(2, vec![value as f32; 4], vec![-value as f32; 4]).unwrap();
                    assert_eq!(remap(&picture, &map, sampling, border, 0).dims(), [1, 2, 2, picture.channels()]);
                }
            }
        }
        assert!(Map::new(3, vec![0.0; 4], vec![0.0; 4]).is_none() && Map::new(0, vec![], vec![]).is_none());
    }
}
