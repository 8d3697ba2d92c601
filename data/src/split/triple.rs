//! Shards that are even in three ways.

use super::deal::Dealt;
use super::{Folds, Input, Split, at_least, five, ten};
use crate::error::Result;
use crate::rng::stream;
use rand::seq::SliceRandom;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// Folds of shards (Deotte, "Triple stratified KFold", SIIM-ISIC Melanoma 2020). In all shards are
/// 1. no group that is in another one,
/// 2. the same share of each class,
/// 3. as many groups with few and with many pictures.
///
/// Groups of one kind, those with about as many pictures and about as many of each class but the most frequent, are dealt to
/// the shard with the fewest pictures of that kind, of several to the one where they make their classes the most even; the shards
/// are then dealt to the folds. "About" is a power of two.
///
/// | field | default | range |
/// |---|---|---|
/// | `folds` | 5 | at least 2 |
/// | `shards` | 15 | at least `folds`; a multiple of it makes folds of one size |
/// | `by` | the target | a column whose values are spread evenly in its place |
/// | `bins` | 10 | at least 2, ranges of a number |
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Triple {
    /// How many.
    pub folds: usize,
    /// Of how many shards they are.
    pub shards: usize,
    /// What is spread evenly.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub by: Option<String>,
    /// Ranges of a number.
    pub bins: usize,
}

impl Default for Triple {
    fn default() -> Self {
        Self { folds: five(), shards: 15, by: None, bins: ten() }
    }
}

/// About how many rows of each class but the most frequent a group has, and of all.
type Kind = (BTreeMap<u32, u32>, u32);

impl Triple {
    /// Shard of each row, 0..`shards`.
    ///
    /// # Errors
    /// [`Error::Invalid`](crate::Error::Invalid) when there are fewer rows than shards.
    pub fn shards(&self, input: &Input<'_>, seed: u64) -> Result<Vec<usize>> {
        input.enough(self.shards)?;
        let strata = input.strata("triple", self.by.as_deref(), self.bins, self.folds)?;
        let mut dealt = Dealt::new(&strata.of, strata.names.len(), self.shards);
        let usual = (0..dealt.total.len()).rev().max_by_key(|&c| dealt.total[c]).unwrap_or(0) as u32;

        let mut kinds = BTreeMap::<Kind, Vec<Vec<usize>>>::new();
        let mut bundles = input.bundles();
        bundles.shuffle(&mut stream(seed, 0, 0));
        for bundle in bundles {
            let mut counts = BTreeMap::<u32, usize>::new();
            let classes = bundle.iter().map(|&i| strata.of[i]).filter(|&class| class != usual);
            classes.for_each(|class| *counts.entry(class).or_default() += 1);
            let about = counts.into_iter().map(|(class, n)| (class, power(n))).collect();
            kinds.entry((about, power(bundle.len()))).or_default().push(bundle);
        }
        // Rare kinds with many pictures first: the many small ones even out what these leave.
        let mut kinds: Vec<Vec<Vec<usize>>> = kinds.into_values().collect();
        kinds.sort_by_key(|kind| std::cmp::Reverse(kind.iter().map(Vec::len).max()));
        for mut kind in kinds {
            kind.sort_by_key(|bundle| std::cmp::Reverse(bundle.len()));
            let mut own = vec![0; self.shards];
            for bundle in kind {
                let least = own.iter().copied().min().unwrap_or(0);
                let among: Vec<usize> = (0..self.shards).filter(|&shard| own[shard] == least).collect();
                dealt.deal(&bundle, &strata.of, &among);
                own[dealt.of[bundle[0]].unwrap_or(0)] += bundle.len();
            }
        }
        Ok(dealt.of.into_iter().map(Option::unwrap_or_default).collect())
    }
}

impl Split for Triple {
    fn folds(&self, input: &Input<'_>, seed: u64) -> Result<Folds> {
        let mut order: Vec<usize> = (0..self.shards).collect();
        order.shuffle(&mut stream(seed, 1, 0));
        let mut fold = vec![0; self.shards];
        order.iter().enumerate().for_each(|(place, &shard)| fold[shard] = place % self.folds);
        let of = self.shards(input, seed)?.into_iter().map(|shard| Some(fold[shard])).collect();
        Ok(Folds { count: self.folds, of, ..Folds::default() })
    }
    fn columns(&self) -> Vec<String> {
        self.by.iter().cloned().collect()
    }
    fn validate(&self) -> Result<()> {
        at_least("triple", "bins", self.bins, 2)?;
        at_least("triple", "folds", self.folds, 2)?;
        at_least("triple", "shards", self.shards, self.folds)
    }
}

/// The number of binary digits: 0, 1, 2 for 2 and 3, 3 for 4 to 7.
fn power(n: usize) -> u32 {
    usize::BITS - n.leading_zeros()
}
