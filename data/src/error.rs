//! What can go wrong between a folder and a batch.

use std::path::PathBuf;

/// Why data could not be had. Every message names the file, row, column or technique.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// No technique of this name.
    #[error("unknown {kind} '{name}', expected one of {known}")]
    Unknown {
        /// source, split, sampler.
        kind: &'static str,
        /// What was asked for.
        name: String,
        /// All names, comma-separated.
        known: String,
    },
    /// A parameter is unknown, missing or has the wrong type.
    #[error("{kind} '{name}': {source}")]
    Parameter {
        /// source, split, sampler.
        kind: &'static str,
        /// The technique.
        name: String,
        /// What serde says, with the field's name.
        source: serde_json::Error,
    },
    /// A parameter has an impossible value.
    #[error("{0}")]
    Invalid(String),
    /// A file or folder cannot be read.
    #[error("cannot read '{}'", path.display())]
    Read {
        /// The file.
        path: PathBuf,
        /// Why.
        source: std::io::Error,
    },
    /// A file is no picture that can be decoded.
    #[error("cannot decode '{name}': {why}")]
    Decode {
        /// The file, as its source names it.
        name: String,
        /// What is wrong with it.
        why: String,
    },
    /// A table does not fit.
    #[error("table '{}': {why}", path.display())]
    Table {
        /// The file.
        path: PathBuf,
        /// Which line or column, and what to do.
        why: String,
    },
    /// A parameter names a column that a table does not have.
    #[error("table '{}': data.{parameter}: unknown column '{name}', expected one of {known}", path.display())]
    Column {
        /// The file.
        path: PathBuf,
        /// id, label, group or meta.
        parameter: &'static str,
        /// What was asked for.
        name: String,
        /// All columns, comma-separated.
        known: String,
    },
    /// A folder has no layout that is known.
    #[error("'{}': {why}", path.display())]
    Layout {
        /// The folder.
        path: PathBuf,
        /// What was found and what was expected.
        why: String,
    },
    /// More pictures are broken than is allowed.
    #[error(
        "{broken} of {total} pictures cannot be used, more than the allowed {allowed} %: {list}; the report of `eda` lists all; repair them or raise data.clean.max_broken"
    )]
    TooManyBroken {
        /// How many.
        broken: usize,
        /// Of how many.
        total: usize,
        /// Allowed share, percent.
        allowed: f64,
        /// The first of them with reasons.
        list: String,
    },
    /// A split has rows of one group on both sides.
    #[error(transparent)]
    Leak(#[from] crate::split::Leak),
    /// A tensor operation failed.
    #[error(transparent)]
    Tensor(#[from] candle_core::Error),
}

/// Result with this crate's [`Error`].
pub type Result<T, E = Error> = std::result::Result<T, E>;
