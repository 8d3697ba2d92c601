//! Values that papers' readers can check by hand: p = [1, −2], gradients [g, 2g] with g = 0.5, 0.2, −0.1, learning rate 0.1;
//! schedules as sequences.
#![allow(clippy::unwrap_used)]

use candle_core::{DType, Device, Tensor, Var};
use candle_nn::{Init, VarMap};
use sconce_train::checkpoint::Record;
use sconce_train::optim::Pace;
use sconce_train::{Gradients, Params, Progress, optim, schedule, variables};
use serde_json::{Value, json};

fn pair(dtype: DType, start: [f64; 2]) -> (VarMap, Var) {
    let vars = VarMap::new();
    vars.get(2, "p", Init::Const(0.0), dtype, &Device::Cpu).unwrap();
    let p = variables(&vars)["p"].clone();
    p.set(&Tensor::new(&start, &Device::Cpu).unwrap().to_dtype(dtype).unwrap()).unwrap();
    (vars, p)
}

fn read(p: &Var) -> Vec<f64> {
    p.as_detached_tensor().to_dtype(DType::F64).unwrap().to_vec1().unwrap()
}

#[test]
fn three_steps_of_each_optimizer() {
    let larc = json!({"momentum": 0.9, "weight_decay": 0.01, "clip": true});
    let cases: [(&str, Value, [[f64; 2]; 3]); 12] = [
        (
            "sgd",
            json!({"momentum": 0.9, "nesterov": false, "weight_decay": 0.0}),
            [[0.95, -2.1], [0.885, -2.23], [0.8365, -2.327]],
        ),
        ("sgd", json!({"weight_decay": 0.01}), [[0.9031, -2.1862], [0.822074, -2.337426], [0.785402, -2.397056]]),
        ("adam", json!({}), [[0.9, -2.1], [0.810143, -2.189857], [0.753526, -2.246475]]),
        ("adam", json!({"weight_decay": 0.1}), [[0.9, -2.1], [0.807281, -2.182394], [0.737488, -2.210167]]),
        ("adamw", json!({"weight_decay": 0.1}), [[0.89, -2.08], [0.791243, -2.149058], [0.726713, -2.184184]]),
        ("rmsprop", json!({"alpha": 0.9}), [[0.683772, -2.316228], [0.560913, -2.439087], [0.624349, -2.37565]]),
        ("nadam", json!({}), [[0.894355, -2.105645], [0.849673, -2.150327], [0.861606, -2.138394]]),
        ("radam", json!({}), [[0.95, -2.1], [0.915789, -2.168421], [0.897893, -2.204214]]),
        (
            "lamb",
            json!({"weight_decay": 0.01, "max_norm": 0.0}),
            [[0.839521, -2.155713], [0.673215, -2.316527], [0.498127, -2.482477]],
        ),
        ("lars", json!({"weight_decay": 0.01}), [[0.9999, -2.000192], [0.99971, -2.000546], [0.999621, -2.000664]]),
        ("lars", larc, [[0.999, -2.001922], [0.9971, -2.005461], [0.996209, -2.006644]]),
        (
            "lookahead",
            json!({"k": 2, "of": {"name": "sgd", "momentum": 0.0, "nesterov": false, "weight_decay": 0.0}}),
            [[0.95, -2.1], [0.965, -2.07], [0.975, -2.05]],
        ),
    ];
    for (name, params, wants) in cases {
        for dtype in [DType::F64, DType::F32] {
            let (vars, p) = pair(dtype, [1.0, -2.0]);
            let mut optimizer = optim::build(name, params.clone()).unwrap();
            for (g, want) in [0.5, 0.2, -0.1].into_iter().zip(wants) {
                let gradient = Tensor::new(&[g, 2.0 * g], &Device::Cpu).unwrap().to_dtype(dtype).unwrap();
                let params = Params::new(&vars, |_| Some(1.0));
                optimizer.step(&params, &Gradients(vec![gradient]), Pace::new(0.1)).unwrap();
                for (ours, want) in read(&p).into_iter().zip(want) {
                    assert!((ours - want).abs() < 1e-6, "{name} {params:?} {dtype:?}: {ours} {want}");
                }
            }
        }
    }
}

/// f = (x² + 10y²)/2 at (1, 0.5).
#[test]
fn sharpness_aware_steps() {
    let (vars, p) = pair(DType::F64, [1.0, 0.5]);
    let params = Params::new(&vars, |_| Some(1.0));
    let gradient = || Gradients(vec![p.mul(&Tensor::new(&[1.0, 10.0], &Device::Cpu).unwrap()).unwrap().detach()]);
    let plain = json!({"name": "sgd", "momentum": 0.0, "nesterov": false, "weight_decay": 0.0});
    let near = |want: [f64; 2]| {
        let ours = read(&p);
        assert!(ours.iter().zip(want).all(|(a, b)| (a - b).abs() < 1e-6), "{ours:?} {want:?}");
    };
    let mut sam = optim::build("sam", json!({"of": plain})).unwrap();
    assert!(sam.climbs());
    sam.climb(&params, &gradient()).unwrap();
    near([1.009806, 0.549029]);
    sam.step(&params, &gradient(), Pace::new(0.1)).unwrap();
    near([0.899019, -0.049029]);
    p.set(&Tensor::new(&[1.0, 0.5], &Device::Cpu).unwrap()).unwrap();
    let mut asam = optim::build("asam", json!({"of": plain, "rho": 0.5, "eta": 0.0})).unwrap();
    asam.climb(&params, &gradient()).unwrap();
    near([1.185695, 0.732119]);
}

/// Name, parameters, steps per epoch, epochs, base rate and the rates.
type Sequence<'a> = (&'a str, Value, usize, usize, f64, &'a [f64]);

#[test]
fn schedules_as_sequences() {
    let cases: [Sequence<'_>; 8] = [
        (
            "cosine",
            json!({}),
            1,
            10,
            0.1,
            &[
                0.1, 0.09755283, 0.09045085, 0.07938926, 0.06545085, 0.05, 0.03454915, 0.02061074, 0.00954915,
                0.00244717, 0.0,
            ],
        ),
        (
            "warm_restarts",
            json!({"first": 4, "mult": 2}),
            1,
            20,
            0.1,
            &[
                0.1, 0.08535534, 0.05, 0.01464466, 0.1, 0.09619398, 0.08535534, 0.06913417, 0.05, 0.03086583,
                0.01464466, 0.00380602, 0.1,
            ],
        ),
        (
            "one_cycle",
            json!({}),
            10,
            1,
            0.1,
            &[0.004, 0.052, 0.1, 0.09504846, 0.08117457, 0.0611262, 0.0388742, 0.01882583, 0.00495194, 4e-7],
        ),
        ("polynomial", json!({"power": 2}), 1, 5, 0.1, &[0.1, 0.064, 0.036, 0.016, 0.004, 0.0]),
        ("linear", json!({"from": 0.1, "to": 1, "epochs": 4}), 1, 9, 0.1, &[0.01, 0.0325, 0.055, 0.0775, 0.1, 0.1]),
        (
            "cyclic",
            json!({"low": 0.1, "up": 3, "shape": "triangular2"}),
            1,
            20,
            0.1,
            &[0.01, 0.04, 0.07, 0.1, 0.07, 0.04, 0.01, 0.025, 0.04, 0.055, 0.04, 0.025, 0.01],
        ),
        (
            "kaggle_ramp",
            json!({}),
            1,
            8,
            3.2e-4,
            &[5e-6, 6.8e-5, 1.31e-4, 1.94e-4, 2.57e-4, 3.2e-4, 2.562e-4, 2.05164e-4],
        ),
        ("constant", json!({}), 1, 2, 0.1, &[0.1, 0.1]),
    ];
    for (name, params, steps_per_epoch, epochs, lr, wants) in cases {
        let schedule = schedule::build(name, params).unwrap();
        for (step, want) in wants.iter().enumerate() {
            let at = Progress { epoch: step / steps_per_epoch, step, steps_per_epoch, epochs };
            let ours = lr * schedule.factor(at, &[]);
            assert!((ours - want).abs() < 5.1e-9, "{name} step {step}: {ours} {want}");
        }
    }
    let momenta = [0.95, 0.9, 0.85, 0.854952, 0.868826, 0.888874, 0.911126, 0.931174, 0.945048, 0.95];
    let one_cycle = schedule::build("one_cycle", json!({})).unwrap();
    for (step, want) in momenta.into_iter().enumerate() {
        let at = Progress { epoch: 0, step, steps_per_epoch: 10, epochs: 1 };
        assert!((0.95 * one_cycle.momentum(at, &[]) - want).abs() < 5.1e-7);
    }
}

#[test]
fn a_plateau_of_losses() {
    let plateau = schedule::build("plateau", json!({"gamma": 0.5, "patience": 1, "monitor": "loss"})).unwrap();
    let mut history = vec![];
    let losses = [1.0, 0.9, 0.95, 0.96, 0.97, 0.98, 0.5];
    for (epoch, (loss, want)) in losses.into_iter().zip([0.1, 0.1, 0.1, 0.05, 0.05, 0.025, 0.025]).enumerate() {
        history.push(Record { epoch, loss, scores: None });
        let at = Progress { epoch: epoch + 1, step: epoch + 1, steps_per_epoch: 1, epochs: 9 };
        assert!((0.1 * plateau.factor(at, &history) - want).abs() < 1e-12, "epoch {epoch}");
    }
}
