//! Folds without leaks: each class spread evenly, no group in two folds.

use crate::error::{Error, Result};
use crate::rng::stream;
use rand::seq::SliceRandom;
use std::collections::BTreeMap;

/// A split.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Folds {
    /// Fold of each sample, 0..k; `None`: it belongs to the training part of every fold.
    pub of: Vec<Option<usize>>,
    /// Classes with fewer samples than folds, with their number of samples: they train in every fold.
    pub rare: Vec<(u32, usize)>,
    /// Classes that lie in too few groups, with the number of folds that have them.
    pub lumped: Vec<(u32, usize)>,
}

/// Each class spread evenly over `k` folds, at most one sample apart.
///
/// # Errors
/// [`Error::Invalid`] when there are fewer than two folds or fewer samples than folds.
pub fn stratified_k_fold(labels: &[u32], k: usize, seed: u64) -> Result<Folds> {
    stratified_group_k_fold(labels, &vec![None; labels.len()], k, seed)
}

/// No group in two folds, sizes as even as that allows. Samples without a group are on their own.
///
/// # Errors
/// As [`stratified_k_fold`].
pub fn group_k_fold(groups: &[Option<String>], k: usize, seed: u64) -> Result<Folds> {
    stratified_group_k_fold(&vec![0; groups.len()], groups, k, seed)
}

/// No group in two folds, each class as even as that allows.
///
/// Groups of several samples go first, those with the most uneven labels before others, each into the fold that makes
/// the shares of its classes the most even (the greedy rule of scikit-learn's `StratifiedGroupKFold`); single samples
/// then fill up. A class with fewer samples than folds cannot be judged: its samples, with their groups, train in
/// every fold.
///
/// # Errors
/// As [`stratified_k_fold`].
pub fn stratified_group_k_fold(labels: &[u32], groups: &[Option<String>], k: usize, seed: u64) -> Result<Folds> {
    if k < 2 || labels.len() < k || labels.len() != groups.len() {
        let (n, g) = (labels.len(), groups.len());
        return Err(Error::Invalid(format!("{n} samples with {g} groups cannot be split into {k} folds")));
    }
    let classes = labels.iter().max().map_or(0, |c| *c as usize + 1);
    let mut total = vec![0usize; classes];
    labels.iter().for_each(|&c| total[c as usize] += 1);
    let rare: Vec<bool> = total.iter().map(|n| (1..k).contains(n)).collect();

    let mut bundles = BTreeMap::<&str, Vec<usize>>::new();
    let mut singles = vec![];
    for (i, group) in groups.iter().enumerate() {
        match group {
            Some(group) => bundles.entry(group).or_default().push(i),
            None => singles.push(vec![i]),
        }
    }
    let bundles = bundles.into_values().chain(singles).filter(|b| !b.iter().any(|&i| rare[labels[i] as usize]));
    let (mut several, mut singles): (Vec<_>, Vec<_>) = bundles.partition(|bundle| bundle.len() > 1);
    let mut rng = stream(seed, 0, 0);
    several.shuffle(&mut rng);
    singles.shuffle(&mut rng);
    let mut dealt = Dealt { counts: vec![vec![0; classes]; k], sizes: vec![0; k], total, of: vec![None; labels.len()] };
    several.sort_by(|a, b| unevenness(b, labels, classes).total_cmp(&unevenness(a, labels, classes)));
    for bundle in several.iter().chain(&singles) {
        dealt.deal(bundle, labels);
    }
    let judged = |c: usize| dealt.counts.iter().filter(|fold| fold[c] > 0).count();
    let lumped = (0..classes).filter(|&c| dealt.total[c] > 0 && !rare[c] && judged(c) < k);
    let lumped = lumped.map(|c| (c as u32, judged(c))).collect();
    let rare = (0..classes).filter(|&c| rare[c]).map(|c| (c as u32, dealt.total[c])).collect();
    Ok(Folds { of: dealt.of, rare, lumped })
}

/// Folds while they are filled.
struct Dealt {
    /// By fold and class.
    counts: Vec<Vec<usize>>,
    sizes: Vec<usize>,
    /// By class.
    total: Vec<usize>,
    of: Vec<Option<usize>>,
}

impl Dealt {
    /// Puts `bundle` where it makes its classes the most even; ties go to the smallest fold.
    fn deal(&mut self, bundle: &[usize], labels: &[u32]) {
        let mut own = BTreeMap::<usize, usize>::new();
        bundle.iter().for_each(|&i| *own.entry(labels[i] as usize).or_default() += 1);
        let cost = |fold: usize| -> f64 { own.iter().map(|(&c, &n)| self.spread(c, fold, n)).sum() };
        let costs: Vec<f64> = (0..self.sizes.len()).map(cost).collect();
        let best = (0..costs.len()).min_by(|&a, &b| {
            let close = (costs[a] - costs[b]).abs() < 1e-9;
            let by_cost = if close { std::cmp::Ordering::Equal } else { costs[a].total_cmp(&costs[b]) };
            by_cost.then(self.sizes[a].cmp(&self.sizes[b])).then(a.cmp(&b))
        });
        let fold = best.unwrap_or(0);
        own.iter().for_each(|(&c, &n)| self.counts[fold][c] += n);
        self.sizes[fold] += bundle.len();
        bundle.iter().for_each(|&i| self.of[i] = Some(fold));
    }

    /// Standard deviation over folds of the share of class `c`, were `n` more of it in `fold`.
    fn spread(&self, c: usize, fold: usize, n: usize) -> f64 {
        let share = |f: usize| (self.counts[f][c] + if f == fold { n } else { 0 }) as f64 / self.total[c] as f64;
        deviation((0..self.sizes.len()).map(share))
    }
}

fn unevenness(bundle: &[usize], labels: &[u32], classes: usize) -> f64 {
    let mut counts = vec![0.0; classes];
    bundle.iter().for_each(|&i| counts[labels[i] as usize] += 1.0);
    deviation(counts.into_iter())
}

fn deviation(values: impl Iterator<Item = f64> + Clone) -> f64 {
    let n = values.clone().count().max(1) as f64;
    let mean = values.clone().sum::<f64>() / n;
    (values.map(|v| (v - mean) * (v - mean)).sum::<f64>() / n).sqrt()
}

#[cfg(test)]
mod tests {
    use super::*;
    use rand::Rng;

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
    fn rare_classes_train_in_every_fold_with_their_groups() {
        let mut labels = vec![0; 20];
        labels.extend([1, 1, 0]);
        let mut groups = vec![None; 21];
        groups.extend([Some("g".to_string()), Some("g".to_string())]);
        let folds = stratified_group_k_fold(&labels, &groups, 5, 0).unwrap();
        assert_eq!(folds.of[20..], [None, None, None]);
        assert!(folds.of[..20].iter().all(Option::is_some));
        assert_eq!((folds.rare, folds.lumped), (vec![(1, 2)], vec![]));
    }

    #[test]
    fn impossible_splits_are_errors() {
        assert!(stratified_k_fold(&[0, 1], 3, 0).is_err());
        assert!(stratified_k_fold(&[0, 1, 0], 1, 0).is_err());
        let one = group_k_fold(&vec![Some("a".into()); 4], 2, 0).unwrap();
        assert_eq!((one.of, one.lumped), (vec![Some(0); 4], vec![(0, 1)]));
    }
}
