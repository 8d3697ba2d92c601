//! Gramian angular fields.

use super::paa::paa;
use super::{Matrix, check_series};
use crate::error::Result;
use crate::image::Image;
use serde::{Deserialize, Serialize};

/// Gramian angular field (Wang & Oates 2015, `pyts.image.GramianAngularField`): the series, scaled to [−1, 1] by its least and
/// largest value, is a row of cosines of angles φ; the picture holds what pairs of them say, `cos(φᵢ + φⱼ)` or
/// `sin(φᵢ − φⱼ)`. A series that does not change counts as −1 throughout, as in pyts.
///
/// | field | default | range |
/// |---|---|---|
/// | `method` | summation | summation, difference |
/// | `size` | as long as the series | 1 to that; longer ones are shortened first ([`paa`]) |
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Gaf {
    /// What pairs of angles say.
    pub method: Method,
    /// Side of the picture, pixels.
    pub size: Option<usize>,
}

/// What a Gramian angular field says of two angles.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Method {
    /// GASF: the cosine of their sum.
    #[default]
    Summation,
    /// GADF: the sine of their difference.
    Difference,
}

impl Gaf {
    /// `[size, size]` values of −1 to 1.
    ///
    /// # Errors
    /// [`Error::Invalid`](crate::Error::Invalid) when the series is empty or not finite, too short or too long.
    pub fn matrix(&self, series: &[f32]) -> Result<Matrix> {
        check_series(series)?;
        let series = match self.size {
            Some(size) => paa(series, size)?,
            None => series.to_vec(),
        };
        let (low, high) = series.iter().fold((f64::INFINITY, f64::NEG_INFINITY), |(low, high), v| {
            (low.min(f64::from(*v)), high.max(f64::from(*v)))
        });
        let extent = if high > low { high - low } else { 1.0 };
        let cos: Vec<f64> =
            series.iter().map(|v| (2.0 * (f64::from(*v) - low) / extent - 1.0).clamp(-1.0, 1.0)).collect();
        let sin: Vec<f64> = cos.iter().map(|c| (1.0 - c * c).sqrt()).collect();
        Matrix::from_fn(cos.len(), cos.len(), |i, j| match self.method {
            Method::Summation => (cos[i] * cos[j] - sin[i] * sin[j]) as f32,
            Method::Difference => (sin[i] * cos[j] - cos[i] * sin[j]) as f32,
        })
    }

    /// The gray picture of it: −1 is black, 1 white.
    ///
    /// # Errors
    /// As [`Gaf::matrix`].
    pub fn image(&self, series: &[f32]) -> Result<Image> {
        self.matrix(series)?.image([-1.0, 1.0])
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_short_series_by_hand() {
        let half = 0.75f32.sqrt();
        let near = |gaf: &Gaf, wanted: [f32; 16]| {
            let matrix = gaf.matrix(&[1.0, 3.0, 2.0, 5.0]).unwrap();
            assert!(matrix.values().iter().zip(wanted).all(|(a, b)| (a - b).abs() < 1e-6), "{matrix:?}");
        };
        let summation = [1., 0., 0.5, -1., 0., -1., -half, 0., 0.5, -half, -0.5, -0.5, -1., 0., -0.5, 1.];
        near(&Gaf::default(), summation);
        let difference = [0., 1., half, 0., -1., 0., -0.5, 1., -half, 0.5, 0., half, 0., -1., -half, 0.];
        near(&Gaf { method: Method::Difference, size: None }, difference);
    }

    #[test]
    fn odd_series_give_a_picture_or_say_why_not() {
        let gaf = Gaf::default();
        assert_eq!(gaf.matrix(&[2.0; 3]).unwrap().values(), [1.0; 9]);
        assert_eq!(gaf.image(&[7.0]).unwrap().pixels(), [255]);
        assert_eq!(gaf.matrix(&[f32::MIN, f32::MAX]).unwrap().values(), [1.0, -1.0, -1.0, 1.0]);
        assert!(gaf.matrix(&[]).unwrap_err().to_string().contains("no values"));
        assert!(gaf.matrix(&[1.0, f32::NAN]).unwrap_err().to_string().contains("value 1 of a series is NaN"));
        assert!(Gaf { size: Some(3), ..gaf }.matrix(&[1.0, 2.0]).is_err());
    }
}
