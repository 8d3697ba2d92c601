//! Expected calibration error, and the bins behind it.

use super::weighted::total;
use super::{Goal, Metric, Weighted};
use crate::error::{Error, Result};
use crate::predictions::Predictions;
use serde::{Deserialize, Serialize};

/// How far the probability of the best class is from being right, 0..=1: `Σ |B|/N · |accuracy(B) − confidence(B)|` over
/// equal-width bins `(low, high]` of that probability (Naeini et al. 2015, Guo et al. 2017).
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Calibration {
    /// Number of bins, 1..=1000.
    pub bins: usize,
}

impl Default for Calibration {
    fn default() -> Self {
        Self { bins: 15 }
    }
}

/// The samples whose best class has a probability in `(low, high]`.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct Bin {
    /// Exclusive; the first bin also holds 0.
    pub low: f64,
    /// Inclusive.
    pub high: f64,
    /// Samples.
    pub count: usize,
    /// Mean probability of the best class, 0..=1; 0 without samples.
    pub confidence: f64,
    /// Share of samples whose best class is the true one, 0..=1; 0 without samples.
    pub accuracy: f64,
}

/// What stands behind [`Calibration`]: all `bins` bins from 0 to 1, empty ones too.
///
/// # Errors
/// [`Error::Truth`] without one true class per sample, [`Error::Invalid`] for a number of bins that is not 1..=1000.
pub fn reliability(predictions: &Predictions, bins: usize) -> Result<Vec<Bin>> {
    Calibration { bins }.validate()?;
    let edge = |i: usize| i as f64 / bins as f64;
    let empty = |i| Bin { low: edge(i), high: edge(i + 1), count: 0, confidence: 0.0, accuracy: 0.0 };
    let mut all: Vec<Bin> = (0..bins).map(empty).collect();
    for (bin, confidence, hit) in places("reliability", predictions, bins)? {
        let bin = &mut all[bin];
        bin.count += 1;
        bin.confidence += confidence;
        bin.accuracy += hit;
    }
    for bin in all.iter_mut().filter(|bin| bin.count > 0) {
        bin.confidence /= bin.count as f64;
        bin.accuracy /= bin.count as f64;
    }
    Ok(all)
}

/// Of every sample: its bin, the probability of its best class, and 1 if that class is the true one.
fn places(what: &'static str, predictions: &Predictions, bins: usize) -> Result<Vec<(usize, f64, f64)>> {
    // In F32 like the scores, so that 0.6 lies in the bin that ends with 0.6.
    let ends: Vec<f32> = (1..bins).map(|i| (i as f64 / bins as f64) as f32).collect();
    let truth = predictions.true_classes(what)?.iter().enumerate();
    let place = |(i, class): (usize, &u32)| {
        let best = predictions.best(i);
        let confidence = predictions.row(i)[best];
        let bin = ends.partition_point(|end| *end < confidence);
        (bin, f64::from(confidence), f64::from(u8::from(best == *class as usize)))
    };
    Ok(truth.map(place).collect())
}

impl Metric for Calibration {
    fn weighted(&self, predictions: &Predictions) -> Result<Weighted> {
        self.validate()?;
        let (bins, places) = (self.bins, places("calibration", predictions, self.bins)?);
        Ok(Weighted::new("calibration", predictions.len(), move |counts| {
            let mut gaps = vec![0.0; bins];
            for (&(bin, confidence, hit), count) in places.iter().zip(counts) {
                gaps[bin] += f64::from(*count) * (hit - confidence);
            }
            Ok(gaps.iter().map(|gap: &f64| gap.abs()).sum::<f64>() / total(counts))
        }))
    }
    fn goal(&self) -> Goal {
        Goal::Minimize
    }
    fn validate(&self) -> Result<()> {
        match (1..=1000).contains(&self.bins) {
            true => Ok(()),
            false => Err(Error::Invalid(format!("metric 'calibration': bins must be 1..=1000, got {}", self.bins))),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::predictions::Truth;

    /// The first class is always the best one.
    fn said() -> Predictions {
        let best = [0.95f32, 0.9, 0.85, 0.6, 0.55, 0.7, 0.3, 0.65];
        let row = |p: &f32| [*p, (1.0 - p).min(0.2), 0.0, 0.0];
        Predictions {
            ids: (0..8).map(|i| i.to_string()).collect(),
            classes: ["a", "b", "c", "d"].map(String::from).to_vec(),
            scores: best.iter().flat_map(row).collect(),
            truth: Some(Truth::Class([1, 1, 0, 1, 0, 1, 0, 1].map(|hit: u32| 1 - hit).to_vec())),
        }
    }

    #[test]
    fn the_checked_values() {
        for (bins, error) in [(15, 0.2625), (10, 0.2375), (1, 0.0625)] {
            let got = Calibration { bins }.score(&said()).unwrap();
            assert!((got - error).abs() < 1e-7, "{bins} bins: {got}");
        }
    }

    #[test]
    fn bins_hold_their_upper_ends_and_add_up_to_the_error() {
        let bins = reliability(&said(), 10).unwrap();
        let counts: Vec<usize> = bins.iter().map(|bin| bin.count).collect();
        assert_eq!(counts, [0, 0, 1, 0, 0, 2, 2, 0, 2, 1]);
        assert!((bins[5].confidence - 0.575).abs() < 1e-7 && bins[5].accuracy == 0.5 && bins[0].accuracy == 0.0);
        let error: f64 = bins.iter().map(|b| b.count as f64 / 8.0 * (b.accuracy - b.confidence).abs()).sum();
        assert!((error - Calibration { bins: 10 }.score(&said()).unwrap()).abs() < 1e-12);
        let wrong = reliability(&said(), 0).unwrap_err().to_string();
        assert_eq!(wrong, "metric 'calibration': bins must be 1..=1000, got 0");
    }
}
