//! Schedules of their own for momentum and weight decay.

use super::Schedule;
use crate::checkpoint::Record;
use crate::error::Result;
use crate::task::Progress;

/// The learning rate follows one schedule, momentum and weight decay follow others: their factors multiply what the optimizer
/// has. Without one they follow that of the learning rate, which for most means that they stay as they are.
#[derive(Debug)]
pub struct Together {
    /// Of the learning rate.
    pub lr: Box<dyn Schedule>,
    /// Of the momentum.
    pub momentum: Option<Box<dyn Schedule>>,
    /// Of the weight decay.
    pub decay: Option<Box<dyn Schedule>>,
}

impl Schedule for Together {
    fn factor(&self, at: Progress, history: &[Record]) -> f64 {
        self.lr.factor(at, history)
    }
    fn momentum(&self, at: Progress, history: &[Record]) -> f64 {
        self.momentum.as_ref().map_or_else(|| self.lr.momentum(at, history), |s| s.factor(at, history))
    }
    fn decay(&self, at: Progress, history: &[Record]) -> f64 {
        self.decay.as_ref().map_or_else(|| self.lr.decay(at, history), |s| s.factor(at, history))
    }
    fn ends_cycle(&self, at: Progress) -> bool {
        self.lr.ends_cycle(at)
    }
    fn validate(&self) -> Result<()> {
        self.lr.validate()?;
        self.momentum.iter().chain(&self.decay).try_for_each(|s| s.validate())
    }
}
