//! LARS, as timm's.

use super::memory::Memory;
use super::rule::{Number, Rule, apply, squares};
use super::{Optimizer, Pace, State};
use crate::error::{Check, Result};
use crate::params::{Gradients, Params};
use serde::{Deserialize, Serialize};

/// `r = η‖p‖ / (‖g‖ + λ‖p‖ + ε)`, `v ← μ·v + r·(g + λp)`, `p ← p − lr·v`, with Nesterov `p ← p − lr·(r·(g + λp) + μ·v)`. `r`
/// is 1 without weight decay (biases, norms) and where a norm is 0; a schedule that takes λ to 0 leaves `r` as it is.
/// Clipped (LARC), `r` is at most 1 over the learning rate.
///
/// | field | default | range |
/// |---|---|---|
/// | `momentum` | 0.9 | μ in 0..1 |
/// | `nesterov` | false | needs momentum |
/// | `weight_decay` | 1e-4 | λ ≥ 0 |
/// | `trust` | 1e-3 | η > 0 |
/// | `eps` | 1e-8 | > 0 |
/// | `clip` | false | |
///
/// You, Gitman & Ginsburg, "Large batch training of convolutional networks", 2017; clipped: NVIDIA's apex.
#[derive(Debug, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Lars {
    /// μ.
    pub momentum: f64,
    /// Looks ahead by one step of the momentum.
    pub nesterov: bool,
    /// λ.
    pub weight_decay: f64,
    /// η.
    pub trust: f64,
    /// ε.
    pub eps: f64,
    /// LARC instead of LARS.
    pub clip: bool,
    #[serde(skip)]
    memory: Memory,
}

impl Default for Lars {
    fn default() -> Self {
        let (nesterov, clip, memory) = (false, false, Memory::default());
        Self { momentum: 0.9, nesterov, weight_decay: 1e-4, trust: 1e-3, eps: 1e-8, clip, memory }
    }
}

struct Update {
    lr: f64,
    ratio: f64,
    l2: f64,
    mu: f64,
    nesterov: bool,
}

impl Rule<2, 1> for Update {
    fn at<N: Number>(&self, [p, v]: [N; 2], [g]: [N; 1]) -> ([N; 2], [N; 0]) {
        let g = (g + p.clone() * self.l2) * self.ratio;
        let v = v * self.mu + g.clone();
        let step = if self.nesterov { g + v.clone() * self.mu } else { v.clone() };
        ([p - step * self.lr, v], [])
    }
}

impl Optimizer for Lars {
    fn step(&mut self, params: &Params, gradients: &Gradients, pace: Pace) -> candle_core::Result<()> {
        for (param, g) in params.0.iter().zip(&gradients.0) {
            let (lr, l2) = (pace.lr(param), pace.decay(param, self.weight_decay));
            let mut ratio = 1.0;
            if param.decay && self.weight_decay != 0.0 {
                let (p, g) = (squares(&param.var.as_detached_tensor())?.sqrt(), squares(g)?.sqrt());
                if p > 0.0 && g > 0.0 {
                    ratio = self.trust * p / (g + p * l2 + self.eps);
                }
                if self.clip && lr > 0.0 {
                    ratio = (ratio / lr).min(1.0);
                }
            }
            let update = Update { lr, ratio, l2, mu: pace.momentum(self.momentum)?, nesterov: self.nesterov };
            apply(&update, [&param.var, &self.memory.slot(param, "v")?], [g])?;
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
        let check = Check::optimizer("lars");
        check.share("momentum", self.momentum)?;
        check.not_negative("weight_decay", self.weight_decay)?;
        check.positive("trust", self.trust)?;
        check.positive("eps", self.eps)?;
        check.that(!self.nesterov || self.momentum > 0.0, || "nesterov needs momentum".into())
    }
}
