//! Mean of a map weighted by a mask: Mader, "InceptionV3 for Retinopathy", Kaggle 2018.
//!
//! Batch norm, dropout, 1×1 convolutions with ReLU, one more to a sigmoid: the mask m of each pixel. The pool is
//! mean(m · x) / mean(m) over the normed map x. What differs: PyTorch's constants in the batch norm, not Keras's.

use super::{Pooling, wide};
use crate::error::{Error, Result};
use crate::layers::{BatchNorm, Dense, Variables, dropped};
use crate::onnx::{Graph, Value};
use crate::ops::{Act, Pool, activate, global_pool, relu};
use crate::parts::Part;
use crate::pass::Pass;
use candle_core::Tensor;
use serde::{Deserialize, Serialize};

/// A mean that knows where to look.
///
/// | field | default | range |
/// |---|---|---|
/// | `hidden` | 64, 16, 8 | channels of the convolutions before the mask |
/// | `dropout` | 0.5 | 0..1, before the first of them |
/// | `norm` | true | batch norm of the map |
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Attention {
    /// Channels of the convolutions before the mask.
    pub hidden: Vec<usize>,
    /// Before the first of them.
    pub dropout: f64,
    /// Batch norm of the map.
    pub norm: bool,
}

impl Default for Attention {
    fn default() -> Self {
        Self { hidden: vec![64, 16, 8], dropout: 0.5, norm: true }
    }
}

struct Built {
    norm: Option<BatchNorm>,
    hidden: Vec<Dense>,
    mask: Dense,
    dropout: f64,
}

impl Part<dyn Pooling, usize> for Attention {
    fn check(&self) -> Result<()> {
        match (0.0..1.0).contains(&self.dropout) && !self.hidden.contains(&0) {
            true => Ok(()),
            false => Err(Error::Invalid(
                "attention pool: dropout must be in 0..1, and every hidden layer needs at least one channel".into(),
            )),
        }
    }

    fn build(&self, features: usize, vars: &mut Variables<'_>) -> Result<Box<dyn Pooling>> {
        let norm = if self.norm { Some(BatchNorm::new(vars, "norm", features)?) } else { None };
        let mut hidden = vec![];
        let mut reads = features;
        for (i, &width) in self.hidden.iter().enumerate() {
            hidden.push(Dense::new(vars, &format!("hidden.{i}"), [reads, width], true)?);
            reads = width;
        }
        Ok(Box::new(Built { norm, hidden, mask: Dense::new(vars, "mask", [reads, 1], true)?, dropout: self.dropout }))
    }
}

impl Pooling for Built {
    fn forward(&self, map: &Tensor, pass: &Pass<'_>) -> candle_core::Result<Tensor> {
        let (b, h, w, f) = map.dims4()?;
        let rows = wide(map)?.reshape((b * h * w, f))?;
        let rows = match &self.norm {
            Some(norm) => norm.forward(&rows, pass)?,
            None => rows,
        };
        let mut y = dropped(&rows, self.dropout, pass, "pool.dropout")?;
        for layer in &self.hidden {
            y = relu(&layer.forward(&y, pass)?)?;
        }
        let mask = activate(&self.mask.forward(&y, pass)?, Act::Sigmoid)?;
        let seen = global_pool(&rows.broadcast_mul(&mask)?.reshape((b, h, w, f))?, Pool::Avg)?;
        let share = global_pool(&mask.reshape((b, h, w, 1))?, Pool::Avg)?;
        seen.broadcast_div(&share)?.flatten_from(1)
    }

    fn onnx(&self, graph: &mut Graph, map: &Value) -> Result<Vec<Value>> {
        let map = match &self.norm {
            Some(norm) => norm.onnx(graph, map)?,
            None => map.clone(),
        };
        let mut y = map.clone();
        for layer in &self.hidden {
            let seen = layer.map_onnx(graph, &y)?;
            y = graph.act(&seen, Act::Relu);
        }
        let mask = self.mask.map_onnx(graph, &y)?;
        let mask = graph.act(&mask, Act::Sigmoid);
        let seen = graph.node("Mul", &[&map, &mask], &[]);
        let (seen, share) = (graph.mean(&seen), graph.mean(&mask));
        Ok(vec![graph.node("Div", &[&seen, &share], &[])])
    }
}
