//! Weighted sums of pictures.

use super::simd;
use data::Image;

/// `weight` of the picture and of each of others, added up in place and truncated; others of another size do not count.
pub fn mix(image: &mut Image, weight: f64, others: &[(Image, f64)]) {
    const BLOCK: usize = 256;
    let dims = image.dims();
    let others: Vec<(&[u8], f32)> = others
        .iter()
        .filter(|(other, _)| other.dims() == dims)
        .map(|(other, weight)| (other.pixels(), *weight as f32))
        .collect();
    let weight = weight as f32;
    simd::widest!(run(|| {
        for (i, block) in image.pixels_mut().chunks_mut(BLOCK).enumerate() {
            let mut sums = [0f32; BLOCK];
            sums.iter_mut().zip(&*block).for_each(|(sum, v)| *sum = weight * f32::from(*v));
            for (other, weight) in &others {
                let other = &other[i * BLOCK..][..block.len()];
                sums.iter_mut().zip(other).for_each(|(sum, v)| *sum += weight * f32::from(*v));
            }
            // Weights that add up to 1 only nearly must not make a value the one below.
            block.iter_mut().zip(&sums).for_each(|(v, sum)| *v = simd::byte(sum + 1e-3));
        }
    }));
}
