//! One cycle, as `torch` `OneCycleLR`.

use super::{Schedule, half_cosine};
use crate::checkpoint::Record;
use crate::error::{Check, Result};
use crate::task::Progress;
use serde::{Deserialize, Serialize};

/// Up from `1/div` to 1 over `pct_start` of the steps, then down to `1/(div·final_div)`; the momentum goes the other way,
/// from 1 to `momentum_low` and back. In three phases the way down is as long as the way up and ends at `1/div`.
///
/// | field | default | range |
/// |---|---|---|
/// | `pct_start` | 0.3 | 0..1, share of the steps on the way up; at most 0.5 in three phases |
/// | `div` | 25 | ≥ 1, the first rate is the highest over this |
/// | `final_div` | 1e4 | ≥ 1, the last rate is the first over this |
/// | `anneal` | "cos" | or "linear" |
/// | `three_phase` | false | |
/// | `momentum_low` | 0.85/0.95 | 0..=1, factor of the momentum where the rate is highest; 1: constant |
///
/// Smith & Topin, "Super-convergence: very fast training of neural networks using large learning rates", 2018. fastai's
/// `fit_one_cycle` is `pct_start = 0.25`, `final_div = 4000`.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct OneCycle {
    /// Share of the steps on the way up.
    pub pct_start: f64,
    /// The first rate is the highest over this.
    pub div: f64,
    /// The last rate is the first over this.
    pub final_div: f64,
    /// Cosines or lines.
    pub anneal: Anneal,
    /// Whether the way down is as long as the way up.
    pub three_phase: bool,
    /// Factor of the momentum where the rate is highest.
    pub momentum_low: f64,
}

/// The shape of a phase.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Anneal {
    /// Half a cosine.
    Cos,
    /// A line.
    Linear,
}

impl Default for OneCycle {
    fn default() -> Self {
        let (anneal, momentum_low) = (Anneal::Cos, 0.85 / 0.95);
        Self { pct_start: 0.3, div: 25.0, final_div: 1e4, anneal, three_phase: false, momentum_low }
    }
}

impl OneCycle {
    /// The value of a quantity that is `first` at the beginning, `top` at the peak, `last` at the end.
    fn value(&self, at: Progress, [first, top, last]: [f64; 3]) -> f64 {
        let (total, step) = (at.total() as f64, at.step as f64);
        let (peak, end) = (self.pct_start * total - 1.0, total - 1.0);
        let down = 2.0 * self.pct_start * total - 2.0;
        let (from, to, start, end) = match self.three_phase {
            _ if step <= peak => (first, top, 0.0, peak),
            true if step <= down => (top, first, peak, down),
            true => (first, last, down, end),
            false => (top, last, peak, end),
        };
        let t = ((step - start) / (end - start).max(1e-9)).clamp(0.0, 1.0);
        match self.anneal {
            Anneal::Cos => half_cosine(from, to, t),
            Anneal::Linear => from + (to - from) * t,
        }
    }
}

impl Schedule for OneCycle {
    fn factor(&self, at: Progress, _: &[Record]) -> f64 {
        self.value(at, [1.0 / self.div, 1.0, 1.0 / (self.div * self.final_div)])
    }
    fn momentum(&self, at: Progress, _: &[Record]) -> f64 {
        self.value(at, [1.0, self.momentum_low, 1.0])
    }
    fn validate(&self) -> Result<()> {
        let check = Check::schedule("one_cycle");
        check.positive("pct_start", self.pct_start)?;
        check.share("pct_start", self.pct_start)?;
        check.that(!self.three_phase || self.pct_start <= 0.5, || {
            "pct_start must be at most 0.5 in three phases".into()
        })?;
        for (key, value) in [("div", self.div), ("final_div", self.final_div)] {
            check.that(value >= 1.0 && value.is_finite(), || format!("{key} must be at least 1, got {value}"))?;
        }
        check.closed("momentum_low", self.momentum_low)
    }
}
