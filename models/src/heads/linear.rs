//! The head of nearly every published network.

use super::{Head, Sizes};
use crate::error::Result;
use crate::layers::{Dense, Variables};
use crate::onnx::{Graph, Value};
use crate::parts::Part;
use crate::pass::Pass;
use candle_core::Tensor;
use serde::{Deserialize, Serialize};

/// One linear layer; no parameters.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Linear {}

struct Built {
    layer: Dense,
    classes: usize,
}

impl Part<dyn Head, Sizes> for Linear {
    fn build(&self, Sizes { inputs, classes, start }: Sizes, vars: &mut Variables<'_>) -> Result<Box<dyn Head>> {
        Ok(Box::new(Built { layer: Dense::started(vars, "", [inputs, classes], true, start)?, classes }))
    }
}

impl Head for Built {
    fn forward(&self, x: &Tensor, pass: &Pass<'_>) -> candle_core::Result<Tensor> {
        self.layer.forward(x, pass)
    }

    fn outputs(&self) -> usize {
        self.classes
    }

    fn onnx(&self, graph: &mut Graph, rows: &Value) -> Result<Value> {
        self.layer.onnx(graph, rows)
    }
}
