//! A linear warm-up before any schedule.

use super::Schedule;
use crate::checkpoint::Record;
use crate::error::{Check, Result};
use crate::task::Progress;

/// A linear warm-up before another schedule (Goyal et al. 2017): over `epochs` epochs its factor is multiplied by a rise.
///
/// Without `from` the first of the warm-up's n steps has `1/n` of the rate and the last one all of it. With `from` it is
/// `from + (1 − from)·t`, where t is the share of its steps that are done, as `torch` `LinearLR` and timm's `warmup_lr_init`:
/// the first step has `from` of the rate, and the one behind the last all of it.
#[derive(Debug)]
pub struct Warmup {
    /// Epochs of the rise, at least 0; fractions are fine.
    pub epochs: f64,
    /// Share of the rate with which the first step begins, 0..=1.
    pub from: Option<f64>,
    /// What it leads into.
    pub then: Box<dyn Schedule>,
}

impl Schedule for Warmup {
    fn factor(&self, at: Progress, history: &[Record]) -> f64 {
        let rise = match self.from {
            _ if self.epochs <= 0.0 => 1.0,
            Some(from) => from + (1.0 - from) * (at.epochs_done() / self.epochs).min(1.0),
            None => {
                let steps = (self.epochs * at.steps_per_epoch as f64).min(at.total() as f64);
                ((at.step + 1) as f64 / steps).min(1.0)
            }
        };
        rise * self.then.factor(at, history)
    }
    fn momentum(&self, at: Progress, history: &[Record]) -> f64 {
        self.then.momentum(at, history)
    }
    fn decay(&self, at: Progress, history: &[Record]) -> f64 {
        self.then.decay(at, history)
    }
    fn ends_cycle(&self, at: Progress) -> bool {
        self.then.ends_cycle(at)
    }
    fn validate(&self) -> Result<()> {
        let check = Check::schedule("warmup");
        check.not_negative("epochs", self.epochs)?;
        self.from.map_or(Ok(()), |from| check.closed("from", from))?;
        self.then.validate()
    }
}
