//! Changes of color, in place, with `torchvision`'s definitions for bytes: results are truncated, not rounded.
//!
//! Brightness and contrast take any number of channels; saturation and hue change pictures of three and leave others.

use super::simd;
use data::Image;

/// `factor · v`: 0 black, 1 the picture.
pub fn brightness(image: &mut Image, factor: f64) {
    let factor = factor as f32;
    look_up(image, |v| v * factor);
}

/// `factor · v + (1 − factor) · mean`: 0 gray, 1 the picture.
///
/// The mean is that of [`gray`] over the picture of three channels, of all values for other numbers.
pub fn contrast(image: &mut Image, factor: f64) {
    let values = image.pixels();
    let (sum, count) = if image.channels() == 3 {
        let (pixels, _) = values.as_chunks::<3>();
        (pixels.iter().map(|pixel| u64::from(gray(*pixel))).sum::<u64>(), pixels.len())
    } else {
        (values.iter().map(|v| u64::from(*v)).sum(), values.len())
    };
    let (factor, mean) = (factor as f32, (sum as f64 / count as f64) as f32);
    look_up(image, |v| factor * v + (1.0 - factor) * mean);
}

/// `factor · v + (1 − factor) · gray`: 0 gray, 1 the picture.
///
/// Factors above 64 act as 64.
pub fn saturation(image: &mut Image, factor: f64) {
    if image.channels() != 3 {
        return;
    }
    let factor = (factor.clamp(0.0, 64.0) * 65536.0).round() as i32;
    simd::wide(|| {
        for pixel in image.pixels_mut().as_chunks_mut::<3>().0 {
            let gray = i32::from(gray(*pixel));
            *pixel = pixel.map(|v| (gray + ((factor * (i32::from(v) - gray)) >> 16)).clamp(0, 255) as u8);
        }
    });
}

/// Moves the hue by `turns` of the color circle (HSV): lightest and darkest channel stay, the third follows.
pub fn hue(image: &mut Image, turns: f64) {
    if image.channels() != 3 || turns == 0.0 {
        return;
    }
    // In sixths of a turn; another whole turn keeps the sum below positive.
    let shift = (turns.rem_euclid(1.0) * 6.0) as f32 + 6.0;
    // Blocks of separate channels without a branch become vector instructions.
    const BLOCK: usize = 32;
    for block in image.pixels_mut().as_chunks_mut::<3>().0.chunks_mut(BLOCK) {
        let mut channels = [[0f32; BLOCK]; 3];
        for (i, pixel) in block.iter().enumerate() {
            for (channel, value) in channels.iter_mut().zip(pixel) {
                channel[i] = f32::from(*value);
            }
        }
        let [r, g, b] = &mut channels;
        for ((r, g), b) in r.iter_mut().zip(g).zip(b) {
            [*r, *g, *b] = turned([*r, *g, *b], shift);
        }
        for (i, pixel) in block.iter_mut().enumerate() {
            *pixel = std::array::from_fn(|c| channels[c][i] as u8);
        }
    }
}

/// A color, 0..=255, with its hue moved by `shift` sixths of a turn, 6..=12.
#[inline(always)]
fn turned([r, g, b]: [f32; 3], shift: f32) -> [f32; 3] {
    let (highest, lowest) = (r.max(g).max(b), r.min(g).min(b));
    let range = highest - lowest;
    let from_green = if highest == g { [b - r, 2.0] } else { [r - g, 4.0] };
    let [difference, sector] = if highest == r { [g - b, 0.0] } else { from_green };
    let wrapped = |hue: f32| if hue >= 6.0 { hue - 6.0 } else { hue };
    // Gray has no hue, and its range of 0 hides the one that it gets here.
    let hue = wrapped(wrapped(difference / range.max(1.0) + sector + shift));
    // Each channel is a trapezoid of the hue; `torchvision` stretches before it truncates.
    [5.0, 3.0, 1.0].map(|offset| {
        let k = wrapped(hue + offset);
        (highest - range * k.min(4.0 - k).clamp(0.0, 1.0)) * (255.999 / 255.0)
    })
}

/// `⌊0.2989 R + 0.587 G + 0.114 B⌋`, exactly.
///
/// The weights add up to 0.9999, as in `torchvision`: white is 254.
#[inline(always)]
pub fn gray([r, g, b]: [u8; 3]) -> u8 {
    // The weights times 2²⁴, rounded up: the error stays below the smallest step, 10⁻⁴, and the sum below 2³².
    ((u32::from(r) * 5_014_710 + u32::from(g) * 9_848_226 + u32::from(b) * 1_912_603) >> 24) as u8
}

/// Replaces every byte by a truncated function of it.
fn look_up(image: &mut Image, f: impl Fn(f32) -> f32) {
    let mut table = [0; 256];
    for (value, entry) in (0u8..=255).zip(&mut table) {
        *entry = f(f32::from(value)) as u8;
    }
    simd::look_up(image.pixels_mut(), &table);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn gray_is_exact() {
        for rgb in 0..1u32 << 24 {
            let [r, g, b, _] = rgb.to_le_bytes();
            let exact = (u32::from(r) * 2989 + u32::from(g) * 5870 + u32::from(b) * 1140) / 10_000;
            assert_eq!(u32::from(gray([r, g, b])), exact);
        }
    }

    #[test]
    fn neutral_parameters_change_nothing() {
        let picture = Image::new(64, 64, 3, (0..64 * 64 * 3).map(|i| (i * i % 256) as u8).collect()).unwrap();
        for change in [brightness, contrast, saturation] {
            let mut seen = picture.clone();
            change(&mut seen, 1.0);
            assert_eq!(seen, picture);
        }
        for turns in [0.0, 1.0, -1.0] {
            let mut seen = picture.clone();
            hue(&mut seen, turns);
            assert_eq!(seen, picture);
        }
    }

    #[test]
    fn absurd_factors_do_not_panic() {
        for factor in [f64::NAN, f64::INFINITY, -1e300, 1e300, -0.3] {
            for change in [brightness, contrast, saturation, hue] {
                for channels in [1, 3, 4] {
                    change(&mut Image::filled(2, 2, &[7, 200, 31, 9][..channels]), factor);
                }
            }
        }
    }
}
