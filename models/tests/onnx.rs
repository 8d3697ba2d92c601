//! Exported networks say what the reference says, and what `Network::forward` says: run here by tract, and by onnxruntime in
//! `xtask/fixtures/onnx_check.py`.
#![allow(clippy::unwrap_used, clippy::print_stdout)]

mod common;

use candle_core::{DType, Device, Tensor};
use candle_nn::VarMap;
use common::formula;
use sconce_models::heads::HEADS;
use sconce_models::joins::JOINS;
use sconce_models::ops::{Act, Block, Pool, Program, block, concat, k};
use sconce_models::parts::Choice;
use sconce_models::pools::POOLS;
use sconce_models::{Network, NetworkConfig, Pass, init, onnx::Graph};
use serde_json::{Value, json};
use std::collections::BTreeSet;
use std::path::Path;
use tract_onnx::prelude::{DatumExt, Framework, InferenceModelExt, IntoRunnable, Tensor as TractTensor, onnx};

/// Variables from the formula that the golden values know, convolutions times `gain`.
fn fill(vars: &VarMap, gain: f64) {
    for (name, var) in vars.data().lock().unwrap().iter() {
        let value = formula(0, name, var.dims(), var.dtype());
        let value = if var.rank() == 4 { (value * gain).unwrap() } else { value };
        // The exponent of a pool stays a positive one.
        if name != "pool.p" {
            var.set(&if name.ends_with("running_var") { (value + 1.0).unwrap() } else { value }).unwrap();
        }
    }
}

fn network(config: NetworkConfig) -> Network {
    filled(&config, 1.0, DType::F32)
}

fn filled(config: &NetworkConfig, gain: f64, dtype: DType) -> Network {
    let vars = VarMap::new();
    let network = Network::new(config, init::seeded(&vars, 0, dtype, &Device::Cpu)).unwrap();
    fill(&vars, gain);
    network
}

fn numbers(t: &Tensor) -> Vec<f32> {
    t.flatten_all().unwrap().to_vec1().unwrap()
}

fn distance(ours: &[f32], theirs: &[f32]) -> f64 {
    assert_eq!(ours.len(), theirs.len());
    let norm = |v: &mut dyn Iterator<Item = f64>| v.map(|v| v * v).sum::<f64>().sqrt();
    let off = norm(&mut ours.iter().zip(theirs).map(|(&a, &b)| f64::from(a) - f64::from(b)));
    off / norm(&mut theirs.iter().map(|&v| f64::from(v)))
}

/// What the file says of `inputs`.
fn run(file: &[u8], inputs: &[&Tensor]) -> Vec<f32> {
    let mut model = onnx().model_for_read(&mut &*file).unwrap();
    for (i, x) in inputs.iter().enumerate() {
        model.set_input_fact(i, f32::fact(x.dims()).into()).unwrap();
    }
    let model = model.into_optimized().unwrap().into_runnable().unwrap();
    let inputs = inputs.iter().map(|x| TractTensor::from_shape(x.dims(), &numbers(x)).unwrap().into());
    let said = model.run(inputs.collect()).unwrap();
    said[0].try_as_plain_ram().unwrap().as_slice::<f32>().unwrap().to_vec()
}

/// A network of the golden values: what it is called, what it is, the shape of its pictures and its logits.
struct Row {
    name: String,
    config: NetworkConfig,
    gain: f64,
    images: Vec<usize>,
    logits: Vec<f32>,
}

impl Row {
    fn images(&self, dtype: DType) -> Tensor {
        formula(0, "images", &self.images, dtype)
    }

    fn exported(&self, fold: bool) -> Vec<u8> {
        let mut network = filled(&self.config, self.gain, DType::F32);
        if fold {
            network.fold().unwrap();
        }
        let &[.., height, width] = &self.images[..] else { panic!("{:?}", self.images) };
        network.onnx((height, width), &[("classes", "[]".into())]).unwrap()
    }
}

fn golden() -> Vec<Row> {
    let golden: Value = serde_json::from_str(include_str!("golden/parity.json")).unwrap();
    let row = |(name, row): (&String, &Value)| {
        let number = |key: &str| row[key].as_u64().unwrap() as usize;
        let (model, params) = (row["model"].as_str().unwrap_or(name).into(), row["params"].clone());
        let depth: Vec<usize> = row["depth"].as_u64().map(|depth| depth as usize).into_iter().collect();
        Row {
            name: name.clone(),
            config: NetworkConfig { model, params, classes: 7, ..NetworkConfig::default() },
            gain: row["gain"].as_f64().unwrap_or(1.0),
            images: [vec![number("batch"), 3], depth, vec![number("size"); 2]].concat(),
            logits: row["logits"].as_array().unwrap().iter().map(|v| v.as_f64().unwrap() as f32).collect(),
        }
    };
    golden["networks"].as_object().unwrap().iter().map(row).collect()
}

#[test]
fn exported_networks_say_what_the_reference_says() {
    for row in golden() {
        let off = distance(&run(&row.exported(true), &[&row.images(DType::F32)]), &row.logits);
        println!("{}: relative distance {off:.1e}", row.name);
        assert!(off <= 1e-4, "{}: relative distance {off:.1e}", row.name);
    }
}

/// Candle's ConvNeXt V2 and ours are one network, whose logits are timm's.
#[test]
fn response_norms_are_the_reference_s() {
    for (name, own) in [("frozen_convnextv2_atto", "convnext_atto"), ("frozen_convnextv2_tiny", "convnext_tiny")] {
        let row = golden().into_iter().find(|row| row.name == name).unwrap();
        let params = json!({"response_norm": true, "layer_scale": 0});
        let network = network(NetworkConfig { model: own.into(), params, ..row.config.clone() });
        let ours = numbers(&network.forward(&row.images(DType::F32), None, &mut Pass::eval()).unwrap());
        let off = distance(&ours, &row.logits);
        assert!(off <= 1e-4, "{own}: relative distance {off:.1e}");
    }
}

/// Files for `xtask/fixtures/onnx_check.py`.
#[test]
#[ignore = "writes a file a model; run it before onnx_check.py"]
fn files_for_onnxruntime() {
    let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join("onnx");
    std::fs::create_dir_all(&folder).unwrap();
    for row in golden() {
        std::fs::write(folder.join(format!("{}.onnx", row.name)), row.exported(true)).unwrap();
    }
    println!("{}", folder.display());
}

#[test]
fn folded_networks_give_the_same_logits() {
    for row in golden() {
        let mut network = filled(&row.config, row.gain, DType::F64);
        // Those that never learn have no batch norms, and candle no F64 for them.
        if network.frozen() {
            continue;
        }
        let logits = |network: &Network| {
            let logits = network.forward(&row.images(DType::F64), None, &mut Pass::eval()).unwrap();
            logits.flatten_all().unwrap().to_vec1::<f64>().unwrap()
        };
        let plain = logits(&network);
        network.fold().unwrap();
        let norm = plain.iter().map(|v| v * v).sum::<f64>().sqrt();
        let off = logits(&network).iter().zip(&plain).map(|(a, b)| (a - b).powi(2)).sum::<f64>().sqrt() / norm;
        println!("{}: relative distance {off:.1e}", row.name);
        assert!(off <= 1e-10, "{}: relative distance {off:.1e}", row.name);
    }
}

/// Every node, activation and edge, on a map that no stride divides.
fn programs() -> Vec<(&'static str, Program)> {
    let acts = [
        Act::Relu,
        Act::Relu6,
        Act::Silu,
        Act::Sigmoid,
        Act::Gelu,
        Act::HardSwish,
        Act::HardSigmoid,
        Act::Mish,
        Act::Tanh,
    ];
    let all: Vec<(&str, sconce_models::Result<Program>)> = vec![
        ("activations", block(6, |x| acts.iter().fold(x, |x, &f| x.act(f) + x))),
        ("gate", block(6, |x| x.scale(x.global_pool().conv("gate", 6, k(1).bias()).act(Act::Sigmoid)))),
        ("norms", block(6, |x| x.norm("first").relu().conv("conv", 8, k(3).groups(2)).norm("second").drop_path(0.5))),
        ("branches", block(6, |x| concat(x.pad_channels(1, 2), &[x, x.depthwise("dw", k(3).dilation(2))]))),
        ("spread map", block(6, |x| x.at_least(10).times(0.5).conv("conv", 4, k(9).pad(0)))),
        ("linear pools", block(6, |x| x.pool(Pool::Avg, k(1).stride(2)).pool(Pool::Max, k(3).stride(2)))),
    ];
    let windows = [
        ("dilated", k(3).stride(2).dilation(2)),
        ("dilated, ceil", k(2).pad(0).stride(2).dilation(3).ceil()),
        ("even", k(3).stride(2)),
        ("far", k(4).stride(3).pads(1, 2)),
        ("ceil", k(3).stride(2).ceil()),
        ("ceil, unpadded", k(2).pad(0).stride(2).ceil()),
        ("ceil, overhanging", k(3).pad(0).stride(3).ceil()),
        ("same", k(5).stride(2).same()),
    ];
    let mut programs: Vec<(&str, Program)> = all.into_iter().map(|(name, p)| (name, p.unwrap())).collect();
    for (name, at) in windows {
        for f in [Pool::Max, Pool::Avg, Pool::AvgInside] {
            programs.push((name, block(6, |x| x.pool(f, at)).unwrap()));
        }
        if !name.ends_with("ceil") && !name.starts_with("ceil") {
            programs.push((name, block(6, |x| x.conv("conv", 4, at.bias())).unwrap()));
        }
    }
    programs
}

#[test]
fn exported_blocks_say_what_ours_say() {
    let (height, width) = (11, 8);
    let maps = formula(0, "images", &[2, height, width, 6], DType::F32);
    let images = maps.permute((0, 3, 1, 2)).unwrap().contiguous().unwrap();
    for (name, program) in programs() {
        let vars = VarMap::new();
        let block = Block::new(program, init::seeded(&vars, 0, DType::F32, &Device::Cpu)).unwrap();
        fill(&vars, 1.0);
        let mut graph = Graph::default();
        let x = graph.input("images", &[6, height, width]);
        let (y, (h, w)) = graph.block(&block, &x, (height, width)).unwrap();
        graph.output("map", &y, &[block.program().out_channels(), h, w]);
        let ours = block.forward(&maps, &Pass::eval()).unwrap().permute((0, 3, 1, 2)).unwrap();
        let off = distance(&run(&graph.model(&[]).unwrap(), &[&images]), &numbers(&ours));
        assert!(off <= 1e-5, "{name}: relative distance {off:.1e}");
    }
}

/// As it is written when it has not been folded: with its batch norms.
#[test]
fn batch_norms_are_written_too() {
    let row = golden().into_iter().find(|row| row.name == "resnet18").unwrap();
    let (plain, folded) = (row.exported(false), row.exported(true));
    assert!(distance(&run(&plain, &[&row.images(DType::F32)]), &row.logits) <= 1e-4);
    let named = |file: &[u8]| file.windows(18).any(|w| w == b"BatchNormalization");
    assert!(named(&plain) && !named(&folded));
}

/// How far the file of a network is from what that says itself of two samples with pictures of these sides.
fn off(config: &NetworkConfig, sides: &[usize]) -> f64 {
    let network = network(config.clone());
    let views = (config.views > 1).then_some(config.views);
    let shape: Vec<usize> =
        [2].into_iter().chain(views).chain([config.channels]).chain(sides.iter().copied()).collect();
    let images = formula(0, "images", &shape, DType::F32);
    let features = (config.meta > 0).then(|| formula(0, "features", &[2, config.meta], DType::F32));
    let ours = numbers(&network.forward(&images, features.as_ref(), &mut Pass::eval()).unwrap());
    assert!(ours.iter().all(|v| v.is_finite()) && ours[1..].iter().any(|v| *v != ours[0]), "{ours:?}");
    let &[.., height, width] = sides else { panic!("{sides:?}") };
    let file = network.onnx((height, width), &[]).unwrap();
    let graph = onnx().proto_model_for_read(&mut &*file).unwrap().graph.unwrap();
    let names: Vec<_> = graph.initializer.iter().map(|tensor| &tensor.name).collect();
    assert_eq!(names.iter().collect::<BTreeSet<_>>().len(), names.len(), "{names:?}");
    distance(&run(&file, &[&images].into_iter().chain(&features).collect::<Vec<_>>()), &ours)
}

const CLASSES: usize = 4;

/// A few channels, and a neck, with three features beside.
fn tiny() -> NetworkConfig {
    NetworkConfig {
        model: "convnext_atto".into(),
        params: json!({"depths": [1, 1], "dims": [8, 12]}),
        classes: CLASSES,
        meta: 3,
        meta_hidden: vec![5, 4],
        ..NetworkConfig::default()
    }
}

/// A choice of `name` that can be built without the data.
fn choice(name: &str) -> Choice {
    let counts = [[7.0, 2.0, 1.0, 0.0], [3.0, 5.0, 0.0, 2.0], [1.0, 0.0, 9.0, 0.0], [0.0, 4.0, 0.0, 6.0]];
    match name {
        "graph" => Choice::with(name, json!({"confusion": counts})),
        _ => Choice::new(name),
    }
}

#[test]
fn every_pool_join_and_head_says_the_same_elsewhere() {
    let joins = JOINS.1.iter().map(|join| Some(join.name)).chain([None]);
    for join in joins {
        for (pool, head) in POOLS.1.iter().flat_map(|pool| HEADS.1.iter().map(move |head| (pool.name, head.name))) {
            let (views, joined) = join.map_or((1, "mean"), |join| (3, join));
            let (pool, head) = (choice(pool), choice(head));
            let config = NetworkConfig { views, join: choice(joined), pool, head, ..tiny() };
            let off = off(&config, &[16, 12]);
            let what = format!("{}, {join:?}, {}", config.pool.name, config.head.name);
            assert!(off <= 1e-4, "{what}: relative distance {off:.1e}");
        }
    }
}

#[test]
fn parameters_of_parts_are_written_too() {
    let check = |config: NetworkConfig| {
        let off = off(&config, &[16, 12]);
        assert!(off <= 1e-4, "{:?} {:?} {:?}: relative distance {off:.1e}", config.pool, config.join, config.head);
    };
    for (name, params) in [
        ("gem", json!({"p": 1.5, "eps": 1e-3})),
        ("attention", json!({"norm": false})),
        ("attention", json!({"hidden": []})),
    ] {
        check(NetworkConfig { pool: Choice::with(name, params), ..tiny() });
    }
    for (name, params) in [
        ("mean", json!({"behind": true})),
        ("max", json!({"behind": true})),
        ("attention", json!({"gated": true})),
        ("noisy_or", json!({"leak": 0.1})),
    ] {
        let join = Choice::with(name, params);
        check(NetworkConfig { join: join.clone(), views: 3, ..tiny() });
        check(NetworkConfig { join, views: 2, meta: 0, pool: choice("concat"), ..tiny() });
    }
    for (name, params) in [
        ("mlp", json!({"hidden": [6, 5], "norm": false})),
        ("mlp", json!({"hidden": []})),
        ("cosine", json!({"scale": 8, "centres": 3})),
        ("bag", json!({"heads": 3, "of": {"name": "mlp", "hidden": [6]}})),
        ("bag", json!({"heads": 1, "of": {"name": "cosine", "centres": 2}})),
        ("distribution", json!({"mean": true, "values": [1, 2, 5, -3]})),
        ("trajectory", json!({"modes": 1, "steps": 3, "hidden": 6})),
    ] {
        check(NetworkConfig { head: Choice::with(name, params), ..tiny() });
    }
}

/// Volumes of another depth than the one that a summary counts with, and blocks that are candle code.
#[test]
fn volumes_and_masks_of_candle_code_say_the_same_elsewhere() {
    let of = |model: &str, params: Value| NetworkConfig { model: model.into(), params, ..NetworkConfig::default() };
    for filter in ["full", "mixed", "split"] {
        let params = json!({"filter": filter, "layers": [1, 1, 1], "width": 8, "act": "hard_swish"});
        for (depth, views) in [(3, 1), (6, 2)] {
            let off = off(&NetworkConfig { views, ..of("r3d_18", params.clone()) }, &[depth, 14, 10]);
            assert!(off <= 1e-4, "{filter}, {depth} slices, {views} views: relative distance {off:.1e}");
        }
    }
    for attention in ["channel", "spatial"] {
        let params = json!({"modules": [1, 1, 1], "width": 4, "attention": attention});
        let off = off(&of("attention56_cifar", params), &[24, 16]);
        assert!(off <= 1e-4, "{attention}: relative distance {off:.1e}");
    }
    for conv_mlp in [false, true] {
        let own = json!({"depths": [1, 2], "dims": [8, 12], "response_norm": true, "conv_mlp": conv_mlp});
        let off = off(&of("convnext_atto", own), &[24, 16]);
        assert!(off <= 1e-4, "response norm: relative distance {off:.1e}");
    }
}

#[test]
fn tabular_features_are_a_second_input() {
    let network = network(NetworkConfig { meta: 2, classes: 3, ..NetworkConfig::default() });
    let images = formula(0, "images", &[2, 3, 32, 32], DType::F32);
    let features = Tensor::new(&[[0.5f32, -1.0], [2.0, 0.0]], &Device::Cpu).unwrap();
    let ours = numbers(&network.forward(&images, Some(&features), &mut Pass::eval()).unwrap());
    let file = network.onnx((32, 32), &[("classes", "[\"é\"]".into())]).unwrap();
    let off = distance(&run(&file, &[&images, &features]), &ours);
    assert!(off <= 1e-5, "relative distance {off:.1e}");
    let metadata = onnx().proto_model_for_read(&mut &*file).unwrap().metadata_props;
    assert!(metadata.iter().any(|pair| pair.key == "classes" && pair.value == "[\"é\"]"));
}

#[test]
fn what_cannot_be_written_is_named() {
    let message = |program: Program| {
        let block = Block::new(program, init::seeded(&VarMap::new(), 0, DType::F32, &Device::Cpu)).unwrap();
        let mut graph = Graph::default();
        let x = graph.input("images", &[6, 9, 9]);
        graph.block(&block, &x, (9, 9)).unwrap_err().to_string()
    };
    let plain = block(6, |x| x.plain(6, &[], |x, _| Ok(x[0].clone())));
    assert!(message(plain.unwrap()).contains("code of its own, and nothing says what it is in ONNX"));
    let error = network(NetworkConfig::default()).onnx((8, 8), &[]).unwrap_err().to_string();
    assert!(error.contains("does not fit"), "{error}");
}
