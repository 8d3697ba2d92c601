//! Stochastic weight averaging, as `torch.optim.swa_utils.AveragedModel`.

use super::Shadow;
use candle_core::{Result, Tensor};
use candle_nn::VarMap;
use std::collections::BTreeMap;

/// The equal average of all weights that it was shown, first of all those of its first update (Izmailov et al., "Averaging
/// weights leads to wider optima and better generalization", 2018). Running statistics are averaged as well; those of the
/// averaged weights must be measured anew, see [`Trainer::with_refresh`](crate::Trainer::with_refresh).
pub struct Swa {
    count: usize,
    shadow: Shadow,
}

impl Swa {
    /// Nothing yet.
    pub fn new(vars: &VarMap) -> Result<Self> {
        Ok(Self { count: 0, shadow: Shadow::of(vars)? })
    }

    /// Takes in the current values.
    pub fn update(&mut self, vars: &VarMap) -> Result<()> {
        self.shadow.blend(vars, self.count as f64 / (self.count + 1) as f64)?;
        self.count += 1;
        Ok(())
    }

    /// Exchanges averages and current values, if there are averages; a second call undoes it.
    pub fn swap(&mut self, vars: &VarMap) -> Result<()> {
        if self.count == 0 { Ok(()) } else { self.shadow.swap(vars) }
    }

    /// Copies of the averages, and of how many weights they are.
    pub fn state(&self) -> Result<(BTreeMap<String, Tensor>, usize)> {
        Ok((self.shadow.copies()?, self.count))
    }

    /// Takes back what [`Swa::state`] gave.
    pub fn restore(&mut self, shadow: BTreeMap<String, Tensor>, count: usize) -> Result<()> {
        (self.shadow, self.count) = (Shadow::from(shadow)?, count);
        Ok(())
    }

    /// How many weights it was shown.
    pub fn count(&self) -> usize {
        self.count
    }
}
