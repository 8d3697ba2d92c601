//! Lookahead, as timm's with its averages begun at once.

use super::memory::Memory;
use super::rule::{Number, Rule, apply};
use super::{Inner, Optimizer, Pace, Sgd, State};
use crate::error::{Check, Result};
use crate::params::{Gradients, Params};
use serde::{Deserialize, Serialize};

/// After every `k` steps of the inner optimizer `s ← s + α(p − s)`, `p ← s`; `s` begins at the first weights.
///
/// | field | default | range |
/// |---|---|---|
/// | `of` | "sgd" | the inner optimizer |
/// | `k` | 6 | ≥ 1 |
/// | `alpha` | 0.5 | α in 0..=1 |
///
/// Zhang et al., "Lookahead optimizer: k steps forward, 1 step back", 2019. Ranger is Lookahead of RAdam.
#[derive(Debug, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Lookahead {
    /// The inner optimizer.
    pub of: Inner,
    /// Steps forward.
    pub k: usize,
    /// α.
    pub alpha: f64,
    #[serde(skip)]
    memory: Memory,
}

impl Default for Lookahead {
    fn default() -> Self {
        Self { of: Inner::of::<Sgd>("sgd"), k: 6, alpha: 0.5, memory: Memory::default() }
    }
}

struct Back(f64);

impl Rule<2, 0> for Back {
    fn at<N: Number>(&self, [p, slow]: [N; 2], []: [N; 0]) -> ([N; 2], [N; 0]) {
        let slow = slow.blend(p, 1.0 - self.0);
        ([slow.clone(), slow], [])
    }
}

/// Comes before the names of the inner optimizer's state; no variable has a slash.
pub(super) const OF: &str = "of/";

impl Optimizer for Lookahead {
    fn step(&mut self, params: &Params, gradients: &Gradients, pace: Pace) -> candle_core::Result<()> {
        let t = self.memory.begin();
        if t == 1 {
            for param in &params.0 {
                self.memory.slot_or(param, "slow", || Ok(param.var.as_detached_tensor()))?;
            }
        }
        self.of.optimizer.step(params, gradients, pace)?;
        if (t as usize).is_multiple_of(self.k) {
            for param in params.0.iter().filter(|param| param.lr_scale != 0.0) {
                let slow = self.memory.slot_or(param, "slow", || Ok(param.var.as_detached_tensor()))?;
                apply(&Back(self.alpha), [&param.var, &slow], [])?;
            }
        }
        Ok(())
    }

    fn climbs(&self) -> bool {
        self.of.optimizer.climbs()
    }

    fn climb(&mut self, params: &Params, gradients: &Gradients) -> candle_core::Result<()> {
        self.of.optimizer.climb(params, gradients)
    }

    fn descend(&mut self, params: &Params) -> candle_core::Result<()> {
        self.of.optimizer.descend(params)
    }

    fn state(&self) -> candle_core::Result<State> {
        let mut state = self.memory.state()?;
        state.extend(self.of.state(OF)?);
        Ok(state)
    }

    fn restore(&mut self, mut state: State) -> candle_core::Result<()> {
        self.of.restore(OF, &mut state)?;
        self.memory.restore(state)
    }

    fn validate(&self) -> Result<()> {
        let check = Check::optimizer("lookahead");
        check.that(self.k >= 1, || "k must be at least 1, got 0".into())?;
        check.closed("alpha", self.alpha)
    }
}
