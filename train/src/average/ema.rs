//! Exponential moving average of the weights and running statistics.

use super::Shadow;
use candle_core::{Result, Tensor};
use candle_nn::VarMap;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// `θ' ← d·θ' + (1 − d)·θ` after every step, with a `d` that rises to `decay` (Polyak & Juditsky 1992; timm averages running
/// statistics too).
pub struct Ema {
    decay: f64,
    rise: Rise,
    steps: usize,
    shadow: Shadow,
}

/// How the decay rises with the number n of updates, the current one included.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Rise {
    /// `min(decay, (1 + n) / (10 + n))`, as TensorFlow's `ExponentialMovingAverage`.
    #[default]
    Tensorflow,
    /// `min(decay, 1 − n^(−2/3))`, as timm's `ModelEmaV3` with its warm-up.
    Timm,
    /// Not at all.
    None,
}

impl Rise {
    /// The decay of update `n`, from 1 on.
    pub fn decay(self, decay: f64, n: usize) -> f64 {
        let n = n as f64;
        match self {
            Self::Tensorflow => decay.min((1.0 + n) / (10.0 + n)),
            Self::Timm => decay.min(1.0 - n.powf(-2.0 / 3.0)),
            Self::None => decay,
        }
    }
}

impl Ema {
    /// Starts at the current values of `vars`; `decay` in 0..1.
    pub fn new(vars: &VarMap, decay: f64, rise: Rise) -> Result<Self> {
        Ok(Self { decay, rise, steps: 0, shadow: Shadow::of(vars)? })
    }

    /// Takes in the current values.
    pub fn update(&mut self, vars: &VarMap) -> Result<()> {
        self.steps += 1;
        self.shadow.blend(vars, self.rise.decay(self.decay, self.steps))
    }

    /// Exchanges averages and current values; a second call undoes it.
    pub fn swap(&mut self, vars: &VarMap) -> Result<()> {
        self.shadow.swap(vars)
    }

    /// Copies of the averages, and after how many steps.
    pub fn state(&self) -> Result<(BTreeMap<String, Tensor>, usize)> {
        Ok((self.shadow.copies()?, self.steps))
    }

    /// Takes back what [`Ema::state`] gave.
    pub fn restore(&mut self, shadow: BTreeMap<String, Tensor>, steps: usize) -> Result<()> {
        (self.shadow, self.steps) = (Shadow::from(shadow)?, steps);
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::params::variables;
    use candle_core::{DType, Device};
    use candle_nn::Init;

    /// 1, then 2 and 3 with decay 0.9: 1.1 and 1.29.
    #[test]
    fn averages_follow_the_formula_and_swap_back() {
        let vars = VarMap::new();
        vars.get(1, "w", Init::Const(1.0), DType::F64, &Device::Cpu).unwrap();
        let var = variables(&vars)["w"].clone();
        let mut ema = Ema::new(&vars, 0.9, Rise::None).unwrap();
        let read = |ema: &Ema| ema.shadow.0["w"].to_vec1::<f64>().unwrap()[0];
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
    fn decays_rise() {
        let of = |n| Rise::Tensorflow.decay(0.999, n);
        let wants = [0.1, 2.0 / 11.0, 10.0 / 19.0, 0.91];
        assert!([0, 1, 9, 90].into_iter().zip(wants).all(|(n, want)| (of(n) - want).abs() < 1e-12));
        assert_eq!((of(1_000_000), Rise::Timm.decay(0.9, 1), Rise::Timm.decay(0.9, 1000)), (0.999, 0.0, 0.9));
    }

    #[test]
    fn early_averages_trust_new_values() {
        let vars = VarMap::new();
        vars.get(1, "w", Init::Const(0.0), DType::F64, &Device::Cpu).unwrap();
        let mut ema = Ema::new(&vars, 0.999, Rise::Tensorflow).unwrap();
        variables(&vars)["w"].set(&Tensor::new(&[1.0], &Device::Cpu).unwrap()).unwrap();
        ema.update(&vars).unwrap();
        assert!((ema.shadow.0["w"].to_vec1::<f64>().unwrap()[0] - (1.0 - 2.0 / 11.0)).abs() < 1e-12);
    }
}
