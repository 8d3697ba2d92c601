//! One training step and twenty SGD steps against PyTorch's float64 (`xtask/fixtures/models.py`).
#![allow(clippy::unwrap_used, clippy::print_stdout)]

mod common;

use candle_core::{DType, Device, Tensor, Var};
use candle_nn::{VarMap, loss::cross_entropy};
use common::formula;
use sconce_models::backbones::whitening;
use sconce_models::{Grad, Network, NetworkConfig, Pass, init};
use serde_json::Value;
use std::collections::BTreeMap;

struct Setup {
    golden: Value,
    network: Network,
    vars: BTreeMap<String, Var>,
    images: Var,
    labels: Tensor,
}

fn setup(golden: Value, dtype: DType) -> Setup {
    // The golden seeds are those where no ReLU flips for an error like PyTorch's own; F(4×4) has a larger one (`ops.rs` bounds it).
    sconce_models::ops::set_winograd(sconce_models::ops::Tile::Two);
    let number = |key: &str| golden[key].as_u64().unwrap() as usize;
    let (seed, batch, size, classes) = (number("seed") as u64, number("batch"), number("size"), number("classes"));
    let map = VarMap::new();
    let (model, params) = (golden["model"].as_str().unwrap().into(), golden["params"].clone());
    let config = NetworkConfig { model, params, classes, ..NetworkConfig::default() };
    let network = Network::new(&config, init::seeded(&map, 0, dtype, &Device::Cpu)).unwrap();
    let vars: BTreeMap<String, Var> = map.data().lock().unwrap().clone().into_iter().collect();
    for (name, var) in vars.iter().filter(|(name, _)| !name.contains("running")) {
        var.set(&formula(seed, name, var.dims(), dtype)).unwrap();
    }
    let depth = golden["depth"].as_u64().map(|depth| depth as usize);
    let shape: Vec<usize> = [batch, 3].into_iter().chain(depth).chain([size, size]).collect();
    let images = Var::from_tensor(&formula(seed, "images", &shape, dtype)).unwrap();
    let labels: Vec<u32> = (0..batch).map(|i| ((3 * i + 1) % classes) as u32).collect();
    Setup { golden, network, vars, images, labels: Tensor::new(labels, &Device::Cpu).unwrap() }
}

/// Relative L2 distance of the sampled entries (few small ones: relative to what the norm says of so many), and of the
/// norms, must be at most `tolerance`; the norm itself where the
/// exact value is 0 (the bias of a norm that only another norm reads).
fn compare(golden: &Value, key: &str, ours: &Tensor, tolerance: f64) -> f64 {
    let flat = ours.to_dtype(DType::F64).unwrap().flatten_all().unwrap().to_vec1::<f64>().unwrap();
    let want = &golden["tensors"][key];
    assert!(want.is_object(), "no golden values for '{key}'");
    let norm = flat.iter().map(|v| v * v).sum::<f64>().sqrt();
    let want_norm = want["norm"].as_f64().unwrap();
    if want_norm < 1e-10 {
        assert!(norm <= tolerance, "{key}: norm {norm:e} > {tolerance:e}");
        return norm;
    }
    let at = want["at"].as_array().unwrap().iter().map(|i| i.as_u64().unwrap() as usize);
    let values = want["values"].as_array().unwrap().iter().map(|v| v.as_f64().unwrap());
    let (mut off, mut all, mut count) = (0.0, 0.0, 0.0);
    for (i, value) in at.zip(values) {
        off += (flat[i] - value).powi(2);
        all += value * value;
        count += 1.0;
    }
    let expected = want_norm * want_norm * count / flat.len() as f64;
    let distance = (off / f64::max(all, expected)).sqrt().max((norm / want_norm - 1.0).abs());
    assert!(distance <= tolerance, "{key}: relative distance {distance:e} > {tolerance:e}");
    distance
}

fn one_step(golden: &str, dtype: DType, tolerance: f64) {
    let s = setup(serde_json::from_str(golden).unwrap(), dtype);
    let logits = s.network.forward(&s.images, None, &mut Pass::train(0)).unwrap();
    let loss = cross_entropy(&logits, &s.labels).unwrap();
    let gradients = loss.backward().unwrap();
    let mut worst = compare(&s.golden, "loss", &loss.reshape(1).unwrap(), tolerance);
    worst = worst.max(compare(&s.golden, "grad images", gradients.get(&s.images).unwrap(), tolerance));
    let mut compared = 2;
    for (name, var) in &s.vars {
        let (key, tensor) = match name.contains("running") {
            true => (format!("stat {name}"), var.as_tensor()),
            false => (format!("grad {name}"), gradients.get(var).unwrap_or_else(|| panic!("no gradient for {name}"))),
        };
        let distance = compare(&s.golden, &key, tensor, tolerance);
        assert!(distance.is_finite(), "{key}");
        worst = worst.max(distance);
        compared += 1;
    }
    assert_eq!(compared, s.golden["tensors"].as_object().unwrap().len());
    println!("{} {dtype:?}: {compared} tensors, worst relative distance {worst:.2e}", s.golden["model"]);
}

fn twenty_steps(golden: &str) {
    twenty_steps_in(golden, DType::F32);
}

fn twenty_steps_in(golden: &str, dtype: DType) {
    let s = setup(serde_json::from_str(golden).unwrap(), dtype);
    let want = s.golden["losses"].as_array().unwrap();
    assert_eq!(want.len(), 21);
    let mut worst = 0f64;
    for (step, want) in want.iter().enumerate() {
        let logits = s.network.forward(&s.images.as_detached_tensor(), None, &mut Pass::train(0)).unwrap();
        let loss = cross_entropy(&logits, &s.labels).unwrap();
        let (ours, want) = (loss.to_dtype(DType::F64).unwrap().to_scalar::<f64>().unwrap(), want.as_f64().unwrap());
        worst = worst.max((ours - want).abs());
        assert!((ours - want).abs() <= 1e-3, "step {step}: loss {ours}, PyTorch {want}");
        let gradients = loss.backward().unwrap();
        for var in s.vars.values() {
            if let Some(gradient) = gradients.get(var) {
                var.set(&(var.as_detached_tensor() - (gradient.detach() * 0.01).unwrap()).unwrap()).unwrap();
            }
        }
    }
    println!("{}: worst difference of twenty losses {worst:.2e}", s.golden["model"]);
}

/// The whole network forward: in training, then in evaluation with the running statistics that this left.
fn whole(golden: &str) {
    let golden: Value = serde_json::from_str(golden).unwrap();
    let mut whole = golden["whole"].clone();
    whole["model"] = golden["model"].clone();
    let s = setup(whole, DType::F64);
    for (key, mut pass) in [("train", Pass { grad: Grad::None, ..Pass::train(0) }), ("eval", Pass::eval())] {
        let distance = distance(&s.network.forward(&s.images, None, &mut pass).unwrap(), &s.golden[key]);
        assert!(distance <= 1e-9, "{} {key}: relative distance {distance:e}", s.golden["model"]);
    }
}

fn distance(ours: &Tensor, want: &Value) -> f64 {
    let ours = ours.flatten_all().unwrap().to_vec1::<f64>().unwrap();
    let want: Vec<f64> = want.as_array().unwrap().iter().map(|v| v.as_f64().unwrap()).collect();
    assert_eq!(ours.len(), want.len());
    let norm = want.iter().map(|v| v * v).sum::<f64>().sqrt();
    ours.iter().zip(&want).map(|(a, b)| (a - b).powi(2)).sum::<f64>().sqrt() / norm
}

const RESNET20: &str = include_str!("golden/resnet20.json");
const RESNET18: &str = include_str!("golden/resnet18.json");
/// All relatives in one: grouped, squeezed, anti-aliased, with a deep stem and averaging shortcuts.
const RESNET50D: &str = include_str!("golden/resnet50d.json");
const WIDE_RESNET: &str = include_str!("golden/wide_resnet16_4.json");
const EFFICIENTNET: &str = include_str!("golden/efficientnet_b0.json");
const MOBILENET: &str = include_str!("golden/mobilenetv2_100.json");
/// Separable convolutions; squeeze and excitation with hard gates and a head behind the pooling; fused blocks, TensorFlow's
/// padding and norms.
const DEPTHWISE: [&str; 3] = [
    include_str!("golden/mobilenetv1_100.json"),
    include_str!("golden/mobilenetv3_small_100.json"),
    include_str!("golden/tf_efficientnetv2_s.json"),
];
const CONVNEXT: &str = include_str!("golden/convnext_tiny.json");
const VIT: &str = include_str!("golden/vit_tiny_patch16_224.json");
const INCEPTION: &str = include_str!("golden/inception_v3.json");
const ATTENTION: &str = include_str!("golden/attention.json");
const ATTENTION_CHANNEL: &str = include_str!("golden/attention_channel.json");
const ATTENTION_SPATIAL: &str = include_str!("golden/attention_spatial.json");
const R3D: &str = include_str!("golden/r3d_18.json");
const R2PLUS1D: &str = include_str!("golden/r2plus1d_18.json");

/// Small networks of the plain families.
const PLAIN: [&str; 7] = [
    include_str!("golden/vgg11.json"),
    include_str!("golden/vgg11_bn.json"),
    include_str!("golden/densenet100_cifar.json"),
    include_str!("golden/squeezenet1_1.json"),
    include_str!("golden/xception.json"),
    include_str!("golden/airbench94.json"),
    include_str!("golden/baseline.json"),
];

#[test]
fn resnet20_step_in_f32() {
    one_step(RESNET20, DType::F32, 1e-4);
}

#[test]
fn resnet20_step_in_f64() {
    one_step(RESNET20, DType::F64, 1e-9);
}

#[test]
fn resnet18_step_in_f32() {
    one_step(RESNET18, DType::F32, 1e-4);
}

#[test]
fn resnet18_step_in_f64() {
    one_step(RESNET18, DType::F64, 1e-9);
}

#[test]
fn relatives_of_resnet_step_in_f32() {
    one_step(RESNET50D, DType::F32, 1e-4);
    one_step(WIDE_RESNET, DType::F32, 1e-4);
}

#[test]
fn relatives_of_resnet_step_in_f64() {
    one_step(RESNET50D, DType::F64, 1e-9);
    one_step(WIDE_RESNET, DType::F64, 1e-9);
}

#[test]
fn relatives_of_resnet_follow_pytorch_for_twenty_steps() {
    twenty_steps(RESNET50D);
    twenty_steps(WIDE_RESNET);
}

#[test]
fn resnet20_follows_pytorch_for_twenty_steps() {
    twenty_steps(RESNET20);
}

#[test]
fn resnet18_follows_pytorch_for_twenty_steps() {
    twenty_steps(RESNET18);
}

#[test]
fn efficientnet_step_in_f32() {
    one_step(EFFICIENTNET, DType::F32, 1e-4);
}

#[test]
fn efficientnet_step_in_f64() {
    one_step(EFFICIENTNET, DType::F64, 1e-9);
}

#[test]
fn mobilenet_step_in_f32() {
    one_step(MOBILENET, DType::F32, 1e-4);
}

#[test]
fn mobilenet_step_in_f64() {
    one_step(MOBILENET, DType::F64, 1e-9);
}

#[test]
fn depthwise_networks_steps_in_f32() {
    DEPTHWISE.iter().for_each(|golden| one_step(golden, DType::F32, 1e-4));
}

#[test]
fn depthwise_networks_steps_in_f64() {
    DEPTHWISE.iter().for_each(|golden| one_step(golden, DType::F64, 1e-9));
}

#[test]
fn depthwise_networks_follow_pytorch_for_twenty_steps() {
    DEPTHWISE.iter().for_each(|golden| twenty_steps(golden));
}

#[test]
fn whole_depthwise_networks_say_what_timm_s_do() {
    DEPTHWISE.iter().for_each(|golden| whole(golden));
}

#[test]
fn convnext_step_in_f32() {
    one_step(CONVNEXT, DType::F32, 1e-4);
}

#[test]
fn convnext_step_in_f64() {
    one_step(CONVNEXT, DType::F64, 1e-9);
}

#[test]
fn vision_transformer_step_in_f32() {
    one_step(VIT, DType::F32, 1e-4);
}

#[test]
fn vision_transformer_step_in_f64() {
    one_step(VIT, DType::F64, 1e-9);
}

#[test]
fn networks_of_layer_norms_follow_pytorch_for_twenty_steps() {
    twenty_steps(CONVNEXT);
    twenty_steps(VIT);
}

#[test]
fn inverted_residuals_follow_pytorch_for_twenty_steps() {
    twenty_steps(EFFICIENTNET);
    twenty_steps(MOBILENET);
}

#[test]
fn whole_networks_of_inverted_residuals_say_what_timm_s_do() {
    whole(EFFICIENTNET);
    whole(MOBILENET);
}

#[test]
fn inception_step() {
    one_step(INCEPTION, DType::F64, 1e-9);
    // PyTorch's own float32 is off by 1e-4 here.
    one_step(INCEPTION, DType::F32, 1e-3);
}

/// The auxiliary head speaks in training where somebody listens, and learns from what is said there.
#[test]
fn auxiliary_logits_of_inception_are_torchvision_s() {
    let golden: Value = serde_json::from_str(INCEPTION).unwrap();
    let mut spec = golden["auxiliary"].clone();
    spec["model"] = golden["model"].clone();
    let s = setup(spec, DType::F64);
    let tapped = |pass: Pass<'static>| {
        let mut seen = BTreeMap::new();
        let mut tap = |name: &str, x: &Tensor| drop(seen.insert(name.to_string(), x.clone()));
        let mut pass = Pass { taps: Some(&mut tap), ..pass };
        (s.network.forward(&s.images, None, &mut pass).unwrap(), seen)
    };
    let (_, seen) = tapped(Pass::eval());
    assert_eq!((seen.len(), seen.contains_key("aux")), (12, false));
    let (logits, mut seen) = tapped(Pass::train(0));
    assert_eq!(seen.len(), 13);
    let aux = seen.remove("aux").unwrap();
    assert!(distance(&logits, &s.golden["train"]) < 1e-9);
    assert!(distance(&aux, &s.golden["aux"]) < 1e-9);
    let store = (logits.sum_all().unwrap() + (aux.sqr().unwrap().sum_all().unwrap() * 0.4).unwrap()).unwrap();
    let store = store.backward().unwrap();
    for (name, want) in s.golden["gradients"].as_object().unwrap() {
        let slope = store.get(&s.vars[&format!("backbone.{name}")]).unwrap().flatten_all().unwrap();
        let norm = slope.sqr().unwrap().sum_all().unwrap().to_scalar::<f64>().unwrap().sqrt();
        assert!((norm / want["norm"].as_f64().unwrap() - 1.0).abs() < 1e-9, "{name}: norm {norm}");
        assert!(distance(&slope.narrow(0, 0, 4).unwrap(), &want["first"]) < 1e-8, "{name}");
    }
}

#[test]
fn residual_attention_steps() {
    // Lengths and deviations cost digits: what the last one of a weight changes is up to 1e-4 of a gradient.
    for (golden, tolerance) in [(ATTENTION, 1e-4), (ATTENTION_CHANNEL, 1e-3), (ATTENTION_SPATIAL, 1e-3)] {
        one_step(golden, DType::F64, 1e-9);
        one_step(golden, DType::F32, tolerance);
    }
    // Its steps magnify the last digit of single precision a thousand times.
    twenty_steps_in(ATTENTION, DType::F64);
}

#[test]
fn steps_on_volumes() {
    for golden in [R3D, R2PLUS1D] {
        one_step(golden, DType::F64, 1e-9);
        one_step(golden, DType::F32, 1e-4);
    }
    twenty_steps(R3D);
}

#[test]
fn steps_of_plain_families_in_f32() {
    PLAIN.iter().for_each(|golden| one_step(golden, DType::F32, 1e-4));
}

#[test]
fn steps_of_plain_families_in_f64() {
    PLAIN.iter().for_each(|golden| one_step(golden, DType::F64, 1e-9));
}

#[test]
fn plain_families_follow_pytorch_for_twenty_steps() {
    PLAIN.iter().for_each(|golden| twenty_steps(golden));
}

#[test]
fn whitening_filters_are_numpy_s() {
    let golden: Value = serde_json::from_str(include_str!("golden/whitening.json")).unwrap();
    let want: Vec<f64> = golden["filters"].as_array().unwrap().iter().map(|v| v.as_f64().unwrap()).collect();
    let filters = whitening(&formula(0, "images", &[2, 3, 9, 7], DType::F64), 2).unwrap();
    assert_eq!(filters.dims(), [24, 3, 2, 2]);
    let ours = filters.flatten_all().unwrap().to_vec1::<f64>().unwrap();
    let worst = ours.iter().zip(&want).map(|(a, b)| (a - b).abs()).fold(0.0, f64::max);
    assert!(ours.len() == want.len() && worst <= 1e-9, "{worst:e}");
    println!("whitening: worst difference {worst:.2e}");
}
