//! Half cosines again and again, as `torch` `CosineAnnealingWarmRestarts` and timm's cosine with cycles.

use super::{Schedule, half_cosine};
use crate::checkpoint::Record;
use crate::error::{Check, Result};
use crate::task::Progress;
use serde::{Deserialize, Serialize};

/// A half cosine from `decay^i` down to `floor`, then the next one, `mult` times as long.
///
/// | field | default | range |
/// |---|---|---|
/// | `first` | 10 | at least 1e-3, epochs of the first one |
/// | `mult` | 1 | ≥ 1 |
/// | `floor` | 0 | 0..=1 |
/// | `decay` | 1 | > 0, at most 1; factor of each later beginning |
///
/// Loshchilov & Hutter, "SGDR: stochastic gradient descent with warm restarts", 2017.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct WarmRestarts {
    /// Epochs of the first cosine.
    pub first: f64,
    /// Each is so much longer.
    pub mult: f64,
    /// Factor at the end of each.
    pub floor: f64,
    /// Each begins so much lower.
    pub decay: f64,
}

impl Default for WarmRestarts {
    fn default() -> Self {
        Self { first: 10.0, mult: 1.0, floor: 0.0, decay: 1.0 }
    }
}

impl WarmRestarts {
    /// Which cosine a step is in, and how far it is, 0..1.
    fn place(&self, at: Progress) -> (i32, f64) {
        if self.mult == 1.0 {
            let cycle = ((at.epochs_done() + 1e-9) / self.first).floor();
            return (cycle as i32, ((at.epochs_done() - cycle * self.first) / self.first).max(0.0));
        }
        let (done, mut start, mut length, mut cycle) = (at.epochs_done(), 0.0, self.first, 0i32);
        // Sums of fractions may miss a whole number.
        while done > start + length - 1e-9 {
            (start, length, cycle) = (start + length, length * self.mult, cycle.saturating_add(1));
        }
        (cycle, ((done - start) / length).max(0.0))
    }
}

impl Schedule for WarmRestarts {
    fn factor(&self, at: Progress, _: &[Record]) -> f64 {
        let (cycle, share) = self.place(at);
        half_cosine(self.decay.powi(cycle).max(self.floor), self.floor, share)
    }
    fn ends_cycle(&self, at: Progress) -> bool {
        self.place(Progress { step: at.step + 1, ..at }).0 > self.place(at).0
    }
    fn validate(&self) -> Result<()> {
        let check = Check::schedule("warm_restarts");
        check.that(self.first >= 1e-3 && self.first.is_finite(), || {
            format!("first must be at least 1e-3, got {}", self.first)
        })?;
        check.that(self.mult >= 1.0 && self.mult.is_finite(), || {
            format!("mult must be at least 1, got {}", self.mult)
        })?;
        check.closed("floor", self.floor)?;
        check.positive("decay", self.decay)?;
        check.closed("decay", self.decay)
    }
}
