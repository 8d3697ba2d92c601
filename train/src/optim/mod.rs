//! Optimizers: from gradients to new parameters, with state that can be saved.

mod adadelta;
mod adafactor;
mod adam;
mod adamw;
mod asam;
mod factored;
mod fused;
mod inner;
mod lamb;
mod lars;
mod lion;
mod lookahead;
mod memory;
mod muon;
mod nadam;
mod radam;
mod rmsprop;
pub(crate) mod rule;
mod sam;
mod sgd;

pub use adadelta::Adadelta;
pub use adafactor::Adafactor;
pub use adam::Adam;
pub use adamw::AdamW;
pub use asam::Asam;
pub use inner::Inner;
pub use lamb::Lamb;
pub use lars::Lars;
pub use lion::Lion;
pub use lookahead::Lookahead;
pub use muon::Muon;
pub use nadam::Nadam;
pub use radam::Radam;
pub use rmsprop::RmsProp;
pub use sam::Sam;
pub use sgd::Sgd;

use crate::error::{Error, Result};
use crate::params::{Gradients, Param, Params};
use candle_core::{Tensor, bail};
use serde::{Serialize, de::DeserializeOwned};
use serde_json::Value;
use std::collections::BTreeMap;

/// Tensors and counters of an optimizer by name.
pub type State = BTreeMap<String, Tensor>;

/// How a step is taken: what schedules say about it.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Pace {
    /// Learning rate; each parameter multiplies it by its own `lr_scale`.
    pub lr: f64,
    /// Multiplies the optimizer's momentum: μ, or β₁ of Adam and its relatives. What comes of it must be below 1, or a step is
    /// an error.
    pub momentum: f64,
    /// Multiplies the optimizer's weight decay.
    pub decay: f64,
}

impl Pace {
    /// Learning rate `lr`, momentum and weight decay as they are.
    pub fn new(lr: f64) -> Self {
        Self { lr, momentum: 1.0, decay: 1.0 }
    }

    fn lr(&self, param: &Param) -> f64 {
        self.lr * param.lr_scale
    }

    /// What becomes of an optimizer's own `momentum`. From 1 on nothing would be forgotten, and corrections divide by 0.
    fn momentum(&self, momentum: f64) -> candle_core::Result<f64> {
        let now = momentum * self.momentum;
        if !(0.0..1.0).contains(&now) {
            bail!(
                "the momentum schedule's factor {} makes {now} of the optimizer's momentum {momentum}, it must stay in 0..1: \
                 lower the factor, or the optimizer's momentum (of Adam and its relatives beta1)",
                self.momentum
            );
        }
        Ok(now)
    }

    fn decay(&self, param: &Param, weight_decay: f64) -> f64 {
        if param.decay { weight_decay * self.decay } else { 0.0 }
    }
}

/// Moves parameters against their gradients.
pub trait Optimizer: Send {
    /// One step.
    fn step(&mut self, params: &Params, gradients: &Gradients, pace: Pace) -> candle_core::Result<()>;
    /// Whether each step begins with [`Optimizer::climb`].
    fn climbs(&self) -> bool {
        false
    }
    /// Goes to where the loss is higher. The gradients of the same batch there are wanted by the next
    /// [`Optimizer::step`], which goes back first.
    fn climb(&mut self, _: &Params, _: &Gradients) -> candle_core::Result<()> {
        Ok(())
    }
    /// Goes back from where [`Optimizer::climb`] went, without a step.
    fn descend(&mut self, _: &Params) -> candle_core::Result<()> {
        Ok(())
    }
    /// Copies of everything that a later step depends on.
    fn state(&self) -> candle_core::Result<State>;
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

/// All optimizers; the last three work around another one.
pub const OPTIMIZERS: &[Entry] = &[
    Entry::of::<Sgd>("sgd", "Stochastic gradient descent with momentum, Nesterov's if wanted (Sutskever et al. 2013)."),
    Entry::of::<Adam>("adam", "Steps scaled by running moments of the gradients (Kingma & Ba 2015)."),
    Entry::of::<AdamW>("adamw", "Adam with decoupled weight decay (Loshchilov & Hutter 2019)."),
    Entry::of::<Nadam>("nadam", "Adam with Nesterov's momentum (Dozat 2016)."),
    Entry::of::<Radam>("radam", "Adam that waits until its second moment can be trusted (Liu et al. 2020)."),
    Entry::of::<RmsProp>(
        "rmsprop",
        "Gradients over their running root mean square, PyTorch's or TensorFlow's (Hinton 2012).",
    ),
    Entry::of::<Adadelta>("adadelta", "Steps as large as recent steps, so that units agree (Zeiler 2012)."),
    Entry::of::<Lamb>(
        "lamb",
        "Adam with steps in proportion to each weight's norm, for large batches (You et al. 2020).",
    ),
    Entry::of::<Lars>(
        "lars",
        "SGD with steps in proportion to each weight's norm, for large batches (You et al. 2017).",
    ),
    Entry::of::<Lion>("lion", "The sign of a running average (Chen et al. 2023)."),
    Entry::of::<Adafactor>("adafactor", "Second moments as products of rows and columns (Shazeer & Stern 2018)."),
    Entry::of::<Muon>(
        "muon",
        "Momentum made orthogonal for matrices and filters, another optimizer for the rest (Jordan et al. 2024).",
    ),
    Entry::of::<Lookahead>(
        "lookahead",
        "Some steps forward, one step back, around another optimizer (Zhang et al. 2019).",
    ),
    Entry::of::<Sam>("sam", "Gradients from the worst place nearby, around another optimizer (Foret et al. 2021)."),
    Entry::of::<Asam>("asam", "SAM with a neighbourhood in proportion to the weights (Kwon et al. 2021)."),
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
