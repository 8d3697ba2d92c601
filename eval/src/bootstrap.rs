//! How far a score would move with other samples of the same kind.

use crate::error::{Error, Result};
use crate::metrics::Metric;
use crate::predictions::{Predictions, same_classes, wrong};
use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha8Rng;
use std::collections::HashMap;

/// The 95 % percentile interval `[low, high]` of a score, from `resamples` draws of N samples with replacement (Efron
/// 1979); the same `seed` gives the same interval.
///
/// Draws in which the score is undefined, such as the area under a curve without positives, are left out. Between two
/// draws the interval's ends are interpolated, as `numpy.percentile`.
///
/// # Errors
/// Those of the metric, `resamples` of 0, and [`Error::Undefined`] if no draw has a score.
pub fn interval(predictions: &Predictions, metric: &dyn Metric, resamples: usize, seed: u64) -> Result<[f64; 2]> {
    grouped_interval(predictions, &vec![None; predictions.len()], metric, resamples, seed)
}

/// [`interval`] where samples of one group resemble each other: whole groups are drawn, as many as there are (Davison &
/// Hinkley 1997, *Bootstrap Methods and their Application*, 3.8). `groups` has the name of each sample's group, none for a
/// sample that is one of its own; without any name this is [`interval`].
///
/// # Errors
/// As [`interval`], [`Error::Undefined`] where all samples are of one group, and [`Error::Invalid`] for another number of
/// groups than of samples.
pub fn grouped_interval(
    predictions: &Predictions,
    groups: &[Option<&str>],
    metric: &dyn Metric,
    resamples: usize,
    seed: u64,
) -> Result<[f64; 2]> {
    let score = metric.weighted(predictions)?;
    percentiles(groups, resamples, seed, |counts| score.score(counts))
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
    grouped_difference(first, second, &vec![None; first.len()], metric, resamples, seed)
}

/// [`difference`] where samples of one group resemble each other: whole groups are drawn, as by [`grouped_interval`].
///
/// # Errors
/// As [`difference`] and [`grouped_interval`].
pub fn grouped_difference(
    first: &Predictions,
    second: &Predictions,
    groups: &[Option<&str>],
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
    percentiles(groups, resamples, seed, |counts| Ok(b.score(counts)? - a.score(counts)?))
}

/// The interval of a score of samples of these groups, a function of how often each sample is drawn.
fn percentiles(
    groups: &[Option<&str>],
    resamples: usize,
    seed: u64,
    score: impl Fn(&[u32]) -> Result<f64>,
) -> Result<[f64; 2]> {
    if resamples == 0 {
        return Err(Error::Invalid("a bootstrap needs at least one resample".into()));
    }
    let (places, units) = numbered(groups);
    if units < 2 && groups.len() > 1 {
        return Err(Error::Undefined { what: "the bootstrap interval", why: "all samples are of one group" });
    }
    let (mut drawn, mut counts) = (vec![0u32; units], vec![0u32; groups.len()]);
    let units = u32::try_from(units).map_err(|_| Error::Invalid("a bootstrap takes less than 2³² samples".into()))?;
    let mut rng = ChaCha8Rng::seed_from_u64(seed);
    let mut scores = vec![];
    for _ in 0..resamples {
        drawn.fill(0);
        for _ in 0..units {
            drawn[rng.random_range(0..units) as usize] += 1;
        }
        counts.iter_mut().zip(&places).for_each(|(count, place)| *count = drawn[*place]);
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

/// A number for the group of each sample, in the order of their first samples, and how many there are.
fn numbered(groups: &[Option<&str>]) -> (Vec<usize>, usize) {
    let (mut known, mut count) = (HashMap::new(), 0);
    let number = |group: &Option<&str>| {
        let number = group.map_or(count, |name| *known.entry(name.to_string()).or_insert(count));
        count += usize::from(number == count);
        number
    };
    let places = groups.iter().map(number).collect();
    (places, count)
}

/// Of sorted values, linear between neighbors.
fn percentile(sorted: &[f64], share: f64) -> f64 {
    let at = share * (sorted.len() - 1) as f64;
    let (low, high) = (sorted[at.floor() as usize], sorted[at.ceil() as usize]);
    low + (high - low) * at.fract()
}
