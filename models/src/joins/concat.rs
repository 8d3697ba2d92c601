//! Features of all views side by side: for views that have an order, such as the left and the right eye.

use super::{Join, Sizes};
use crate::error::Result;
use crate::layers::Variables;
use crate::onnx::{Graph, Value};
use crate::parts::Part;
use crate::pass::Pass;
use candle_core::Tensor;
use serde::{Deserialize, Serialize};

/// Side by side; no parameters.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Concat {}

struct Built {
    views: usize,
}

impl Part<dyn Join, Sizes> for Concat {
    fn build(&self, sizes: Sizes, _: &mut Variables<'_>) -> Result<Box<dyn Join>> {
        Ok(Box::new(Built { views: sizes.views }))
    }
}

impl Join for Built {
    fn forward(&self, views: &Tensor, _: &Pass<'_>) -> candle_core::Result<Tensor> {
        views.flatten_from(1)
    }

    fn widened(&self, features: usize) -> usize {
        self.views * features
    }

    fn onnx(&self, graph: &mut Graph, views: &Value, _: (usize, usize)) -> Result<Value> {
        Ok(graph.flat(views))
    }
}
