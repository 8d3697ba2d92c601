//! Perceptual hashes, bit for bit those of Python's `imagehash` of the same pixels.

use crate::decode::luma;
use crate::image::Image;
use std::borrow::Cow;
use std::f64::consts::PI;

/// Bits of a weight behind its point, as in Pillow.
const PRECISION: u32 = 22;
/// Half width of the Lanczos kernel, pixels of the smaller picture.
const SUPPORT: f64 = 3.0;
/// Side of the picture that [`phash`] transforms, pixels.
const WAVES: usize = 32;

/// Difference hash (Krawetz 2013; `imagehash.dhash`): gray, 9×8, one bit per pair of neighbors, set where the right one is
/// brighter; row by row, the first bit is the highest. Of a volume its middle slice.
pub fn dhash(image: &Image) -> u64 {
    let small = lanczos(&gray(image), 9, 8);
    bits(small.chunks_exact(9).flat_map(|row| row.windows(2).map(|pair| pair[1] > pair[0])))
}

/// Hash of low frequencies (Krawetz 2011; `imagehash.phash`): gray, 32×32, cosine transform, one bit per coefficient of the 8×8
/// lowest, set where it is above their median; row by row, the first bit is the highest. Of a volume its middle slice.
///
/// Where coefficients are equal but for rounding, as those of a picture without any change from top to bottom, the bits tell
/// nothing and may differ from imagehash's.
pub fn phash(image: &Image) -> u64 {
    let small = lanczos(&gray(image), WAVES, WAVES);
    let angle = |k: usize, n: usize| PI * (k * (2 * n + 1)) as f64 / (2 * WAVES) as f64;
    let waves: [[f64; WAVES]; 8] = std::array::from_fn(|k| std::array::from_fn(|n| angle(k, n).cos()));
    let mut low = [0.0; 64];
    for (k, row) in low.chunks_exact_mut(8).enumerate() {
        let column = |x: usize| (0..WAVES).map(|y| f64::from(small[y * WAVES + x]) * waves[k][y]).sum::<f64>();
        let columns: [f64; WAVES] = std::array::from_fn(column);
        for (value, wave) in row.iter_mut().zip(&waves) {
            *value = columns.iter().zip(wave).map(|(a, b)| a * b).sum();
        }
    }
    let mut sorted = low;
    sorted.sort_by(f64::total_cmp);
    let median = (sorted[31] + sorted[32]) / 2.0;
    bits(low.into_iter().map(|value| value > median))
}

fn bits(bits: impl Iterator<Item = bool>) -> u64 {
    bits.fold(0, |hash, bit| hash << 1 | u64::from(bit))
}

/// One gray slice, of a volume the middle one: colors by their luma, other channels by their mean.
pub(crate) fn gray(image: &Image) -> Cow<'_, Image> {
    let [depth, height, width, channels] = image.dims();
    if depth == 1 && channels == 1 {
        return Cow::Borrowed(image);
    }
    let pixels = middle(image).chunks_exact(channels);
    let mean = |pixel: &[u8]| {
        let sum: usize = pixel.iter().map(|v| usize::from(*v)).sum();
        ((sum + channels / 2) / channels) as u8
    };
    let pixels: Vec<u8> = if channels == 3 { pixels.map(luma).collect() } else { pixels.map(mean).collect() };
    // As many bytes as pixels: this cannot fail.
    Cow::Owned(Image::new(width, height, 1, pixels).unwrap_or_else(|_| Image::filled(width, height, &[0])))
}

/// The bytes of the middle slice.
pub(super) fn middle(image: &Image) -> &[u8] {
    let slice = image.height() * image.width() * image.channels();
    &image.pixels()[image.depth() / 2 * slice..][..slice]
}

/// `gray` resampled as Pillow's LANCZOS does it, rounded after each direction: first from left to right, but first from top to
/// bottom where a picture loses more than twice as many lines as columns (since Pillow 13; earlier, tall ones are no exception).
fn lanczos(gray: &Image, width: usize, height: usize) -> Vec<u8> {
    let (wide, high) = (gray.width(), gray.height());
    let (across, down) = (Weights::new(wide, width), Weights::new(high, height));
    if high > height && high + 2 * width > height + 2 * wide {
        return across.lines(&down.columns(gray.pixels(), wide), wide);
    }
    down.columns(&across.lines(gray.pixels(), wide), width)
}

/// Where each pixel of a smaller line comes from: its first source pixel and the weights from there on.
struct Weights(Vec<(usize, Vec<i32>)>);

impl Weights {
    fn new(from: usize, to: usize) -> Self {
        let scale = from as f64 / to as f64;
        let stretch = scale.max(1.0);
        let of = |i: usize| {
            let (center, support) = ((i as f64 + 0.5) * scale, SUPPORT * stretch);
            let first = (center - support + 0.5).max(0.0) as usize;
            let last = ((center + support + 0.5) as usize).min(from);
            let raw = (first..last).map(|x| kernel((x as f64 - center + 0.5) / stretch));
            let total: f64 = raw.clone().sum();
            let fixed = raw.map(|w| (w / total * f64::from(1u32 << PRECISION)).round() as i32);
            (first, fixed.collect())
        };
        Self((0..to).map(of).collect())
    }

    /// Resamples lines of `width` pixels.
    fn lines(&self, pixels: &[u8], width: usize) -> Vec<u8> {
        pixels.chunks_exact(width).flat_map(|line| self.apply(line)).collect()
    }

    /// Resamples the columns of lines of `width` pixels.
    fn columns(&self, pixels: &[u8], width: usize) -> Vec<u8> {
        let mut small = vec![0; self.0.len() * width];
        for x in 0..width {
            let column: Vec<u8> = pixels.iter().skip(x).step_by(width).copied().collect();
            self.apply(&column).zip(small.iter_mut().skip(x).step_by(width)).for_each(|(v, to)| *to = v);
        }
        small
    }

    fn apply(&self, line: &[u8]) -> impl Iterator<Item = u8> {
        self.0.iter().map(|(first, weights)| {
            // Weights sum to one and no part of them exceeds two: 255 of them stay below 2³¹.
            let sum = weights.iter().zip(&line[*first..]).map(|(w, v)| w * i32::from(*v)).sum::<i32>();
            ((sum + (1 << (PRECISION - 1))) >> PRECISION).clamp(0, 255) as u8
        })
    }
}

fn kernel(x: f64) -> f64 {
    let sinc = |x: f64| if x == 0.0 { 1.0 } else { (PI * x).sin() / (PI * x) };
    if (-SUPPORT..SUPPORT).contains(&x) { sinc(x) * sinc(x / SUPPORT) } else { 0.0 }
}
