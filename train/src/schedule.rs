//! Learning-rate schedules: pure functions of progress, so that resuming needs no state.

use crate::error::{Error, Result};
use crate::task::Progress;
use serde::{Deserialize, Serialize, de::DeserializeOwned};
use serde_json::Value;
use std::f64::consts::PI;
use std::fmt::Debug;

/// Multiplies the base learning rate, step by step.
pub trait Schedule: Debug + Send {
    /// The factor for the step that begins at `at`.
    fn factor(&self, at: Progress) -> f64;
    /// Rejects impossible parameters.
    fn validate(&self) -> Result<()> {
        Ok(())
    }
}

/// Always 1.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Constant {}

/// Multiplies by `gamma` every `every` epochs (`torch` `StepLR`).
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Step {
    /// Epochs between drops, at least 1.
    pub every: usize,
    /// Factor of each drop, > 0.
    pub gamma: f64,
}

/// Multiplies by `gamma` at each milestone (`torch` `MultiStepLR`).
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct MultiStep {
    /// Epochs, or shares of all epochs when below 1.
    pub milestones: Vec<f64>,
    /// Factor of each drop, > 0.
    pub gamma: f64,
}

/// `floor + (1 − floor)·(1 + cos πt)/2` over the share `t` of all steps (Loshchilov & Hutter 2017, one period).
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Cosine {
    /// Factor at the end, 0..=1.
    pub floor: f64,
}

/// Up from `1/div` to 1 over `pct_start` of the steps, then down to `1/(div·final_div)`, both along a cosine
/// (Smith & Topin 2018; `torch` `OneCycleLR`).
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct OneCycle {
    /// Share of the steps on the way up, 0..1.
    pub pct_start: f64,
    /// The first rate is the highest over this, ≥ 1.
    pub div: f64,
    /// The last rate is the first over this, ≥ 1.
    pub final_div: f64,
}

/// A linear warm-up before another schedule (Goyal et al. 2017): the factor rises from near 0 over `epochs` epochs.
#[derive(Debug)]
pub struct Warmup {
    /// Epochs of the rise; fractions are fine.
    pub epochs: f64,
    /// What it leads into.
    pub then: Box<dyn Schedule>,
}

impl Default for Step {
    fn default() -> Self {
        Self { every: 10, gamma: 0.1 }
    }
}

impl Default for MultiStep {
    fn default() -> Self {
        Self { milestones: vec![0.5, 0.75], gamma: 0.1 }
    }
}

impl Default for OneCycle {
    fn default() -> Self {
        Self { pct_start: 0.3, div: 25.0, final_div: 1e4 }
    }
}

fn wrong(name: &str, why: String) -> Result<()> {
    Err(Error::Invalid(format!("schedule '{name}': {why}")))
}

impl Schedule for Constant {
    fn factor(&self, _: Progress) -> f64 {
        1.0
    }
}

impl Schedule for Step {
    fn factor(&self, at: Progress) -> f64 {
        self.gamma.powi((at.step / at.steps_per_epoch.max(1) / self.every) as i32)
    }
    fn validate(&self) -> Result<()> {
        match self.every >= 1 && self.gamma > 0.0 && self.gamma.is_finite() {
            true => Ok(()),
            false => wrong("step", format!("needs every ≥ 1 and gamma > 0, got {} and {}", self.every, self.gamma)),
        }
    }
}

impl Schedule for MultiStep {
    fn factor(&self, at: Progress) -> f64 {
        let passed = self.milestones.iter().filter(|&&m| {
            let epoch = if m < 1.0 { m * at.epochs as f64 } else { m };
            at.epochs_done() >= epoch
        });
        self.gamma.powi(passed.count() as i32)
    }
    fn validate(&self) -> Result<()> {
        match self.gamma > 0.0 && self.gamma.is_finite() && self.milestones.iter().all(|m| *m > 0.0) {
            true => Ok(()),
            false => wrong("multi_step", "needs gamma > 0 and milestones > 0".into()),
        }
    }
}

impl Schedule for Cosine {
    fn factor(&self, at: Progress) -> f64 {
        self.floor + (1.0 - self.floor) * 0.5 * (1.0 + (PI * at.fraction()).cos())
    }
    fn validate(&self) -> Result<()> {
        match (0.0..=1.0).contains(&self.floor) {
            true => Ok(()),
            false => wrong("cosine", format!("floor must be in 0..=1, got {}", self.floor)),
        }
    }
}

impl Schedule for OneCycle {
    fn factor(&self, at: Progress) -> f64 {
        let total = at.total() as f64;
        let (peak, end, step) = (self.pct_start * total - 1.0, total - 1.0, at.step as f64);
        let slide = |from: f64, to: f64, t: f64| to + (from - to) * 0.5 * (1.0 + (PI * t.clamp(0.0, 1.0)).cos());
        let (first, last) = (1.0 / self.div, 1.0 / (self.div * self.final_div));
        if step <= peak {
            slide(first, 1.0, step / peak.max(1e-9))
        } else {
            slide(1.0, last, (step - peak) / (end - peak))
        }
    }
    fn validate(&self) -> Result<()> {
        match self.pct_start > 0.0 && self.pct_start < 1.0 && self.div >= 1.0 && self.final_div >= 1.0 {
            true => Ok(()),
            false => wrong("one_cycle", "needs pct_start in 0..1, div ≥ 1 and final_div ≥ 1".into()),
        }
    }
}

impl Schedule for Warmup {
    fn factor(&self, at: Progress) -> f64 {
        let steps = (self.epochs * at.steps_per_epoch as f64).min(at.total() as f64);
        let rise = if steps > 0.0 { ((at.step + 1) as f64 / steps).min(1.0) } else { 1.0 };
        rise * self.then.factor(at)
    }
    fn validate(&self) -> Result<()> {
        match self.epochs >= 0.0 && self.epochs.is_finite() {
            true => self.then.validate(),
            false => wrong("warmup", format!("epochs must be at least 0, got {}", self.epochs)),
        }
    }
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
    Entry::of::<MultiStep>("multi_step", "Times gamma at each milestone."),
    Entry::of::<OneCycle>("one_cycle", "Up and down along cosines within one run (Smith & Topin 2018)."),
    Entry::of::<Step>("step", "Times gamma every so many epochs."),
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
