//! Blurs whose weights are separable: Gaussian and box.
//!
//! Channels do not mix, so that a row is a flat run of bytes whose neighbors are `channels` bytes away.

use super::simd::{self, Kernel};
use super::{Border, image};
use data::Image;

/// Values that are computed at once, or a multiple of them.
const LANES: usize = 64;

/// Widest box.
pub const MAX_BOX: usize = 255;

/// OpenCV's size of a Gaussian for bytes when none is given: `round(6σ + 1)`, the next odd number.
pub fn gaussian_size(sigma: f64) -> usize {
    (sigma.clamp(0.0, 1000.0) * 6.0 + 1.0).round_ties_even() as usize | 1
}

/// The first half of a Gaussian's `size` weights and the middle one, in 1/256, as OpenCV has them for bytes: rounding errors
/// are handed on to the next weight, and the middle one makes the sum 256.
///
/// A `size` of 0 is [`gaussian_size`], an even one the next odd one.
pub fn gaussian_weights(sigma: f64, size: usize) -> Vec<u16> {
    let radius = if size == 0 { gaussian_size(sigma) } else { size } / 2;
    let sigma = if sigma > 0.0 { sigma } else { f64::MIN_POSITIVE };
    let bell = |x: usize| (-0.5 * (x as f64 / sigma).powi(2)).exp();
    let total = 1.0 + 2.0 * (1..=radius).map(bell).sum::<f64>();
    let (mut weights, mut error) = (Vec::with_capacity(radius + 1), 0.0);
    for x in (1..=radius).rev() {
        let exact = 256.0 * bell(x) / total + error;
        let rounded = exact.round_ties_even();
        error = exact - rounded;
        weights.push(rounded as u16);
    }
    let sides: u16 = weights.iter().sum();
    weights.push(256 - 2 * sides.min(128));
    weights
}

/// Blurs by a Gaussian with OpenCV's weights for bytes, in place; ±1 of it.
///
/// A `size` of 0 is [`gaussian_size`], an even one the next odd one; `fill` is the value of a constant border.
pub fn gaussian_blur(image: &mut Image, sigma: f64, size: usize, border: Border, fill: u8) {
    let weights = gaussian_weights(sigma, size);
    // Weights of zero at the ends only widen the border.
    let first = weights.iter().position(|weight| *weight > 0).unwrap_or(0);
    let weights = &weights[first..];
    if weights.len() == 1 {
        return;
    }
    let [_, height, width, channels] = image.dims();
    for slice in image.pixels_mut().chunks_exact_mut(height * width * channels) {
        simd::run(Gaussian { slice, dims: [height, width, channels], weights, border, fill });
    }
}

/// Blurs one slice.
struct Gaussian<'a> {
    slice: &'a mut [u8],
    /// Height, width, channels.
    dims: [usize; 3],
    weights: &'a [u16],
    border: Border,
    fill: u8,
}

impl Kernel for Gaussian<'_> {
    type Out = ();
    /// Row by row: filtered rows wait in a ring until no result needs them any more.
    #[inline(always)]
    fn run(self) {
        let Self { slice, dims: [height, width, channels], weights, border, fill } = self;
        let (radius, length) = (weights.len() - 1, width * channels);
        // Whole vectors: what is computed beyond the end of a row is never seen.
        let lanes = length.next_multiple_of(LANES);
        // Rows that a border repeats lie inside the window, or all rows are in the ring.
        let kept = height.min(2 * radius + 1);
        let mut ring = vec![0u16; (kept + 1) * lanes];
        ring[kept * lanes..].fill(u16::from(fill) << 8);
        let mut padded = vec![0u16; lanes + 2 * radius * channels];
        let mut sums = Sums::new(lanes, weights);
        // In a table: where the compiler sees that these places run backwards, it gives up vectors.
        let taps: Vec<_> = (0..radius).map(|i| [i * channels, (2 * radius - i) * channels]).collect();
        let mut next = 0;
        for y in 0..height {
            while next < height && next <= y + radius {
                let to = &mut padded[..length + 2 * radius * channels];
                pad(&slice[next * length..][..length], to, channels, border, fill);
                across(&padded, &taps, weights, &mut ring[next % kept * lanes..][..lanes]);
                next += 1;
            }
            let row = |offset: isize| {
                let slot = border.index(y as isize + offset, height).map_or(kept, |row| row % kept);
                &ring[slot * lanes..][..lanes]
            };
            sums.down(row, weights, &mut slice[y * length..][..length]);
        }
    }
}

/// A row and what lies to both sides of it.
#[inline(always)]
pub(super) fn pad(row: &[u8], padded: &mut [u16], channels: usize, border: Border, fill: u8) {
    let before = (padded.len() - row.len()) / 2;
    for (to, from) in padded[before..].iter_mut().zip(row) {
        *to = u16::from(*from);
    }
    let (radius, width) = (before / channels, row.len() / channels);
    let mut outside = |x: isize| {
        let to = (x + radius as isize) as usize * channels;
        for (c, to) in padded[to..to + channels].iter_mut().enumerate() {
            *to = u16::from(border.index(x, width).map_or(fill, |from| row[from * channels + c]));
        }
    };
    (-(radius as isize)..0).for_each(&mut outside);
    (width as isize..(width + radius) as isize).for_each(outside);
}

/// Weighted sums along a row, times 256; `taps` are where the pairs of the same weight begin.
#[inline(always)]
fn across(padded: &[u16], taps: &[[usize; 2]], weights: &[u16], out: &mut [u16]) {
    let (radius, length) = (taps.len(), out.len());
    let middle = (padded.len() - length) / 2;
    for (out, value) in out.iter_mut().zip(&padded[middle..]) {
        *out = value.wrapping_mul(weights[radius]);
    }
    let product = |a: u16, b: u16, weight: u16| (a + b).wrapping_mul(weight);
    pairs(|i| taps[i].map(|tap| &padded[tap..][..length]), &weights[..radius], out, product);
}

/// Adds up `product(a, b, weight)` over the pairs of rows that have the same weight, two pairs at a time.
#[inline(always)]
fn pairs<'a>(
    rows: impl Fn(usize) -> [&'a [u16]; 2],
    weights: &[u16],
    out: &mut [u16],
    product: impl Fn(u16, u16, u16) -> u16,
) {
    let (twos, rest) = weights.as_chunks::<2>();
    for (i, [v, w]) in twos.iter().enumerate() {
        let ([a, b], [c, d]) = (rows(2 * i), rows(2 * i + 1));
        for ((((out, a), b), c), d) in out.iter_mut().zip(a).zip(b).zip(c).zip(d) {
            *out = out.wrapping_add(product(*a, *b, *v)).wrapping_add(product(*c, *d, *w));
        }
    }
    if let [weight] = rest {
        let [a, b] = rows(2 * twos.len());
        for ((out, a), b) in out.iter_mut().zip(a).zip(b) {
            *out = out.wrapping_add(product(*a, *b, *weight));
        }
    }
}

/// Sums over rows: in 16 bits when there are few, because truncated products add up to less than a third of a step then.
enum Sums {
    Short(Vec<u16>),
    Long(Vec<u32>),
}

impl Sums {
    fn new(length: usize, weights: &[u16]) -> Self {
        if weights.len() <= 32 { Self::Short(vec![0; length]) } else { Self::Long(vec![0; length]) }
    }

    /// One row of the result; `row` gives the filtered ones by their distance.
    #[inline(always)]
    fn down<'a>(&mut self, row: impl Fn(isize) -> &'a [u16], weights: &[u16], out: &mut [u8]) {
        let radius = weights.len() - 1;
        let pair = |i: usize| [row(i as isize - radius as isize), row(radius as isize - i as isize)];
        match self {
            Self::Short(sums) => {
                // Each product is half a unit too small on average, of 256 in a step.
                let half = 128 + weights.len() as u16 / 2;
                let middle = u32::from(weights[radius]) << 8;
                for (sum, value) in sums.iter_mut().zip(row(0)) {
                    *sum = half + ((u32::from(*value) * middle) >> 16) as u16;
                }
                pairs(pair, &weights[..radius], sums, |a, b, weight| {
                    // The mean, rounded up, without a bit more than its numbers have.
                    let mean = (a | b) - ((a ^ b) >> 1);
                    ((u32::from(mean) * u32::from(weight << 9)) >> 16) as u16
                });
                for (out, sum) in out.iter_mut().zip(sums) {
                    *out = (*sum >> 8) as u8;
                }
            }
            Self::Long(sums) => {
                for (sum, value) in sums.iter_mut().zip(row(0)) {
                    *sum = (1 << 15) + u32::from(*value) * u32::from(weights[radius]);
                }
                for (i, weight) in weights[..radius].iter().enumerate().filter(|(_, weight)| **weight > 0) {
                    let [a, b] = pair(i);
                    for ((sum, a), b) in sums.iter_mut().zip(a).zip(b) {
                        *sum += (u32::from(*a) + u32::from(*b)) * u32::from(*weight);
                    }
                }
                for (out, sum) in out.iter_mut().zip(sums) {
                    *out = (*sum >> 16) as u8;
                }
            }
        }
    }
}

/// Division by a number, rounded to the nearest, as a multiplication.
#[derive(Clone, Copy, Debug)]
pub(super) struct Reciprocal {
    half: u16,
    factor: u16,
    shift: u32,
}

impl Reciprocal {
    /// Of `divisor`, right for all sums up to `255 · divisor` when it is an odd square up to 15² or below 186.
    pub(super) fn of(divisor: u16) -> Self {
        let (divisor, half) = (u64::from(divisor.max(1)), divisor / 2);
        let most = 255 * divisor + divisor;
        let mut found = Self { half, factor: u16::MAX, shift: 0 };
        for shift in 0..16 {
            let factor = (1u64 << (16 + shift)).div_ceil(divisor);
            if let Ok(factor) = u16::try_from(factor) {
                found = Self { half, factor, shift };
                if most * (u64::from(factor) * divisor - (1u64 << (16 + shift))) < 1 << (16 + shift) {
                    break;
                }
            }
        }
        found
    }

    #[inline(always)]
    pub(super) fn divide(self, sum: u16) -> u8 {
        // One: its factor would need a bit more.
        if self.half == 0 {
            return sum as u8;
        }
        ((u32::from(sum + self.half) * u32::from(self.factor)) >> 16 >> self.shift) as u8
    }
}

/// The mean of the `size × size` pixels around each, rounded to the nearest, as OpenCV's `blur`; exactly.
///
/// An even `size` is the next odd one, a larger one than [`MAX_BOX`] that; `fill` is the value of a constant border.
pub fn box_blur(source: &Image, size: usize, border: Border, fill: u8) -> Image {
    let radius = size.min(MAX_BOX) / 2;
    if radius == 0 {
        return source.clone();
    }
    let [_, height, width, channels] = source.dims();
    let mut pixels = vec![0; source.pixels().len()];
    let slices = source.pixels().chunks_exact(height * width * channels);
    for (slice, out) in slices.zip(pixels.chunks_exact_mut(height * width * channels)) {
        simd::run(Boxes { slice, out, dims: [height, width, channels], radius, border, fill });
    }
    image(source.dims(), pixels)
}

/// Means of one slice.
struct Boxes<'a> {
    slice: &'a [u8],
    out: &'a mut [u8],
    /// Height, width, channels.
    dims: [usize; 3],
    radius: usize,
    border: Border,
    fill: u8,
}

impl Kernel for Boxes<'_> {
    type Out = ();
    /// A row of sums over columns follows the window down.
    #[inline(always)]
    fn run(self) {
        let Self { slice, out, dims: [height, width, channels], radius, border, fill } = self;
        let (length, size) = (width * channels, 2 * radius + 1);
        let outside = vec![fill; length];
        let row = |y: isize| border.index(y, height).map_or(outside.as_slice(), |y| &slice[y * length..][..length]);
        let mut columns = vec![0u16; length + 2 * radius * channels];
        let mut twos = vec![0u16; columns.len() - channels];
        let mut sums = vec![0u16; length];
        let middle = radius * channels..radius * channels + length;
        for y in -(radius as isize)..radius as isize {
            for (sum, value) in columns[middle.clone()].iter_mut().zip(row(y)) {
                *sum += u16::from(*value);
            }
        }
        let reciprocal = Reciprocal::of((size * size).min(225) as u16);
        let zeros = vec![0u8; length];
        for (y, out) in out.chunks_exact_mut(length).enumerate() {
            let (enters, leaves) = (y as isize + radius as isize, y as isize - radius as isize - 1);
            let left = if y == 0 { zeros.as_slice() } else { row(leaves) };
            for ((sum, enters), leaves) in columns[middle.clone()].iter_mut().zip(row(enters)).zip(left) {
                *sum = sum.wrapping_add(u16::from(*enters)).wrapping_sub(u16::from(*leaves));
            }
            let mut side = |x: isize| {
                let to = (x + radius as isize) as usize * channels;
                match border.index(x, width) {
                    Some(from) => {
                        let from = (from + radius) * channels;
                        columns.copy_within(from..from + channels, to);
                    }
                    None => columns[to..to + channels].fill(u16::from(fill) * size as u16),
                }
            };
            (-(radius as isize)..0).for_each(&mut side);
            (width as isize..(width + radius) as isize).for_each(side);
            // 255 · 15² is the largest sum of 16 bits.
            if size > 15 {
                running(&columns, out, channels, size);
                continue;
            }
            if radius > 1 {
                for ((two, a), b) in twos.iter_mut().zip(&columns).zip(&columns[channels..]) {
                    *two = a + b;
                }
            }
            let two = |i: usize| &twos[2 * i * channels..][..length];
            let one = |i: usize| &columns[i * channels..][..length];
            match radius {
                1 => {
                    for (((out, a), b), c) in out.iter_mut().zip(one(0)).zip(one(1)).zip(one(2)) {
                        *out = reciprocal.divide(a + b + c);
                    }
                }
                2 => {
                    for (((out, a), b), c) in out.iter_mut().zip(two(0)).zip(two(1)).zip(one(4)) {
                        *out = reciprocal.divide(a + b + c);
                    }
                }
                3 => {
                    for ((((out, a), b), c), d) in out.iter_mut().zip(two(0)).zip(two(1)).zip(two(2)).zip(one(6)) {
                        *out = reciprocal.divide(a + b + c + d);
                    }
                }
                _ => {
                    sums.copy_from_slice(one(2 * radius));
                    for i in 0..radius {
                        sums.iter_mut().zip(two(i)).for_each(|(sum, two)| *sum += two);
                    }
                    out.iter_mut().zip(&sums).for_each(|(out, sum)| *out = reciprocal.divide(*sum));
                }
            }
        }
    }
}

/// Means along a row of sums, for wide boxes.
fn running(columns: &[u16], out: &mut [u8], channels: usize, size: usize) {
    let area = (size * size) as u32;
    for c in 0..channels {
        let mut sum: u32 = columns[c..].iter().step_by(channels).take(size - 1).map(|sum| u32::from(*sum)).sum();
        let pairs = columns[c..].iter().step_by(channels).zip(columns[c..].iter().step_by(channels).skip(size - 1));
        for (out, (leaves, enters)) in out[c..].iter_mut().step_by(channels).zip(pairs) {
            sum += u32::from(*enters);
            *out = ((sum + area / 2) / area) as u8;
            sum -= u32::from(*leaves);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn weights_are_opencvs() {
        assert_eq!((gaussian_size(10.0), gaussian_size(0.5), gaussian_size(0.7)), (61, 5, 5));
        for (sigma, size) in [(0.1, 3), (0.5, 0), (1.0, 5), (10.0, 0), (100.0, 0), (1e9, 7), (0.0, 3), (f64::NAN, 5)] {
            let weights = gaussian_weights(sigma, size);
            let (middle, sides) = weights.split_last().unwrap();
            assert_eq!(2 * sides.iter().sum::<u16>() + middle, 256, "{sigma} {size}");
        }
        assert_eq!(gaussian_weights(1.0, 5), [14, 62, 104]);
    }

    #[test]
    fn division_rounds() {
        for divisor in (1..186).chain([225]) {
            let reciprocal = Reciprocal::of(divisor);
            for sum in 0..=255 * divisor {
                let rounded = (u32::from(sum) + u32::from(divisor / 2)) / u32::from(divisor);
                assert_eq!(u32::from(reciprocal.divide(sum)), rounded, "{sum} / {divisor}");
            }
        }
    }
}
