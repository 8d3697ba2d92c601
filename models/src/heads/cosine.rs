//! Cosine logits: Deng et al., "ArcFace", 2018 (arXiv 1801.07698), and "Sub-center ArcFace", 2020.
//!
//! Reference implementation: deepinsight/insightface, whose weights start as Xavier's. Margins are the loss's: it takes the
//! scale away, moves the true class, and puts it back.

use super::{Head, Sizes};
use crate::error::{Error, Result};
use crate::init::Start;
use crate::layers::Variables;
use crate::onnx::{Graph, Value};
use crate::ops::{Pool, global_pool, linear};
use crate::parts::Part;
use crate::pass::Pass;
use candle_core::{D, Tensor};
use serde::{Deserialize, Serialize};

/// `scale · cos(x, w_k)`, the largest over the centres of a class.
///
/// | field | default | range |
/// |---|---|---|
/// | `scale` | 30 | above 0 |
/// | `centres` | 1 | at least 1, weights per class |
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Cosine {
    /// Factor of the cosines.
    pub scale: f64,
    /// Weights per class.
    pub centres: usize,
}

impl Default for Cosine {
    fn default() -> Self {
        Self { scale: 30.0, centres: 1 }
    }
}

struct Built {
    weight: Tensor,
    config: Cosine,
    classes: usize,
}

impl Part<dyn Head, Sizes> for Cosine {
    fn check(&self) -> Result<()> {
        match self.scale > 0.0 && self.scale.is_finite() && self.centres > 0 {
            true => Ok(()),
            false => Err(Error::Invalid("cosine: needs a scale above 0 and at least one centre per class".into())),
        }
    }

    fn build(&self, Sizes { inputs, classes, .. }: Sizes, vars: &mut Variables<'_>) -> Result<Box<dyn Head>> {
        let rows = classes * self.centres;
        let weight = vars.weight("weight", (rows, inputs), Start::XavierUniform { gain: 1.0 })?;
        vars.count(rows * inputs);
        Ok(Box::new(Built { weight, config: self.clone(), classes }))
    }
}

impl Head for Built {
    fn forward(&self, x: &Tensor, pass: &Pass<'_>) -> candle_core::Result<Tensor> {
        let cosines = linear(&unit(x)?, &unit(&pass.parameter(&self.weight))?, None)?;
        let best = match self.config.centres {
            1 => cosines,
            // The centres of a class stand side by side, as in the reference; of equal ones the first gets the gradient.
            centres => {
                let by_centre = cosines.reshape(((), self.classes, centres))?.transpose(1, 2)?.unsqueeze(2)?;
                global_pool(&by_centre, Pool::Max)?.flatten_from(1)?
            }
        };
        best * self.config.scale
    }

    fn outputs(&self) -> usize {
        self.classes
    }

    fn onnx(&self, graph: &mut Graph, rows: &Value) -> Result<Value> {
        let square = graph.node("Mul", &[rows, rows], &[]);
        let square = graph.sum(&square, &[1], true);
        let least = graph.scalar(1e-24);
        let square = graph.node("Max", &[&square, &least], &[]);
        let length = graph.node("Sqrt", &[&square], &[]);
        let rows = graph.node("Div", &[rows, &length], &[]);
        let weight = graph.numbers(&unit(&self.weight)?)?;
        let mut best = graph.linear(&rows, &weight, None);
        if self.config.centres > 1 {
            let by_class = graph.reshape(&best, &[0, self.classes as i64, self.config.centres as i64]);
            best = graph.reduced("ReduceMax", &by_class, 2, false);
        }
        Ok(graph.times(&best, self.config.scale))
    }
}

/// Every row at length 1; rows shorter than 1e-12 stay short, as in PyTorch's `normalize`.
fn unit(x: &Tensor) -> candle_core::Result<Tensor> {
    let square = x.sqr()?.sum_keepdim(D::Minus1)?;
    let least = square.zeros_like()?.affine(0.0, 1e-24)?;
    x.broadcast_div(&square.gt(&least)?.where_cond(&square, &least)?.sqrt()?)
}
