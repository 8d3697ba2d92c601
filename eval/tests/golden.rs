//! Scores against scikit-learn, event files against TensorBoard (`xtask/fixtures/eval.py`).
#![allow(clippy::unwrap_used)]

use sconce_eval::track::tensorboard;
use sconce_eval::{Predictions, Scalar, Truth, metrics};
use serde_json::Value;

fn rows(v: &Value) -> Vec<Vec<f32>> {
    serde_json::from_value(v.clone()).unwrap()
}

fn predictions(case: &Value) -> Predictions {
    let scores = rows(&case["scores"]);
    Predictions {
        ids: (0..scores.len()).map(|i| format!("s{i}")).collect(),
        classes: (0..scores[0].len()).map(|k| format!("c{k}")).collect(),
        scores: scores.concat(),
        truth: Some(match case["truth"][0].is_array() {
            true => Truth::Dense(rows(&case["truth"]).concat()),
            false => Truth::Class(serde_json::from_value(case["truth"].clone()).unwrap()),
        }),
    }
}

#[test]
fn metrics_follow_scikit_learn() {
    let golden: Value = serde_json::from_str(include_str!("golden/metrics.json")).unwrap();
    for case in golden["cases"].as_array().unwrap() {
        let predictions = predictions(case);
        for metric in case["metrics"].as_array().unwrap() {
            let (name, params) = (metric["name"].as_str().unwrap(), metric["params"].clone());
            let about = format!("{}: {name} {params}", case["about"]);
            let ours = metrics::build(name, params).unwrap().score(&predictions).unwrap();
            let theirs = metric["value"].as_f64().unwrap();
            assert!((ours - theirs).abs() < 1e-12 * theirs.abs().max(1.0), "{about}: {ours}, scikit-learn {theirs}");
        }
    }
}

#[test]
fn event_files_are_those_of_tensorboard() {
    let golden: Value = serde_json::from_str(include_str!("golden/tensorboard.json")).unwrap();
    let scalars: Vec<Scalar> = serde_json::from_value(golden["scalars"].clone()).unwrap();
    let ours = tensorboard::encode(&scalars, golden["wall_time"].as_f64().unwrap());
    let ours: String = ours.iter().map(|byte| format!("{byte:02x}")).collect();
    assert_eq!(ours, golden["bytes"].as_str().unwrap());
}
