//! What can go wrong when transforms are built; applying them cannot fail.

/// Why a transform was not built.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// No technique of this name.
    #[error("unknown {kind} '{name}', expected one of {known}")]
    Unknown {
        /// transform or batch transform.
        kind: &'static str,
        /// What was asked for.
        name: String,
        /// All names, comma-separated.
        known: String,
    },
    /// A parameter is unknown, missing or has the wrong type.
    #[error("{kind} '{name}': {source}")]
    Parameter {
        /// transform or batch transform.
        kind: &'static str,
        /// The technique.
        name: String,
        /// What serde says, with the field's name.
        source: serde_json::Error,
    },
    /// A parameter has an impossible value.
    #[error("{0}")]
    Invalid(String),
}

/// Result with this crate's [`Error`].
pub type Result<T, E = Error> = std::result::Result<T, E>;
