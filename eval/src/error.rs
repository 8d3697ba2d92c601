//! What can go wrong after training.

use std::io::ErrorKind;
use std::path::{Path, PathBuf};

/// Why there is no score, no file or no answer.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// No metric of this name.
    #[error("unknown metric '{name}', expected one of {known}")]
    Unknown {
        /// What was asked for.
        name: String,
        /// All names, comma-separated.
        known: String,
    },
    /// A parameter is unknown or has the wrong type.
    #[error("metric '{name}': {source}")]
    Parameter {
        /// The metric.
        name: String,
        /// What serde says, with the field's name.
        source: serde_json::Error,
    },
    /// A parameter has an impossible value.
    #[error("{0}")]
    Invalid(String),
    /// The predictions do not carry the truth that a score needs.
    #[error("{what} needs {needs}")]
    Truth {
        /// What was to be computed.
        what: &'static str,
        /// What is missing.
        needs: &'static str,
    },
    /// A score has no value on these samples, such as the area under a curve of one class.
    #[error("{what} is undefined: {why}")]
    Undefined {
        /// What was to be computed.
        what: &'static str,
        /// What is special about the samples.
        why: &'static str,
    },
    /// Predictions that contradict themselves or each other.
    #[error("predictions: {0}")]
    Predictions(String),
    /// A table that cannot be read.
    #[error("line {line}: {why}")]
    Csv {
        /// 1-based.
        line: u64,
        /// What is wrong, with the column's name.
        why: String,
    },
    /// The answer does not fit the competition's sample.
    #[error("submission: {0}")]
    Submission(String),
    /// A file cannot be written or read.
    #[error("cannot {doing} '{}'{hint}", path.display())]
    Io {
        /// write, read or create.
        doing: &'static str,
        /// The file or folder.
        path: PathBuf,
        /// What to do about it, or nothing.
        hint: &'static str,
        /// Why.
        source: std::io::Error,
    },
    /// A line of a run's scalars makes no sense.
    #[error("'{}', line {line}: {source}", path.display())]
    Scalars {
        /// The file.
        path: PathBuf,
        /// 1-based.
        line: usize,
        /// What is wrong.
        source: serde_json::Error,
    },
    /// A tensor operation failed.
    #[error(transparent)]
    Tensor(#[from] candle_core::Error),
}

impl Error {
    pub(crate) fn io(doing: &'static str, path: &Path, source: std::io::Error) -> Self {
        let hint = match source.kind() {
            ErrorKind::StorageFull | ErrorKind::QuotaExceeded => "; free some space and resume the run",
            ErrorKind::ReadOnlyFilesystem | ErrorKind::PermissionDenied => {
                "; choose a folder that may be written, or change its permissions"
            }
            _ => "",
        };
        Self::Io { doing, path: path.into(), hint, source }
    }
}

/// Result with this crate's [`Error`].
pub type Result<T, E = Error> = std::result::Result<T, E>;
