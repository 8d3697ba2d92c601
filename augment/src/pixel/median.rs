//! The median of a square around each pixel, by networks of comparisons on whole vectors.
//!
//! A column of the square is sorted once for all squares that it is a part of, pairs of columns are merged once for all of
//! theirs; what is left for a single pixel are two sorted runs whose median is one more row of comparisons.

use super::simd::{self, Kernel};
use super::{Symmetry, orient};
use data::Image;

/// Bytes that are compared at once: a vector of 512 bits.
const LANES: usize = 64;

/// The median of the `size × size` pixels around each, in place, as OpenCV's `medianBlur`; pixels outside repeat the
/// outermost ones.
///
/// Sizes are 3, 5 and 7; others are the nearest of these, below 2 nothing changes.
pub fn median_blur(image: &mut Image, size: usize) {
    let [_, height, width, channels] = image.dims();
    // Rows shorter than a vector would waste most of it; a square is one on its side too.
    if width * channels < LANES && width < height {
        let turn = |image: &mut Image| {
            let taken = std::mem::replace(image, Image::filled(1, 1, &[0]));
            *image = orient(taken, Symmetry { transpose: true, mirror: false, upside_down: false });
        };
        turn(image);
        median_blur(image, size);
        turn(image);
        return;
    }
    for slice in image.pixels_mut().chunks_exact_mut(height * width * channels) {
        match size {
            0..=1 => {}
            2..=3 => simd::run(Median::<3> { slice, width, channels }),
            4..=5 => simd::run(Median::<5> { slice, width, channels }),
            _ => simd::run(Median::<7> { slice, width, channels }),
        }
    }
}

/// Medians of one slice over `N × N` pixels.
struct Median<'a, const N: usize> {
    slice: &'a mut [u8],
    width: usize,
    channels: usize,
}

impl<const N: usize> Kernel for Median<'_, N> {
    type Out = ();
    #[inline(always)]
    fn run(self) {
        let Self { slice, width, channels } = self;
        let (length, height) = (width * channels, slice.len() / (width * channels));
        let border = N / 2 * channels;
        // Whole vectors, read up to a square beyond the last one.
        let covered = (length + 2 * border).next_multiple_of(LANES);
        let stride = covered + 2 * border + LANES;
        // The rows of a square wait in a ring.
        let mut ring = vec![0; N * stride];
        let mut columns = vec![0; N * stride];
        let mut pairs = vec![0; 2 * N * stride];
        let mut next = 0;
        for y in 0..height {
            while next < height && next <= y + N / 2 {
                let row = &slice[next * length..][..length];
                let padded = &mut ring[next % N * stride..][..stride];
                padded[border..border + length].copy_from_slice(row);
                for x in 0..N / 2 {
                    padded[x * channels..][..channels].copy_from_slice(&row[..channels]);
                    padded[border + length + x * channels..][..channels].copy_from_slice(&row[length - channels..]);
                }
                next += 1;
            }
            let mut rows = [0; N];
            for (k, row) in rows.iter_mut().enumerate() {
                *row = (y + k).saturating_sub(N / 2).min(height - 1) % N * stride;
            }
            let out = &mut slice[y * length..][..length];
            for at in (0..covered).step_by(LANES) {
                let mut column = [[0; LANES]; N];
                for (value, row) in column.iter_mut().zip(&rows) {
                    value.copy_from_slice(&ring[row + at..][..LANES]);
                }
                sort(&mut column);
                save(&column, &mut columns, [stride, at]);
            }
            if N == 5 {
                for at in (0..covered).step_by(LANES) {
                    let mut pair = [[0; LANES]; 10];
                    load(&mut pair[..5], &columns, [stride, at]);
                    load(&mut pair[5..], &columns, [stride, at + channels]);
                    merge_5_5(&mut pair);
                    save(&pair, &mut pairs, [stride, at]);
                }
            }
            if N == 7 {
                for at in (0..covered).step_by(LANES) {
                    let mut pair = [[0; LANES]; 14];
                    load(&mut pair[..7], &columns, [stride, at]);
                    load(&mut pair[7..], &columns, [stride, at + channels]);
                    merge_7_7(&mut pair);
                    save(&pair, &mut pairs, [stride, at]);
                }
            }
            let (chunks, rest) = out.as_chunks_mut::<LANES>();
            for (i, out) in chunks.iter_mut().enumerate() {
                *out = median::<N>([&columns, &pairs], stride, i * LANES, channels);
            }
            if !rest.is_empty() {
                let last = median::<N>([&columns, &pairs], stride, chunks.len() * LANES, channels);
                rest.copy_from_slice(&last[..rest.len()]);
            }
        }
    }
}

/// The medians at some places, from sorted columns and pairs of them.
#[inline(always)]
fn median<const N: usize>([columns, pairs]: [&[u8]; 2], stride: usize, at: usize, channels: usize) -> Chunk {
    let place = |shift: usize| [stride, at + shift * channels];
    match N {
        3 => {
            let mut values = [[0; LANES]; 9];
            load(&mut values[..3], columns, place(0));
            load(&mut values[3..6], columns, place(1));
            load(&mut values[6..], columns, place(2));
            of_nine(&values)
        }
        5 => {
            let (mut pair, mut rest) = ([[0; LANES]; 10], [[0; LANES]; 15]);
            load(&mut pair, pairs, place(0));
            load(&mut rest[..10], pairs, place(2));
            load(&mut rest[10..], columns, place(4));
            merge_10_5(&mut rest);
            nth_of_two(&pair, &rest, 12)
        }
        _ => {
            let (mut most, mut rest) = ([[0; LANES]; 28], [[0; LANES]; 21]);
            load(&mut most[..14], pairs, place(0));
            load(&mut most[14..], pairs, place(2));
            merge_14_14(&mut most);
            load(&mut rest[..14], pairs, place(4));
            load(&mut rest[14..], columns, place(6));
            merge_14_7(&mut rest);
            nth_of_two(&most[..25], &rest, 24)
        }
    }
}

/// Neighboring bytes.
type Chunk = [u8; LANES];

/// Sorted values of neighboring places: the smallest, the second, and so on.
#[inline(always)]
fn load(values: &mut [Chunk], rows: &[u8], [stride, at]: [usize; 2]) {
    for (k, values) in values.iter_mut().enumerate() {
        values.copy_from_slice(&rows[k * stride + at..][..LANES]);
    }
}

#[inline(always)]
fn save(values: &[Chunk], rows: &mut [u8], [stride, at]: [usize; 2]) {
    for (k, values) in values.iter().enumerate() {
        rows[k * stride + at..][..LANES].copy_from_slice(values);
    }
}

/// Puts pairs of values in order.
macro_rules! exchange {
    ($values:ident: $($low:literal $high:literal),* $(,)?) => {
        {$(in_order($values, $low, $high);)*}
    };
}

#[inline(always)]
fn in_order<const N: usize>(values: &mut [Chunk; N], low: usize, high: usize) {
    let (a, b) = (values[low], values[high]);
    (values[low], values[high]) = (lower(&a, &b), higher(&a, &b));
}

#[inline(always)]
fn lower(a: &Chunk, b: &Chunk) -> Chunk {
    let mut out = [0; LANES];
    for lane in 0..LANES {
        out[lane] = a[lane].min(b[lane]);
    }
    out
}

#[inline(always)]
fn higher(a: &Chunk, b: &Chunk) -> Chunk {
    let mut out = [0; LANES];
    for lane in 0..LANES {
        out[lane] = a[lane].max(b[lane]);
    }
    out
}

/// Sorts by the network with the fewest comparisons.
#[inline(always)]
fn sort<const N: usize>(values: &mut [Chunk; N]) {
    match N {
        3 => exchange!(values: 0 1, 1 2, 0 1),
        5 => exchange!(values: 0 3, 1 4, 0 2, 1 3, 0 1, 2 4, 1 2, 3 4, 2 3),
        _ => exchange!(values:
            0 6, 2 3, 4 5, 0 2, 1 4, 3 6, 0 1, 2 5, 3 4, 1 2, 4 6, 2 3, 4 5, 1 2, 3 4, 5 6),
    }
}

// Batcher's odd-even merges of two runs that lie one after the other, without the comparisons that no result depends on.

#[inline(always)]
fn merge_5_5(values: &mut [Chunk; 10]) {
    exchange!(values: 1 9, 1 5, 3 7, 3 5, 7 9, 2 6, 0 8, 4 8, 0 2, 4 6, 0 1, 2 3, 4 5, 6 7, 8 9);
}

/// Of the results only 2..=12 are in place.
#[inline(always)]
fn merge_10_5(values: &mut [Chunk; 15]) {
    exchange!(values:
        2 10, 6 14, 6 10, 4 12, 0 4, 8 12, 0 2, 4 6, 8 10, 12 14, 3 11, 7 11, 5 13, 1 5, 9 13, 1 3, 5 7, 9 11,
        1 2, 3 4, 5 6, 7 8, 9 10, 11 12);
}

#[inline(always)]
fn merge_7_7(values: &mut [Chunk; 14]) {
    exchange!(values:
        3 11, 3 7, 1 9, 5 13, 5 9, 1 3, 5 7, 9 11, 0 8, 4 12, 4 8, 2 10, 6 10, 2 4, 6 8, 10 12, 0 1, 2 3, 4 5,
        6 7, 8 9, 10 11, 12 13);
}

/// Of the results only 3..=24 are in place.
#[inline(always)]
fn merge_14_14(values: &mut [Chunk; 28]) {
    exchange!(values:
        6 22, 6 14, 2 18, 10 26, 10 18, 2 6, 10 14, 18 22, 0 16, 8 24, 8 16, 4 20, 12 20, 4 8, 12 16, 20 24, 4 6,
        8 10, 12 14, 16 18, 20 22, 24 26, 7 23, 7 15, 3 19, 11 27, 11 19, 3 7, 11 15, 19 23, 1 17, 9 25, 9 17,
        5 21, 13 21, 5 9, 13 17, 21 25, 1 3, 5 7, 9 11, 13 15, 17 19, 21 23, 3 4, 5 6, 7 8, 9 10, 11 12, 13 14,
        15 16, 17 18, 19 20, 21 22, 23 24);
}

#[inline(always)]
fn merge_14_7(values: &mut [Chunk; 21]) {
    exchange!(values:
        6 14, 2 18, 10 18, 2 6, 10 14, 0 16, 8 16, 4 20, 12 20, 4 8, 12 16, 0 2, 4 6, 8 10, 12 14, 16 18, 7 15,
        3 19, 11 19, 3 7, 11 15, 1 17, 9 17, 5 9, 13 17, 1 3, 5 7, 9 11, 13 15, 17 19, 1 2, 3 4, 5 6, 7 8, 9 10,
        11 12, 13 14, 15 16, 17 18, 19 20);
}

/// The median of three sorted columns.
#[inline(always)]
fn of_nine(values: &[Chunk; 9]) -> Chunk {
    let [a, b, c, d, e, f, g, h, i] = values;
    let mut out = [0; LANES];
    let middle = |a: u8, b: u8, c: u8| a.min(b).max(a.max(b).min(c));
    for lane in 0..LANES {
        let low = a[lane].max(d[lane]).max(g[lane]);
        let high = c[lane].min(f[lane]).min(i[lane]);
        out[lane] = middle(low, middle(b[lane], e[lane], h[lane]), high);
    }
    out
}

/// The `first + 1`-th smallest of two sorted runs; `a` is missing its first `skipped` values.
///
/// If i of them are in `a`, they are the first ones there and the others the first ones in `b`.
#[inline(always)]
fn nth_of_two(a: &[Chunk], b: &[Chunk], first: usize) -> Chunk {
    let mut out = if first < b.len() { b[first] } else { [255; LANES] };
    for (i, a) in a.iter().enumerate() {
        if i == first {
            out = lower(&out, a);
        } else if first - i <= b.len() && i < first {
            out = lower(&out, &higher(a, &b[first - i - 1]));
        }
    }
    out
}
