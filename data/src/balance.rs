//! Against imbalance: class weights from class counts.

/// `N / (K · n)` for each class, scikit-learn's "balanced"; 0 for a class without samples.
pub fn inverse(counts: &[usize]) -> Vec<f64> {
    let total: usize = counts.iter().sum();
    let present = counts.iter().filter(|n| **n > 0).count();
    let weight = |n: &usize| if *n == 0 { 0.0 } else { total as f64 / (present * n) as f64 };
    counts.iter().map(weight).collect()
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
}
