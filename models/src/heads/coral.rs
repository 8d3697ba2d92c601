//! Ordered classes: Cao et al., "Rank consistent ordinal regression for neural networks", 2020 (arXiv 1901.07884).
//!
//! Reference implementation: Raschka-research-group/coral-pytorch `CoralLayer`, whose thresholds start in order. Output k is
//! the logit of "the class is above k".

use super::{Head, Sizes};
use crate::error::{Error, Result};
use crate::init::Start;
use crate::layers::Variables;
use crate::onnx::{Graph, Value};
use crate::ops::{Act, activate, linear, relu};
use crate::parts::Part;
use crate::pass::Pass;
use candle_core::{D, Tensor};
use candle_nn::Init;
use serde::{Deserialize, Serialize};

/// One weight for all thresholds; no parameters. It says K − 1 logits.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Coral {}

struct Built {
    weight: Tensor,
    bias: Tensor,
    outputs: usize,
}

impl Part<dyn Head, Sizes> for Coral {
    fn build(&self, Sizes { inputs, classes, .. }: Sizes, vars: &mut Variables<'_>) -> Result<Box<dyn Head>> {
        if classes < 2 {
            return Err(Error::Invalid(format!("coral: needs at least two classes, got {classes}")));
        }
        let (outputs, bound) = (classes - 1, 1.0 / (inputs as f64).sqrt());
        vars.count(inputs);
        let weight = vars.weight("weight", (1, inputs), Init::Uniform { lo: -bound, up: bound })?;
        let bias = vars.weight("bias", outputs, Start::Descending)?;
        Ok(Box::new(Built { weight, bias, outputs }))
    }
}

impl Head for Built {
    fn forward(&self, x: &Tensor, pass: &Pass<'_>) -> candle_core::Result<Tensor> {
        linear(x, &pass.parameter(&self.weight), None)?.broadcast_add(&pass.parameter(&self.bias))
    }

    fn outputs(&self) -> usize {
        self.outputs
    }

    fn onnx(&self, graph: &mut Graph, rows: &Value) -> Result<Value> {
        let weight = graph.numbers(&self.weight)?;
        let score = graph.linear(rows, &weight, None);
        let bias = graph.numbers(&self.bias)?;
        Ok(graph.node("Add", &[&score, &bias], &[]))
    }
}

/// Probabilities of the classes `[B, K]` from the K − 1 logits of [`Coral`]: differences of neighbouring thresholds, none
/// below 0 while training has not put the thresholds in order.
///
/// # Errors
/// When `logits` are not `[B, K − 1]`.
pub fn class_probabilities(logits: &Tensor) -> candle_core::Result<Tensor> {
    let (batch, _) = logits.dims2()?;
    let above = activate(logits, Act::Sigmoid)?;
    let edge = |value: f64| Tensor::zeros((batch, 1), above.dtype(), above.device())?.affine(0.0, value);
    let (from, to) = (Tensor::cat(&[&edge(1.0)?, &above], 1)?, Tensor::cat(&[&above, &edge(0.0)?], 1)?);
    let each = relu(&(from - to)?)?;
    each.broadcast_div(&each.sum_keepdim(D::Minus1)?)
}

#[cfg(test)]
mod tests {
    use super::*;
    use candle_core::Device;

    /// Score 0.3, thresholds 1.5, 0.5, −0.5, −1.5.
    #[test]
    fn probabilities_are_differences_of_thresholds() {
        let logits = Tensor::new(&[[1.8f64, 0.8, -0.2, -1.2]], &Device::Cpu).unwrap();
        let above = [0.858_149, 0.689_974, 0.450_166, 0.231_475];
        let classes = class_probabilities(&logits).unwrap().to_vec2::<f64>().unwrap().remove(0);
        let mut rest = 1.0;
        for (class, above) in classes.iter().zip(above) {
            rest -= class;
            assert!((rest - above).abs() < 1e-6, "{classes:?}");
        }
        assert!((classes.iter().sum::<f64>() - 1.0).abs() < 1e-12);
    }
}
