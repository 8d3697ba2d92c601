//! Changes that spread the values of a picture, in place. The slices of a volume count as one picture.

use super::simd;
use super::tone::{Table, look_up_channels};
use data::Image;

/// Each channel's values spread so that all become equally frequent (`ImageOps.equalize`, `torchvision`).
pub fn equalize(image: &mut Image) {
    let tables: Vec<_> = histograms(image).iter().map(equalizing).collect();
    look_up_channels(image, &tables);
}

fn equalizing(counts: &[u32; 256]) -> Table {
    let last = counts.iter().rev().find(|count| **count > 0).map_or(0, |count| *count);
    let step = (counts.iter().map(|count| u64::from(*count)).sum::<u64>() - u64::from(last)) / 255;
    let mut sum = step / 2;
    let mut table = [0; 256];
    for (i, (entry, count)) in table.iter_mut().zip(counts).enumerate() {
        *entry = sum.checked_div(step).map_or(i as u8, |rank| rank.min(255) as u8);
        sum += u64::from(*count);
    }
    table
}

/// Each channel's values stretched from 0 to 255 (`torchvision`).
pub fn autocontrast(image: &mut Image) {
    let stretching = |[low, high]: [u8; 2]| -> Table {
        if low >= high {
            return std::array::from_fn(|v| v as u8);
        }
        let (low, scale) = (f32::from(low), f32::from(high - low) * (1.0 / 255.0));
        super::tone::table(|v| (v - low) / scale)
    };
    let tables: Vec<_> = ranges(image.pixels(), image.channels()).into_iter().map(stretching).collect();
    look_up_channels(image, &tables);
}

/// The lowest and the highest value of each channel.
fn ranges(values: &[u8], channels: usize) -> Vec<[u8; 2]> {
    // Over many pixels at once, so that channels need not be told apart.
    let mut lowest = vec![255u8; 64 * channels];
    let mut highest = vec![0u8; 64 * channels];
    simd::widest!(run(|| {
        for block in values.chunks(64 * channels) {
            for ((v, low), high) in block.iter().zip(&mut lowest).zip(&mut highest) {
                *low = (*low).min(*v);
                *high = (*high).max(*v);
            }
        }
    }));
    let of = |all: &[u8], c, choose: fn(u8, u8) -> u8| all.iter().skip(c).step_by(channels).copied().reduce(choose);
    (0..channels).map(|c| [of(&lowest, c, u8::min).unwrap_or(0), of(&highest, c, u8::max).unwrap_or(255)]).collect()
}

/// How often each value occurs in each channel.
pub fn histograms(image: &Image) -> Vec<[u32; 256]> {
    let (values, channels) = (image.pixels(), image.channels());
    match channels {
        1 => counted::<4>(values, 1),
        3 => counted::<6>(values, 3),
        _ => {
            let mut counts = vec![[0; 256]; channels];
            for pixel in values.chunks_exact(channels) {
                counts.iter_mut().zip(pixel).for_each(|(counts, v)| counts[usize::from(*v)] += 1);
            }
            counts
        }
    }
}

/// With `N` counters, a multiple of the channels: a value that repeats need not wait for its last count.
fn counted<const N: usize>(values: &[u8], channels: usize) -> Vec<[u32; 256]> {
    let mut counters = [[0u32; 256]; N];
    let (chunks, rest) = values.as_chunks::<N>();
    for chunk in chunks {
        for (counts, v) in counters.iter_mut().zip(chunk) {
            counts[usize::from(*v)] += 1;
        }
    }
    for (counts, v) in counters.iter_mut().zip(rest) {
        counts[usize::from(*v)] += 1;
    }
    let mut counts = vec![[0; 256]; channels];
    for (i, counter) in counters.iter().enumerate() {
        counts[i % channels].iter_mut().zip(counter).for_each(|(count, more)| *count += more);
    }
    counts
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_value_is_counted() {
        for channels in [1, 2, 3, 4] {
            let values: Vec<u8> = (0..channels * 1001).map(|i| (i * i / 7) as u8).collect();
            let picture = Image::new(1001, 1, channels, values.clone()).unwrap();
            for (c, counts) in histograms(&picture).iter().enumerate() {
                for v in 0..=255u8 {
                    let count = values.iter().skip(c).step_by(channels).filter(|value| **value == v).count();
                    assert_eq!(counts[usize::from(v)] as usize, count);
                }
            }
            for (c, [low, high]) in ranges(&values, channels).into_iter().enumerate() {
                let channel = || values.iter().skip(c).step_by(channels);
                assert_eq!((Some(&low), Some(&high)), (channel().min(), channel().max()));
            }
        }
    }
}
