//! Affine maps.

use super::{Border, image};
use data::Image;
use serde::{Deserialize, Serialize};

/// How a value between pixels is read.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Sampling {
    /// The nearest pixel.
    Nearest,
    /// The four pixels around, linearly weighted.
    Bilinear,
}

/// Coordinates are in 2⁻³² pixels, so that stepping along a row adds no visible error.
const ONE: f64 = (1i64 << 32) as f64;
/// Bits of a bilinear weight: two of them and a byte fit 32 bits.
const BITS: u32 = 11;

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
    let [_, height, width, channels] = source.dims();
    let mut pixels = vec![0; source.pixels().len()];
    let slices = source.pixels().chunks_exact(height * width * channels);
    for (slice, out) in slices.zip(pixels.chunks_exact_mut(height * width * channels)) {
        let plane = Plane { slice, width, height, border, fill };
        match sampling {
            Sampling::Nearest => unrolled!(nearest(channels, &plane, out, inverse)),
            Sampling::Bilinear => unrolled!(bilinear(channels, &plane, out, inverse)),
        }
    }
    image(source.dims(), pixels)
}

/// A slice and what lies around it.
struct Plane<'a> {
    slice: &'a [u8],
    width: usize,
    height: usize,
    border: Border,
    fill: u8,
}

impl Plane<'_> {
    /// Where the pixel at `(x, y)` begins.
    fn start(&self, x: i64, y: i64, channels: usize) -> Option<usize> {
        let x = self.border.index(x as isize, self.width)?;
        let y = self.border.index(y as isize, self.height)?;
        Some((y * self.width + x) * channels)
    }
}

/// Calls `read` for each pixel of the result with its coordinates in the picture, `nudge` added for rounding.
#[inline(always)]
fn each(out: &mut [u8], [width, channels]: [usize; 2], m: [f64; 6], nudge: i64, read: impl Fn(i64, i64, &mut [u8])) {
    let (step_x, step_y) = ((m[0] * ONE) as i64, (m[3] * ONE) as i64);
    for (y, row) in out.chunks_exact_mut(width * channels).enumerate() {
        let first = |slope: f64, offset: f64| (((slope * y as f64 + offset) * ONE) as i64).wrapping_add(nudge);
        let (mut from_x, mut from_y) = (first(m[1], m[2]), first(m[4], m[5]));
        for pixel in row.chunks_exact_mut(channels) {
            read(from_x, from_y, pixel);
            (from_x, from_y) = (from_x.wrapping_add(step_x), from_y.wrapping_add(step_y));
        }
    }
}

#[inline(always)]
fn nearest(channels: usize, plane: &Plane, out: &mut [u8], inverse: [f64; 6]) {
    each(out, [plane.width, channels], inverse, 1 << 31, |x, y, pixel| match plane.start(x >> 32, y >> 32, channels) {
        Some(start) => pixel.copy_from_slice(&plane.slice[start..start + channels]),
        None => pixel.fill(plane.fill),
    });
}

#[inline(always)]
fn bilinear(channels: usize, plane: &Plane, out: &mut [u8], inverse: [f64; 6]) {
    let stride = plane.width * channels;
    each(out, [plane.width, channels], inverse, 1 << (31 - BITS), |x, y, pixel| {
        let share = |v: i64| (v >> (32 - BITS)) as i32 & ((1 << BITS) - 1);
        let (right, below) = (share(x), share(y));
        let (x, y) = (x >> 32, y >> 32);
        let blend = |[a, b, c, d]: [u8; 4]| {
            let between = |a: u8, b: u8| (i32::from(a) << BITS) + (i32::from(b) - i32::from(a)) * right;
            let (upper, lower) = (between(a, b), between(c, d));
            (((upper << BITS) + (lower - upper) * below + (1 << (2 * BITS - 1))) >> (2 * BITS)) as u8
        };
        if (0..plane.width as i64 - 1).contains(&x) && (0..plane.height as i64 - 1).contains(&y) {
            let start = y as usize * stride + x as usize * channels;
            let (a, b) = plane.slice[start..start + 2 * channels].split_at(channels);
            let (c, d) = plane.slice[start + stride..start + stride + 2 * channels].split_at(channels);
            for ((value, (a, b)), (c, d)) in pixel.iter_mut().zip(a.iter().zip(b)).zip(c.iter().zip(d)) {
                *value = blend([*a, *b, *c, *d]);
            }
        } else {
            let starts = [(x, y), (x + 1, y), (x, y + 1), (x + 1, y + 1)].map(|(x, y)| plane.start(x, y, channels));
            for (c, value) in pixel.iter_mut().enumerate() {
                *value = blend(starts.map(|start| start.map_or(plane.fill, |start| plane.slice[start + c])));
            }
        }
    });
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn whole_numbers_move_pixels_exactly() {
        let picture = Image::new(3, 2, 1, vec![1, 2, 3, 4, 5, 6]).unwrap();
        for sampling in [Sampling::Nearest, Sampling::Bilinear] {
            let shift = |border| warp(&picture, [1., 0., 1., 0., 1., 0.], sampling, border, 9).into_pixels();
            assert_eq!(shift(Border::Constant), [2, 3, 9, 5, 6, 9]);
            assert_eq!(shift(Border::Reflect101), [2, 3, 2, 5, 6, 5]);
            assert_eq!(shift(Border::Replicate), [2, 3, 3, 5, 6, 6]);
            let turned = warp(&picture, rotation(180.0, 3, 2), sampling, Border::Constant, 0);
            assert_eq!(turned.pixels(), [6, 5, 4, 3, 2, 1]);
        }
    }

    #[test]
    fn absurd_matrices_do_not_panic() {
        let picture = Image::filled(3, 2, &[7, 8]);
        for value in [f64::NAN, f64::INFINITY, 1e300, -1e300, 1e9] {
            for border in [Border::Constant, Border::Reflect101, Border::Replicate] {
                assert_eq!(warp(&picture, [value; 6], Sampling::Bilinear, border, 0).dims(), picture.dims());
                assert_eq!(warp(&picture, [value; 6], Sampling::Nearest, border, 0).dims(), picture.dims());
            }
        }
    }
}
