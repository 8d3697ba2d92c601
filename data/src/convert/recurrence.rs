//! Recurrence plots.

use super::markov::percentile;
use super::{Matrix, check_series};
use crate::error::{Error, Result};
use crate::image::Image;
use serde::{Deserialize, Serialize};

/// Recurrence plot (Eckmann et al. 1987, `pyts.image.RecurrencePlot`): which states of a series are close to one another. State
/// i is `(xᵢ, xᵢ₊τ, …, xᵢ₊₍ₘ₋₁₎τ)`, distances are Euclidean. As in pyts a state is close when its distance is less than the
/// threshold, not equal to it.
///
/// | field | default | range |
/// |---|---|---|
/// | `dimension` | 1 | m, at least 1 |
/// | `delay` | 1 | τ, at least 1; a series has more than (m − 1) τ values |
/// | `threshold` | none: distances | `{"distance": ε}` more than 0; `{"largest": p}`, `{"share": p}` percent, 0 to 100 |
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Recurrence {
    /// Values of a state, m.
    pub dimension: usize,
    /// Steps between them, τ.
    pub delay: usize,
    /// What is close; without it the plot holds distances.
    pub threshold: Option<Threshold>,
}

/// Below which distance two states are close.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Threshold {
    /// ε, in the units of the series.
    Distance(f32),
    /// Percent of the largest distance (`distance` in pyts).
    Largest(f32),
    /// The distance that so many percent of all pairs of states fall below (`point` in pyts).
    Share(f32),
}

impl Default for Recurrence {
    fn default() -> Self {
        Self { dimension: 1, delay: 1, threshold: None }
    }
}

impl Recurrence {
    /// `[states, states]`: 1 where two are close and 0 elsewhere, or their distances.
    ///
    /// # Errors
    /// [`Error::Invalid`] when the series is empty or not finite, too short or too long, or a field is out of its range.
    pub fn matrix(&self, series: &[f32]) -> Result<Matrix> {
        check_series(series)?;
        let Self { dimension, delay, threshold } = *self;
        if dimension == 0 || delay == 0 {
            return Err(Error::Invalid("recurrence: dimension and delay must be at least 1".into()));
        }
        let valid = match threshold {
            None => true,
            Some(Threshold::Distance(epsilon)) => epsilon > 0.0,
            Some(Threshold::Largest(percent) | Threshold::Share(percent)) => (0.0..=100.0).contains(&percent),
        };
        if !valid {
            let why = "recurrence: threshold must be a distance of more than 0, or 0 to 100 percent";
            return Err(Error::Invalid(format!("{why}, not {threshold:?}")));
        }
        let span = (dimension - 1).checked_mul(delay).filter(|span| *span < series.len());
        let Some(states) = span.map(|span| series.len() - span) else {
            return Err(Error::Invalid(format!(
                "recurrence: a series of {} values has no state of {dimension} values that are {delay} apart; lower dimension \
                 or delay",
                series.len()
            )));
        };
        let mut plot = Matrix::from_fn(states, states, |i, j| {
            let difference = |k: usize| f64::from(series[i + k * delay]) - f64::from(series[j + k * delay]);
            (0..dimension).map(|k| difference(k).powi(2)).sum::<f64>().sqrt() as f32
        })?;
        let epsilon = match threshold {
            None => return Ok(plot),
            Some(Threshold::Distance(epsilon)) => f64::from(epsilon),
            Some(Threshold::Largest(percent)) => f64::from(percent) / 100.0 * f64::from(plot.range()[1]),
            Some(Threshold::Share(percent)) => {
                let mut sorted = plot.values().to_vec();
                sorted.sort_by(f32::total_cmp);
                percentile(&sorted, f64::from(percent))
            }
        };
        plot.values_mut().iter_mut().for_each(|distance| *distance = f32::from(f64::from(*distance) < epsilon));
        Ok(plot)
    }

    /// The gray picture of it: far apart is black and close white; of distances 0 is black and the largest white.
    ///
    /// # Errors
    /// As [`Recurrence::matrix`].
    pub fn image(&self, series: &[f32]) -> Result<Image> {
        let plot = self.matrix(series)?;
        let high = if self.threshold.is_some() { 1.0 } else { plot.range()[1] };
        plot.image([0.0, high])
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_short_series_by_hand() {
        let series = [1.0, 3.0, 2.0, 5.0];
        let close = Recurrence { threshold: Some(Threshold::Distance(1.5)), ..Recurrence::default() };
        let wanted = [1., 0., 1., 0., 0., 1., 1., 0., 1., 1., 1., 0., 0., 0., 0., 1.];
        assert_eq!(close.matrix(&series).unwrap().values(), wanted);
        assert_eq!(close.image(&series).unwrap().pixels()[..4], [255, 0, 255, 0]);
        let far = Recurrence { dimension: 2, delay: 2, threshold: None }.matrix(&series).unwrap();
        assert_eq!(far.values(), [0.0, 13f32.sqrt(), 13f32.sqrt(), 0.0]);
    }

    #[test]
    fn odd_series_give_a_picture_or_say_why_not() {
        let plot = Recurrence::default();
        assert_eq!(plot.image(&[2.0; 3]).unwrap().pixels(), [0; 9]);
        assert_eq!(plot.matrix(&[2.0]).unwrap().values(), [0.0]);
        assert!(plot.matrix(&[]).is_err() && plot.matrix(&[f32::NAN]).is_err());
        for (dimension, delay) in [(0, 1), (1, 0), (3, 1), (2, 2), (usize::MAX, usize::MAX)] {
            assert!(Recurrence { dimension, delay, threshold: None }.matrix(&[1.0, 2.0]).is_err());
        }
        for threshold in [Threshold::Distance(0.0), Threshold::Largest(101.0), Threshold::Share(f32::NAN)] {
            assert!(Recurrence { threshold: Some(threshold), ..plot.clone() }.matrix(&[1.0, 2.0]).is_err());
        }
    }
}
