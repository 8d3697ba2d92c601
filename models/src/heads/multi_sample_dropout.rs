//! Multi-sample dropout: Inoue, "Multi-sample dropout for accelerated training and better generalization", 2019
//! (arXiv 1905.09788).
//!
//! The mean of the logits of n masks; the head is linear, so it is the logits of the mean of the masks, at the cost of one.
//! The paper averages losses instead.

use super::{Head, Sizes};
use crate::error::{Error, Result};
use crate::init::name_hash;
use crate::layers::{Dense, Variables};
use crate::onnx::{Graph, Value};
use crate::ops::keep_mask;
use crate::parts::Part;
use crate::pass::Pass;
use candle_core::Tensor;
use serde::{Deserialize, Serialize};

/// A linear layer behind several dropout masks at once.
///
/// | field | default | range |
/// |---|---|---|
/// | `samples` | 5 | at least 1, masks |
/// | `dropout` | 0.5 | 0..1 |
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct MultiSampleDropout {
    /// Masks.
    pub samples: usize,
    /// Probability of dropping a feature in each.
    pub dropout: f64,
}

impl Default for MultiSampleDropout {
    fn default() -> Self {
        Self { samples: 5, dropout: 0.5 }
    }
}

struct Built {
    layer: Dense,
    config: MultiSampleDropout,
    classes: usize,
}

impl Part<dyn Head, Sizes> for MultiSampleDropout {
    fn check(&self) -> Result<()> {
        match (0.0..1.0).contains(&self.dropout) && self.samples > 0 {
            true => Ok(()),
            false => {
                Err(Error::Invalid("multi_sample_dropout: needs at least one sample and a dropout in 0..1".into()))
            }
        }
    }

    fn build(&self, Sizes { inputs, classes, .. }: Sizes, vars: &mut Variables<'_>) -> Result<Box<dyn Head>> {
        let layer = Dense::new(vars, "", [inputs, classes], true)?;
        Ok(Box::new(Built { layer, config: self.clone(), classes }))
    }
}

impl Head for Built {
    fn forward(&self, x: &Tensor, pass: &Pass<'_>) -> candle_core::Result<Tensor> {
        if !pass.train || self.config.dropout == 0.0 {
            return self.layer.forward(x, pass);
        }
        let (samples, dropout) = (self.config.samples, pass.rate(self.config.dropout));
        let mut mean = vec![0f64; x.elem_count()];
        for i in 0..samples {
            let mask = keep_mask(pass.key, name_hash(&format!("head.sample.{i}")), dropout, mean.len());
            mean.iter_mut().zip(mask).for_each(|(mean, keep)| *mean += f64::from(keep) / samples as f64);
        }
        let mask = Tensor::from_vec(mean, x.shape(), x.device())?.to_dtype(x.dtype())?;
        self.layer.forward(&x.mul(&mask)?, pass)
    }

    fn outputs(&self) -> usize {
        self.classes
    }

    fn onnx(&self, graph: &mut Graph, rows: &Value) -> Result<Value> {
        self.layer.onnx(graph, rows)
    }
}
