//! Lion, as timm's.

use super::memory::Memory;
use super::rule::{Number, Rule, apply};
use super::{Optimizer, Pace, State};
use crate::error::{Check, Result};
use crate::params::{Gradients, Params};
use serde::{Deserialize, Serialize};

/// `p ← p·(1 − lr·λ) − lr·sign(β₁m + (1−β₁)g)`, `m ← β₂m + (1−β₂)g`. Wants a learning rate three to ten times lower than
/// AdamW's, and a weight decay as many times higher.
///
/// | field | default | range |
/// |---|---|---|
/// | `beta1` | 0.9 | 0..1 |
/// | `beta2` | 0.99 | 0..1 |
/// | `weight_decay` | 0 | λ ≥ 0 |
///
/// Chen et al., "Symbolic discovery of optimization algorithms", 2023.
#[derive(Debug, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Lion {
    /// β₁.
    pub beta1: f64,
    /// β₂.
    pub beta2: f64,
    /// λ.
    pub weight_decay: f64,
    #[serde(skip)]
    memory: Memory,
}

impl Default for Lion {
    fn default() -> Self {
        Self { beta1: 0.9, beta2: 0.99, weight_decay: 0.0, memory: Memory::default() }
    }
}

struct Update {
    lr: f64,
    keep: f64,
    beta1: f64,
    beta2: f64,
}

impl Rule<2, 1> for Update {
    fn at<N: Number>(&self, [p, m]: [N; 2], [g]: [N; 1]) -> ([N; 2], [N; 0]) {
        let step = m.clone().blend(g.clone(), self.beta1).sign();
        ([p * self.keep - step * self.lr, m.blend(g, self.beta2)], [])
    }
}

impl Optimizer for Lion {
    fn step(&mut self, params: &Params, gradients: &Gradients, pace: Pace) -> candle_core::Result<()> {
        for (param, g) in params.0.iter().zip(&gradients.0) {
            let lr = pace.lr(param);
            let keep = 1.0 - lr * pace.decay(param, self.weight_decay);
            let update = Update { lr, keep, beta1: pace.momentum(self.beta1)?, beta2: self.beta2 };
            apply(&update, [&param.var, &self.memory.slot(param, "m")?], [g])?;
        }
        Ok(())
    }

    fn state(&self) -> candle_core::Result<State> {
        self.memory.state()
    }

    fn restore(&mut self, state: State) -> candle_core::Result<()> {
        self.memory.restore(state)
    }

    fn validate(&self) -> Result<()> {
        let check = Check::optimizer("lion");
        check.share("beta1", self.beta1)?;
        check.share("beta2", self.beta2)?;
        check.not_negative("weight_decay", self.weight_decay)
    }
}
