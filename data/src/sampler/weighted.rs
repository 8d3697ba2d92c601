//! Rare classes more likely.

use super::{Sampler, members};
use crate::balance::{Weighting, weights};
use crate::error::{Error, Result};
use crate::row::Row;
use rand::Rng;
use rand_chacha::ChaCha8Rng;
use serde::{Deserialize, Serialize};

/// As many samples as there are, drawn with replacement, each as likely as the weight of its class
/// ([`balance::weights`](crate::balance::weights)); soft labels count as the class that they say above all. `inverse` makes
/// classes equally likely, `sqrt` a class of n samples as likely as √n.
///
/// | field | default | range |
/// |---|---|---|
/// | `weights` | inverse | inverse, sqrt, effective |
/// | `beta` | 0.999 | 0 and above, below 1, of `effective`: 0 draws as they are, near 1 as `inverse` |
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Weighted {
    /// What a class of n samples weighs.
    pub weights: Weighting,
    /// Of `effective`.
    pub beta: f64,
}

impl Default for Weighted {
    fn default() -> Self {
        Self { weights: Weighting::Inverse, beta: 0.999 }
    }
}

impl Sampler for Weighted {
    fn order(&self, rows: &[Row], rng: &mut ChaCha8Rng) -> Vec<usize> {
        let members: Vec<Vec<usize>> = members(rows, Row::likeliest).into_values().collect();
        let counts: Vec<usize> = members.iter().map(Vec::len).collect();
        // A class is as likely as all its samples together.
        let shares = weights(&counts, self.weights, self.beta).into_iter().zip(&counts).map(|(w, &n)| w * n as f64);
        let mut all = 0.0;
        let add = |share: f64| {
            all += share;
            all
        };
        let ends: Vec<f64> = shares.map(add).collect();
        let mut draw = || {
            let at = rng.random::<f64>() * all;
            let class = &members[ends.partition_point(|end| *end <= at).min(members.len() - 1)];
            class[rng.random_range(0..class.len())]
        };
        (0..rows.len()).map(|_| draw()).collect()
    }
    fn by_class(&self) -> bool {
        true
    }
    fn validate(&self) -> Result<()> {
        match (0.0..1.0).contains(&self.beta) {
            true => Ok(()),
            false => Err(Error::Invalid(format!(
                "sampler 'weighted': beta must be 0 or more and below 1, got {}",
                self.beta
            ))),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::rng::stream;
    use crate::row::Target;

    #[test]
    fn classes_come_as_often_as_they_weigh() {
        let row = |i: usize| Row { target: Some(Target::Class(u32::from(i < 100))), ..Row::default() };
        let rows: Vec<Row> = (0..10_000).map(row).collect();
        let rare = |weights, beta| {
            let order = Weighted { weights, beta }.order(&rows, &mut stream(5, 0, 0));
            assert_eq!(order.len(), rows.len());
            order.iter().filter(|i| **i < 100).count() as f64 / rows.len() as f64
        };
        // √100 of √100 + √9,900; n·(1 − β) / (1 − βⁿ) likewise. Five standard deviations.
        let close =
            |seen: f64, expected: f64| (seen - expected).abs() < 5.0 * (expected * (1.0 - expected) / 1e4).sqrt();
        assert!(close(rare(Weighting::Inverse, 0.0), 0.5));
        assert!(close(rare(Weighting::Sqrt, 0.0), 10.0 / (10.0 + 9900f64.sqrt())));
        let mass = |n: f64| n / (1.0 - 0.999f64.powf(n));
        assert!(close(rare(Weighting::Effective, 0.999), mass(100.0) / (mass(100.0) + mass(9900.0))));
        assert!(close(rare(Weighting::Effective, 0.0), 0.01));
        assert!(Weighted::default().order(&[], &mut stream(0, 0, 0)).is_empty());
    }
}
