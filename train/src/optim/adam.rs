//! Adam, as `torch.optim.Adam`.

use super::memory::Memory;
use super::rule::{Number, Rule, apply};
use super::{Optimizer, Pace, State};
use crate::error::{Check, Result};
use crate::params::{Gradients, Params};
use serde::{Deserialize, Serialize};

/// `g ← g + λp`, `m ← β₁m + (1−β₁)g`, `v ← β₂v + (1−β₂)g²`, `p ← p − lr · m̂ / (√v̂ + ε)`.
///
/// | field | default | range |
/// |---|---|---|
/// | `beta1` | 0.9 | 0..1 |
/// | `beta2` | 0.999 | 0..1 |
/// | `eps` | 1e-8 | > 0 |
/// | `weight_decay` | 0 | λ ≥ 0 |
///
/// Kingma & Ba, "Adam: a method for stochastic optimization", 2015.
#[derive(Debug, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Adam {
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

impl Default for Adam {
    fn default() -> Self {
        Self { beta1: 0.9, beta2: 0.999, eps: 1e-8, weight_decay: 0.0, memory: Memory::default() }
    }
}

/// A step of Adam for one parameter, with either kind of weight decay.
pub(super) struct Update {
    /// Learning rate over 1 − β₁ᵗ.
    pub rate: f64,
    pub beta1: f64,
    pub beta2: f64,
    /// 1 / √(1 − β₂ᵗ).
    pub correct2: f64,
    pub eps: f64,
    /// Weight decay within the gradient.
    pub l2: f64,
    /// What decoupled weight decay leaves.
    pub keep: f64,
}

impl Rule<3, 1> for Update {
    fn at<N: Number>(&self, [p, m, v]: [N; 3], [g]: [N; 1]) -> ([N; 3], [N; 0]) {
        let g = g + p.clone() * self.l2;
        let m = m.blend(g.clone(), self.beta1);
        let v = v.blend(g.square(), self.beta2);
        let step = m.clone() / (v.clone().sqrt() * self.correct2 + self.eps);
        ([p * self.keep - step * self.rate, m, v], [])
    }
}

impl Optimizer for Adam {
    fn step(&mut self, params: &Params, gradients: &Gradients, pace: Pace) -> candle_core::Result<()> {
        let (t, beta1, beta2, eps) = (self.memory.begin(), pace.momentum(self.beta1)?, self.beta2, self.eps);
        for (param, g) in params.0.iter().zip(&gradients.0) {
            let (rate, correct2) = (pace.lr(param) / (1.0 - beta1.powi(t)), (1.0 - beta2.powi(t)).sqrt().recip());
            let l2 = pace.decay(param, self.weight_decay);
            let update = Update { rate, beta1, beta2, correct2, eps, l2, keep: 1.0 };
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
        let check = Check::optimizer("adam");
        check.share("beta1", self.beta1)?;
        check.share("beta2", self.beta2)?;
        check.positive("eps", self.eps)?;
        check.not_negative("weight_decay", self.weight_decay)
    }
}
