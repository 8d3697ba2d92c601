//! Heads on cached features through the real program.
#![allow(clippy::unwrap_used)]

mod program;

use program::{fails, read, succeeds, with};
use serde_json::Value;
use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

const SMALL: &[&str] = &[
    "demo.images=120",
    "demo.test_images=24",
    "demo.size=32",
    "preprocess.size=24",
    "model={name='baseline', widths=[8, 16]}",
    "train.epochs=3",
    "train.save_every=2",
    "train.log_every=1",
    "eval.bootstrap=50",
    "data.folds=2",
];

/// A small run on features whose cache is in `folder`.
fn small(folder: &Path, out: &str) -> Command {
    let mut command = sconce(folder);
    command.args(["pipeline", "features", "--demo", "--out", out]);
    with(command, SMALL)
}

fn sconce(folder: &Path) -> Command {
    let mut command = program::sconce(folder);
    command.env("XDG_CACHE_HOME", folder.join("cache"));
    command
}

#[track_caller]
fn same_runs(a: &Path, b: &Path) {
    let files = ["metrics.json", "oof.csv", "predictions.csv", "scalars.jsonl", "fold0/weights.safetensors"];
    for file in files.into_iter().chain(["fold1/weights.safetensors", "fold1/last.safetensors"]) {
        assert!(
            read(&a.join(file)) == read(&b.join(file)),
            "{file} differs between {} and {}",
            a.display(),
            b.display()
        );
    }
}

/// The files of features.
fn kept(folder: &Path) -> Vec<PathBuf> {
    let files = fs::read_dir(folder.join("cache/sconce/features")).unwrap();
    files.map(|entry| entry.unwrap().path()).collect()
}

/// Whether a run had to look at pictures.
fn computed(run: &Path) -> bool {
    serde_json::from_slice::<Value>(&read(&run.join("times.json"))).unwrap().get("computing features").is_some()
}

/// Once for both folds, once for all runs, for any number of threads; and again where the file is broken.
#[test]
fn features_are_computed_once_and_a_broken_file_is_noticed() {
    let temporary = tempfile::tempdir().unwrap();
    let folder = temporary.path();
    succeeds(small(folder, "first").args(["--threads", "1"]));
    let [file] = &kept(folder)[..] else { panic!("one file for both folds, got {:?}", kept(folder)) };
    let whole = read(file);
    assert!(computed(&folder.join("first")));
    succeeds(small(folder, "second").args(["--threads", "3"]));
    assert!(!computed(&folder.join("second")));
    same_runs(&folder.join("first"), &folder.join("second"));

    let mut flipped = whole.clone();
    *flipped.last_mut().unwrap() ^= 1;
    for (out, broken) in
        [("cut", &whole[..whole.len() / 2]), ("flipped", &flipped[..]), ("foreign", &b"no features"[..])]
    {
        fs::write(file, broken).unwrap();
        let text = succeeds(&mut small(folder, out)).stderr;
        assert!(String::from_utf8_lossy(&text).contains("is broken; its features are computed anew"));
        assert!(computed(&folder.join(out)));
        assert!(read(file) == whole, "{out}");
        same_runs(&folder.join("first"), &folder.join(out));
    }
    // Other pictures, steps, weights or pools have other features; another head has not.
    for (out, set, files) in [
        ("head", "model.head=linear", 1),
        ("loss", "loss.smoothing=0.0", 1),
        ("size", "preprocess.size=20", 2),
        ("pool", "model.pool=max", 3),
        ("seed", "seed=1", 4),
    ] {
        succeeds(small(folder, out).args(["--set", set]));
        assert_eq!(kept(folder).len(), files, "{out}");
    }
}

#[test]
fn the_saved_networks_say_of_pictures_what_the_run_said_of_features() {
    let temporary = tempfile::tempdir().unwrap();
    let folder = temporary.path();
    for (out, bags) in [("alone", "train.bags=1"), ("bagged", "train.bags=4")] {
        succeeds(small(folder, out).args(["--set", bags]));
        let run = folder.join(out);
        let text = String::from_utf8(read(&run.join("predictions.csv"))).unwrap();
        let mut lines = text.lines().map(|line| line.split(',').collect::<Vec<_>>());
        let header = lines.next().unwrap();
        let want: BTreeMap<&str, Vec<f64>> = lines.map(|line| (line[0], numbers(&line[1..], &header))).collect();
        // The run's test part, asked as a person would.
        let images = fs::read_dir(run.join("demo-data")).unwrap().map(|entry| entry.unwrap().path());
        let images = images.filter(|path| path.is_dir() && path.to_string_lossy().contains("test"));
        let images: Vec<PathBuf> = images.collect();
        let mut command = sconce(folder);
        command.args(["predict", out, "--json", "--quiet"]).args(&images);
        // Planted broken pictures make it end with an error after all others were told.
        let said = String::from_utf8(command.output().unwrap().stdout).unwrap();
        let mut compared = 0;
        for line in said.lines().map(|line| serde_json::from_str::<Value>(line).unwrap()) {
            let id = line["id"].as_str().unwrap();
            let Some((_, want)) = want.iter().find(|(name, _)| name.ends_with(id) || id.ends_with(**name)) else {
                continue;
            };
            for (class, value) in header[1..].iter().zip(want) {
                let Some(ours) = line["probabilities"][*class].as_f64() else { continue };
                assert!((ours - value).abs() < 1e-5, "{id}: {class} {ours} and {value}");
            }
            compared += 1;
        }
        assert!(compared >= 12, "{compared} of {}: {said}", want.len());
        let scored = program::said(&succeeds(sconce(folder).args(["evaluate", out, "--quiet"])));
        let metrics: Value = serde_json::from_slice(&read(&run.join("metrics.json"))).unwrap();
        assert_eq!(scored["score"], metrics["score"], "{out}");
        succeeds(sconce(folder).args(["explain", out, "--quiet"]));
        succeeds(sconce(folder).args(["export", out, "--format", "safetensors"]));
    }
    let differ = |file: &str| read(&folder.join("alone").join(file)) != read(&folder.join("bagged").join(file));
    assert!(differ("oof.csv") && differ("fold0/model.json"));
}

/// The numbers of a line that stand under classes.
fn numbers(line: &[&str], header: &[&str]) -> Vec<f64> {
    line.iter().zip(&header[1..]).map(|(value, _)| value.parse().unwrap_or(f64::NAN)).collect()
}

#[test]
fn an_interrupted_run_on_features_goes_on_to_the_same_bytes() {
    let temporary = tempfile::tempdir().unwrap();
    let folder = temporary.path();
    succeeds(&mut small(folder, "whole"));
    let mut child = small(folder, "killed").stderr(std::process::Stdio::null()).spawn().unwrap();
    while !folder.join("killed/fold0/last.safetensors").exists() && child.try_wait().unwrap().is_none() {
        std::thread::sleep(std::time::Duration::from_millis(1));
    }
    child.kill().unwrap();
    child.wait().unwrap();
    // The fold was finished, its predictions were not.
    succeeds(small(folder, "killed").arg("--resume"));
    same_runs(&folder.join("whole"), &folder.join("killed"));
    fs::remove_file(folder.join("killed/metrics.json")).unwrap();
    fs::remove_file(folder.join("killed/fold1/oof.csv")).unwrap();
    succeeds(small(folder, "killed").arg("--resume"));
    same_runs(&folder.join("whole"), &folder.join("killed"));
}

#[test]
fn what_cannot_be_together_with_features_is_said_before_anything_is_read() {
    let temporary = tempfile::tempdir().unwrap();
    let folder = temporary.path();
    for (wrong, right) in [
        ("train.backbone_lr=0.1", "set train.backbone_lr = 0"),
        ("augment.transforms=['flip']", "set augment.transforms = []"),
        ("augment.batch=['mixup']", "augment.batch = []"),
        ("eval.views=flip", "set eval.views = \"none\""),
        ("train.features=false", "set train.features = true"),
        ("train.bags=0", "train.bags must be in 1..=1000"),
        ("model.head=bag", "take another head, or train.bags = 1"),
        ("model={name='frozen_dinov2', width=64, depth=1, heads=2}", "whole patches of 14 pixels"),
        ("model={name='frozen_vit_base', hedas=2}", "hedas"),
    ] {
        let text = fails(small(folder, "run").args(["--set", wrong]), 2);
        assert!(text.contains(right), "{wrong}: {text}");
    }
    assert_eq!(fs::read_dir(folder).unwrap().count(), 0, "something was written");
}

/// A backbone that never learns needs no `backbone_lr`; without a cache it is only slower.
#[test]
fn a_network_that_never_learns_trains_its_head_with_and_without_features() {
    let temporary = tempfile::tempdir().unwrap();
    let folder = temporary.path();
    let model = ["--set", "model={name='frozen_dinov2', width=32, depth=1, heads=2}", "--set", "preprocess.size=28"];
    let alone = ["--set", "train.bags=1", "--set", "train.backbone_lr=1.0"];
    succeeds(small(folder, "features").args(model).args(alone).args(["--threads", "1"]));
    succeeds(small(folder, "pictures").args(model).args(alone).args(["--set", "train.features=false"]));
    let rows = |run: &str| String::from_utf8(read(&folder.join(run).join("oof.csv"))).unwrap().lines().count();
    assert_eq!(rows("features"), rows("pictures"));
    let mut threads = small(folder, "threads");
    succeeds(threads.args(model).args(alone).args(["--threads", "3"]).env("XDG_CACHE_HOME", folder.join("other")));
    assert!(computed(&folder.join("threads")));
    same_runs(&folder.join("features"), &folder.join("threads"));
}
