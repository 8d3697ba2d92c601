//! Averages of weights: while they change, at the end, of several runs.

mod ema;
mod soup;
mod swa;

pub use ema::{Ema, Rise};
pub use soup::{Soup, greedy_soup, mean};
pub use swa::Swa;

use crate::optim::rule::{Number, Rule, apply};
use crate::params::variables;
use candle_core::{Result, Tensor, Var};
use candle_nn::VarMap;
use std::collections::BTreeMap;

/// Copies of all variables that follow them slowly.
struct Shadow(BTreeMap<String, Var>);

struct Blend(f64);

impl Rule<1, 1> for Blend {
    fn at<N: Number>(&self, [old]: [N; 1], [new]: [N; 1]) -> ([N; 1], [N; 0]) {
        ([old.blend(new, self.0)], [])
    }
}

impl Shadow {
    fn of(vars: &VarMap) -> Result<Self> {
        Self::from(crate::checkpoint::copies(vars)?)
    }

    fn from(tensors: BTreeMap<String, Tensor>) -> Result<Self> {
        let vars = tensors.into_iter().map(|(name, t)| Ok((name, Var::from_tensor(&t.detach())?)));
        Ok(Self(vars.collect::<Result<_>>()?))
    }

    /// `keep` of what was, the rest of the current values.
    fn blend(&mut self, vars: &VarMap, keep: f64) -> Result<()> {
        for (name, var) in variables(vars) {
            if let Some(shadow) = self.0.get(&name) {
                apply(&Blend(keep), [shadow], [&var.as_detached_tensor()])?;
            }
        }
        Ok(())
    }

    /// Exchanges averages and current values; a second call undoes it.
    fn swap(&self, vars: &VarMap) -> Result<()> {
        for (name, var) in variables(vars) {
            if let Some(shadow) = self.0.get(&name) {
                let current = var.as_detached_tensor().copy()?;
                var.set(&shadow.as_detached_tensor())?;
                shadow.set(&current)?;
            }
        }
        Ok(())
    }

    fn copies(&self) -> Result<BTreeMap<String, Tensor>> {
        self.0.iter().map(|(name, var)| Ok((name.clone(), var.as_detached_tensor().copy()?))).collect()
    }
}
