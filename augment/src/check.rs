//! Ranges that many techniques' parameters share.

use crate::error::{Error, Result};

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
pub(crate) fn span(technique: &str, name: &str, [low, high]: [f64; 2], [least, most]: [f64; 2]) -> Result<()> {
    that(least <= low && low <= high && high <= most, technique, || {
        format!("{name} must be [low, high] with {least} ≤ low ≤ high ≤ {most}, got [{low}, {high}]")
    })
}
