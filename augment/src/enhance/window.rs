//! A range of values stretched.

use crate::check;
use crate::draw::Draw;
use crate::error::Result;
use crate::pixel::tone;
use crate::transform::Transform;
use data::Image;
use serde::{Deserialize, Serialize};

/// Stretches the values between `low` and `high` over all bytes: `255 · (v − low) / (high − low)`, rounded; what lies outside
/// becomes 0 or 255 (the window of radiology, on bytes).
///
/// | field | default | range |
/// |---|---|---|
/// | `low` | 0 | below `high` |
/// | `high` | 255 | ..=255 |
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Window {
    /// What becomes 0.
    pub low: u8,
    /// What becomes 255.
    pub high: u8,
}

impl Default for Window {
    fn default() -> Self {
        Self { low: 0, high: 255 }
    }
}

impl Transform for Window {
    fn apply(&self, mut image: Image, _: &mut Draw) -> Image {
        let (low, range) = (f64::from(self.low), f64::from(self.high.saturating_sub(self.low).max(1)));
        tone::look_up(&mut image, &tone::rounded(|v| (v - low) * 255.0 / range));
        image
    }
    fn validate(&self) -> Result<()> {
        check::that(self.low < self.high, "transform 'window'", || {
            format!("low must be below high, got {} and {}", self.low, self.high)
        })
    }
    fn is_random(&self) -> bool {
        false
    }
}
