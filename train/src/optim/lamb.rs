//! LAMB, as timm's.

use super::memory::Memory;
use super::rule::{Number, Rule, apply, squares};
use super::{Optimizer, Pace, State};
use crate::error::{Check, Result};
use crate::params::{Gradients, Params};
use serde::{Deserialize, Serialize};

/// Moments as in Adam, of gradients whose global norm is at most `max_norm`; `r = m̂/(√v̂ + ε) + λp`;
/// `p ← p − lr · r·‖p‖/‖r‖`. The ratio is 1 without weight decay (biases, norms) and where a norm is 0.
///
/// | field | default | range |
/// |---|---|---|
/// | `beta1` | 0.9 | 0..1 |
/// | `beta2` | 0.999 | 0..1 |
/// | `eps` | 1e-6 | > 0 |
/// | `weight_decay` | 0.01 | λ ≥ 0 |
/// | `max_norm` | 1 | ≥ 0; 0: any |
/// | `clip` | false | whether the ratio is at most 1 (LAMBC) |
///
/// You et al., "Large batch optimization for deep learning: training BERT in 76 minutes", 2020.
#[derive(Debug, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Lamb {
    /// β₁.
    pub beta1: f64,
    /// β₂.
    pub beta2: f64,
    /// ε.
    pub eps: f64,
    /// λ.
    pub weight_decay: f64,
    /// Largest global norm of the gradients.
    pub max_norm: f64,
    /// LAMBC instead of LAMB.
    pub clip: bool,
    #[serde(skip)]
    memory: Memory,
}

impl Default for Lamb {
    fn default() -> Self {
        let (max_norm, clip, memory) = (1.0, false, Memory::default());
        Self { beta1: 0.9, beta2: 0.999, eps: 1e-6, weight_decay: 0.01, max_norm, clip, memory }
    }
}

struct Update {
    beta1: f64,
    beta2: f64,
    correct1: f64,
    correct2: f64,
    eps: f64,
    decay: f64,
    /// Of the gradient, from the global norm.
    scale: f64,
    /// Learning rate with the ratio.
    rate: f64,
}

impl Update {
    fn direction<N: Number>(&self, p: N, m: N, v: N) -> N {
        m * self.correct1 / (v.sqrt() * self.correct2 + self.eps) + p * self.decay
    }
}

/// The moments, and the squares of the parameter and of its direction.
impl Rule<2, 2, 2> for Update {
    fn at<N: Number>(&self, [m, v]: [N; 2], [p, g]: [N; 2]) -> ([N; 2], [N; 2]) {
        let g = g * self.scale;
        let (m, v) = (m.blend(g.clone(), self.beta1), v.blend(g.square(), self.beta2));
        let direction = self.direction(p.clone(), m.clone(), v.clone());
        ([m, v], [p.square(), direction.square()])
    }
}

impl Rule<1, 2> for Update {
    fn at<N: Number>(&self, [p]: [N; 1], [m, v]: [N; 2]) -> ([N; 1], [N; 0]) {
        ([p.clone() - self.direction(p, m, v) * self.rate], [])
    }
}

impl Optimizer for Lamb {
    fn step(&mut self, params: &Params, gradients: &Gradients, pace: Pace) -> candle_core::Result<()> {
        let (t, beta1, beta2, eps) = (self.memory.begin(), pace.momentum(self.beta1)?, self.beta2, self.eps);
        let (correct1, correct2) = ((1.0 - beta1.powi(t)).recip(), (1.0 - beta2.powi(t)).sqrt().recip());
        let norm = match self.max_norm > 0.0 {
            true => gradients.0.iter().map(squares).sum::<candle_core::Result<f64>>()?.sqrt() / self.max_norm,
            false => 1.0,
        };
        for (param, g) in params.0.iter().zip(&gradients.0) {
            let (rate, decay) = (pace.lr(param), pace.decay(param, self.weight_decay));
            let scale = norm.max(1.0).recip();
            let mut update = Update { beta1, beta2, correct1, correct2, eps, decay, scale, rate };
            let (m, v) = (self.memory.slot(param, "m")?, self.memory.slot(param, "v")?);
            let (p, m_now, v_now) = (param.var.as_detached_tensor(), m.as_detached_tensor(), v.as_detached_tensor());
            let [p, direction] = apply::<2, 2, 2>(&update, [&m, &v], [&p, g])?.map(f64::sqrt);
            // Not by `decay`: a schedule may take that to 0.
            let trusted = param.decay && self.weight_decay != 0.0;
            if trusted && p > 0.0 && direction > 0.0 {
                let ratio = p / direction;
                update.rate *= if self.clip { ratio.min(1.0) } else { ratio };
            }
            apply::<1, 2, 0>(&update, [&param.var], [&m_now, &v_now])?;
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
        let check = Check::optimizer("lamb");
        check.share("beta1", self.beta1)?;
        check.share("beta2", self.beta2)?;
        check.positive("eps", self.eps)?;
        check.not_negative("weight_decay", self.weight_decay)?;
        check.not_negative("max_norm", self.max_norm)
    }
}
