//! Stains that absorb light.

use super::noise::rounded;
use super::simd::{self, Kernel};
use data::Image;

/// How much of red, green and blue hematoxylin, eosin and DAB absorb (Ruifrok & Johnston 2001).
const ABSORBED: [[f64; 3]; 3] = [[0.65, 0.70, 0.29], [0.07, 0.99, 0.11], [0.27, 0.57, 0.78]];

/// Changes each stain's amount `c`, of the natural logarithm of light, to `alpha · c + beta`; a picture of other than three
/// channels stays.
pub fn jitter(image: &mut Image, alpha: [f64; 3], beta: [f64; 3]) {
    if image.channels() != 3 {
        return;
    }
    // Colors to stains, changed, and back to colors is one linear map of logarithms.
    let amounts = inverse(ABSORBED);
    let map: [[f32; 3]; 3] = std::array::from_fn(|from| {
        std::array::from_fn(|to| (0..3).map(|s| amounts[from][s] * alpha[s] * ABSORBED[s][to]).sum::<f64>() as f32)
    });
    let shift: [f32; 3] = std::array::from_fn(|to| (0..3).map(|s| -beta[s] * ABSORBED[s][to]).sum::<f64>() as f32);
    // Logarithms to base 2 of bytes; black is a quarter of a step, which rounds to black again.
    let mut logarithms = [0f32; 256];
    for (v, entry) in logarithms.iter_mut().enumerate() {
        *entry = ((v as f64).max(0.25) / 255.0).log2() as f32;
    }
    let shift = shift.map(|shift| shift * std::f32::consts::LOG2_E + 255f32.log2());
    simd::run(Mixed { values: image.pixels_mut(), logarithms, map, shift });
}

struct Mixed<'a> {
    values: &'a mut [u8],
    logarithms: [f32; 256],
    map: [[f32; 3]; 3],
    shift: [f32; 3],
}

impl Kernel for Mixed<'_> {
    #[inline(always)]
    fn run(self) {
        const BLOCK: usize = 64;
        let Self { values, logarithms, map, shift } = self;
        for block in values.as_chunks_mut::<3>().0.chunks_mut(BLOCK) {
            let mut light = [[0f32; BLOCK]; 3];
            for (i, pixel) in block.iter().enumerate() {
                for (channel, v) in light.iter_mut().zip(pixel) {
                    channel[i] = logarithms[usize::from(*v)];
                }
            }
            let [r, g, b] = &light;
            let mut bytes = [[0u8; BLOCK]; 3];
            for (to, out) in bytes.iter_mut().enumerate() {
                for (((v, r), g), b) in out.iter_mut().zip(r).zip(g).zip(b) {
                    *v = power(r * map[0][to] + g * map[1][to] + b * map[2][to] + shift[to]);
                }
            }
            for (i, pixel) in block.iter_mut().enumerate() {
                *pixel = [bytes[0][i], bytes[1][i], bytes[2][i]];
            }
        }
    }
}

/// 2 to this power, rounded, up to 255.
#[inline(always)]
fn power(x: f32) -> u8 {
    let x = x.clamp(-10.0, 8.0);
    let whole = x.floor();
    // Taylor's series about ½ of 2ˣ in 0..1 is right to 10⁻⁶.
    let y = (x - whole - 0.5) * std::f32::consts::LN_2;
    let part = 1.0 + y * (1.0 + y * (0.5 + y * (1.0 / 6.0 + y * (1.0 / 24.0 + y * (1.0 / 120.0)))));
    let scale = f32::from_bits(((rounded(whole) + 127) << 23) as u32) * std::f32::consts::SQRT_2;
    rounded(part * scale).min(255) as u8
}

/// By the adjugate.
fn inverse(m: [[f64; 3]; 3]) -> [[f64; 3]; 3] {
    let cofactor = |row: usize, column: usize| {
        let (r, s, c, d) = ((row + 1) % 3, (row + 2) % 3, (column + 1) % 3, (column + 2) % 3);
        m[r][c] * m[s][d] - m[r][d] * m[s][c]
    };
    let determinant: f64 = (0..3).map(|c| m[0][c] * cofactor(0, c)).sum();
    std::array::from_fn(|i| std::array::from_fn(|j| cofactor(j, i) / determinant))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn neutral_numbers_change_nothing() {
        let pixels = (0..=255u8).flat_map(|v| [v, v.wrapping_mul(7), 255 - v]).collect();
        let picture = Image::new(256, 1, 3, pixels).unwrap();
        let mut seen = picture.clone();
        jitter(&mut seen, [1.0; 3], [0.0; 3]);
        assert_eq!(seen, picture);
    }

    #[test]
    fn powers_are_those_of_two() {
        for i in -22_000..=16_400 {
            let x = i as f32 / 2000.0;
            let exact = f64::from(x).exp2().min(255.0);
            assert!((f64::from(power(x)) - exact).abs() <= 0.501, "{x}: {} {exact}", power(x));
        }
        assert_eq!([power(f32::NEG_INFINITY), power(f32::INFINITY)], [0, 255]);
    }
}
