//! Lengths that follow the size of the picture, or not.

use crate::check;
use crate::draw::Draw;
use crate::error::Result;
use serde::{Deserialize, Serialize};

/// A range of lengths `[low, high]`: both below 1, shares of the picture's side; both whole numbers from 1 on, pixels.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Extent(pub [f64; 2]);

impl Extent {
    /// A length for a side of this many pixels, at least 1.
    pub(crate) fn draw(self, name: &'static str, side: usize, draw: &mut Draw) -> usize {
        let Self([low, high]) = self;
        let pixels =
            if high < 1.0 { [low, high].map(|share| (share * side as f64) as i64) } else { [low as i64, high as i64] };
        draw.whole(name, pixels).max(1) as usize
    }

    /// # Errors
    /// Neither two shares nor two whole numbers of pixels in order.
    pub(crate) fn validate(self, technique: &str, name: &str) -> Result<()> {
        let Self([low, high]) = self;
        let shares = low > 0.0 && high < 1.0;
        let pixels = low >= 1.0 && high <= check::MAX_SIDE as f64 && low.fract() == 0.0 && high.fract() == 0.0;
        check::that(low <= high && (shares || pixels), technique, || {
            format!("{name} must be [low, high], shares below 1 or whole pixels, in order, got [{low}, {high}]")
        })
    }
}
