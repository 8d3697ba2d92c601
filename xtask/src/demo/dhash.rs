//! The perceptual hash by which near duplicates are judged.

use image::RgbImage;
use image::imageops::{FilterType, grayscale, resize};

/// Difference hash of 64 bits: whether brightness falls from each cell to the next, on 9×8 gray cells.
pub fn dhash(picture: &RgbImage) -> u64 {
    steps(picture).fold(0, |hash, step| (hash << 1) | u64::from(step > 0))
}

/// Number of bits in which the hashes of two pictures differ.
pub fn distance(a: &RgbImage, b: &RgbImage) -> u32 {
    (dhash(a) ^ dhash(b)).count_ones()
}

/// Whether the hash outlives another JPEG quality: few of its cells are as bright as the next.
pub fn is_firm(picture: &RgbImage) -> bool {
    steps(picture).filter(|step| step.abs() <= 1).count() <= 5
}

/// By how much each cell is brighter than the next.
fn steps(picture: &RgbImage) -> impl Iterator<Item = i32> {
    let cells = resize(&grayscale(picture), 9, 8, FilterType::Triangle);
    let pairs = (0..8).flat_map(|row| (0..8).map(move |column| (column, row)));
    pairs.map(move |(x, y)| i32::from(cells.get_pixel(x, y)[0]) - i32::from(cells.get_pixel(x + 1, y)[0]))
}
