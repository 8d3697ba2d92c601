//! Noise, made of numbers that are hashes of a seed and a position: no order, no state, the same on vectors of any width.

use super::simd;
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

/// The sum of a word's four bytes is nearly normal; an odd polynomial fitted to the quantiles makes it so.
#[inline(always)]
fn normal(word: u32) -> f32 {
    let pairs = (word & 0x00ff_00ff) + ((word >> 8) & 0x00ff_00ff);
    let sum = ((pairs & 0xffff) + (pairs >> 16)) as i32 - 510;
    let x = sum as f32 * (1.0 / 147.800_54);
    let square = x * x;
    x * (0.958_565_2 + square * (0.017_116_018 + square * (-0.002_188_288_8 + square * 0.000_331_833_1)))
}

/// To the nearest whole number, for |x| < 2²².
#[inline(always)]
fn rounded(x: f32) -> i32 {
    // At this height floats are whole numbers, and their lowest bits count.
    const HIGH: f32 = 12_582_912.0;
    (x + HIGH).to_bits() as i32 - HIGH.to_bits() as i32
}

/// Adds normal noise of this standard deviation, to each value its own or, unless `per_channel`, to each pixel.
///
/// Deviations above 10,000 act as 10,000.
pub fn gaussian(image: &mut Image, deviation: f64, per_channel: bool, seed: u64) {
    let (words, deviation) = (Words::new(seed), deviation.clamp(0.0, 10_000.0) as f32);
    let group = if per_channel { 1 } else { image.channels() };
    let number = |i| rounded(words.normal(i) * deviation);
    changed(image, group, number, |v, noise: i32| (i32::from(v) + noise).clamp(0, 255) as u8);
}

/// Multiplies by factors uniform between `low` and `high`, a factor for each value or, unless `per_channel`, for each pixel;
/// truncated, as Albumentations does.
pub fn multiply(image: &mut Image, [low, high]: [f64; 2], per_channel: bool, seed: u64) {
    let (words, low, range) = (Words::new(seed), low as f32, (high - low) as f32);
    let group = if per_channel { 1 } else { image.channels() };
    let number = |i| low + range * words.uniform(i);
    changed(image, group, number, |v, factor: f32| (f32::from(v) * factor).clamp(0.0, 255.0) as i32 as u8);
}

/// Multiplies each channel by its own factor, 1 where there are too few factors; truncated.
pub fn multiply_channels(image: &mut Image, factors: &[f64]) {
    let factors = (0..image.channels()).map(|c| factors.get(c).map_or(1.0, |f| *f as f32));
    // Some pixels' factors in a row, so that channels need no counting.
    let row: Vec<f32> = factors.collect::<Vec<_>>().repeat(64);
    simd::wide(|| {
        for part in image.pixels_mut().chunks_mut(row.len()) {
            for (v, factor) in part.iter_mut().zip(&row) {
                *v = (f32::from(*v) * factor).clamp(0.0, 255.0) as i32 as u8;
            }
        }
    });
}

/// Hands a random `share` of the groups of `group` values to `write`, each with a word that is uniform up to `u32::MAX`.
pub fn scatter(image: &mut Image, group: usize, share: f64, seed: u64, mut write: impl FnMut(&mut [u8], u32)) {
    const BLOCK: usize = 32;
    let (words, others) = (Words::new(seed), Words::new(!seed));
    let below = (share.clamp(0.0, 1.0) * 4_294_967_296.0).round() as u64;
    let Some(last) = below.checked_sub(1) else { return };
    let (last, group) = (last as u32, group.max(1));
    let write = &mut write;
    simd::wide(|| {
        for (i, block) in image.pixels_mut().chunks_mut(BLOCK * group).enumerate() {
            let first = (i * BLOCK) as u32;
            let mut hits = 0u32;
            for j in 0..BLOCK as u32 {
                hits |= u32::from(words.at(first.wrapping_add(j)) <= last) << j;
            }
            while hits > 0 {
                let j = hits.trailing_zeros();
                hits &= hits - 1;
                // The last block may be short.
                if let Some(values) = block.get_mut(j as usize * group..(j as usize + 1) * group) {
                    write(values, others.at(first.wrapping_add(j)));
                }
            }
        }
    });
}

/// The noise of a sensor at a high sensitivity, on colors of hue, lightness and saturation; other pictures stay.
///
/// The hue turns by normal noise with a deviation of `color_shift · intensity` turns; the lightness l becomes
/// `l + n / 255 · (1 − l)` with n from the Poisson distribution whose mean is 255 · `intensity` · the deviation of l.
pub fn iso(image: &mut Image, color_shift: f64, intensity: f64, seed: u64) {
    if image.channels() != 3 {
        return;
    }
    let mean = (255.0 * intensity * deviation_of_lightness(image)).clamp(0.0, 1e6) as f32;
    let (root, turn) = (mean.sqrt(), (color_shift * intensity * 6.0) as f32);
    let (hues, lights) = (Words::new(seed), Words::new(!seed));
    in_hls(image, |i| {
        let z = lights.normal(i);
        // The Poisson distribution's first three moments. Below a mean of 1 it is no longer one, and no longer visible.
        let light = (mean + root * z + (z * z - 1.0) * (1.0 / 6.0)).max(0.0).min(mean * 255.0);
        [hues.normal(i) * turn, (light * (1.0 / 255.0)).min(1.0)]
    });
}

/// Turns the hue by `turns` and moves the lightness l to `l + light · (1 − l)`, the saturation (HLS) stays; a picture of other
/// than three channels stays.
pub fn shift_hls(image: &mut Image, turns: f64, light: f64) {
    if image.channels() == 3 {
        let shift = [(turns.rem_euclid(1.0) * 6.0) as f32, light.clamp(0.0, 1.0) as f32];
        in_hls(image, |_| shift);
    }
}

/// Of the lightness of all pixels, half the sum of their highest and lowest values, 0..=1.
fn deviation_of_lightness(image: &Image) -> f64 {
    let pixels = image.pixels().as_chunks::<3>().0;
    let (mut sum, mut squares) = (0u64, 0u64);
    simd::wide(|| {
        // Short enough for 32 bits.
        for block in pixels.chunks(4096) {
            let (mut part, mut part_squares) = (0u32, 0u32);
            for [r, g, b] in block {
                let twice = u32::from((*r).max(*g).max(*b)) + u32::from((*r).min(*g).min(*b));
                part += twice;
                part_squares += twice * twice;
            }
            sum += u64::from(part);
            squares += u64::from(part_squares);
        }
    });
    let count = pixels.len() as f64;
    let mean = sum as f64 / count;
    (squares as f64 / count - mean * mean).max(0.0).sqrt() / 510.0
}

/// Changes each pixel by what `shift` gives for its number: sixths of a turn, and the share of the way to white.
#[inline(always)]
fn in_hls(image: &mut Image, shift: impl Fn(u32) -> [f32; 2]) {
    // Blocks of separate channels without a branch become vector instructions.
    const BLOCK: usize = 64;
    simd::wide(|| {
        for (n, block) in image.pixels_mut().as_chunks_mut::<3>().0.chunks_mut(BLOCK).enumerate() {
            let mut channels = [[0f32; BLOCK]; 3];
            for (i, pixel) in block.iter().enumerate() {
                for (channel, value) in channels.iter_mut().zip(pixel) {
                    channel[i] = f32::from(*value);
                }
            }
            let first = (n * BLOCK) as u32;
            let mut bytes = [[0u8; BLOCK]; 3];
            for i in 0..BLOCK {
                let color = [channels[0][i], channels[1][i], channels[2][i]];
                let seen = shifted(color, shift(first.wrapping_add(i as u32)));
                for (channel, value) in bytes.iter_mut().zip(seen) {
                    channel[i] = rounded(value).clamp(0, 255) as u8;
                }
            }
            for (i, pixel) in block.iter_mut().enumerate() {
                *pixel = [bytes[0][i], bytes[1][i], bytes[2][i]];
            }
        }
    });
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
    simd::wide(|| {
        for (i, v) in values.iter_mut().enumerate() {
            *v = rounded(mean + deviation * words.normal(first.wrapping_add(i as u32))).clamp(0, 255) as u8;
        }
    });
}

/// Overwrites values by uniform ones; `first` is the number of the first four.
pub fn uniform_bytes(values: &mut [u8], words: Words, first: u32) {
    simd::wide(|| {
        let (fours, rest) = values.as_chunks_mut::<4>();
        let number = first.wrapping_add(fours.len() as u32);
        for (i, four) in fours.iter_mut().enumerate() {
            *four = words.at(first.wrapping_add(i as u32)).to_le_bytes();
        }
        rest.iter_mut().zip(words.at(number).to_le_bytes()).for_each(|(v, byte)| *v = byte);
    });
}

/// Changes groups of `group` values by the number of each group.
fn changed<N: Copy + Default>(
    image: &mut Image,
    group: usize,
    number: impl Fn(u32) -> N,
    change: impl Fn(u8, N) -> u8 + Copy,
) {
    simd::wide(|| {
        if group == 1 {
            for (i, v) in image.pixels_mut().iter_mut().enumerate() {
                *v = change(*v, number(i as u32));
            }
        } else {
            unrolled!(changed_in_groups(group, image.pixels_mut(), number, change));
        }
    });
}

#[inline(always)]
fn changed_in_groups<N: Copy + Default>(
    group: usize,
    values: &mut [u8],
    number: impl Fn(u32) -> N,
    change: impl Fn(u8, N) -> u8,
) {
    const BLOCK: usize = 64;
    let mut spread = vec![N::default(); BLOCK * group];
    for (i, block) in values.chunks_mut(BLOCK * group).enumerate() {
        let first = (i * BLOCK) as u32;
        let mut numbers = [N::default(); BLOCK];
        for (j, n) in numbers.iter_mut().enumerate() {
            *n = number(first.wrapping_add(j as u32));
        }
        for (same, n) in spread.chunks_exact_mut(group).zip(numbers) {
            same.fill(n);
        }
        for (v, n) in block.iter_mut().zip(&spread) {
            *v = change(*v, *n);
        }
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
