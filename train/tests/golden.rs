//! Optimizers, schedules and averages against PyTorch and timm (`xtask/fixtures/{train,trainer}.py`).
#![allow(clippy::unwrap_used)]

use candle_core::{DType, Device, Tensor, Var};
use candle_nn::VarMap;
use sconce_train::checkpoint::Record;
use sconce_train::optim::{Optimizer, Pace};
use sconce_train::schedule::Schedule;
use sconce_train::{Ema, Gradients, Params, Progress, Rise, Scores, Swa, optim, schedule, variables};
use serde_json::Value;
use std::collections::BTreeMap;

fn cases(text: &str) -> Vec<Value> {
    serde_json::from_str::<Value>(text).unwrap()["cases"].as_array().unwrap().clone()
}

fn numbers(v: &Value) -> Vec<f64> {
    v.as_array().unwrap().iter().map(|v| v.as_f64().unwrap()).collect()
}

/// The network of the script: filters, biases, a matrix.
struct Net {
    params: Params,
    all: BTreeMap<String, Var>,
    dtype: DType,
}

const STEPS: usize = 50;

impl Net {
    fn new(dtype: DType) -> Self {
        let vars = VarMap::new();
        let shapes: [(&str, &[usize]); 4] =
            [("a.bias", &[6]), ("a.weight", &[6, 2, 2, 1]), ("b.bias", &[3]), ("b.weight", &[3, 6])];
        for (k, (name, shape)) in shapes.iter().enumerate() {
            let var = Var::from_tensor(&Self::sines(shape, k as f64, 0.6, dtype)).unwrap();
            vars.data().lock().unwrap().insert((*name).to_string(), var);
        }
        let params = Params::new(&vars, |_| Some(1.0)).with_decay(|name, _| name.ends_with("weight"));
        let all = variables(&vars);
        Self { params, all, dtype }
    }

    fn sines(shape: &[usize], phase: f64, scale: f64, dtype: DType) -> Tensor {
        let values: Vec<f64> = (0..shape.iter().product()).map(|i| scale * (1.7 * i as f64 + phase).sin()).collect();
        Tensor::from_vec(values, shape, &Device::Cpu).unwrap().to_dtype(dtype).unwrap()
    }

    fn gradients(&self, step: usize) -> Gradients {
        let x = Self::sines(&[8, 4], 0.3 * step as f64, 1.0, self.dtype);
        let y = Self::sines(&[8, 3], 0.5 * step as f64 + 1.0, 0.8, self.dtype);
        let w = self.all["a.weight"].reshape((6, 4)).unwrap().t().unwrap();
        let hidden = x.matmul(&w).unwrap().broadcast_add(&self.all["a.bias"]).unwrap().tanh().unwrap();
        let out = hidden.matmul(&self.all["b.weight"].t().unwrap()).unwrap();
        let out = out.broadcast_add(&self.all["b.bias"]).unwrap();
        let loss = (out - y).unwrap().sqr().unwrap().mean_all().unwrap();
        Gradients::take(&loss.backward().unwrap(), &self.params).unwrap()
    }

    fn step(&self, optimizer: &mut dyn Optimizer, step: usize, lr: f64) {
        let mut gradients = self.gradients(step);
        if optimizer.climbs() {
            optimizer.climb(&self.params, &gradients).unwrap();
            gradients = self.gradients(step);
        }
        optimizer.step(&self.params, &gradients, Pace::new(lr)).unwrap();
    }

    fn flat(&self) -> Vec<f64> {
        let flat = |v: &Var| {
            v.as_detached_tensor().flatten_all().unwrap().to_dtype(DType::F64).unwrap().to_vec1::<f64>().unwrap()
        };
        self.all.values().flat_map(flat).collect()
    }
}

/// ‖a − b‖ / ‖b‖.
fn distance(a: &[f64], b: &[f64]) -> f64 {
    assert_eq!(a.len(), b.len());
    let norm = |v: &mut dyn Iterator<Item = f64>| v.map(|x| x * x).sum::<f64>().sqrt();
    norm(&mut a.iter().zip(b).map(|(a, b)| a - b)) / norm(&mut b.iter().copied())
}

#[test]
fn optimizers_follow_their_references_for_fifty_steps() {
    let mut worst: BTreeMap<(String, &str), f64> = BTreeMap::new();
    for (dtype, kind, limit) in [(DType::F64, "F64", 2e-9), (DType::F32, "F32", 1e-5)] {
        for case in cases(include_str!("golden/optimizers.json")) {
            let (name, params) = (case["name"].as_str().unwrap(), &case["params"]);
            let net = Net::new(dtype);
            let mut optimizer = optim::build(name, params.clone()).unwrap();
            for step in 0..STEPS {
                net.step(&mut *optimizer, step, case["lr"].as_f64().unwrap());
                let at = [7, STEPS].iter().position(|s| *s == step + 1);
                if let Some(at) = at {
                    let far = distance(&net.flat(), &numbers(&case["weights"][at]));
                    let entry = worst.entry((name.to_string(), kind)).or_default();
                    *entry = entry.max(far);
                    assert!(far < limit, "{name} {params} {kind} step {}: {far:e}", step + 1);
                }
            }
        }
    }
    for ((name, kind), far) in worst {
        println!("{name} {kind} {far:.1e}");
    }
}

#[test]
fn a_saved_run_equals_an_unbroken_one() {
    for case in cases(include_str!("golden/optimizers.json")) {
        let (name, params) = (case["name"].as_str().unwrap(), &case["params"]);
        let (whole, broken) = (Net::new(DType::F32), Net::new(DType::F32));
        let mut one = optim::build(name, params.clone()).unwrap();
        let mut other = optim::build(name, params.clone()).unwrap();
        for step in 0..STEPS {
            whole.step(&mut *one, step, 0.02);
            broken.step(&mut *other, step, 0.02);
            if step % 10 == 4 {
                let state = other.state().unwrap();
                // What is saved is a copy: the old one's later steps must not reach it.
                let elsewhere = Net::new(DType::F32);
                elsewhere.step(&mut *other, 99, 0.02);
                other = optim::build(name, params.clone()).unwrap();
                other.restore(state).unwrap();
            }
        }
        assert_eq!(whole.flat(), broken.flat(), "{name} {params}");
    }
}

#[test]
fn schedules_follow_their_references() {
    for case in cases(include_str!("golden/schedules.json")) {
        let schedule = schedule::build(case["name"].as_str().unwrap(), case["params"].clone()).unwrap();
        let wants = numbers(&case["factors"]);
        if case["values"].is_array() {
            let mut history = vec![];
            for (epoch, (value, want)) in numbers(&case["values"]).into_iter().zip(wants).enumerate() {
                history.push(Record { epoch, loss: value, scores: Some(Scores::of("score", value)) });
                let at = Progress { epoch: epoch + 1, step: epoch + 1, steps_per_epoch: 1, epochs: 50 };
                let ours = schedule.factor(at, &history);
                assert!((ours - want).abs() < 1e-12, "{case}: epoch {epoch}: {ours}, PyTorch {want}");
            }
            continue;
        }
        let (steps_per_epoch, epochs) =
            (case["steps_per_epoch"].as_u64().unwrap() as usize, case["epochs"].as_u64().unwrap() as usize);
        for (step, (want, momentum)) in wants.into_iter().zip(numbers(&case["momenta"])).enumerate() {
            let at = Progress { epoch: step / steps_per_epoch, step, steps_per_epoch, epochs };
            for (ours, want) in [(schedule.factor(at, &[]), want), (schedule.momentum(at, &[]), momentum)] {
                assert!(
                    (ours - want).abs() < 1e-12,
                    "{} {}: step {step}: {ours}, not {want}",
                    case["name"],
                    case["params"]
                );
            }
        }
    }
}

#[test]
fn warm_ups_follow_their_references() {
    let golden: Value = serde_json::from_str(include_str!("golden/trainer.json")).unwrap();
    for case in golden["warmups"].as_array().unwrap() {
        let then = schedule::build(case["then"].as_str().unwrap(), serde_json::json!({})).unwrap();
        let (from, epochs) = (case["from"].as_f64().unwrap(), case["epochs"].as_f64().unwrap());
        let warmup = schedule::Warmup { from: Some(from), epochs, then };
        warmup.validate().unwrap();
        for (step, want) in numbers(&case["factors"]).into_iter().enumerate() {
            let at = Progress { epoch: step / 4, step, steps_per_epoch: 4, epochs: 5 };
            let ours = warmup.factor(at, &[]);
            assert!((ours - want).abs() < 1e-12, "{case}: step {step}: {ours}");
        }
    }
    let then = || schedule::build("constant", serde_json::json!({})).unwrap();
    let none = schedule::Warmup { from: Some(0.5), epochs: 0.0, then: then() };
    assert_eq!(none.factor(Progress { epoch: 0, step: 0, steps_per_epoch: 4, epochs: 5 }, &[]), 1.0);
    let wrong = schedule::Warmup { from: Some(1.5), epochs: 1.0, then: then() };
    assert!(wrong.validate().unwrap_err().to_string().contains("from"));
}

#[test]
fn averages_follow_their_references() {
    for case in cases(include_str!("golden/averages.json")) {
        let vars = VarMap::new();
        let weight = |v: f64| Tensor::new(&[v], &Device::Cpu).unwrap();
        let var = Var::from_tensor(&weight(0.5f64.sin())).unwrap();
        vars.data().lock().unwrap().insert("w".into(), var.clone());
        let rise: Rise = serde_json::from_value(case["params"]["rise"].clone()).unwrap_or_default();
        let mut ema = Ema::new(&vars, case["params"]["decay"].as_f64().unwrap_or(0.5), rise).unwrap();
        let mut swa = Swa::new(&vars).unwrap();
        for (n, want) in (1..).zip(numbers(&case["values"])) {
            var.set(&weight((0.3 * f64::from(n) + 0.5).sin() + 0.05 * f64::from(n))).unwrap();
            let ((shadow, _), restore) = match case["name"].as_str().unwrap() {
                "swa" => {
                    swa.update(&vars).unwrap();
                    (swa.state().unwrap(), false)
                }
                _ => {
                    ema.update(&vars).unwrap();
                    (ema.state().unwrap(), true)
                }
            };
            let ours = shadow["w"].to_vec1::<f64>().unwrap()[0];
            assert!((ours - want).abs() < 1e-12, "{case} update {n}: {ours} {want}");
            // A round trip changes nothing.
            if restore {
                ema.restore(shadow, n as usize).unwrap();
            } else {
                swa.restore(shadow, n as usize).unwrap();
            }
        }
    }
}
