//! Masks of colors.

use super::morphology::close_mask;
use data::Image;

/// Hue, 0..180, saturation and value, as OpenCV computes them for bytes.
#[inline(always)]
pub fn hsv(pixel: [u8; 3], tables: &Tables) -> [u8; 3] {
    let [r, g, b] = pixel.map(i32::from);
    let (highest, lowest) = (r.max(g).max(b), r.min(g).min(b));
    let range = highest - lowest;
    let saturation = (range * tables.saturation[highest as usize] + (1 << 11)) >> 12;
    let along = if highest == r {
        g - b
    } else if highest == g {
        b - r + 2 * range
    } else {
        r - g + 4 * range
    };
    let hue = (along * tables.hue[range as usize] + (1 << 11)) >> 12;
    [(if hue < 0 { hue + 180 } else { hue }) as u8, saturation as u8, highest as u8]
}

/// Quotients, times 2¹².
pub struct Tables {
    saturation: [i32; 256],
    hue: [i32; 256],
}

impl Tables {
    /// As OpenCV rounds them.
    pub fn new() -> Self {
        let over = |whole: f64| -> [i32; 256] {
            std::array::from_fn(|i| if i == 0 { 0 } else { (whole * 4096.0 / i as f64).round_ties_even() as i32 })
        };
        Self { saturation: over(255.0), hue: over(30.0) }
    }
}

impl Default for Tables {
    fn default() -> Self {
        Self::new()
    }
}

/// Overwrites the pixels whose hue, saturation and value do not lie in `low..=high`, once the mask of those that do is closed
/// by an ellipse of `closing` pixels. Pictures of other than three channels stay.
pub fn keep_colors(image: &mut Image, [low, high]: [[u8; 3]; 2], closing: usize, fill: u8) {
    if image.channels() != 3 {
        return;
    }
    let (tables, [_, height, width, _]) = (Tables::new(), image.dims());
    for slice in image.pixels_mut().chunks_exact_mut(height * width * 3) {
        let pixels = slice.as_chunks_mut::<3>().0;
        let inside = |pixel: &[u8; 3]| {
            let [h, s, v] = hsv(*pixel, &tables);
            let within = (low[0]..=high[0]).contains(&h) & (low[1]..=high[1]).contains(&s);
            if within & (low[2]..=high[2]).contains(&v) { 255 } else { 0 }
        };
        let mut mask: Vec<u8> = pixels.iter().map(inside).collect();
        close_mask(&mut mask, width, closing);
        for (pixel, kept) in pixels.iter_mut().zip(&mask) {
            if *kept == 0 {
                *pixel = [fill; 3];
            }
        }
    }
}
