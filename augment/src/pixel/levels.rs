//! Every value replaced by a function of it, rounded to the nearest.

use super::simd;
use data::Image;

/// One function for all channels.
pub fn all(image: &mut Image, f: impl Fn(f64) -> f64) {
    simd::look_up(image.pixels_mut(), &table(f));
}

/// A factor for each channel.
pub fn scale(image: &mut Image, factors: &[f64]) {
    let channels = image.channels();
    if factors.len() != channels {
        return;
    }
    let tables: Vec<[u8; 256]> = factors.iter().map(|factor| table(|v| v * factor)).collect();
    if let [only] = tables.as_slice() {
        return simd::look_up(image.pixels_mut(), only);
    }
    if let [a, b, c] = tables.as_slice() {
        for pixel in image.pixels_mut().as_chunks_mut::<3>().0 {
            *pixel = [a[usize::from(pixel[0])], b[usize::from(pixel[1])], c[usize::from(pixel[2])]];
        }
        return;
    }
    for pixel in image.pixels_mut().chunks_exact_mut(channels) {
        for (value, table) in pixel.iter_mut().zip(&tables) {
            *value = table[usize::from(*value)];
        }
    }
}

/// How often each value occurs in each channel.
pub fn histograms(image: &Image) -> Vec<[u64; 256]> {
    let channels = image.channels();
    let mut counts = vec![[0; 256]; channels];
    if let [a, b, c] = counts.as_mut_slice() {
        for pixel in image.pixels().as_chunks::<3>().0 {
            a[usize::from(pixel[0])] += 1;
            b[usize::from(pixel[1])] += 1;
            c[usize::from(pixel[2])] += 1;
        }
        return counts;
    }
    for pixel in image.pixels().chunks_exact(channels) {
        for (value, counts) in pixel.iter().zip(&mut counts) {
            counts[usize::from(*value)] += 1;
        }
    }
    counts
}

fn table(f: impl Fn(f64) -> f64) -> [u8; 256] {
    std::array::from_fn(|v| f(v as f64).round() as u8)
}
