//! What hooks see, and what they may ask for. Hooks observe; only the loop changes numbers.

use crate::error::BoxError;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// What validation says.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Scores {
    /// The score that decides; higher is better.
    pub decisive: f64,
    /// All scores by name.
    pub all: BTreeMap<String, f64>,
}

impl Scores {
    /// A single score, higher is better.
    pub fn of(name: &str, value: f64) -> Self {
        Self { decisive: value, all: [(name.to_string(), value)].into() }
    }
}

/// What a step looked like.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Measures {
    /// What the loss is made of, if the task says: means over the step's micro-batches, as the loss.
    pub parts: Vec<(String, f64)>,
    /// The learning rates of all groups with their names, from the highest on, as [`Params::groups`](crate::Params::groups).
    pub rates: Vec<(String, f64)>,
    /// L2 norm of all gradients before any clipping; at a climb's top with an optimizer that climbs.
    pub gradient_norm: f64,
    /// L2 norm of all parameters that learn.
    pub weight_norm: f64,
    /// How often training has gone back to a good state; each halved the learning rate.
    pub rollbacks: usize,
    /// By what losses are multiplied before their gradients are taken, where they are.
    pub loss_scale: Option<f64>,
    /// How many steps were skipped, because their gradients were no numbers under the loss scale.
    pub skipped: usize,
    /// In how many pieces each batch passes, because memory is not enough for whole ones.
    pub pieces: usize,
}

/// What happened.
#[derive(Debug)]
pub enum Event<'a> {
    /// An optimizer step; `loss` is there every `log_every` steps, because reading it makes the device wait.
    Step {
        /// 0-based.
        epoch: usize,
        /// Optimizer steps done, this one included.
        step: usize,
        /// Mean of its micro-batches by their samples.
        loss: Option<f64>,
        /// Learning rate used.
        lr: f64,
        /// What else there is to know, every `log_every` steps.
        measures: Option<&'a Measures>,
    },
    /// An epoch with its validation.
    Epoch {
        /// 0-based.
        epoch: usize,
        /// Optimizer steps done.
        step: usize,
        /// Mean training loss of the epoch.
        loss: f64,
        /// What validation said.
        scores: &'a Scores,
        /// Whether it is the best so far.
        best: bool,
    },
}

/// What a hook asks for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Flow {
    /// Go on.
    Continue,
    /// End training here, as if this were the last epoch.
    Stop,
    /// Save a checkpoint and return; training goes on later.
    Interrupt,
}

/// An observer; any `FnMut(&Event) -> Result<Flow, BoxError>` is one.
pub trait Hook {
    /// Sees `event`.
    fn on(&mut self, event: &Event<'_>) -> Result<Flow, BoxError>;
}

impl<F: FnMut(&Event<'_>) -> Result<Flow, BoxError>> Hook for F {
    fn on(&mut self, event: &Event<'_>) -> Result<Flow, BoxError> {
        self(event)
    }
}
