//! Stochastic gradient descent, as `torch.optim.SGD` with dampening 0.

use super::{Optimizer, State, fused};
use crate::error::{Error, Result};
use crate::params::{Gradients, Params};
use serde::{Deserialize, Serialize};
use std::collections::btree_map::Entry;

/// `v ← μ·v + (g + λ·p)`, `p ← p − lr·v`; with Nesterov `p ← p − lr·(g + λ·p + μ·v)`.
///
/// | field | default | range |
/// |---|---|---|
/// | `momentum` | 0.9 | μ in 0..1 |
/// | `nesterov` | true | needs momentum |
/// | `weight_decay` | 5e-4 | λ ≥ 0, added to the gradient |
///
/// Sutskever et al., "On the importance of initialization and momentum in deep learning", 2013.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Sgd {
    /// μ.
    pub momentum: f64,
    /// Looks ahead by one step of the momentum.
    pub nesterov: bool,
    /// λ.
    pub weight_decay: f64,
    #[serde(skip)]
    velocity: State,
}

impl Default for Sgd {
    fn default() -> Self {
        Self { momentum: 0.9, nesterov: true, weight_decay: 5e-4, velocity: State::new() }
    }
}

impl Optimizer for Sgd {
    fn step(&mut self, params: &Params, gradients: &Gradients, lr: f64) -> candle_core::Result<()> {
        for (param, gradient) in params.0.iter().zip(&gradients.0) {
            let p = param.var.as_detached_tensor();
            let decay = if param.decay { self.weight_decay } else { 0.0 };
            if self.momentum != 0.0 && fused::fits(&[&p, gradient]) {
                let v = match self.velocity.entry(param.name.clone()) {
                    Entry::Occupied(v) => v.into_mut(),
                    Entry::Vacant(v) => v.insert(p.zeros_like()?),
                };
                let (mu, lr) = (self.momentum as f32, (lr * param.lr_scale) as f32);
                let (decay, nesterov) = (decay as f32, self.nesterov);
                fused::update1(&p, gradient, v, |p, g, v| {
                    let g = g + decay * *p;
                    *v = mu * *v + g;
                    *p -= lr * if nesterov { g + mu * *v } else { *v };
                })?;
                continue;
            }
            let g = if decay == 0.0 { gradient.clone() } else { (gradient + (&p * decay)?)? };
            let step = if self.momentum == 0.0 {
                g
            } else {
                let v = match self.velocity.get(&param.name) {
                    Some(v) => ((v * self.momentum)? + &g)?,
                    None => g.clone(),
                };
                let step = if self.nesterov { (g + (&v * self.momentum)?)? } else { v.clone() };
                self.velocity.insert(param.name.clone(), v);
                step
            };
            param.var.set(&(p - (step * (lr * param.lr_scale))?)?)?;
        }
        Ok(())
    }

    fn state(&self) -> State {
        fused::snapshot(&self.velocity)
    }

    fn restore(&mut self, state: State) -> candle_core::Result<()> {
        self.velocity = fused::snapshot(&state);
        Ok(())
    }

    fn validate(&self) -> Result<()> {
        let wrong = |why: String| Err(Error::Invalid(format!("optimizer 'sgd': {why}")));
        match self {
            _ if !(0.0..1.0).contains(&self.momentum) => {
                wrong(format!("momentum must be in 0..1, got {}", self.momentum))
            }
            _ if self.nesterov && self.momentum == 0.0 => wrong("nesterov needs momentum".into()),
            _ if !(self.weight_decay >= 0.0 && self.weight_decay.is_finite()) => {
                wrong(format!("weight_decay must be at least 0, got {}", self.weight_decay))
            }
            _ => Ok(()),
        }
    }
}
