//! Rectified Adam, as `torch.optim.RAdam`.

use super::memory::Memory;
use super::rule::{Number, Rule, apply};
use super::{Optimizer, Pace, State, adam};
use crate::error::{Check, Result};
use crate::params::{Gradients, Params};
use serde::{Deserialize, Serialize};

/// Moments as in Adam. `ρ∞ = 2/(1−β₂) − 1`, `ρ = ρ∞ − 2tβ₂ᵗ/(1−β₂ᵗ)`; while `ρ ≤ 5`, `p ← p − lr·m̂`; later
/// `p ← p − lr · r · m̂ · √(1−β₂ᵗ) / (√v + ε)` with `r = √((ρ−4)(ρ−2)ρ∞ / ((ρ∞−4)(ρ∞−2)ρ))`.
///
/// | field | default | range |
/// |---|---|---|
/// | `beta1` | 0.9 | 0..1 |
/// | `beta2` | 0.999 | 0..1 |
/// | `eps` | 1e-8 | > 0 |
/// | `weight_decay` | 0 | λ ≥ 0 |
/// | `decoupled` | false | whether λ shrinks the weights beside the gradient |
///
/// Liu et al., "On the variance of the adaptive learning rate and beyond", 2020.
#[derive(Debug, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Radam {
    /// β₁.
    pub beta1: f64,
    /// β₂.
    pub beta2: f64,
    /// ε.
    pub eps: f64,
    /// λ.
    pub weight_decay: f64,
    /// Whether λ shrinks the weights beside the gradient instead of within it.
    pub decoupled: bool,
    #[serde(skip)]
    memory: Memory,
}

impl Default for Radam {
    fn default() -> Self {
        let memory = Memory::default();
        Self { beta1: 0.9, beta2: 0.999, eps: 1e-8, weight_decay: 0.0, decoupled: false, memory }
    }
}

/// Early on: the average alone.
struct Average(adam::Update);

impl Rule<3, 1> for Average {
    fn at<N: Number>(&self, [p, m, v]: [N; 3], [g]: [N; 1]) -> ([N; 3], [N; 0]) {
        let g = g + p.clone() * self.0.l2;
        let m = m.blend(g.clone(), self.0.beta1);
        let v = v.blend(g.square(), self.0.beta2);
        ([p * self.0.keep - m.clone() * self.0.rate, m, v], [])
    }
}

impl Optimizer for Radam {
    fn step(&mut self, params: &Params, gradients: &Gradients, pace: Pace) -> candle_core::Result<()> {
        let (t, beta1, beta2, eps) = (self.memory.begin(), pace.momentum(self.beta1)?, self.beta2, self.eps);
        let (longest, past) = (2.0 / (1.0 - beta2) - 1.0, beta2.powi(t));
        let length = longest - 2.0 * f64::from(t) * past / (1.0 - past);
        let trusted = length > 5.0;
        let rectify = match trusted {
            true => {
                let (now, last) = ((length - 4.0) * (length - 2.0), (longest - 4.0) * (longest - 2.0));
                (now * longest / (last * length) * (1.0 - past)).sqrt()
            }
            false => 1.0,
        };
        for (param, g) in params.0.iter().zip(&gradients.0) {
            let (lr, decay) = (pace.lr(param), pace.decay(param, self.weight_decay));
            let (l2, keep) = if self.decoupled { (0.0, 1.0 - lr * decay) } else { (decay, 1.0) };
            let rate = lr * rectify / (1.0 - beta1.powi(t));
            let update = adam::Update { rate, beta1, beta2, correct2: 1.0, eps, l2, keep };
            let written = [&param.var, &self.memory.slot(param, "m")?, &self.memory.slot(param, "v")?];
            match trusted {
                true => apply(&update, written, [g])?,
                false => apply(&Average(update), written, [g])?,
            };
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
        let check = Check::optimizer("radam");
        check.share("beta1", self.beta1)?;
        check.share("beta2", self.beta2)?;
        check.positive("eps", self.eps)?;
        check.not_negative("weight_decay", self.weight_decay)
    }
}
