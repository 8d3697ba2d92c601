//! Smooth random fields.

use super::lattice::{Lattice, nodes};
use super::noise::mixed;
use super::simd;

/// `alpha` times uniform noise of −1..=1 in every pixel, blurred by a Gauss curve of `sigma` pixels: Simard's displacements.
///
/// Where the curve is wide the noise is drawn for blocks of `sigma / 2` pixels, with the variance that it has on average over
/// them: the field has the same distribution, and takes a fraction of the time.
pub fn noise_field(sides: [usize; 2], alpha: f64, sigma: f64, seed: u64) -> Lattice {
    let step = ((sigma / 2.0) as usize).max(1);
    let weights = gauss(sigma / step as f64);
    let rim = weights.len() - 1;
    let [columns, rows] = sides.map(|side| nodes(side, step));
    let amplitude = (alpha / step as f64) as f32;
    let field = |axis: u64| {
        let wide = columns + rim;
        let mut noise = vec![0.0; wide * (rows + rim)];
        simd::wide(|| fill(&mut noise, mixed(seed ^ axis), amplitude));
        let mut across = vec![0.0; columns * (rows + rim)];
        let mut down = vec![0.0; columns * rows];
        simd::wide(|| {
            for (out, row) in across.chunks_exact_mut(columns).zip(noise.chunks_exact(wide)) {
                for (weight, shift) in weights.iter().zip(0..) {
                    add(out, &row[shift..], *weight);
                }
            }
        });
        simd::wide(|| {
            for (y, out) in down.chunks_exact_mut(columns).enumerate() {
                for (weight, row) in weights.iter().zip(across[y * columns..].chunks_exact(columns)) {
                    add(out, row, *weight);
                }
            }
        });
        down
    };
    let (x, y) = (field(1), field(2));
    let made = Lattice::new(columns, [step as f32; 2], x, y);
    made.unwrap_or_else(|| Lattice::sampled(sides, step, |_, _| [0.0; 2]))
}

#[inline(always)]
fn add(out: &mut [f32], values: &[f32], weight: f32) {
    for (out, value) in out.iter_mut().zip(values) {
        *out += value * weight;
    }
}

/// The curve up to four deviations to both sides, its sum 1; one weight for none.
fn gauss(sigma: f64) -> Vec<f32> {
    let reach = (4.0 * sigma).ceil().max(0.0) as i32;
    if reach == 0 {
        return vec![1.0];
    }
    let heights: Vec<f64> = (-reach..=reach).map(|i| (-0.5 * (f64::from(i) / sigma).powi(2)).exp()).collect();
    let sum: f64 = heights.iter().sum();
    heights.into_iter().map(|height| (height / sum) as f32).collect()
}

/// Uniform noise of ±`amplitude`.
#[inline(always)]
fn fill(noise: &mut [f32], seed: u64, amplitude: f32) {
    let scale = amplitude / (1u32 << 31) as f32;
    for (i, value) in noise.iter_mut().enumerate() {
        *value = (hashed(i as u32, seed) as i32) as f32 * scale;
    }
}

/// The finalizer of MurmurHash3 in counter mode, with a key before and after its first multiplication.
#[inline(always)]
fn hashed(i: u32, key: u64) -> u32 {
    let mut v = i.wrapping_mul(0x9e37_79b9) ^ key as u32;
    v = (v ^ (v >> 16)).wrapping_mul(0x85eb_ca6b) ^ (key >> 32) as u32;
    v = (v ^ (v >> 13)).wrapping_mul(0xc2b2_ae35);
    v ^ (v >> 16)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Mean square, and the mean products of neighbors `apart` nodes away, to the right and between the axes.
    fn moments(lattice: &Lattice, columns: usize, apart: usize) -> [f64; 3] {
        let shifts: Vec<[f32; 2]> = lattice.shifts().collect();
        let mut sums = [0.0; 3];
        let mut count = 0.0;
        for row in shifts.chunks_exact(columns) {
            for (a, b) in row.iter().zip(&row[apart..]) {
                for axis in 0..2 {
                    sums[0] += f64::from(a[axis] * a[axis]);
                    sums[1] += f64::from(a[axis] * b[axis]);
                }
                sums[2] += f64::from(a[0] * a[1]) * 2.0;
                count += 2.0;
            }
        }
        sums.map(|sum| sum / count)
    }

    #[test]
    fn fields_have_the_variance_and_the_width_of_blurred_noise() {
        for (sigma, step) in [(1.5, 1), (3.0, 1), (5.0, 2), (12.0, 6)] {
            let side = 600 * step + 1;
            let field = noise_field([side, side], 20.0, sigma, 7);
            // At σ√2 a Gauss curve convolved with itself has fallen to √(1/e).
            let apart = (sigma * 2f64.sqrt() / step as f64).round();
            let correlation = (-(apart * step as f64 / sigma).powi(2) / 4.0).exp();
            let variance = 400.0 / 3.0 / (4.0 * std::f64::consts::PI * sigma * sigma);
            let [square, product, axes] = moments(&field, 601, apart as usize).map(|m| m / variance);
            assert!((square - 1.0).abs() < 0.06, "{sigma}: {square}");
            assert!((product - correlation).abs() < 0.06, "{sigma}: {product} {correlation}");
            assert!(axes.abs() < 0.05, "{sigma}: {axes}");
        }
        let sharp = noise_field([300, 300], 2.0, 0.0, 7);
        let [square, product, _] = moments(&sharp, 300, 1);
        assert!((square - 4.0 / 3.0).abs() < 0.02 && product.abs() < 0.02, "{square} {product}");
        assert!(sharp.shifts().flatten().all(|shift| shift.abs() <= 2.0));
    }
}
