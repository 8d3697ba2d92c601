//! The maximum over several views: Su et al., "Multi-view convolutional neural networks for 3D shape recognition", 2015
//! (arXiv 1505.00880).

use super::{Join, Sizes};
use crate::error::Result;
use crate::layers::Variables;
use crate::onnx::{Graph, Value};
use crate::ops::{Pool, global_pool};
use crate::parts::Part;
use crate::pass::Pass;
use candle_core::Tensor;
use serde::{Deserialize, Serialize};

/// Maximum over the views.
///
/// | field | default | range |
/// |---|---|---|
/// | `behind` | false | whether outputs of the head are joined, not features |
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Max {
    /// Whether outputs of the head are joined, not features.
    pub behind: bool,
}

impl Part<dyn Join, Sizes> for Max {
    fn build(&self, _: Sizes, _: &mut Variables<'_>) -> Result<Box<dyn Join>> {
        Ok(Box::new(self.clone()))
    }
}

impl Join for Max {
    fn forward(&self, views: &Tensor, _: &Pass<'_>) -> candle_core::Result<Tensor> {
        // Of equal views the first gets the gradient.
        global_pool(&views.unsqueeze(2)?, Pool::Max)?.flatten_from(1)
    }

    fn behind(&self) -> bool {
        self.behind
    }

    fn onnx(&self, graph: &mut Graph, views: &Value, _: (usize, usize)) -> Result<Value> {
        Ok(graph.reduced("ReduceMax", views, 1, false))
    }
}
