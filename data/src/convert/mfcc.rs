//! Mel-frequency cepstral coefficients.

use super::Matrix;
use crate::error::{Error, Result};
use serde::{Deserialize, Serialize};
use std::f64::consts::PI;

/// The first coefficients of the orthonormal DCT-II over log-mel bands (Davis & Mermelstein 1980, `librosa.feature.mfcc`).
///
/// | field | default | range |
/// |---|---|---|
/// | `n_mfcc` | 20 | 1 to the number of bands |
/// | `lifter` | 0 | L at least 0; coefficient n is multiplied by `1 + L/2 sin(π (n + 1) / L)`, none at 0 |
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Mfcc {
    /// Coefficients.
    pub n_mfcc: usize,
    /// What lifts high coefficients.
    pub lifter: f64,
}

impl Default for Mfcc {
    fn default() -> Self {
        Self { n_mfcc: 20, lifter: 0.0 }
    }
}

impl Mfcc {
    /// `[n_mfcc, frames]` of log-mel `bands` `[n_mels, frames]`.
    ///
    /// # Errors
    /// [`Error::Invalid`] when a field is out of its range.
    pub fn coefficients(&self, bands: &Matrix) -> Result<Matrix> {
        let n = bands.rows();
        if !((1..=n).contains(&self.n_mfcc) && self.lifter >= 0.0 && self.lifter.is_finite()) {
            let (n_mfcc, lifter) = (self.n_mfcc, self.lifter);
            let why =
                format!("mfcc: n_mfcc must be 1 to the {n} bands and lifter at least 0, not {n_mfcc} and {lifter}");
            return Err(Error::Invalid(why));
        }
        let mut coefficients = Matrix::zeros(self.n_mfcc, bands.columns())?;
        for (k, row) in coefficients.values_mut().chunks_exact_mut(bands.columns()).enumerate() {
            let norm = (if k == 0 { 1.0 } else { 2.0 } / n as f64).sqrt();
            let lift = match self.lifter {
                0.0 => 1.0,
                lifter => 1.0 + lifter / 2.0 * (PI * (k + 1) as f64 / lifter).sin(),
            };
            let mut sums = vec![0.0f64; bands.columns()];
            for band in 0..n {
                let weight = norm * lift * (PI * k as f64 * (2 * band + 1) as f64 / (2 * n) as f64).cos();
                sums.iter_mut().zip(bands.row(band)).for_each(|(sum, v)| *sum += weight * f64::from(*v));
            }
            row.iter_mut().zip(sums).for_each(|(v, sum)| *v = sum as f32);
        }
        Ok(coefficients)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_constant_has_only_the_first_coefficient() {
        let bands = Matrix::new(4, 1, vec![3.0; 4]).unwrap();
        let values = Mfcc { n_mfcc: 3, lifter: 0.0 }.coefficients(&bands).unwrap();
        assert!(values.values().iter().zip([6.0, 0.0, 0.0]).all(|(a, b)| (a - b).abs() < 1e-6), "{values:?}");
        for mfcc in [Mfcc { n_mfcc: 5, lifter: 0.0 }, Mfcc { n_mfcc: 0, lifter: 0.0 }, Mfcc { n_mfcc: 1, lifter: -1.0 }]
        {
            assert!(mfcc.coefficients(&bands).is_err());
        }
    }
}
