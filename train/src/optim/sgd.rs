//! Stochastic gradient descent, as `torch.optim.SGD` with dampening 0.

use super::memory::Memory;
use super::rule::{Number, Rule, apply};
use super::{Optimizer, Pace, State};
use crate::error::{Check, Result};
use crate::params::{Gradients, Params};
use serde::{Deserialize, Serialize};

/// `v ← μ·v + (g + λ·p)`, `p ← p − lr·v`; with Nesterov `p ← p − lr·(g + λ·p + μ·v)`. Decoupled, λ is no part of the
/// gradient, but `p ← p·(1 − lr·λ)` comes first.
///
/// | field | default | range |
/// |---|---|---|
/// | `momentum` | 0.9 | μ in 0..1 |
/// | `nesterov` | true | needs momentum |
/// | `weight_decay` | 5e-4 | λ ≥ 0 |
/// | `decoupled` | false | |
///
/// Sutskever et al., "On the importance of initialization and momentum in deep learning", 2013; decoupled: Loshchilov &
/// Hutter, "Decoupled weight decay regularization", 2019.
#[derive(Debug, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Sgd {
    /// μ.
    pub momentum: f64,
    /// Looks ahead by one step of the momentum.
    pub nesterov: bool,
    /// λ.
    pub weight_decay: f64,
    /// Whether λ shrinks the weights beside the gradient instead of within it.
    pub decoupled: bool,
    #[serde(skip)]
    memory: Memory,
}

impl Default for Sgd {
    fn default() -> Self {
        Self { momentum: 0.9, nesterov: true, weight_decay: 5e-4, decoupled: false, memory: Memory::default() }
    }
}

struct Update {
    lr: f64,
    l2: f64,
    keep: f64,
    mu: f64,
    nesterov: bool,
}

impl Rule<1, 1> for Update {
    fn at<N: Number>(&self, [p]: [N; 1], [g]: [N; 1]) -> ([N; 1], [N; 0]) {
        let g = g + p.clone() * self.l2;
        ([p * self.keep - g * self.lr], [])
    }
}

impl Rule<2, 1> for Update {
    fn at<N: Number>(&self, [p, v]: [N; 2], [g]: [N; 1]) -> ([N; 2], [N; 0]) {
        let g = g + p.clone() * self.l2;
        let v = v * self.mu + g.clone();
        let step = if self.nesterov { g + v.clone() * self.mu } else { v.clone() };
        ([p * self.keep - step * self.lr, v], [])
    }
}

impl Optimizer for Sgd {
    fn step(&mut self, params: &Params, gradients: &Gradients, pace: Pace) -> candle_core::Result<()> {
        for (param, g) in params.0.iter().zip(&gradients.0) {
            let (lr, decay) = (pace.lr(param), pace.decay(param, self.weight_decay));
            let (l2, keep) = if self.decoupled { (0.0, 1.0 - lr * decay) } else { (decay, 1.0) };
            let update = Update { lr, l2, keep, mu: pace.momentum(self.momentum)?, nesterov: self.nesterov };
            if self.momentum == 0.0 {
                apply(&update, [&param.var], [g])?;
            } else {
                apply(&update, [&param.var, &self.memory.slot(param, "v")?], [g])?;
            }
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
        let check = Check::optimizer("sgd");
        check.share("momentum", self.momentum)?;
        check.not_negative("weight_decay", self.weight_decay)?;
        check.that(!self.nesterov || self.momentum > 0.0, || "nesterov needs momentum".into())
    }
}
