//! A number as a distribution over bins: Talebi & Milanfar, "NIMA", 2017 (arXiv 1709.05424), ten bins of a score; Gao et al.,
//! "Age estimation using expectation of label distribution learning", 2018, whose loss sees the mean.

use super::{Head, Sizes};
use crate::error::{Error, Result};
use crate::layers::{Dense, Variables};
use crate::onnx::{Attribute, Graph, Value};
use crate::ops::softmax;
use crate::parts::Part;
use crate::pass::Pass;
use candle_core::{Device, Tensor};
use serde::{Deserialize, Serialize};

/// A linear layer to a logit per bin; classes are bins.
///
/// | field | default | range |
/// |---|---|---|
/// | `values` | none | values of the bins, finite; none: 0, 1, .., K − 1 |
/// | `mean` | false | say the mean of the distribution, one number, in place of the logits |
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Distribution {
    /// Values of the bins; none: 0, 1, .., K − 1.
    pub values: Vec<f64>,
    /// Say the mean in place of the logits.
    pub mean: bool,
}

struct Built {
    layer: Dense,
    values: Vec<f64>,
    mean: bool,
}

impl Part<dyn Head, Sizes> for Distribution {
    fn check(&self) -> Result<()> {
        match self.values.iter().all(|v| v.is_finite()) {
            true => Ok(()),
            false => Err(Error::Invalid("distribution: values must be finite".into())),
        }
    }

    fn build(&self, Sizes { inputs, classes, .. }: Sizes, vars: &mut Variables<'_>) -> Result<Box<dyn Head>> {
        let values = match self.values.len() {
            0 => (0..classes).map(|i| i as f64).collect(),
            count if count == classes => self.values.clone(),
            count => {
                let why = format!("distribution: values needs one number per class, got {count} for {classes} classes");
                return Err(Error::Invalid(why));
            }
        };
        Ok(Box::new(Built { layer: Dense::new(vars, "", [inputs, classes], true)?, values, mean: self.mean }))
    }
}

impl Head for Built {
    fn forward(&self, x: &Tensor, pass: &Pass<'_>) -> candle_core::Result<Tensor> {
        let logits = self.layer.forward(x, pass)?;
        if self.mean { expectation(&logits, &self.values)?.unsqueeze(1) } else { Ok(logits) }
    }

    fn outputs(&self) -> usize {
        if self.mean { 1 } else { self.values.len() }
    }

    fn onnx(&self, graph: &mut Graph, rows: &Value) -> Result<Value> {
        let logits = self.layer.onnx(graph, rows)?;
        if !self.mean {
            return Ok(logits);
        }
        let shares = graph.node("Softmax", &[&logits], &[("axis", Attribute::Int(1))]);
        let values = graph.numbers(&Tensor::new(self.values.as_slice(), &Device::Cpu)?.unsqueeze(0)?)?;
        Ok(graph.linear(&shares, &values, None))
    }
}

/// The mean `[B]` of the distribution that `logits` `[B, K]` say over bins of these values.
///
/// # Errors
/// When there is not one value per logit.
pub fn expectation(logits: &Tensor, values: &[f64]) -> candle_core::Result<Tensor> {
    let values = Tensor::new(values, &Device::Cpu)?.to_dtype(logits.dtype())?.to_device(logits.device())?;
    softmax(logits)?.broadcast_mul(&values)?.sum(1)
}
