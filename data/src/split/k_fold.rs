//! Folds of one size.

use super::deal::by_size;
use super::{Folds, Input, Split, at_least, five};
use crate::error::Result;
use crate::rng::stream;
use rand::seq::SliceRandom;
use serde::{Deserialize, Serialize};

/// Folds whose sizes are at most one apart, whatever the classes; rows that are tied together go first, the largest bundle
/// before others, each into the smallest fold.
///
/// | field | default | range |
/// |---|---|---|
/// | `folds` | 5 | at least 2 |
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct KFold {
    /// How many.
    #[serde(default = "five")]
    pub folds: usize,
}

impl Split for KFold {
    fn folds(&self, input: &Input<'_>, seed: u64) -> Result<Folds> {
        input.enough(self.folds)?;
        let mut bundles = input.bundles();
        bundles.shuffle(&mut stream(seed, 0, 0));
        let of = by_size(bundles, input.rows.len(), self.folds);
        Ok(Folds { count: self.folds, of, ..Folds::default() })
    }
    fn validate(&self) -> Result<()> {
        at_least("k_fold", "folds", self.folds, 2)
    }
}
