//! Scores and curves against scikit-learn, suspected label errors against cleanlab, event files against TensorBoard
//! (`xtask/fixtures/eval.py`).
#![allow(clippy::unwrap_used)]

use sconce_eval::track::tensorboard;
use sconce_eval::{ConfusionMatrix, Predictions, Scalar, Truth, analysis, curves, metrics};
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

fn same_points(ours: &[[f64; 2]], theirs: &Value, about: &str) {
    let theirs: Vec<[f64; 2]> = serde_json::from_value(theirs.clone()).unwrap();
    assert_eq!(ours.len(), theirs.len(), "{about}: {ours:?} {theirs:?}");
    for (a, b) in ours.iter().flatten().zip(theirs.iter().flatten()) {
        assert!((a - b).abs() < 1e-12, "{about}: {ours:?} {theirs:?}");
    }
}

#[test]
fn curves_follow_scikit_learn() {
    let golden: Value = serde_json::from_str(include_str!("golden/curves.json")).unwrap();
    for case in golden["cases"].as_array().unwrap() {
        let predictions = predictions(case);
        for curve in case["curves"].as_array().unwrap() {
            let class = curve["class"].as_u64().unwrap() as usize;
            let about = format!("{}, class {class}", case["about"]);
            same_points(&curves::roc(&predictions, class).unwrap(), &curve["roc"], &about);
            let ours = curves::precision_recall(&predictions, class).unwrap();
            same_points(&ours, &curve["precision_recall"], &about);
            let area = curves::area(&curves::roc(&predictions, class).unwrap());
            assert!((area - curve["auc"].as_f64().unwrap()).abs() < 1e-12, "{about}: {area}");
        }
        // Several classes per sample have no confusion matrix.
        let Some(theirs) = case.get("per_class") else { continue };
        let ours = ConfusionMatrix::new(&predictions).unwrap().per_class();
        let theirs: Vec<[f64; 4]> = serde_json::from_value(theirs.clone()).unwrap();
        assert_eq!(ours.len(), theirs.len());
        for (class, (ours, theirs)) in ours.into_iter().zip(theirs).enumerate() {
            let ours = [ours.precision, ours.recall, ours.f1, ours.samples as f64];
            // scikit-learn says 0 where nothing is divided by.
            let same = |(a, b): (&f64, &f64)| (a - b).abs() < 1e-12 || a.is_nan() && *b == 0.0;
            assert!(ours.iter().zip(&theirs).all(same), "class {class}: {ours:?} {theirs:?}");
        }
    }
}

#[test]
fn suspected_label_errors_are_those_of_cleanlab() {
    let golden: Value = serde_json::from_str(include_str!("golden/suspects.json")).unwrap();
    for case in golden["cases"].as_array().unwrap() {
        let ours = analysis::suspects(&predictions(case)).unwrap();
        let samples: Vec<u64> = serde_json::from_value(case["suspects"].clone()).unwrap();
        let confidences: Vec<f64> = serde_json::from_value(case["confidences"].clone()).unwrap();
        assert_eq!(ours.iter().map(|s| s.sample as u64).collect::<Vec<_>>(), samples, "{}", case["about"]);
        for (suspect, confidence) in ours.iter().zip(confidences) {
            assert!((suspect.score - confidence).abs() < 1e-12, "{}: {suspect:?} {confidence}", case["about"]);
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
