//! Markov transition fields.

use super::paa::pieces;
use super::{Matrix, check_series};
use crate::error::{Error, Result};
use crate::image::Image;
use serde::{Deserialize, Serialize};

/// Markov transition field (Wang & Oates 2015, `pyts.image.MarkovTransitionField` with quantile bins): `W[bᵢ, bⱼ]`, where
/// `bᵢ` is the bin of value i and `W` holds how often a value of one bin is followed by one of another, as a share. A bin that
/// is never left has zeros.
///
/// | field | default | range |
/// |---|---|---|
/// | `n_bins` | 5 | 2 to 256; of equally many values each |
/// | `size` | as long as the series | 1 to that; blocks of the field have their mean |
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Markov {
    /// Bins.
    pub n_bins: usize,
    /// Side of the picture, pixels.
    pub size: Option<usize>,
}

impl Default for Markov {
    fn default() -> Self {
        Self { n_bins: 5, size: None }
    }
}

impl Markov {
    /// `[size, size]` shares of 0 to 1.
    ///
    /// # Errors
    /// [`Error::Invalid`] when the series is empty or not finite, too short or too long, or the bins are too few or too many.
    pub fn matrix(&self, series: &[f32]) -> Result<Matrix> {
        check_series(series)?;
        let q = self.n_bins;
        if !(2..=256).contains(&q) {
            return Err(Error::Invalid(format!("markov: n_bins must be 2 to 256, not {q}")));
        }
        let size = self.size.unwrap_or(series.len());
        Matrix::area(size, size)?;
        let bins = self.bins(series);
        let mut transitions = vec![0.0f64; q * q];
        bins.windows(2).for_each(|pair| transitions[pair[0] * q + pair[1]] += 1.0);
        for row in transitions.chunks_exact_mut(q) {
            let sum: f64 = row.iter().sum::<f64>().max(1.0);
            row.iter_mut().for_each(|share| *share /= sum);
        }
        // The mean over a block of the field is one over its bins, weighted by how often they occur: the field itself, which may
        // be far larger than the picture, is never made.
        let blocks: Vec<Vec<f64>> = pieces(series.len(), size)?
            .map(|piece| {
                let mut shares = vec![0.0; q];
                let length = piece.len() as f64;
                bins[piece].iter().for_each(|bin| shares[*bin] += 1.0 / length);
                shares
            })
            .collect();
        let after: Vec<Vec<f64>> = blocks
            .iter()
            .map(|to| transitions.chunks_exact(q).map(|row| row.iter().zip(to).map(|(w, t)| w * t).sum()).collect())
            .collect();
        Matrix::from_fn(blocks.len(), blocks.len(), |i, j| {
            blocks[i].iter().zip(&after[j]).map(|(from, w)| from * w).sum::<f64>() as f32
        })
    }

    /// The gray picture of it: 0 is black, 1 white.
    ///
    /// # Errors
    /// As [`Markov::matrix`].
    pub fn image(&self, series: &[f32]) -> Result<Image> {
        self.matrix(series)?.image([0.0, 1.0])
    }

    /// The bin of each value: how many of the inner quantiles lie below it.
    fn bins(&self, series: &[f32]) -> Vec<usize> {
        let mut sorted = series.to_vec();
        sorted.sort_by(f32::total_cmp);
        let step = 100.0 / self.n_bins as f64;
        let edges: Vec<f64> = (1..self.n_bins).map(|i| percentile(&sorted, i as f64 * step)).collect();
        series.iter().map(|v| edges.partition_point(|edge| *edge < f64::from(*v))).collect()
    }
}

/// `numpy.percentile` of values in ascending order.
pub(super) fn percentile(sorted: &[f32], percent: f64) -> f64 {
    let at = (percent / 100.0 * (sorted.len() - 1) as f64).clamp(0.0, (sorted.len() - 1) as f64);
    let (low, t) = (at.floor() as usize, at.fract());
    let (a, b) = (f64::from(sorted[low]), f64::from(sorted[(low + 1).min(sorted.len() - 1)]));
    if t < 0.5 { a + (b - a) * t } else { b - (b - a) * (1.0 - t) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn transitions_of_a_short_series_by_hand() {
        let markov = Markov { n_bins: 3, size: None };
        let series = [1.0, 3.0, 2.0, 5.0, 4.0, 0.0];
        assert_eq!(markov.bins(&series), [0, 1, 1, 2, 2, 0]);
        let field = markov.matrix(&series).unwrap();
        // W = [[0, 1, 0], [0, .5, .5], [.5, 0, .5]]
        assert_eq!(field.row(0), [0.0, 1.0, 1.0, 0.0, 0.0, 0.0]);
        assert_eq!(field.row(1), [0.0, 0.5, 0.5, 0.5, 0.5, 0.0]);
        assert_eq!(field.row(3), [0.5, 0.0, 0.0, 0.5, 0.5, 0.5]);
        let small = Markov { size: Some(2), ..markov }.matrix(&series).unwrap();
        let mean = |rows: std::ops::Range<usize>, columns: std::ops::Range<usize>| {
            rows.flat_map(|r| field.row(r)[columns.clone()].to_vec()).sum::<f32>() / 9.0
        };
        let wanted = [mean(0..3, 0..3), mean(0..3, 3..6), mean(3..6, 0..3), mean(3..6, 3..6)];
        assert!(small.values().iter().zip(wanted).all(|(a, b)| (a - b).abs() < 1e-6), "{small:?} {wanted:?}");
    }

    #[test]
    fn odd_series_give_a_picture_or_say_why_not() {
        let markov = Markov::default();
        assert_eq!(markov.matrix(&[2.0; 3]).unwrap().values(), [1.0; 9]);
        assert_eq!(markov.matrix(&[2.0]).unwrap().values(), [0.0]);
        assert!(markov.matrix(&[]).is_err() && markov.matrix(&[f32::INFINITY]).is_err());
        assert!(Markov { n_bins: 1, size: None }.matrix(&[1.0]).is_err());
    }
}
