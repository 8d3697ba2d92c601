//! Functions of single values, in place: each is a table of 256 bytes.

use super::simd;
use data::Image;

/// What becomes of each byte.
pub type Table = [u8; 256];

/// A truncated function of bytes, cut off to them.
pub fn table(f: impl Fn(f32) -> f32) -> Table {
    std::array::from_fn(|v| f(v as f32) as u8)
}

/// A function of bytes, rounded to the nearest and cut off to them; halves to even.
pub fn rounded(f: impl Fn(f64) -> f64) -> Table {
    std::array::from_fn(|v| f(v as f64).round_ties_even() as u8)
}

/// Replaces every byte by its entry.
pub fn look_up(image: &mut Image, table: &Table) {
    simd::look_up(image.pixels_mut(), table);
}

/// Replaces every byte by its entry in the table of its channel; nothing changes unless there is one for each.
pub fn look_up_channels(image: &mut Image, tables: &[Table]) {
    match tables {
        [table] if image.channels() == 1 => look_up(image, table),
        _ if tables.len() == image.channels() => simd::look_up_channels(image.pixels_mut(), tables),
        _ => {}
    }
}

/// `255 · (v/255)^gamma`, stretched a little before it is truncated, as `torchvision` does.
pub fn gamma(gamma: f64) -> Table {
    table(|v| (v / 255.0).powf(gamma as f32) * 255.999)
}

/// The negative.
pub fn invert() -> Table {
    std::array::from_fn(|v| 255 - v as u8)
}

/// The negative of values of at least `threshold`.
pub fn solarize(threshold: f64) -> Table {
    std::array::from_fn(|v| if v as f64 >= threshold { 255 - v as u8 } else { v as u8 })
}

/// Adds to values below 128.
pub fn solarize_add(add: u8) -> Table {
    std::array::from_fn(|v| if v < 128 { (v as u8).saturating_add(add) } else { v as u8 })
}

/// The upper bits; all of them from 8 on.
pub fn posterize(bits: u32) -> Table {
    let lower = 255u8.checked_shr(bits).unwrap_or(0);
    std::array::from_fn(|v| v as u8 & !lower)
}

/// `scale · v + shift`, rounded.
pub fn affine(scale: f64, shift: f64) -> Table {
    rounded(|v| scale * v + shift)
}

/// A Bézier curve from 0 to 255 with these heights, of 0..=1, at a third and at two thirds of its parameter.
pub fn curve(low: f64, high: f64) -> Table {
    rounded(|v| {
        let (t, rest) = (v / 255.0, 1.0 - v / 255.0);
        (3.0 * rest.powi(2) * t * low + 3.0 * rest * t.powi(2) * high + t.powi(3)) * 255.0
    })
}

/// One after the other.
pub(crate) fn then(first: &Table, second: &Table) -> Table {
    first.map(|v| second[usize::from(v)])
}
