//! RMSprop, as `torch.optim.RMSprop` and as TensorFlow's (timm `rmsprop_tf`).

use super::memory::Memory;
use super::rule::{Number, Rule, apply};
use super::{Optimizer, Pace, State};
use crate::error::{Check, Result};
use crate::params::{Gradients, Params};
use serde::{Deserialize, Serialize};

/// `g ← g + λp`, `s ← αs + (1−α)g²`, centered also `a ← αa + (1−α)g`; `d = √(s − a²) + ε`; `p ← p − lr·g/d`, with momentum
/// `b ← μb + g/d`, `p ← p − lr·b`. TensorFlow's has `d = √(s − a² + ε)`, starts with s = 1 and keeps the learning rate in b.
///
/// | field | default | range |
/// |---|---|---|
/// | `alpha` | 0.99 | 0..1; papers with TensorFlow's have 0.9 |
/// | `eps` | 1e-8 | > 0; TensorFlow's in EfficientNet 1e-3 |
/// | `momentum` | 0 | μ in 0..1 |
/// | `centered` | false | |
/// | `weight_decay` | 0 | λ ≥ 0 |
/// | `tensorflow` | false | |
///
/// Tieleman & Hinton, "Lecture 6.5: RMSProp", 2012; centered: Graves 2013.
#[derive(Debug, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct RmsProp {
    /// α.
    pub alpha: f64,
    /// ε.
    pub eps: f64,
    /// μ.
    pub momentum: f64,
    /// Divides by the standard deviation instead of the root mean square.
    pub centered: bool,
    /// λ.
    pub weight_decay: f64,
    /// TensorFlow's instead of PyTorch's.
    pub tensorflow: bool,
    #[serde(skip)]
    memory: Memory,
}

impl Default for RmsProp {
    fn default() -> Self {
        let (centered, tensorflow, memory) = (false, false, Memory::default());
        Self { alpha: 0.99, eps: 1e-8, momentum: 0.0, centered, weight_decay: 0.0, tensorflow, memory }
    }
}

struct Update {
    alpha: f64,
    l2: f64,
    mu: f64,
    /// ε within and behind the root.
    eps: [f64; 2],
    /// Learning rates on the way into the momentum and out of it.
    rates: [f64; 2],
}

impl Update {
    /// g with weight decay.
    fn gradient<N: Number>(&self, p: &N, g: N) -> N {
        g + p.clone() * self.l2
    }
    fn scaled<N: Number>(&self, g: N, spread: N) -> N {
        g / ((spread + self.eps[0]).sqrt() + self.eps[1]) * self.rates[0]
    }
}

impl Rule<2, 1> for Update {
    fn at<N: Number>(&self, [p, s]: [N; 2], [g]: [N; 1]) -> ([N; 2], [N; 0]) {
        let g = self.gradient(&p, g);
        let s = s.blend(g.clone().square(), self.alpha);
        ([p - self.scaled(g, s.clone()) * self.rates[1], s], [])
    }
}

/// With momentum.
impl Rule<3, 1> for Update {
    fn at<N: Number>(&self, [p, s, b]: [N; 3], [g]: [N; 1]) -> ([N; 3], [N; 0]) {
        let g = self.gradient(&p, g);
        let s = s.blend(g.clone().square(), self.alpha);
        let b = b * self.mu + self.scaled(g, s.clone());
        ([p - b.clone() * self.rates[1], s, b], [])
    }
}

/// Centered; without momentum μ is 0.
impl Rule<4, 1> for Update {
    fn at<N: Number>(&self, [p, s, b, a]: [N; 4], [g]: [N; 1]) -> ([N; 4], [N; 0]) {
        let g = self.gradient(&p, g);
        let (s, a) = (s.blend(g.clone().square(), self.alpha), a.blend(g.clone(), self.alpha));
        // Of gradients that do not change the difference may be rounded below 0.
        let b = b * self.mu + self.scaled(g, (s.clone() - a.clone().square()).positive());
        ([p - b.clone() * self.rates[1], s, b, a], [])
    }
}

impl Optimizer for RmsProp {
    fn step(&mut self, params: &Params, gradients: &Gradients, pace: Pace) -> candle_core::Result<()> {
        for (param, g) in params.0.iter().zip(&gradients.0) {
            let (lr, l2) = (pace.lr(param), pace.decay(param, self.weight_decay));
            let (eps, rates) =
                if self.tensorflow { ([self.eps, 0.0], [lr, 1.0]) } else { ([0.0, self.eps], [1.0, lr]) };
            let update = Update { alpha: self.alpha, l2, mu: pace.momentum(self.momentum)?, eps, rates };
            let (p, tensorflow) = (&param.var, self.tensorflow);
            let first =
                || if tensorflow { p.as_detached_tensor().ones_like() } else { p.as_detached_tensor().zeros_like() };
            let s = self.memory.slot_or(param, "s", first)?;
            if self.centered {
                apply(&update, [p, &s, &self.memory.slot(param, "b")?, &self.memory.slot(param, "a")?], [g])?;
            } else if self.momentum != 0.0 {
                apply(&update, [p, &s, &self.memory.slot(param, "b")?], [g])?;
            } else {
                apply(&update, [p, &s], [g])?;
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
        let check = Check::optimizer("rmsprop");
        check.share("alpha", self.alpha)?;
        check.positive("eps", self.eps)?;
        check.share("momentum", self.momentum)?;
        check.not_negative("weight_decay", self.weight_decay)
    }
}
