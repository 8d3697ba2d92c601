//! From the bytes of a sound file to samples: WAV, and with the feature `audio` FLAC, OGG Vorbis and MP3, recognized by their
//! content.
//!
//! Sizes are checked before memory is taken. A truncated file is an error, never a sound with a silent rest.

use crate::error::{Error, Result};
use std::f64::consts::PI;
use std::io::Read;

/// Endings of files that are taken for sounds.
pub const SOUNDS: &[&str] = &["wav", "wave", "flac", "ogg", "oga", "mp3"];
/// Most samples of a sound, 50 minutes at 44.1 kHz.
pub const MAX_SAMPLES: usize = 1 << 27;
/// Highest sampling rate, Hz.
pub const MAX_RATE: u32 = 1_000_000;
/// Lowest sampling rate, Hz.
pub const MIN_RATE: u32 = 100;

/// A sound of one channel.
#[derive(Clone, Debug, PartialEq)]
pub struct Sound {
    /// Of −1 to 1 where the file holds integers.
    pub samples: Vec<f32>,
    /// Samples per second.
    pub rate: u32,
}

/// Decodes `bytes`; `name` is what errors call the file. Several channels become their mean, as `librosa.to_mono` does.
///
/// # Errors
/// [`Error::Decode`] says what is wrong: empty, no sound, truncated, too long, of a kind that needs the feature `audio`.
pub fn decode(name: &str, bytes: &[u8]) -> Result<Sound> {
    let decoded = match bytes {
        [] => Err("the file is empty".to_string()),
        [b'R', b'I', b'F', b'F', _, _, _, _, b'W', b'A', b'V', b'E', chunks @ ..] => wav(chunks),
        [b'f', b'L', b'a', b'C', ..] => compressed(bytes, "flac"),
        [b'O', b'g', b'g', b'S', ..] => compressed(bytes, "ogg"),
        [b'I', b'D', b'3', ..] | [0xFF, 0xE0..=0xFF, ..] => compressed(bytes, "mp3"),
        _ => Err("the file is no sound that is read: it is neither WAV nor FLAC, OGG or MP3; convert it".to_string()),
    };
    let checked = decoded.and_then(|sound| match sound.samples.iter().position(|v| !v.is_finite()) {
        Some(at) => Err(format!("sample {at} is {}", sound.samples[at])),
        None if sound.samples.is_empty() => Err("the sound has no samples".into()),
        None if !(MIN_RATE..=MAX_RATE).contains(&sound.rate) => {
            Err(format!("its rate is {} Hz; {MIN_RATE} to {MAX_RATE} are read", sound.rate))
        }
        None => Ok(sound),
    });
    checked.map_err(|why| Error::Decode { name: name.into(), why })
}

impl Sound {
    /// With `rate` samples per second, by windowed-sinc interpolation as `torchaudio.functional.resample` with its defaults: Hann
    /// window, six zero crossings to each side, cut off at 0.99 of the lower Nyquist frequency (Smith 2002).
    ///
    /// # Errors
    /// [`Error::Invalid`] when a rate is not [`MIN_RATE`] to [`MAX_RATE`] or the result has more than [`MAX_SAMPLES`].
    pub fn resampled(&self, rate: u32) -> Result<Self> {
        if let Some(wrong) = [self.rate, rate].into_iter().find(|rate| !(MIN_RATE..=MAX_RATE).contains(rate)) {
            return Err(Error::Invalid(format!("a sampling rate must be {MIN_RATE} to {MAX_RATE} Hz, not {wrong}")));
        }
        if rate == self.rate {
            return Ok(self.clone());
        }
        let divisor = gcd(self.rate, rate);
        let (from, to) = ((self.rate / divisor) as usize, (rate / divisor) as usize);
        let length = (self.samples.len() as u64 * to as u64).div_ceil(from as u64);
        if length > MAX_SAMPLES as u64 {
            let why = "samples are more than the allowed";
            return Err(Error::Invalid(format!("{length} {why} {MAX_SAMPLES}; shorten the sound or lower the rate")));
        }
        let filters = filters(from, to, (length as usize).min(to));
        // Output n lies between two samples as n mod `to` does, so as many filters are enough.
        let sample = |n: usize| {
            let (start, weights) = &filters[n % to];
            let start = (n / to * from) as isize + start;
            let terms = weights.iter().enumerate().filter_map(|(i, weight)| {
                let at = usize::try_from(start + i as isize).ok()?;
                Some(weight * self.samples.get(at)?)
            });
            terms.sum()
        };
        Ok(Self { samples: (0..length as usize).map(sample).collect(), rate })
    }

    /// With exactly `length` samples: the middle of a longer sound, a shorter one between silence.
    ///
    /// # Errors
    /// [`Error::Invalid`] when they are none or more than [`MAX_SAMPLES`].
    pub fn fitted(&self, length: usize) -> Result<Self> {
        if length == 0 || length > MAX_SAMPLES {
            return Err(Error::Invalid(format!("a sound must have 1 to {MAX_SAMPLES} samples, not {length}")));
        }
        let have = self.samples.len();
        let samples = if have >= length {
            self.samples[(have - length) / 2..][..length].to_vec()
        } else {
            let mut samples = vec![0.0; length];
            samples[(length - have) / 2..][..have].copy_from_slice(&self.samples);
            samples
        };
        Ok(Self { samples, rate: self.rate })
    }
}

/// For each of the first `count` outputs the first sample it is made of, and the weight of that and of those after it.
fn filters(from: usize, to: usize, count: usize) -> Vec<(isize, Vec<f32>)> {
    const ZEROS: f64 = 6.0;
    const ROLL_OFF: f64 = 0.99;
    // Frequencies are in units of the divisor of both rates.
    let cutoff = from.min(to) as f64 * ROLL_OFF;
    let reach = ZEROS * from as f64 / cutoff;
    let filter = |n: usize| {
        let middle = n as f64 * from as f64 / to as f64;
        let (first, last) = ((middle - reach).ceil() as isize, (middle + reach).floor() as isize);
        let weight = |i: isize| {
            let t = (i as f64 - middle) / from as f64 * cutoff;
            let window = (t * PI / ZEROS / 2.0).cos().powi(2);
            let sinc = if t == 0.0 { 1.0 } else { (PI * t).sin() / (PI * t) };
            (sinc * window * cutoff / from as f64) as f32
        };
        (first, (first..=last).map(weight).collect())
    };
    (0..count).map(filter).collect()
}

fn gcd(a: u32, b: u32) -> u32 {
    if b == 0 { a } else { gcd(b, a % b) }
}

/// Decodes what follows the head of a WAV file.
fn wav(mut chunks: &[u8]) -> Result<Sound, String> {
    let mut format: Option<&[u8]> = None;
    // hound reads past the byte that fills up a chunk of an odd length, so the two chunks that count are found here.
    let data = loop {
        let Some(([a, b, c, d, length @ ..], rest)) = chunks.split_first_chunk::<8>() else {
            return Err("the WAV file is truncated: it has no samples".into());
        };
        let announced = u32::from_le_bytes(*length) as usize;
        let chunk = match rest.get(..announced) {
            Some(chunk) => chunk,
            // Whoever writes into a pipe does not know the length.
            None if announced == u32::MAX as usize => rest,
            None => {
                return Err(format!(
                    "the WAV file is truncated: {announced} bytes are announced, {} follow",
                    rest.len()
                ));
            }
        };
        match [a, b, c, d] {
            [b'f', b'm', b't', b' '] => format = Some(chunk),
            [b'd', b'a', b't', b'a'] => break chunk,
            _ => {}
        }
        chunks = rest.get(announced.saturating_add(announced % 2)..).unwrap_or_default();
    };
    let format = format.ok_or("the WAV file does not say how its samples are stored")?;
    let block = format.get(12..14).map_or(1, |b| usize::from(b[0]) | usize::from(b[1]) << 8).max(1);
    let data = &data[..data.len() / block * block];
    let part = |name: &[u8; 4], bytes: &[u8]| [&name[..], &(bytes.len() as u32).to_le_bytes(), bytes].concat();
    let head = [&b"RIFF\0\0\0\0WAVE"[..], &part(b"fmt ", format), b"data", &(data.len() as u32).to_le_bytes()].concat();
    let broken = |error: hound::Error| format!("the WAV file is broken: {error}");
    let reader = hound::WavReader::new(head.chain(data)).map_err(broken)?;
    let hound::WavSpec { channels, sample_rate, bits_per_sample, sample_format } = reader.spec();
    let channels = usize::from(channels.max(1));
    // The announced number is checked against what is there.
    let frames = reader.len() as usize / channels;
    if frames > MAX_SAMPLES {
        return Err(too_long(frames as u64));
    }
    let mut mono = Mono::new(channels, frames);
    match sample_format {
        hound::SampleFormat::Float => reader.into_samples::<f32>().try_for_each(|v| v.map(|v| mono.push(v))),
        hound::SampleFormat::Int => {
            let scale = (-f64::from(bits_per_sample) + 1.0).exp2();
            reader.into_samples::<i32>().try_for_each(|v| v.map(|v| mono.push((f64::from(v) * scale) as f32)))
        }
    }
    .map_err(broken)?;
    Ok(Sound { samples: mono.samples, rate: sample_rate })
}

fn too_long(frames: u64) -> String {
    format!("the sound has {frames} samples, more than the {MAX_SAMPLES} allowed; cut it")
}

/// The mean of interleaved channels.
struct Mono {
    samples: Vec<f32>,
    channels: usize,
    /// Of the frame that is not yet complete.
    seen: usize,
    sum: f32,
}

impl Mono {
    fn new(channels: usize, frames: usize) -> Self {
        Self { samples: Vec::with_capacity(frames), channels, seen: 0, sum: 0.0 }
    }

    fn push(&mut self, value: f32) {
        self.sum += value;
        self.seen += 1;
        if self.seen == self.channels {
            self.samples.push(self.sum / self.channels as f32);
            (self.seen, self.sum) = (0, 0.0);
        }
    }
}

#[cfg(not(feature = "audio"))]
fn compressed(_bytes: &[u8], kind: &str) -> Result<Sound, String> {
    let kind = kind.to_uppercase();
    Err(format!(
        "{kind} is read only by a program that is built with the feature `audio`; build it so, or convert to WAV"
    ))
}

#[cfg(feature = "audio")]
fn compressed(bytes: &[u8], kind: &str) -> Result<Sound, String> {
    use symphonia::core::formats::TrackType;
    use symphonia::core::formats::probe::Hint;
    use symphonia::core::io::MediaSourceStream;
    let broken = |error: symphonia::core::errors::Error| format!("the {} is broken: {error}", kind.to_uppercase());
    let source = MediaSourceStream::new(Box::new(std::io::Cursor::new(bytes)), Default::default());
    let mut hint = Hint::new();
    hint.with_extension(kind);
    let probe = symphonia::default::get_probe();
    let mut format = probe.probe(&hint, source, Default::default(), Default::default()).map_err(broken)?;
    let track = format.default_track(TrackType::Audio).ok_or("the file has no sound in it")?;
    let parameters = track.codec_params.as_ref().and_then(|p| p.audio()).ok_or("its kind of sound is unknown")?;
    let (id, announced) = (track.id, track.num_frames);
    if announced.is_some_and(|frames| frames > MAX_SAMPLES as u64) {
        return Err(too_long(announced.unwrap_or_default()));
    }
    let mut decoder =
        symphonia::default::get_codecs().make_audio_decoder(parameters, &Default::default()).map_err(broken)?;
    let (mut rate, mut mono, mut values) = (0, None::<Mono>, Vec::<f32>::new());
    while let Some(packet) = format.next_packet().map_err(broken)? {
        if packet.track_id != id {
            continue;
        }
        let decoded = decoder.decode(&packet).map_err(broken)?;
        let channels = decoded.num_planes().max(1);
        let mono = mono.get_or_insert_with(|| Mono::new(channels, 0));
        if rate != 0 && (rate != decoded.spec().rate() || mono.channels != channels) {
            return Err("its rate or its channels change in the middle; convert it".into());
        }
        rate = decoded.spec().rate();
        decoded.copy_to_vec_interleaved(&mut values);
        values.iter().for_each(|value| mono.push(*value));
        if mono.samples.len() > MAX_SAMPLES {
            return Err(too_long(mono.samples.len() as u64));
        }
    }
    let samples = mono.map(|mono| mono.samples).unwrap_or_default();
    if kind == "ogg" && !ends_properly(bytes) {
        return Err("the OGG is truncated: its end is missing".into());
    }
    match announced {
        Some(frames) if (samples.len() as u64) < frames => {
            Err(format!("the file is truncated: {frames} samples are announced, {} follow", samples.len()))
        }
        _ => Ok(Sound { samples, rate }),
    }
}

/// Whether the last page of an OGG file is whole and says that it is the last.
#[cfg(feature = "audio")]
fn ends_properly(bytes: &[u8]) -> bool {
    let page = bytes.windows(4).rposition(|name| name == b"OggS").and_then(|at| bytes.get(at..)).unwrap_or_default();
    let (Some(flags), Some(segments)) = (page.get(5), page.get(26)) else { return false };
    let lengths = page.get(27..27 + usize::from(*segments));
    let whole = lengths.map(|lengths| 27 + lengths.len() + lengths.iter().map(|l| usize::from(*l)).sum::<usize>());
    flags & 4 != 0 && whole.is_some_and(|whole| page.len() >= whole)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A WAV file of these chunks.
    fn file(chunks: &[(&[u8; 4], &[u8])]) -> Vec<u8> {
        let mut bytes = b"RIFF\0\0\0\0WAVE".to_vec();
        for (name, chunk) in chunks {
            bytes.extend([&name[..], &(chunk.len() as u32).to_le_bytes(), chunk].concat());
            bytes.extend(&[0][..chunk.len() % 2]);
        }
        bytes
    }

    /// The head of 16-bit samples.
    fn format(channels: u8, rate: u32) -> Vec<u8> {
        let block = 2 * channels;
        let bytes = (rate.wrapping_mul(u32::from(block))).to_le_bytes();
        [&[1, 0, channels, 0][..], &rate.to_le_bytes(), &bytes, &[block, 0, 16, 0]].concat()
    }

    fn why(bytes: &[u8]) -> String {
        decode("a.wav", bytes).err().map_or("it decodes".into(), |error| error.to_string())
    }

    #[test]
    fn chunks_of_odd_length_and_of_unknown_length_are_read() {
        let bytes = file(&[(b"LIST", b"odd"), (b"fmt ", &format(2, 8000)), (b"data", &[0, 64, 0, 32, 0, 192, 0, 192])]);
        let sound = decode("a.wav", &bytes).unwrap();
        assert_eq!((sound.samples, sound.rate), (vec![0.375, -0.5], 8000));
        let mut piped = file(&[(b"fmt ", &format(1, 8000)), (b"data", &[0, 64, 7])]);
        let at = piped.len() - 8;
        piped[at..at + 4].copy_from_slice(&[255; 4]);
        assert_eq!(decode("a.wav", &piped).unwrap().samples.len(), 2);
    }

    #[test]
    fn files_that_are_no_sound_say_why() {
        assert_eq!(why(b""), "cannot decode 'a.wav': the file is empty");
        assert!(why(b"hello, world").contains("neither WAV"));
        assert!(why(b"RIFF\0\0\0\0WAVE").contains("truncated"));
        assert!(why(&file(&[(b"data", &[0; 8])])).contains("how its samples"));
        assert!(why(&file(&[(b"fmt ", &format(1, 8000)), (b"data", &[])])).contains("no samples"));
        assert!(why(&file(&[(b"fmt ", &format(0, 8000)), (b"data", &[0; 4])])).contains("broken"));
        assert!(why(&file(&[(b"fmt ", &format(1, 2_000_000)), (b"data", &[0; 4])])).contains("2000000 Hz"));
        let whole = file(&[(b"fmt ", &format(1, 8000)), (b"data", &[1; 64])]);
        for keep in 0..whole.len() {
            assert_ne!(why(&whole[..keep]), "it decodes", "cut to {keep}");
        }
    }

    /// Every byte of the head as something else: an error or a sound, but no panic and no large memory.
    #[test]
    fn hostile_heads_do_no_harm() {
        let whole = file(&[(b"fmt ", &format(1, 8000)), (b"data", &[1; 64])]);
        for at in 0..44 {
            for value in 0..=255 {
                let mut bytes = whole.clone();
                bytes[at] = value;
                if let Ok(sound) = decode("a.wav", &bytes) {
                    assert!(sound.samples.len() <= 64);
                }
            }
        }
    }

    #[cfg(not(feature = "audio"))]
    #[test]
    fn compressed_sounds_ask_for_the_feature() {
        for bytes in [&b"fLaC\0"[..], b"OggS\0", b"ID3\x04", &[0xFF, 0xFB, 0x90]] {
            assert!(why(bytes).contains("feature `audio`"));
        }
    }

    #[test]
    fn sounds_are_fitted_around_their_middle() {
        let sound = Sound { samples: vec![1.0, 2.0, 3.0, 4.0], rate: 8000 };
        assert_eq!(sound.fitted(2).unwrap().samples, [2.0, 3.0]);
        assert_eq!(sound.fitted(7).unwrap().samples, [0.0, 1.0, 2.0, 3.0, 4.0, 0.0, 0.0]);
        assert!(sound.fitted(0).is_err() && sound.fitted(usize::MAX).is_err());
    }

    #[test]
    fn impossible_rates_are_refused() {
        let sound = |rate| Sound { samples: vec![1.0; 1000], rate };
        assert!(sound(8000).resampled(0).is_err() && sound(0).resampled(8000).is_err());
        assert!(sound(8000).resampled(u32::MAX).is_err());
        assert_eq!(sound(8000).resampled(8000).unwrap(), sound(8000));
        assert_eq!(sound(999_983).resampled(100).unwrap().samples.len(), 1);
        assert!(Sound { samples: vec![], rate: 8000 }.resampled(9000).unwrap().samples.is_empty());
        let long = Sound { samples: vec![0.0; 1 << 20], rate: 100 };
        assert!(long.resampled(100_000).unwrap_err().to_string().contains("more than the allowed"));
    }
}
