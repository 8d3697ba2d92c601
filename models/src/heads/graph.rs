//! PK-GCN: Xiao et al., "Graph convolution with prior knowledge of misclassifications for image classification", 2020; the
//! graph convolution is Kipf & Welling's, 2016 (arXiv 1609.02907).
//!
//! Two stages: train a network with the head `linear`; then go on from its weights with this head and the confusion counts of
//! its validation. The classes' logits z are the nodes' features, one number each: H = ReLU(Â z wᵀ + b), and the refined
//! logits are z + H v. Sizes, symmetrization and threshold are not published and chosen here.

use super::{Head, Sizes};
use crate::error::{Error, Result};
use crate::layers::{Dense, Variables};
use crate::onnx::{self, Value};
use crate::ops::{Act, linear, relu};
use crate::parts::Part;
use crate::pass::Pass;
use candle_core::{Device, Tensor};
use serde::{Deserialize, Serialize};

/// A linear layer, and a graph convolution over the classes.
///
/// | field | default | range |
/// |---|---|---|
/// | `confusion` | none | K rows of K counts of at least 0, truth by prediction |
/// | `threshold` | 0.01 | 0..1, weaker similarities are no edges |
/// | `hidden` | 16 | at least 1, features of a node |
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Graph {
    /// How often each class was taken for each, truth by prediction.
    pub confusion: Vec<Vec<f64>>,
    /// Weaker similarities are no edges.
    pub threshold: f64,
    /// Features of a node.
    pub hidden: usize,
}

impl Default for Graph {
    fn default() -> Self {
        Self { confusion: vec![], threshold: 0.01, hidden: 16 }
    }
}

struct Built {
    base: Dense,
    nodes: Dense,
    out: Dense,
    /// Â `[K, K]`.
    adjacency: Tensor,
    classes: usize,
}

impl Part<dyn Head, Sizes> for Graph {
    fn check(&self) -> Result<()> {
        let wrong = |why: &str| Err(Error::Invalid(format!("graph: {why}")));
        let counts = |row: &Vec<f64>| row.len() == self.confusion.len() && row.iter().all(|v| (0.0..1e15).contains(v));
        match () {
            _ if self.confusion.is_empty() || !self.confusion.iter().all(counts) => {
                wrong("confusion must be the counts of a trained network, one row of K numbers of at least 0 per class")
            }
            _ if !(0.0..1.0).contains(&self.threshold) => wrong("threshold must be in 0..1"),
            _ if self.hidden == 0 => wrong("hidden must be at least 1"),
            _ => Ok(()),
        }
    }

    fn build(&self, Sizes { inputs, classes, .. }: Sizes, vars: &mut Variables<'_>) -> Result<Box<dyn Head>> {
        let rows = self.confusion.len();
        if rows != classes {
            return Err(Error::Invalid(format!("graph: confusion has {rows} rows, but there are {classes} classes")));
        }
        let rows = normalized(&similarity(&self.confusion, self.threshold));
        let adjacency = Tensor::new(rows, &Device::Cpu)?;
        let base = Dense::new(vars, "", [inputs, classes], true)?;
        let nodes = Dense::new(vars, "nodes", [1, self.hidden], true)?;
        // No bias: one number added to all logits changes no probability.
        let out = Dense::new(vars, "out", [self.hidden, 1], false)?;
        // The layers of a node were counted once.
        vars.count((classes - 1) * 2 * self.hidden + classes * classes);
        Ok(Box::new(Built { base, nodes, out, adjacency, classes }))
    }
}

impl Head for Built {
    fn forward(&self, x: &Tensor, pass: &Pass<'_>) -> candle_core::Result<Tensor> {
        let scores = self.base.forward(x, pass)?;
        // Â is symmetric: a linear layer without transposing it.
        let adjacency = self.adjacency.to_dtype(scores.dtype())?.to_device(scores.device())?;
        let seen = linear(&scores, &adjacency, None)?.reshape(((), 1))?;
        let nodes = relu(&self.nodes.forward(&seen, pass)?)?;
        scores.add(&self.out.forward(&nodes, pass)?.reshape(((), self.classes))?)
    }

    fn outputs(&self) -> usize {
        self.classes
    }

    fn onnx(&self, graph: &mut onnx::Graph, rows: &Value) -> Result<Value> {
        let scores = self.base.onnx(graph, rows)?;
        let adjacency = graph.numbers(&self.adjacency)?;
        let seen = graph.linear(&scores, &adjacency, None);
        let seen = graph.reshape(&seen, &[-1, 1]);
        let nodes = self.nodes.onnx(graph, &seen)?;
        let nodes = graph.act(&nodes, Act::Relu);
        let refined = self.out.onnx(graph, &nodes)?;
        let refined = graph.reshape(&refined, &[-1, self.classes as i64]);
        Ok(graph.node("Add", &[&scores, &refined], &[]))
    }
}

/// Similarity of classes A = ½(P + Pᵀ) from confusion counts: P are the shares of the mistakes of each class, and what is
/// below `threshold` is 0.
pub fn similarity(confusion: &[Vec<f64>], threshold: f64) -> Vec<Vec<f64>> {
    let mistakes =
        |i: usize| confusion[i].iter().enumerate().filter(move |(j, _)| *j != i).map(|(_, v)| v).sum::<f64>();
    let share = |i: usize, j: usize| match mistakes(i) {
        all if all > 0.0 && i != j => confusion[i][j] / all,
        _ => 0.0,
    };
    let both = |i: usize, j: usize| Some((share(i, j) + share(j, i)) / 2.0).filter(|a| *a >= threshold).unwrap_or(0.0);
    let classes = 0..confusion.len();
    classes.clone().map(|i| classes.clone().map(|j| both(i, j)).collect()).collect()
}

/// Â = D^−½ (A + I) D^−½, D the sums of the rows of A + I.
pub fn normalized(similarity: &[Vec<f64>]) -> Vec<Vec<f64>> {
    let degrees: Vec<f64> = similarity.iter().map(|row| (1.0 + row.iter().sum::<f64>()).sqrt()).collect();
    let entry = |i: usize, (j, a): (usize, &f64)| (a + f64::from(i == j)) / (degrees[i] * degrees[j]);
    similarity.iter().enumerate().map(|(i, row)| row.iter().enumerate().map(|at| entry(i, at)).collect()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn two_classes_that_are_mistaken_for_each_other_share_their_scores() {
        let confusion = [vec![7.0, 1.0, 0.0], vec![1.0, 9.0, 0.0], vec![0.0, 0.0, 5.0]];
        let similar = similarity(&confusion, 0.01);
        assert_eq!(similar, [[0.0, 1.0, 0.0], [1.0, 0.0, 0.0], [0.0, 0.0, 0.0]]);
        let rows = normalized(&similar);
        let want = [[0.5, 0.5, 0.0], [0.5, 0.5, 0.0], [0.0, 0.0, 1.0]];
        assert!(rows.iter().flatten().zip(want.iter().flatten()).all(|(a, b)| (a - b).abs() < 1e-12), "{rows:?}");
        assert_eq!(similarity(&[vec![0.0, 99.0, 1.0], vec![0.0; 3], vec![0.0; 3]], 0.01)[0], [0.0, 0.495, 0.0]);
    }
}
