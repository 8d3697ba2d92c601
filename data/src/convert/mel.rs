//! Bands that are spaced as pitch is heard.

use super::Matrix;
use crate::error::{Error, Result};
use serde::{Deserialize, Serialize};

/// Mel filter bank: overlapping triangles, evenly spaced in mel between two frequencies (`librosa.filters.mel`,
/// `torchaudio.functional.melscale_fbanks`; torchaudio's default is `htk` without `area_norm`).
///
/// | field | default | range |
/// |---|---|---|
/// | `n_mels` | 128 | 1 to 4096; so many that a triangle falls between two frequencies of the spectrogram leave it empty |
/// | `f_min` | 0 | Hz, at least 0 |
/// | `f_max` | half the sampling rate | Hz, more than `f_min` |
/// | `scale` | slaney | slaney, htk |
/// | `area_norm` | true | true, false |
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Mel {
    /// Bands.
    pub n_mels: usize,
    /// Lower end of the lowest band, Hz.
    pub f_min: f64,
    /// Upper end of the highest band, Hz.
    pub f_max: Option<f64>,
    /// What mel means.
    pub scale: Scale,
    /// Whether each triangle has the area 1 (Slaney); else it has the height 1.
    pub area_norm: bool,
}

impl Default for Mel {
    fn default() -> Self {
        Self { n_mels: 128, f_min: 0.0, f_max: None, scale: Scale::Slaney, area_norm: true }
    }
}

/// The two formulas of the mel scale.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Scale {
    /// Linear up to 1 kHz, 200/3 Hz each, logarithmic above, 27 to a factor of 6.4 (Slaney 1998).
    #[default]
    Slaney,
    /// `2595 log₁₀(1 + f / 700)` (O'Shaughnessy 1987; HTK).
    Htk,
}

impl Scale {
    /// Mel of a frequency in Hz.
    pub fn mel(self, hz: f64) -> f64 {
        match self {
            Self::Htk => 2595.0 * (1.0 + hz / 700.0).log10(),
            Self::Slaney if hz < 1000.0 => hz * 3.0 / 200.0,
            Self::Slaney => 15.0 + (hz / 1000.0).ln() * 27.0 / 6.4f64.ln(),
        }
    }

    /// The frequency in Hz.
    pub fn hz(self, mel: f64) -> f64 {
        match self {
            Self::Htk => 700.0 * (10f64.powf(mel / 2595.0) - 1.0),
            Self::Slaney if mel < 15.0 => mel * 200.0 / 3.0,
            Self::Slaney => 1000.0 * ((mel - 15.0) * 6.4f64.ln() / 27.0).exp(),
        }
    }
}

impl Mel {
    /// The bands `[n_mels, frames]` of a spectrogram `[1 + n_fft / 2, frames]` of a sound of `rate` Hz, lowest first.
    ///
    /// # Errors
    /// [`Error::Invalid`] when a field is out of its range.
    pub fn bands(&self, spectrogram: &Matrix, n_fft: usize, rate: u32) -> Result<Matrix> {
        let frames = spectrogram.columns();
        let mut bands = Matrix::zeros(self.n_mels, frames)?;
        let filters = self.filters(n_fft, rate)?;
        for ((first, weights), band) in filters.iter().zip(bands.values_mut().chunks_exact_mut(frames)) {
            let mut sums = vec![0.0f64; frames];
            for (row, weight) in (*first..spectrogram.rows()).zip(weights) {
                sums.iter_mut().zip(spectrogram.row(row)).for_each(|(sum, v)| *sum += weight * f64::from(*v));
            }
            band.iter_mut().zip(sums).for_each(|(v, sum)| *v = sum as f32);
        }
        Ok(bands)
    }

    /// Of each band the first frequency that has a weight, as its index, and the weights of that and of those after it.
    fn filters(&self, n_fft: usize, rate: u32) -> Result<Vec<(usize, Vec<f64>)>> {
        let (low, high) = (self.f_min, self.f_max.unwrap_or(f64::from(rate) / 2.0));
        if !((1..=4096).contains(&self.n_mels) && low >= 0.0 && low < high && high.is_finite() && n_fft > 0) {
            return Err(Error::Invalid(format!(
                "mel: n_mels must be 1 to 4096, and f_min at least 0 and less than f_max (half the sampling rate where it is \
                 not given), not {}, {low} and {high}",
                self.n_mels
            )));
        }
        let (first, last) = (self.scale.mel(low), self.scale.mel(high));
        let step = (last - first) / (self.n_mels + 1) as f64;
        let corners: Vec<f64> = (0..self.n_mels + 2).map(|i| self.scale.hz(first + i as f64 * step)).collect();
        let bin = f64::from(rate) / n_fft as f64;
        let filter = |corners: &[f64]| {
            let [left, middle, right] = [corners[0], corners[1], corners[2]];
            let from = (left / bin).ceil() as usize;
            let to = ((right / bin).floor() as usize).min(n_fft / 2);
            let scale = if self.area_norm { 2.0 / (right - left) } else { 1.0 };
            let weight = |i: usize| {
                let f = i as f64 * bin;
                scale * ((f - left) / (middle - left)).min((right - f) / (right - middle)).max(0.0)
            };
            (from, (from..=to).map(weight).collect())
        };
        Ok(corners.windows(3).map(filter).collect())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn scales_have_the_values_of_librosa() {
        for (hz, htk, slaney) in [(440.0, 549.6387, 6.6), (1000.0, 999.9855, 15.0), (4000.0, 2146.0645, 35.1638)] {
            for (scale, wanted) in [(Scale::Htk, htk), (Scale::Slaney, slaney)] {
                assert!((scale.mel(hz) - wanted).abs() < 1e-4, "{scale:?} {hz}: {}", scale.mel(hz));
                assert!((scale.hz(scale.mel(hz)) - hz).abs() < 1e-9);
            }
        }
        assert!((Scale::Slaney.mel(8000.0) - 45.2456).abs() < 1e-4);
    }

    #[test]
    fn impossible_bands_are_refused() {
        let spectrogram = Matrix::zeros(5, 2).unwrap();
        let bands = |mel: Mel| mel.bands(&spectrogram, 8, 8000);
        assert!(bands(Mel { n_mels: 0, ..Mel::default() }).is_err());
        assert!(bands(Mel { n_mels: usize::MAX, ..Mel::default() }).is_err());
        for (f_min, f_max) in
            [(-1.0, None), (4000.0, None), (10.0, Some(10.0)), (f64::NAN, None), (0.0, Some(f64::INFINITY))]
        {
            assert!(bands(Mel { f_min, f_max, ..Mel::default() }).is_err(), "{f_min} {f_max:?}");
        }
        // Above what the sound has there is nothing.
        assert_eq!(bands(Mel { f_min: 5000.0, f_max: Some(6000.0), ..Mel::default() }).unwrap().range(), [0.0, 0.0]);
    }
}
