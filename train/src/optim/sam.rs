//! Sharpness-aware minimization, as davda54's `sam.py`.

use super::lookahead::OF;
use super::memory::Memory;
use super::rule::{Number, Rule, apply};
use super::{Inner, Optimizer, Pace, Sgd, State};
use crate::error::{Check, Result};
use crate::params::{Gradients, Params};
use serde::{Deserialize, Serialize};

/// The inner optimizer steps from `p` with the gradient at `p + ρ·g/‖g‖`; the norm is that of all gradients together.
///
/// | field | default | range |
/// |---|---|---|
/// | `of` | "sgd" | the inner optimizer |
/// | `rho` | 0.05 | ρ > 0 |
///
/// Foret et al., "Sharpness-aware minimization for efficiently improving generalization", 2021. Twice the time of a step.
#[derive(Debug, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Sam {
    /// The inner optimizer.
    pub of: Inner,
    /// ρ.
    pub rho: f64,
    #[serde(skip)]
    climb: Climb,
}

impl Default for Sam {
    fn default() -> Self {
        Self { of: Inner::of::<Sgd>("sgd"), rho: 0.05, climb: Climb::default() }
    }
}

/// Where the weights were before the climb. Nothing of it outlives a step, so it is in no state.
#[derive(Debug, Default)]
pub(super) struct Climb {
    start: Memory,
    up: bool,
}

/// A step uphill; `eta` makes it adaptive.
struct Ascent {
    scale: f64,
    eta: Option<f64>,
}

impl Ascent {
    /// The gradient in the neighbourhood's own units, one for p itself or |p| + η.
    fn unit<N: Number>(&self, p: &N, g: N) -> N {
        match self.eta {
            Some(eta) => (p.clone().abs() + eta) * g,
            None => g,
        }
    }
}

impl Rule<0, 2, 1> for Ascent {
    fn at<N: Number>(&self, []: [N; 0], [p, g]: [N; 2]) -> ([N; 0], [N; 1]) {
        ([], [self.unit(&p, g).square()])
    }
}

impl Rule<2, 1> for Ascent {
    fn at<N: Number>(&self, [p, _]: [N; 2], [g]: [N; 1]) -> ([N; 2], [N; 0]) {
        let step = self.unit(&p, self.unit(&p, g)) * self.scale;
        ([p.clone() + step, p], [])
    }
}

struct Back;

impl Rule<1, 1> for Back {
    fn at<N: Number>(&self, _: [N; 1], [start]: [N; 1]) -> ([N; 1], [N; 0]) {
        ([start], [])
    }
}

impl Climb {
    pub fn up(
        &mut self,
        params: &Params,
        gradients: &Gradients,
        rho: f64,
        eta: Option<f64>,
    ) -> candle_core::Result<()> {
        let mut ascent = Ascent { scale: 0.0, eta };
        let mut sum = 0.0;
        for (param, g) in params.0.iter().zip(&gradients.0) {
            let [square] = apply::<0, 2, 1>(&ascent, [], [&param.var.as_detached_tensor(), g])?;
            sum += square;
        }
        ascent.scale = rho / (sum.sqrt() + 1e-12);
        for (param, g) in params.0.iter().zip(&gradients.0) {
            apply::<2, 1, 0>(&ascent, [&param.var, &self.start.slot(param, "start")?], [g])?;
        }
        self.up = true;
        Ok(())
    }

    pub fn back(&mut self, params: &Params) -> candle_core::Result<()> {
        if self.up {
            for param in &params.0 {
                apply(&Back, [&param.var], [&self.start.slot(param, "start")?.as_detached_tensor()])?;
            }
        }
        self.up = false;
        Ok(())
    }
}

impl Optimizer for Sam {
    fn step(&mut self, params: &Params, gradients: &Gradients, pace: Pace) -> candle_core::Result<()> {
        self.climb.back(params)?;
        self.of.optimizer.step(params, gradients, pace)
    }

    fn climbs(&self) -> bool {
        true
    }

    fn climb(&mut self, params: &Params, gradients: &Gradients) -> candle_core::Result<()> {
        self.climb.up(params, gradients, self.rho, None)
    }

    fn descend(&mut self, params: &Params) -> candle_core::Result<()> {
        self.climb.back(params)
    }

    fn state(&self) -> candle_core::Result<State> {
        self.of.state(OF)
    }

    fn restore(&mut self, mut state: State) -> candle_core::Result<()> {
        self.of.restore(OF, &mut state)
    }

    fn validate(&self) -> Result<()> {
        let check = Check::optimizer("sam");
        check.positive("rho", self.rho)?;
        check.that(!self.of.optimizer.climbs(), || "of must be one that does not climb itself".into())
    }
}
