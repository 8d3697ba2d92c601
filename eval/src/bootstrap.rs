//! How far a score would move with other samples of the same kind.

use crate::error::{Error, Result};
use crate::metrics::Metric;
use crate::predictions::{Predictions, same_classes, wrong};
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
    let score = metric.weighted(predictions)?;
    percentiles(predictions.len(), resamples, seed, |counts| score.score(counts))
}

/// The 95 % percentile interval `[low, high]` of the score of `second` minus that of `first`, both of the same samples:
/// every draw is scored for both, so that what makes a sample hard for both leaves no trace in the difference (Efron &
/// Tibshirani 1993, *An Introduction to the Bootstrap*). An interval without 0 speaks for a real difference.
///
/// Otherwise as [`interval`].
///
/// # Errors
/// As [`interval`], and [`Error::Predictions`] where ids, their order, classes or the truth differ.
pub fn difference(
    first: &Predictions,
    second: &Predictions,
    metric: &dyn Metric,
    resamples: usize,
    seed: u64,
) -> Result<[f64; 2]> {
    same_classes(first, second)?;
    if let Some(i) = (0..first.len().max(second.len())).find(|&i| first.ids.get(i) != second.ids.get(i)) {
        let name = |p: &Predictions| p.ids.get(i).map_or("missing".into(), |id| format!("'{id}'"));
        return wrong(format!("sample {i} is {} here and {} there", name(first), name(second)));
    }
    if first.truth != second.truth {
        return wrong("the same samples have another truth here than there".into());
    }
    let (a, b) = (metric.weighted(first)?, metric.weighted(second)?);
    percentiles(first.len(), resamples, seed, |counts| Ok(b.score(counts)? - a.score(counts)?))
}

/// The interval of a score of `samples` samples, a function of how often each is drawn.
fn percentiles(samples: usize, resamples: usize, seed: u64, score: impl Fn(&[u32]) -> Result<f64>) -> Result<[f64; 2]> {
    if resamples == 0 {
        return Err(Error::Invalid("a bootstrap needs at least one resample".into()));
    }
    let mut counts = vec![0u32; samples];
    let samples =
        u32::try_from(samples).map_err(|_| Error::Invalid("a bootstrap takes less than 2³² samples".into()))?;
    let mut rng = ChaCha8Rng::seed_from_u64(seed);
    let mut scores = vec![];
    for _ in 0..resamples {
        counts.fill(0);
        for _ in 0..samples {
            counts[rng.random_range(0..samples) as usize] += 1;
        }
        match score(&counts) {
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
