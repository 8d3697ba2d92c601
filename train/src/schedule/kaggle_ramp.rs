//! The ramp of Kaggle's notebooks for TPUs (Chris Deotte and others).

use super::Schedule;
use crate::checkpoint::Record;
use crate::error::{Check, Result};
use crate::task::Progress;
use serde::{Deserialize, Serialize};

/// Epoch by epoch: in a line from `start` to 1, `sustain` epochs of 1, then `floor + (1 − floor)·decay^e`.
///
/// Deotte 2020, "Triple stratified KFold with TFRecords" (Kaggle, SIIM-ISIC melanoma classification), `get_lr_callback`.
///
/// | field | default | range |
/// |---|---|---|
/// | `start` | 0.015625 | 0..=1, factor of the first epoch: 5e-6 of 3.2e-4 |
/// | `ramp` | 5 | epochs of the rise |
/// | `sustain` | 0 | epochs at 1 |
/// | `decay` | 0.8 | 0..=1, each epoch |
/// | `floor` | 0.003125 | 0..=1: 1e-6 of 3.2e-4 |
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct KaggleRamp {
    /// Factor of the first epoch.
    pub start: f64,
    /// Epochs of the rise.
    pub ramp: usize,
    /// Epochs at the base rate.
    pub sustain: usize,
    /// Factor of each later epoch.
    pub decay: f64,
    /// What it comes down to.
    pub floor: f64,
}

impl Default for KaggleRamp {
    fn default() -> Self {
        Self { start: 0.015625, ramp: 5, sustain: 0, decay: 0.8, floor: 0.003125 }
    }
}

impl Schedule for KaggleRamp {
    fn factor(&self, at: Progress, _: &[Record]) -> f64 {
        let (epoch, top) = (at.step / at.steps_per_epoch.max(1), self.ramp.saturating_add(self.sustain));
        if epoch < self.ramp {
            self.start + (1.0 - self.start) / self.ramp as f64 * epoch as f64
        } else if epoch < top {
            1.0
        } else {
            self.floor + (1.0 - self.floor) * self.decay.powf((epoch - top) as f64)
        }
    }
    fn validate(&self) -> Result<()> {
        let check = Check::schedule("kaggle_ramp");
        check.closed("start", self.start)?;
        check.closed("decay", self.decay)?;
        check.closed("floor", self.floor)
    }
}
