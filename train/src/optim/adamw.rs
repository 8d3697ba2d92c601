//! Adam with decoupled weight decay, as `torch.optim.AdamW`.

use super::{Optimizer, State, fused};
use crate::error::{Error, Result};
use crate::params::{Gradients, Params};
use candle_core::{Device, Tensor};
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
#[derive(Clone, Debug, Serialize, Deserialize)]
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
    steps: u32,
    #[serde(skip)]
    moments: State,
}

impl Default for AdamW {
    fn default() -> Self {
        Self { beta1: 0.9, beta2: 0.999, eps: 1e-8, weight_decay: 0.01, steps: 0, moments: State::new() }
    }
}

const STEPS: &str = "steps";

impl Optimizer for AdamW {
    fn step(&mut self, params: &Params, gradients: &Gradients, lr: f64) -> candle_core::Result<()> {
        self.steps += 1;
        let correct = |beta: f64| 1.0 - beta.powi(self.steps as i32);
        let (correct1, correct2) = (correct(self.beta1), correct(self.beta2).sqrt());
        for (param, g) in params.0.iter().zip(&gradients.0) {
            let lr = lr * param.lr_scale;
            let (first, second) = (format!("{}.m", param.name), format!("{}.v", param.name));
            let decay = if param.decay { self.weight_decay } else { 0.0 };
            let p = param.var.as_detached_tensor();
            if fused::fits(&[&p, g]) {
                for name in [&first, &second] {
                    if !self.moments.contains_key(name) {
                        self.moments.insert(name.clone(), p.zeros_like()?);
                    }
                }
                let (beta1, beta2, eps) = (self.beta1 as f32, self.beta2 as f32, self.eps as f32);
                let (keep, rate, correct2) = ((1.0 - lr * decay) as f32, (lr / correct1) as f32, correct2 as f32);
                let state = [&self.moments[&first], &self.moments[&second]];
                fused::update2(&p, g, state, |p, g, m, v| {
                    *m = beta1 * *m + (1.0 - beta1) * g;
                    *v = beta2 * *v + (1.0 - beta2) * (g * g);
                    *p = keep * *p - rate * (*m / (v.sqrt() / correct2 + eps));
                })?;
                continue;
            }
            let blend = |old: Option<&Tensor>, new: Tensor, beta: f64| match old {
                Some(old) => (old * beta)? + (new * (1.0 - beta))?,
                None => new * (1.0 - beta),
            };
            let m = blend(self.moments.get(&first), g.clone(), self.beta1)?;
            let v = blend(self.moments.get(&second), g.sqr()?, self.beta2)?;
            let denominator = ((v.sqrt()? / correct2)? + self.eps)?;
            let step = ((&m / denominator)? * (lr / correct1))?;
            param.var.set(&((param.var.as_detached_tensor() * (1.0 - lr * decay))? - step)?)?;
            self.moments.insert(first, m);
            self.moments.insert(second, v);
        }
        Ok(())
    }

    fn state(&self) -> State {
        let mut state = fused::snapshot(&self.moments);
        if let Ok(steps) = Tensor::new(self.steps, &Device::Cpu) {
            state.insert(STEPS.into(), steps);
        }
        state
    }

    fn restore(&mut self, mut state: State) -> candle_core::Result<()> {
        self.steps = state.remove(STEPS).map_or(Ok(0), |t| t.to_scalar())?;
        self.moments = fused::snapshot(&state);
        Ok(())
    }

    fn validate(&self) -> Result<()> {
        let wrong = |why: String| Err(Error::Invalid(format!("optimizer 'adamw': {why}")));
        for (name, beta) in [("beta1", self.beta1), ("beta2", self.beta2)] {
            if !(0.0..1.0).contains(&beta) {
                return wrong(format!("{name} must be in 0..1, got {beta}"));
            }
        }
        match self {
            _ if !(self.eps > 0.0 && self.eps.is_finite()) => wrong(format!("eps must be positive, got {}", self.eps)),
            _ if !(self.weight_decay >= 0.0 && self.weight_decay.is_finite()) => {
                wrong(format!("weight_decay must be at least 0, got {}", self.weight_decay))
            }
            _ => Ok(()),
        }
    }
}
