//! Cycles, as `torch` `CyclicLR`.

use super::Schedule;
use crate::checkpoint::Record;
use crate::error::{Check, Result};
use crate::task::Progress;
use serde::{Deserialize, Serialize};

/// Up in a line from `low` to 1 over `up` epochs and down again over `down`, in turns.
///
/// | field | default | range |
/// |---|---|---|
/// | `low` | 0.1 | 0..=1, factor where a cycle begins |
/// | `up` | 2 | epochs > 0; fractions are fine |
/// | `down` | none | as `up` |
/// | `shape` | "triangular" | "triangular2": half as high each time; "exp_range": times `gamma` each step |
/// | `gamma` | 1 | > 0, at most 1; of "exp_range" only |
/// | `momentum_low` | 1 | 0..=1, factor of the momentum where the rate is 1; 1: constant, torch's 0.8/0.9 |
///
/// Smith, "Cyclical learning rates for training neural networks", 2017.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Cyclic {
    /// Factor where a cycle begins.
    pub low: f64,
    /// Epochs on the way up.
    pub up: f64,
    /// Epochs on the way down.
    pub down: Option<f64>,
    /// How cycles differ.
    pub shape: Shape,
    /// Factor of the height, each step.
    pub gamma: f64,
    /// Factor of the momentum where the rate is highest.
    pub momentum_low: f64,
}

/// How high each cycle is.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Shape {
    /// All alike.
    Triangular,
    /// Half as high each time.
    Triangular2,
    /// `gamma` to the power of the steps.
    ExpRange,
}

impl Default for Cyclic {
    fn default() -> Self {
        Self { low: 0.1, up: 2.0, down: None, shape: Shape::Triangular, gamma: 1.0, momentum_low: 1.0 }
    }
}

impl Cyclic {
    /// 0 at the bottom, 1 at the top of the first cycle.
    fn height(&self, at: Progress) -> f64 {
        let (up, down) = (self.up, self.down.unwrap_or(self.up));
        let turns = at.epochs_done() / (up + down);
        let (cycle, share) = ((1.0 + turns).floor(), up / (up + down));
        let x = 1.0 + turns - cycle;
        let rise = if x <= share { x / share } else { (x - 1.0) / (share - 1.0) };
        rise.max(0.0)
            * match self.shape {
                Shape::Triangular => 1.0,
                Shape::Triangular2 => 0.5f64.powf(cycle - 1.0),
                Shape::ExpRange => self.gamma.powf(at.step as f64),
            }
    }
}

impl Schedule for Cyclic {
    fn factor(&self, at: Progress, _: &[Record]) -> f64 {
        self.low + (1.0 - self.low) * self.height(at)
    }
    fn momentum(&self, at: Progress, _: &[Record]) -> f64 {
        1.0 - (1.0 - self.momentum_low) * self.height(at)
    }
    fn ends_cycle(&self, at: Progress) -> bool {
        let cycles = |step: usize| {
            (Progress { step, ..at }.epochs_done() / (self.up + self.down.unwrap_or(self.up)) + 1e-9).floor()
        };
        cycles(at.step + 1) > cycles(at.step)
    }
    fn validate(&self) -> Result<()> {
        let check = Check::schedule("cyclic");
        check.closed("low", self.low)?;
        check.positive("up", self.up)?;
        check.positive("down", self.down.unwrap_or(self.up))?;
        check.positive("gamma", self.gamma)?;
        check.closed("gamma", self.gamma)?;
        check.that(self.shape == Shape::ExpRange || self.gamma == 1.0, || {
            "gamma is that of the shape exp_range, leave it out beside another one".into()
        })?;
        check.closed("momentum_low", self.momentum_low)
    }
}
