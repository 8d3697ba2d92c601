//! No group in two folds.

use super::{Folds, Input, KFold, Split, five};
use crate::error::Result;
use serde::{Deserialize, Serialize};

/// No group in two folds, sizes as even as that allows: the largest group first, each into the smallest fold, as
/// scikit-learn's `GroupKFold` does it. [`KFold`] that insists on groups.
///
/// | field | default | range |
/// |---|---|---|
/// | `folds` | 5 | at least 2 |
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Grouped {
    /// How many.
    #[serde(default = "five")]
    pub folds: usize,
}

impl Split for Grouped {
    fn folds(&self, input: &Input<'_>, seed: u64) -> Result<Folds> {
        input.grouped("grouped")?;
        KFold { folds: self.folds }.folds(input, seed)
    }
    fn validate(&self) -> Result<()> {
        KFold { folds: self.folds }.validate()
    }
}
