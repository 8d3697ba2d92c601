//! Values and gradients against PyTorch (`xtask/fixtures/losses.py`).
#![allow(clippy::unwrap_used)]

use candle_core::{Device, Tensor, Var};
use sconce_losses::build;
use serde_json::Value;

fn numbers(v: &Value) -> Vec<f64> {
    v.as_array()
        .unwrap()
        .iter()
        .flat_map(|v| if v.is_array() { numbers(v) } else { vec![v.as_f64().unwrap()] })
        .collect()
}

fn target(v: &Value) -> Tensor {
    let values = numbers(v);
    match v[0].is_array() {
        true => {
            Tensor::from_slice(&values, (v.as_array().unwrap().len(), v[0].as_array().unwrap().len()), &Device::Cpu)
        }
        false => Tensor::from_iter(values.into_iter().map(|id| id as u32), &Device::Cpu),
    }
    .unwrap()
}

fn close(ours: &[f64], theirs: &[f64], what: &str) {
    assert_eq!(ours.len(), theirs.len(), "{what}");
    for (ours, theirs) in ours.iter().zip(theirs) {
        assert!((ours - theirs).abs() <= 1e-10 * theirs.abs().max(1.0), "{what}: {ours}, PyTorch {theirs}");
    }
}

#[test]
fn losses_and_gradients_follow_pytorch() {
    let golden: Value = serde_json::from_str(include_str!("golden/losses.json")).unwrap();
    for case in golden["cases"].as_array().unwrap() {
        let loss = build(case["name"].as_str().unwrap(), case["params"].clone()).unwrap();
        let rows = case["logits"].as_array().unwrap();
        let z =
            Var::from_slice(&numbers(&case["logits"]), (rows.len(), rows[0].as_array().unwrap().len()), &Device::Cpu);
        let (z, target) = (z.unwrap(), target(&case["target"]));
        let about = format!("{} {} {}", case["name"], case["params"], case["target"]);
        let losses = loss.per_sample(&z, &target).unwrap().to_vec1::<f64>().unwrap();
        close(&losses, &numbers(&case["per_sample"]), &about);
        let mean = loss.forward(&z, &target).unwrap();
        close(&[mean.to_scalar().unwrap()], &[case["mean"].as_f64().unwrap()], &about);
        let gradient = mean.backward().unwrap().get(&z).unwrap().flatten_all().unwrap();
        close(&gradient.to_vec1().unwrap(), &numbers(&case["gradient"]), &about);
    }
}
