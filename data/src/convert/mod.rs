//! What is no picture, as one: sounds, series of numbers, rows of a table, the traffic around a car, volumes.
//!
//! Each technique is a configuration with public fields and pure functions; none of them draws a random number. Series
//! become square pictures, sounds pictures of time (left to right) and frequency (upwards).
//!
//! | module | from | to | after |
//! |---|---|---|---|
//! | [`audio`] | the bytes of a sound file | samples, resampled | soundfile, torchaudio |
//! | [`spectrogram`] | a sound | spectrogram, log-mel, MFCC; one channel, or three with its changes | librosa |
//! | [`mel`] | a power spectrogram | bands that are spaced as pitch is heard | librosa, torchaudio |
//! | [`mfcc`] | log-mel bands | cepstral coefficients | librosa |
//! | [`delta`] | a spectrogram | its changes in time | librosa |
//! | [`gaf`] | a series | Gramian angular field, of sums or differences | pyts |
//! | [`markov`] | a series | Markov transition field | pyts |
//! | [`recurrence`] | a series | recurrence plot, binary or of distances | pyts |
//! | [`paa`] | a series | a shorter one | pyts |
//! | [`tabular`] | rows of a table | pictures whose pixels are features, like ones side by side (DeepInsight) | pyDeepInsight |
//! | [`pca`], [`tsne`] | points of many dimensions | of two | scikit-learn |
//! | [`raster`] | boxes and a map around a car | a picture of many channels (Lyft) | l5kit, OpenCV |
//! | [`projection`] | a volume | adjacent slices, three planes, intensity projections | NumPy |

pub mod audio;
pub mod delta;
pub mod gaf;
pub mod markov;
mod matrix;
pub mod mel;
pub mod mfcc;
pub mod paa;
pub mod pca;
pub mod projection;
pub mod raster;
pub mod recurrence;
pub mod spectrogram;
pub mod tabular;
pub mod tsne;

pub use audio::Sound;
pub use gaf::Gaf;
pub use markov::Markov;
pub use matrix::Matrix;
pub use raster::Raster;
pub use recurrence::Recurrence;
pub use spectrogram::Spectrogram;
pub use tabular::DeepInsight;

use crate::error::{Error, Result};

/// Refuses a series that is empty or holds a value that is not finite.
fn check_series(series: &[f32]) -> Result<()> {
    if series.is_empty() {
        return Err(Error::Invalid("a series has no values; leave it out".into()));
    }
    match series.iter().position(|value| !value.is_finite()) {
        Some(at) => {
            let value = series[at];
            Err(Error::Invalid(format!(
                "value {at} of a series is {value}; fill what is missing or leave the series out"
            )))
        }
        None => Ok(()),
    }
}
