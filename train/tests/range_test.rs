//! The range test against fastai's rules (`xtask/fixtures/range_test.py`), and within a run.
#![allow(clippy::unwrap_used)]

use sconce_train::schedule::Schedule;
use sconce_train::{Curve, Progress, RangeTest};
use serde_json::Value;

fn numbers(v: &Value) -> Vec<f64> {
    v.as_array().unwrap().iter().map(|v| v.as_f64().unwrap_or(f64::NAN)).collect()
}

fn near(ours: f64, want: f64) -> bool {
    (ours / want - 1.0).abs() < 1e-9 || ours.is_nan() && want.is_nan()
}

#[test]
fn suggestions_follow_the_rules() {
    let golden: Value = serde_json::from_str(include_str!("golden/range_test.json")).unwrap();
    let rates = numbers(&golden["rates"]);
    let test = RangeTest::default();
    assert_eq!(
        (test.from, test.to, test.steps as u64),
        (golden["from"].as_f64().unwrap(), golden["to"].as_f64().unwrap(), golden["steps"].as_u64().unwrap())
    );
    for (step, rate) in rates.iter().enumerate() {
        let at = Progress { epoch: 0, step, steps_per_epoch: 100, epochs: 1 };
        assert!(near(test.factor(at, &[]), *rate), "step {step}");
    }
    for case in golden["cases"].as_array().unwrap() {
        let name = case["name"].as_str().unwrap();
        let mut curve = Curve::default();
        let mut points = rates.iter().zip(numbers(&case["losses"]));
        let ended = points.any(|(lr, loss)| curve.push(*lr, loss));
        let smoothed = numbers(&case["smoothed"]);
        assert_eq!((curve.points.len(), ended), (smoothed.len(), smoothed.len() < 100), "{name}");
        for ((lr, ours), (rate, want)) in curve.points.iter().zip(rates.iter().zip(smoothed)) {
            assert!(lr == rate && near(*ours, want), "{name}: {ours} {want}");
        }
        let suggested = curve.suggest().unwrap();
        let ours = [("valley", suggested.valley), ("steep", suggested.steep), ("minimum", suggested.minimum)];
        for (key, ours) in ours {
            assert!(near(ours, case[key].as_f64().unwrap()), "{name}: {key} {ours}, not {}", case[key]);
        }
    }
}

#[test]
fn short_curves_suggest_nothing() {
    let mut curve = Curve::default();
    for i in 0..17 {
        assert_eq!(curve.suggest(), None);
        assert!(!curve.push(f64::from(i + 1), 1.0));
    }
    assert_eq!(curve.suggest(), None);
    curve.push(18.0, 1.0);
    assert!(curve.suggest().is_some());
    // All is equal: the first of the points that count.
    assert_eq!(curve.suggest().map(|s| s.valley), Some(11.0));
    assert!(curve.push(19.0, f64::INFINITY));
}

#[test]
fn impossible_ranges_are_refused() {
    for (test, key) in [
        (RangeTest { from: 0.0, ..RangeTest::default() }, "from"),
        (RangeTest { to: 1e-8, ..RangeTest::default() }, "to must be more than from"),
        (RangeTest { steps: 1, ..RangeTest::default() }, "steps"),
    ] {
        assert!(test.validate().unwrap_err().to_string().contains(key), "{key}");
    }
}
