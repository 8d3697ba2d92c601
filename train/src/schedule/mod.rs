//! Learning-rate schedules: pure functions of progress and of the scores so far, so that resuming needs no state.

mod constant;
mod cosine;
mod cyclic;
mod exponential;
mod flat_cosine;
mod kaggle_ramp;
mod linear;
mod multi_step;
mod one_cycle;
mod plateau;
mod polynomial;
mod step;
mod together;
mod warm_restarts;
mod warmup;

pub use constant::Constant;
pub use cosine::Cosine;
pub use cyclic::{Cyclic, Shape};
pub use exponential::Exponential;
pub use flat_cosine::FlatCosine;
pub use kaggle_ramp::KaggleRamp;
pub use linear::Linear;
pub use multi_step::MultiStep;
pub use one_cycle::{Anneal, OneCycle};
pub use plateau::{Monitor, Plateau};
pub use polynomial::Polynomial;
pub use step::Step;
pub use together::Together;
pub use warm_restarts::WarmRestarts;
pub use warmup::Warmup;

use crate::checkpoint::Record;
use crate::error::{Error, Result};
use crate::task::Progress;
use serde::{Serialize, de::DeserializeOwned};
use serde_json::Value;
use std::f64::consts::PI;
use std::fmt::Debug;

/// Multiplies the base learning rate, step by step; some say something about momentum and weight decay as well.
pub trait Schedule: Debug + Send {
    /// The factor for the step that begins at `at`, after the epochs of `history`.
    fn factor(&self, at: Progress, history: &[Record]) -> f64;
    /// Factor of the optimizer's momentum.
    fn momentum(&self, _at: Progress, _history: &[Record]) -> f64 {
        1.0
    }
    /// Factor of the optimizer's weight decay.
    fn decay(&self, _at: Progress, _history: &[Record]) -> f64 {
        1.0
    }
    /// Whether a cycle ends with the step that begins at `at`; snapshots are taken there.
    fn ends_cycle(&self, _at: Progress) -> bool {
        false
    }
    /// Rejects impossible parameters.
    fn validate(&self) -> Result<()> {
        Ok(())
    }
}

/// From `from` to `to` along half a cosine, `t` in 0..=1.
fn half_cosine(from: f64, to: f64, t: f64) -> f64 {
    to + (from - to) * 0.5 * (1.0 + (PI * t).cos())
}

/// A line of the table of schedules.
pub struct Entry {
    /// Name in recipes.
    pub name: &'static str,
    /// One sentence.
    pub doc: &'static str,
    build: fn(Value) -> Result<Box<dyn Schedule>, serde_json::Error>,
    resolve: fn(Value) -> Result<Value, serde_json::Error>,
}

impl Entry {
    const fn of<S: Schedule + Serialize + DeserializeOwned + 'static>(name: &'static str, doc: &'static str) -> Self {
        Self {
            name,
            doc,
            build: |params| Ok(Box::new(serde_json::from_value::<S>(params)?)),
            resolve: |params| serde_json::to_value(serde_json::from_value::<S>(params)?),
        }
    }
}

/// All schedules.
pub const SCHEDULES: &[Entry] = &[
    Entry::of::<Constant>("constant", "The base rate all the way."),
    Entry::of::<Cosine>("cosine", "Down along half a cosine to a floor."),
    Entry::of::<Cyclic>("cyclic", "Up and down again and again (Smith 2017)."),
    Entry::of::<Exponential>("exponential", "Times gamma every epoch, smoothly or in stairs."),
    Entry::of::<FlatCosine>("flat_cosine", "The base rate for most of the way, then half a cosine."),
    Entry::of::<KaggleRamp>("kaggle_ramp", "Up in a line, then down exponentially, epoch by epoch."),
    Entry::of::<Linear>("linear", "Along a line."),
    Entry::of::<MultiStep>("multi_step", "Times gamma at each milestone."),
    Entry::of::<OneCycle>(
        "one_cycle",
        "Up and down along cosines within one run, momentum the other way (Smith & Topin 2018).",
    ),
    Entry::of::<Plateau>("plateau", "Times a factor whenever scores stop getting better."),
    Entry::of::<Polynomial>("polynomial", "A power of the share of steps that are left."),
    Entry::of::<Step>("step", "Times gamma every so many epochs."),
    Entry::of::<WarmRestarts>("warm_restarts", "Half cosines again and again, each longer (Loshchilov & Hutter 2017)."),
];

/// The schedule `name` with `params`, an object.
///
/// # Errors
/// Unknown names and parameters, impossible values.
pub fn build(name: &str, params: Value) -> Result<Box<dyn Schedule>> {
    let schedule = (find(name)?.build)(params).map_err(|source| parameter(name, source))?;
    schedule.validate()?;
    Ok(schedule)
}

/// `params` with every default written out.
///
/// # Errors
/// As [`build`].
pub fn resolve(name: &str, params: Value) -> Result<Value> {
    build(name, params.clone())?;
    (find(name)?.resolve)(params).map_err(|source| parameter(name, source))
}

fn find(name: &str) -> Result<&'static Entry> {
    let known = || SCHEDULES.iter().map(|e| e.name).collect::<Vec<_>>().join(", ");
    SCHEDULES.iter().find(|e| e.name == name).ok_or_else(|| Error::Unknown {
        kind: "schedule",
        name: name.into(),
        known: known(),
    })
}

fn parameter(name: &str, source: serde_json::Error) -> Error {
    Error::Parameter { kind: "schedule", name: name.into(), source }
}
