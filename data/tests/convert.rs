//! Sounds, series, tables, traffic and volumes as pictures against librosa, torchaudio, soundfile, pyts, scikit-learn, SciPy,
//! OpenCV and NumPy (`xtask/fixtures/convert.py`).
#![allow(clippy::unwrap_used)]

use sconce_data::convert::mel::Mel;
use sconce_data::convert::projection::{Intensity, Slices};
use sconce_data::convert::raster::{Agent, Shape};
use sconce_data::convert::spectrogram::Stft;
use sconce_data::convert::tabular::{Reduction, convex_hull, smallest_rectangle};
use sconce_data::convert::{
    DeepInsight, Gaf, Markov, Matrix, Raster, Recurrence, Sound, Spectrogram, audio, delta::delta, pca::pca,
};
use sconce_data::{Image, Result};
use serde::de::DeserializeOwned;
use serde_json::{Value, json};
use std::path::PathBuf;

fn folder() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/golden/convert")
}

fn golden(name: &str) -> Value {
    serde_json::from_slice(&std::fs::read(folder().join(name).with_extension("json")).unwrap()).unwrap()
}

fn of<T: DeserializeOwned>(value: &Value) -> T {
    serde_json::from_value(value.clone()).unwrap()
}

fn list(value: &Value) -> &[Value] {
    value.as_array().unwrap()
}

/// Whether all values are equal to `tolerance` of the full scale, which is at least 0.1: pyts leaves noise where zeros are.
fn same(values: &[f32], wanted: &[f32], tolerance: f32, what: &str) {
    assert_eq!(values.len(), wanted.len(), "{what}");
    let scale = wanted.iter().fold(0.0f32, |most, v| most.max(v.abs())).max(0.1);
    let worst = values.iter().zip(wanted).map(|(a, b)| (a - b).abs()).fold(0.0f32, f32::max);
    assert!(worst <= tolerance * scale, "{what}: {worst} of {scale}");
}

fn same_matrix(matrix: &Matrix, wanted: &Value, tolerance: f32, what: &str) {
    let sides = (of::<usize>(&wanted["rows"]), of::<usize>(&wanted["columns"]));
    assert_eq!((matrix.rows(), matrix.columns()), sides, "{what}");
    same(matrix.values(), &of::<Vec<f32>>(&wanted["values"]), tolerance, what);
}

fn sound(golden: &Value) -> Sound {
    let samples: Vec<f32> = of(&golden["samples"]);
    Sound { samples: samples.iter().map(|v| v / 32_768.0).collect(), rate: of(&golden["rate"]) }
}

#[test]
fn spectra_are_librosas_and_torchaudios() {
    let golden = golden("sound");
    let sound = sound(&golden);
    for case in list(&golden["spectra"]) {
        let stft: Stft = of(&case["stft"]);
        let samples = &sound.samples[..of(&case["samples"])];
        same_matrix(&stft.spectra(samples).unwrap(), &case["matrix"], 1e-5, &case["stft"].to_string());
    }
    let case = &golden["torch_spectra"];
    let stft = Stft { n_fft: 64, hop_length: 48, win_length: Some(40), ..Stft::default() };
    same_matrix(&stft.spectra(&sound.samples[..400]).unwrap(), &case["matrix"], 1e-5, "torchaudio");
}

#[test]
fn bands_levels_and_coefficients_are_librosas() {
    let golden = golden("sound");
    let sound = sound(&golden);
    let stft = Stft { n_fft: 256, hop_length: 128, ..Stft::default() };
    let spectra = stft.spectra(&sound.samples).unwrap();
    for case in list(&golden["mels"]) {
        let mel: Mel = of(&case["mel"]);
        same_matrix(&mel.bands(&spectra, 256, sound.rate).unwrap(), &case["matrix"], 1e-5, &case["mel"].to_string());
    }
    for case in list(&golden["whole"]) {
        let spectrogram: Spectrogram = of(&case["spectrogram"]);
        let matrix = spectrogram.matrix(&sound).unwrap();
        same_matrix(&matrix, &case["matrix"], 1e-4, &case["spectrogram"].to_string());
    }
}

#[test]
fn changes_in_time_are_librosas() {
    let golden = golden("sound");
    let config = json!({"stft": {"n_fft": 256, "hop_length": 128}, "mel": {"n_mels": 32}, "delta_width": 9});
    let spectrogram: Spectrogram = of(&config);
    let matrix = spectrogram.matrix(&sound(&golden)).unwrap();
    for (order, name) in [(1, "first"), (2, "second")] {
        same_matrix(&delta(&matrix, 9, order).unwrap(), &golden["deltas"][name], 1e-4, name);
    }
    // Low frequencies at the bottom; the middle gray is no change.
    let image = spectrogram.image(&sound(&golden)).unwrap();
    let (first, frames) = (&golden["deltas"]["first"], matrix.columns());
    let changes: Vec<f32> = of(&first["values"]);
    let most = changes.iter().fold(0.0f32, |most, v| most.max(v.abs()));
    for row in 0..32 {
        for frame in 0..frames {
            let pixel = &image.pixels()[((31 - row) * frames + frame) * 3..][..3];
            let level = (matrix.row(row)[frame] + 80.0) / 80.0 * 255.0;
            assert!((f32::from(pixel[0]) - level).abs() <= 0.51, "{row} {frame}");
            let change = 127.5 + 127.5 * changes[row * frames + frame] / most;
            assert!((f32::from(pixel[1]) - change).abs() <= 0.52, "{row} {frame}");
        }
    }
}

#[test]
fn resampling_is_torchaudios() {
    let golden = golden("sound");
    let sound = sound(&golden);
    for case in list(&golden["resampled"]) {
        let sound = Sound { samples: sound.samples[..of(&case["samples"])].to_vec(), rate: of(&case["from"]) };
        let resampled = sound.resampled(of(&case["to"])).unwrap();
        let what = format!("{} to {}", case["from"], case["to"]);
        same(&resampled.samples, &of::<Vec<f32>>(&case["values"]), 1e-5, &what);
    }
}

/// Compressed ones where the feature is there.
#[test]
fn files_hold_what_soundfile_reads() {
    let golden = golden("sound");
    for (name, file) in golden["files"].as_object().unwrap() {
        let decoded = audio::decode(name, &std::fs::read(folder().join(name)).unwrap());
        if !name.ends_with("wav") && cfg!(not(feature = "audio")) {
            assert!(decoded.unwrap_err().to_string().contains("feature `audio`"));
            continue;
        }
        let sound = decoded.unwrap();
        assert_eq!((sound.rate, sound.samples.len()), (of(&file["rate"]), of(&file["length"])), "{name}");
        let samples: Vec<f32> = sound.samples.iter().step_by(of(&file["stride"])).copied().collect();
        same(&samples, &of::<Vec<f32>>(&file["samples"]), of::<f32>(&file["tolerance"]) + 1e-5, name);
    }
}

/// Cut anywhere, with any byte turned over: an error or a sound, no panic. What is cut in the middle is an error, but an MP3
/// that does not say how long it is.
#[test]
fn broken_files_do_no_harm() {
    for name in ["s24.wav", "f32.wav", "extensible.wav", "sound.flac", "sound.ogg", "sound.mp3"] {
        let whole = std::fs::read(folder().join(name)).unwrap();
        let step = whole.len() / 300 + 1;
        for at in (0..whole.len()).step_by(step) {
            let cut = audio::decode(name, &whole[..at]);
            assert!(cut.is_err() || name.ends_with("mp3"), "{name} cut to {at} of {}", whole.len());
            let mut bytes = whole.clone();
            bytes[at] ^= 0xFF;
            if let Ok(sound) = audio::decode(name, &bytes) {
                assert!(sound.samples.len() <= 100_000, "{name} {at}");
            }
        }
    }
}

#[test]
fn series_become_the_matrices_of_pyts() {
    let golden = golden("series");
    for case in list(&golden["cases"]) {
        let (series, parameters): (Vec<f32>, _) = (of(&case["series"]), &case["parameters"]);
        let matrix: Result<Matrix> = match case["kind"].as_str().unwrap() {
            "gaf" => of::<Gaf>(parameters).matrix(&series),
            "markov" => of::<Markov>(parameters).matrix(&series),
            _ => of::<Recurrence>(parameters).matrix(&series),
        };
        same_matrix(&matrix.unwrap(), &case["matrix"], 1e-5, &case.to_string());
    }
}

#[test]
fn hulls_are_scipys_and_rectangles_opencvs() {
    for cloud in list(&golden("table")["clouds"]) {
        let points: Vec<[f64; 2]> = of(&cloud["points"]);
        let mut hull = convex_hull(&points);
        hull.sort_unstable();
        // Of equal points any one is the corner.
        let corners = |indices: &[usize]| {
            let mut corners: Vec<_> = indices.iter().map(|i| points[*i].map(f64::to_bits)).collect();
            corners.sort_unstable();
            corners
        };
        assert_eq!(corners(&hull), corners(&of::<Vec<usize>>(&cloud["hull"])));
        let (sin, cos) = smallest_rectangle(&points).sin_cos();
        let extent = |x: f64, y: f64| {
            let values = points.iter().map(|p| p[0] * x + p[1] * y);
            values.clone().fold(f64::MIN, f64::max) - values.fold(f64::MAX, f64::min)
        };
        let (area, wanted) = (extent(cos, sin) * extent(-sin, cos), of::<f64>(&cloud["area"]));
        assert!((area - wanted).abs() < 1e-4 * wanted, "{area} {wanted}");
    }
}

fn flat(points: &[[f64; 2]]) -> Vec<f32> {
    points.iter().flatten().map(|v| *v as f32).collect()
}

/// The features of the golden table as points.
fn features(golden: &Value) -> Vec<Vec<f64>> {
    let rows: Vec<Vec<f64>> = of(&golden["rows"]);
    (0..rows[0].len()).map(|j| rows.iter().map(|row| row[j]).collect()).collect()
}

#[test]
fn features_are_placed_as_scikit_learn_places_them() {
    let golden = golden("table");
    let points = features(&golden);
    same(&flat(&pca(&points).unwrap()), &flat(&of::<Vec<[f64; 2]>>(&golden["pca"])), 1e-5, "pca");
    let rows: Vec<Vec<f32>> = of(&golden["rows"]);
    let config = DeepInsight { width: 12, height: 9, reduction: Reduction::Pca, ..DeepInsight::default() };
    assert_eq!(config.fit(&rows).unwrap().pixels(), of::<Vec<[usize; 2]>>(&golden["pixels"]));
}

/// The pixels of an integer polygon, as the raster of a map.
fn drawn(points: &[[f64; 2]], filled: bool) -> Vec<usize> {
    let raster = Raster {
        raster_size: [32, 32],
        pixel_size: [1.0, 1.0],
        ego_center: [0.0, 0.0],
        history: 0,
        background: [0; 3],
    };
    let own = Agent { id: 0, center: [0.0, 0.0], yaw: 0.0, extent: [1.0, 1.0] };
    // In the world y points up.
    let points = points.iter().map(|[x, y]| [*x, -y]).collect();
    let image = raster.image(&[vec![own]], 0, Some(&[Shape { points, filled, color: [255; 3] }])).unwrap();
    image.pixels().chunks_exact(5).enumerate().filter(|(_, p)| p[4] == 255).map(|(i, _)| i).collect()
}

#[test]
fn polygons_and_lines_are_opencvs() {
    for polygon in list(&golden("raster")["polygons"]) {
        let points: Vec<[f64; 2]> = of(&polygon["points"]);
        assert_eq!(drawn(&points, true), of::<Vec<usize>>(&polygon["filled"]), "{points:?}");
        assert_eq!(drawn(&points, false), of::<Vec<usize>>(&polygon["line"]), "{points:?}");
    }
}

#[test]
fn traffic_is_drawn_as_l5kit_does() {
    let scene = &golden("raster")["scene"];
    let raster: Raster = of(&scene["raster"]);
    let (frames, map): (Vec<Vec<Agent>>, Vec<Shape>) = (of(&scene["frames"]), of(&scene["map"]));
    let image = raster.image(&frames, of(&scene["ego"]), Some(&map)).unwrap();
    let wanted: Vec<u8> = of(&scene["pixels"]);
    assert_eq!(image.dims(), [1, 32, 40, 7]);
    let differing = image.pixels().iter().zip(&wanted).filter(|(a, b)| a != b).count();
    assert_eq!((image.pixels().len(), differing), (wanted.len(), 0));
}

#[test]
fn volumes_are_projected_as_numpy_does() {
    let golden = golden("volume");
    let volume = Image::volume(of(&golden["dims"]), of(&golden["volume"])).unwrap();
    for case in list(&golden["projections"]) {
        let intensity = Intensity {
            axis: of(&case["axis"]),
            statistic: of(&case["statistic"]),
            thickness: of(&case["thickness"]),
            step: of(&case["step"]),
        };
        assert_eq!(intensity.image(&volume).unwrap().pixels(), of::<Vec<u8>>(&case["pixels"]), "{intensity:?}");
    }
    for case in list(&golden["slices"]) {
        let slices = Slices { axis: of(&case["axis"]), count: of(&case["count"]), at: of(&case["at"]) };
        assert_eq!(slices.image(&volume).unwrap().pixels(), of::<Vec<u8>>(&case["pixels"]), "{slices:?}");
    }
}
