//! Several labels, each spread evenly.

use super::{Folds, Input, Split, at_least, five};
use crate::error::Result;
use crate::rng::stream;
use crate::row::Row;
use rand::Rng;
use rand::seq::SliceRandom;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// Iterative stratification (Sechidis, Tsoumakas and Vlahavas, "On the stratification of multi-label data", 2011): the label
/// with the fewest samples left is dealt first, each of them to the fold that lacks it most, of several to the one that lacks
/// most samples. Rows that are tied together are dealt as one.
///
/// A label is what has a value above 0.5; values that are not known are none.
///
/// | field | default | range |
/// |---|---|---|
/// | `folds` | 5 | at least 2 |
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct MultiLabel {
    /// How many.
    #[serde(default = "five")]
    pub folds: usize,
}

/// Rows that are dealt as one.
struct Bundle {
    rows: Vec<usize>,
    /// Labels with how many of the rows have them.
    labels: Vec<(usize, usize)>,
}

impl Split for MultiLabel {
    fn folds(&self, input: &Input<'_>, seed: u64) -> Result<Folds> {
        input.enough(self.folds)?;
        let mut rng = stream(seed, 0, 0);
        let mut bundles: Vec<Bundle> = input.bundles().into_iter().map(|rows| bundle(rows, input.rows)).collect();
        bundles.shuffle(&mut rng);
        bundles.sort_by_key(|bundle| std::cmp::Reverse(bundle.rows.len()));

        let known = bundles.iter().flat_map(|b| &b.labels).map(|(label, _)| label + 1);
        let count = known.max().unwrap_or(0).max(input.classes.len());
        let mut left = vec![0usize; count];
        bundles.iter().flat_map(|b| &b.labels).for_each(|(label, n)| left[*label] += n);
        let total = left.clone();
        let even = |n: usize| vec![n as f64 / self.folds as f64; self.folds];
        let mut wanted: Vec<Vec<f64>> = left.iter().map(|n| even(*n)).collect();
        let mut room = even(input.rows.len());
        let mut has = vec![vec![0usize; self.folds]; count];
        let mut of = vec![None; input.rows.len()];
        let mut waiting: Vec<&Bundle> = bundles.iter().collect();
        while !waiting.is_empty() {
            let rarest = (0..count).filter(|&label| left[label] > 0).min_by_key(|&label| left[label]);
            let is_next = |b: &&Bundle| rarest.is_none_or(|rarest| b.labels.iter().any(|(label, _)| *label == rarest));
            let (next, rest): (Vec<_>, Vec<_>) = waiting.into_iter().partition(is_next);
            for bundle in next {
                let lacks = |fold: usize| (rarest.map_or(0.0, |label| wanted[label][fold]), room[fold]);
                let order = |a: &(f64, f64), b: &(f64, f64)| a.0.total_cmp(&b.0).then(a.1.total_cmp(&b.1));
                let most = (0..self.folds).map(lacks).max_by(order).unwrap_or_default();
                let best: Vec<usize> = (0..self.folds).filter(|&fold| order(&lacks(fold), &most).is_eq()).collect();
                let fold = best[rng.random_range(0..best.len())];
                for &(label, n) in &bundle.labels {
                    wanted[label][fold] -= n as f64;
                    left[label] -= n;
                    has[label][fold] += n;
                }
                room[fold] -= bundle.rows.len() as f64;
                bundle.rows.iter().for_each(|&row| of[row] = Some(fold));
            }
            waiting = rest;
        }
        let in_folds = |label: usize| has[label].iter().filter(|n| **n > 0).count();
        let is_rare = |label: &usize| (1..self.folds).contains(&total[*label]);
        let rare = (0..count).filter(is_rare).map(|label| (label as u32, total[label])).collect();
        let lumped = (0..count).filter(|label| !is_rare(label) && (1..self.folds).contains(&in_folds(*label)));
        let lumped = lumped.map(|label| (label as u32, in_folds(label))).collect();
        let name = |i: usize| input.classes.get(i).cloned().unwrap_or_else(|| i.to_string());
        let strata = (0..count).map(name).collect();
        Ok(Folds { count: self.folds, of, rare, lumped, strata, ..Folds::default() })
    }
    fn validate(&self) -> Result<()> {
        at_least("multi_label", "folds", self.folds, 2)
    }
}

fn bundle(rows: Vec<usize>, all: &[&Row]) -> Bundle {
    let mut labels = BTreeMap::<usize, usize>::new();
    for &row in &rows {
        all[row].labels().into_iter().for_each(|label| *labels.entry(label).or_default() += 1);
    }
    Bundle { rows, labels: labels.into_iter().collect() }
}
