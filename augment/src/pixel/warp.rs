//! Maps from the pixels of the result to places in a picture.

use super::read::{Reader, Rows, Sampling, UNIT, place, place_f32, place_f64};
use super::{Border, Paint};
use data::Image;

/// Coordinates of affine maps are in 2⁻³² pixels, so that stepping along a row adds no visible error.
const ONE: f64 = (1i64 << 32) as f64;

/// Turns a picture of this size about its center, counter-clockwise: the matrix for [`warp`].
pub fn rotation(degrees: f64, width: usize, height: usize) -> [f64; 6] {
    let (sin, cos) = degrees.to_radians().sin_cos();
    let (x, y) = ((width as f64 - 1.0) / 2.0, (height as f64 - 1.0) / 2.0);
    [cos, -sin, x - cos * x + sin * y, sin, cos, y - sin * x - cos * y]
}

/// Shears, scales, turns clockwise and then moves a picture of this size: the matrix for [`warp`], that of `torchvision`'s
/// `affine`.
///
/// Angles are in degrees, `translate` is in pixels. A scale of 0 is one of 1.
pub fn affine(sides: [usize; 2], degrees: f64, translate: [f64; 2], scale: f64, shear: [f64; 2]) -> [f64; 6] {
    let (turn, [shear_x, shear_y]) = (degrees.to_radians(), shear.map(f64::to_radians));
    let scale = if scale == 0.0 { 1.0 } else { scale };
    let (sin, cos) = (turn - shear_y).sin_cos();
    let a = cos / shear_y.cos();
    let b = -cos * shear_x.tan() / shear_y.cos() - turn.sin();
    let c = sin / shear_y.cos();
    let d = -sin * shear_x.tan() / shear_y.cos() + turn.cos();
    let [m, n, o, p] = [d, -b, -c, a].map(|v| v / scale);
    let [x, y] = sides.map(|side| (side as f64 - 1.0) / 2.0);
    let [back_x, back_y] = [-x - translate[0], -y - translate[1]];
    [m, n, m * back_x + n * back_y + x, o, p, o * back_x + p * back_y + y]
}

/// Stretches a quadrilateral over a picture of this size: the matrix for [`project`].
///
/// The centers of the corner pixels, clockwise from the upper left one, are read at `corners`. Where three of these lie on a
/// line the lower right one is moved to where the others are the corners of a parallelogram.
pub fn quadrilateral(corners: [[f64; 2]; 4], [width, height]: [usize; 2]) -> [f64; 9] {
    let [[x0, y0], [x1, y1], [x2, y2], [x3, y3]] = corners;
    // Heckbert 1989, from the unit square.
    let (right, down) = ([x1 - x2, y1 - y2], [x3 - x2, y3 - y2]);
    let excess = [x0 - x1 + x2 - x3, y0 - y1 + y2 - y3];
    let cross = |[a, b]: [f64; 2], [c, d]: [f64; 2]| a * d - b * c;
    let all = cross(right, down);
    let (g, h) = (cross(excess, down) / all, cross(right, excess) / all);
    let (g, h) = if g.is_finite() && h.is_finite() { (g, h) } else { (0.0, 0.0) };
    let [u, v] = [width, height].map(|side| 1.0 / (side.max(2) as f64 - 1.0));
    let row = |p0: f64, p1: f64, p3: f64| [(p1 - p0 + g * p1) * u, (p3 - p0 + h * p3) * v, p0];
    let ([a, b, c], [d, e, f]) = (row(x0, x1, x3), row(y0, y1, y3));
    [a, b, c, d, e, f, g * u, h * v, 1.0]
}

/// Each pixel `(x, y)` of the result is read at `(a·x + b·y + c, d·x + e·y + f)` of the picture.
///
/// `inverse` is `[a, b, c, d, e, f]`; pixels lie at whole numbers. The size stays; `fill` is that of a constant
/// border. Rounded to the nearest, as `torchvision` does.
pub fn warp(source: &Image, inverse: [f64; 6], sampling: Sampling, border: Border, fill: impl Into<Paint>) -> Image {
    Reader { sampling, border, fill: fill.into() }.read(source, [source.width(), source.height()], Affine(inverse))
}

struct Affine([f64; 6]);

impl Rows for Affine {
    #[inline(always)]
    fn row(&mut self, y: usize, xs: &mut [i32], ys: &mut [i32]) {
        let [a, b, c, d, e, f] = self.0;
        let first = |slope: f64, offset: f64| ((slope * y as f64 + offset) * ONE) as i64;
        line(xs, first(b, c), (a * ONE) as i64);
        line(ys, first(e, f), (d * ONE) as i64);
    }
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
pub fn project(source: &Image, inverse: [f64; 9], sampling: Sampling, border: Border, fill: impl Into<Paint>) -> Image {
    Reader { sampling, border, fill: fill.into() }.read(source, [source.width(), source.height()], Projective(inverse))
}

struct Projective([f64; 9]);

impl Rows for Projective {
    #[inline(always)]
    fn row(&mut self, y: usize, xs: &mut [i32], ys: &mut [i32]) {
        let [a, b, c, d, e, f, g, h, i] = self.0;
        let y = y as f64;
        let [from_x, from_y, from_w] = [b * y + c, e * y + f, h * y + i];
        for (x, (seen_x, seen_y)) in xs.iter_mut().zip(ys).enumerate() {
            let x = f64::from(x as i32);
            let scale = f64::from(UNIT) / (g * x + from_w);
            *seen_x = place_f64((a * x + from_x) * scale);
            *seen_y = place_f64((d * x + from_y) * scale);
        }
    }
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
pub fn remap(source: &Image, map: &Map, sampling: Sampling, border: Border, fill: impl Into<Paint>) -> Image {
    Reader { sampling, border, fill: fill.into() }.read(source, [map.width, map.x.len() / map.width], Mapped(map))
}

struct Mapped<'a>(&'a Map);

impl Rows for Mapped<'_> {
    #[inline(always)]
    fn row(&mut self, y: usize, xs: &mut [i32], ys: &mut [i32]) {
        let row = y * self.0.width..(y + 1) * self.0.width;
        xs.iter_mut().zip(&self.0.x[row.clone()]).for_each(|(place, v)| *place = place_f32(*v));
        ys.iter_mut().zip(&self.0.y[row]).for_each(|(place, v)| *place = place_f32(*v));
    }
}

/// The picture read at `(columns[x], rows[y])`; else as [`remap`].
pub fn remap_axes(source: &Image, [columns, rows]: [&[f32]; 2], look: (Sampling, Border, Paint)) -> Image {
    let (sampling, border, fill) = look;
    let places = [columns, rows].map(|axis| axis.iter().map(|v| place_f32(*v)).collect::<Vec<_>>());
    if columns.is_empty() || rows.is_empty() {
        return source.clone();
    }
    Reader { sampling, border, fill }.read(source, [columns.len(), rows.len()], Axes(places))
}

struct Axes([Vec<i32>; 2]);

impl Rows for Axes {
    #[inline(always)]
    fn row(&mut self, y: usize, xs: &mut [i32], ys: &mut [i32]) {
        xs.copy_from_slice(&self.0[0]);
        ys.fill(self.0[1][y]);
    }
}

/// The picture as a lens with the radial coefficients `k₁ = k₂ = k` shows it: as OpenCV's `initUndistortRectifyMap` for a camera
/// whose focal lengths are the sides and whose axis goes through the center.
pub fn lens(source: &Image, k: f64, look: (Sampling, Border, Paint)) -> Image {
    let (sampling, border, fill) = look;
    let sides = [source.width(), source.height()];
    Reader { sampling, border, fill }.read(source, sides, Lens { sides: sides.map(|side| side as f32), k: k as f32 })
}

struct Lens {
    sides: [f32; 2],
    k: f32,
}

impl Rows for Lens {
    #[inline(always)]
    fn row(&mut self, y: usize, xs: &mut [i32], ys: &mut [i32]) {
        let [width, height] = self.sides;
        let (center_x, center_y) = ((width - 1.0) / 2.0, (height - 1.0) / 2.0);
        let y = y as f32 - center_y;
        let from_row = (y / height) * (y / height);
        for (x, (seen_x, seen_y)) in xs.iter_mut().zip(ys).enumerate() {
            let x = x as i32 as f32 - center_x;
            let square = (x / width) * (x / width) + from_row;
            let factor = 1.0 + self.k * (square + square * square);
            (*seen_x, *seen_y) = (place_f32(x * factor + center_x), place_f32(y * factor + center_y));
        }
    }
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
                        let want = Reader { sampling, border, fill: 77.into() }.alone(&picture, at(0), at(3));
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
