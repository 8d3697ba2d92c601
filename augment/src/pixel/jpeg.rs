//! What JPEG leaves of a picture: all of its lossy steps, none of the coding of bits, which changes nothing.
//!
//! Integer arithmetic of libjpeg throughout: its colors, its "slow" cosine transforms, its standard tables, chroma at half
//! the resolution (4:2:0) and libjpeg-turbo's smooth interpolation of it.

use super::simd::{self, Kernel};
use data::Image;

/// Blocks side by side: as many as a vector of 512 bits has numbers of 32.
const LANES: usize = 16;
/// A coefficient or pixel of several blocks.
type Lane = [i32; LANES];
/// All coefficients or pixels of several blocks, row by row.
type Group = [Lane; 64];

/// Quantization of brightness at quality 50 (annex K of the standard).
const LUMA: [u8; 64] = [
    16, 11, 10, 16, 24, 40, 51, 61, 12, 12, 14, 19, 26, 58, 60, 55, 14, 13, 16, 24, 40, 57, 69, 56, 14, 17, 22, 29, 51,
    87, 80, 62, 18, 22, 37, 56, 68, 109, 103, 77, 24, 35, 55, 64, 81, 104, 113, 92, 49, 64, 78, 87, 103, 121, 120, 101,
    72, 92, 95, 98, 112, 100, 103, 99,
];
/// Quantization of color at quality 50: 99 but for a corner.
const CHROMA: [u8; 64] = {
    let corner = [[17, 18, 24, 47], [18, 21, 26, 66], [24, 26, 56, 99], [47, 66, 99, 99]];
    let mut table = [99; 64];
    let mut i = 0;
    while i < 16 {
        table[i / 4 * 8 + i % 4] = corner[i / 4][i % 4];
        i += 1;
    }
    table
};

/// A table for a quality in 1..=100, as libjpeg scales it.
fn scaled(table: &[u8; 64], quality: u8) -> [i32; 64] {
    let quality = i32::from(quality.clamp(1, 100));
    let percent = if quality < 50 { 5000 / quality } else { 200 - 2 * quality };
    table.map(|v| ((i32::from(v) * percent + 50) / 100).clamp(1, 255))
}

/// Saves and loads the picture as a JPEG of this quality, 1..=100, in place.
///
/// Three channels are a color picture, any other number are gray pictures of their own.
pub fn jpeg(image: &mut Image, quality: u8) {
    let [_, height, width, channels] = image.dims();
    let (luma, chroma) = (scaled(&LUMA, quality), scaled(&CHROMA, quality));
    for slice in image.pixels_mut().chunks_exact_mut(height * width * channels) {
        if channels == 3 {
            color(slice, [width, height], [&luma, &chroma]);
        } else {
            (0..channels).for_each(|channel| gray(slice, [width, height], [channel, channels], &luma));
        }
    }
}

/// A channel in whole blocks.
struct Plane {
    bytes: Vec<u8>,
    /// Blocks in a row.
    columns: usize,
}

impl Plane {
    fn new(columns: usize, rows: usize) -> Self {
        Self { bytes: vec![0; columns * rows * 64], columns }
    }

    fn stride(&self) -> usize {
        8 * self.columns
    }

    fn row(&self, y: usize) -> &[u8] {
        &self.bytes[y * self.stride()..][..self.stride()]
    }

    fn row_mut(&mut self, y: usize) -> &mut [u8] {
        let stride = self.stride();
        &mut self.bytes[y * stride..][..stride]
    }

    /// Repeats the last of `rows` rows down to the end of the blocks.
    fn extend_down(&mut self, rows: usize) {
        let stride = self.stride();
        for y in rows..self.bytes.len() / stride {
            self.bytes.copy_within((rows - 1) * stride..rows * stride, y * stride);
        }
    }
}

/// One channel of a slice.
fn gray(slice: &mut [u8], [width, height]: [usize; 2], [channel, channels]: [usize; 2], table: &[i32; 64]) {
    let mut plane = Plane::new(width.div_ceil(8), height.div_ceil(8));
    for (y, row) in slice.chunks_exact(width * channels).enumerate() {
        let to = plane.row_mut(y);
        for (to, pixel) in to.iter_mut().zip(row.chunks_exact(channels)) {
            *to = pixel[channel];
        }
        extend_right(to, width);
    }
    plane.extend_down(height);
    simd::run(Blocks { plane: &mut plane, table });
    for (y, row) in slice.chunks_exact_mut(width * channels).enumerate() {
        for (pixel, from) in row.chunks_exact_mut(channels).zip(plane.row(y)) {
            pixel[channel] = *from;
        }
    }
}

/// A slice of three channels.
fn color(slice: &mut [u8], [width, height]: [usize; 2], [luma, chroma]: [&[i32; 64]; 2]) {
    let (columns, rows) = (width.div_ceil(16), height.div_ceil(16));
    let mut planes = [Plane::new(2 * columns, 2 * rows), Plane::new(columns, rows), Plane::new(columns, rows)];
    simd::run(Split { slice, width, planes: &mut planes });
    let half = height.div_ceil(2);
    for (plane, (table, height)) in planes.iter_mut().zip([(luma, height), (chroma, half), (chroma, half)]) {
        plane.extend_down(height);
        simd::run(Blocks { plane, table });
    }
    simd::run(Join { slice, width, planes: &mut planes });
}

/// Repeats the last of `width` values to the end of the row.
#[inline(always)]
fn extend_right(row: &mut [u8], width: usize) {
    if let Some(last) = row[..width].last().copied() {
        row[width..].fill(last);
    }
}

/// Colors to brightness and to chroma of half the resolution.
struct Split<'a> {
    slice: &'a [u8],
    width: usize,
    planes: &'a mut [Plane; 3],
}

impl Kernel for Split<'_> {
    type Out = ();
    #[inline(always)]
    fn run(self) {
        let Self { slice, width, planes: [luma, blue, red] } = self;
        let stride = luma.stride();
        let mut chroma = [[vec![0u8; stride], vec![0u8; stride]], [vec![0u8; stride], vec![0u8; stride]]];
        for (i, pair) in slice.chunks(2 * width * 3).enumerate() {
            for (j, row) in pair.chunks_exact(width * 3).enumerate() {
                let [blue, red] = &mut chroma;
                let to = luma.row_mut(2 * i + j);
                split(row, [&mut to[..width], &mut blue[j][..width], &mut red[j][..width]]);
                for row in [to, &mut blue[j], &mut red[j]] {
                    extend_right(row, width);
                }
            }
            for (plane, [above, below]) in [&mut *blue, &mut *red].into_iter().zip(&chroma) {
                // The last row of an odd height is its own partner.
                let below = if pair.len() > width * 3 { below } else { above };
                let pairs = above.as_chunks::<2>().0.iter().zip(below.as_chunks::<2>().0);
                for (x, (to, ([a, b], [c, d]))) in plane.row_mut(i).iter_mut().zip(pairs).enumerate() {
                    // Rounded down and up by turns.
                    let sum = u16::from(*a) + u16::from(*b) + u16::from(*c) + u16::from(*d);
                    *to = ((sum + 1 + (x as u16 & 1)) >> 2) as u8;
                }
            }
        }
    }
}

/// Brightness and both chromas of a row: in place of red, green and blue, each in a row of its own.
#[inline(always)]
fn split(row: &[u8], [luma, blue, red]: [&mut [u8]; 3]) {
    const HALF: i32 = 1 << 15;
    // Copies alone are shuffles of vectors, together with arithmetic they are not.
    for ((([r, g, b], y), cb), cr) in row.as_chunks::<3>().0.iter().zip(&mut *luma).zip(&mut *blue).zip(&mut *red) {
        [*y, *cb, *cr] = [*r, *g, *b];
    }
    for ((y, cb), cr) in luma.iter_mut().zip(blue).zip(red) {
        let [r, g, b] = [*y, *cb, *cr].map(i32::from);
        *y = ((19_595 * r + 38_470 * g + 7_471 * b + HALF) >> 16) as u8;
        *cb = ((-11_059 * r - 21_709 * g + 32_768 * b + (128 << 16) + HALF - 1) >> 16) as u8;
        *cr = ((32_768 * r - 27_439 * g - 5_329 * b + (128 << 16) + HALF - 1) >> 16) as u8;
    }
}

/// Back to colors.
struct Join<'a> {
    slice: &'a mut [u8],
    width: usize,
    planes: &'a mut [Plane; 3],
}

impl Kernel for Join<'_> {
    type Out = ();
    #[inline(always)]
    fn run(self) {
        let Self { slice, width, planes: [luma, blue, red] } = self;
        let (columns, rows) = (width.div_ceil(2), (slice.len() / 3 / width).div_ceil(2));
        let mut sums = vec![0u16; columns + 2];
        let mut chroma = [vec![0u8; 2 * columns], vec![0u8; 2 * columns]];
        for (y, row) in slice.chunks_exact_mut(width * 3).enumerate() {
            let near = y / 2;
            // The nearer of the rows above and below.
            let far = if y % 2 == 0 { near.saturating_sub(1) } else { (near + 1).min(rows - 1) };
            for (plane, to) in [&*blue, &*red].into_iter().zip(&mut chroma) {
                interpolate([&plane.row(near)[..columns], &plane.row(far)[..columns]], &mut sums, to);
            }
            let [blue, red] = &mut chroma;
            join([&mut luma.row_mut(y)[..width], &mut blue[..width], &mut red[..width]], row);
        }
    }
}

/// A row of chroma at twice the resolution: three parts of the nearest value and one of the next, in both directions.
#[inline(always)]
fn interpolate([near, far]: [&[u8]; 2], sums: &mut [u16], to: &mut [u8]) {
    let columns = near.len();
    let pairs = to.as_chunks_mut::<2>().0;
    // Of so few, libjpeg-turbo repeats the values.
    if columns <= 2 {
        pairs.iter_mut().zip(near).for_each(|(to, value)| *to = [*value; 2]);
        return;
    }
    for ((sum, near), far) in sums[1..].iter_mut().zip(near).zip(far) {
        *sum = 3 * u16::from(*near) + u16::from(*far);
    }
    sums[0] = sums[1];
    sums[columns + 1] = sums[columns];
    for (((to, left), here), right) in pairs.iter_mut().zip(&*sums).zip(&sums[1..]).zip(&sums[2..]) {
        *to = [((3 * here + left + 8) >> 4) as u8, ((3 * here + right + 7) >> 4) as u8];
    }
}

/// Colors of a row: first in place of brightness and chroma, then interleaved.
#[inline(always)]
fn join([luma, blue, red]: [&mut [u8]; 3], row: &mut [u8]) {
    const HALF: i32 = 1 << 15;
    for ((y, cb), cr) in luma.iter_mut().zip(&mut *blue).zip(&mut *red) {
        let (luma, blue, red) = (i32::from(*y), i32::from(*cb) - 128, i32::from(*cr) - 128);
        let r = luma + ((91_881 * red + HALF) >> 16);
        let g = luma + ((-22_554 * blue - 46_802 * red + HALF) >> 16);
        let b = luma + ((116_130 * blue + HALF) >> 16);
        [*y, *cb, *cr] = [r, g, b].map(|v| v.clamp(0, 255) as u8);
    }
    for (((pixel, r), g), b) in row.as_chunks_mut::<3>().0.iter_mut().zip(luma).zip(blue).zip(red) {
        *pixel = [*r, *g, *b];
    }
}

/// Quantizes the cosine transform of all blocks.
struct Blocks<'a> {
    plane: &'a mut Plane,
    table: &'a [i32; 64],
}

impl Kernel for Blocks<'_> {
    type Out = ();
    #[inline(always)]
    fn run(self) {
        let Self { plane: Plane { bytes, columns }, table } = self;
        let (stride, count) = (8 * *columns, bytes.len() / 64);
        let reciprocals = table.map(|step| (1u32 << 20).div_ceil(step as u32));
        let mut rows = [[0u8; 8 * LANES]; 8];
        for first in (0..count).step_by(LANES) {
            let start = |block: usize| block / *columns * stride * 8 + block % *columns * 8;
            let blocks = first..count.min(first + LANES);
            for (lane, block) in blocks.clone().enumerate() {
                for (y, row) in rows.iter_mut().enumerate() {
                    row[8 * lane..][..8].copy_from_slice(&bytes[start(block) + y * stride..][..8]);
                }
            }
            let mut group = [[0; LANES]; 64];
            for (row, to) in rows.iter().zip(group.as_chunks_mut::<8>().0) {
                load(row, to);
            }
            for y in 0..8 {
                along(&mut group, 8 * y, 1, |v| forward(v, 11, |sum| sum << 2));
            }
            for x in 0..8 {
                along(&mut group, x, 8, |v| forward(v, 15, |sum| (sum + 2) >> 2));
            }
            for ((lane, step), reciprocal) in group.iter_mut().zip(table).zip(&reciprocals) {
                quantize(lane, *step, *reciprocal);
            }
            for x in 0..8 {
                along(&mut group, x, 8, |v| inverse(v, 11));
            }
            for y in 0..8 {
                along(&mut group, 8 * y, 1, |v| inverse(v, 18));
            }
            for (row, from) in rows.iter_mut().zip(group.as_chunks::<8>().0) {
                store(from, row);
            }
            for (lane, block) in blocks.enumerate() {
                for (y, row) in rows.iter().enumerate() {
                    bytes[start(block) + y * stride..][..8].copy_from_slice(&row[8 * lane..][..8]);
                }
            }
        }
    }
}

/// A row of blocks, centered.
#[inline(always)]
fn load(row: &[u8; 8 * LANES], to: &mut [Lane; 8]) {
    for (b, block) in row.as_chunks::<8>().0.iter().enumerate() {
        for (lane, value) in to.iter_mut().zip(block) {
            lane[b] = i32::from(*value) - 128;
        }
    }
}

/// A row of blocks as bytes.
#[inline(always)]
fn store(from: &[Lane; 8], row: &mut [u8; 8 * LANES]) {
    for (b, block) in row.as_chunks_mut::<8>().0.iter_mut().enumerate() {
        *block = std::array::from_fn(|x| (from[x][b] + 128).clamp(0, 255) as u8);
    }
}

/// A transform of eight values of each block.
#[inline(always)]
fn along(group: &mut Group, first: usize, step: usize, transform: impl Fn([i32; 8]) -> [i32; 8]) {
    let values: [Lane; 8] = std::array::from_fn(|i| group[first + i * step]);
    let mut results = [[0; LANES]; 8];
    for b in 0..LANES {
        let result = transform(std::array::from_fn(|i| values[i][b]));
        for (lane, value) in results.iter_mut().zip(result) {
            lane[b] = value;
        }
    }
    for (i, lane) in results.into_iter().enumerate() {
        group[first + i * step] = lane;
    }
}

/// Divides by 8 times the step, rounded to the nearest, and multiplies by the step; the reciprocal is in 2⁻²⁰.
#[inline(always)]
fn quantize(lane: &mut Lane, step: i32, reciprocal: u32) {
    for value in lane {
        // Below 2¹¹ after the shift, so that the product keeps to 32 bits and its error below the next whole number.
        let eighth = (value.abs() + 4 * step) as u32 >> 3;
        let quantized = ((eighth * reciprocal) >> 20) as i32 * step;
        let sign = *value >> 31;
        *value = (quantized ^ sign) - sign;
    }
}

/// `jfdctint`: a forward transform of eight values, all but two divided by `2^shift`.
#[inline(always)]
fn forward(v: [i32; 8], shift: u32, even: impl Fn(i32) -> i32) -> [i32; 8] {
    let rounded = |v: i32| (v + (1 << (shift - 1))) >> shift;
    let (s0, s1, s2, s3) = (v[0] + v[7], v[1] + v[6], v[2] + v[5], v[3] + v[4]);
    let (d0, d1, d2, d3) = (v[0] - v[7], v[1] - v[6], v[2] - v[5], v[3] - v[4]);
    let (t0, t3, t1, t2) = (s0 + s3, s0 - s3, s1 + s2, s1 - s2);
    let z = (t2 + t3) * 4433;
    let [o1, o3, o5, o7] = odd([d3, d2, d1, d0]);
    [
        even(t0 + t1),
        rounded(o1),
        rounded(z + t3 * 6270),
        rounded(o3),
        even(t0 - t1),
        rounded(o5),
        rounded(z - t2 * 15_137),
        rounded(o7),
    ]
}

/// The part of odd frequencies, the same forward and backward: of values 7, 5, 3, 1 backward to those of 1, 3, 5, 7.
#[inline(always)]
fn odd([t0, t1, t2, t3]: [i32; 4]) -> [i32; 4] {
    let z5 = (t0 + t2 + t1 + t3) * 9633;
    let (z1, z2) = ((t0 + t3) * -7373, (t1 + t2) * -20_995);
    let (z3, z4) = ((t0 + t2) * -16_069 + z5, (t1 + t3) * -3196 + z5);
    [t3 * 12_299 + z1 + z4, t2 * 25_172 + z2 + z3, t1 * 16_819 + z2 + z4, t0 * 2446 + z1 + z3]
}

/// `jidctint`: an inverse transform of eight values, divided by `2^shift`.
#[inline(always)]
fn inverse(v: [i32; 8], shift: u32) -> [i32; 8] {
    let rounded = |v: i32| (v + (1 << (shift - 1))) >> shift;
    let z = (v[2] + v[6]) * 4433;
    let (t2, t3) = (z - v[6] * 15_137, z + v[2] * 6270);
    let (t0, t1) = ((v[0] + v[4]) << 13, (v[0] - v[4]) << 13);
    let even = [t0 + t3, t1 + t2, t1 - t2, t0 - t3];
    let odd = odd([v[7], v[5], v[3], v[1]]);
    std::array::from_fn(|i| rounded(if i < 4 { even[i] + odd[i] } else { even[7 - i] - odd[7 - i] }))
}
