//! How far a score would move with other samples of the same kind.

use crate::error::{Error, Result};
use crate::metrics::Metric;
use crate::predictions::Predictions;
use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha8Rng;

/// The 95 % percentile interval `[low, high]` of a score, from `resamples` draws of N samples with replacement (Efron
/// 1979); the same `seed` gives the same interval.
///
/// Draws in which the score is undefined, such as the area under a curve without positives, are left out. Between two
/// draws the interval's ends are interpolated, as `numpy.percentile`.
///
/// # Errors
/// Those of the metric, `resamples` of 0, and [`Error::Undefined`] if no draw has a score.
pub fn interval(predictions: &Predictions, metric: &dyn Metric, resamples: usize, seed: u64) -> Result<[f64; 2]> {
    if resamples == 0 {
        return Err(Error::Invalid("a bootstrap needs at least one resample".into()));
    }
    let samples = u32::try_from(predictions.len())
        .map_err(|_| Error::Invalid("a bootstrap takes less than 2³² samples".into()))?;
    let score = metric.weighted(predictions)?;
    let mut rng = ChaCha8Rng::seed_from_u64(seed);
    let mut counts = vec![0u32; predictions.len()];
    let mut scores = vec![];
    for _ in 0..resamples {
        counts.fill(0);
        for _ in 0..samples {
            counts[rng.random_range(0..samples) as usize] += 1;
        }
        match score.score(&counts) {
            Ok(score) => scores.push(score),
            Err(Error::Undefined { .. }) => {}
            Err(error) => return Err(error),
        }
    }
    if scores.is_empty() {
        return Err(Error::Undefined { what: "the bootstrap interval", why: "no resample has a score" });
    }
    scores.sort_by(f64::total_cmp);
    Ok([percentile(&scores, 0.025), percentile(&scores, 0.975)])
}

/// Of sorted values, linear between neighbors.
fn percentile(sorted: &[f64], share: f64) -> f64 {
    let at = share * (sorted.len() - 1) as f64;
    let (low, high) = (sorted[at.floor() as usize], sorted[at.ceil() as usize]);
    low + (high - low) * at.fract()
}
