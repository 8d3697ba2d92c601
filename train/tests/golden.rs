//! Optimizers and schedules against PyTorch (`xtask/fixtures/train.py`).
#![allow(clippy::unwrap_used)]

use candle_core::{DType, Device, Tensor};
use candle_nn::{Init, VarMap};
use sconce_train::{Gradients, Params, Progress, optim, schedule, variables};
use serde_json::Value;

fn cases(text: &str) -> Vec<Value> {
    serde_json::from_str::<Value>(text).unwrap()["cases"].as_array().unwrap().clone()
}

fn numbers(v: &Value) -> Vec<f64> {
    v.as_array().unwrap().iter().map(|v| v.as_f64().unwrap()).collect()
}

#[test]
fn optimizers_follow_pytorch() {
    for case in cases(include_str!("golden/optimizers.json")) {
        let vars = VarMap::new();
        vars.get(2, "p", Init::Const(0.0), DType::F64, &Device::Cpu).unwrap();
        let p = variables(&vars)["p"].clone();
        p.set(&Tensor::new(&[1.0, -2.0], &Device::Cpu).unwrap()).unwrap();
        let params = Params::new(&vars, |_| Some(1.0));
        let mut optimizer = optim::build(case["name"].as_str().unwrap(), case["params"].clone()).unwrap();
        for (g, want) in [0.5, 0.2, -0.1, 0.4].into_iter().zip(case["trace"].as_array().unwrap()) {
            let gradient = Tensor::new(&[g, 2.0 * g], &Device::Cpu).unwrap();
            optimizer.step(&params, &Gradients(vec![gradient]), 0.1).unwrap();
            // A round trip of the state must not change anything.
            let state = optimizer.state();
            optimizer = optim::build(case["name"].as_str().unwrap(), case["params"].clone()).unwrap();
            optimizer.restore(state).unwrap();
            for (ours, want) in p.to_vec1::<f64>().unwrap().iter().zip(numbers(want)) {
                assert!((ours - want).abs() < 1e-9, "{case}: {ours} {want}");
            }
        }
    }
}

#[test]
fn schedules_follow_pytorch() {
    for case in cases(include_str!("golden/schedules.json")) {
        let schedule = schedule::build(case["name"].as_str().unwrap(), case["params"].clone()).unwrap();
        let (steps_per_epoch, epochs) =
            (case["steps_per_epoch"].as_u64().unwrap() as usize, case["epochs"].as_u64().unwrap() as usize);
        for (step, want) in numbers(&case["factors"]).into_iter().enumerate() {
            let at = Progress { epoch: step / steps_per_epoch, step, steps_per_epoch, epochs };
            let ours = schedule.factor(at);
            assert!((ours - want).abs() < 1e-9, "{}: step {step}: {ours}, PyTorch {want}", case["name"]);
        }
    }
}
