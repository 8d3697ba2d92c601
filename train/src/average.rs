//! Exponential moving average of the weights and running statistics.

use crate::params::variables;
use candle_core::{Result, Tensor, Var};
use candle_nn::VarMap;
use std::collections::BTreeMap;

/// `θ' ← d·θ' + (1 − d)·θ` after every step, with `d = min(decay, (1 + n) / (10 + n))` after `n` steps
/// (Polyak & Juditsky 1992; the warm-up is TensorFlow's, timm averages running statistics too).
pub struct Ema {
    decay: f64,
    steps: usize,
    shadow: BTreeMap<String, Tensor>,
}

impl Ema {
    /// Starts at the current values of `vars`; `decay` in 0..1.
    pub fn new(vars: &VarMap, decay: f64) -> Result<Self> {
        let shadow = variables(vars).into_iter().map(|(name, var)| Ok((name, var.as_detached_tensor().copy()?)));
        Ok(Self { decay, steps: 0, shadow: shadow.collect::<Result<_>>()? })
    }

    /// Takes in the current values.
    pub fn update(&mut self, vars: &VarMap) -> Result<()> {
        self.steps += 1;
        let n = self.steps as f64;
        let decay = self.decay.min((1.0 + n) / (10.0 + n));
        for (name, var) in variables(vars) {
            if let Some(shadow) = self.shadow.get_mut(&name) {
                *shadow = ((&*shadow * decay)? + (var.as_detached_tensor() * (1.0 - decay))?)?;
            }
        }
        Ok(())
    }

    /// Exchanges averages and current values; a second call undoes it.
    pub fn swap(&mut self, vars: &VarMap) -> Result<()> {
        for (name, var) in variables(vars) {
            if let Some(shadow) = self.shadow.get_mut(&name) {
                exchange(&var, shadow)?;
            }
        }
        Ok(())
    }

    /// The averages, and after how many steps.
    pub fn state(&self) -> (&BTreeMap<String, Tensor>, usize) {
        (&self.shadow, self.steps)
    }

    /// Takes back what [`Ema::state`] gave.
    pub fn restore(&mut self, shadow: BTreeMap<String, Tensor>, steps: usize) {
        (self.shadow, self.steps) = (shadow, steps);
    }
}

fn exchange(var: &Var, other: &mut Tensor) -> Result<()> {
    let current = var.as_detached_tensor().copy()?;
    var.set(other)?;
    *other = current;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use candle_core::{DType, Device};
    use candle_nn::Init;

    /// 1, then 2 and 3 with decay 0.9 and no warm-up left: 1.1 and 1.29.
    #[test]
    fn averages_follow_the_formula_and_swap_back() {
        let vars = VarMap::new();
        vars.get(1, "w", Init::Const(1.0), DType::F64, &Device::Cpu).unwrap();
        let var = variables(&vars)["w"].clone();
        let mut ema = Ema::new(&vars, 0.9).unwrap();
        ema.steps = 1000;
        let read = |ema: &Ema| ema.shadow["w"].to_vec1::<f64>().unwrap()[0];
        for (value, want) in [(2.0, 1.1), (3.0, 1.29)] {
            var.set(&Tensor::new(&[value], &Device::Cpu).unwrap()).unwrap();
            ema.update(&vars).unwrap();
            assert!((read(&ema) - want).abs() < 1e-12);
        }
        ema.swap(&vars).unwrap();
        assert!((var.to_vec1::<f64>().unwrap()[0] - 1.29).abs() < 1e-12);
        ema.swap(&vars).unwrap();
        assert_eq!(var.to_vec1::<f64>().unwrap(), [3.0]);
    }

    #[test]
    fn early_averages_trust_new_values() {
        let vars = VarMap::new();
        vars.get(1, "w", Init::Const(0.0), DType::F64, &Device::Cpu).unwrap();
        let mut ema = Ema::new(&vars, 0.999).unwrap();
        variables(&vars)["w"].set(&Tensor::new(&[1.0], &Device::Cpu).unwrap()).unwrap();
        ema.update(&vars).unwrap();
        assert!((ema.shadow["w"].to_vec1::<f64>().unwrap()[0] - (1.0 - 2.0 / 11.0)).abs() < 1e-12);
    }
}
