//! Blurs that are no products of rows and columns: along a line, over a disc.

use super::blur::{Reciprocal, pad};
use super::simd::{self, Kernel};
use super::{Border, image};
use data::Image;

/// Longest line, pixels.
pub const MAX_LINE: usize = 99;
/// Largest radius of a disc: the sums of two of its columns fit 16 bits.
pub const MAX_RADIUS: usize = 60;

/// Albumentations' line of motion in a square of `size` pixels, odd: each pixel's `[x, y]` from the middle, once.
///
/// The `angle` is in degrees, a `direction` of 0 is symmetric, −1 only backward, 1 only forward; `shift` moves the line.
pub fn motion_line(size: usize, angle: f64, direction: f64, shift: [f64; 2]) -> Vec<[isize; 2]> {
    let half = (size.min(MAX_LINE) / 2) as f64;
    let (dx, dy) = (angle.to_radians().cos(), angle.to_radians().sin());
    let direction = direction.clamp(-1.0, 1.0);
    let (start, end) = (-half * (1.0 - direction.max(0.0)), half * (1.0 + direction.min(0.0)));
    let steps = 2.0 * half;
    let point = |i: usize| {
        let t = if i as f64 == steps { end } else { start + i as f64 * ((end - start) / steps.max(1.0)) };
        let place = |slope: f64, shift: f64| (half + slope * t + shift).round_ties_even().clamp(0.0, steps) - half;
        [place(dx, shift[0]) as isize, place(dy, shift[1]) as isize]
    };
    let mut line: Vec<_> = (0..=steps as usize).map(point).collect();
    line.sort_unstable();
    line.dedup();
    line
}

/// The mean of the pixels at these distances `[x, y]` from each, rounded to the nearest, in place; mirrored at the border.
///
/// Distances are clipped to those of a line of [`MAX_LINE`], and only as many of them count.
pub fn mean_of(image: &mut Image, distances: &[[isize; 2]]) {
    let most = MAX_LINE / 2;
    let clip = |d: isize| d.clamp(-(most as isize), most as isize);
    let distances: Vec<_> = distances.iter().take(MAX_LINE).map(|d| d.map(clip)).collect();
    let radius = distances.iter().flatten().map(|d| d.unsigned_abs()).max().unwrap_or(0);
    if radius == 0 {
        return;
    }
    let [_, height, width, channels] = image.dims();
    for slice in image.pixels_mut().chunks_exact_mut(height * width * channels) {
        simd::run(Line { slice, dims: [height, width, channels], distances: &distances, radius });
    }
}

/// Means of one slice.
struct Line<'a> {
    slice: &'a mut [u8],
    /// Height, width, channels.
    dims: [usize; 3],
    distances: &'a [[isize; 2]],
    radius: usize,
}

impl Kernel for Line<'_> {
    type Out = ();
    /// Rows wait in a ring until no result needs them any more.
    #[inline(always)]
    fn run(self) {
        let Self { slice, dims: [height, width, channels], distances, radius } = self;
        let length = width * channels;
        let stride = length + 2 * radius * channels;
        let kept = height.min(2 * radius + 1);
        let mut ring = vec![0u16; kept * stride];
        let mut sums = vec![0u16; length];
        let mut taps = vec![0; distances.len()];
        let reciprocal = Reciprocal::of(distances.len() as u16);
        let mut next = 0;
        for y in 0..height {
            while next < height && next <= y + radius {
                let to = &mut ring[next % kept * stride..][..stride];
                pad(&slice[next * length..][..length], to, channels, Border::Reflect101, 0);
                next += 1;
            }
            for (tap, [dx, dy]) in taps.iter_mut().zip(distances) {
                let row = Border::Reflect101.index(y as isize + dy, height).unwrap_or(0) % kept;
                *tap = row * stride + (radius as isize + dx) as usize * channels;
            }
            let at = |tap: usize| &ring[tap..][..length];
            sums.fill(0);
            let (fours, rest) = taps.as_chunks::<4>();
            for taps in fours {
                let [a, b, c, d] = taps.map(at);
                for ((((sum, a), b), c), d) in sums.iter_mut().zip(a).zip(b).zip(c).zip(d) {
                    *sum += a + b + c + d;
                }
            }
            for tap in rest {
                sums.iter_mut().zip(at(*tap)).for_each(|(sum, a)| *sum += a);
            }
            for (out, sum) in slice[y * length..][..length].iter_mut().zip(&sums) {
                *out = reciprocal.divide(*sum);
            }
        }
    }
}

/// The mean of the pixels within `radius` of each, rounded to the nearest; mirrored at the border.
///
/// A larger radius than [`MAX_RADIUS`] is that.
pub fn disc_blur(source: &Image, radius: usize) -> Image {
    let radius = radius.min(MAX_RADIUS);
    let [_, height, width, channels] = source.dims();
    let mut pixels = vec![0; source.pixels().len()];
    let slices = source.pixels().chunks_exact(height * width * channels);
    for (slice, out) in slices.zip(pixels.chunks_exact_mut(height * width * channels)) {
        simd::run(Disc { slice, out, dims: [height, width, channels], radius });
    }
    image(source.dims(), pixels)
}

/// Means of one slice.
struct Disc<'a> {
    slice: &'a [u8],
    out: &'a mut [u8],
    /// Height, width, channels.
    dims: [usize; 3],
    radius: usize,
}

/// Two columns of a disc, at the same distance to both sides.
struct Columns {
    /// Pixels above and below the middle.
    half: usize,
    /// Where they begin in a padded row.
    left: usize,
    right: usize,
    /// Pixels of both.
    count: usize,
}

impl Kernel for Disc<'_> {
    type Out = ();
    /// A column's sum is the difference of two sums of all rows above.
    #[inline(always)]
    fn run(self) {
        let Self { slice, out, dims: [height, width, channels], radius } = self;
        let length = width * channels;
        let stride = length + 2 * radius * channels;
        // Differences are right although the sums overflow.
        let kept = 2 * radius + 2;
        let (mut ring, mut above, mut row) = (vec![0u16; kept * stride], vec![0u16; stride], vec![0u16; stride]);
        let (mut sums, mut totals) = (vec![0u16; length], vec![0u32; length]);
        let columns = |dx: usize| {
            let half = (radius * radius - dx * dx).isqrt();
            Columns { half, left: (radius - dx) * channels, right: (radius + dx) * channels, count: 2 * (2 * half + 1) }
        };
        let pairs: Vec<_> = (1..=radius).map(columns).collect();
        let count = 2 * radius + 1 + pairs.iter().map(|pair| pair.count).sum::<usize>();
        let factor = (1u32 << 24).div_ceil(count as u32);
        let mut next = 0;
        for (y, out) in out.chunks_exact_mut(length).enumerate() {
            while next <= y + 2 * radius {
                let from = Border::Reflect101.index(next as isize - radius as isize, height).unwrap_or(0);
                pad(&slice[from * length..][..length], &mut row, channels, Border::Reflect101, 0);
                above.iter_mut().zip(&row).for_each(|(sum, value)| *sum = sum.wrapping_add(*value));
                ring[(next + 1) % kept * stride..][..stride].copy_from_slice(&above);
                next += 1;
            }
            let sums_of = |half: usize, left: usize| {
                let [to, from] = [y + radius + half + 1, y + radius - half].map(|row| row % kept * stride + left);
                [&ring[to..][..length], &ring[from..][..length]]
            };
            let [a, b] = sums_of(radius, radius * channels);
            for ((sum, a), b) in sums.iter_mut().zip(a).zip(b) {
                *sum = a.wrapping_sub(*b);
            }
            totals.fill(count as u32 / 2);
            let mut held = 2 * radius + 1;
            for &Columns { half, left, right, count } in &pairs {
                // As many values of 255 fit 16 bits.
                if held + count > 257 {
                    totals.iter_mut().zip(&mut sums).for_each(|(total, sum)| *total += u32::from(std::mem::take(sum)));
                    held = 0;
                }
                held += count;
                let ([a, b], [c, d]) = (sums_of(half, left), sums_of(half, right));
                for ((((sum, a), b), c), d) in sums.iter_mut().zip(a).zip(b).zip(c).zip(d) {
                    *sum = sum.wrapping_add(a.wrapping_sub(*b)).wrapping_add(c.wrapping_sub(*d));
                }
            }
            for ((out, total), sum) in out.iter_mut().zip(&totals).zip(&sums) {
                *out = (((total + u32::from(*sum)) * factor) >> 24) as u8;
            }
        }
    }
}

/// Mean of the picture and of its magnified middles, as Albumentations' `zoom_blur`; of the first 255 factors.
///
/// Factors are at least 1; the size stays.
pub fn zoom_blur(source: &Image, factors: &[f64]) -> Image {
    let [_, height, width, channels] = source.dims();
    let zooms: Vec<_> =
        factors.iter().take(255).map(|f| (lanes(&zoom(width, *f), channels), zoom(height, *f))).collect();
    let mut pixels = vec![0; source.pixels().len()];
    let slices = source.pixels().chunks_exact(height * width * channels);
    for (slice, out) in slices.zip(pixels.chunks_exact_mut(height * width * channels)) {
        simd::run(Zooms { slice, out, length: width * channels, zooms: &zooms });
    }
    image(source.dims(), pixels)
}

/// What a pixel of a magnified side is made of: two pixels and the second one's share.
struct Place {
    before: usize,
    after: usize,
    share: f64,
}

/// The middle of a side, magnified.
fn zoom(side: usize, factor: f64) -> Vec<Place> {
    let factor = if factor >= 1.0 { factor } else { 1.0 };
    let shown = ((side as f64 / factor).ceil() as usize).clamp(1, side);
    let full = ((shown as f64 * factor) as usize).max(side);
    let (first, cut) = ((side - shown) / 2, (full - side) / 2);
    let scale = shown as f64 / full as f64;
    let place = |x: usize| {
        let at = (((x + cut) as f64 + 0.5) * scale - 0.5).clamp(0.0, (shown - 1) as f64);
        let before = at as usize;
        Place { before: first + before, after: first + (before + 1).min(shown - 1), share: at - before as f64 }
    };
    (0..side).map(place).collect()
}

/// Neighboring values of a magnified row, found in two windows of the row before.
struct Lanes {
    /// The first one, and how many.
    first: usize,
    count: usize,
    /// Where the windows of both pixels begin.
    starts: [usize; 2],
    /// Places in the windows, none beyond the end, because magnified pixels lie closer together.
    before: [u16; 32],
    after: [u16; 32],
    /// Shares of the second ones in 2⁻¹⁵.
    share: [i16; 32],
}

fn lanes(places: &[Place], channels: usize) -> Vec<Lanes> {
    let lanes = |first: usize, count: usize| {
        let (place, c) = (&places[first / channels], first % channels);
        // Several pixels share a window, of many channels only those of one do.
        let starts = if channels <= 16 {
            [place.before * channels; 2]
        } else {
            [place.before, place.after].map(|at| at * channels + c)
        };
        let mut lanes = Lanes { first, count, starts, before: [0; 32], after: [0; 32], share: [0; 32] };
        for i in 0..count {
            let (place, c) = (&places[(first + i) / channels], (first + i) % channels);
            lanes.before[i] = (place.before * channels + c - starts[0]) as u16;
            lanes.after[i] = (place.after * channels + c - starts[1]) as u16;
            lanes.share[i] = (place.share * 32_768.0).min(32_767.0) as i16;
        }
        lanes
    };
    let unit = if channels <= 16 { places.len() * channels } else { channels };
    let units = (0..places.len() * channels).step_by(unit);
    units
        .flat_map(|from| (0..unit).step_by(32).map(move |i| (from + i, 32.min(unit - i))))
        .map(|(a, b)| lanes(a, b))
        .collect()
}

/// Means of one slice.
struct Zooms<'a> {
    slice: &'a [u8],
    out: &'a mut [u8],
    /// Bytes of a row.
    length: usize,
    /// Columns and rows.
    zooms: &'a [(Vec<Lanes>, Vec<Place>)],
}

impl Kernel for Zooms<'_> {
    type Out = ();
    #[inline(always)]
    fn run(self) {
        let Self { slice, out, length, zooms } = self;
        let (mut between, mut sums) = (vec![0u16; length + 64], vec![0u32; length]);
        let count = zooms.len() as u32 + 1;
        let factor = (1u32 << 18).div_ceil(count);
        for (y, out) in out.chunks_exact_mut(length).enumerate() {
            for (sum, value) in sums.iter_mut().zip(&slice[y * length..]) {
                *sum = u32::from(*value) << 6;
            }
            for (columns, rows) in zooms {
                let Place { before, after, share } = rows[y];
                let [a, b] = [before, after].map(|row| &slice[row * length..][..length]);
                let share = (share * 128.0) as u16;
                for ((between, a), b) in between.iter_mut().zip(a).zip(b) {
                    *between = u16::from(*a) * (128 - share) + u16::from(*b) * share;
                }
                for lanes in columns {
                    lanes.add(&between, &mut sums);
                }
            }
            for (out, sum) in out.iter_mut().zip(&sums) {
                *out = (((sum + 32 * count) * factor) >> 24) as u8;
            }
        }
    }
}

impl Lanes {
    /// Adds the values, times 64, of a row times 128.
    #[inline(always)]
    fn add(&self, row: &[u16], sums: &mut [u32]) {
        let [Some(before), Some(after)] = self.starts.map(|start| row.get(start..).and_then(|row| row.first_chunk()))
        else {
            return;
        };
        let (before, after) = (simd::pick(before, &self.before), simd::pick(after, &self.after));
        let mut values = [0u16; 32];
        for (((value, a), b), share) in values.iter_mut().zip(before).zip(after).zip(&self.share) {
            let more = (i32::from(b as i16 - a as i16) * i32::from(*share)) >> 16;
            *value = (a >> 1).wrapping_add(more as u16);
        }
        let sums = &mut sums[self.first..][..self.count];
        if let Ok(sums) = <&mut [u32; 32]>::try_from(&mut *sums) {
            sums.iter_mut().zip(values).for_each(|(sum, value)| *sum += u32::from(value));
        } else {
            sums.iter_mut().zip(values).for_each(|(sum, value)| *sum += u32::from(value));
        }
    }
}

/// Exchanges pixels with others nearby, in place, from the bottom right to the top left, `iterations` times.
///
/// `next` gives the distances `[x, y]`, each in `−reach..reach`, which others are clipped to; pixels nearer to the border
/// than `reach` are only exchanged by others.
pub fn swap_nearby(image: &mut Image, reach: usize, iterations: usize, mut next: impl FnMut() -> [isize; 2]) {
    let [depth, height, width, channels] = image.dims();
    if reach == 0 {
        return;
    }
    let clip = |d: isize| d.clamp(-(reach as isize), reach as isize - 1);
    let pixels = image.pixels_mut();
    for _ in 0..iterations {
        for y in (reach + 1..(height + 1).saturating_sub(reach)).rev() {
            for x in (reach + 1..(width + 1).saturating_sub(reach)).rev() {
                let [dx, dy] = next().map(clip);
                let other = y.saturating_add_signed(dy) * width + x.saturating_add_signed(dx);
                for z in 0..depth {
                    let (a, b) = ((z * height + y) * width + x, z * height * width + other);
                    swap(pixels, a * channels, b * channels, channels);
                }
            }
        }
    }
}

#[inline(always)]
fn swap(pixels: &mut [u8], a: usize, b: usize, channels: usize) {
    for c in 0..channels {
        pixels.swap(a + c, b + c);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn absurd_parameters_do_not_panic() {
        for numbers in [f64::NAN, f64::INFINITY, -1e300, 1e300, 0.0] {
            motion_line(7, numbers, numbers, [numbers; 2]);
            zoom_blur(&Image::filled(3, 2, &[7, 8]), &[numbers; 300]);
        }
        let mut image = Image::filled(3, 2, &[7, 8]);
        mean_of(&mut image, &[[isize::MIN, isize::MAX], [3, 3]]);
        swap_nearby(&mut image, 1, 3, || [isize::MIN, isize::MAX]);
        swap_nearby(&mut image, usize::MAX - 1, 3, || [0, 0]);
        assert_eq!(disc_blur(&image, 1000), image);
    }
}
