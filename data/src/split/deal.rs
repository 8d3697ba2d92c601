//! Bundles of samples dealt to folds.

use std::collections::BTreeMap;

/// Folds while they are filled.
pub(super) struct Dealt {
    /// By fold and class.
    pub counts: Vec<Vec<usize>>,
    pub sizes: Vec<usize>,
    /// By class.
    pub total: Vec<usize>,
    pub of: Vec<Option<usize>>,
}

impl Dealt {
    /// Nothing dealt yet.
    pub fn new(labels: &[u32], classes: usize, folds: usize) -> Self {
        let mut total = vec![0; classes];
        labels.iter().for_each(|&class| total[class as usize] += 1);
        Self { counts: vec![vec![0; classes]; folds], sizes: vec![0; folds], total, of: vec![None; labels.len()] }
    }

    /// Puts `bundle` into the fold of `among` where it makes its classes the most even; ties go to the smallest fold.
    pub fn deal(&mut self, bundle: &[usize], labels: &[u32], among: &[usize]) {
        let mut own = BTreeMap::<usize, usize>::new();
        bundle.iter().for_each(|&i| *own.entry(labels[i] as usize).or_default() += 1);
        let cost = |fold: usize| -> f64 { own.iter().map(|(&c, &n)| self.spread(c, fold, n)).sum() };
        let costs = among.iter().map(|&fold| (cost(fold), fold));
        let best = costs.min_by(|&(cost, a), &(other, b)| {
            let close = (cost - other).abs() < 1e-9;
            let by_cost = if close { std::cmp::Ordering::Equal } else { cost.total_cmp(&other) };
            by_cost.then(self.sizes[a].cmp(&self.sizes[b])).then(a.cmp(&b))
        });
        let fold = best.map_or(0, |(_, fold)| fold);
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

/// Standard deviation of the class counts of a bundle.
pub(super) fn unevenness(bundle: &[usize], labels: &[u32], classes: usize) -> f64 {
    let mut counts = vec![0.0; classes];
    bundle.iter().for_each(|&i| counts[labels[i] as usize] += 1.0);
    deviation(counts.into_iter())
}

fn deviation(values: impl Iterator<Item = f64> + Clone) -> f64 {
    let n = values.clone().count().max(1) as f64;
    let mean = values.clone().sum::<f64>() / n;
    (values.map(|v| (v - mean) * (v - mean)).sum::<f64>() / n).sqrt()
}

/// The largest bundle first, each into the smallest fold: sizes differ by no more than the largest bundle has samples.
pub(super) fn by_size(mut bundles: Vec<Vec<usize>>, samples: usize, folds: usize) -> Vec<Option<usize>> {
    bundles.sort_by_key(|bundle| std::cmp::Reverse(bundle.len()));
    let (mut sizes, mut of) = (vec![0; folds], vec![None; samples]);
    for bundle in bundles {
        let fold = (0..folds).min_by_key(|&fold| sizes[fold]).unwrap_or(0);
        sizes[fold] += bundle.len();
        bundle.iter().for_each(|&i| of[i] = Some(fold));
    }
    of
}
