//! Fewer pixels and then as many as before.

use super::image;
use data::Image;
use serde::{Deserialize, Serialize};

/// Which pixels one of another size is made of, without antialiasing.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Scaling {
    /// The nearest one.
    Nearest,
    /// The nearest 2×2, linearly weighted.
    Bilinear,
}

/// Resizes to `scale` times the size and back, as OpenCV's `resize` does without antialiasing.
///
/// `down` and `up` say how; a scale above 1 or below 1/1000 is that.
pub fn downscale(source: &Image, scale: f64, down: Scaling, up: Scaling) -> Image {
    let scale = if scale > 0.001 { scale.min(1.0) } else { 0.001 };
    let [_, height, width, channels] = source.dims();
    let small = |side: usize| ((side as f64 * scale).round_ties_even() as usize).max(1);
    let (columns, rows) = (small(width), small(height));
    let shrink = |to: usize, from: usize| axis(to, from, 1.0 / scale, down);
    // Twice a quotient, as there: a nearest pixel hangs on the last bit.
    let grow = |to: usize, from: usize| axis(to, from, 1.0 / (to as f64 / from as f64), up);
    if [down, up] == [Scaling::Nearest; 2] {
        let seen = |side: usize, few: usize| {
            let shrunk = shrink(few, side);
            grow(side, few).iter().map(|place| shrunk[place.before]).collect::<Vec<_>>()
        };
        let places = [&seen(width, columns)[..], &seen(height, rows)];
        let slices = source.pixels().chunks_exact(height * width * channels);
        let mut pixels = Vec::with_capacity(source.pixels().len());
        slices.for_each(|slice| nearest(slice, width, channels, places, &mut pixels));
        return image(source.dims(), pixels);
    }
    let mut pixels = Vec::with_capacity(source.pixels().len());
    for slice in source.pixels().chunks_exact(height * width * channels) {
        let few = resample(slice, width, channels, [&shrink(columns, width), &shrink(rows, height)]);
        pixels.extend_from_slice(&resample(&few, columns, channels, [&grow(width, columns), &grow(height, rows)]));
    }
    image(source.dims(), pixels)
}

/// What a place is made of: two neighbors and the second one's share in 1/2048.
#[derive(Clone, Copy, PartialEq)]
struct Place {
    before: usize,
    after: usize,
    share: i32,
}

/// Bits of a share.
const BITS: u32 = 11;

/// `to` places along a side of `from`.
fn axis(to: usize, from: usize, scale: f64, sampling: Scaling) -> Vec<Place> {
    let place = |x: usize| match sampling {
        Scaling::Nearest => {
            let at = ((x as f64 * scale) as usize).min(from - 1);
            Place { before: at, after: at, share: 0 }
        }
        Scaling::Bilinear => {
            let at = ((x as f64 + 0.5) * scale - 0.5).clamp(0.0, (from - 1) as f64);
            let before = at as usize;
            let share = ((at - before as f64) * f64::from(1 << BITS)).round_ties_even() as i32;
            Place { before, after: (before + 1).min(from - 1), share }
        }
    };
    (0..to).map(place).collect()
}

/// The pixels at these places.
fn resample(slice: &[u8], width: usize, channels: usize, [columns, rows]: [&[Place]; 2]) -> Vec<u8> {
    let length = columns.len() * channels;
    if columns.iter().chain(rows).all(|place| place.share == 0) {
        let mut out = vec![];
        nearest(slice, width, channels, [columns, rows], &mut out);
        return out;
    }
    let mut out = vec![0; length * rows.len()];
    // Two rows at the new width, which often serve several results.
    let (mut held, mut known) = ([vec![0i32; length], vec![0i32; length]], [usize::MAX; 2]);
    for (row, out) in rows.iter().zip(out.chunks_exact_mut(length)) {
        if known[1] == row.before {
            held.swap(0, 1);
            known.swap(0, 1);
        }
        for (i, y) in [row.before, row.after].into_iter().enumerate() {
            if known[i] != y {
                unrolled!(stretch(channels, &slice[y * width * channels..][..width * channels], columns, &mut held[i]));
                known[i] = y;
            }
        }
        let [a, b] = &held;
        for ((out, a), b) in out.iter_mut().zip(a).zip(b) {
            // Truncated where OpenCV does.
            let part = |value: i32, share: i32| (share * (value >> 4)) >> 16;
            *out = ((part(*a, (1 << BITS) - row.share) + part(*b, row.share) + 2) >> 2) as u8;
        }
    }
    out
}

/// A row at another width, times 2048.
#[inline(always)]
fn stretch(channels: usize, row: &[u8], columns: &[Place], out: &mut [i32]) {
    for (out, Place { before, after, share }) in out.chunks_exact_mut(channels).zip(columns) {
        let (a, b) = (&row[before * channels..][..channels], &row[after * channels..][..channels]);
        for ((out, a), b) in out.iter_mut().zip(a).zip(b) {
            *out = (i32::from(*a) << BITS) + (i32::from(*b) - i32::from(*a)) * share;
        }
    }
}

/// Without blending; rows that are seen again are copied.
fn nearest(slice: &[u8], width: usize, channels: usize, [columns, rows]: [&[Place]; 2], out: &mut Vec<u8>) {
    let length = columns.len() * channels;
    for (y, row) in rows.iter().enumerate() {
        let start = out.len();
        if y > 0 && rows[y - 1] == *row {
            out.extend_from_within(start - length..);
            continue;
        }
        out.resize(start + length, 0);
        let from = &slice[row.before * width * channels..][..width * channels];
        unrolled!(pick(channels, from, columns, &mut out[start..]));
    }
}

#[inline(always)]
fn pick(channels: usize, row: &[u8], columns: &[Place], out: &mut [u8]) {
    for (out, place) in out.chunks_exact_mut(channels).zip(columns) {
        out.copy_from_slice(&row[place.before * channels..][..channels]);
    }
}
