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
    /// Every step was skipped, because gradients were no numbers under a loss scale.
    #[error(
        "epoch {epoch}: {skipped} of {step} steps were skipped, because gradients are no numbers with a loss scale of {scale:e}; {}",
        if *scale >= 1.0 { "begin with a smaller one, or take more steps" }
        else { "try bf16 instead of f16, gradient clipping or a lower learning rate" }
    )]
    NothingLearned {
        /// 0-based.
        epoch: usize,
        /// Optimizer steps so far.
        step: usize,
        /// How many of them were skipped.
        skipped: usize,
        /// The loss scale in the end.
        scale: f64,
    },
    /// Memory is not enough for a batch, not even in pieces.
    #[error(
        "not enough memory for a batch{}; try smaller batches or pictures, a smaller network, or recomputation in its backward pass",
        if *pieces > 1 { format!(" in {pieces} pieces, which are as small as they get") } else { " that cannot be split".into() }
    )]
    OutOfMemory {
        /// In how many pieces it was tried at last.
        pieces: usize,
        /// What the device says.
        source: candle_core::Error,
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

/// Whether `error` says that memory is not enough: there is no kind of error for it, so its text is looked at. Known are the
/// words of CUDA and its libraries, of Metal and of Rust's allocator.
pub fn is_out_of_memory(error: &candle_core::Error) -> bool {
    use candle_core::Error::{Context, WithBacktrace, WithPath, WrappedContext};
    match error {
        // Not their own text: a backtrace has names of functions, which may say anything.
        WithBacktrace { inner, .. } | WithPath { inner, .. } | Context { inner, .. } => is_out_of_memory(inner),
        WrappedContext { wrapped, .. } => match wrapped.downcast_ref() {
            Some(inner) => is_out_of_memory(inner),
            None => says_out_of_memory(&wrapped.to_string()),
        },
        error => says_out_of_memory(&error.to_string()),
    }
}

fn says_out_of_memory(text: &str) -> bool {
    let text = text.to_lowercase();
    let words =
        ["out of memory", "out_of_memory", "outofmemory", "insufficient memory", "memory allocation", "alloc_failed"];
    words.iter().any(|words| text.contains(words))
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

    /// value > 0 and finite, in single precision too, which is what is computed with.
    pub(crate) fn positive(&self, key: &str, value: f64) -> Result<()> {
        let holds = value as f32 > 0.0 && (value as f32).is_finite();
        self.that(holds, || format!("{key} must be positive in single precision, got {value}"))
    }

    /// value ≥ 0 and finite.
    pub(crate) fn not_negative(&self, key: &str, value: f64) -> Result<()> {
        self.that(value >= 0.0 && value.is_finite(), || format!("{key} must be at least 0, got {value}"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use candle_core::{Context, Error as Candle};

    #[test]
    fn lack_of_memory_is_known_by_its_words() {
        for text in [
            "DriverError(CUDA_ERROR_OUT_OF_MEMORY, \"out of memory\")",
            "CublasError(CUBLAS_STATUS_ALLOC_FAILED)",
            "Insufficient Memory (00000008:kIOGPUCommandBufferCallbackErrorOutOfMemory)",
            "memory allocation of 8589934592 bytes failed",
        ] {
            assert!(is_out_of_memory(&Candle::Cuda(text.into())), "{text}");
            assert!(is_out_of_memory(&Candle::Msg(text.into()).bt().with_path("x").context("y")), "{text}");
            assert!(is_out_of_memory(&Err::<(), _>(Candle::wrap(text)).context("z").unwrap_err()), "{text}");
        }
        assert!(!is_out_of_memory(&Candle::Msg("DriverError(CUDA_ERROR_ILLEGAL_ADDRESS)".into()).bt()));
    }
}
