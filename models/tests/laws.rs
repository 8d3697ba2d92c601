//! Laws that every model of the table keeps.
#![allow(clippy::unwrap_used)]

use candle_core::{DType, Device, Tensor};
use candle_nn::VarMap;
use sconce_models::{Grad, Network, NetworkConfig, Pass, init, models, resolve};
use std::collections::BTreeSet;

/// Published numbers of parameters for so many classes: torchvision, the paper's table 6, pytorch-cifar, timm,
/// ResidualAttentionNetwork-pytorch without the shortcuts that it makes and does not use.
const PARAMETERS: &[(&str, usize, usize)] = &[
    ("resnet18", 1000, 11_689_512),
    ("resnet34", 1000, 21_797_672),
    ("resnet50", 1000, 25_557_032),
    ("resnet20", 10, 269_722),
    ("resnet32", 10, 464_154),
    ("resnet44", 10, 658_586),
    ("resnet56", 10, 853_018),
    ("resnet110", 10, 1_727_962),
    ("resnet18_cifar", 10, 11_173_962),
    ("efficientnet_b0", 1000, 5_288_548),
    ("mobilenetv2_100", 1000, 3_504_872),
    ("inception_v3", 1000, 23_834_568),
    ("attention56", 1000, 31_810_728),
    ("attention92", 1000, 52_466_344),
    ("attention56_cifar", 10, 1_081_850),
    ("attention92_cifar", 10, 1_825_722),
    ("attention236_cifar", 10, 4_801_210),
    ("attention452_cifar", 10, 9_264_442),
    ("r3d_18", 400, 33_371_472),
    ("mc3_18", 400, 11_695_440),
    ("r2plus1d_18", 400, 31_505_325),
];

fn network(model: &str, classes: usize, seed: u64) -> (Network, VarMap) {
    let vars = VarMap::new();
    let config = NetworkConfig { model: model.into(), classes, ..NetworkConfig::default() };
    let network = Network::new(&config, init::seeded(&vars, seed, DType::F32, &Device::Cpu)).unwrap();
    (network, vars)
}

fn pictures(batch: usize, height: usize, width: usize) -> Tensor {
    shaped(&[batch, 3, height, width])
}

fn shaped(shape: &[usize]) -> Tensor {
    let count = shape.iter().product::<usize>();
    let values = (0..count).map(|i| ((i * 7919) % 1009) as f32 / 504.0 - 1.0).collect::<Vec<_>>();
    Tensor::from_vec(values, shape, &Device::Cpu).unwrap()
}

/// Small inputs of a network: pictures, or volumes of four slices where it reads those.
fn inputs(model: &str, network: &Network, batch: usize) -> Vec<Tensor> {
    // Inception's windows are not padded: it needs 75 pixels.
    let sizes = if model == "inception_v3" { [(75, 75), (91, 80)] } else { [(32, 32), (48, 40)] };
    let slices: &[usize] = if network.rank() == 5 { &[4] } else { &[] };
    let input = |(h, w)| shaped(&[&[batch, 3], slices, &[h, w]].concat());
    sizes.into_iter().map(input).collect()
}

/// Networks that only repeat what smaller ones of their family have.
const DEEP: [&str; 5] = ["resnet110", "attention92", "attention164_cifar", "attention236_cifar", "attention452_cifar"];

fn rows(t: &Tensor) -> Vec<Vec<f32>> {
    t.to_vec2().unwrap()
}

#[test]
fn numbers_of_parameters_are_the_published_ones() {
    for (model, classes, parameters) in PARAMETERS {
        let (network, vars) = network(model, *classes, 0);
        let trainable =
            |(name, var): (&String, &candle_core::Var)| if name.contains("running") { 0 } else { var.elem_count() };
        assert_eq!(vars.data().lock().unwrap().iter().map(trainable).sum::<usize>(), *parameters, "{model}");
        assert_eq!(network.summary((96, 96)).unwrap().parameters(), *parameters, "{model}");
    }
}

/// torchvision's Inception v3 with its auxiliary head: every variable is in a stage, every parameter in the summary.
#[test]
fn an_auxiliary_head_is_counted_too() {
    let vars = VarMap::new();
    let params = serde_json::json!({"aux": 1000});
    let config = NetworkConfig { model: "inception_v3".into(), params, classes: 1000, ..NetworkConfig::default() };
    let network = Network::new(&config, init::seeded(&vars, 0, DType::F32, &Device::Cpu)).unwrap();
    assert_eq!(network.summary((299, 299)).unwrap().parameters(), 27_161_264);
    let named: BTreeSet<String> = network.stages().into_iter().flat_map(|(_, v)| v).collect();
    assert_eq!(named, vars.data().lock().unwrap().keys().cloned().collect());
    let error = network.summary((128, 128)).unwrap_err().to_string();
    assert!(error.contains("does not fit into a map of 1x1"), "{error}");
}

/// Billions of multiply-adds at 224 pixels (Inception: 299; volumes: 16 slices of 112): torchvision's, and those of the papers on EfficientNet and MobileNetV2.
#[test]
fn multiply_adds_are_the_published_ones() {
    let published = [
        ("resnet18", 1.81),
        ("resnet34", 3.66),
        ("resnet50", 4.09),
        ("efficientnet_b0", 0.39),
        ("mobilenetv2_100", 0.30),
        ("inception_v3", 5.71),
        ("r3d_18", 40.70),
        ("mc3_18", 43.34),
        ("r2plus1d_18", 40.52),
    ];
    for (model, billions) in published {
        let network = network(model, 1000, 0).0;
        let side = match model {
            "inception_v3" => 299,
            _ if network.rank() == 5 => 112,
            _ => 224,
        };
        let ours = network.summary((side, side)).unwrap().multiply_adds() as f64 / 1e9;
        assert!((ours - billions).abs() < 0.01, "{model}: {ours}");
    }
}

#[test]
fn every_parameter_learns_and_training_differs_from_evaluation() {
    for (model, _) in models().into_iter().filter(|(m, _)| !DEEP.contains(m)) {
        let (network, vars) = network(model, 5, 1);
        for x in inputs(model, &network, 3) {
            let logits = network.forward(&x, None, &mut Pass::train(1)).unwrap();
            assert_eq!(logits.dims(), [3, 5], "{model}");
            let store = logits.sqr().unwrap().sum_all().unwrap().backward().unwrap();
            for (name, var) in vars.data().lock().unwrap().iter().filter(|(name, _)| !name.contains("running")) {
                let gradient = store.get(var).unwrap_or_else(|| panic!("{model}: no gradient for {name}"));
                let norm = gradient.sqr().unwrap().sum_all().unwrap().to_scalar::<f32>().unwrap();
                assert!(norm.is_finite() && norm > 0.0, "{model}: the gradient of {name} is {norm}");
            }
            let eval = network.forward(&x, None, &mut Pass::eval()).unwrap();
            assert!(!eval.track_op(), "{model}: evaluation must not build a graph");
            assert_ne!(rows(&eval), rows(&logits), "{model}");
        }
    }
}

#[test]
fn a_seed_gives_the_same_network_and_stages_name_every_variable_once() {
    for (model, doc) in models() {
        assert!(doc.ends_with('.'), "{model}: '{doc}' is not a sentence");
        let ((a, vars), (b, _), (c, _)) = (network(model, 3, 7), network(model, 3, 7), network(model, 3, 8));
        let x = &inputs(model, &a, 1)[0];
        let logits = |n: &Network| rows(&n.forward(x, None, &mut Pass::eval()).unwrap());
        assert_eq!(logits(&a), logits(&b), "{model}");
        assert_ne!(logits(&a), logits(&c), "{model}");
        let named: Vec<String> = a.stages().into_iter().flat_map(|(_, v)| v).collect();
        let all: BTreeSet<String> = vars.data().lock().unwrap().keys().cloned().collect();
        assert_eq!(named.len(), all.len(), "{model}");
        assert_eq!(named.into_iter().collect::<BTreeSet<_>>(), all, "{model}");
    }
}

#[test]
fn running_statistics_move_only_when_asked() {
    let (network, vars) = network("baseline", 2, 0);
    let read = || vars.data().lock().unwrap()["backbone.stage1.bn0.running_mean"].to_vec1::<f32>().unwrap();
    let start = read();
    let pass =
        |update_stats, train| Pass { train, update_stats, grad: Grad::None, key: 0, recompute: false, taps: None };
    network.forward(&pictures(2, 32, 32), None, &mut pass(false, true)).unwrap();
    network.forward(&pictures(2, 32, 32), None, &mut pass(true, false)).unwrap();
    assert_eq!(read(), start);
    network.forward(&pictures(2, 32, 32), None, &mut pass(true, true)).unwrap();
    assert_ne!(read(), start);
}

#[test]
fn taps_see_every_stage() {
    let (network, _) = network("resnet20", 2, 0);
    let mut seen = vec![];
    let mut tap = |name: &str, x: &Tensor| seen.push((name.to_string(), x.dims().to_vec()));
    let mut pass = Pass { taps: Some(&mut tap), ..Pass::eval() };
    network.forward(&pictures(1, 32, 32), None, &mut pass).unwrap();
    let shapes: Vec<_> = seen.iter().map(|(name, dims)| (name.as_str(), dims.as_slice())).collect();
    let want: [(&str, &[usize]); 4] = [
        ("stem", &[1, 32, 32, 16]),
        ("layer1", &[1, 32, 32, 16]),
        ("layer2", &[1, 16, 16, 32]),
        ("layer3", &[1, 8, 8, 64]),
    ];
    assert_eq!(shapes, want);
}

#[test]
fn tabular_features_reach_the_head_and_dropout_follows_its_key() {
    let vars = VarMap::new();
    let config = NetworkConfig { meta: 2, dropout: 0.5, classes: 3, ..NetworkConfig::default() };
    let network = Network::new(&config, init::seeded(&vars, 0, DType::F32, &Device::Cpu)).unwrap();
    let x = pictures(2, 32, 32);
    let meta = |v: f32| Tensor::full(v, (2, 2), &Device::Cpu).unwrap();
    let logits = |meta: &Tensor, mut pass: Pass<'_>| rows(&network.forward(&x, Some(meta), &mut pass).unwrap());
    assert_ne!(logits(&meta(0.0), Pass::eval()), logits(&meta(1.0), Pass::eval()));
    assert_eq!(logits(&meta(0.0), Pass::train(1)), logits(&meta(0.0), Pass::train(1)));
    assert_ne!(logits(&meta(0.0), Pass::train(1)), logits(&meta(0.0), Pass::train(2)));
    let error = network.forward(&x, None, &mut Pass::eval()).unwrap_err().to_string();
    assert!(error.contains("takes 2 tabular features"), "{error}");
}

#[test]
fn wrong_names_and_values_are_clear_errors() {
    let build = |model: &str, params: serde_json::Value| {
        let config = NetworkConfig { model: model.into(), params, ..NetworkConfig::default() };
        Network::new(&config, init::seeded(&VarMap::new(), 0, DType::F32, &Device::Cpu)).err().unwrap().to_string()
    };
    assert!(
        build("resnet19", serde_json::Value::Null)
            .contains("unknown model 'resnet19', expected one of baseline, resnet18")
    );
    assert!(build("resnet18", serde_json::json!({"widht": 3})).contains("unknown field `widht`"));
    assert!(build("resnet18", serde_json::json!({"layers": []})).contains("at least one unit"));
    assert!(build("resnet50", serde_json::json!({"shortcut": "pad"})).contains("pad shortcuts need basic units"));
    assert!(build("efficientnet_b0", serde_json::json!({"stages": []})).contains("one row of stages"));
    assert!(build("efficientnet_b0", serde_json::json!({"width": -1})).contains("width must be above 0"));
    assert!(build("inception_v3", serde_json::json!({"width": 0})).contains("width must be above 0"));
    assert!(build("attention56", serde_json::json!({"modules": []})).contains("at least one stage"));
    assert!(build("r3d_18", serde_json::json!({"layers": [1, 0]})).contains("at least one unit"));
    assert!(build("mobilenetv2_100", serde_json::json!({"act": "swish"})).contains("unknown variant `swish`"));
    let resolved = resolve("resnet20", &serde_json::json!({"width": 8})).unwrap();
    assert_eq!((resolved["width"].as_u64(), resolved["stem"].as_str()), (Some(8), Some("cifar")));
    let (network, _) = network("resnet18", 2, 0);
    let wrong =
        network.forward(&Tensor::zeros((1, 1, 32, 32), DType::F32, &Device::Cpu).unwrap(), None, &mut Pass::eval());
    assert!(wrong.unwrap_err().to_string().contains("reads 3 channels"));
}

/// bf16 maps, F32 variables and gradients: near the F32 pass, as far as eight bits go.
#[test]
fn half_precision_maps_give_single_precision_gradients() {
    let (network, vars) = network("resnet20", 5, 1);
    let x = pictures(4, 32, 32);
    let step = |x: &Tensor| {
        let logits = network.forward(x, None, &mut Pass::train(1)).unwrap();
        assert_eq!(logits.dtype(), DType::F32);
        (logits.clone(), logits.sqr().unwrap().mean_all().unwrap().backward().unwrap())
    };
    let (wide, _) = step(&x);
    let (half, store) = step(&x.to_dtype(DType::BF16).unwrap());
    let distance = (&wide - &half).unwrap().sqr().unwrap().sum_all().unwrap().to_scalar::<f32>().unwrap().sqrt();
    let norm = wide.sqr().unwrap().sum_all().unwrap().to_scalar::<f32>().unwrap().sqrt();
    assert!(distance > 0.0 && distance < 0.1 * norm, "{distance} {norm}");
    for (name, var) in vars.data().lock().unwrap().iter().filter(|(name, _)| !name.contains("running")) {
        assert_eq!(store.get(var).unwrap_or_else(|| panic!("{name}")).dtype(), DType::F32, "{name}");
    }
}
