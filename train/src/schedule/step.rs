//! Drops at regular distances, as `torch` `StepLR`, and timm's with fractions.

use super::Schedule;
use crate::checkpoint::Record;
use crate::error::{Check, Result};
use crate::task::Progress;
use serde::{Deserialize, Serialize};

/// Multiplies by `gamma` every `every` epochs.
///
/// | field | default | range |
/// |---|---|---|
/// | `every` | 10 | > 0, epochs between drops; EfficientNet 2.4 |
/// | `gamma` | 0.1 | > 0, factor of each drop; EfficientNet 0.97 |
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Step {
    /// Epochs between drops.
    pub every: f64,
    /// Factor of each drop.
    pub gamma: f64,
}

impl Default for Step {
    fn default() -> Self {
        Self { every: 10.0, gamma: 0.1 }
    }
}

impl Schedule for Step {
    fn factor(&self, at: Progress, _: &[Record]) -> f64 {
        // A quotient that should be whole may have been rounded down.
        self.gamma.powi((at.epochs_done() / self.every + 1e-9) as i32)
    }
    fn validate(&self) -> Result<()> {
        let check = Check::schedule("step");
        check.positive("every", self.every)?;
        check.positive("gamma", self.gamma)
    }
}
