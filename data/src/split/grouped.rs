//! No group in two folds.

use super::{Folds, Input, KFold, Split, five, stratified_group_k_fold};
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

/// No group in two folds, in random order each into the smallest one. Samples without a group are on their own. [`Grouped`]
/// makes sizes more even.
///
/// # Errors
/// As [`stratified_k_fold`](super::stratified_k_fold).
pub fn group_k_fold(groups: &[Option<String>], k: usize, seed: u64) -> Result<Folds> {
    stratified_group_k_fold(&vec![0; groups.len()], groups, k, seed)
}
