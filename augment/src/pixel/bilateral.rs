//! Smoothing that keeps edges.

use super::{Border, image, simd};
use data::Image;

/// Pixels that are worked on at a time.
const BLOCK: usize = 64;

/// Each pixel becomes the mean of those within `radius`, weighted by Gaussians of their distance in space and in color, the
/// sum over the channels (Tomasi and Manduchi 1998; OpenCV's `bilateralFilter`, border reflected).
pub fn bilateral(source: &Image, radius: usize, color: f64, space: f64) -> Image {
    let dims = source.dims();
    let [_, height, width, channels] = dims;
    let reach = radius as isize;
    // exp(−d²/2σ²) as a power of two.
    let scale = |sigma: f64| -std::f64::consts::LOG2_E / (2.0 * sigma * sigma);
    let neighbours: Vec<Neighbour> = (-reach..=reach)
        .flat_map(|y| (-reach..=reach).map(move |x| (x, y)))
        .filter(|(x, y)| x * x + y * y <= reach * reach)
        .map(|(x, y)| Neighbour {
            right: (x + reach) as usize,
            down: (y + reach) as usize,
            weight: ((x * x + y * y) as f64 * scale(space)).exp2() as f32,
        })
        .collect();
    // Separate channels with the border around: every neighbour of a block is a slice.
    let padded = [width + 2 * radius, height + 2 * radius];
    let inside = |i: usize, n: usize| Border::Reflect101.index(i as isize - reach, n).unwrap_or(0);
    let columns: Vec<usize> = (0..padded[0]).map(|x| inside(x, width) * channels).collect();
    let mut planes = vec![0f32; channels * padded[0] * padded[1]];
    let mut pixels = vec![0; source.pixels().len()];
    let bytes = height * width * channels;
    for (slice, out) in source.pixels().chunks_exact(bytes).zip(pixels.chunks_exact_mut(bytes)) {
        let rows = planes.chunks_exact_mut(padded[0]);
        for (i, row) in rows.enumerate() {
            let (c, y) = (i / padded[1], inside(i % padded[1], height));
            let bytes = &slice[y * width * channels..][..width * channels];
            for (value, x) in row.iter_mut().zip(&columns) {
                *value = f32::from(bytes[x + c]);
            }
        }
        let filter =
            Filter { planes: &planes, padded, channels, radius, neighbours: &neighbours, color: scale(color) as f32 };
        simd::wide(|| filter.run(out, width));
    }
    image(dims, pixels)
}

/// A place beside a pixel, counted from the upper left of the square around.
struct Neighbour {
    right: usize,
    down: usize,
    weight: f32,
}

struct Filter<'a> {
    planes: &'a [f32],
    padded: [usize; 2],
    channels: usize,
    radius: usize,
    neighbours: &'a [Neighbour],
    color: f32,
}

impl Filter<'_> {
    #[inline(always)]
    fn run(&self, out: &mut [u8], width: usize) {
        let mut sums = vec![[0f32; BLOCK]; self.channels];
        for (y, row) in out.chunks_exact_mut(width * self.channels).enumerate() {
            for (block, pixels) in row.chunks_mut(BLOCK * self.channels).enumerate() {
                let (x, count) = (block * BLOCK, pixels.len() / self.channels);
                let mut total = [0f32; BLOCK];
                sums.iter_mut().for_each(|sum| sum.fill(0.0));
                for neighbour in self.neighbours {
                    let mut weights = [0f32; BLOCK];
                    for c in 0..self.channels {
                        let here = self.at(c, x + self.radius, y + self.radius, count);
                        let there = self.at(c, x + neighbour.right, y + neighbour.down, count);
                        for ((weight, here), there) in weights.iter_mut().zip(here).zip(there) {
                            *weight += (here - there).abs();
                        }
                    }
                    for (weight, total) in weights[..count].iter_mut().zip(&mut total) {
                        *weight = neighbour.weight * exp2(*weight * *weight * self.color);
                        *total += *weight;
                    }
                    for (c, sum) in sums.iter_mut().enumerate() {
                        let there = self.at(c, x + neighbour.right, y + neighbour.down, count);
                        for ((sum, weight), there) in sum.iter_mut().zip(&weights).zip(there) {
                            *sum += weight * there;
                        }
                    }
                }
                for (i, pixel) in pixels.chunks_exact_mut(self.channels).enumerate() {
                    for (value, sum) in pixel.iter_mut().zip(&sums) {
                        *value = (sum[i] / total[i] + 0.5) as u8;
                    }
                }
            }
        }
    }

    #[inline(always)]
    fn at(&self, channel: usize, x: usize, y: usize, count: usize) -> &[f32] {
        let start = (channel * self.padded[1] + y) * self.padded[0] + x;
        &self.planes[start..start + count]
    }
}

/// `2^x` for `x ≤ 0`, to five digits.
#[inline(always)]
fn exp2(x: f32) -> f32 {
    let x = x.max(-126.0);
    // Adding 1.5·2²³ rounds to a whole number and leaves it in the low bits.
    let shifted = x + 12_582_912.0;
    let rest = x - (shifted - 12_582_912.0);
    let power = 1.0 + rest * (0.693_147 + rest * (0.240_227 + rest * (0.055_504 + rest * 0.009_618)));
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
            assert!((seen - exact).abs() <= exact * 1e-4 + 1e-30, "{x}: {seen} {exact}");
        }
    }
}
