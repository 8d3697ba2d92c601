//! Masks of colors.

use super::Paint;
use super::morphology::close_mask;
use super::simd::{self, Kernel};
use data::Image;

/// Pixels that are worked on at a time.
const BLOCK: usize = 64;

/// Hue, 0..180, saturation and value, as OpenCV computes them for bytes.
#[inline(always)]
pub fn hsv([r, g, b]: [i32; 3]) -> [i32; 3] {
    let (highest, lowest) = (r.max(g).max(b), r.min(g).min(b));
    let range = highest - lowest;
    let saturation = (range * quotient(255.0 * 4096.0, highest) + (1 << 11)) >> 12;
    let from_green = if highest == g { b - r + 2 * range } else { r - g + 4 * range };
    let along = if highest == r { g - b } else { from_green };
    let hue = (along * quotient(30.0 * 4096.0, range) + (1 << 11)) >> 12;
    [if hue < 0 { hue + 180 } else { hue }, saturation, highest]
}

/// `whole / by`, rounded to the nearest, halves to even; 0 where `by` is.
///
/// Exact for whole numbers below 2²¹ and bytes: their quotients are further from halves than a rounding error.
#[inline(always)]
fn quotient(whole: f32, by: i32) -> i32 {
    let quotient = if by > 0 { whole / by as f32 } else { 0.0 };
    // Adding 1.5·2²³ rounds to a whole number and leaves it in the low bits.
    ((quotient + 12_582_912.0).to_bits() as i32).wrapping_sub(0x4B40_0000)
}

/// Overwrites the pixels whose hue, saturation and value do not lie in `low..=high`, once the mask of those that do is closed
/// by an ellipse of `closing` pixels. Pictures of other than three channels stay.
pub fn keep_colors(image: &mut Image, [low, high]: [[u8; 3]; 2], closing: usize, fill: impl Into<Paint>) {
    if image.channels() != 3 {
        return;
    }
    let [_, height, width, _] = image.dims();
    let fill = fill.into();
    let fill = [0, 1, 2].map(|c| fill.of(c));
    let mut mask = vec![0; height * width];
    for slice in image.pixels_mut().chunks_exact_mut(height * width * 3) {
        let pixels = slice.as_chunks_mut::<3>().0;
        simd::run(Within { pixels, mask: &mut mask, low: low.map(i32::from), high: high.map(i32::from) });
        close_mask(&mut mask, width, closing);
        simd::wide(|| {
            for (pixel, kept) in pixels.iter_mut().zip(&mask) {
                *pixel = [0, 1, 2].map(|c| (pixel[c] & kept) | (fill[c] & !kept));
            }
        });
    }
}

/// Writes 255 where a color lies within bounds, else 0.
struct Within<'a> {
    pixels: &'a [[u8; 3]],
    mask: &'a mut [u8],
    low: [i32; 3],
    high: [i32; 3],
}

impl Kernel for Within<'_> {
    type Out = ();
    #[inline(always)]
    fn run(self) {
        for (pixels, out) in self.pixels.chunks(BLOCK).zip(self.mask.chunks_mut(BLOCK)) {
            let mut channels = [[0; BLOCK]; 3];
            for (i, pixel) in pixels.iter().enumerate() {
                for c in 0..3 {
                    channels[c][i] = i32::from(pixel[c]);
                }
            }
            let mut mask = [0; BLOCK];
            for i in 0..BLOCK {
                let [h, s, v] = hsv([channels[0][i], channels[1][i], channels[2][i]]);
                let hue = (h >= self.low[0]) & (h <= self.high[0]);
                let saturation = (s >= self.low[1]) & (s <= self.high[1]);
                let value = (v >= self.low[2]) & (v <= self.high[2]);
                mask[i] = if hue & saturation & value { 255 } else { 0 };
            }
            out.copy_from_slice(&mask[..out.len()]);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quotients_are_exact() {
        for by in 1..=255 {
            for whole in [255.0 * 4096.0, 30.0 * 4096.0] {
                let exact = f64::round_ties_even(whole / f64::from(by)) as i32;
                assert_eq!(quotient(whole as f32, by), exact, "{whole} / {by}");
            }
        }
        assert_eq!(quotient(1.0, 0), 0);
    }
}
