//! Each class spread evenly, no group in two folds.

use super::deal::{Dealt, unevenness};
use super::input::bundles;
use super::{Folds, Input, Split, Stratified, five, ten};
use crate::error::{Error, Result};
use crate::rng::stream;
use rand::seq::SliceRandom;
use serde::{Deserialize, Serialize};

/// No group in two folds, each class as even as that allows: [`Stratified`] that insists on groups.
///
/// | field | default | range |
/// |---|---|---|
/// | `folds` | 5 | at least 2 |
/// | `by` | the target | a column whose values are spread evenly in its place |
/// | `bins` | 10 | at least 2, ranges of a number |
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct StratifiedGrouped {
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

impl StratifiedGrouped {
    fn ungrouped(&self) -> Stratified {
        Stratified { folds: self.folds, by: self.by.clone(), bins: self.bins }
    }
}

impl Split for StratifiedGrouped {
    fn folds(&self, input: &Input<'_>, seed: u64) -> Result<Folds> {
        input.grouped("stratified_grouped")?;
        self.ungrouped().folds(input, seed)
    }
    fn columns(&self) -> Vec<String> {
        self.by.iter().cloned().collect()
    }
    fn validate(&self) -> Result<()> {
        self.ungrouped().validate()
    }
}

/// No group in two folds, each class as even as that allows.
///
/// Groups of several samples go first, those with the most uneven labels before others, each into the fold that makes
/// the shares of its classes the most even (the greedy rule of scikit-learn's `StratifiedGroupKFold`); single samples
/// then fill up. A class with fewer samples than folds cannot be judged: its samples train in every fold but the one
/// that others of their group judge.
///
/// # Errors
/// As [`stratified_k_fold`].
pub fn stratified_group_k_fold(labels: &[u32], groups: &[Option<String>], k: usize, seed: u64) -> Result<Folds> {
    if k < 2 || labels.len() < k || labels.len() != groups.len() {
        let (n, g) = (labels.len(), groups.len());
        return Err(Error::Invalid(format!("{n} samples with {g} groups cannot be split into {k} folds")));
    }
    let classes = labels.iter().max().map_or(0, |c| *c as usize + 1);
    let mut dealt = Dealt::new(labels, classes, k);
    let rare: Vec<bool> = dealt.total.iter().map(|n| (1..k).contains(n)).collect();
    let is_rare = |&i: &usize| rare[labels[i] as usize];

    let bundles = bundles(groups);
    let common = |bundle: &Vec<usize>| bundle.iter().copied().filter(|i| !is_rare(i)).collect::<Vec<usize>>();
    let judging = bundles.iter().map(common).filter(|bundle| !bundle.is_empty());
    let (mut several, mut singles): (Vec<_>, Vec<_>) = judging.partition(|bundle| bundle.len() > 1);
    let mut rng = stream(seed, 0, 0);
    several.shuffle(&mut rng);
    singles.shuffle(&mut rng);
    let mut several: Vec<(f64, Vec<usize>)> =
        several.into_iter().map(|bundle| (unevenness(&bundle, labels, classes), bundle)).collect();
    several.sort_by(|(a, _), (b, _)| b.total_cmp(a));
    let all: Vec<usize> = (0..k).collect();
    for bundle in several.iter().map(|(_, bundle)| bundle).chain(&singles) {
        dealt.deal(bundle, labels, &all);
    }
    let mut unused = vec![vec![]; k];
    for bundle in &bundles {
        if let Some(fold) = bundle.iter().find_map(|&i| dealt.of[i]) {
            unused[fold].extend(bundle.iter().copied().filter(is_rare));
        }
    }
    unused.iter_mut().for_each(|unused| unused.sort_unstable());
    if unused.iter().all(Vec::is_empty) {
        unused.clear();
    }
    let judged = |c: usize| dealt.counts.iter().filter(|fold| fold[c] > 0).count();
    let lumped = (0..classes).filter(|&c| dealt.total[c] > 0 && !rare[c] && judged(c) < k);
    let lumped = lumped.map(|c| (c as u32, judged(c))).collect();
    let rare = (0..classes).filter(|&c| rare[c]).map(|c| (c as u32, dealt.total[c])).collect();
    Ok(Folds { count: k, of: dealt.of, rare, lumped, unused, ..Folds::default() })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::split::stratified_k_fold;
    use rand::Rng;
    use std::collections::BTreeMap;

    fn counts(labels: &[u32], folds: &Folds, k: usize, class: u32) -> Vec<usize> {
        let in_fold = |f| labels.iter().zip(&folds.of).filter(|(c, o)| **c == class && **o == Some(f)).count();
        (0..k).map(in_fold).collect()
    }

    #[test]
    fn classes_are_at_most_one_apart() {
        let mut rng = stream(3, 0, 0);
        let labels: Vec<u32> = (0..503).map(|_| rng.random_range(0..5)).collect();
        let folds = stratified_k_fold(&labels, 5, 1).unwrap();
        for class in 0..5 {
            let counts = counts(&labels, &folds, 5, class);
            assert!(counts.iter().max().unwrap() - counts.iter().min().unwrap() <= 1, "{counts:?}");
        }
        assert_eq!(folds, stratified_k_fold(&labels, 5, 1).unwrap());
        assert_ne!(folds, stratified_k_fold(&labels, 5, 2).unwrap());
    }

    #[test]
    fn groups_stay_together_and_classes_stay_even() {
        let mut rng = stream(4, 0, 0);
        let (mut labels, mut groups) = (vec![], vec![]);
        for group in 0..200 {
            let favorite = rng.random_range(0..4);
            for _ in 0..rng.random_range(1..12) {
                labels.push(if rng.random_bool(0.7) { favorite } else { rng.random_range(0..4) });
                groups.push(if group % 10 == 0 { None } else { Some(group.to_string()) });
            }
        }
        let folds = stratified_group_k_fold(&labels, &groups, 5, 7).unwrap();
        assert!(folds.rare.is_empty() && folds.lumped.is_empty());
        let mut seen = BTreeMap::new();
        for (group, fold) in groups.iter().zip(&folds.of).filter(|(g, _)| g.is_some()) {
            assert_eq!(seen.entry(group).or_insert(*fold), fold);
        }
        for class in 0..4 {
            let counts = counts(&labels, &folds, 5, class);
            let mean = counts.iter().sum::<usize>() as f64 / 5.0;
            assert!(counts.iter().all(|n| (*n as f64 - mean).abs() < 0.05 * mean), "{counts:?}");
        }
    }

    #[test]
    fn rare_classes_judge_nothing_and_train_where_their_group_does_not_judge() {
        let mut labels = vec![0; 20];
        labels.extend([1, 1, 0]);
        let mut groups = vec![None; 21];
        groups.extend([Some("g".to_string()), Some("g".to_string())]);
        let folds = stratified_group_k_fold(&labels, &groups, 5, 0).unwrap();
        assert_eq!(folds.of[20..22], [None, None]);
        let judged = folds.of[22].unwrap();
        assert!(folds.of[..20].iter().all(Option::is_some));
        for fold in 0..5 {
            let trains = folds.trains(fold);
            assert_eq!((trains.contains(&20), trains.contains(&21)), (true, fold != judged));
        }
        assert_eq!((folds.rare, folds.lumped), (vec![(1, 2)], vec![]));
        // Nothing of the group judges.
        let alone = stratified_group_k_fold(&[0, 0, 1, 1], &[None, None, Some("g".into()), Some("g".into())], 3, 0);
        assert!(alone.unwrap().unused.is_empty());
    }

    #[test]
    fn impossible_splits_are_errors() {
        assert!(stratified_k_fold(&[0, 1], 3, 0).is_err());
        assert!(stratified_k_fold(&[0, 1, 0], 1, 0).is_err());
        let one = stratified_group_k_fold(&[0; 4], &vec![Some("a".into()); 4], 2, 0).unwrap();
        assert_eq!((one.of, one.lumped), (vec![Some(0); 4], vec![(0, 1)]));
    }
}
