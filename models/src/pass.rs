//! What one forward pass needs to know beside its input.

use crate::ops::rate;
use candle_core::Tensor;

/// Which gradients a pass prepares for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Grad {
    /// None: no graph is built, nothing is kept (validation, prediction).
    None,
    /// Of the input only (Grad-CAM, frozen networks).
    Input,
    /// Of the input and all parameters.
    All,
}

/// The name under which taps hear auxiliary heads.
pub const AUXILIARY: &str = "aux";

/// Sees named intermediate results.
pub type Tap<'a> = &'a mut dyn FnMut(&str, &Tensor);

/// What a single layer shows: maps `[B, H, W, C]`.
#[derive(Clone, Copy, Debug)]
pub enum Seen<'a> {
    /// What a convolution writes.
    Convolution(&'a Tensor),
    /// What a batch norm reads.
    Norm {
        /// The map.
        reads: &'a Tensor,
        /// Added to its variance.
        eps: f64,
    },
}

/// Sees single layers.
pub type LayerTap<'a> = &'a dyn Fn(&str, Seen<'_>);

/// How to go forward.
pub struct Pass<'a> {
    /// Batch statistics, dropout and drop-path as in training.
    pub train: bool,
    /// Whether running statistics move in training (not in a second pass over the same batch).
    pub update_stats: bool,
    /// Which gradients to prepare for.
    pub grad: Grad,
    /// Key of all random numbers of this pass: a function of (seed, fold, step); the same key drops the same units.
    pub key: u64,
    /// Multiplies every rate of dropout and drop-path, at least 0; 1 leaves them as they are.
    pub drop: f64,
    /// Keep nothing inside blocks and run them forward again on the way back: less memory for about a third more time
    /// (Chen et al. 2016, "Training deep nets with sublinear memory cost").
    pub recompute: bool,
    /// So many of the backbone's stages, from the input on, stay as they are: they run as in evaluation, and their parameters
    /// have no gradients. `usize::MAX`: all of them. Counts down while they run.
    pub freeze: usize,
    /// Called with (stage name, map `[B, H, W, C]`) after every stage: auxiliary heads, distillation, feature maps.
    pub taps: Option<Tap<'a>>,
    /// Called with the name of its weight within the backbone after every convolution of a block program, and with its own name
    /// before every batch norm; it then runs node by node: statistics of single layers.
    pub layers: Option<LayerTap<'a>>,
}

impl Pass<'_> {
    /// A training pass with this key.
    pub fn train(key: u64) -> Self {
        Self { train: true, update_stats: true, grad: Grad::All, key, ..Self::eval() }
    }
    /// Evaluation without a graph.
    pub fn eval() -> Self {
        let (grad, key, recompute, freeze) = (Grad::None, 0, false, 0);
        Self { train: false, update_stats: false, grad, key, drop: 1.0, recompute, freeze, taps: None, layers: None }
    }
    /// Evaluation with the gradient of the input.
    pub fn explain() -> Self {
        Self { grad: Grad::Input, ..Self::eval() }
    }
    /// With which probability something is dropped that the network drops with `p` in 0..1.
    pub(crate) fn rate(&self, p: f64) -> f64 {
        if self.train { rate(p, self.drop) } else { 0.0 }
    }
    /// A parameter as this pass uses it: tracked where its gradient is prepared for.
    pub fn parameter(&self, value: &Tensor) -> Tensor {
        if self.grad == Grad::All { value.clone() } else { value.detach() }
    }
    /// The same pass, but nobody looks in.
    pub(crate) fn untapped<'b>(&self) -> Pass<'b> {
        let Self { train, update_stats, grad, key, drop, recompute, freeze, .. } = *self;
        Pass { train, update_stats, grad, key, drop, recompute, freeze, taps: None, layers: None }
    }
    /// The pass of the next `stages` stages, which read `x`, if all of them are frozen.
    pub(crate) fn frozen<'b>(&mut self, stages: usize, x: &Tensor) -> Option<Pass<'b>> {
        self.freeze = self.freeze.checked_sub(stages)?;
        // What lies before may learn: a pool before the neck.
        Some(if x.track_op() { Pass::explain() } else { Pass::eval() })
    }
    pub(crate) fn tap(&mut self, name: &str, x: &Tensor) {
        if let Some(tap) = &mut self.taps {
            tap(name, x);
        }
    }
}
