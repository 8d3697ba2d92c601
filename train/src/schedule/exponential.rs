//! Exponential decay, as `torch` `ExponentialLR`.

use super::Schedule;
use crate::checkpoint::Record;
use crate::error::{Check, Result};
use crate::task::Progress;
use serde::{Deserialize, Serialize};

/// `gamma` to the power of the epochs done.
///
/// | field | default | range |
/// |---|---|---|
/// | `gamma` | 0.95 | > 0, at most 1 |
/// | `staircase` | false | whole epochs only |
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Exponential {
    /// Factor of an epoch.
    pub gamma: f64,
    /// Whether the rate changes between epochs only.
    pub staircase: bool,
}

impl Default for Exponential {
    fn default() -> Self {
        Self { gamma: 0.95, staircase: false }
    }
}

impl Schedule for Exponential {
    fn factor(&self, at: Progress, _: &[Record]) -> f64 {
        let done = at.epochs_done();
        self.gamma.powf(if self.staircase { done.floor() } else { done })
    }
    fn validate(&self) -> Result<()> {
        let check = Check::schedule("exponential");
        check.positive("gamma", self.gamma)?;
        check.closed("gamma", self.gamma)
    }
}
