//! Adadelta, as `torch.optim.Adadelta`.

use super::memory::Memory;
use super::rule::{Number, Rule, apply};
use super::{Optimizer, Pace, State};
use crate::error::{Check, Result};
use crate::params::{Gradients, Params};
use serde::{Deserialize, Serialize};

/// `g ← g + λp`, `s ← ρs + (1−ρ)g²`, `δ = g·√(u + ε)/√(s + ε)`, `u ← ρu + (1−ρ)δ²`, `p ← p − lr·δ`. Meant for a learning
/// rate of 1.
///
/// | field | default | range |
/// |---|---|---|
/// | `rho` | 0.9 | ρ in 0..1 |
/// | `eps` | 1e-6 | > 0 |
/// | `weight_decay` | 0 | λ ≥ 0 |
///
/// Zeiler, "ADADELTA: an adaptive learning rate method", 2012.
#[derive(Debug, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Adadelta {
    /// ρ.
    pub rho: f64,
    /// ε.
    pub eps: f64,
    /// λ.
    pub weight_decay: f64,
    #[serde(skip)]
    memory: Memory,
}

impl Default for Adadelta {
    fn default() -> Self {
        Self { rho: 0.9, eps: 1e-6, weight_decay: 0.0, memory: Memory::default() }
    }
}

struct Update {
    lr: f64,
    rho: f64,
    eps: f64,
    l2: f64,
}

impl Rule<3, 1> for Update {
    fn at<N: Number>(&self, [p, s, u]: [N; 3], [g]: [N; 1]) -> ([N; 3], [N; 0]) {
        let g = g + p.clone() * self.l2;
        let s = s.blend(g.clone().square(), self.rho);
        let delta = (u.clone() + self.eps).sqrt() / (s.clone() + self.eps).sqrt() * g;
        ([p - delta.clone() * self.lr, s, u.blend(delta.square(), self.rho)], [])
    }
}

impl Optimizer for Adadelta {
    fn step(&mut self, params: &Params, gradients: &Gradients, pace: Pace) -> candle_core::Result<()> {
        for (param, g) in params.0.iter().zip(&gradients.0) {
            let (lr, l2) = (pace.lr(param), pace.decay(param, self.weight_decay));
            let (s, u) = (self.memory.slot(param, "s")?, self.memory.slot(param, "u")?);
            apply(&Update { lr, rho: self.rho, eps: self.eps, l2 }, [&param.var, &s, &u], [g])?;
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
        let check = Check::optimizer("adadelta");
        check.share("rho", self.rho)?;
        check.positive("eps", self.eps)?;
        check.not_negative("weight_decay", self.weight_decay)
    }
}
