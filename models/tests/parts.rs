//! Pools, joins, heads and starts against PyTorch's float64 (`xtask/fixtures/heads.py`), and the laws of networks made of them.
#![allow(clippy::unwrap_used, clippy::print_stdout)]

mod common;

use candle_core::{DType, Device, Shape, Tensor, Var};
use candle_nn::var_builder::SimpleBackend;
use candle_nn::{Init, VarBuilder, VarMap};
use common::unit;
use sconce_models::heads::{self, HEADS};
use sconce_models::init::{self, Rule, Start};
use sconce_models::joins::{self, JOINS};
use sconce_models::layers::{LinearStart, Variables};
use sconce_models::parts::Choice;
use sconce_models::pools::POOLS;
use sconce_models::{Network, NetworkConfig, Pass};
use serde_json::{Value, json};
use std::collections::BTreeSet;

const PARTS: [&str; 3] =
    [include_str!("golden/pool.json"), include_str!("golden/join.json"), include_str!("golden/head.json")];
const STARTS: &str = include_str!("golden/start.json");
const HEAD_STARTS: &str = include_str!("golden/head_start.json");

fn cases(golden: &str) -> Vec<Value> {
    serde_json::from_str::<Value>(golden).unwrap()["cases"].as_array().unwrap().clone()
}
const CLASSES: usize = 4;

fn tensor(key: &str, shape: &[usize], dtype: DType, scale: f64, start: f64) -> Tensor {
    let values: Vec<f64> = unit(key, shape.iter().product()).iter().map(|u| start + scale * u).collect();
    Tensor::from_vec(values, shape, &Device::Cpu).unwrap().to_dtype(dtype).unwrap()
}

fn numbers(v: &Value) -> Vec<f64> {
    v.as_array().unwrap().iter().map(|v| v.as_f64().unwrap()).collect()
}

fn sizes(v: &Value) -> Vec<usize> {
    v.as_array().unwrap().iter().map(|v| v.as_u64().unwrap() as usize).collect()
}

/// Greatest difference over the greatest value, at most `tolerance`.
fn compare(what: &str, ours: &Tensor, want: &Value, tolerance: f64) -> f64 {
    assert_eq!(ours.dims(), sizes(&want["shape"]), "{what}");
    let ours = ours.to_dtype(DType::F64).unwrap().flatten_all().unwrap().to_vec1::<f64>().unwrap();
    let want = numbers(&want["values"]);
    let largest = want.iter().fold(1e-3f64, |m, v| m.max(v.abs()));
    let off = ours.iter().zip(&want).fold(0f64, |m, (a, b)| m.max((a - b).abs())) / largest;
    assert!(off <= tolerance, "{what}: relative distance {off:e} > {tolerance:e}\n{ours:?}\n{want:?}");
    off
}

/// The part of a golden case, its variables by name without the path, and what it says of `x`.
fn run(case: &Value, x: &Tensor, vb: &VarBuilder<'_>, pass: &Pass<'_>, fill: impl Fn()) -> Tensor {
    let choice = Choice::with(case["name"].as_str().unwrap(), case["params"].clone());
    let mut vars = Variables::new("part", vb);
    match case["kind"].as_str().unwrap() {
        "pool" => {
            let pool = POOLS.build(&choice, x.dims()[3], &mut vars).unwrap();
            fill();
            let y = pool.forward(x, pass).unwrap();
            assert_eq!(y.dims()[1], pool.parts() * x.dims()[3]);
            y
        }
        "join" => {
            let &[_, views, features] = x.dims() else { panic!("{case}") };
            let sizes = joins::Sizes { views, features, classes: CLASSES };
            let join = JOINS.build(&choice, sizes, &mut vars).unwrap();
            fill();
            let y = join.forward(x, pass).unwrap();
            assert_eq!(y.dims()[1], join.widened(features));
            y
        }
        _ => {
            let sizes = heads::Sizes { inputs: x.dims()[1], classes: CLASSES, start: LinearStart::PYTORCH };
            let head = HEADS.build(&choice, sizes, &mut vars).unwrap();
            fill();
            let y = head.forward(x, pass).unwrap();
            assert_eq!(y.dims()[1], head.outputs());
            y
        }
    }
}

fn parts_say_what_pytorch_s_do(dtype: DType, tolerance: f64) {
    let (mut worst, mut seen) = (0f64, BTreeSet::new());
    let cases: Vec<Value> = PARTS.iter().flat_map(|golden| cases(golden)).collect();
    for case in &cases {
        let name = case["case"].as_str().unwrap();
        let map = VarMap::new();
        let vb = init::seeded(&map, 0, dtype, &Device::Cpu);
        let fill = || {
            for (path, var) in map.data().lock().unwrap().iter() {
                let own = path.strip_prefix("part.").unwrap();
                let start = match own {
                    "p" => 3.0,
                    _ if own.ends_with("norm.weight") || own.ends_with("running_var") => 1.0,
                    _ => 0.0,
                };
                var.set(&tensor(&format!("{name}/{own}"), var.dims(), dtype, 0.4, start)).unwrap();
            }
        };
        let x = Var::from_tensor(&tensor(&format!("{name}/x"), &sizes(&case["shape"]), dtype, 2.0, 0.0)).unwrap();
        let train = case["train"].as_bool().unwrap();
        let pass = if train { Pass::train(11) } else { Pass { grad: sconce_models::Grad::All, ..Pass::eval() } };
        let y = run(case, &x, &vb, &pass, fill);
        worst = worst.max(compare(&format!("{name}: output"), &y, &case["output"], tolerance));
        let dy = tensor(&format!("{name}/dy"), y.dims(), dtype, 1.0, 0.0);
        let store = y.mul(&dy).unwrap().sum_all().unwrap().backward().unwrap();
        let gradients = case["gradients"].as_object().unwrap();
        worst = worst.max(compare(&format!("{name}: dx"), store.get(&x).unwrap(), &gradients["x"], tolerance));
        let mut compared = 1;
        for (path, var) in map.data().lock().unwrap().iter() {
            let own = path.strip_prefix("part.").unwrap();
            let what = format!("{name}: {own}");
            if own.contains("running_") {
                worst = worst.max(compare(&what, var, &case["stats"][own], tolerance));
                continue;
            }
            let gradient = store.get(var).unwrap_or_else(|| panic!("{what} has no gradient"));
            worst = worst.max(compare(&what, gradient, &gradients[own], tolerance));
            compared += 1;
        }
        assert_eq!(compared, gradients.len(), "{name}");
        seen.insert(format!("{} {}", case["kind"].as_str().unwrap(), case["name"].as_str().unwrap()));
    }
    let all = |kind: &str, names: Vec<&str>| names.iter().map(|n| format!("{kind} {n}")).collect::<Vec<_>>();
    let known = [
        all("pool", POOLS.1.iter().map(|e| e.name).collect()),
        all("join", JOINS.1.iter().map(|e| e.name).collect()),
        all("head", HEADS.1.iter().map(|e| e.name).collect()),
    ];
    assert_eq!(known.concat().into_iter().collect::<BTreeSet<_>>(), seen);
    println!("{} cases of {} parts in {dtype:?}, worst relative distance {worst:.1e}", cases.len(), seen.len());
}

#[test]
fn parts_say_what_pytorch_s_do_in_f64() {
    parts_say_what_pytorch_s_do(DType::F64, 1e-9);
}

#[test]
fn parts_say_what_pytorch_s_do_in_f32() {
    parts_say_what_pytorch_s_do(DType::F32, 1e-5);
}

/// Hands out given noise as the variable that a start is drawn into.
struct Noise(Vec<f64>);

impl SimpleBackend for Noise {
    fn get(&self, s: Shape, _: &str, _: Init, dtype: DType, device: &Device) -> candle_core::Result<Tensor> {
        let noise = Tensor::from_vec(self.0.clone(), s, device)?.to_dtype(dtype)?;
        Ok(Var::from_tensor(&noise)?.as_tensor().clone())
    }
    fn get_unchecked(&self, name: &str, _: DType, _: &Device) -> candle_core::Result<Tensor> {
        candle_core::bail!("no shape for '{name}'")
    }
    fn contains_tensor(&self, _: &str) -> bool {
        false
    }
}

#[test]
fn starts_make_of_noise_what_pytorch_s_do() {
    for case in cases(STARTS) {
        let start: Start = serde_json::from_value(case["start"].clone()).unwrap();
        let shape = sizes(&case["shape"]);
        let key = format!("start/({})", shape.iter().map(usize::to_string).collect::<Vec<_>>().join(", "));
        let noise = Noise(unit(&key, shape.iter().product()));
        let vb = VarBuilder::from_backend(Box::new(noise), DType::F64, Device::Cpu);
        let made = start.make(&vb, "w", shape.clone()).unwrap();
        compare(&format!("{start:?}"), &made, &json!({"shape": shape, "values": case["values"]}), 1e-7);
    }
}

/// Deviation and mean size, so both the scale and the kind of the distribution (`xtask/fixtures/head_starts.py`).
#[test]
fn linear_heads_start_as_the_reference_s() {
    for case in cases(HEAD_STARTS) {
        let model = case["model"].as_str().unwrap();
        let classes = case["classes"].as_u64().unwrap() as usize;
        let params = case["params"].clone();
        let (_, vars) = network(&NetworkConfig { model: model.into(), params, classes, ..NetworkConfig::default() });
        let vars = vars.data().lock().unwrap();
        // Of a thousand numbers, and of half a million, but for a few per cent.
        for (kind, tolerance) in [("weight", 0.01), ("bias", 0.08)] {
            let values = vars[&format!("head.{kind}")].as_tensor().to_dtype(DType::F64).unwrap();
            let mean = |t: Tensor| t.mean_all().unwrap().to_scalar::<f64>().unwrap();
            let deviation = (mean(values.sqr().unwrap()) - mean(values.clone()).powi(2)).sqrt();
            for (what, ours) in [("deviation", deviation), ("size", mean(values.abs().unwrap()))] {
                let want = case[kind][what].as_f64().unwrap();
                assert!((ours - want).abs() <= tolerance * want, "{model}: {kind} has {what} {ours}, not {want}");
            }
        }
    }
}

fn network(config: &NetworkConfig) -> (Network, VarMap) {
    let vars = VarMap::new();
    let network = Network::new(config, init::seeded(&vars, 3, DType::F32, &Device::Cpu)).unwrap();
    (network, vars)
}

fn tiny() -> NetworkConfig {
    NetworkConfig { params: json!({"widths": [8, 12]}), classes: CLASSES, ..NetworkConfig::default() }
}

/// A choice of `name` that can be built without the data.
fn choice(name: &str) -> Choice {
    match name {
        "graph" => Choice::with(name, json!({"confusion": vec![vec![1.0; CLASSES]; CLASSES]})),
        "noisy_or" => Choice::with(name, json!({"leak": 0.1})),
        _ => Choice::new(name),
    }
}

/// Every parameter gets a gradient, every variable stands in a stage, every number in the summary.
fn keeps_the_laws(config: &NetworkConfig) {
    let what = format!("{} {} {} {}", config.pool.name, config.views, config.join.name, config.head.name);
    let (network, vars) = network(config);
    let samples = 6;
    let x = tensor("images", &[samples * config.views, 3, 16, 16], DType::F32, 1.5, 0.0);
    let meta = (config.meta > 0).then(|| tensor("meta", &[samples, config.meta], DType::F32, 1.0, 0.0));
    let said = network.forward(&x, meta.as_ref(), &mut Pass::train(1)).unwrap();
    assert_eq!(said.dims()[0], samples, "{what}");
    // As a loss would: shifts of all logits count for nothing.
    let shares = sconce_models::ops::log_softmax(&said).unwrap();
    let weights = tensor("weights", said.dims(), DType::F32, 1.0, 0.0);
    let loss = (shares.mul(&weights).unwrap().sum_all().unwrap() + said.sqr().unwrap().mean_all().unwrap()).unwrap();
    let store = loss.backward().unwrap();
    let (mut names, mut parameters) = (BTreeSet::new(), 0);
    for (name, var) in vars.data().lock().unwrap().iter() {
        names.insert(name.clone());
        if name.contains("running_") {
            continue;
        }
        parameters += var.elem_count();
        let gradient = store.get(var).unwrap_or_else(|| panic!("{what}: no gradient for {name}"));
        let norm = gradient.sqr().unwrap().sum_all().unwrap().to_scalar::<f32>().unwrap();
        assert!(norm.is_finite() && norm > 0.0, "{what}: the gradient of {name} is {norm}");
    }
    let staged: Vec<String> = network.stages().into_iter().flat_map(|(_, v)| v).collect();
    assert_eq!(staged.len(), names.len(), "{what}");
    assert_eq!(staged.into_iter().collect::<BTreeSet<_>>(), names, "{what}");
    assert_eq!(network.summary((16, 16)).unwrap().parameters(), parameters, "{what}");
    let eval = network.forward(&x, meta.as_ref(), &mut Pass::eval()).unwrap();
    assert!(!eval.track_op() && eval.dims() == said.dims(), "{what}");
}

#[test]
fn networks_of_all_parts_keep_the_laws() {
    for pool in POOLS.1 {
        keeps_the_laws(&NetworkConfig { pool: choice(pool.name), ..tiny() });
    }
    for head in HEADS.1 {
        keeps_the_laws(&NetworkConfig { head: choice(head.name), meta: 3, ..tiny() });
        assert!(head.doc.ends_with('.'));
    }
    for join in JOINS.1 {
        keeps_the_laws(&NetworkConfig {
            join: choice(join.name),
            views: 2,
            meta: 3,
            meta_hidden: vec![5, 4],
            ..tiny()
        });
    }
    let behind = Choice::with("mean", json!({"behind": true}));
    keeps_the_laws(&NetworkConfig { join: behind, views: 3, pool: choice("concat"), head: choice("coral"), ..tiny() });
}

#[test]
fn views_of_a_sample_are_seen_apart_and_joined() {
    let config = NetworkConfig { views: 2, join: Choice::with("mean", json!({"behind": true})), meta: 2, ..tiny() };
    let (joined, vars) = network(&config);
    let single =
        Network::new(&NetworkConfig { views: 1, ..config.clone() }, init::seeded(&vars, 0, DType::F32, &Device::Cpu))
            .unwrap();
    let x = tensor("x", &[3, 2, 3, 16, 16], DType::F32, 1.0, 0.0);
    let meta = tensor("m", &[3, 2], DType::F32, 1.0, 0.0);
    let ours = joined.forward(&x, Some(&meta), &mut Pass::eval()).unwrap();
    let flat = joined.forward(&x.flatten(0, 1).unwrap(), Some(&meta), &mut Pass::eval()).unwrap();
    let view = |i: usize| {
        let view = x.narrow(1, i, 1).unwrap().squeeze(1).unwrap().contiguous().unwrap();
        single.forward(&view, Some(&meta), &mut Pass::eval()).unwrap()
    };
    let mean = ((view(0) + view(1)).unwrap() / 2.0).unwrap();
    let off = |a: &Tensor| (a - &mean).unwrap().abs().unwrap().max_all().unwrap().to_scalar::<f32>().unwrap();
    assert!(off(&ours) < 1e-6 && off(&flat) < 1e-6, "{} {}", off(&ours), off(&flat));
    let error = |dims: &[usize]| {
        let x = Tensor::zeros(dims, DType::F32, &Device::Cpu).unwrap();
        joined.forward(&x, Some(&meta), &mut Pass::eval()).unwrap_err().to_string()
    };
    assert!(error(&[3, 3, 3, 16, 16]).contains("takes 2 views of a sample"));
    assert!(error(&[5, 3, 16, 16]).contains("no whole number of samples of 2 views"));
}

/// Lyft's baseline: ResNet-34 of 25 channels, a layer of 4096 and 50 positions.
#[test]
fn a_trajectory_head_has_the_published_size() {
    let head = Choice::with("trajectory", json!({"modes": 1, "hidden": 4096}));
    let config = NetworkConfig { model: "resnet34".into(), channels: 25, head, ..NetworkConfig::default() };
    let network = Network::new(&config, init::outline()).unwrap();
    assert_eq!(network.summary((64, 64)).unwrap().parameters(), 23_864_612);
    let said = Tensor::arange(0f32, 14.0, &Device::Cpu).unwrap().reshape((1, 14)).unwrap();
    let (positions, confidences) = heads::modes(&said, 2, 3).unwrap();
    assert_eq!((positions.dims(), confidences.dims()), (&[1, 2, 3, 2][..], &[1, 2][..]));
    assert!((confidences.sum_all().unwrap().to_scalar::<f32>().unwrap() - 1.0).abs() < 1e-6);
    assert!(heads::modes(&said, 3, 2).is_err());
}

#[test]
fn wrong_parts_are_clear_errors() {
    let error = |config: NetworkConfig| Network::new(&config, init::outline()).err().unwrap().to_string();
    let head = |name: &str, params: Value| error(NetworkConfig { head: Choice::with(name, params), ..tiny() });
    let pool = |name: &str, params: Value| error(NetworkConfig { pool: Choice::with(name, params), ..tiny() });
    assert!(head("liner", json!({})).starts_with("unknown head 'liner', expected one of linear, mlp"));
    assert!(head("mlp", json!({"hiden": [3]})).starts_with("head 'mlp': unknown field `hiden`"));
    assert!(head("mlp", json!({"dropout": 1.0})).contains("dropout must be in 0..1"));
    assert!(head("cosine", json!({"centres": 0})).contains("at least one centre"));
    assert!(head("graph", json!({})).contains("one row of K numbers"));
    assert!(head("graph", json!({"confusion": [[0, 1], [1, 0]]})).contains("has 2 rows, but there are 4 classes"));
    assert!(head("distribution", json!({"values": [1.0]})).contains("got 1 for 4 classes"));
    assert!(pool("gem", json!({"p": 0})).contains("p and eps must be above 0"));
    assert!(pool("avg", json!({})).starts_with("unknown pool 'avg'"));
    assert!(error(NetworkConfig { join: Choice::new("sum"), ..tiny() }).starts_with("unknown join 'sum'"));
    assert!(error(NetworkConfig { views: 0, ..tiny() }).contains("one view"));
    let resolved = HEADS.resolve(&Choice::with("mlp", json!({"hidden": [8]}))).unwrap();
    assert_eq!(
        serde_json::to_value(resolved).unwrap(),
        json!({"name": "mlp", "hidden": [8], "dropout": 0.5, "norm": true})
    );
    let read: NetworkConfig =
        serde_json::from_value(json!({"pool": "gem", "head": {"name": "cosine", "scale": 10}})).unwrap();
    assert_eq!((read.pool, read.head.name.as_str()), (Choice::new("gem"), "cosine"));
}

#[test]
fn most_heads_say_a_logit_per_class() {
    let says = |name: &str, params: Value| heads::says_classes(&Choice::with(name, params));
    assert!(says("mlp", json!({})) && says("distribution", json!({"mean": false})));
    assert!(!says("coral", json!({})) && !says("distribution", json!({"mean": true})));
}

/// Recipes lay the model's own parameters beside these.
#[test]
fn no_family_has_a_parameter_that_a_network_has() {
    for (model, _) in sconce_models::models() {
        let own = sconce_models::resolve(model, &Value::Null).unwrap();
        let common = [
            ["name", "dropout", "meta", "meta_hidden", "pool", "head"],
            ["views", "join", "init", "lsuv", "pretrained", "input"],
        ];
        let common = common.concat();
        let both: Vec<&str> = common.into_iter().filter(|key| own.get(key).is_some()).collect();
        assert!(both.is_empty(), "{model} has {both:?}");
    }
}

#[test]
fn lsuv_gives_every_layer_unit_variance() {
    let config = NetworkConfig { params: json!({"widths": [8, 12, 16], "norm": "none", "convs": 2}), ..tiny() };
    let (network, vars) = network(&config);
    let rules = [Rule { at: "backbone.*".into(), start: Start::Orthogonal { gain: 0.2 } }];
    init::restart(&vars, 5, &rules).unwrap();
    let x = tensor("x", &[8, 3, 16, 16], DType::F32, 1.0, 0.0);
    let variances = init::lsuv(&network, &vars, &x).unwrap();
    assert_eq!(variances.len(), 6);
    assert_eq!(variances[0].0, "backbone.stage1.conv0.weight");
    assert!(variances.iter().all(|(_, v)| (v - 1.0).abs() < 0.1), "{variances:?}");
}

/// A new network has the norms of folded weights, whatever they add to variances.
#[test]
fn unfolded_norms_say_in_training_what_they_say_in_evaluation() {
    [1e-5, 1e-3].into_iter().for_each(unfolded);
}

fn unfolded(eps: f64) {
    let params = json!({"eps": eps});
    let config = NetworkConfig { model: "mobilenetv2_050".into(), params, ..tiny() };
    let (network, vars) = network(&config);
    let x = tensor("x", &[8, 3, 48, 48], DType::F32, 1.0, 0.0);
    let said = |pass: &mut Pass<'_>| network.forward(&x, None, pass).unwrap();
    let apart = |a: &Tensor, b: &Tensor| {
        let norm = |t: &Tensor| t.sqr().unwrap().sum_all().unwrap().to_scalar::<f32>().unwrap().sqrt();
        norm(&(a - b).unwrap()) / norm(b)
    };
    let train = || Pass { update_stats: false, ..Pass::train(0) };
    let before = said(&mut Pass::eval());
    assert!(init::is_folded(&vars).unwrap() && apart(&said(&mut train()), &before) > 0.1);
    assert_eq!(init::unfold(&network, &vars, &x).unwrap(), 52);
    let after = said(&mut Pass::eval());
    assert!(!init::is_folded(&vars).unwrap());
    assert!(apart(&after, &before) < 1e-4, "eps {eps}: {}", apart(&after, &before));
    assert!(apart(&said(&mut train()), &before) < 1e-2, "{}", apart(&said(&mut train()), &before));
}
