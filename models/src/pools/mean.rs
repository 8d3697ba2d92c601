//! Global average: Lin et al., "Network in network", 2013 (arXiv 1312.4400).

use super::Pooling;
use crate::error::Result;
use crate::layers::Variables;
use crate::onnx::{Graph, Value};
use crate::ops::{Pool, global_pool};
use crate::parts::Part;
use crate::pass::Pass;
use candle_core::Tensor;
use serde::{Deserialize, Serialize};

/// Mean over the map; no parameters.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Mean {}

impl Part<dyn Pooling, usize> for Mean {
    fn build(&self, _: usize, _: &mut Variables<'_>) -> Result<Box<dyn Pooling>> {
        Ok(Box::new(Self {}))
    }
}

impl Pooling for Mean {
    fn forward(&self, map: &Tensor, _: &Pass<'_>) -> candle_core::Result<Tensor> {
        global_pool(map, Pool::Avg)?.flatten_from(1)
    }

    fn onnx(&self, graph: &mut Graph, map: &Value) -> Result<Vec<Value>> {
        Ok(vec![graph.mean(map)])
    }
}
