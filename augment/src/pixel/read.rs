//! Reading a picture at places between its pixels: the common part of all warps.

use super::simd::Kernel;
use super::{Border, Paint, image, simd};
use data::Image;
use serde::{Deserialize, Serialize};

/// How a value between pixels is read.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Sampling {
    /// The nearest pixel.
    Nearest,
    /// The four pixels around, linearly weighted.
    #[default]
    Bilinear,
    /// The sixteen pixels around, by Keys' cubic with a = −¾, as OpenCV and `torchvision` read them.
    Bicubic,
}

/// Bits of a place behind the point: two bilinear weights and a byte fit 32 bits.
pub(super) const BITS: u32 = 11;
/// One pixel.
pub(super) const UNIT: i32 = 1 << BITS;
/// Places beyond are moved to here, so that mirroring them does not overflow.
pub(super) const FAR: i32 = 1 << 30;
/// Pixels that the vector kernels read at once.
const LANES: usize = 16;

/// A place in 2⁻¹¹ pixels, from 2⁻³² pixels.
#[inline(always)]
pub(super) fn place(v: i64) -> i32 {
    (v.wrapping_add(1 << (31 - BITS)) >> (32 - BITS)).clamp(-i64::from(FAR), i64::from(FAR)) as i32
}

/// A place in 2⁻¹¹ pixels, from a number of them.
#[inline(always)]
pub(super) fn place_f64(v: f64) -> i32 {
    const MOST: f64 = FAR as f64;
    let v = if v > -MOST { v } else { -MOST };
    let v = if v < MOST { v } else { MOST };
    // Beside 1.5 · 2⁵² the last bit of a number is a whole one: the sum is rounded, and vectors have no instruction for casts.
    (v + 6_755_399_441_055_744.0).to_bits() as i32
}

/// A place in 2⁻¹¹ pixels, from pixels.
#[inline(always)]
pub(super) fn place_f32(v: f32) -> i32 {
    place_f64(f64::from(v * UNIT as f32))
}

/// How a picture is read: between its pixels, and outside.
#[derive(Clone, Copy, Debug)]
pub(super) struct Reader {
    pub sampling: Sampling,
    pub border: Border,
    pub fill: Paint,
}

/// Where the pixels of a result are read.
pub(super) trait Rows {
    /// Writes the places of row `y`, in 2⁻¹¹ pixels within ±[`FAR`]. Must be `#[inline(always)]`, as what it calls.
    fn row(&mut self, y: usize, xs: &mut [i32], ys: &mut [i32]);
}

impl Reader {
    /// The picture of `[width, height]` whose pixels are read at the places of `rows`.
    pub fn read(self, source: &Image, [width, height]: [usize; 2], mut rows: impl Rows) -> Image {
        let [depth, source_height, source_width, channels] = source.dims();
        let mut pixels = Vec::with_capacity(depth * height * width * channels);
        let mut places = Places::new(width);
        let mut row = vec![0; width * channels];
        for slice in source.pixels().chunks_exact(source_height * source_width * channels) {
            let plane = Plane { slice, width: source_width, height: source_height, channels, reader: self };
            for y in 0..height {
                // Apart, so that the code that reads is not compiled again for each kind of rows.
                simd::run(Write { rows: &mut rows, y, xs: &mut places.x[..width], ys: &mut places.y[..width] });
                simd::run(Read { plane: &plane, places: &mut places, out: &mut row });
                pixels.extend_from_slice(&row);
            }
        }
        image([depth, height, width, channels], pixels)
    }
}

struct Write<'a, R> {
    rows: &'a mut R,
    y: usize,
    xs: &'a mut [i32],
    ys: &'a mut [i32],
}

impl<R: Rows> Kernel for Write<'_, R> {
    type Out = ();

    #[inline(always)]
    fn run(self) {
        self.rows.row(self.y, self.xs, self.ys);
    }
}

struct Read<'a> {
    plane: &'a Plane<'a>,
    places: &'a mut Places,
    out: &'a mut [u8],
}

impl Kernel for Read<'_> {
    type Out = ();

    #[inline(always)]
    fn run(self) {
        self.plane.row(self.places, self.out);
    }
}

#[cfg(test)]
impl Reader {
    /// One pixel of a picture, read without vectors.
    pub fn alone(self, source: &Image, x: i32, y: i32) -> Vec<u8> {
        let [_, height, width, channels] = source.dims();
        let mut pixel = vec![0; channels];
        Plane { slice: source.pixels(), width, height, channels, reader: self }.slowly(x, y, &mut pixel);
        pixel
    }
}

/// A row's places, and what follows from them. All are as long as whole vectors need.
struct Places {
    x: Vec<i32>,
    y: Vec<i32>,
    /// Where the upper left pixel begins.
    start: Vec<i32>,
    /// Weights of the right and lower pixels.
    right: Vec<i32>,
    below: Vec<i32>,
}

impl Places {
    fn new(width: usize) -> Self {
        let zeros = || vec![0; width.next_multiple_of(LANES) + LANES];
        Self { x: zeros(), y: zeros(), start: zeros(), right: zeros(), below: zeros() }
    }
}

/// A slice and how it is read.
struct Plane<'a> {
    slice: &'a [u8],
    width: usize,
    height: usize,
    channels: usize,
    reader: Reader,
}

impl Plane<'_> {
    #[inline(always)]
    fn row(&self, places: &mut Places, out: &mut [u8]) {
        // The places of whole vectors need a pixel to the right and one below.
        let small = self.width < 2 || self.height < 2 || i32::try_from(self.slice.len()).is_err();
        let far = self.width.max(self.height) > (FAR >> BITS) as usize / 2;
        if small || far || self.reader.sampling == Sampling::Bicubic {
            for ((pixel, x), y) in out.chunks_exact_mut(self.channels).zip(&places.x).zip(&places.y) {
                self.slowly(*x, *y, pixel);
            }
            return;
        }
        let last = [self.width, self.height].map(|side| (side as i32 - 1) << BITS);
        let count = out.len() / self.channels;
        if self.reader.border == Border::Constant {
            self.bordered(places, out, last);
            return;
        }
        for (place, last) in [(&mut places.x, last[0]), (&mut places.y, last[1])] {
            if self.reader.sampling == Sampling::Nearest {
                // Before they are mirrored: halves round up on both sides.
                place.iter_mut().for_each(|v| *v = (*v + UNIT / 2) & -UNIT);
            }
            fold(&mut place[..count], last, self.reader.border);
        }
        self.inside(places, 0..count, out);
    }

    /// A row with a constant border.
    #[inline(always)]
    fn bordered(&self, places: &mut Places, out: &mut [u8], last: [i32; 2]) {
        let count = out.len() / self.channels;
        // How far outside a pixel still has an influence.
        let reach = if self.reader.sampling == Sampling::Nearest { UNIT / 2 } else { UNIT };
        let touches = |v: i32, last: i32| -reach < v + i32::from(reach < UNIT) && v < last + reach;
        let seen = |(x, y): (&i32, &i32)| touches(*x, last[0]) & touches(*y, last[1]);
        let (x, y) = (&places.x[..count], &places.y[..count]);
        let Some(first) = x.iter().zip(y).position(seen) else {
            self.reader.fill.cover(out, self.channels);
            return;
        };
        let end = x.iter().zip(y).rposition(seen).map_or(count, |last| last + 1);
        self.reader.fill.cover(&mut out[..first * self.channels], self.channels);
        self.reader.fill.cover(&mut out[end * self.channels..], self.channels);
        self.inside(places, first..end, out);
        // What the vectors took for the outermost pixel.
        let within = |v: i32, last: i32| (v >= 0) & (v <= last);
        let outs = out[first * self.channels..end * self.channels].chunks_mut(LANES * self.channels);
        let blocks = places.x[first..end].chunks(LANES).zip(places.y[first..end].chunks(LANES));
        for ((x, y), out) in blocks.zip(outs) {
            if x.iter().zip(y).fold(true, |all, (x, y)| all & within(*x, last[0]) & within(*y, last[1])) {
                continue;
            }
            for ((pixel, x), y) in out.chunks_exact_mut(self.channels).zip(x).zip(y) {
                if !(touches(*x, last[0]) && touches(*y, last[1])) {
                    self.reader.fill.cover(pixel, self.channels);
                } else if !(within(*x, last[0]) && within(*y, last[1])) {
                    self.slowly(*x, *y, pixel);
                }
            }
        }
    }

    /// Pixels of a row, places outside moved to the outermost pixels.
    #[inline(always)]
    fn inside(&self, places: &mut Places, range: std::ops::Range<usize>, out: &mut [u8]) {
        let (channels, stride) = (self.channels, self.width * self.channels);
        let out = &mut out[range.start * channels..range.end * channels];
        let whole = range.start..range.start + range.len().next_multiple_of(LANES);
        let starts = &mut places.start[whole.clone()];
        let (rights, belows) = (&mut places.right[whole.clone()], &mut places.below[whole.clone()]);
        let (xs, ys) = (&places.x[whole.clone()], &places.y[whole]);
        let last = [self.width as i32 - 1, self.height as i32 - 1];
        let steps = [channels as i32, stride as i32];
        let places = xs.iter().zip(ys);
        match self.reader.sampling {
            Sampling::Nearest => {
                let whole = |v: i32, last: i32| ((v + UNIT / 2) >> BITS).clamp(0, last);
                for (start, (x, y)) in starts.iter_mut().zip(places) {
                    *start = whole(*y, last[1]) * steps[1] + whole(*x, last[0]) * steps[0];
                }
                if !simd::gather_nearest(self.slice, channels, starts, out) {
                    unrolled!(nearest(channels, self.slice, starts, out));
                }
            }
            _ => {
                let split = |v: i32, last: i32| {
                    let v = v.clamp(0, last << BITS);
                    let whole = (v >> BITS).min(last - 1);
                    (whole, v - (whole << BITS))
                };
                let weights = rights.iter_mut().zip(belows.iter_mut());
                for ((start, (right, below)), (x, y)) in starts.iter_mut().zip(weights).zip(places) {
                    let ((left, from_left), (top, from_top)) = (split(*x, last[0]), split(*y, last[1]));
                    *start = top * steps[1] + left * steps[0];
                    (*right, *below) = (from_left, from_top);
                }
                let corners = Corners { starts, rights, belows };
                if !simd::gather_bilinear(self.slice, [channels, stride], &corners, out) {
                    unrolled!(bilinear(channels, self.slice, stride, &corners, out));
                }
            }
        }
    }

    /// Any pixel, with any border.
    #[cold]
    #[inline(never)]
    fn slowly(&self, x: i32, y: i32, pixel: &mut [u8]) {
        let start = |x: i32, y: i32| {
            let x = self.reader.border.index(x as isize, self.width)?;
            let y = self.reader.border.index(y as isize, self.height)?;
            Some((y * self.width + x) * self.channels)
        };
        let value = |start: Option<usize>, c: usize| {
            start.map_or_else(|| self.reader.fill.of(c), |start| self.slice[start + c])
        };
        let ([left, top], [right, below]) = ([x >> BITS, y >> BITS], [x & (UNIT - 1), y & (UNIT - 1)]);
        match self.reader.sampling {
            Sampling::Nearest => {
                let start = start((x + UNIT / 2) >> BITS, (y + UNIT / 2) >> BITS);
                pixel.iter_mut().enumerate().for_each(|(c, seen)| *seen = value(start, c));
            }
            Sampling::Bilinear => {
                let corners = [(0, 0), (1, 0), (0, 1), (1, 1)].map(|(x, y)| start(left + x, top + y));
                for (c, seen) in pixel.iter_mut().enumerate() {
                    *seen = blend(corners.map(|corner| value(corner, c)), right, below);
                }
            }
            Sampling::Bicubic => {
                let (across, down) = (cubic(right), cubic(below));
                let rows: [[Option<usize>; 4]; 4] =
                    [-1, 0, 1, 2].map(|y| [-1, 0, 1, 2].map(|x| start(left + x, top + y)));
                for (c, seen) in pixel.iter_mut().enumerate() {
                    let sum = |row: [Option<usize>; 4]| {
                        row.iter().zip(across).map(|(start, weight)| f32::from(value(*start, c)) * weight).sum::<f32>()
                    };
                    let total: f32 = rows.iter().zip(down).map(|(row, weight)| sum(*row) * weight).sum();
                    *seen = total.round_ties_even() as u8;
                }
            }
        }
    }
}

/// Places outside mirrored into the picture, as far as one mirror image reaches; the rest is done one by one.
#[inline(always)]
fn fold(places: &mut [i32], last: i32, border: Border) {
    // Mirrors stand at the outermost pixels or half a pixel outside.
    let half = match border {
        Border::Reflect => UNIT / 2,
        Border::Reflect101 => 0,
        Border::Constant | Border::Replicate => return,
    };
    let once = |v: i32| {
        let v = (v + half).abs() - half;
        last + half - (last + half - v).abs()
    };
    if places.iter().fold(true, |all, v| all & (once(*v) >= -half)) {
        places.iter_mut().for_each(|v| *v = once(*v));
    } else {
        let period = 2 * (last + 2 * half);
        places.iter_mut().for_each(|v| *v = once((*v + half).rem_euclid(period) - half));
    }
}

/// Four pixels each: where the first begins, and the weights of the right and lower ones, 0..=[`UNIT`].
pub(super) struct Corners<'a> {
    pub starts: &'a [i32],
    pub rights: &'a [i32],
    pub belows: &'a [i32],
}

/// A weighted mean of two by two values. Each row is rounded to seven bits behind the point, so that vectors of 16 bits hold it.
#[inline(always)]
pub(super) fn blend([a, b, c, d]: [u8; 4], right: i32, below: i32) -> u8 {
    let between = |a: u8, b: u8| (i32::from(a) * (UNIT - right) + i32::from(b) * right + 8) >> 4;
    let (upper, lower) = (between(a, b), between(c, d));
    ((upper * (UNIT - below) + lower * below + (1 << 17)) >> 18) as u8
}

/// Keys' weights with a = −¾ of the pixels at −1, 0, 1, 2.
#[inline(always)]
fn cubic(share: i32) -> [f32; 4] {
    const A: f32 = -0.75;
    let x = share as f32 / UNIT as f32;
    let near = |x: f32| ((A + 2.0) * x - (A + 3.0)) * x * x + 1.0;
    let far = |x: f32| ((A * x - 5.0 * A) * x + 8.0 * A) * x - 4.0 * A;
    [far(x + 1.0), near(x), near(1.0 - x), far(2.0 - x)]
}

#[inline(always)]
fn nearest(channels: usize, slice: &[u8], starts: &[i32], out: &mut [u8]) {
    for (pixel, start) in out.chunks_exact_mut(channels).zip(starts) {
        pixel.copy_from_slice(&slice[*start as usize..][..channels]);
    }
}

#[inline(always)]
fn bilinear(channels: usize, slice: &[u8], stride: usize, corners: &Corners, out: &mut [u8]) {
    let weights = corners.rights.iter().zip(corners.belows);
    for ((pixel, start), (right, below)) in out.chunks_exact_mut(channels).zip(corners.starts).zip(weights) {
        let (a, b) = slice[*start as usize..][..2 * channels].split_at(channels);
        let (c, d) = slice[*start as usize + stride..][..2 * channels].split_at(channels);
        for ((value, (a, b)), (c, d)) in pixel.iter_mut().zip(a.iter().zip(b)).zip(c.iter().zip(d)) {
            *value = blend([*a, *b, *c, *d], *right, *below);
        }
    }
}
