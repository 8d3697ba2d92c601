//! Adaptive sharpness-aware minimization, as davda54's `sam.py` with `adaptive=True` and the authors' η.

use super::lookahead::OF;
use super::sam::Climb;
use super::{Inner, Optimizer, Pace, Sgd, State};
use crate::error::{Check, Result};
use crate::params::{Gradients, Params};
use serde::{Deserialize, Serialize};

/// The inner optimizer steps from `p` with the gradient at `p + ρ·T²g/‖Tg‖`, where `T = |p| + η`, number by number; the norm
/// is that of all parameters together.
///
/// | field | default | range |
/// |---|---|---|
/// | `of` | "sgd" | the inner optimizer |
/// | `rho` | 0.5 | ρ > 0 |
/// | `eta` | 0.01 | η ≥ 0 |
///
/// Kwon et al., "ASAM: adaptive sharpness-aware minimization for scale-invariant learning of deep neural networks", 2021.
#[derive(Debug, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Asam {
    /// The inner optimizer.
    pub of: Inner,
    /// ρ.
    pub rho: f64,
    /// η.
    pub eta: f64,
    #[serde(skip)]
    climb: Climb,
}

impl Default for Asam {
    fn default() -> Self {
        Self { of: Inner::of::<Sgd>("sgd"), rho: 0.5, eta: 0.01, climb: Climb::default() }
    }
}

impl Optimizer for Asam {
    fn step(&mut self, params: &Params, gradients: &Gradients, pace: Pace) -> candle_core::Result<()> {
        self.climb.back(params)?;
        self.of.optimizer.step(params, gradients, pace)
    }

    fn climbs(&self) -> bool {
        true
    }

    fn climb(&mut self, params: &Params, gradients: &Gradients) -> candle_core::Result<()> {
        self.climb.up(params, gradients, self.rho, Some(self.eta))
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
        let check = Check::optimizer("asam");
        check.positive("rho", self.rho)?;
        check.not_negative("eta", self.eta)?;
        check.that(!self.of.optimizer.climbs(), || "of must be one that does not climb itself".into())
    }
}
