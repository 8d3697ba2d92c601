//! Sharper and softer.

use super::color::Factor;
use super::simd;
use data::Image;

/// `factor · v + (1 − factor) · smooth`: 0 smooth, 1 the picture (`torchvision` `adjust_sharpness`).
///
/// The smooth picture has the weights `[1 1 1; 1 5 1; 1 1 1] / 13`; outermost pixels stay. Factors above 64 act as 64.
pub fn sharpen(image: &mut Image, factor: f64) {
    let [_, height, width, channels] = image.dims();
    if height < 3 || width < 3 || factor == 1.0 {
        return;
    }
    let (stride, factor) = (width * channels, Factor::new(factor));
    // Rows as they were: above the one that changes, and itself.
    let mut rows = [vec![0u8; stride], vec![0u8; stride]];
    let mut columns = vec![0u16; stride];
    simd::widest!(run(|| {
        for slice in image.pixels_mut().chunks_exact_mut(height * stride) {
            rows[0].copy_from_slice(&slice[..stride]);
            for y in 1..height - 1 {
                let (row, below) = slice[y * stride..(y + 2) * stride].split_at_mut(stride);
                let [above, here] = &mut rows;
                here.copy_from_slice(row);
                for ((sum, above), (here, below)) in columns.iter_mut().zip(&*above).zip(here.iter().zip(&*below)) {
                    *sum = u16::from(*above) + u16::from(*here) + u16::from(*below);
                }
                blend(&mut row[channels..stride - channels], &columns, channels, factor);
                rows.swap(0, 1);
            }
        }
    }));
}

/// Blends a row without its outermost pixels with the sums of three columns.
#[inline(always)]
fn blend(row: &mut [u8], columns: &[u16], channels: usize, factor: Factor) {
    let (left, middle, right) = (columns, &columns[channels..], &columns[2 * channels..]);
    for ((v, left), (middle, right)) in row.iter_mut().zip(left).zip(middle.iter().zip(right)) {
        let sum = left + middle + right + 4 * u16::from(*v);
        // To the nearest; there is no half of 13.
        *v = factor.away(((sum + 6) / 13) as u8, *v);
    }
}
