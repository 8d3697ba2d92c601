//! A line, as `torch` `LinearLR`.

use super::Schedule;
use crate::checkpoint::Record;
use crate::error::{Check, Result};
use crate::task::Progress;
use serde::{Deserialize, Serialize};

/// From `from` to `to` in a line, then `to`.
///
/// | field | default | range |
/// |---|---|---|
/// | `from` | 1 | ≥ 0 |
/// | `to` | 0 | ≥ 0 |
/// | `epochs` | none | > 0, length of the line; none: the whole training |
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Linear {
    /// First factor.
    pub from: f64,
    /// Last factor.
    pub to: f64,
    /// Length of the line.
    pub epochs: Option<f64>,
}

impl Default for Linear {
    fn default() -> Self {
        Self { from: 1.0, to: 0.0, epochs: None }
    }
}

impl Schedule for Linear {
    fn factor(&self, at: Progress, _: &[Record]) -> f64 {
        let t = self.epochs.map_or(at.fraction(), |epochs| (at.epochs_done() / epochs).min(1.0));
        self.from + (self.to - self.from) * t
    }
    fn validate(&self) -> Result<()> {
        let check = Check::schedule("linear");
        check.not_negative("from", self.from)?;
        check.not_negative("to", self.to)?;
        check.positive("epochs", self.epochs.unwrap_or(1.0))
    }
}
