//! Noise, made of numbers that are hashes of a seed and a position: no order, no state, the same on vectors of any width.

use super::simd::{self, Kernel};
use data::Image;

/// Uniform words of 32 bits by their number.
#[derive(Clone, Copy, Debug)]
pub struct Words {
    keys: [u32; 2],
}

impl Words {
    /// Those of a seed.
    pub fn new(seed: u64) -> Self {
        Self { keys: [seed as u32, (seed >> 32) as u32] }
    }

    /// The word of this number: a counter through three rounds of multiplying and folding (Wellons' `triple32`).
    #[inline(always)]
    pub fn at(self, number: u32) -> u32 {
        let word = number.wrapping_add(self.keys[0]);
        let word = (word ^ (word >> 17)).wrapping_mul(0xed5a_d4bb);
        // The other half of the seed comes in here, lest two seeds give the same sequence, only shifted.
        let word = (word ^ (word >> 11) ^ self.keys[1]).wrapping_mul(0xac4c_1b51);
        let word = (word ^ (word >> 15)).wrapping_mul(0x3184_8bab);
        word ^ (word >> 14)
    }

    /// The number in 0..1 of this number.
    #[inline(always)]
    pub fn uniform(self, number: u32) -> f32 {
        (self.at(number) >> 8) as f32 * (1.0 / 16_777_216.0)
    }

    /// The number of this number from the normal distribution with mean 0 and deviation 1, up to ±4.87.
    #[inline(always)]
    pub fn normal(self, number: u32) -> f32 {
        normal(self.at(number))
    }

    /// Whole numbers below `n`, a fair one for each number.
    pub fn below(self, number: u32, n: usize) -> usize {
        ((u64::from(self.at(number)) * n as u64) >> 32) as usize
    }
}

/// Spreads the bits of a seed over the whole word: the finalizer of SplitMix64.
#[inline(always)]
pub(crate) fn mixed(seed: u64) -> u64 {
    let v = (seed ^ (seed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    let v = (v ^ (v >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    v ^ (v >> 31)
}

/// The sum of a word's four bytes is nearly normal; an odd polynomial fitted to the quantiles makes it so.
#[inline(always)]
fn normal(word: u32) -> f32 {
    let pairs = (word & 0x00ff_00ff) + ((word >> 8) & 0x00ff_00ff);
    let sum = ((pairs & 0xffff) + (pairs >> 16)) as i32 - 510;
    let x = sum as f32 * (1.0 / 147.800_54);
    let square = x * x;
    x * (0.958_565_2 + square * (0.017_116_018 + square * (-0.002_188_288_8 + square * 0.000_331_833_1)))
}

/// To the nearest whole number, for |x| < 2²²; unlike a conversion, in vectors too.
#[inline(always)]
pub(super) fn rounded(x: f32) -> i32 {
    // At this height floats are whole numbers, and their lowest bits count.
    const HIGH: f32 = 12_582_912.0;
    (x + HIGH).to_bits() as i32 - HIGH.to_bits() as i32
}

/// Noise that changes each group of values by a number of its own. Not closures, which cannot be forced to be inlined.
trait Noise: Copy {
    type Number: Copy + Default;
    /// The number of a group.
    fn number(self, group: u32) -> Self::Number;
    /// What it makes of a value.
    fn change(self, value: u8, number: Self::Number) -> u8;
}

#[derive(Clone, Copy)]
struct Added {
    words: Words,
    deviation: f32,
}

impl Noise for Added {
    type Number = i16;
    #[inline(always)]
    fn number(self, group: u32) -> i16 {
        rounded(self.words.normal(group) * self.deviation) as i16
    }
    #[inline(always)]
    fn change(self, value: u8, number: i16) -> u8 {
        (i16::from(value) + number).clamp(0, 255) as u8
    }
}

#[derive(Clone, Copy)]
struct Multiplied {
    words: Words,
    low: f32,
    range: f32,
}

impl Noise for Multiplied {
    type Number = f32;
    #[inline(always)]
    fn number(self, group: u32) -> f32 {
        self.low + self.range * self.words.uniform(group)
    }
    #[inline(always)]
    fn change(self, value: u8, number: f32) -> u8 {
        truncated(f32::from(value) * number)
    }
}

/// To a byte, toward 0.
#[inline(always)]
fn truncated(x: f32) -> u8 {
    rounded(x.clamp(0.0, 255.0).floor()) as u8
}

/// Adds normal noise of this standard deviation, to each value its own or, unless `per_channel`, to each pixel.
///
/// Deviations above 1,000 act as 1,000.
pub fn gaussian(image: &mut Image, deviation: f64, per_channel: bool, seed: u64) {
    let deviation = deviation.clamp(0.0, 1000.0) as f32;
    changed(image, per_channel, Added { words: Words::new(seed), deviation });
}

/// Multiplies by factors uniform between `low` and `high`, a factor for each value or, unless `per_channel`, for each pixel;
/// truncated, as Albumentations does.
pub fn multiply(image: &mut Image, [low, high]: [f64; 2], per_channel: bool, seed: u64) {
    changed(image, per_channel, Multiplied { words: Words::new(seed), low: low as f32, range: (high - low) as f32 });
}

fn changed(image: &mut Image, per_channel: bool, noise: impl Noise) {
    let group = if per_channel { 1 } else { image.channels() };
    simd::run(Changed { values: image.pixels_mut(), group, noise });
}

struct Changed<'a, N> {
    values: &'a mut [u8],
    group: usize,
    noise: N,
}

impl<N: Noise> Kernel for Changed<'_, N> {
    type Out = ();
    #[inline(always)]
    fn run(self) {
        if self.group == 1 {
            changed_each(self.values, self.noise);
        } else {
            changed_groups(self.values, self.group, self.noise);
        }
    }
}

/// Groups whose numbers are made at once.
const BLOCK: usize = 64;

#[inline(always)]
fn numbers<N: Noise>(noise: N, block: usize) -> [N::Number; BLOCK] {
    let mut numbers = [N::Number::default(); BLOCK];
    let first = (block * BLOCK) as u32;
    for (j, number) in (0..BLOCK as u32).zip(&mut numbers) {
        *number = noise.number(first.wrapping_add(j));
    }
    numbers
}

#[inline(always)]
fn changed_each<N: Noise>(values: &mut [u8], noise: N) {
    let (blocks, rest) = values.as_chunks_mut::<BLOCK>();
    let last = blocks.len();
    for (i, block) in blocks.iter_mut().enumerate() {
        for (v, number) in block.iter_mut().zip(numbers(noise, i)) {
            *v = noise.change(*v, number);
        }
    }
    for (v, number) in rest.iter_mut().zip(numbers(noise, last)) {
        *v = noise.change(*v, number);
    }
}

#[inline(always)]
fn changed_groups<N: Noise>(values: &mut [u8], group: usize, noise: N) {
    let mut spread = vec![N::Number::default(); BLOCK * group];
    for (i, block) in values.chunks_mut(BLOCK * group).enumerate() {
        let numbers = numbers(noise, i);
        unrolled!(spread_out(group, &mut spread, &numbers));
        for (v, number) in block.iter_mut().zip(&spread) {
            *v = noise.change(*v, *number);
        }
    }
}

/// Repeats each number.
#[inline(always)]
fn spread_out<N: Copy>(group: usize, spread: &mut [N], numbers: &[N]) {
    for (same, number) in spread.chunks_exact_mut(group).zip(numbers) {
        same.fill(*number);
    }
}

/// Multiplies each channel by its own factor, 1 where there are too few factors; truncated.
pub fn multiply_channels(image: &mut Image, factors: &[f64]) {
    let factors = (0..image.channels()).map(|c| factors.get(c).map_or(1.0, |f| *f as f32));
    // Some pixels' factors in a row, so that channels need no counting.
    let row: Vec<f32> = factors.collect::<Vec<_>>().repeat(64);
    simd::wide(|| multiplied(image.pixels_mut(), &row));
}

#[inline(always)]
fn multiplied(values: &mut [u8], row: &[f32]) {
    for part in values.chunks_mut(row.len()) {
        for (v, factor) in part.iter_mut().zip(row) {
            *v = truncated(f32::from(*v) * factor);
        }
    }
}

/// Hands a random `share` of the groups of `group` values to `write`, each with a word that is uniform up to `u32::MAX`.
pub fn scatter(image: &mut Image, group: usize, share: f64, seed: u64, mut write: impl FnMut(&mut [u8], u32)) {
    let (words, others) = (Words::new(seed), Words::new(!seed));
    let below = (share.clamp(0.0, 1.0) * 4_294_967_296.0).round() as u64;
    let Some(last) = below.checked_sub(1) else { return };
    let group = group.max(1);
    for (i, block) in image.pixels_mut().chunks_mut(BLOCK * group).enumerate() {
        let first = (i * BLOCK) as u32;
        let mut hits = simd::wide(|| hits(words, first, last as u32));
        while hits > 0 {
            let j = hits.trailing_zeros();
            hits &= hits - 1;
            // The last block may be short.
            if let Some(values) = block.get_mut(j as usize * group..(j as usize + 1) * group) {
                write(values, others.at(first.wrapping_add(j)));
            }
        }
    }
}

/// A bit for each word of a block: whether it is at most `last`.
#[inline(always)]
fn hits(words: Words, first: u32, last: u32) -> u64 {
    let mut halves = [0u32; 2];
    for (half, bits) in (0..).zip(&mut halves) {
        for j in 0..32 {
            *bits |= u32::from(words.at(first.wrapping_add(half * 32 + j)) <= last) << j;
        }
    }
    u64::from(halves[0]) | u64::from(halves[1]) << 32
}

/// How each pixel's hue and lightness change.
trait Shift: Copy {
    /// Sixths of a turn, and the share of the way to white.
    fn of(self, pixel: u32) -> [f32; 2];
}

#[derive(Clone, Copy)]
struct Sensor {
    hues: Words,
    lights: Words,
    turn: f32,
    mean: f32,
    root: f32,
}

impl Shift for Sensor {
    #[inline(always)]
    fn of(self, pixel: u32) -> [f32; 2] {
        let z = self.lights.normal(pixel);
        // The Poisson distribution's first three moments. Below a mean of 1 it is no longer one, and no longer visible.
        let light = (self.mean + self.root * z + (z * z - 1.0) * (1.0 / 6.0)).clamp(0.0, 255.0);
        [self.hues.normal(pixel) * self.turn, light.min(self.mean * 255.0) * (1.0 / 255.0)]
    }
}

#[derive(Clone, Copy)]
struct Everywhere([f32; 2]);

impl Shift for Everywhere {
    #[inline(always)]
    fn of(self, _: u32) -> [f32; 2] {
        self.0
    }
}

/// The noise of a sensor at a high sensitivity, on colors of hue, lightness and saturation; a picture of other than three
/// channels stays.
///
/// The hue turns by normal noise with a deviation of `color_shift · intensity` turns; the lightness l becomes
/// `l + n / 255 · (1 − l)` with n from the Poisson distribution whose mean is 255 · `intensity` · the deviation of l.
pub fn iso(image: &mut Image, color_shift: f64, intensity: f64, seed: u64) {
    if image.channels() != 3 {
        return;
    }
    let mean = (255.0 * intensity * deviation_of_lightness(image)).clamp(0.0, 1e6) as f32;
    let turn = (color_shift * intensity * 6.0) as f32;
    let sensor = Sensor { hues: Words::new(seed), lights: Words::new(!seed), turn, mean, root: mean.sqrt() };
    simd::run(InHls { values: image.pixels_mut(), shift: sensor });
}

/// Turns the hue by `turns` and moves the lightness l to `l + light · (1 − l)`, the saturation (HLS) stays; a picture of other
/// than three channels stays.
pub fn shift_hls(image: &mut Image, turns: f64, light: f64) {
    if image.channels() == 3 {
        let shift = Everywhere([(turns.rem_euclid(1.0) * 6.0) as f32, light.clamp(0.0, 1.0) as f32]);
        simd::run(InHls { values: image.pixels_mut(), shift });
    }
}

/// Of the lightness of all pixels, half the sum of their highest and lowest values, 0..=1.
fn deviation_of_lightness(image: &Image) -> f64 {
    let pixels = image.pixels().as_chunks::<3>().0;
    // Parts short enough for 32 bits.
    let parts = pixels.chunks(4096).map(|part| simd::wide(|| sums(part)));
    let [sum, squares] = parts.fold([0u64; 2], |[a, b], [c, d]| [a + u64::from(c), b + u64::from(d)]);
    let count = pixels.len() as f64;
    let mean = sum as f64 / count;
    (squares as f64 / count - mean * mean).max(0.0).sqrt() / 510.0
}

/// Of twice the lightness and of its square.
#[inline(always)]
fn sums(pixels: &[[u8; 3]]) -> [u32; 2] {
    let (mut sum, mut squares) = (0, 0);
    for [r, g, b] in pixels {
        let twice = u32::from((*r).max(*g).max(*b)) + u32::from((*r).min(*g).min(*b));
        sum += twice;
        squares += twice * twice;
    }
    [sum, squares]
}

struct InHls<'a, S> {
    values: &'a mut [u8],
    shift: S,
}

impl<S: Shift> Kernel for InHls<'_, S> {
    type Out = ();
    #[inline(always)]
    fn run(self) {
        // Blocks of separate channels without a branch become vector instructions.
        for (n, block) in self.values.as_chunks_mut::<3>().0.chunks_mut(BLOCK).enumerate() {
            let mut channels = [[0u8; BLOCK]; 3];
            for (i, pixel) in block.iter().enumerate() {
                for (channel, value) in channels.iter_mut().zip(pixel) {
                    channel[i] = *value;
                }
            }
            let first = (n * BLOCK) as u32;
            let [r, g, b] = &mut channels;
            for (i, ((r, g), b)) in (0..BLOCK as u32).zip(r.iter_mut().zip(g).zip(b)) {
                let color = [f32::from(*r), f32::from(*g), f32::from(*b)];
                let seen = shifted(color, self.shift.of(first.wrapping_add(i)));
                [*r, *g, *b] = seen.map(|v| rounded(v).clamp(0, 255) as u8);
            }
            for (i, pixel) in block.iter_mut().enumerate() {
                *pixel = [channels[0][i], channels[1][i], channels[2][i]];
            }
        }
    }
}

#[inline(always)]
fn shifted([r, g, b]: [f32; 3], [turn, light]: [f32; 2]) -> [f32; 3] {
    let (highest, lowest) = (r.max(g).max(b), r.min(g).min(b));
    let (range, sum) = (highest - lowest, highest + lowest);
    let from_green = if highest == g { [b - r, 2.0] } else { [r - g, 4.0] };
    let [difference, sector] = if highest == r { [g - b, 0.0] } else { from_green };
    let wrapped = |hue: f32| if hue >= 6.0 { hue - 6.0 } else { hue };
    // Gray has no hue, and its range of 0 hides the one that it gets here. The lowest hue is −1.
    let turn = turn - (turn * (1.0 / 6.0)).floor() * 6.0;
    let hue = wrapped(wrapped(difference / range.max(1.0) + sector + 6.0) + turn);
    // The range of values that a lightness leaves room for; the saturation is the share of it that is used.
    let room = |sum: f32| 255.0 - (sum - 255.0).abs();
    let lighter = sum + light * (510.0 - sum);
    let new_range = range * (room(lighter) / room(sum).max(1.0));
    let top = (lighter + new_range) * 0.5;
    [5.0, 3.0, 1.0].map(|offset| {
        let k = wrapped(hue + offset);
        top - new_range * k.min(4.0 - k).clamp(0.0, 1.0)
    })
}

/// Overwrites values by normal ones with this mean and deviation; `first` is the number of the first.
pub fn normal_bytes(values: &mut [u8], [mean, deviation]: [f32; 2], words: Words, first: u32) {
    simd::run(Normal { values, mean, deviation, words, first });
}

struct Normal<'a> {
    values: &'a mut [u8],
    mean: f32,
    deviation: f32,
    words: Words,
    first: u32,
}

impl Kernel for Normal<'_> {
    type Out = ();
    #[inline(always)]
    fn run(self) {
        for (i, v) in (0u32..).zip(self.values) {
            let normal = self.words.normal(self.first.wrapping_add(i));
            *v = rounded(self.mean + self.deviation * normal).clamp(0, 255) as u8;
        }
    }
}

/// Overwrites values by uniform ones; `first` is the number of the first four.
pub fn uniform_bytes(values: &mut [u8], words: Words, first: u32) {
    simd::run(Uniform { values, words, first });
}

struct Uniform<'a> {
    values: &'a mut [u8],
    words: Words,
    first: u32,
}

impl Kernel for Uniform<'_> {
    type Out = ();
    #[inline(always)]
    fn run(self) {
        let (fours, rest) = self.values.as_chunks_mut::<4>();
        let last = self.first.wrapping_add(fours.len() as u32);
        for (i, four) in (0u32..).zip(fours) {
            *four = self.words.at(self.first.wrapping_add(i)).to_le_bytes();
        }
        rest.iter_mut().zip(self.words.at(last).to_le_bytes()).for_each(|(v, byte)| *v = byte);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn mean(values: impl Iterator<Item = f64> + Clone) -> f64 {
        values.clone().sum::<f64>() / values.count() as f64
    }

    #[test]
    fn words_are_uniform_and_do_not_know_each_other() {
        const N: u32 = 1 << 18;
        for seed in [0, 1, u64::MAX, 0x1234_5678_9abc_def0, 1 << 32] {
            let words = Words::new(seed);
            let values: Vec<f64> = (0..N).map(|i| f64::from(words.uniform(i)) - 0.5).collect();
            let variance = mean(values.iter().map(|v| v * v));
            assert!(mean(values.iter().copied()).abs() < 0.003 && (variance * 12.0 - 1.0).abs() < 0.01, "{seed}");
            // Neighbours, neighbours of the same channel, rows, and the same place under another seed.
            let other: Vec<f64> = (0..N).map(|i| f64::from(Words::new(seed ^ 1).uniform(i)) - 0.5).collect();
            for lag in [1, 2, 3, 64, 224, 672] {
                let product = mean(values.iter().zip(&values[lag..]).map(|(a, b)| a * b)) * 12.0;
                assert!(product.abs() < 0.01, "{seed} {lag}: {product}");
            }
            // The neighbouring seed's sequence is this one shifted by at most one.
            let product = mean(values.iter().zip(&other[7..]).map(|(a, b)| a * b)) * 12.0;
            assert!(product.abs() < 0.01, "{seed}: {product}");
            for bit in 0..32 {
                let ones = (0..N).filter(|i| words.at(*i) >> bit & 1 == 1).count() as f64 / f64::from(N);
                assert!((ones - 0.5).abs() < 0.005, "{seed} bit {bit}: {ones}");
            }
        }
        let high = |seed: u64| Words::new(seed << 32);
        let product = mean((0..N).map(|i| f64::from((high(5).uniform(i) - 0.5) * (high(6).uniform(i) - 0.5)))) * 12.0;
        assert!(product.abs() < 0.01, "{product}");
    }

    #[test]
    fn normal_numbers_have_the_moments_and_tails_of_theirs() {
        const N: u32 = 1 << 20;
        let words = Words::new(7);
        let values: Vec<f64> = (0..N).map(|i| f64::from(words.normal(i))).collect();
        let moment = |k| mean(values.iter().map(|v| v.powi(k)));
        assert!(moment(1).abs() < 0.004 && (moment(2) - 1.0).abs() < 0.005, "{} {}", moment(1), moment(2));
        assert!(moment(3).abs() < 0.01 && (moment(4) - 3.0).abs() < 0.03, "{} {}", moment(3), moment(4));
        for (bound, share, most) in
            [(1.0, 0.3173, 0.01), (2.0, 0.0455, 0.03), (3.0, 0.0027, 0.08), (4.0, 0.000_063, 0.4)]
        {
            let seen = values.iter().filter(|v| v.abs() > bound).count() as f64 / f64::from(N);
            assert!((seen / share - 1.0).abs() < most, "{bound}: {seen}");
        }
    }

    #[test]
    fn gaussian_noise_has_its_deviation() {
        for (deviation, per_channel) in [(5.0, true), (12.5, false)] {
            let mut image = Image::filled(300, 200, &[128; 3]);
            gaussian(&mut image, deviation, per_channel, 3);
            let values = image.pixels().iter().map(|v| f64::from(*v) - 128.0);
            let variance = mean(values.clone().map(|v| v * v));
            // Rounding adds a twelfth.
            let exact = deviation * deviation + 1.0 / 12.0;
            assert!(mean(values).abs() < 0.1 && (variance / exact - 1.0).abs() < 0.02, "{variance} {exact}");
            let same = image.pixels().as_chunks::<3>().0.iter().filter(|[r, g, b]| r == g && g == b).count();
            assert_eq!(same == 300 * 200, !per_channel);
        }
    }

    #[test]
    fn factors_are_uniform_between_their_bounds() {
        for per_channel in [true, false] {
            let mut image = Image::filled(300, 200, &[200; 3]);
            multiply(&mut image, [0.5, 1.0], per_channel, 3);
            let values = image.pixels().iter().map(|v| f64::from(*v));
            assert!(image.pixels().iter().all(|v| (100..200).contains(v)));
            let center = mean(values.clone());
            assert!((center - 149.5).abs() < 0.4, "{center}");
            let variance = mean(values.map(|v| (v - center).powi(2)));
            assert!((variance / (10_000.0 / 12.0) - 1.0).abs() < 0.03, "{variance}");
        }
        let mut image = Image::filled(70, 3, &[100, 100, 200, 9]);
        multiply_channels(&mut image, &[0.5, 1.2, 3.0]);
        assert_eq!(image, Image::filled(70, 3, &[50, 120, 255, 9]));
    }

    #[test]
    fn the_share_is_hit_and_the_rest_is_not() {
        for group in [1, 3] {
            for share in [0.0, 0.01, 0.5, 1.0] {
                let mut image = Image::filled(301, 201, &[7; 3]);
                scatter(&mut image, group, share, 3, |values, word| values.fill((word >> 31) as u8));
                let changed = image.pixels().iter().filter(|v| **v != 7).count() as f64 / (301.0 * 201.0 * 3.0);
                assert!((changed - share).abs() <= 0.02 * share.min(1.0 - share).sqrt(), "{group} {share}: {changed}");
                let ones = image.pixels().iter().filter(|v| **v == 1).count() as f64 / (301.0 * 201.0 * 3.0);
                assert!((ones - changed / 2.0).abs() <= 0.1 * changed, "{ones} {changed}");
            }
        }
    }

    #[test]
    fn sensor_noise_is_light_and_turns_hues_either_way() {
        let pixels: Vec<u8> = (0..120 * 100).flat_map(|i| [40 + (i % 120) as u8, 90, 60]).collect();
        let picture = Image::new(120, 100, 3, pixels).unwrap();
        let deviation = deviation_of_lightness(&picture);
        let twice: Vec<f64> = (0..120).map(|i| f64::from(40 + i).max(90.0) + f64::from(40 + i).min(60.0)).collect();
        let center = mean(twice.iter().copied());
        let exact = mean(twice.iter().map(|v| (v - center).powi(2))).sqrt() / 510.0;
        assert!((deviation - exact).abs() < 1e-9, "{deviation} {exact}");
        let mut image = picture.clone();
        iso(&mut image, 0.05, 0.5, 1);
        let lightness =
            |image: &Image| {
                mean(
                    image.pixels().as_chunks::<3>().0.iter().map(|p| {
                        f64::from(*p.iter().max().unwrap()) / 510.0 + f64::from(*p.iter().min().unwrap()) / 510.0
                    }),
                )
            };
        let (before, after) = (lightness(&picture), lightness(&image));
        let exact = before + 0.5 * deviation * (1.0 - before);
        assert!((after - exact).abs() < 0.001, "{before} → {after}, not {exact}");
        let mut still = picture.clone();
        iso(&mut still, 0.0, 0.0, 1);
        assert_eq!(still, picture);
    }

    #[test]
    fn bytes_have_their_distributions() {
        let mut values = vec![0; 100_003];
        uniform_bytes(&mut values, Words::new(1), 0);
        let center = mean(values.iter().map(|v| f64::from(*v)));
        assert!((center - 127.5).abs() < 1.0 && values[100_000..] != [0; 3], "{center}");
        normal_bytes(&mut values, [115.0, 40.0], Words::new(1), 0);
        let center = mean(values.iter().map(|v| f64::from(*v)));
        let deviation = mean(values.iter().map(|v| (f64::from(*v) - center).powi(2))).sqrt();
        assert!((center - 115.0).abs() < 0.5 && (deviation - 40.0).abs() < 0.5, "{center} {deviation}");
    }
}
