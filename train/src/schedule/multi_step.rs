//! Drops at milestones, as `torch` `MultiStepLR`.

use super::Schedule;
use crate::checkpoint::Record;
use crate::error::{Check, Result};
use crate::task::Progress;
use serde::{Deserialize, Serialize};

/// Multiplies by `gamma` at each milestone.
///
/// | field | default | range |
/// |---|---|---|
/// | `milestones` | [0.5, 0.75] | > 0, epochs, or shares of all epochs when below 1 |
/// | `gamma` | 0.1 | > 0 |
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct MultiStep {
    /// Epochs, or shares of all epochs when below 1.
    pub milestones: Vec<f64>,
    /// Factor of each drop.
    pub gamma: f64,
}

impl Default for MultiStep {
    fn default() -> Self {
        Self { milestones: vec![0.5, 0.75], gamma: 0.1 }
    }
}

impl Schedule for MultiStep {
    fn factor(&self, at: Progress, _: &[Record]) -> f64 {
        let passed = self.milestones.iter().filter(|&&m| {
            let epoch = if m < 1.0 { m * at.epochs as f64 } else { m };
            // A product that should be whole may have been rounded up.
            at.epochs_done() + 1e-9 >= epoch
        });
        self.gamma.powi(passed.count() as i32)
    }
    fn validate(&self) -> Result<()> {
        let check = Check::schedule("multi_step");
        check.positive("gamma", self.gamma)?;
        self.milestones.iter().try_for_each(|m| check.positive("milestones", *m))
    }
}
