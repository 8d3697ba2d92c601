//! Generalized mean: Radenovic et al., "Fine-tuning CNN image retrieval with no human annotation", 2018 (arXiv 1711.02512).
//!
//! Reference implementation: filipradenovic/cnnimageretrieval-pytorch, one exponent for all channels.

use super::{Pooling, wide};
use crate::error::{Error, Result};
use crate::layers::Variables;
use crate::onnx::{Graph, Value};
use crate::ops::{Pool, global_pool};
use crate::parts::Part;
use crate::pass::Pass;
use candle_core::Tensor;
use candle_nn::Init;
use serde::{Deserialize, Serialize};

/// `(mean(max(x, eps)^p))^(1/p)`: the mean for p = 1, the maximum for large p.
///
/// | field | default | range |
/// |---|---|---|
/// | `p` | 3 | above 0, where the trained exponent starts |
/// | `eps` | 1e-6 | above 0 |
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Gem {
    /// Where the exponent starts.
    pub p: f64,
    /// Smaller values count as this one.
    pub eps: f64,
}

impl Default for Gem {
    fn default() -> Self {
        Self { p: 3.0, eps: 1e-6 }
    }
}

struct Built {
    p: Tensor,
    eps: f64,
}

impl Part<dyn Pooling, usize> for Gem {
    fn check(&self) -> Result<()> {
        match [self.p, self.eps].iter().all(|v| *v > 0.0 && v.is_finite()) {
            true => Ok(()),
            false => Err(Error::Invalid(format!("gem: p and eps must be above 0, got {} and {}", self.p, self.eps))),
        }
    }

    fn build(&self, _: usize, vars: &mut Variables<'_>) -> Result<Box<dyn Pooling>> {
        Ok(Box::new(Built { p: vars.weight("p", 1, Init::Const(self.p))?, eps: self.eps }))
    }
}

impl Pooling for Built {
    fn forward(&self, map: &Tensor, pass: &Pass<'_>) -> candle_core::Result<Tensor> {
        let x = wide(map)?;
        let p = pass.parameter(&self.p).to_dtype(x.dtype())?;
        // Chosen as PyTorch's clamp: candle's own halves the gradient at the bound.
        let x = x.ge(self.eps)?.where_cond(&x, &x.zeros_like()?.affine(0.0, self.eps)?)?;
        let powers = x.log()?.broadcast_mul(&p)?.exp()?;
        let mean = global_pool(&powers, Pool::Avg)?.flatten_from(1)?;
        mean.log()?.broadcast_div(&p)?.exp()
    }

    fn onnx(&self, graph: &mut Graph, map: &Value) -> Result<Vec<Value>> {
        let p = graph.numbers(&self.p)?;
        let eps = graph.scalar(self.eps as f32);
        let x = graph.node("Max", &[map, &eps], &[]);
        let log = graph.node("Log", &[&x], &[]);
        let times = graph.node("Mul", &[&log, &p], &[]);
        let powers = graph.node("Exp", &[&times], &[]);
        let mean = graph.mean(&powers);
        let log = graph.node("Log", &[&mean], &[]);
        let share = graph.node("Div", &[&log, &p], &[]);
        Ok(vec![graph.node("Exp", &[&share], &[])])
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use candle_core::Device;

    #[test]
    fn four_values_have_the_published_mean() {
        let map = Tensor::new(&[1f64, 2.0, 3.0, 4.0], &Device::Cpu).unwrap().reshape((1, 2, 2, 1)).unwrap();
        let gem = Built { p: Tensor::new(&[3f64], &Device::Cpu).unwrap(), eps: 1e-6 };
        let mean = gem.forward(&map, &Pass::eval()).unwrap().to_vec2::<f64>().unwrap()[0][0];
        assert!((mean - 2.924_018).abs() < 5e-7, "{mean}");
    }
}
