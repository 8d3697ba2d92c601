//! Against imbalance: weights, logits and multiplicities from class counts.

use serde::{Deserialize, Serialize};

/// What a class of n samples weighs.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Weighting {
    /// 1 / n: [`inverse`].
    Inverse,
    /// 1 / √n: [`sqrt_inverse`].
    Sqrt,
    /// (1 − β) / (1 − βⁿ): [`effective_number`].
    Effective,
}

/// The weight of each class; `beta` is that of [`Weighting::Effective`].
pub fn weights(counts: &[usize], weighting: Weighting, beta: f64) -> Vec<f64> {
    match weighting {
        Weighting::Inverse => inverse(counts),
        Weighting::Sqrt => sqrt_inverse(counts),
        Weighting::Effective => effective_number(counts, beta),
    }
}

/// `N / (K · n)` for each class, scikit-learn's "balanced"; 0 for a class without samples.
pub fn inverse(counts: &[usize]) -> Vec<f64> {
    let total: usize = counts.iter().sum();
    let present = counts.iter().filter(|n| **n > 0).count();
    let weight = |n: &usize| if *n == 0 { 0.0 } else { total as f64 / (present * n) as f64 };
    counts.iter().map(weight).collect()
}

/// The square root of [`inverse`]: rare classes count more, but not as much.
pub fn sqrt_inverse(counts: &[usize]) -> Vec<f64> {
    inverse(counts).into_iter().map(f64::sqrt).collect()
}

/// `(1 − β) / (1 − βⁿ)`, scaled so that the weights sum to the number of classes
/// (Cui et al., "Class-balanced loss based on effective number of samples", 2019). `beta` in 0..1.
pub fn effective_number(counts: &[usize], beta: f64) -> Vec<f64> {
    let weight = |n: &usize| if *n == 0 { 0.0 } else { (1.0 - beta) / (1.0 - beta.powi(*n as i32)) };
    let weights: Vec<f64> = counts.iter().map(weight).collect();
    let present = counts.iter().filter(|n| **n > 0).count() as f64;
    let scale = present / weights.iter().sum::<f64>().max(f64::MIN_POSITIVE);
    weights.into_iter().map(|w| w * scale).collect()
}

/// `log(n / N)` of each class, to be added to the logits in training or subtracted from them afterwards (Menon et al., "Long-tail
/// learning via logit adjustment", 2021). A class without samples counts as one with a single one.
pub fn log_priors(counts: &[usize]) -> Vec<f64> {
    let total = counts.iter().sum::<usize>().max(1) as f64;
    counts.iter().map(|n| ((*n).max(1) as f64 / total).ln()).collect()
}

/// How often samples of each label must come for it to be as frequent as the most frequent one, rounded down, 1..=`limit`.
pub fn multipliers(counts: &[usize], limit: usize) -> Vec<usize> {
    let most = counts.iter().copied().max().unwrap_or(0);
    counts.iter().map(|n| (most / (*n).max(1)).clamp(1, limit.max(1))).collect()
}

/// How often each sample comes: the largest of the `multipliers` of its `labels`; once without labels, and for labels that none is
/// given for.
pub fn max_label(labels: &[Vec<usize>], multipliers: &[usize]) -> Vec<usize> {
    let of = |label: &usize| multipliers.get(*label).copied().unwrap_or(1);
    labels.iter().map(|labels| labels.iter().map(of).max().unwrap_or(1)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// scikit-learn's `compute_class_weight("balanced", ...)` for 6, 3 and 1 samples.
    #[test]
    fn weights_follow_their_formulas() {
        let close = |a: &[f64], b: &[f64]| a.iter().zip(b).all(|(a, b)| (a - b).abs() < 1e-9);
        assert!(close(&inverse(&[6, 3, 1]), &[10.0 / 18.0, 10.0 / 9.0, 10.0 / 3.0]));
        assert!(close(&inverse(&[2, 0, 2]), &[1.0, 0.0, 1.0]));
        let weights = effective_number(&[100, 10], 0.99);
        let raw = [0.01 / (1.0 - 0.99f64.powi(100)), 0.01 / (1.0 - 0.99f64.powi(10))];
        assert!(close(&weights, &[2.0 * raw[0] / (raw[0] + raw[1]), 2.0 * raw[1] / (raw[0] + raw[1])]));
    }

    /// Of APTOS 2019; the values were computed with NumPy.
    #[test]
    fn weights_of_a_competition_are_known() {
        let counts = [1805, 370, 999, 193, 295];
        let close = |a: Vec<f64>, b: [f64; 5]| a.iter().zip(b).all(|(a, b)| (a - b).abs() < 6e-5);
        assert!(close(weights(&counts, Weighting::Inverse, 0.0), [0.4058, 1.9795, 0.7331, 3.7948, 2.4827]));
        assert!(close(weights(&counts, Weighting::Sqrt, 0.0), [0.637, 1.4069, 0.8562, 1.948, 1.5757]));
        assert!(close(weights(&counts, Weighting::Effective, 0.999), [0.3831, 1.0347, 0.5066, 1.8231, 1.2526]));
        assert!(close(log_priors(&counts), [-0.7074, -2.2923, -1.299, -2.9431, -2.5188]));
        assert_eq!(log_priors(&[0, 4])[0], 0.25f64.ln());
    }

    /// The multiplicities of the Human Protein Atlas notebook: an image with Nucleoplasm and Rods & rings comes four times.
    #[test]
    fn the_rarest_label_of_a_sample_decides() {
        let mut atlas = [1; 28];
        [8, 9, 10, 15, 27].iter().for_each(|&label| atlas[label] = 4);
        atlas[20] = 2;
        let labels = [vec![0, 27], vec![0, 20], vec![25], vec![], vec![99]];
        assert_eq!(max_label(&labels, &atlas), [4, 2, 1, 1, 1]);
        assert_eq!(multipliers(&[100, 50, 49, 30, 1, 0], 4), [1, 2, 2, 3, 4, 4]);
    }
}
