//! Changes of color, in place, with `torchvision`'s definitions for bytes: results are truncated, not rounded. Those of
//! [`tensorflow`] are rounded.
//!
//! Brightness and contrast take any number of channels; saturation, hue and gray change pictures of three and leave others.

use super::Paint;
use super::simd::{self, Planes};
use super::tone::{self, Table};
use data::Image;

/// `factor · v`: 0 black, 1 the picture.
pub fn brightness(image: &mut Image, factor: f64) {
    tone::look_up(image, &brighter(factor));
}

/// The table of [`brightness`].
pub(crate) fn brighter(factor: f64) -> Table {
    let factor = factor as f32;
    tone::table(|v| v * factor)
}

/// `factor · v + (1 − factor) · mean`: 0 gray, 1 the picture.
///
/// The mean is that of [`gray`] over the picture of three channels, of all values for other numbers.
pub fn contrast(image: &mut Image, factor: f64) {
    tone::look_up(image, &more_contrast(image, factor));
}

/// The table of [`contrast`] for this picture.
pub(crate) fn more_contrast(image: &Image, factor: f64) -> Table {
    let (factor, mean) = (factor as f32, mean_gray(image) as f32);
    tone::table(|v| factor * v + (1.0 - factor) * mean)
}

fn mean_gray(image: &Image) -> f64 {
    let values = image.pixels();
    if image.channels() != 3 {
        return values.iter().map(|v| u64::from(*v)).sum::<u64>() as f64 / values.len() as f64;
    }
    let mut sum = 0;
    simd::widest!(read_planes(values, |planes| sum += total(&grays(planes, WEIGHTS))));
    sum as f64 / (values.len() / 3) as f64
}

#[inline(always)]
fn total(plane: &[u8; 64]) -> u64 {
    u64::from(plane.iter().map(|v| u32::from(*v)).sum::<u32>())
}

/// `factor · v + (1 − factor) · gray`: 0 gray, 1 the picture.
///
/// Factors above 64 act as 64.
pub fn saturation(image: &mut Image, factor: f64) {
    if image.channels() != 3 {
        return;
    }
    let factor = Factor::new(factor);
    simd::widest!(change_planes(image.pixels_mut(), |planes| {
        let grays = grays(planes, WEIGHTS);
        for plane in planes {
            for (v, gray) in plane.iter_mut().zip(&grays) {
                *v = factor.away(*gray, *v);
            }
        }
    }));
}

/// How far a value goes away from another: 0 to it, 1 stays.
#[derive(Clone, Copy)]
pub(super) struct Factor {
    whole: i16,
    /// In 2⁻¹⁵, rounded down and up: products of two 16-bit numbers have an instruction for their upper half.
    part: [i16; 2],
}

impl Factor {
    /// Factors above 64 act as 64.
    pub(super) fn new(factor: f64) -> Self {
        let factor = factor.clamp(0.0, 64.0);
        let part = factor.fract() * 32768.0;
        Self { whole: factor as i16, part: [part.floor() as i16, part.ceil().min(32767.0) as i16] }
    }

    /// `⌊base + factor · (v − base)⌋`.
    #[inline(always)]
    pub(super) fn away(self, base: u8, v: u8) -> u8 {
        let distance = i16::from(v) - i16::from(base);
        // Rounded so that what is whole does not fall below. The sign is all ones or none.
        let part = self.part[1] - ((distance >> 15) & (self.part[1] - self.part[0]));
        let part = ((i32::from(2 * distance) * i32::from(part)) >> 16) as i16;
        (i16::from(base) + distance * self.whole + part).clamp(0, 255) as u8
    }
}

/// Moves the hue by `turns` of the color circle (HSV): lightest and darkest channel stay, the third follows.
pub fn hue(image: &mut Image, turns: f64) {
    // `torchvision` stretches before it truncates.
    turn(image, turns, [255.999 / 255.0, 0.0]);
}

/// Gives the values `v` of the turned colors as `scale · v + offset`, truncated.
fn turn(image: &mut Image, turns: f64, [scale, offset]: [f32; 2]) {
    if image.channels() != 3 || turns == 0.0 {
        return;
    }
    // In sixths of a turn; another whole turn keeps the sum below positive.
    let shift = (turns.rem_euclid(1.0) * 6.0) as f32 + 6.0;
    simd::widest!(change_planes(image.pixels_mut(), |planes| {
        let [r, g, b] = planes;
        for ((r, g), b) in r.iter_mut().zip(g).zip(b) {
            let color = turned([*r, *g, *b].map(f32::from), shift);
            [*r, *g, *b] = color.map(|v| simd::byte(v * scale + offset));
        }
    }));
}

/// A color, 0..=255, with its hue moved by `shift` sixths of a turn, 6..=12.
#[inline(always)]
fn turned([r, g, b]: [f32; 3], shift: f32) -> [f32; 3] {
    let more = |a: f32, b: f32| if a > b { a } else { b };
    let less = |a: f32, b: f32| if a < b { a } else { b };
    let (highest, lowest) = (more(more(r, g), b), less(less(r, g), b));
    let range = highest - lowest;
    let from_green = if highest == g { [b - r, 2.0] } else { [r - g, 4.0] };
    let [difference, sector] = if highest == r { [g - b, 0.0] } else { from_green };
    let wrapped = |hue: f32| if hue >= 6.0 { hue - 6.0 } else { hue };
    // Gray has no hue, and its range of 0 hides the one that it gets here.
    let hue = wrapped(wrapped(difference / more(range, 1.0) + sector + shift));
    // Each channel is a trapezoid of the hue.
    [5.0, 3.0, 1.0].map(|offset| {
        let k = wrapped(hue + offset);
        highest - range * less(more(less(k, 4.0 - k), 0.0), 1.0)
    })
}

/// The weights of [`gray`] times 2²⁴, rounded up: the error stays below the smallest step, 10⁻⁴, and the sum below 2³².
const WEIGHTS: [u32; 3] = [5_014_710, 9_848_226, 1_912_603];

/// `⌊0.2989 R + 0.587 G + 0.114 B⌋`, exactly.
///
/// The weights add up to 0.9999, as in `torchvision`: white is 254.
#[inline(always)]
pub fn gray(pixel: [u8; 3]) -> u8 {
    weighted(pixel, WEIGHTS)
}

#[inline(always)]
fn weighted([r, g, b]: [u8; 3], weights: [u32; 3]) -> u8 {
    ((u32::from(r) * weights[0] + u32::from(g) * weights[1] + u32::from(b) * weights[2]) >> 24) as u8
}

#[inline(always)]
fn grays([r, g, b]: &Planes, weights: [u32; 3]) -> [u8; 64] {
    let mut grays = [0; 64];
    for (gray, ((r, g), b)) in grays.iter_mut().zip(r.iter().zip(g).zip(b)) {
        *gray = weighted([*r, *g, *b], weights);
    }
    grays
}

/// All three channels become their sum with these weights, truncated; the weights add up to 1 at most.
pub fn grayscale(image: &mut Image, weights: [f64; 3]) {
    if image.channels() != 3 {
        return;
    }
    let weights = weights.map(|weight| (weight.clamp(0.0, 1.0) * f64::from(1 << 24)).ceil() as u32);
    simd::widest!(change_planes(image.pixels_mut(), |planes| *planes = [grays(planes, weights); 3]));
}

/// Channel `c` of the result is channel `order[c]`; nothing changes when `order` is no order of the channels.
pub fn reorder(image: &mut Image, order: &[u32]) {
    let channels = image.channels();
    let mut sorted = order.to_vec();
    sorted.sort_unstable();
    if !sorted.into_iter().eq(0..channels as u32) {
        return;
    }
    let order: Vec<usize> = order.iter().map(|c| *c as usize).collect();
    if let [first, second, third] = order[..] {
        simd::widest!(
            change_planes(image.pixels_mut(), |planes| *planes = [planes[first], planes[second], planes[third]])
        );
        return;
    }
    let mut before = vec![0; channels];
    for pixel in image.pixels_mut().chunks_exact_mut(channels) {
        before.copy_from_slice(pixel);
        pixel.iter_mut().zip(&order).for_each(|(value, from)| *value = before[*from]);
    }
}

/// Overwrites whole channels.
pub fn drop_channels(image: &mut Image, dropped: &[u32], fill: impl Into<Paint>) {
    let (channels, fill) = (image.channels(), fill.into());
    let is_dropped = |c: usize| dropped.contains(&(c as u32));
    // One pattern over many pixels, so that channels need not be told apart.
    let pattern = |of: &dyn Fn(usize) -> u8| (0..64 * channels).map(|i| of(i % channels)).collect::<Vec<u8>>();
    let kept = pattern(&|c| if is_dropped(c) { 0 } else { 255 });
    let filled = pattern(&|c| if is_dropped(c) { fill.of(c) } else { 0 });
    simd::wide(|| {
        for block in image.pixels_mut().chunks_mut(kept.len()) {
            for (value, (kept, filled)) in block.iter_mut().zip(kept.iter().zip(&filled)) {
                *value = (*value & kept) | filled;
            }
        }
    });
}

/// `TensorFlow`'s definitions (`tf.image.adjust_*`), of which the results are rounded and cut off to bytes.
pub mod tensorflow {
    use super::{simd, tone, total};
    use data::Image;

    /// `v + 255 · delta`.
    pub fn brightness(image: &mut Image, delta: f64) {
        tone::look_up(image, &tone::rounded(|v| v + 255.0 * delta));
    }

    /// `factor · v + (1 − factor) · mean`, with the mean of each channel.
    pub fn contrast(image: &mut Image, factor: f64) {
        let tables: Vec<_> =
            means(image).into_iter().map(|mean| tone::rounded(|v| mean + factor * (v - mean))).collect();
        tone::look_up_channels(image, &tables);
    }

    fn means(image: &Image) -> Vec<f64> {
        let channels = image.channels();
        let mut sums = vec![0; channels];
        if channels == 3 {
            simd::widest!(read_planes(image.pixels(), |planes| {
                sums.iter_mut().zip(planes).for_each(|(sum, plane)| *sum += total(plane));
            }));
        } else {
            for pixel in image.pixels().chunks_exact(channels) {
                sums.iter_mut().zip(pixel).for_each(|(sum, v)| *sum += u64::from(*v));
            }
        }
        let count = (image.pixels().len() / channels) as f64;
        sums.into_iter().map(|sum| sum as f64 / count).collect()
    }

    /// Multiplies the saturation (HSV): the lightest channel stays.
    pub fn saturation(image: &mut Image, factor: f64) {
        if image.channels() != 3 {
            return;
        }
        let factor = factor.clamp(0.0, 1e6) as f32;
        simd::widest!(change_planes(image.pixels_mut(), |planes| {
            let [r, g, b] = planes;
            for ((r, g), b) in r.iter_mut().zip(g).zip(b) {
                let (highest, lowest) = ((*r).max(*g).max(*b), (*r).min(*g).min(*b));
                let range = f32::from((highest - lowest).max(1));
                // A saturation is 1 at most.
                let most = f32::from(highest) / range;
                let factor = if factor < most { factor } else { most };
                let away = |v: u8| simd::byte(f32::from(highest) - f32::from(highest - v) * factor + 0.5);
                (*r, *g, *b) = (away(*r), away(*g), away(*b));
            }
        }));
    }

    /// Moves the hue by `turns` of the color circle (HSV).
    pub fn hue(image: &mut Image, turns: f64) {
        super::turn(image, turns, [1.0, 0.5]);
    }
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
