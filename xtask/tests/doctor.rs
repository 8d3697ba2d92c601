//! The doctor names what was made slow on purpose. What is slow is many times slower than the rest, so that no machine
//! sees it otherwise.
#![allow(clippy::unwrap_used)]

mod program;

use program::{fails, said, sconce, succeeds, with};
use rand::{Rng, SeedableRng};
use serde_json::Value;
use std::fs;
use std::path::Path;

const TINY: &[&str] = &[
    "model.name=baseline",
    "preprocess.size=16",
    "train.batch_size=8",
    "train.epochs=1",
    "data.folds=2",
    "eval.views=none",
];

/// Pictures of blocks of random colors in two class folders.
fn pictures(folder: &Path, count: usize, side: usize) {
    let mut rng = rand_chacha::ChaCha8Rng::seed_from_u64(side as u64);
    for i in 0..count {
        let blocks: Vec<[u8; 3]> = (0..64).map(|_| rng.random()).collect();
        let at = |x: usize, y: usize| blocks[y * 8 / side * 8 + x * 8 / side];
        let mut pixels: Vec<u8> = (0..side * side).flat_map(|i| at(i % side, i / side)).collect();
        pixels.iter_mut().for_each(|value| *value = value.wrapping_add(rng.random_range(0..32)));
        let class = folder.join(["left", "right"][i % 2]);
        fs::create_dir_all(&class).unwrap();
        let encoder = jpeg_encoder::Encoder::new_file(class.join(format!("{i}.jpg")), 95).unwrap();
        encoder.encode(&pixels, side as u16, side as u16, jpeg_encoder::ColorType::Rgb).unwrap();
    }
}

/// What the doctor says of pictures in `folder/pictures`.
fn diagnosis(folder: &Path, sets: &[&str]) -> Value {
    let mut doctor = sconce(folder);
    doctor.args(["doctor", "--data", "pictures", "--quiet", "--json", "--device", "cpu"]);
    let said = said(&succeeds(&mut with(with(doctor, TINY), sets)));
    assert_eq!(fs::read_dir(folder).unwrap().count(), 1, "something was written");
    let number = |value: &Value| value.as_f64().unwrap();
    let stages = said["stages"].as_array().unwrap();
    assert!((stages.iter().map(|stage| number(&stage["share"])).sum::<f64>() - 1.0).abs() < 1e-6, "{said}");
    assert!(stages.iter().all(|stage| number(&stage["ms_per_batch"]) >= 0.0));
    for key in ["loader_images_per_s", "model_images_per_s", "epoch_seconds", "run_seconds"] {
        assert!(number(&said[key]) > 0.0, "{key}: {said}");
    }
    let worst = stages.iter().filter(|stage| stage["part"] == said["bottleneck"]);
    let worst = worst.max_by(|a, b| number(&a["share"]).total_cmp(&number(&b["share"]))).unwrap();
    assert_eq!(worst["name"], said["stage"]);
    said
}

fn advice(said: &Value) -> String {
    said["advice"].as_array().unwrap().iter().map(|line| format!("{}\n", line.as_str().unwrap())).collect()
}

#[test]
fn large_pictures_make_decoding_the_bottleneck() {
    let temporary = tempfile::tempdir().unwrap();
    pictures(&temporary.path().join("pictures"), 24, 1600);
    let said = diagnosis(temporary.path(), &["augment.transforms=['flip']", "train.cache_mb=10", "train.epochs=3"]);
    assert_eq!((said["bottleneck"].as_str(), said["stage"].as_str()), (Some("loader"), Some("decode")), "{said:#}");
    let advice = advice(&said);
    assert!(advice.contains("--set train.cache_mb=") && advice.contains("smaller copies on disk"), "{advice}");
    assert_eq!((&said["recipe"]["pictures"], &said["recipe"]["width"]), (&24.into(), &1600.into()));
    assert_eq!(said["recipe"]["decoded_mb"], 176);
}

#[test]
fn a_heavy_transform_is_named() {
    let temporary = tempfile::tempdir().unwrap();
    pictures(&temporary.path().join("pictures"), 24, 64);
    let turns = vec!["{name='rotate',degrees=30}"; 500].join(",");
    let heavy = format!("augment.transforms=['flip',{{name='maybe',p=1.0,of=[{turns}]}}]");
    let said = diagnosis(temporary.path(), &[&heavy]);
    assert_eq!((said["bottleneck"].as_str(), said["stage"].as_str()), (Some("loader"), Some("maybe")), "{said:#}");
    assert!(advice(&said).contains("'maybe' takes"), "{said:#}");
}

#[test]
fn a_wide_model_is_the_bottleneck_of_small_pictures() {
    let temporary = tempfile::tempdir().unwrap();
    pictures(&temporary.path().join("pictures"), 24, 32);
    // Batches of 4, so that none is left out and as many are learned from as judge.
    let wide =
        ["model.name=resnet20", "model.width=64", "model.stem=cifar", "preprocess.size=32", "train.batch_size=4"];
    let said = diagnosis(temporary.path(), &wide);
    assert_eq!(said["bottleneck"], "model", "{said:#}");
    assert!(["forward", "backward"].contains(&said["stage"].as_str().unwrap()), "{said:#}");
    let advice = advice(&said);
    assert!(advice.contains("--set preprocess.size=24") && advice.contains("--set model.width=32"), "{advice}");
}

#[test]
fn a_person_reads_lines_and_mistakes_are_found_before_anything_is_read() {
    let temporary = tempfile::tempdir().unwrap();
    let folder = temporary.path();
    let small = ["demo.images=120", "demo.test_images=5", "demo.size=24", "preprocess.size=24", "data.folds=2"];
    let mut doctor = sconce(folder);
    doctor.args(["doctor", "--quiet", "--threads", "1"]);
    let output = succeeds(&mut with(doctor, &small));
    let text = String::from_utf8(output.stdout).unwrap();
    for expected in ["machine\n", "recipe 'demo'", "  loader   decode", "  verdict  the ", "  advice   "] {
        assert!(text.contains(expected), "{expected}: {text}");
    }
    assert!(fails(sconce(folder).args(["doctor", "--set", "train.epocs=3"]), 2).contains("did you mean 'epochs'?"));
    assert_eq!(fs::read_dir(folder).unwrap().count(), 0, "something was written");
}
