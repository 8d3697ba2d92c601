//! Laws that every optimizer and schedule of the tables keeps.
#![allow(clippy::unwrap_used)]

use candle_core::{DType, Device};
use candle_nn::{Init, VarMap};
use sconce_train::schedule::{SCHEDULES, Schedule, Warmup};
use sconce_train::{Gradients, Params, Progress, optim, optim::OPTIMIZERS, schedule, variables};
use serde_json::json;

#[test]
fn every_optimizer_minimizes_a_quadratic_and_respects_scales() {
    for entry in OPTIMIZERS {
        assert!(entry.doc.ends_with('.'), "{}", entry.name);
        let vars = VarMap::new();
        for name in ["a", "b", "frozen", "bn.running_mean"] {
            vars.get(3, name, Init::Const(2.0), DType::F64, &Device::Cpu).unwrap();
        }
        let scale = |name: &str| if name == "frozen" { None } else { Some(if name == "b" { 0.0 } else { 1.0 }) };
        let params = Params::new(&vars, scale).with_decay(|_, _| false);
        assert_eq!(params.0.iter().map(|p| p.name.as_str()).collect::<Vec<_>>(), ["a", "b"]);
        let mut optimizer = optim::build(entry.name, json!({})).unwrap();
        for _ in 0..400 {
            let gradients =
                params.0.iter().map(|p| p.var.as_detached_tensor() * 2.0).collect::<Result<_, _>>().unwrap();
            optimizer.step(&params, &Gradients(gradients), 0.02).unwrap();
        }
        let read = |name: &str| variables(&vars)[name].to_vec1::<f64>().unwrap()[0];
        assert!(read("a").abs() < 0.05, "{}: {}", entry.name, read("a"));
        assert_eq!((read("b"), read("frozen")), (2.0, 2.0), "{}", entry.name);
    }
}

#[test]
fn every_schedule_is_finite_and_positive_and_starts_at_most_at_one() {
    for entry in SCHEDULES {
        let schedule = schedule::build(entry.name, json!({})).unwrap();
        for (steps_per_epoch, epochs) in [(1, 1), (3, 7), (100, 2)] {
            for step in 0..steps_per_epoch * epochs {
                let at = Progress { epoch: step / steps_per_epoch, step, steps_per_epoch, epochs };
                let factor = schedule.factor(at);
                assert!(factor > 0.0 && factor <= 1.0, "{} {at:?}: {factor}", entry.name);
            }
        }
        let resolved = schedule::resolve(entry.name, json!({})).unwrap();
        assert_eq!(schedule::resolve(entry.name, resolved.clone()).unwrap(), resolved, "{}", entry.name);
    }
}

#[test]
fn warm_up_rises_to_the_schedule() {
    let warm = Warmup { epochs: 1.5, then: schedule::build("constant", json!({})).unwrap() };
    let at = |step| Progress { epoch: 0, step, steps_per_epoch: 4, epochs: 10 };
    let factors: Vec<f64> = (0..8).map(|s| warm.factor(at(s))).collect();
    assert!((factors[0] - 1.0 / 6.0).abs() < 1e-12 && factors[5] == 1.0 && factors[7] == 1.0, "{factors:?}");
    let none = Warmup { epochs: 0.0, then: schedule::build("constant", json!({})).unwrap() };
    assert_eq!(none.factor(at(0)), 1.0);
}

#[test]
fn wrong_names_and_values_are_clear_errors() {
    let optimizer = |name: &str, params| optim::build(name, params).err().unwrap().to_string();
    assert!(optimizer("sdg", json!({})).contains("unknown optimizer 'sdg', expected one of adamw, sgd"));
    assert!(optimizer("sgd", json!({"momentun": 0.9})).contains("unknown field `momentun`"));
    assert!(optimizer("sgd", json!({"momentum": 1.5})).contains("momentum must be in 0..1, got 1.5"));
    assert!(optimizer("sgd", json!({"momentum": 0.0})).contains("nesterov needs momentum"));
    assert!(optimizer("adamw", json!({"eps": 0.0})).contains("eps must be positive"));
    let schedule = |name: &str, params| schedule::build(name, params).err().unwrap().to_string();
    assert!(schedule("cosin", json!({})).contains("unknown schedule 'cosin'"));
    assert!(schedule("cosine", json!({"floor": 2.0})).contains("floor must be in 0..=1"));
}
