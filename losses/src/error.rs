//! What can go wrong when a loss is built.

/// Why there is no such loss.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// No loss of this name.
    #[error("unknown loss '{name}', expected one of {known}")]
    Unknown {
        /// What was asked for.
        name: String,
        /// All names, comma-separated.
        known: String,
    },
    /// A parameter is unknown or has the wrong type.
    #[error("loss '{name}': {source}")]
    Parameter {
        /// The loss.
        name: String,
        /// What serde says, with the field's name.
        source: serde_json::Error,
    },
    /// A parameter has an impossible value, or one that does not fit the number of classes.
    #[error("loss '{name}': {why}")]
    Invalid {
        /// The loss.
        name: &'static str,
        /// The parameter and what is wrong with it.
        why: String,
    },
}

/// Result with this crate's [`Error`].
pub type Result<T, E = Error> = std::result::Result<T, E>;
