//! One cosine, as `torch` `CosineAnnealingLR` over all steps.

use super::{Schedule, half_cosine};
use crate::checkpoint::Record;
use crate::error::{Check, Result};
use crate::task::Progress;
use serde::{Deserialize, Serialize};

/// `floor + (1 − floor)·(1 + cos πt)/2` over the share `t` of all steps (Loshchilov & Hutter 2017, one period).
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Cosine {
    /// Factor at the end, 0..=1; 0 by default.
    pub floor: f64,
}

impl Schedule for Cosine {
    fn factor(&self, at: Progress, _: &[Record]) -> f64 {
        half_cosine(1.0, self.floor, at.fraction())
    }
    fn ends_cycle(&self, at: Progress) -> bool {
        at.step + 1 == at.total()
    }
    fn validate(&self) -> Result<()> {
        Check::schedule("cosine").closed("floor", self.floor)
    }
}
