//! Mean and maximum side by side, in timm's order (`catavgmax`); fastai's `AdaptiveConcatPool2d` has the maximum first.

use super::Pooling;
use crate::error::Result;
use crate::layers::Variables;
use crate::onnx::{Graph, Value};
use crate::ops::{Pool, global_pool};
use crate::parts::Part;
use crate::pass::Pass;
use candle_core::Tensor;
use serde::{Deserialize, Serialize};

/// `[mean, maximum]`, twice as wide as the map; no parameters.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Concat {}

impl Part<dyn Pooling, usize> for Concat {
    fn build(&self, _: usize, _: &mut Variables<'_>) -> Result<Box<dyn Pooling>> {
        Ok(Box::new(Self {}))
    }
}

impl Pooling for Concat {
    fn forward(&self, map: &Tensor, _: &Pass<'_>) -> candle_core::Result<Tensor> {
        Tensor::cat(&[global_pool(map, Pool::Avg)?, global_pool(map, Pool::Max)?], 3)?.flatten_from(1)
    }

    fn parts(&self) -> usize {
        2
    }

    fn onnx(&self, graph: &mut Graph, map: &Value) -> Result<Vec<Value>> {
        Ok(vec![graph.mean(map), graph.node("GlobalMaxPool", &[map], &[])])
    }
}
