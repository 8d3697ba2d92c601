//! What an optimizer remembers between steps.

use super::State;
use crate::params::Param;
use candle_core::{Device, Result, Tensor, Var};
use std::collections::BTreeMap;

const STEPS: &str = "steps";

/// Tensors by parameter and key, and the number of steps. They change in place, so copies go out and copies come in.
#[derive(Debug, Default)]
pub(crate) struct Memory {
    steps: u32,
    slots: BTreeMap<String, Var>,
}

impl Memory {
    /// Counts a step; gives its number, from 1 on.
    pub fn begin(&mut self) -> i32 {
        self.steps += 1;
        self.steps as i32
    }

    /// The tensor `key` of `param`, zeros at first.
    pub fn slot(&mut self, param: &Param, key: &str) -> Result<Var> {
        self.slot_or(param, key, || param.var.as_detached_tensor().zeros_like())
    }

    /// The tensor `key` of `param`, a copy of `first` at first.
    pub fn slot_or(&mut self, param: &Param, key: &str, first: impl FnOnce() -> Result<Tensor>) -> Result<Var> {
        let name = format!("{}.{key}", param.name);
        let var = match self.slots.get(&name) {
            Some(var) if var.device().same_device(param.var.device()) => return Ok(var.clone()),
            // Files hold what was on any device.
            Some(var) => Var::from_tensor(&var.as_detached_tensor().to_device(param.var.device())?)?,
            None => Var::from_tensor(&first()?.detach())?,
        };
        self.slots.insert(name, var.clone());
        Ok(var)
    }

    /// A number that is no tensor of a parameter.
    pub fn scalar(&self, key: &str, first: f64) -> Result<f64> {
        self.slots.get(key).map_or(Ok(first), |var| var.as_detached_tensor().to_scalar())
    }

    /// Sets what [`Memory::scalar`] gives.
    pub fn set_scalar(&mut self, key: &str, value: f64) -> Result<()> {
        self.slots.insert(key.into(), Var::new(value, &Device::Cpu)?);
        Ok(())
    }

    /// Copies of everything.
    pub fn state(&self) -> Result<State> {
        let copy = |(name, var): (&String, &Var)| Ok((name.clone(), var.as_detached_tensor().copy()?));
        let mut state = self.slots.iter().map(copy).collect::<Result<State>>()?;
        state.insert(STEPS.into(), Tensor::new(self.steps, &Device::Cpu)?);
        Ok(state)
    }

    /// Takes back what [`Memory::state`] gave.
    pub fn restore(&mut self, mut state: State) -> Result<()> {
        self.steps = state.remove(STEPS).map_or(Ok(0), |t| t.to_scalar())?;
        let vars = state.into_iter().map(|(name, t)| Ok((name, Var::from_tensor(&t.detach())?)));
        self.slots = vars.collect::<Result<_>>()?;
        Ok(())
    }
}
