//! The mean of several views: of features, or with `behind` of logits (the RxRx1 competition averages its two sites so).

use super::{Join, Sizes};
use crate::error::Result;
use crate::layers::Variables;
use crate::onnx::{Graph, Value};
use crate::parts::Part;
use crate::pass::Pass;
use candle_core::Tensor;
use serde::{Deserialize, Serialize};

/// Mean over the views.
///
/// | field | default | range |
/// |---|---|---|
/// | `behind` | false | whether outputs of the head are joined, not features |
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Mean {
    /// Whether outputs of the head are joined, not features.
    pub behind: bool,
}

impl Part<dyn Join, Sizes> for Mean {
    fn build(&self, _: Sizes, _: &mut Variables<'_>) -> Result<Box<dyn Join>> {
        Ok(Box::new(self.clone()))
    }
}

impl Join for Mean {
    fn forward(&self, views: &Tensor, _: &Pass<'_>) -> candle_core::Result<Tensor> {
        views.mean(1)
    }

    fn behind(&self) -> bool {
        self.behind
    }

    fn onnx(&self, graph: &mut Graph, views: &Value, _: (usize, usize)) -> Result<Value> {
        Ok(graph.reduced("ReduceMean", views, 1, false))
    }
}
