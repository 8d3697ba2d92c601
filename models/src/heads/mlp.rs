//! fastai's head: Howard & Gugger, "fastai: a layered API for deep learning", 2020 (arXiv 2002.04688).
//!
//! Reference implementation: fastai 2 `create_head` (`LinBnDrop`): before each linear layer batch norm and dropout, behind
//! all but the last ReLU; half the dropout before the hidden layers; no bias where there is a norm. With the pool `concat` it
//! is the whole of it; without norms it is the head of Mader's retinopathy notebook.

use super::{Head, Sizes};
use crate::error::{Error, Result};
use crate::layers::{BatchNorm, Dense, Variables, dropped};
use crate::onnx::{Graph, Value};
use crate::ops::{Act, relu};
use crate::parts::Part;
use crate::pass::Pass;
use candle_core::Tensor;
use serde::{Deserialize, Serialize};

/// Several linear layers.
///
/// | field | default | range |
/// |---|---|---|
/// | `hidden` | 512 | features of each layer before the last |
/// | `dropout` | 0.5 | 0..1, before the last layer; half of it before the others |
/// | `norm` | true | batch norm before each layer, in place of its bias |
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Mlp {
    /// Features of each layer before the last.
    pub hidden: Vec<usize>,
    /// Before the last layer; half of it before the others.
    pub dropout: f64,
    /// Batch norm before each layer.
    pub norm: bool,
}

impl Default for Mlp {
    fn default() -> Self {
        Self { hidden: vec![512], dropout: 0.5, norm: true }
    }
}

struct Built {
    layers: Vec<(Option<BatchNorm>, Dense)>,
    dropout: f64,
    classes: usize,
}

impl Part<dyn Head, Sizes> for Mlp {
    fn check(&self) -> Result<()> {
        match (0.0..1.0).contains(&self.dropout) && !self.hidden.contains(&0) {
            true => Ok(()),
            false => Err(Error::Invalid(
                "mlp: dropout must be in 0..1, and every hidden layer needs at least one feature".into(),
            )),
        }
    }

    fn build(&self, Sizes { inputs, classes, .. }: Sizes, vars: &mut Variables<'_>) -> Result<Box<dyn Head>> {
        let mut layers = vec![];
        let mut reads = inputs;
        for i in 0..=self.hidden.len() {
            let (name, width) = match self.hidden.get(i) {
                Some(&width) => (format!("hidden.{i}"), width),
                None => (String::new(), classes),
            };
            let path = if name.is_empty() { "norm".into() } else { format!("{name}.norm") };
            let norm = if self.norm { Some(BatchNorm::new(vars, &path, reads)?) } else { None };
            layers.push((norm, Dense::new(vars, &name, [reads, width], !self.norm)?));
            reads = width;
        }
        Ok(Box::new(Built { layers, dropout: self.dropout, classes }))
    }
}

impl Head for Built {
    fn forward(&self, x: &Tensor, pass: &Pass<'_>) -> candle_core::Result<Tensor> {
        let last = self.layers.len() - 1;
        let mut x = x.clone();
        for (i, (norm, dense)) in self.layers.iter().enumerate() {
            if let Some(norm) = norm {
                x = norm.forward(&x, pass)?;
            }
            let p = if i == last { self.dropout } else { self.dropout / 2.0 };
            x = dense.forward(&dropped(&x, p, pass, &format!("head.dropout.{i}"))?, pass)?;
            if i < last {
                x = relu(&x)?;
            }
        }
        Ok(x)
    }

    fn outputs(&self) -> usize {
        self.classes
    }

    fn onnx(&self, graph: &mut Graph, rows: &Value) -> Result<Value> {
        let mut x = rows.clone();
        for (i, (norm, dense)) in self.layers.iter().enumerate() {
            if i > 0 {
                x = graph.act(&x, Act::Relu);
            }
            if let Some(norm) = norm {
                x = norm.onnx(graph, &x)?;
            }
            x = dense.onnx(graph, &x)?;
        }
        Ok(x)
    }
}
