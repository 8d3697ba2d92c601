//! Round pictures on a dark ground: where they are, and how large.

use super::{Border, Region, gaussian_blur, simd};
use data::Image;

/// Gray as OpenCV computes it for pictures of three channels, the mean for other numbers.
#[inline(always)]
pub(super) fn gray(pixel: &[u8]) -> u8 {
    match *pixel {
        // In 2⁻¹⁵, rounded.
        [r, g, b] => ((u32::from(r) * 9798 + u32::from(g) * 19_235 + u32::from(b) * 3735 + (1 << 14)) >> 15) as u8,
        [gray] => gray,
        _ => (pixel.iter().map(|v| u32::from(*v)).sum::<u32>() / pixel.len().max(1) as u32) as u8,
    }
}

/// The smallest rectangle with all pixels that are lighter than `tolerance` in any slice; none where all are darker.
pub fn bounds(image: &Image, tolerance: u8) -> Option<Region> {
    let [_, height, width, channels] = image.dims();
    let (mut rows, mut columns) = ([height, 0], [width, 0]);
    for (y, row) in image.pixels().chunks_exact(width * channels).enumerate() {
        let y = y % height;
        let light = |x: usize| gray(&row[x * channels..][..channels]) > tolerance;
        let Some(first) = (0..width).find(|x| light(*x)) else { continue };
        let last = (first..width).rev().find(|x| light(*x)).unwrap_or(first);
        columns = [columns[0].min(first), columns[1].max(last)];
        rows = [rows[0].min(y), rows[1].max(y)];
    }
    (rows[0] <= rows[1]).then(|| Region {
        left: columns[0] as isize,
        top: rows[0] as isize,
        width: columns[1] - columns[0] + 1,
        height: rows[1] - rows[0] + 1,
    })
}

/// The radius of a round picture: half the number of pixels in the middle row whose sum over the channels is above a tenth of
/// the row's mean (Graham 2015).
pub fn radius(image: &Image) -> f64 {
    let [_, height, width, channels] = image.dims();
    let row = &image.pixels()[height / 2 * width * channels..][..width * channels];
    let sums = row.chunks_exact(channels).map(|pixel| pixel.iter().map(|v| u64::from(*v)).sum::<u64>());
    let total: u64 = sums.clone().sum();
    // Ten times the sum against the mean, in whole numbers.
    sums.filter(|sum| sum * 10 * width as u64 > total).count() as f64 / 2.0
}

/// `weight · (v − mean) + 128` with the mean of the surroundings, a Gaussian: what is light or dark where it is, whatever the
/// light (Graham 2015; OpenCV's `addWeighted` of a picture and its `GaussianBlur`, border reflected).
pub fn against_surroundings(image: &mut Image, sigma: f64, weight: f64) {
    let mut means = image.clone();
    gaussian_blur(&mut means, sigma, 0, Border::Reflect101, 0);
    // In 1/256.
    let weight = (weight * 256.0).round() as i32;
    simd::wide(|| {
        for (value, mean) in image.pixels_mut().iter_mut().zip(means.pixels()) {
            let difference = i32::from(*value) - i32::from(*mean);
            *value = ((difference * weight + (128 << 8) + (1 << 7)) >> 8).clamp(0, 255) as u8;
        }
    });
}
