//! What can go wrong in training.

use std::path::PathBuf;

/// An error from code that is not ours: data, models, hooks.
pub type BoxError = Box<dyn std::error::Error + Send + Sync>;

/// Why training stopped.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// No technique of this name.
    #[error("unknown {kind} '{name}', expected one of {known}")]
    Unknown {
        /// optimizer or schedule.
        kind: &'static str,
        /// What was asked for.
        name: String,
        /// All names, comma-separated.
        known: String,
    },
    /// A parameter is unknown or has the wrong type.
    #[error("{kind} '{name}': {source}")]
    Parameter {
        /// optimizer or schedule.
        kind: &'static str,
        /// The technique.
        name: String,
        /// What serde says, with the field's name.
        source: serde_json::Error,
    },
    /// A parameter has an impossible value.
    #[error("{0}")]
    Invalid(String),
    /// The graph between the loss and some parameters is cut.
    #[error("no gradient reaches {} of {total} parameters: {}; an op without a backward pass cuts the graph behind them", names.len(), names.join(", "))]
    DeadParameters {
        /// All of them.
        names: Vec<String>,
        /// How many parameters there are.
        total: usize,
    },
    /// The loss is not a number any more.
    #[error(
        "the loss became {loss} at step {step} of epoch {epoch}; try a lower learning rate, a longer warm-up or gradient clipping"
    )]
    NotFinite {
        /// 0-based.
        epoch: usize,
        /// Optimizer steps done.
        step: usize,
        /// NaN or infinite.
        loss: f64,
    },
    /// A checkpoint cannot be used.
    #[error("checkpoint '{}': {why}", path.display())]
    Checkpoint {
        /// The file.
        path: PathBuf,
        /// What is wrong and what to do.
        why: String,
    },
    /// A file cannot be written or read.
    #[error("cannot {doing} '{}'{}", path.display(), if *doing == "write" { "; is the disk full or read-only?" } else { "" })]
    Io {
        /// write or read.
        doing: &'static str,
        /// The file.
        path: PathBuf,
        /// Why.
        source: std::io::Error,
    },
    /// A batch could not be made.
    #[error("cannot get the next batch")]
    Batch(#[source] BoxError),
    /// Validation failed.
    #[error("validation failed")]
    Validation(#[source] BoxError),
    /// A hook failed.
    #[error("a training hook failed")]
    Hook(#[source] BoxError),
    /// A tensor operation failed.
    #[error(transparent)]
    Tensor(#[from] candle_core::Error),
}

/// Result with this crate's [`Error`].
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// Checks of one technique's parameters; every message names technique and key.
pub(crate) struct Check {
    kind: &'static str,
    name: &'static str,
}

impl Check {
    pub(crate) fn optimizer(name: &'static str) -> Self {
        Self { kind: "optimizer", name }
    }

    pub(crate) fn schedule(name: &'static str) -> Self {
        Self { kind: "schedule", name }
    }

    pub(crate) fn that(&self, holds: bool, why: impl FnOnce() -> String) -> Result<()> {
        match holds {
            true => Ok(()),
            false => Err(Error::Invalid(format!("{} '{}': {}", self.kind, self.name, why()))),
        }
    }

    /// 0 ≤ value < 1.
    pub(crate) fn share(&self, key: &str, value: f64) -> Result<()> {
        self.that((0.0..1.0).contains(&value), || format!("{key} must be in 0..1, got {value}"))
    }

    /// 0 ≤ value ≤ 1.
    pub(crate) fn closed(&self, key: &str, value: f64) -> Result<()> {
        self.that((0.0..=1.0).contains(&value), || format!("{key} must be in 0..=1, got {value}"))
    }

    /// value > 0 and finite.
    pub(crate) fn positive(&self, key: &str, value: f64) -> Result<()> {
        self.that(value > 0.0 && value.is_finite(), || format!("{key} must be positive, got {value}"))
    }

    /// value ≥ 0 and finite.
    pub(crate) fn not_negative(&self, key: &str, value: f64) -> Result<()> {
        self.that(value >= 0.0 && value.is_finite(), || format!("{key} must be at least 0, got {value}"))
    }
}
