//! Each class spread evenly.

use super::{Folds, Input, Split, at_least, five, stratified_group_k_fold, ten};
use crate::error::Result;
use serde::{Deserialize, Serialize};

/// Each class spread evenly over the folds: at most one sample apart where no rows are tied together, else as even as that
/// allows ([`stratified_group_k_fold`]). A class with fewer samples than folds judges none of them. Of soft labels counts the
/// likeliest class; a target of one number is cut into ranges with equally many rows, at least as many as there are folds.
///
/// | field | default | range |
/// |---|---|---|
/// | `folds` | 5 | at least 2 |
/// | `by` | the target | a column whose values are spread evenly in its place |
/// | `bins` | 10 | at least 2, ranges of a number; each of fewer different values is a stratum |
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Stratified {
    /// How many.
    #[serde(default = "five")]
    pub folds: usize,
    /// What is spread evenly.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub by: Option<String>,
    /// Ranges of a number.
    #[serde(default = "ten")]
    pub bins: usize,
}

impl Split for Stratified {
    fn folds(&self, input: &Input<'_>, seed: u64) -> Result<Folds> {
        input.enough(self.folds)?;
        let strata = input.strata("stratified", self.by.as_deref(), self.bins, self.folds)?;
        let folds = stratified_group_k_fold(&strata.of, input.keys, self.folds, seed)?;
        Ok(Folds { strata: strata.names, ..folds })
    }
    fn columns(&self) -> Vec<String> {
        self.by.iter().cloned().collect()
    }
    fn validate(&self) -> Result<()> {
        at_least("stratified", "bins", self.bins, 2)?;
        at_least("stratified", "folds", self.folds, 2)
    }
}

/// Each class spread evenly over `k` folds, at most one sample apart.
///
/// # Errors
/// [`Error::Invalid`](crate::Error::Invalid) when there are fewer than two folds or fewer samples than folds.
pub fn stratified_k_fold(labels: &[u32], k: usize, seed: u64) -> Result<Folds> {
    stratified_group_k_fold(labels, &vec![None; labels.len()], k, seed)
}
