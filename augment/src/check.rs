//! Ranges that many techniques' parameters share.

use crate::error::{Error, Result};
use crate::pixel::{Border, Paint};

/// Longest side that a parameter may ask for, pixels: a typing error should not end in a failed allocation.
pub(crate) const MAX_SIDE: usize = 1 << 15;

/// An error of `technique` unless `holds`.
pub(crate) fn that(holds: bool, technique: &str, why: impl FnOnce() -> String) -> Result<()> {
    if holds { Ok(()) } else { Err(Error::Invalid(format!("{technique}: {}", why()))) }
}

/// A value within bounds, both included.
pub(crate) fn within(technique: &str, name: &str, value: f64, [low, high]: [f64; 2]) -> Result<()> {
    that((low..=high).contains(&value), technique, || format!("{name} must be in {low}..={high}, got {value}"))
}

/// A probability.
pub(crate) fn probability(technique: &str, p: f64) -> Result<()> {
    within(technique, "p", p, [0.0, 1.0])
}

/// A finite value above 0.
pub(crate) fn positive(technique: &str, name: &str, value: f64) -> Result<()> {
    that(value > 0.0 && value.is_finite(), technique, || format!("{name} must be positive, got {value}"))
}

/// A finite value of at least 0.
pub(crate) fn strength(technique: &str, name: &str, value: f64) -> Result<()> {
    that(value >= 0.0 && value.is_finite(), technique, || format!("{name} must be at least 0, got {value}"))
}

/// The channels of a picture with colors, or with one.
pub(crate) fn colors(technique: &str, channels: usize) -> Result<()> {
    that(channels == 1 || channels == 3, technique, || format!("pictures must have 1 or 3 channels, got {channels}"))
}

/// The side of a picture.
pub(crate) fn side(technique: &str, name: &str, value: usize) -> Result<()> {
    that((1..=MAX_SIDE).contains(&value), technique, || format!("{name} must be in 1..={MAX_SIDE}, got {value}"))
}

/// A pair `[low, high]` of positive numbers in order, none above `most`.
pub(crate) fn interval(technique: &str, name: &str, [low, high]: [f64; 2], most: f64) -> Result<()> {
    that(low > 0.0 && low <= high && high <= most, technique, || {
        let bound = if most.is_finite() { format!(" ≤ {most}") } else { String::new() };
        format!("{name} must be [low, high] with 0 < low ≤ high{bound}, got [{low}, {high}]")
    })
}

/// A pair `[low, high]` in order, both within bounds.
pub(crate) fn range(technique: &str, name: &str, [low, high]: [f64; 2], [least, most]: [f64; 2]) -> Result<()> {
    that(least <= low && low <= high && high <= most, technique, || {
        format!("{name} must be [low, high] with {least} ≤ low ≤ high ≤ {most}, got [{low}, {high}]")
    })
}

/// The three channels of colors.
pub(crate) fn rgb(technique: &str, channels: usize) -> Result<()> {
    that(channels == 3, technique, || format!("needs pictures of 3 channels, got {channels}"))
}

/// The sides `[depth, height, width]` of a volume, which together stay below 2³⁰ pixels.
pub(crate) fn volume(technique: &str, size: [usize; 3]) -> Result<()> {
    for value in size {
        side(technique, "size", value)?;
    }
    let pixels: usize = size.iter().product();
    that(pixels <= 1 << 30, technique, || format!("size must have at most 2³⁰ pixels, got {size:?}"))
}

/// An odd number of pixels, `least..=255`.
pub(crate) fn odd(technique: &str, name: &str, value: usize, least: usize) -> Result<()> {
    that(value % 2 == 1 && (least..=255).contains(&value), technique, || {
        format!("{name} must be an odd number in {least}..=255, got {value}")
    })
}

/// A fill that is one value, or as many as the picture has channels.
pub(crate) fn fill(technique: &str, fill: Paint, channels: usize) -> Result<()> {
    that(fill.suits(channels), technique, || {
        format!("fill must be one value or one for each of {channels} channels, got {:?}", fill.values())
    })
}

/// A fill where it is seen.
pub(crate) fn border(technique: &str, border: Border, fill: Paint) -> Result<()> {
    that(border == Border::Constant || fill == Paint::default(), technique, || {
        format!("fill needs border constant, got {:?}", fill.values())
    })
}
