//! Several pictures of one sample, such as sites of a well, left and right eye, slices of a volume: the backbone sees each by
//! itself, a join makes one of them, before the head or behind it. One join a file.

mod attention;
mod concat;
mod max;
mod mean;
mod noisy_or;

pub use attention::Attention;
pub use concat::Concat;
pub use max::Max;
pub use mean::Mean;
pub use noisy_or::NoisyOr;

use crate::error;
use crate::onnx;
use crate::parts::{Entry, Table};
use crate::pass::Pass;
use candle_core::{Result, Tensor};

/// Makes one row of several.
pub trait Join: Send + Sync {
    /// `[B, V, N]` F32 or F64 → `[B, N]`, or what [`Join::widened`] says.
    fn forward(&self, views: &Tensor, pass: &Pass<'_>) -> Result<Tensor>;
    /// Whether it stands behind the head and joins what that says of each view.
    fn behind(&self) -> bool {
        false
    }
    /// The same in the operators of ONNX, `[batch, V, N]` of `sizes` (V, N).
    ///
    /// # Errors
    /// When the views are not what the join is for.
    fn onnx(&self, graph: &mut onnx::Graph, views: &onnx::Value, sizes: (usize, usize)) -> error::Result<onnx::Value>;
    /// Features that come out of `features`.
    fn widened(&self, features: usize) -> usize {
        features
    }
}

/// What a join is built from.
#[derive(Clone, Copy, Debug)]
pub struct Sizes {
    /// V.
    pub views: usize,
    /// E: what the head would read of one view.
    pub features: usize,
    /// K.
    pub classes: usize,
}

/// All joins.
pub const JOINS: Table<dyn Join, Sizes> = Table(
    "join",
    &[
        Entry::of::<Mean>("mean", "Mean of the features, or of the outputs, of all views."),
        Entry::of::<Max>("max", "Largest value of each feature, or output, over all views."),
        Entry::of::<Concat>("concat", "Features of all views side by side."),
        Entry::of::<Attention>("attention", "Weighted mean of features, with learned weights (Ilse et al. 2018)."),
        Entry::of::<NoisyOr>("noisy_or", "A class is there where any view shows it (Liao et al. 2019)."),
    ],
);
