//! Laws that every optimizer and schedule of the tables keeps.
#![allow(clippy::unwrap_used)]

use candle_core::{DType, Device, Tensor, Var};
use candle_nn::{Init, VarMap};
use sconce_train::optim::{Optimizer, Pace};
use sconce_train::schedule::{SCHEDULES, Schedule, Together, Warmup};
use sconce_train::{Gradients, Params, Progress, optim, optim::OPTIMIZERS, schedule, variables};
use serde_json::{Value, json};
use std::hash::{DefaultHasher, Hash, Hasher};

/// Learning rates at which each gets down a simple bowl.
fn pace(name: &str) -> Pace {
    Pace::new(match name {
        "adadelta" => 2.0,
        "adafactor" => 0.01,
        _ => 0.02,
    })
}

fn step(optimizer: &mut dyn Optimizer, params: &Params, gradients: impl Fn() -> Gradients, pace: Pace) {
    let mut g = gradients();
    if optimizer.climbs() {
        optimizer.climb(params, &g).unwrap();
        g = gradients();
    }
    optimizer.step(params, &g, pace).unwrap();
}

#[test]
fn every_optimizer_minimizes_a_quadratic_and_respects_scales() {
    for entry in OPTIMIZERS {
        assert!(entry.doc.ends_with('.'), "{}", entry.name);
        for dtype in [DType::F64, DType::F32] {
            let vars = VarMap::new();
            for name in ["a", "b", "c.weight", "frozen", "bn.running_mean"] {
                vars.get(3, name, Init::Const(2.0), dtype, &Device::Cpu).unwrap();
            }
            let scale = |name: &str| if name == "frozen" { None } else { Some(if name == "b" { 0.0 } else { 1.0 }) };
            let params = Params::new(&vars, scale).with_decay(|_, _| false);
            assert_eq!(params.0.iter().map(|p| p.name.as_str()).collect::<Vec<_>>(), ["a", "b", "c.weight"]);
            let mut optimizer = optim::build(entry.name, json!({})).unwrap();
            let gradients = || {
                Gradients(params.0.iter().map(|p| p.var.as_detached_tensor() * 2.0).collect::<Result<_, _>>().unwrap())
            };
            for _ in 0..600 {
                step(&mut *optimizer, &params, gradients, pace(entry.name));
            }
            let read = |name: &str| variables(&vars)[name].to_dtype(DType::F64).unwrap().to_vec1::<f64>().unwrap()[0];
            assert!(read("a").abs() < 0.05, "{}: {}", entry.name, read("a"));
            assert_eq!((read("b"), read("frozen")), (2.0, 2.0), "{}", entry.name);
        }
    }
}

/// The documented default of each field, from the tables of the sources.
fn documented(folder: &str, file: &str) -> Vec<(String, String)> {
    let path = format!("{}/src/{folder}/{file}.rs", env!("CARGO_MANIFEST_DIR"));
    let text = std::fs::read_to_string(path).unwrap();
    let rows = text.lines().filter_map(|line| line.strip_prefix("/// | `"));
    rows.map(|row| {
        let mut cells = row.split(" | ");
        let key = cells.next().unwrap().trim_end_matches('`').to_string();
        (key, cells.next().unwrap().trim_matches('"').to_string())
    })
    .collect()
}

#[test]
fn what_is_documented_is_what_is_resolved() {
    let optimizers = OPTIMIZERS.iter().map(|e| ("optim", e.name, optim::resolve(e.name, json!({})).unwrap()));
    let schedules = SCHEDULES.iter().map(|e| ("schedule", e.name, schedule::resolve(e.name, json!({})).unwrap()));
    for (folder, name, resolved) in optimizers.chain(schedules) {
        let again = match folder {
            "optim" => optim::resolve(name, resolved.clone()).unwrap(),
            _ => schedule::resolve(name, resolved.clone()).unwrap(),
        };
        assert_eq!(again, resolved, "{name}");
        let documented = documented(folder, name);
        // Cosine has one field, described where it stands; constant has none.
        if ["cosine", "constant"].contains(&name) {
            continue;
        }
        let mut keys: Vec<&str> = documented.iter().map(|(key, _)| key.as_str()).collect();
        keys.sort_unstable();
        assert_eq!(keys, resolved.as_object().unwrap().keys().collect::<Vec<_>>(), "{name}");
        for (key, text) in &documented {
            let value = match &resolved[key] {
                Value::Object(inner) => inner["name"].clone(),
                other => other.clone(),
            };
            let same = match &value {
                Value::Number(n) => {
                    let parts: Vec<f64> = text.split('/').map(|p| p.parse().unwrap()).collect();
                    parts.into_iter().reduce(|a, b| a / b).unwrap() == n.as_f64().unwrap()
                }
                Value::String(s) => s == text,
                Value::Null => text == "none",
                other => *other == serde_json::from_str::<Value>(text).unwrap(),
            };
            assert!(same, "{name}.{key}: documented {text}, resolved {value}");
        }
    }
}

fn wave(n: usize, phase: f64) -> Vec<f32> {
    (0..n).map(|i| (i as f64 * 0.37 + phase).sin() as f32).collect()
}

/// A filter with many pieces, a matrix, a vector of an odd length.
fn large(dtype: DType) -> (VarMap, Params) {
    let vars = VarMap::new();
    for (name, shape) in [("filter.weight", vec![67, 35, 3, 3]), ("m.weight", vec![130, 70]), ("v", vec![1037])] {
        let n = shape.iter().product();
        let var =
            Var::from_tensor(&Tensor::from_vec(wave(n, 1.0), shape, &Device::Cpu).unwrap().to_dtype(dtype).unwrap());
        vars.data().lock().unwrap().insert(name.to_string(), var.unwrap());
    }
    let params = Params::new(&vars, |name| Some(if name == "v" { 0.5 } else { 1.0 }));
    (vars, params.with_decay(|_, shape| shape.len() > 1))
}

/// Weights after some steps with gradients that depend on them; `bend` makes gradients that lie otherwise in memory.
fn run(name: &str, params: Value, dtype: DType, bend: bool) -> Vec<f32> {
    let (vars, trained) = large(dtype);
    let mut optimizer = optim::build(name, params).unwrap();
    for t in 0..4 {
        let gradients = || {
            let all = trained.0.iter().map(|p| {
                let n = p.var.elem_count();
                let wave = Tensor::from_vec(wave(n, f64::from(t)), p.var.dims(), &Device::Cpu).unwrap();
                let g = ((p.var.as_detached_tensor() * 0.3).unwrap() + wave.to_dtype(dtype).unwrap()).unwrap();
                match bend && g.rank() > 1 {
                    true => g.transpose(0, 1).unwrap().contiguous().unwrap().transpose(0, 1).unwrap(),
                    false => g,
                }
            });
            Gradients(all.collect())
        };
        step(&mut *optimizer, &trained, gradients, Pace { lr: 0.01, momentum: 0.9, decay: 0.5 });
    }
    let flat = |v: &Var| v.flatten_all().unwrap().to_dtype(DType::F32).unwrap().to_vec1::<f32>().unwrap();
    variables(&vars).values().flat_map(flat).collect()
}

/// More of each optimizer than its defaults.
fn variants() -> Vec<(&'static str, Value)> {
    let mut all: Vec<(&str, Value)> = OPTIMIZERS.iter().map(|e| (e.name, json!({}))).collect();
    all.extend([
        ("sgd", json!({"momentum": 0.0, "nesterov": false})),
        ("rmsprop", json!({"momentum": 0.9})),
        ("rmsprop", json!({"momentum": 0.9, "centered": true, "tensorflow": true, "eps": 1e-3})),
        ("adafactor", json!({"beta1": 0.9, "factor_above": 1000})),
        ("lars", json!({"nesterov": true, "clip": true})),
        ("muon", json!({"normalize": true, "nesterov": false, "rest": "lion"})),
        ("sam", json!({"of": {"name": "lookahead", "k": 2, "of": "lamb"}})),
        ("lookahead", json!({"k": 2, "of": "asam"})),
    ]);
    all
}

#[test]
fn one_pass_and_whole_tensors_give_the_same_numbers() {
    for (name, params) in variants() {
        let fused = run(name, params.clone(), DType::F32, false);
        for (kind, other) in [
            ("bent", run(name, params.clone(), DType::F32, true)),
            ("F64", run(name, params.clone(), DType::F64, false)),
        ] {
            let far = fused.iter().zip(&other).map(|(a, b)| (a - b).abs()).fold(0.0, f32::max);
            // A sign of something that is nearly 0 may differ.
            let flips = fused.iter().zip(&other).filter(|(a, b)| (*a - *b).abs() > 2e-5).count();
            let allowed = if name == "lion" { fused.len() / 1000 } else { 0 };
            assert!(flips <= allowed && fused.iter().all(|v| v.is_finite()), "{name} {params} {kind}: {far:e}");
        }
    }
}

/// The pool's size is fixed when a process starts, so this test runs itself again under several sizes.
#[test]
fn any_number_of_threads_gives_the_same_bits() {
    let digest = |threads: &str| {
        let mut command = std::process::Command::new(std::env::current_exe().unwrap());
        command.args(["digest_of_all_optimizers", "--exact", "--nocapture"]).env("RAYON_NUM_THREADS", threads);
        let text = String::from_utf8(command.output().unwrap().stdout).unwrap();
        text.lines().find_map(|line| line.split_once("digest: ").map(|(_, digest)| digest.to_string())).unwrap()
    };
    let one = digest("1");
    assert!(one.starts_with("1 threads"), "{one}");
    let five = digest("5");
    assert!(five.starts_with("5 threads"), "{five}");
    assert_eq!(one[1..], five[1..]);
}

#[test]
fn digest_of_all_optimizers() {
    let mut text = String::new();
    for (name, params) in variants() {
        let mut hasher = DefaultHasher::new();
        run(name, params, DType::F32, false).iter().for_each(|v| v.to_bits().hash(&mut hasher));
        text += &format!(" {name} {:x}", hasher.finish());
    }
    println!("digest: {} threads{text}", rayon::current_num_threads());
}

#[test]
fn every_schedule_is_finite_and_positive_and_starts_at_most_at_one() {
    for entry in SCHEDULES {
        let schedule = schedule::build(entry.name, json!({})).unwrap();
        for (steps_per_epoch, epochs) in [(1, 1), (3, 7), (100, 2)] {
            for step in 0..steps_per_epoch * epochs {
                let at = Progress { epoch: step / steps_per_epoch, step, steps_per_epoch, epochs };
                let (factor, momentum) = (schedule.factor(at, &[]), schedule.momentum(at, &[]));
                assert!(factor > 0.0 && factor <= 1.0, "{} {at:?}: {factor}", entry.name);
                assert!(momentum > 0.0 && momentum <= 1.0, "{} {at:?}: {momentum}", entry.name);
            }
        }
    }
}

/// Any number of epochs may be asked for, any number of steps done.
#[test]
fn huge_numbers_of_epochs_overflow_nothing() {
    let many = usize::MAX;
    let ramp = schedule::build("kaggle_ramp", json!({"ramp": many, "sustain": many})).unwrap();
    let at = Progress { epoch: 3, step: 12, steps_per_epoch: 4, epochs: 10 };
    assert!(ramp.factor(at, &[]) > 0.0);
    let short = schedule::build("kaggle_ramp", json!({"ramp": 0, "decay": 0.5})).unwrap();
    assert_eq!(short.factor(Progress { step: many, steps_per_epoch: 1, ..at }, &[]), 0.003125);
    let cycles = schedule::build("warm_restarts", json!({"first": 1e-3, "mult": 1e300})).unwrap();
    assert!((0.0..=1.0).contains(&cycles.factor(Progress { step: many, steps_per_epoch: 1, ..at }, &[])));
}

#[test]
fn warm_up_rises_to_the_schedule() {
    let warm = Warmup { epochs: 1.5, from: None, then: schedule::build("constant", json!({})).unwrap() };
    let at = |step| Progress { epoch: 0, step, steps_per_epoch: 4, epochs: 10 };
    let factors: Vec<f64> = (0..8).map(|s| warm.factor(at(s), &[])).collect();
    assert!((factors[0] - 1.0 / 6.0).abs() < 1e-12 && factors[5] == 1.0 && factors[7] == 1.0, "{factors:?}");
    let none = Warmup { epochs: 0.0, from: None, then: schedule::build("constant", json!({})).unwrap() };
    assert_eq!(none.factor(at(0), &[]), 1.0);
}

#[test]
fn momentum_and_decay_have_schedules_of_their_own() {
    let at = |step| Progress { epoch: 0, step, steps_per_epoch: 4, epochs: 1 };
    let linear = |from: f64, to: f64| schedule::build("linear", json!({"from": from, "to": to})).unwrap();
    let cycle = || schedule::build("one_cycle", json!({"momentum_low": 0.5})).unwrap();
    let all = Together { lr: cycle(), momentum: Some(linear(0.5, 1.0)), decay: Some(linear(1.0, 2.0)) };
    let all = Warmup { epochs: 0.0, from: None, then: Box::new(all) };
    assert_eq!((all.momentum(at(2), &[]), all.decay(at(2), &[])), (0.75, 1.5));
    let own = Together { lr: cycle(), momentum: None, decay: None };
    assert_eq!((own.momentum(at(0), &[]), own.decay(at(0), &[])), (1.0, 1.0));
    assert_eq!(own.momentum(at(2), &[]), cycle().momentum(at(2), &[]));
}

/// A step with half the momentum and twice the decay is that of an optimizer which has them.
#[test]
fn paces_multiply_momentum_and_decay() {
    let steps = |name: &str, params: Value, pace: Pace| {
        let (vars, trained) = large(DType::F32);
        let mut optimizer = optim::build(name, params).unwrap();
        for _ in 0..3 {
            let gradients = || {
                let g = trained.0.iter().map(|p| p.var.as_detached_tensor().affine(0.5, 0.1));
                Gradients(g.collect::<Result<_, _>>().unwrap())
            };
            step(&mut *optimizer, &trained, gradients, pace);
        }
        variables(&vars)["m.weight"].flatten_all().unwrap().to_vec1::<f32>().unwrap()
    };
    let scaled = Pace { lr: 0.01, momentum: 0.5, decay: 2.0 };
    for (name, momentum, base, full, half) in [
        ("sgd", "momentum", "weight_decay", 0.8, 0.4),
        ("adam", "beta1", "weight_decay", 0.8, 0.4),
        ("adamw", "beta1", "weight_decay", 0.8, 0.4),
        ("nadam", "beta1", "weight_decay", 0.8, 0.4),
        ("radam", "beta1", "weight_decay", 0.8, 0.4),
        ("rmsprop", "momentum", "weight_decay", 0.8, 0.4),
        ("lamb", "beta1", "weight_decay", 0.8, 0.4),
        ("lars", "momentum", "weight_decay", 0.8, 0.4),
        ("lion", "beta1", "weight_decay", 0.8, 0.4),
        ("adafactor", "beta1", "weight_decay", 0.8, 0.4),
        ("muon", "momentum", "weight_decay", 0.8, 0.4),
    ] {
        let ours = steps(name, json!({momentum: full, base: 0.25}), scaled);
        assert_eq!(ours, steps(name, json!({momentum: half, base: 0.5}), Pace::new(0.01)), "{name}");
        assert_ne!(ours, steps(name, json!({momentum: full, base: 0.25}), Pace::new(0.01)), "{name}");
    }
}

/// A parameter beside a gradient with one number that is none.
#[test]
fn what_is_not_a_number_stays_so() {
    for (name, params) in variants() {
        for dtype in [DType::F64, DType::F32] {
            let vars = VarMap::new();
            vars.get((2, 2), "w", Init::Const(2.0), dtype, &Device::Cpu).unwrap();
            let trained = Params::new(&vars, |_| Some(1.0));
            let gradient = Tensor::new(&[[1.0, f64::NAN], [1.0, 1.0]], &Device::Cpu).unwrap().to_dtype(dtype).unwrap();
            let gradients = || Gradients(vec![gradient.clone()]);
            let mut optimizer = optim::build(name, params.clone()).unwrap();
            step(&mut *optimizer, &trained, gradients, pace(name));
            let w = variables(&vars)["w"].to_dtype(DType::F64).unwrap().to_vec2::<f64>().unwrap();
            assert!(w[0][1].is_nan(), "{name} {params} {dtype:?}: {w:?}");
        }
    }
    for dtype in [DType::F64, DType::F32] {
        let vars = VarMap::new();
        vars.get(1, "w", Init::Const(f64::NAN), dtype, &Device::Cpu).unwrap();
        sconce_train::regularize::l1(&Params::new(&vars, |_| Some(1.0)), 0.1, 1.0).unwrap();
        assert!(variables(&vars)["w"].to_dtype(DType::F64).unwrap().to_vec1::<f64>().unwrap()[0].is_nan());
    }
}

/// The mean of squares less the square of the mean is 0 here, but for what is rounded.
#[test]
fn centered_gradients_that_do_not_change_are_no_root_of_less_than_nothing() {
    for dtype in [DType::F64, DType::F32] {
        for g in [0.1, 0.3, 0.7, 1.1, 3.3] {
            let vars = VarMap::new();
            vars.get(1, "w", Init::Const(1.0), dtype, &Device::Cpu).unwrap();
            let trained = Params::new(&vars, |_| Some(1.0));
            let gradient = Tensor::new(&[g], &Device::Cpu).unwrap().to_dtype(dtype).unwrap();
            let mut optimizer = optim::build("rmsprop", json!({"centered": true, "alpha": 0.5})).unwrap();
            for _ in 0..200 {
                optimizer.step(&trained, &Gradients(vec![gradient.clone()]), Pace::new(1e-9)).unwrap();
            }
            let w = variables(&vars)["w"].to_dtype(DType::F64).unwrap().to_vec1::<f64>().unwrap()[0];
            assert!(w.is_finite(), "{dtype:?} {g}: {w}");
        }
    }
}

/// A schedule that takes the decay to 0 says nothing about trust.
#[test]
fn trust_does_not_follow_the_decay_schedule() {
    let moved = |name: &str, decay: f64| {
        let (vars, trained) = large(DType::F32);
        let before = variables(&vars)["m.weight"].copy().unwrap();
        let g = trained.0.iter().map(|p| p.var.as_detached_tensor().affine(0.5, 0.1).unwrap());
        let gradients = Gradients(g.collect());
        let mut optimizer = optim::build(name, json!({"weight_decay": 1e-6})).unwrap();
        optimizer.step(&trained, &gradients, Pace { lr: 0.01, momentum: 1.0, decay }).unwrap();
        let apart = (variables(&vars)["m.weight"].as_tensor() - before).unwrap();
        f64::from(apart.sqr().unwrap().sum_all().unwrap().to_scalar::<f32>().unwrap()).sqrt()
    };
    for name in ["lars", "lamb"] {
        let (with, without) = (moved(name, 1.0), moved(name, 0.0));
        assert!((with / without - 1.0).abs() < 1e-3, "{name}: {with} {without}");
    }
}

#[test]
fn a_momentum_of_one_is_an_error() {
    for (name, key) in [
        ("sgd", "momentum"),
        ("adam", "beta1"),
        ("adamw", "beta1"),
        ("nadam", "beta1"),
        ("radam", "beta1"),
        ("rmsprop", "momentum"),
        ("lamb", "beta1"),
        ("lars", "momentum"),
        ("lion", "beta1"),
        ("adafactor", "beta1"),
        ("muon", "momentum"),
    ] {
        let step = |own: f64, factor: f64| {
            let (_, trained) = large(DType::F32);
            let g = trained.0.iter().map(|p| p.var.as_detached_tensor().affine(0.5, 0.1).unwrap());
            let gradients = Gradients(g.collect());
            let mut optimizer = optim::build(name, json!({key: own})).unwrap();
            optimizer.step(&trained, &gradients, Pace { lr: 0.01, momentum: factor, decay: 1.0 })
        };
        for factor in [1.25, 2.0, -0.5, f64::NAN] {
            let why = step(0.8, factor).err().map(|error| error.to_string()).unwrap_or_default();
            assert!(why.contains("momentum schedule") && why.contains("must stay in 0..1"), "{name} {factor}: {why}");
        }
        step(0.8, 1.1).unwrap();
    }
}

#[test]
fn optimizers_lie_only_so_deep() {
    let nested = |n: usize| (1..n).fold(json!({"name": "sgd"}), |of, _| json!({"name": "lookahead", "of": of}));
    optim::build("sam", json!({"of": nested(4)})).unwrap();
    let why = optim::build("sam", json!({"of": nested(8)})).err().map(|error| error.to_string()).unwrap_or_default();
    assert!(why.contains("8 optimizers lie one within another inside of it, at most 4 may"), "{why}");
}

#[test]
fn wrong_names_and_values_are_clear_errors() {
    let optimizer = |name: &str, params| optim::build(name, params).err().map(|e| e.to_string()).unwrap_or_default();
    let known = OPTIMIZERS.iter().map(|e| e.name).collect::<Vec<_>>().join(", ");
    assert!(optimizer("sdg", json!({})).contains(&format!("unknown optimizer 'sdg', expected one of {known}")));
    assert!(optimizer("sgd", json!({"momentun": 0.9})).contains("unknown field `momentun`"));
    assert!(optimizer("sgd", json!({"momentum": 1.5})).contains("momentum must be in 0..1, got 1.5"));
    assert!(optimizer("sgd", json!({"momentum": 0.0})).contains("nesterov needs momentum"));
    assert!(optimizer("adamw", json!({"eps": 0.0})).contains("eps must be positive"));
    let inner = optimizer("sam", json!({"of": {"name": "sgd", "momentum": 1.5}}));
    assert!(inner.contains("optimizer 'sam'") && inner.contains("momentum must be in 0..1, got 1.5"), "{inner}");
    let unknown = optimizer("lookahead", json!({"of": "sdg"}));
    assert!(unknown.contains("unknown optimizer 'sdg'"), "{unknown}");
    assert!(optimizer("sam", json!({"of": "asam"})).contains("does not climb"));
    assert!(optimizer("muon", json!({"rest": "sam"})).contains("rest cannot be one that climbs"));
    let schedule = |name: &str, params| schedule::build(name, params).err().map(|e| e.to_string()).unwrap_or_default();
    assert!(schedule("cosin", json!({})).contains("unknown schedule 'cosin'"));
    assert!(schedule("cosine", json!({"floor": 2.0})).contains("floor must be in 0..=1"));
    assert!(optimizer("adamw", json!({"eps": 1e-50})).contains("eps must be positive in single precision, got"));
    assert!(schedule("cyclic", json!({"gamma": 0.5})).contains("gamma is that of the shape exp_range"));
    assert!(schedule("warm_restarts", json!({"first": 1e-300})).contains("first must be at least 1e-3"));
    // Every number of every technique has a range, and leaving it names the key.
    let build = |folder: &str, name: &str, params| match folder {
        "optim" => optimizer(name, params),
        _ => schedule(name, params),
    };
    let optimizers = OPTIMIZERS.iter().map(|e| ("optim", e.name, optim::resolve(e.name, json!({})).unwrap()));
    let schedules = SCHEDULES.iter().map(|e| ("schedule", e.name, schedule::resolve(e.name, json!({})).unwrap()));
    for (folder, name, resolved) in optimizers.chain(schedules) {
        for (key, value) in resolved.as_object().unwrap() {
            let mut params = resolved.clone();
            params[key] = match value {
                Value::Array(_) => json!([-1.0]),
                Value::Number(n) if n.is_f64() => json!(-1.0),
                _ => json!(-1),
            };
            let message = build(folder, name, params);
            let named = message.contains(key) || message.contains(&format!("'{name}'"));
            assert!(named, "{name}.{key} = −1: {message}");
        }
    }
}
