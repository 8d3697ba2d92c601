//! Optimizers: from gradients to new parameters, with state that can be saved.

mod adamw;
mod fused;
mod sgd;

pub use adamw::AdamW;
pub use sgd::Sgd;

use crate::error::{Error, Result};
use crate::params::{Gradients, Params};
use candle_core::Tensor;
use serde::{Serialize, de::DeserializeOwned};
use serde_json::Value;
use std::collections::BTreeMap;

/// Tensors and counters of an optimizer by name.
pub type State = BTreeMap<String, Tensor>;

/// Moves parameters against their gradients.
pub trait Optimizer: Send {
    /// One step with learning rate `lr`, which each parameter multiplies by its own `lr_scale`.
    fn step(&mut self, params: &Params, gradients: &Gradients, lr: f64) -> candle_core::Result<()>;
    /// Everything that a later step depends on.
    fn state(&self) -> State;
    /// Takes back what [`Optimizer::state`] gave.
    fn restore(&mut self, state: State) -> candle_core::Result<()>;
    /// Rejects impossible parameters.
    fn validate(&self) -> Result<()>;
}

/// A line of the table of optimizers.
pub struct Entry {
    /// Name in recipes.
    pub name: &'static str,
    /// One sentence.
    pub doc: &'static str,
    build: fn(Value) -> Result<Box<dyn Optimizer>, serde_json::Error>,
    resolve: fn(Value) -> Result<Value, serde_json::Error>,
}

impl Entry {
    const fn of<O: Optimizer + Serialize + DeserializeOwned + 'static>(name: &'static str, doc: &'static str) -> Self {
        Self {
            name,
            doc,
            build: |params| Ok(Box::new(serde_json::from_value::<O>(params)?)),
            resolve: |params| serde_json::to_value(serde_json::from_value::<O>(params)?),
        }
    }
}

/// All optimizers.
pub const OPTIMIZERS: &[Entry] = &[
    Entry::of::<AdamW>("adamw", "Adam with decoupled weight decay (Loshchilov & Hutter 2019)."),
    Entry::of::<Sgd>("sgd", "Stochastic gradient descent with momentum, Nesterov's if wanted (Sutskever et al. 2013)."),
];

/// The optimizer `name` with `params`, an object.
///
/// # Errors
/// Unknown names and parameters, impossible values.
pub fn build(name: &str, params: Value) -> Result<Box<dyn Optimizer>> {
    let entry = find(name)?;
    let optimizer = (entry.build)(params).map_err(|source| wrong(name, source))?;
    optimizer.validate()?;
    Ok(optimizer)
}

/// `params` with every default written out.
///
/// # Errors
/// As [`build`].
pub fn resolve(name: &str, params: Value) -> Result<Value> {
    build(name, params.clone())?;
    (find(name)?.resolve)(params).map_err(|source| wrong(name, source))
}

fn find(name: &str) -> Result<&'static Entry> {
    let known = || OPTIMIZERS.iter().map(|e| e.name).collect::<Vec<_>>().join(", ");
    OPTIMIZERS.iter().find(|e| e.name == name).ok_or_else(|| Error::Unknown {
        kind: "optimizer",
        name: name.into(),
        known: known(),
    })
}

fn wrong(name: &str, source: serde_json::Error) -> Error {
    Error::Parameter { kind: "optimizer", name: name.into(), source }
}
