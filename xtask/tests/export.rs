//! `export`: what it writes, and what it refuses.
#![allow(clippy::unwrap_used)]

mod program;

use program::{fails, read, said, sconce, succeeds, with};
use safetensors::SafeTensors;
use serde_json::{Value, json};
use std::fs;
use std::path::Path;

const SMALL: &[&str] = &[
    "demo.images=120",
    "demo.test_images=24",
    "demo.size=32",
    "preprocess.size=24",
    "augment.transforms=['flip']",
    "model={name='resnet20', layers=[1, 1], width=4}",
    "train.epochs=1",
    "eval.bootstrap=50",
    "data.folds=2",
];

fn export(folder: &Path, arguments: &[&str]) -> std::process::Command {
    let mut command = sconce(folder);
    command.args(["export", "run", "--format"]).args(arguments);
    command
}

#[test]
fn a_run_becomes_a_file_a_fold_in_either_format() {
    let temporary = tempfile::tempdir().unwrap();
    let folder = temporary.path();
    let mut train = sconce(folder);
    train.args(["train", "demo", "--demo", "--quiet", "--out", "run"]);
    succeeds(&mut with(train, SMALL));

    let files = said(&succeeds(&mut export(folder, &["safetensors", "--json"])));
    assert_eq!(
        files,
        json!({"model": "resnet20", "files": ["run/export/fold0.safetensors", "run/export/fold1.safetensors"]})
    );
    let bytes = read(&folder.join("run/export/fold1.safetensors"));
    let (_, header) = SafeTensors::read_metadata(&bytes).unwrap();
    let about: Value = serde_json::from_str(&header.metadata().as_ref().unwrap()["sconce"]).unwrap();
    assert_eq!(
        (&about["model"], &about["color"], &about["size"]),
        (&json!("resnet20"), &json!("rgb"), &json!([24, 24]))
    );
    assert_eq!(about["mean"].as_array().unwrap().len(), 3);
    // The reference's pool and head, of another size than the preset.
    assert_eq!(about["params"], json!({"layers": [1, 1], "width": 4}));
    assert!(["pool", "head", "views", "join"].iter().all(|key| about.get(key).is_none()), "{about}");
    let classes = about["classes"].as_array().unwrap().len();
    let exported = SafeTensors::deserialize(&bytes).unwrap();
    let trained = read(&folder.join("run/fold1/weights.safetensors"));
    let trained = SafeTensors::deserialize(&trained).unwrap();
    assert_eq!(exported.len(), trained.len());
    assert_eq!(exported.tensor("fc.weight").unwrap().shape()[0], classes);
    assert_eq!(exported.tensor("fc.weight").unwrap().shape(), trained.tensor("head.weight").unwrap().shape());
    for (ours, theirs) in [("backbone.layer1.0.bn2.running_var", "layer1.0.bn2.running_var"), ("head.bias", "fc.bias")]
    {
        assert_eq!(trained.tensor(ours).unwrap().data(), exported.tensor(theirs).unwrap().data());
    }

    let output = succeeds(&mut export(folder, &["onnx", "--out", "elsewhere"]));
    assert_eq!(String::from_utf8(output.stdout).unwrap(), "elsewhere/fold0.onnx\nelsewhere/fold1.onnx\n");
    let file = read(&folder.join("elsewhere/fold0.onnx"));
    for word in ["images", "logits", "layer2.0.conv1.bias", "classes", &about["classes"].to_string()] {
        assert!(file.windows(word.len()).any(|w| w == word.as_bytes()), "{word}");
    }
    assert!(file.len() < bytes.len() + 20_000);

    fs::remove_file(folder.join("run/metrics.json")).unwrap();
    assert!(fails(&mut export(folder, &["onnx"]), 1).contains("holds no finished run; finish it with --resume"));
    assert!(!folder.join("run/export/fold0.onnx").exists());
}

#[test]
fn wrong_words_are_named() {
    let temporary = tempfile::tempdir().unwrap();
    let folder = temporary.path();
    assert!(fails(&mut export(folder, &["onnx"]), 1).contains("there is no run at 'run'"));
    assert!(fails(&mut export(folder, &["onxn"]), 2).contains("onnx"));
    assert!(fails(sconce(folder).args(["export", "run"]), 2).contains("--format"));
}
