//! The first position of the map: the class token of Dosovitskiy et al., "An image is worth 16x16 words", 2020
//! (arXiv 2010.11929).

use super::Pooling;
use crate::error::Result;
use crate::layers::Variables;
use crate::onnx::{Graph, Value};
use crate::parts::Part;
use crate::pass::Pass;
use candle_core::Tensor;
use serde::{Deserialize, Serialize};

/// What stands in the first row and column; no parameters.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Token {}

impl Part<dyn Pooling, usize> for Token {
    fn build(&self, _: usize, _: &mut Variables<'_>) -> Result<Box<dyn Pooling>> {
        Ok(Box::new(Self {}))
    }
}

impl Pooling for Token {
    fn forward(&self, map: &Tensor, _: &Pass<'_>) -> candle_core::Result<Tensor> {
        map.narrow(1, 0, 1)?.narrow(2, 0, 1)?.flatten_from(1)
    }

    fn onnx(&self, graph: &mut Graph, map: &Value) -> Result<Vec<Value>> {
        let row = graph.slice(map, 2, 0, 1);
        Ok(vec![graph.slice(&row, 3, 0, 1)])
    }
}
