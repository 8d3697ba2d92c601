//! What can be set about training.

use crate::average::Rise;
use crate::error::{Error, Result};
use serde::{Deserialize, Serialize};
use std::path::PathBuf;

/// How to train.
///
/// | field | default | range |
/// |---|---|---|
/// | `epochs` | 10 | ≥ 1 |
/// | `lr` | 0.1 | > 0, multiplied by the schedule |
/// | `accumulate` | 1 | micro-batches per step, averaged by their samples; a last group may be smaller |
/// | `pieces` | 1 | in how many pieces each batch passes at first; they double when memory is not enough |
/// | `centralize` | false | whether each unit's mean is taken out of its gradient |
/// | `clip_unit` | none | largest length of a unit's gradient over the unit's own (adaptive clipping) |
/// | `clip_unit_except` | ["head."] | beginnings of names that it leaves alone |
/// | `clip_value` | none | largest number in a gradient |
/// | `clip_norm` | none | largest global norm of the gradients |
/// | `loss_scale` | none | > 0, what losses are multiplied by at first, 65536 for F16; it adapts (see [`LossScale`](crate::LossScale)) |
/// | `l1` | none | ≥ 0, pulls weights that decay to exactly 0 |
/// | `ema` | none | decay of the averaged weights, 0..1; validation and the result use the average |
/// | `ema_rise` | "tensorflow" | how the decay rises: "tensorflow", "timm", "none" |
/// | `swa` | none | 0..1, share of the epochs after which their weights are averaged equally; used as with `ema` |
/// | `snapshots` | false | whether weights at the ends of the schedule's cycles are kept, as `snapshot<k>.safetensors` |
/// | `guard` | 0 | steps between states in memory, at most two, that a loss that is no number leads back to; 0: an error |
/// | `spike` | none | > 1, a loss of so many times the usual one leads back as well |
/// | `patience` | none | epochs without a better score after which training ends |
/// | `min_delta` | 0 | ≥ 0, in units of the score: for `patience` only what is more than so much better is, as Keras |
/// | `folder` | none | where `last.safetensors`, `state.json` and `weights.safetensors` go |
/// | `save_every` | 0 | steps between checkpoints inside an epoch; 0: after each epoch only |
/// | `log_every` | 10 | steps between losses that hooks see |
/// | `fingerprint` | empty | must be the same when resuming |
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct TrainConfig {
    /// Passes over the data.
    pub epochs: usize,
    /// Base learning rate.
    pub lr: f64,
    /// Micro-batches per step.
    pub accumulate: usize,
    /// Pieces of each micro-batch.
    pub pieces: usize,
    /// Gradient centralization.
    pub centralize: bool,
    /// Adaptive gradient clipping.
    pub clip_unit: Option<f64>,
    /// Beginnings of names of parameters that are not clipped by unit.
    pub clip_unit_except: Vec<String>,
    /// Largest number in a gradient.
    pub clip_value: Option<f64>,
    /// Largest global gradient norm.
    pub clip_norm: Option<f64>,
    /// First loss scale of mixed precision.
    pub loss_scale: Option<f64>,
    /// L1 penalty.
    pub l1: Option<f64>,
    /// Decay of the averaged weights.
    pub ema: Option<f64>,
    /// How it rises.
    pub ema_rise: Rise,
    /// Where stochastic weight averaging begins.
    pub swa: Option<f64>,
    /// Whether weights are kept at the ends of cycles.
    pub snapshots: bool,
    /// Steps between states that can be gone back to.
    pub guard: usize,
    /// What a loss may be over the usual one.
    pub spike: Option<f64>,
    /// Early stopping.
    pub patience: Option<usize>,
    /// What must be exceeded for early stopping.
    pub min_delta: f64,
    /// Where checkpoints go.
    pub folder: Option<PathBuf>,
    /// Steps between checkpoints.
    pub save_every: usize,
    /// Steps between logged losses.
    pub log_every: usize,
    /// Guards against resuming something else.
    pub fingerprint: String,
}

impl Default for TrainConfig {
    fn default() -> Self {
        Self {
            epochs: 10,
            lr: 0.1,
            accumulate: 1,
            pieces: 1,
            centralize: false,
            clip_unit: None,
            clip_unit_except: vec!["head.".into()],
            clip_value: None,
            clip_norm: None,
            loss_scale: None,
            l1: None,
            ema: None,
            ema_rise: Rise::Tensorflow,
            swa: None,
            snapshots: false,
            guard: 0,
            spike: None,
            patience: None,
            min_delta: 0.0,
            folder: None,
            save_every: 0,
            log_every: 10,
            fingerprint: String::new(),
        }
    }
}

impl TrainConfig {
    /// Rejects impossible values.
    pub(super) fn validate(&self) -> Result<()> {
        let invalid = |why: &str| Err(Error::Invalid(why.into()));
        match self {
            c if [c.epochs, c.accumulate, c.log_every, c.pieces].contains(&0) => {
                invalid("epochs, accumulate, log_every and pieces must be at least 1")
            }
            c if !(c.lr > 0.0 && c.lr.is_finite()) => invalid("lr must be positive"),
            c if c.ema.is_some_and(|d| !(0.0..1.0).contains(&d)) => invalid("ema must be in 0..1"),
            c if c.clip_norm.is_some_and(|n| n <= 0.0) => invalid("clip_norm must be positive"),
            c if c.clip_value.is_some_and(|n| n <= 0.0) => invalid("clip_value must be positive"),
            c if c.clip_unit.is_some_and(|n| n <= 0.0) => invalid("clip_unit must be positive"),
            c if c.loss_scale.is_some_and(|s| s <= 0.0 || !s.is_finite()) => invalid("loss_scale must be positive"),
            c if c.l1.is_some_and(|n| n.is_nan() || n < 0.0) => invalid("l1 must be at least 0"),
            c if c.swa.is_some_and(|d| !(0.0..1.0).contains(&d)) => invalid("swa must be in 0..1"),
            c if c.swa.is_some() && c.ema.is_some() => invalid("ema and swa exclude each other"),
            c if c.snapshots && c.folder.is_none() => invalid("snapshots need a folder"),
            c if c.spike.is_some_and(|s| s.is_nan() || s <= 1.0) => invalid("spike must be more than 1"),
            c if !(c.min_delta >= 0.0 && c.min_delta.is_finite()) => invalid("min_delta must be at least 0"),
            c if c.spike.is_some() && c.guard == 0 => invalid("spike needs guard"),
            _ => Ok(()),
        }
    }
}
