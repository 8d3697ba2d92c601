//! Adam with Nesterov's momentum, as `torch.optim.NAdam`.

use super::memory::Memory;
use super::rule::{Number, Rule, apply};
use super::{Optimizer, Pace, State};
use crate::error::{Check, Result};
use crate::params::{Gradients, Params};
use serde::{Deserialize, Serialize};

/// `μₜ = β₁(1 − ½·0.96^(tψ))`; moments as in Adam;
/// `p ← p − lr · (μₜ₊₁·m / (1 − Πμ up to t+1) + (1 − μₜ)·g / (1 − Πμ up to t)) / (√v̂ + ε)`.
///
/// | field | default | range |
/// |---|---|---|
/// | `beta1` | 0.9 | 0..1 |
/// | `beta2` | 0.999 | 0..1 |
/// | `eps` | 1e-8 | > 0 |
/// | `momentum_decay` | 4e-3 | ψ ≥ 0 |
/// | `weight_decay` | 0 | λ ≥ 0 |
/// | `decoupled` | false | whether λ shrinks the weights beside the gradient |
///
/// Dozat, "Incorporating Nesterov momentum into Adam", 2016.
#[derive(Debug, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Nadam {
    /// β₁.
    pub beta1: f64,
    /// β₂.
    pub beta2: f64,
    /// ε.
    pub eps: f64,
    /// ψ.
    pub momentum_decay: f64,
    /// λ.
    pub weight_decay: f64,
    /// Whether λ shrinks the weights beside the gradient instead of within it.
    pub decoupled: bool,
    #[serde(skip)]
    memory: Memory,
}

impl Default for Nadam {
    fn default() -> Self {
        let (momentum_decay, memory) = (4e-3, Memory::default());
        Self { beta1: 0.9, beta2: 0.999, eps: 1e-8, momentum_decay, weight_decay: 0.0, decoupled: false, memory }
    }
}

struct Update {
    beta1: f64,
    beta2: f64,
    correct2: f64,
    eps: f64,
    l2: f64,
    keep: f64,
    /// Of the gradient and of its average.
    rates: [f64; 2],
}

impl Rule<3, 1> for Update {
    fn at<N: Number>(&self, [p, m, v]: [N; 3], [g]: [N; 1]) -> ([N; 3], [N; 0]) {
        let g = g + p.clone() * self.l2;
        let m = m.blend(g.clone(), self.beta1);
        let v = v.blend(g.clone().square(), self.beta2);
        let step = (g * self.rates[0] + m.clone() * self.rates[1]) / (v.clone().sqrt() * self.correct2 + self.eps);
        ([p * self.keep - step, m, v], [])
    }
}

const PRODUCT: &str = "mu_product";

impl Optimizer for Nadam {
    fn step(&mut self, params: &Params, gradients: &Gradients, pace: Pace) -> candle_core::Result<()> {
        let (t, beta1, beta2, eps) = (self.memory.begin(), pace.momentum(self.beta1)?, self.beta2, self.eps);
        let mu = |t: i32| beta1 * (1.0 - 0.5 * 0.96f64.powf(f64::from(t) * self.momentum_decay));
        let product = self.memory.scalar(PRODUCT, 1.0)? * mu(t);
        let shares = [(1.0 - mu(t)) / (1.0 - product), mu(t + 1) / (1.0 - product * mu(t + 1))];
        self.memory.set_scalar(PRODUCT, product)?;
        let correct2 = (1.0 - beta2.powi(t)).sqrt().recip();
        for (param, g) in params.0.iter().zip(&gradients.0) {
            let (lr, decay) = (pace.lr(param), pace.decay(param, self.weight_decay));
            let (l2, keep) = if self.decoupled { (0.0, 1.0 - lr * decay) } else { (decay, 1.0) };
            let update = Update { beta1, beta2, correct2, eps, l2, keep, rates: shares.map(|s| s * lr) };
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
        let check = Check::optimizer("nadam");
        check.share("beta1", self.beta1)?;
        check.share("beta2", self.beta2)?;
        check.positive("eps", self.eps)?;
        check.not_negative("momentum_decay", self.momentum_decay)?;
        check.not_negative("weight_decay", self.weight_decay)
    }
}
