//! Weight penalties beside the optimizer's own decay.

use crate::optim::rule::{Number, Rule, apply};
use crate::params::Params;
use candle_core::Result;

struct Shrink(f64);

impl Rule<1, 0> for Shrink {
    fn at<N: Number>(&self, [p]: [N; 1], []: [N; 0]) -> ([N; 1], [N; 0]) {
        let size = (p.clone().abs() + -self.0).positive();
        ([p.sign() * size], [])
    }
}

/// `p ← sign(p)·max(|p| − lr·λ, 0)` for all parameters that decay: the proximal step of the penalty `λ·|p|₁`, which makes
/// weights exactly zero (Parikh & Boyd, "Proximal algorithms", 2014).
pub fn l1(params: &Params, lr: f64, lambda: f64) -> Result<()> {
    for param in params.0.iter().filter(|param| param.decay) {
        apply(&Shrink(lr * param.lr_scale * lambda), [&param.var], [])?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use candle_core::{DType, Device, Tensor, Var};
    use candle_nn::VarMap;

    #[test]
    fn small_weights_become_zero_and_biases_stay() {
        for dtype in [DType::F64, DType::F32] {
            let vars = VarMap::new();
            for name in ["a.bias", "a.weight"] {
                let start = Tensor::new(&[-1.0, -0.04, 0.0, 0.04, 0.5], &Device::Cpu).unwrap().to_dtype(dtype).unwrap();
                vars.data().lock().unwrap().insert(name.into(), Var::from_tensor(&start).unwrap());
            }
            let params = Params::new(&vars, |_| Some(0.5)).with_decay(|name, _| name.ends_with("weight"));
            l1(&params, 0.1, 1.0).unwrap();
            let read = |i: usize| params.0[i].var.to_dtype(DType::F64).unwrap().to_vec1::<f64>().unwrap();
            let wants = [-0.95, 0.0, 0.0, 0.0, 0.45];
            assert!(read(1).iter().zip(wants).all(|(a, b)| (a - b).abs() < 1e-6), "{:?}", read(1));
            assert!((read(0)[4] - 0.5).abs() < 1e-6);
        }
    }
}
