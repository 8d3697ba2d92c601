//! Linear warm-ups before any schedule.

use super::Schedule;
use crate::checkpoint::Record;
use crate::error::{Check, Result};
use crate::task::Progress;

/// A linear warm-up before another schedule (Goyal et al. 2017): the factor rises from near 0 over `epochs` epochs.
#[derive(Debug)]
pub struct Warmup {
    /// Epochs of the rise; fractions are fine.
    pub epochs: f64,
    /// What it leads into.
    pub then: Box<dyn Schedule>,
}

impl Schedule for Warmup {
    fn factor(&self, at: Progress, history: &[Record]) -> f64 {
        let steps = (self.epochs * at.steps_per_epoch as f64).min(at.total() as f64);
        let rise = if steps > 0.0 { ((at.step + 1) as f64 / steps).min(1.0) } else { 1.0 };
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
        Check::schedule("warmup").not_negative("epochs", self.epochs)?;
        self.then.validate()
    }
}

/// A linear warm-up before another schedule that begins at a share of the rate: `from + (1 − from)·t`, where t is the share of
/// the warm-up's steps that are done, as `torch` `LinearLR` and timm's `warmup_lr_init`. With [`Warmup`] the first step has
/// `1/steps` of the rate and the last one of the warm-up all of it; here that is the step after.
#[derive(Debug)]
pub struct GradualWarmup {
    /// First factor, 0..=1.
    pub from: f64,
    /// Epochs of the rise; fractions are fine.
    pub epochs: f64,
    /// What it leads into.
    pub then: Box<dyn Schedule>,
}

impl Schedule for GradualWarmup {
    fn factor(&self, at: Progress, history: &[Record]) -> f64 {
        let t = if self.epochs > 0.0 { (at.epochs_done() / self.epochs).min(1.0) } else { 1.0 };
        (self.from + (1.0 - self.from) * t) * self.then.factor(at, history)
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
        check.closed("from", self.from)?;
        check.not_negative("epochs", self.epochs)?;
        self.then.validate()
    }
}
