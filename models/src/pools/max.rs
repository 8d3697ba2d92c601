//! Global maximum: Oquab et al., "Is object localization for free?", 2015.

use super::Pooling;
use crate::error::Result;
use crate::layers::Variables;
use crate::onnx::{Graph, Value};
use crate::ops::{Pool, global_pool};
use crate::parts::Part;
use crate::pass::Pass;
use candle_core::Tensor;
use serde::{Deserialize, Serialize};

/// Largest value of each channel; no parameters.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Max {}

impl Part<dyn Pooling, usize> for Max {
    fn build(&self, _: usize, _: &mut Variables<'_>) -> Result<Box<dyn Pooling>> {
        Ok(Box::new(Self {}))
    }
}

impl Pooling for Max {
    fn forward(&self, map: &Tensor, _: &Pass<'_>) -> candle_core::Result<Tensor> {
        global_pool(map, Pool::Max)?.flatten_from(1)
    }

    fn onnx(&self, graph: &mut Graph, map: &Value) -> Result<Vec<Value>> {
        Ok(vec![graph.node("GlobalMaxPool", &[map], &[])])
    }
}
