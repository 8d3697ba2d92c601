//! Smoothing that keeps edges.

use super::simd::{self, Kernel};
use super::{Border, image};
use data::Image;

/// Places that are worked on at a time.
const BLOCK: usize = 64;

/// Each pixel becomes the mean of those within `radius`, weighted by Gaussians of their distance in space and in color, the
/// sum over the channels (Tomasi and Manduchi 1998; OpenCV's `bilateralFilter`, border reflected).
pub fn bilateral(source: &Image, radius: usize, color: f64, space: f64) -> Image {
    let dims = source.dims();
    let [_, height, width, channels] = dims;
    let reach = radius as isize;
    // exp(−d²/2σ²) as a power of two.
    let scale = |sigma: f64| -std::f64::consts::LOG2_E / (2.0 * sigma * sigma);
    // With a border around, all neighbors of a place lie at the same distances, also across the ends of rows.
    let stride = width + 2 * radius;
    let neighbors: Vec<(usize, f32)> = (-reach..=reach)
        .flat_map(|y| (-reach..=reach).map(move |x| (x, y)))
        .filter(|(x, y)| x * x + y * y <= reach * reach)
        .map(|(x, y)| {
            let place = (y + reach) as usize * stride + (x + reach) as usize;
            (place, ((x * x + y * y) as f64 * scale(space)).exp2() as f32)
        })
        .collect();
    let inside = |i: usize, n: usize| Border::Reflect101.index(i as isize - reach, n).unwrap_or(0);
    let columns: Vec<usize> = (0..stride).map(|x| inside(x, width) * channels).collect();
    // The last block may read behind the last row.
    let plane = (height + 2 * radius) * stride + BLOCK;
    let (mut planes, mut seen) = (vec![0f32; channels * plane], vec![0; channels * plane]);
    let mut pixels = vec![0; source.pixels().len()];
    let bytes = height * width * channels;
    for (slice, out) in source.pixels().chunks_exact(bytes).zip(pixels.chunks_exact_mut(bytes)) {
        for (c, plane) in planes.chunks_exact_mut(plane).enumerate() {
            for (y, row) in plane.chunks_exact_mut(stride).take(height + 2 * radius).enumerate() {
                let line = &slice[inside(y, height) * width * channels..][..width * channels];
                for (value, x) in row.iter_mut().zip(&columns) {
                    *value = f32::from(line[x + c]);
                }
            }
        }
        simd::run(Filter {
            planes: &planes,
            seen: &mut seen,
            plane,
            middle: radius * stride + radius,
            places: (height - 1) * stride + width,
            neighbors: &neighbors,
            color: scale(color) as f32,
        });
        for (c, plane) in seen.chunks_exact(plane).enumerate() {
            for (row, out) in plane.chunks_exact(stride).zip(out.chunks_exact_mut(width * channels)) {
                for (value, pixel) in row.iter().zip(out.chunks_exact_mut(channels)) {
                    pixel[c] = *value;
                }
            }
        }
    }
    image(dims, pixels)
}

/// One slice, channels apart.
struct Filter<'a> {
    planes: &'a [f32],
    seen: &'a mut [u8],
    /// Length of a channel.
    plane: usize,
    /// How far a place's middle is from the upper left of the square around.
    middle: usize,
    /// How many places there are.
    places: usize,
    /// How far each neighbor is from there, and its weight.
    neighbors: &'a [(usize, f32)],
    color: f32,
}

impl Kernel for Filter<'_> {
    #[inline(always)]
    fn run(self) {
        let channels = self.planes.len() / self.plane;
        unrolled!(filter(channels, self));
    }
}

#[inline(always)]
fn filter(channels: usize, work: Filter) {
    let mut sums = vec![[0f32; BLOCK]; channels];
    for start in (0..work.places).step_by(BLOCK) {
        let mut total = [0f32; BLOCK];
        sums.iter_mut().for_each(|sum| *sum = [0.0; BLOCK]);
        for (place, nearness) in work.neighbors {
            let mut weights = [0f32; BLOCK];
            for c in 0..channels {
                let (here, there) = (work.block(c, start + work.middle), work.block(c, start + place));
                for i in 0..BLOCK {
                    weights[i] += (here[i] - there[i]).abs();
                }
            }
            for i in 0..BLOCK {
                weights[i] = nearness * exp2(weights[i] * weights[i] * work.color);
                total[i] += weights[i];
            }
            for (c, sum) in sums.iter_mut().enumerate() {
                let there = work.block(c, start + place);
                for i in 0..BLOCK {
                    sum[i] += weights[i] * there[i];
                }
            }
        }
        for (c, sum) in sums.iter().enumerate() {
            let out = &mut work.seen[c * work.plane + start..][..BLOCK];
            for i in 0..BLOCK {
                out[i] = (sum[i] / total[i] + 0.5) as u8;
            }
        }
    }
}

impl Filter<'_> {
    #[inline(always)]
    fn block(&self, channel: usize, start: usize) -> &[f32; BLOCK] {
        const NONE: &[f32; BLOCK] = &[0.0; BLOCK];
        self.planes[channel * self.plane + start..].first_chunk().unwrap_or(NONE)
    }
}

/// `2^x` for `x ≤ 0`, to four digits; not below 2⁻⁸⁰.
#[inline(always)]
fn exp2(x: f32) -> f32 {
    // Smaller ones would become subnormal numbers, which are slow.
    let x = if x > -80.0 { x } else { -80.0 };
    // Adding 1.5·2²³ rounds to a whole number and leaves it in the low bits.
    let shifted = x + 12_582_912.0;
    let rest = x - (shifted - 12_582_912.0);
    let power = 1.0 + rest * (std::f32::consts::LN_2 + rest * (0.240_227 + rest * (0.055_504 + rest * 0.009_618)));
    power * f32::from_bits((shifted.to_bits() << 23).wrapping_add(127 << 23))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn powers_of_two_are_close() {
        for i in 0..2000 {
            let x = -f64::from(i) * 0.05;
            let (seen, exact) = (f64::from(exp2(x as f32)), x.exp2());
            assert!((seen - exact).abs() <= exact * 1e-4 + 1e-24, "{x}: {seen} {exact}");
        }
    }
}
