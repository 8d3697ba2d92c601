//! Sounds as pictures of time and frequency.

use super::audio::{MAX_RATE, MIN_RATE, Sound};
use super::delta::delta;
use super::mel::Mel;
use super::mfcc::Mfcc;
use super::{Matrix, check_series};
use crate::error::{Error, Result};
use crate::image::Image;
use realfft::RealFftPlanner;
use serde::{Deserialize, Serialize};
use std::f64::consts::PI;

/// A sound as a picture: short-time spectra, their mel bands or cepstral coefficients, on a logarithmic scale. Time runs from
/// left to right, low frequencies are at the bottom. The defaults are librosa's log-mel spectrogram with reflected ends.
///
/// | field | default | range |
/// |---|---|---|
/// | `rate` | as it is | Hz, 100 to 1,000,000; sounds are resampled |
/// | `duration` | as it is | seconds; cut or filled with silence around the middle, so that all pictures are one size |
/// | `stft` | [`Stft`] | |
/// | `mel` | [`Mel`] | null: the frequencies of the spectra |
/// | `level` | [`Decibel`] | `{"decibel": {..}}`, `{"log": ε}` for `ln(x + ε)`, `"linear"` |
/// | `mfcc` | null | [`Mfcc`]; needs `mel` |
/// | `delta_width` | null | odd, 3 to the frames (9 is usual): the picture has three channels, itself, its slope and curvature |
/// | `range` | see below | the values of the first channel that become black and white |
///
/// Where no `range` is given, decibels below the loudest value go from −`top_db` to 0; everything else goes from the picture's
/// least to its largest value. In the channels of slope and curvature 0 is the middle gray and the largest value of either sign
/// black or white.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Spectrogram {
    /// Samples per second, Hz.
    pub rate: Option<u32>,
    /// Length, seconds.
    pub duration: Option<f64>,
    /// Short-time spectra.
    pub stft: Stft,
    /// Bands of them.
    pub mel: Option<Mel>,
    /// How loudness becomes brightness.
    pub level: Level,
    /// Cepstral coefficients of the bands.
    pub mfcc: Option<Mfcc>,
    /// Frames that slope and curvature are of.
    pub delta_width: Option<usize>,
    /// What is black and what is white.
    pub range: Option<[f32; 2]>,
}

impl Default for Spectrogram {
    fn default() -> Self {
        Self {
            rate: None,
            duration: None,
            stft: Stft::default(),
            mel: Some(Mel::default()),
            level: Level::default(),
            mfcc: None,
            delta_width: None,
            range: None,
        }
    }
}

/// Short-time Fourier transform: the spectra of overlapping pieces under a Hann window, each around its middle
/// (`librosa.stft`, `torch.stft`).
///
/// | field | default | range |
/// |---|---|---|
/// | `n_fft` | 2048 | samples of a piece, 2 to 65,536 |
/// | `hop_length` | 512 | samples from one piece to the next, at least 1 |
/// | `win_length` | `n_fft` | samples under the window, 1 to `n_fft` |
/// | `pad` | reflect | reflect (torchaudio), constant (librosa): what lies beyond the ends |
/// | `power` | 2 | 1 magnitude, 2 power |
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Stft {
    /// Samples of a piece.
    pub n_fft: usize,
    /// Samples from one piece to the next.
    pub hop_length: usize,
    /// Samples under the window.
    pub win_length: Option<usize>,
    /// What lies beyond the ends.
    pub pad: Pad,
    /// 1 magnitude, 2 power.
    pub power: u8,
}

impl Default for Stft {
    fn default() -> Self {
        Self { n_fft: 2048, hop_length: 512, win_length: None, pad: Pad::Reflect, power: 2 }
    }
}

/// What lies beyond the ends of a sound.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Pad {
    /// The sound backwards; the outermost sample is there once.
    #[default]
    Reflect,
    /// Silence.
    Constant,
}

/// How loudness becomes brightness.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Level {
    /// Decibels.
    Decibel(Decibel),
    /// `ln(x + ε)`, ε more than 0.
    Log(f32),
    /// As it is.
    Linear,
}

impl Default for Level {
    fn default() -> Self {
        Self::Decibel(Decibel::default())
    }
}

/// `10 log₁₀(x / reference)` of a power, 20 of a magnitude (`librosa.power_to_db`, `librosa.amplitude_to_db`).
///
/// | field | default | range |
/// |---|---|---|
/// | `reference` | max | max: the largest value, which is 0 dB; one |
/// | `amin` | 1e-10 | more than 0; less power counts as that |
/// | `top_db` | 80 | at least 0; what is so far below the largest value counts as that. null: no limit |
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Decibel {
    /// What is 0 dB.
    pub reference: Reference,
    /// Least power.
    pub amin: f64,
    /// Distance of the least to the largest value, dB.
    pub top_db: Option<f32>,
}

impl Default for Decibel {
    fn default() -> Self {
        Self { reference: Reference::Max, amin: 1e-10, top_db: Some(80.0) }
    }
}

/// What is 0 dB.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Reference {
    /// The largest value. Silence is 0 dB throughout, as in librosa.
    #[default]
    Max,
    /// 1.
    One,
}

impl Spectrogram {
    /// The picture of a sound, of one channel or three.
    ///
    /// # Errors
    /// [`Error::Invalid`] when a field is out of its range, or the sound is empty, not finite, or too short for `delta_width`.
    pub fn image(&self, sound: &Sound) -> Result<Image> {
        let values = self.matrix(sound)?;
        let levels = |matrix: &Matrix, range| matrix.upside_down().levels(range);
        let mut channels = vec![levels(&values, self.range(&values)?)];
        if let Some(width) = self.delta_width {
            for order in [1, 2] {
                let change = delta(&values, width, order)?;
                let most = change.range().into_iter().fold(0.0f32, |most, v| most.max(v.abs()));
                // Nothing changes: the middle gray, not black.
                let most = if most > 0.0 { most } else { 1.0 };
                channels.push(levels(&change, [-most, most]));
            }
        }
        let pixels = (0..values.values().len()).flat_map(|i| channels.iter().map(move |channel| channel[i])).collect();
        Image::new(values.columns(), values.rows(), channels.len(), pixels)
    }

    /// The numbers of the first channel, `[n_fft / 2 + 1, n_mels or n_mfcc, frames]` with low frequencies first.
    ///
    /// # Errors
    /// As [`Spectrogram::image`].
    pub fn matrix(&self, sound: &Sound) -> Result<Matrix> {
        if self.mfcc.is_some() && self.mel.is_none() {
            return Err(Error::Invalid("spectrogram: mfcc are of mel bands; give mel, too".into()));
        }
        if !(MIN_RATE..=MAX_RATE).contains(&sound.rate) {
            let rate = sound.rate;
            return Err(Error::Invalid(format!("a sampling rate must be {MIN_RATE} to {MAX_RATE} Hz, not {rate}")));
        }
        check_series(&sound.samples)?;
        let resampled = self.rate.map(|rate| sound.resampled(rate)).transpose()?;
        let sound = resampled.as_ref().unwrap_or(sound);
        let fitted = match self.duration {
            Some(seconds) if !(seconds > 0.0 && seconds.is_finite()) => {
                return Err(Error::Invalid(format!(
                    "spectrogram: duration must be more than 0 seconds, not {seconds}"
                )));
            }
            duration => {
                duration.map(|seconds| sound.fitted((seconds * f64::from(sound.rate)).round() as usize)).transpose()?
            }
        };
        let sound = fitted.as_ref().unwrap_or(sound);
        let spectra = self.stft.spectra(&sound.samples)?;
        let bands = match &self.mel {
            Some(mel) => mel.bands(&spectra, self.stft.n_fft, sound.rate)?,
            None => spectra,
        };
        let levels = self.level.of(bands, self.stft.power)?;
        match &self.mfcc {
            Some(mfcc) => mfcc.coefficients(&levels),
            None => Ok(levels),
        }
    }

    /// What becomes black and white.
    fn range(&self, values: &Matrix) -> Result<[f32; 2]> {
        match (self.range, &self.level) {
            (Some([low, high]), _) if !(low < high && low.is_finite() && high.is_finite()) => Err(Error::Invalid(
                format!("spectrogram: range must go from a lower to a higher value, not {low} to {high}"),
            )),
            (Some(range), _) => Ok(range),
            (None, Level::Decibel(Decibel { reference: Reference::Max, top_db: Some(top), .. }))
                if self.mfcc.is_none() =>
            {
                Ok([-top, 0.0])
            }
            _ => Ok(values.range()),
        }
    }
}

impl Stft {
    /// `[1 + n_fft / 2, 1 + samples / hop_length]` magnitudes or powers, low frequencies first.
    ///
    /// # Errors
    /// [`Error::Invalid`] when a field is out of its range or there are no samples.
    pub fn spectra(&self, samples: &[f32]) -> Result<Matrix> {
        let Self { n_fft, hop_length, pad, power, .. } = *self;
        let win_length = self.win_length.unwrap_or(n_fft);
        if !(2..=1 << 16).contains(&n_fft)
            || hop_length == 0
            || !(1..=n_fft).contains(&win_length)
            || !(1..=2).contains(&power)
        {
            return Err(Error::Invalid(format!(
                "stft: n_fft must be 2 to 65536, hop_length at least 1, win_length 1 to n_fft and power 1 or 2, not {n_fft}, \
                 {hop_length}, {win_length} and {power}"
            )));
        }
        if samples.is_empty() {
            return Err(Error::Invalid("a sound has no samples; leave it out".into()));
        }
        let half = n_fft / 2;
        let frames = 1 + (samples.len() + 2 * half - n_fft) / hop_length;
        let mut spectra = Matrix::zeros(half + 1, frames)?;
        let window: Vec<f64> =
            (0..win_length).map(|i| 0.5 - 0.5 * (2.0 * PI * i as f64 / win_length as f64).cos()).collect();
        let fft = RealFftPlanner::<f64>::new().plan_fft_forward(n_fft);
        let (mut piece, mut spectrum, mut scratch) =
            (fft.make_input_vec(), fft.make_output_vec(), fft.make_scratch_vec());
        for frame in 0..frames {
            piece.fill(0.0);
            let first = (n_fft - win_length) / 2;
            for (i, weight) in window.iter().enumerate() {
                let at = (frame * hop_length + first + i) as isize - half as isize;
                piece[first + i] = weight * f64::from(sample(samples, at, pad));
            }
            let failed = |error: realfft::FftError| Error::Invalid(format!("stft: {error}"));
            fft.process_with_scratch(&mut piece, &mut spectrum, &mut scratch).map_err(failed)?;
            for (row, value) in spectrum.iter().enumerate() {
                let value = if power == 1 { value.norm() } else { value.norm_sqr() };
                spectra.values_mut()[row * frames + frame] = value as f32;
            }
        }
        Ok(spectra)
    }
}

/// The sample at `at`, which may lie beyond the ends.
fn sample(samples: &[f32], at: isize, pad: Pad) -> f32 {
    let last = samples.len() - 1;
    match pad {
        Pad::Constant => usize::try_from(at).ok().and_then(|at| samples.get(at)).copied().unwrap_or(0.0),
        Pad::Reflect if last == 0 => samples[0],
        Pad::Reflect => {
            let at = at.unsigned_abs() % (2 * last);
            samples[at.min(2 * last - at)]
        }
    }
}

impl Level {
    /// `values`, which are powers or magnitudes, as levels.
    fn of(&self, mut values: Matrix, power: u8) -> Result<Matrix> {
        match self {
            Self::Linear => {}
            Self::Log(epsilon) if !(*epsilon > 0.0 && epsilon.is_finite()) => {
                return Err(Error::Invalid(format!("spectrogram: log must add more than 0, not {epsilon}")));
            }
            Self::Log(epsilon) => {
                values.values_mut().iter_mut().for_each(|v| *v = (f64::from(*v) + f64::from(*epsilon)).ln() as f32);
            }
            Self::Decibel(decibel) => decibel.apply(&mut values, power)?,
        }
        Ok(values)
    }
}

impl Decibel {
    fn apply(&self, values: &mut Matrix, power: u8) -> Result<()> {
        let Self { reference, amin, top_db } = *self;
        if !(amin > 0.0 && amin.is_finite()) || top_db.is_some_and(|top| !(top >= 0.0 && top.is_finite())) {
            let why = format!("decibel: amin must be more than 0 and top_db at least 0, not {amin} and {top_db:?}");
            return Err(Error::Invalid(why));
        }
        let (amin, factor) = if power == 1 { (amin.sqrt(), 20.0) } else { (amin, 10.0) };
        let db = |v: f64| factor * v.max(amin).log10();
        let zero = match reference {
            Reference::Max => db(f64::from(values.range()[1])),
            Reference::One => 0.0,
        };
        values.values_mut().iter_mut().for_each(|v| *v = (db(f64::from(*v)) - zero) as f32);
        if let Some(top) = top_db {
            let least = values.range()[1] - top;
            values.values_mut().iter_mut().for_each(|v| *v = v.max(least));
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sound(length: usize, wave: impl Fn(f64) -> f64) -> Sound {
        Sound { samples: (0..length).map(|i| wave(i as f64 / 22_050.0) as f32).collect(), rate: 22_050 }
    }

    #[test]
    fn a_tone_is_a_bright_line_at_its_height() {
        let tone = sound(22_050, |t| (2.0 * PI * 1000.0 * t).sin());
        let image = Spectrogram::default().image(&tone).unwrap();
        // As many frames as librosa has.
        assert_eq!(image.dims(), [1, 128, 44, 1]);
        let column: Vec<u8> = (0..128).map(|y| image.pixels()[y * 44 + 20]).collect();
        let brightest = (0..128).max_by_key(|&y| column[y]).unwrap();
        // 1 kHz is mel 15 of 50.9: three tenths up from the bottom.
        assert!((126 - brightest).abs_diff(37) <= 1, "{brightest}");
        assert!(column[0] < 20 && column[brightest] == 255);
    }

    #[test]
    fn changes_are_channels_and_sizes_are_fixed() {
        let chirp = sound(10_000, |t| (2.0 * PI * (300.0 + 2000.0 * t) * t).sin());
        let json = r#"{"rate": 16000, "duration": 1.0, "stft": {"hop_length": 160, "n_fft": 512}, "mel": {"n_mels": 40},
            "delta_width": 9}"#;
        let spectrogram: Spectrogram = serde_json::from_str(json).unwrap();
        assert_eq!(spectrogram.image(&chirp).unwrap().dims(), [1, 40, 101, 3]);
        assert_eq!(spectrogram.image(&sound(90_000, |_| 0.1)).unwrap().dims(), [1, 40, 101, 3]);
        let mfcc: Spectrogram = serde_json::from_str(r#"{"mfcc": {"n_mfcc": 13}, "level": {"log": 1e-6}}"#).unwrap();
        assert_eq!(mfcc.image(&chirp).unwrap().dims(), [1, 13, 20, 1]);
        assert!(serde_json::from_str::<Spectrogram>(r#"{"hop": 1}"#).is_err());
        let again = serde_json::to_string(&mfcc).unwrap();
        assert_eq!(serde_json::from_str::<Spectrogram>(&again).unwrap(), mfcc);
    }

    #[test]
    fn odd_sounds_give_a_picture_or_say_why_not() {
        let plain = Spectrogram::default();
        let silent = plain.image(&sound(3000, |_| 0.0)).unwrap();
        assert!(silent.pixels().iter().all(|v| *v == 255));
        for length in [1, 2, 3, 600] {
            assert_eq!(plain.image(&sound(length, |_| 0.5)).unwrap().width(), 1 + length / 512);
        }
        let why = |s: &Spectrogram, sound: &Sound| s.image(sound).unwrap_err().to_string();
        assert!(why(&plain, &sound(0, |_| 0.0)).contains("no values"));
        assert!(why(&plain, &sound(9, |_| f64::NAN)).contains("NaN"));
        assert!(why(&plain, &Sound { samples: vec![0.0], rate: 0 }).contains("rate"));
        assert!(why(&Spectrogram { delta_width: Some(9), ..plain.clone() }, &sound(600, |_| 0.5)).contains("2 frames"));
        assert!(
            why(&Spectrogram { mfcc: Some(Mfcc::default()), mel: None, ..plain.clone() }, &sound(9, |_| 0.5))
                .contains("mel")
        );
        for duration in [0.0, -1.0, f64::NAN, f64::INFINITY, 1e-9, 1e300] {
            assert!(Spectrogram { duration: Some(duration), ..plain.clone() }.image(&sound(9, |_| 0.5)).is_err());
        }
        for range in [[1.0, 1.0], [0.0, f32::NAN], [2.0, 1.0]] {
            assert!(Spectrogram { range: Some(range), ..plain.clone() }.image(&sound(9, |_| 0.5)).is_err());
        }
        for stft in [
            Stft { n_fft: 1, ..Stft::default() },
            Stft { n_fft: usize::MAX, ..Stft::default() },
            Stft { hop_length: 0, ..Stft::default() },
            Stft { win_length: Some(2049), ..Stft::default() },
            Stft { win_length: Some(0), ..Stft::default() },
            Stft { power: 3, ..Stft::default() },
        ] {
            assert!(Spectrogram { stft, ..plain.clone() }.image(&sound(9, |_| 0.5)).is_err());
        }
        let long = Spectrogram { stft: Stft { hop_length: 1, n_fft: 1 << 16, ..Stft::default() }, ..plain };
        assert!(why(&long, &sound(1 << 20, |_| 0.5)).contains("no picture"));
    }
}
