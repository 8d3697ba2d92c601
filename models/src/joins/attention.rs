//! Attention over instances: Ilse et al., "Attention-based deep multiple instance learning", 2018 (arXiv 1802.04712).
//!
//! Reference implementation: AMLab-Amsterdam/AttentionDeepMIL. What differs: no bias in the last layer, which a softmax over
//! the views takes away.

use super::{Join, Sizes};
use crate::error::{Error, Result};
use crate::layers::{Dense, Variables};
use crate::onnx::{Attribute, Graph, Value};
use crate::ops::{Act, activate, softmax};
use crate::parts::Part;
use crate::pass::Pass;
use candle_core::Tensor;
use serde::{Deserialize, Serialize};

/// `Σ a_i h_i`, a = softmax over the views of `wᵀ tanh(V h_i)`.
///
/// | field | default | range |
/// |---|---|---|
/// | `hidden` | 128 | at least 1 |
/// | `gated` | false | whether tanh is multiplied by a sigmoid gate of its own |
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Attention {
    /// Features between.
    pub hidden: usize,
    /// Whether tanh is multiplied by a sigmoid gate of its own.
    pub gated: bool,
}

impl Default for Attention {
    fn default() -> Self {
        Self { hidden: 128, gated: false }
    }
}

struct Built {
    hidden: Dense,
    gate: Option<Dense>,
    score: Dense,
}

impl Part<dyn Join, Sizes> for Attention {
    fn check(&self) -> Result<()> {
        match self.hidden {
            0 => Err(Error::Invalid("attention join: hidden must be at least 1".into())),
            _ => Ok(()),
        }
    }

    fn build(&self, sizes: Sizes, vars: &mut Variables<'_>) -> Result<Box<dyn Join>> {
        let layers = [sizes.features, self.hidden];
        let hidden = Dense::new(vars, "hidden", layers, true)?;
        let gate = if self.gated { Some(Dense::new(vars, "gate", layers, true)?) } else { None };
        Ok(Box::new(Built { hidden, gate, score: Dense::new(vars, "score", [self.hidden, 1], false)? }))
    }
}

impl Join for Built {
    fn forward(&self, views: &Tensor, pass: &Pass<'_>) -> candle_core::Result<Tensor> {
        let (batch, count, features) = views.dims3()?;
        let rows = views.reshape((batch * count, features))?;
        let mut y = activate(&self.hidden.forward(&rows, pass)?, Act::Tanh)?;
        if let Some(gate) = &self.gate {
            y = y.mul(&activate(&gate.forward(&rows, pass)?, Act::Sigmoid)?)?;
        }
        let shares = softmax(&self.score.forward(&y, pass)?.reshape((batch, count))?)?;
        views.broadcast_mul(&shares.unsqueeze(2)?)?.sum(1)
    }

    fn onnx(&self, graph: &mut Graph, views: &Value, (count, features): (usize, usize)) -> Result<Value> {
        let rows = graph.reshape(views, &[-1, features as i64]);
        let hidden = self.hidden.onnx(graph, &rows)?;
        let mut y = graph.act(&hidden, Act::Tanh);
        if let Some(gate) = &self.gate {
            let gate = gate.onnx(graph, &rows)?;
            let gate = graph.act(&gate, Act::Sigmoid);
            y = graph.node("Mul", &[&y, &gate], &[]);
        }
        let scores = self.score.onnx(graph, &y)?;
        let scores = graph.reshape(&scores, &[-1, count as i64, 1]);
        let shares = graph.node("Softmax", &[&scores], &[("axis", Attribute::Int(1))]);
        let seen = graph.node("Mul", &[views, &shares], &[]);
        Ok(graph.sum(&seen, &[1], false))
    }
}
