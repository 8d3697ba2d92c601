//! What a network is made of, without running it.

use crate::error::Result;
use crate::ops::{Node, Program};
use serde::Serialize;

/// One layer.
#[derive(Clone, Debug, Serialize)]
pub struct Layer {
    /// Path of its variables.
    pub name: String,
    /// What it does.
    pub kind: &'static str,
    /// Channels, slices of a volume, height, width.
    pub output: Vec<usize>,
    /// Trainable numbers.
    pub parameters: usize,
    /// Multiply-adds for one picture or volume.
    pub multiply_adds: usize,
}

/// All layers of a network.
#[derive(Clone, Debug, Serialize)]
pub struct Summary {
    /// What it counts for: channels, slices of a volume, height, width.
    pub input: Vec<usize>,
    /// From input to output.
    pub layers: Vec<Layer>,
}

impl Summary {
    /// Trainable numbers.
    pub fn parameters(&self) -> usize {
        self.layers.iter().map(|l| l.parameters).sum()
    }
    /// Multiply-adds for one picture or volume.
    pub fn multiply_adds(&self) -> usize {
        self.layers.iter().fold(0, |sum, l| sum.saturating_add(l.multiply_adds))
    }
}

/// Appends the layers of `program` for a map of `size` and returns the size of its output.
pub(crate) fn program_layers(
    program: &Program,
    size: (usize, usize),
    layers: &mut Vec<Layer>,
) -> Result<(usize, usize)> {
    let sizes = program.sizes(size)?;
    let count = |param: usize| program.params[param].shape.iter().product::<usize>();
    for (id, node) in program.nodes.iter().enumerate() {
        let (h, w) = sizes[id];
        let (kind, own, parameters, multiply_adds) = match node {
            Node::Conv { weight, bias, .. } => {
                let param = &program.params[*weight];
                let kind = match param.shape.len() {
                    1 => "layer_scale",
                    2 => "linear",
                    _ => "conv",
                };
                let own = param.name.trim_end_matches(".weight");
                // A scale adds nothing, as the one of a norm.
                let work = if kind == "layer_scale" { 0 } else { count(*weight).saturating_mul(h * w) };
                (kind, own, count(*weight) + bias.map_or(0, count), work)
            }
            Node::LayerNorm { weight, bias, .. } => {
                let own = program.params[*weight].name.trim_end_matches(".weight");
                ("layer_norm", own, count(*weight) + count(*bias), 0)
            }
            // Every pixel's query with all keys, and its weights with all values.
            Node::Attention { .. } => {
                ("attention", "attention", 0, (2 * program.channels[id]).saturating_mul((h * w).saturating_pow(2)))
            }
            Node::Norm { weight, bias, stats, .. } => {
                ("batch_norm", program.stats[*stats].0.as_str(), count(*weight) + count(*bias), 0)
            }
            Node::Pool { .. } => ("pool", "pool", 0, 0),
            Node::AtLeast { .. } => ("adaptive_pool", "adaptive_pool", 0, 0),
            Node::Upsample { .. } => ("upsample", "upsample", 0, 0),
            Node::GlobalPool { .. } => ("global_pool", "global_pool", 0, 0),
            Node::Plain { params, .. } => ("plain", "plain", params.iter().map(|p| count(*p)).sum(), 0),
            _ => continue,
        };
        layers.push(Layer {
            name: own.to_string(),
            kind,
            output: vec![program.channels[id], h, w],
            parameters,
            multiply_adds,
        });
    }
    Ok(sizes.last().copied().unwrap_or(size))
}
