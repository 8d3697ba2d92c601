//! Laws that every model of the table keeps.
#![allow(clippy::unwrap_used)]

use candle_core::{DType, Device, Tensor};
use candle_nn::{VarBuilder, VarMap};
use sconce_models::{Grad, Network, NetworkConfig, Pass, init, models, resolve};
use std::collections::BTreeSet;

/// Published numbers of parameters for so many classes: torchvision, the paper's table 6, pytorch-cifar, timm.
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
    ("vgg11", 1000, 132_863_336),
    ("vgg13", 1000, 133_047_848),
    ("vgg16", 1000, 138_357_544),
    ("vgg19", 1000, 143_667_240),
    ("vgg11_bn", 1000, 132_868_840),
    ("vgg13_bn", 1000, 133_053_736),
    ("vgg16_bn", 1000, 138_365_992),
    ("vgg19_bn", 1000, 143_678_248),
    ("densenet121", 1000, 7_978_856),
    ("densenet169", 1000, 14_149_480),
    ("densenet201", 1000, 20_013_928),
    ("densenet161", 1000, 28_681_000),
    ("densenet100_cifar", 10, 769_162),
    ("squeezenet1_0", 1000, 1_248_424),
    ("squeezenet1_1", 1000, 1_235_496),
    ("xception", 1000, 22_855_952),
    // airbench's own number and the ten biases of our head.
    ("airbench94", 10, 1_972_792 + 10),
    // What Keras counts at 150 pixels.
    ("intel_cnn", 6, 5_319_462),
    ("intel_cnn_deep", 6, 1_187_286),
];

/// Networks that only repeat what a smaller one of their family has, and take minutes.
const LARGE: &[&str] = &[
    "resnet110",
    "vgg13",
    "vgg16",
    "vgg19",
    "vgg13_bn",
    "vgg16_bn",
    "vgg19_bn",
    "densenet169",
    "densenet201",
    "densenet161",
];

fn network(model: &str, classes: usize, seed: u64) -> (Network, VarMap) {
    let vars = VarMap::new();
    let config = config(model, classes);
    let network = Network::new(&config, init::seeded(&vars, seed, DType::F32, &Device::Cpu)).unwrap();
    (network, vars)
}

/// A small form of networks that are mostly one layer, and dropout where nothing else would tell training from evaluation.
fn config(model: &str, classes: usize) -> NetworkConfig {
    let params = match model {
        // The first hidden layer alone has 100 million numbers.
        _ if model.starts_with("vgg") => serde_json::json!({"hidden": 64}),
        _ => serde_json::Value::Null,
    };
    let plain = ["vgg11", "squeezenet1_0", "squeezenet1_1", "intel_cnn", "intel_cnn_deep"].contains(&model);
    let dropout = if plain { 0.5 } else { 0.0 };
    NetworkConfig { model: model.into(), classes, params, dropout, ..NetworkConfig::default() }
}

/// A network whose sizes are asked for, not its numbers.
fn sized(model: &str, classes: usize) -> Network {
    let config = NetworkConfig { model: model.into(), classes, ..NetworkConfig::default() };
    Network::new(&config, VarBuilder::zeros(DType::F32, &Device::Cpu)).unwrap()
}

/// (height, width) of small pictures that `model` can take.
fn small(model: &str) -> [(usize, usize); 2] {
    // Its convolutions are not padded, and its pools take a twenty-fifth of the map's side.
    if model == "intel_cnn_deep" { [(69, 69), (80, 75)] } else { [(32, 32), (48, 40)] }
}

fn pictures(batch: usize, height: usize, width: usize) -> Tensor {
    let values = (0..batch * 3 * height * width).map(|i| ((i * 7919) % 1009) as f32 / 504.0 - 1.0).collect::<Vec<_>>();
    Tensor::from_vec(values, (batch, 3, height, width), &Device::Cpu).unwrap()
}

fn rows(t: &Tensor) -> Vec<Vec<f32>> {
    t.to_vec2().unwrap()
}

#[test]
fn numbers_of_parameters_are_the_published_ones() {
    for (model, classes, parameters) in PARAMETERS {
        let (network, vars) = network(model, *classes, 0);
        let trainable =
            |(name, var): (&String, &candle_core::Var)| if name.contains("running") { 0 } else { var.elem_count() };
        let made = vars.data().lock().unwrap().iter().map(trainable).sum::<usize>();
        assert_eq!(network.summary((96, 96)).unwrap().parameters(), made, "{model}");
        assert_eq!(sized(model, *classes).summary((96, 96)).unwrap().parameters(), *parameters, "{model}");
    }
}

/// Billions of multiply-adds at 224 pixels: torchvision's, and those of the papers on EfficientNet and MobileNetV2.
#[test]
fn multiply_adds_are_the_published_ones() {
    let published = [
        ("resnet18", 1.81),
        ("resnet34", 3.66),
        ("resnet50", 4.09),
        ("efficientnet_b0", 0.39),
        ("mobilenetv2_100", 0.30),
        ("vgg11", 7.61),
        ("vgg13", 11.31),
        ("vgg16", 15.47),
        ("vgg19", 19.63),
        ("densenet121", 2.83),
        ("densenet169", 3.36),
        ("densenet201", 4.29),
        ("densenet161", 7.73),
    ];
    for (model, billions) in published {
        let ours = sized(model, 1000).summary((224, 224)).unwrap().multiply_adds() as f64 / 1e9;
        assert!((ours - billions).abs() < 0.01, "{model}: {ours}");
    }
}

#[test]
fn every_parameter_learns_and_training_differs_from_evaluation() {
    for (model, _) in models().into_iter().filter(|(m, _)| !LARGE.contains(m)) {
        let (network, vars) = network(model, 5, 1);
        for (height, width) in small(model) {
            let x = pictures(3, height, width);
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
        if LARGE.contains(&model) && model != "resnet110" {
            continue;
        }
        let ((a, vars), (b, _), (c, _)) = (network(model, 3, 7), network(model, 3, 7), network(model, 3, 8));
        let (height, width) = small(model)[0];
        let x = pictures(1, height, width);
        let logits = |n: &Network| rows(&n.forward(&x, None, &mut Pass::eval()).unwrap());
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
        build("resnet19", serde_json::Value::Null).contains("unknown model 'resnet19', expected one of baseline, ")
    );
    assert!(build("resnet18", serde_json::json!({"widht": 3})).contains("unknown field `widht`"));
    assert!(build("resnet18", serde_json::json!({"layers": []})).contains("at least one unit"));
    assert!(build("resnet50", serde_json::json!({"shortcut": "pad"})).contains("pad shortcuts need basic units"));
    assert!(build("efficientnet_b0", serde_json::json!({"stages": []})).contains("one row of stages"));
    assert!(build("efficientnet_b0", serde_json::json!({"width": -1})).contains("width must be above 0"));
    assert!(build("mobilenetv2_100", serde_json::json!({"act": "swish"})).contains("unknown variant `swish`"));
    assert!(build("baseline", serde_json::json!({"kernel": 2})).contains("kernel must be odd"));
    assert!(build("baseline", serde_json::json!({"pools": [2]})).contains("each of the 4 stages"));
    assert!(build("baseline", serde_json::json!({"flatten": 4})).contains("at least one dense layer"));
    assert!(build("baseline", serde_json::json!({"norm": true})).contains("expected"));
    assert!(build("vgg16", serde_json::json!({"layers": [2, 0]})).contains("one convolution per stage"));
    assert!(build("vgg16", serde_json::json!({"hidden": 8, "dropout": 1})).contains("p must be in 0..1"));
    assert!(build("densenet121", serde_json::json!({"growth": 0})).contains("growth and bottleneck above 0"));
    assert!(build("squeezenet1_1", serde_json::json!({"fires": [[16], []]})).contains("one module per stage"));
    assert!(build("xception", serde_json::json!({"entry": []})).contains("at least one block"));
    assert!(build("airbench94", serde_json::json!({"scale": 0})).contains("scale must be above 0"));
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
