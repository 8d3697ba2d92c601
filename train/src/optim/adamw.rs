//! Adam with decoupled weight decay, as `torch.optim.AdamW`.

use super::adam::Update;
use super::memory::Memory;
use super::rule::apply;
use super::{Optimizer, Pace, State};
use crate::error::{Check, Result};
use crate::params::{Gradients, Params};
use serde::{Deserialize, Serialize};

/// `p ← p·(1 − lr·λ)`, `m ← β₁m + (1−β₁)g`, `v ← β₂v + (1−β₂)g²`, `p ← p − lr · m̂ / (√v̂ + ε)`.
///
/// | field | default | range |
/// |---|---|---|
/// | `beta1` | 0.9 | 0..1 |
/// | `beta2` | 0.999 | 0..1 |
/// | `eps` | 1e-8 | > 0 |
/// | `weight_decay` | 0.01 | λ ≥ 0 |
///
/// Loshchilov & Hutter, "Decoupled weight decay regularization", 2019.
#[derive(Debug, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct AdamW {
    /// β₁.
    pub beta1: f64,
    /// β₂.
    pub beta2: f64,
    /// ε.
    pub eps: f64,
    /// λ.
    pub weight_decay: f64,
    #[serde(skip)]
    memory: Memory,
}

impl Default for AdamW {
    fn default() -> Self {
        Self { beta1: 0.9, beta2: 0.999, eps: 1e-8, weight_decay: 0.01, memory: Memory::default() }
    }
}

impl Optimizer for AdamW {
    fn step(&mut self, params: &Params, gradients: &Gradients, pace: Pace) -> candle_core::Result<()> {
        let (t, beta1, beta2, eps) = (self.memory.begin(), pace.momentum(self.beta1)?, self.beta2, self.eps);
        for (param, g) in params.0.iter().zip(&gradients.0) {
            let (rate, correct2) = (pace.lr(param) / (1.0 - beta1.powi(t)), (1.0 - beta2.powi(t)).sqrt().recip());
            let keep = 1.0 - pace.lr(param) * pace.decay(param, self.weight_decay);
            let update = Update { rate, beta1, beta2, correct2, eps, l2: 0.0, keep };
            let (m, v) = (self.memory.slot(param, "m")?, self.memory.slot(param, "v")?);
            apply(&update, [&param.var, &m, &v], [g])?;
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
        let check = Check::optimizer("adamw");
        check.share("beta1", self.beta1)?;
        check.share("beta2", self.beta2)?;
        check.positive("eps", self.eps)?;
        check.not_negative("weight_decay", self.weight_decay)
    }
}
