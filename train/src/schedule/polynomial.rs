//! A power of what is left, as `torch` `PolynomialLR` and timm's with a floor.

use super::Schedule;
use crate::checkpoint::Record;
use crate::error::{Check, Result};
use crate::task::Progress;
use serde::{Deserialize, Serialize};

/// `floor + (1 − floor)·(1 − t)^power` over the share `t` of all steps.
///
/// | field | default | range |
/// |---|---|---|
/// | `power` | 1 | > 0 |
/// | `floor` | 0 | 0..=1, factor at the end |
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Polynomial {
    /// The exponent.
    pub power: f64,
    /// Factor at the end.
    pub floor: f64,
}

impl Default for Polynomial {
    fn default() -> Self {
        Self { power: 1.0, floor: 0.0 }
    }
}

impl Schedule for Polynomial {
    fn factor(&self, at: Progress, _: &[Record]) -> f64 {
        self.floor + (1.0 - self.floor) * (1.0 - at.fraction()).powf(self.power)
    }
    fn validate(&self) -> Result<()> {
        let check = Check::schedule("polynomial");
        check.positive("power", self.power)?;
        check.closed("floor", self.floor)
    }
}
