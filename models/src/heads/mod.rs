//! From one row to what a network says. One head a file.
//!
//! Variables are `head.*`; the last linear layer is `head.weight`, `head.bias` wherever there is one.

mod bag;
mod coral;
mod cosine;
mod distribution;
mod graph;
mod linear;
mod mlp;
mod multi_sample_dropout;
mod trajectory;

pub use bag::Bag;
pub use coral::{Coral, class_probabilities};
pub use cosine::Cosine;
pub use distribution::{Distribution, expectation};
pub use graph::{Graph, normalized, similarity};
pub use linear::Linear;
pub use mlp::Mlp;
pub use multi_sample_dropout::MultiSampleDropout;
pub use trajectory::{Trajectory, modes};

use crate::layers::LinearStart;
use crate::onnx;
use crate::parts::{Choice, Entry, Table};
use crate::pass::Pass;
use candle_core::{Result, Tensor};
use serde_json::Value;

/// Says something of each row.
pub trait Head: Send + Sync {
    /// `[B, E]` F32 or F64 → `[B, outputs]`.
    fn forward(&self, x: &Tensor, pass: &Pass<'_>) -> Result<Tensor>;
    /// The same for each head of a bag, `[B, N, outputs]`; others are one.
    fn each(&self, x: &Tensor, pass: &Pass<'_>) -> Result<Tensor> {
        self.forward(x, pass)?.unsqueeze(1)
    }
    /// How many numbers it says.
    fn outputs(&self) -> usize;
    /// The same in evaluation in the operators of ONNX, `[batch, E]` → `[batch, outputs]`.
    ///
    /// # Errors
    /// Those of tensors.
    fn onnx(&self, graph: &mut onnx::Graph, rows: &onnx::Value) -> crate::error::Result<onnx::Value>;
}

/// What a head is built from.
#[derive(Clone, Copy, Debug)]
pub struct Sizes {
    /// E.
    pub inputs: usize,
    /// K.
    pub classes: usize,
    /// How a head that is one linear layer starts: as the backbone's family says.
    pub start: LinearStart,
}

/// All heads.
pub const HEADS: Table<dyn Head, Sizes> = Table(
    "head",
    &[
        Entry::of::<Linear>("linear", "One linear layer: a logit per class."),
        Entry::of::<Mlp>("mlp", "Batch norms, dropout, linear layers and ReLU, as fastai's head behind a concat pool."),
        Entry::of::<Cosine>("cosine", "Scaled cosines with weights per class or sub-centre, for ArcFace and its kin."),
        Entry::of::<MultiSampleDropout>(
            "multi_sample_dropout",
            "Mean of the logits of several dropout masks (Inoue 2019).",
        ),
        Entry::of::<Coral>("coral", "Ordered classes: one weight, K - 1 thresholds (Cao et al. 2020)."),
        Entry::of::<Trajectory>("trajectory", "Several modes of future positions and their confidences."),
        Entry::of::<Distribution>("distribution", "A distribution over bins, and its mean where that is asked for."),
        Entry::of::<Bag>("bag", "Several heads that say the mean of their probabilities (Breiman 1996)."),
        Entry::of::<Graph>("graph", "Logits refined by a graph convolution over similar classes (Xiao et al. 2020)."),
    ],
);

/// Whether the head says one logit per class, so that every loss and every score takes it.
pub fn says_classes(head: &Choice) -> bool {
    let mean = head.params.get("mean").and_then(Value::as_bool);
    !["coral", "trajectory"].contains(&head.name.as_str()) && mean != Some(true)
}
