//! What can go wrong while a network is described, built or loaded.

/// Why a network could not be built. Tensor arithmetic itself returns [`candle_core::Error`].
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// No family has a preset of this name.
    #[error("unknown model '{name}', expected one of {known}")]
    UnknownModel {
        /// What was asked for.
        name: String,
        /// All names, comma-separated.
        known: String,
    },
    /// A parameter of a family is unknown or has the wrong type.
    #[error("model '{name}': {source}")]
    Parameter {
        /// The preset whose parameters were overridden.
        name: String,
        /// What serde says, with the field's name.
        source: serde_json::Error,
    },
    /// No pool, join or head has this name.
    #[error("unknown {kind} '{name}', expected one of {known}")]
    UnknownPart {
        /// Pool, join or head.
        kind: &'static str,
        /// What was asked for.
        name: String,
        /// All names, comma-separated.
        known: String,
    },
    /// A parameter of a pool, a join or a head is unknown or has the wrong type.
    #[error("{kind} '{name}': {source}")]
    PartParameter {
        /// Pool, join or head.
        kind: &'static str,
        /// Whose parameters were given.
        name: &'static str,
        /// What serde says, with the field's name.
        source: serde_json::Error,
    },
    /// A parameter has an impossible value.
    #[error("{0}")]
    Invalid(String),
    /// A file of weights cannot be read, or does not fit the network.
    #[error("weights '{file}': {why}")]
    Weights {
        /// Its name.
        file: String,
        /// What is wrong with it, and what to do.
        why: String,
    },
    /// Weights could not be had from the hub.
    #[error("{what}: {why}")]
    Hub {
        /// What was asked for: an address, or a file of the cache.
        what: String,
        /// What went wrong, and what to do.
        why: String,
    },
    /// A tensor operation failed.
    #[error(transparent)]
    Tensor(#[from] candle_core::Error),
}

/// A configuration that cannot be read, or of which nothing can be built: not yet an [`Error`], which says whose it is.
pub(crate) enum BuildError {
    /// An unknown field, or one of the wrong type.
    Parameter(serde_json::Error),
    /// All else.
    Other(Error),
}

impl BuildError {
    /// With what `parameter` makes of a field.
    pub fn of(self, parameter: impl FnOnce(serde_json::Error) -> Error) -> Error {
        match self {
            Self::Parameter(source) => parameter(source),
            Self::Other(error) => error,
        }
    }
}

/// Result with this crate's [`Error`].
pub type Result<T, E = Error> = std::result::Result<T, E>;
