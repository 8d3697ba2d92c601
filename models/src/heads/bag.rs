//! Bagging: Breiman, "Bagging predictors", 1996 (Machine Learning 24).
//!
//! Heads of one kind beside one another. They say the logarithm of the mean of their probabilities, so that a softmax gives the
//! mean back, and a loss that takes logits takes it. Whoever wants each of them to learn from a resample of its own listens
//! to [`Head::each`]; a loss of what they say together makes them learn as one.

use super::{HEADS, Head, Sizes, says_classes};
use crate::error::{Error, Result};
use crate::layers::Variables;
use crate::onnx::{Attribute, Graph, Value};
use crate::ops::log_softmax;
use crate::parts::{Choice, Part};
use crate::pass::Pass;
use candle_core::Tensor;
use serde::{Deserialize, Serialize};

/// Several heads; the variables of the i-th are `head.i.*`.
///
/// | field | default | range |
/// |---|---|---|
/// | `heads` | 10 | at least 1 |
/// | `of` | linear | a name of [`HEADS`] with its parameters that says a logit per class, but not `bag` |
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Bag {
    /// How many.
    pub heads: usize,
    /// What each of them is.
    pub of: Choice,
}

impl Default for Bag {
    fn default() -> Self {
        Self { heads: 10, of: Choice::new("linear") }
    }
}

struct Built {
    heads: Vec<Box<dyn Head>>,
    classes: usize,
}

impl Part<dyn Head, Sizes> for Bag {
    fn check(&self) -> Result<()> {
        if self.heads == 0 {
            return Err(Error::Invalid("bag: needs at least one head".into()));
        }
        if self.of.name == "bag" || !says_classes(&HEADS.resolve(&self.of)?) {
            let name = &self.of.name;
            return Err(Error::Invalid(format!(
                "bag: of '{name}' cannot be, it must be a head with a logit per class"
            )));
        }
        Ok(())
    }

    fn build(&self, sizes: Sizes, vars: &mut Variables<'_>) -> Result<Box<dyn Head>> {
        let head = |i: usize| vars.inside(&i.to_string(), |vars| HEADS.build(&self.of, sizes, vars));
        Ok(Box::new(Built { heads: (0..self.heads).map(head).collect::<Result<_>>()?, classes: sizes.classes }))
    }
}

impl Head for Built {
    fn forward(&self, x: &Tensor, pass: &Pass<'_>) -> candle_core::Result<Tensor> {
        let each = log_softmax(&self.each(x, pass)?)?;
        // The largest is subtracted first, so that no probability vanishes.
        let largest = each.max_keepdim(1)?.detach();
        let mean = each.broadcast_sub(&largest)?.exp()?.mean_keepdim(1)?.log()?;
        (mean + largest)?.squeeze(1)
    }

    fn each(&self, x: &Tensor, pass: &Pass<'_>) -> candle_core::Result<Tensor> {
        let said = self.heads.iter().map(|head| head.forward(x, pass)).collect::<candle_core::Result<Vec<_>>>()?;
        Tensor::stack(&said, 1)
    }

    fn outputs(&self) -> usize {
        self.classes
    }

    fn onnx(&self, graph: &mut Graph, rows: &Value) -> Result<Value> {
        let mut each = vec![];
        for head in &self.heads {
            let said = head.onnx(graph, rows)?;
            let log = graph.node("LogSoftmax", &[&said], &[("axis", Attribute::Int(1))]);
            each.push(graph.reshape(&log, &[0, 1, -1]));
        }
        let each = graph.concat(&each, 1);
        let sum = graph.log_sum_exp(&each, 1);
        let count = graph.scalar((self.heads.len() as f32).ln());
        let mean = graph.node("Sub", &[&sum, &count], &[]);
        Ok(graph.flat(&mean))
    }
}
