//! Laws that every model of the table keeps.
#![allow(clippy::unwrap_used)]

use candle_core::{DType, Device, Tensor};
use candle_nn::VarMap;
use sconce_models::backbones::whitening;
use sconce_models::ops::Act;
use sconce_models::parts::Choice;
use sconce_models::{Network, NetworkConfig, Pass, init, models, picture_size, resolve};
use std::collections::BTreeSet;

/// Published numbers of parameters for so many classes: torchvision, the paper's table 6, pytorch-cifar, timm,
/// ResidualAttentionNetwork-pytorch without the shortcuts that it makes and does not use.
const PARAMETERS: &[(&str, usize, usize)] = &[
    ("resnet18", 1000, 11_689_512),
    ("resnet34", 1000, 21_797_672),
    ("resnet50", 1000, 25_557_032),
    ("resnet101", 1000, 44_549_160),
    ("resnet152", 1000, 60_192_808),
    ("resnet50d", 1000, 25_576_264),
    ("resnext50_32x4d", 1000, 25_028_904),
    ("resnext101_32x8d", 1000, 88_791_336),
    ("seresnet50", 1000, 28_088_024),
    ("seresnext50_32x4d", 1000, 27_559_896),
    ("wide_resnet50_2", 1000, 68_883_240),
    ("wide_resnet101_2", 1000, 126_886_696),
    ("resnetblur50", 1000, 25_557_032),
    ("resnet20", 10, 269_722),
    ("resnet32", 10, 464_154),
    ("resnet44", 10, 658_586),
    ("resnet56", 10, 853_018),
    ("resnet110", 10, 1_727_962),
    ("resnet18_cifar", 10, 11_173_962),
    ("wide_resnet16_4", 10, 2_748_890),
    ("wide_resnet16_8", 10, 10_961_370),
    ("wide_resnet28_2", 10, 1_467_610),
    ("wide_resnet28_10", 10, 36_479_194),
    ("wide_resnet40_1", 10, 563_930),
    ("wide_resnet40_2", 10, 2_243_546),
    ("wide_resnet40_4", 10, 8_949_210),
    ("efficientnet_b0", 1000, 5_288_548),
    ("efficientnet_b1", 1000, 7_794_184),
    ("efficientnet_b2", 1000, 9_109_994),
    ("efficientnet_b3", 1000, 12_233_232),
    ("efficientnet_b4", 1000, 19_341_616),
    ("efficientnet_b5", 1000, 30_389_784),
    ("efficientnet_b6", 1000, 43_040_704),
    ("efficientnet_b7", 1000, 66_347_960),
    ("tf_efficientnet_b0", 1000, 5_288_548),
    ("efficientnet_lite0", 1000, 4_652_008),
    ("efficientnetv2_s", 1000, 21_458_488),
    ("mobilenetv1_100", 1000, 4_231_976),
    ("mobilenetv2_050", 1000, 1_968_680),
    ("mobilenetv2_100", 1000, 3_504_872),
    ("mobilenetv2_140", 1000, 6_108_776),
    ("mobilenetv3_small_050", 1000, 1_593_224),
    ("mobilenetv3_small_100", 1000, 2_542_856),
    ("mobilenetv3_large_100", 1000, 5_483_032),
    ("convnext_atto", 1000, 3_695_520),
    ("convnext_femto", 1000, 5_217_784),
    ("convnext_pico", 1000, 9_045_672),
    ("convnext_nano", 1000, 15_593_560),
    ("convnext_tiny", 1000, 28_589_128),
    ("convnext_small", 1000, 50_223_688),
    ("convnext_base", 1000, 88_591_464),
    ("vit_tiny_patch16_224", 1000, 5_717_416),
    ("vit_small_patch16_224", 1000, 22_050_664),
    ("vit_base_patch16_224", 1000, 86_567_656),
    ("deit_tiny_patch16_224", 1000, 5_717_416),
    ("deit_small_patch16_224", 1000, 22_050_664),
    ("deit_base_patch16_224", 1000, 86_567_656),
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
    // timm's number without a classifier, and a thousand classes behind what the map holds.
    ("frozen_dinov2", 1000, 22_056_192 + 769 * 1000),
    ("frozen_dinov2_small", 1000, 22_056_192 + 769 * 1000),
    ("frozen_dinov2_base", 1000, 86_579_712 + 1537 * 1000),
    ("frozen_dinov2reg4_small", 1000, 22_057_344 + 385 * 1000),
    ("frozen_dinov2reg4_base", 1000, 86_582_016 + 769 * 1000),
    ("frozen_vit_base", 1000, 86_567_656),
    ("frozen_convnext_tiny", 1000, 28_589_128),
    ("frozen_convnext_small", 1000, 50_223_688),
    ("frozen_convnext_base", 1000, 88_591_464),
    ("frozen_convnextv2_atto", 1000, 3_708_400),
    ("frozen_convnextv2_nano", 1000, 15_623_800),
    ("frozen_convnextv2_tiny", 1000, 28_635_496),
    ("frozen_convnextv2_base", 1000, 88_717_800),
    // airbench's own number and the ten biases of our head.
    ("airbench94", 10, 1_972_792 + 10),
    // What Keras counts at 150 pixels.
    ("intel_cnn", 6, 5_319_462),
    ("intel_cnn_deep", 6, 1_187_286),
    // What the reference has (`xtask/fixtures/parity.py --full`).
    ("attention128_cifar", 10, 2_569_594),
    ("attention164_cifar", 10, 3_313_466),
    ("attention_cifar", 10, 1_825_722),
    ("baseline", 1000, 645_896),
    ("preact_resnet110", 10, 1_730_522),
    ("preact_resnet164", 10, 1_703_258),
    ("preact_resnet18", 10, 11_172_170),
    ("protein_cnn", 1000, 72_200),
    ("resnet101d", 1000, 44_568_392),
    ("resnet152d", 1000, 60_212_040),
    ("resnet18d", 1000, 11_708_744),
    ("resnet26d", 1000, 16_014_408),
    ("resnet34d", 1000, 21_816_904),
    ("seresnet101", 1000, 49_326_872),
    ("seresnet152", 1000, 66_821_848),
    ("seresnet18", 1000, 11_779_624),
    ("seresnet34", 1000, 21_960_416),
    ("tf_efficientnet_b1", 1000, 7_794_184),
    ("tf_efficientnet_b2", 1000, 9_109_994),
    ("tf_efficientnet_b3", 1000, 12_233_232),
    ("tf_efficientnet_b4", 1000, 19_341_616),
    ("tf_efficientnet_b5", 1000, 30_389_784),
    ("tf_efficientnet_b6", 1000, 43_040_704),
    ("tf_efficientnet_b7", 1000, 66_347_960),
    ("tf_efficientnetv2_s", 1000, 21_458_488),
];

/// Models that take long; they run narrow, and with every stage as short as can be.
#[rustfmt::skip]
const LONG: &[&str] = &[
    "resnet34d", "resnet50d", "resnet101d", "resnet152d", "seresnet34", "seresnet101", "seresnet152", "resnet101",
    "resnet152", "resnext101_32x8d", "wide_resnet50_2", "wide_resnet101_2", "resnet110", "preact_resnet110",
    "wide_resnet16_8", "wide_resnet28_10", "wide_resnet40_4", "efficientnet_b1", "efficientnet_b2",
    "efficientnet_b3", "efficientnet_b4", "efficientnet_b5", "efficientnet_b6", "efficientnet_b7",
    "tf_efficientnet_b1", "tf_efficientnet_b2", "tf_efficientnet_b3", "tf_efficientnet_b4", "tf_efficientnet_b5",
    "tf_efficientnet_b6", "tf_efficientnet_b7", "tf_efficientnetv2_s", "attention92", "attention164_cifar",
    "attention236_cifar", "attention452_cifar", "convnext_tiny", "convnext_small", "convnext_base",
    "vit_base_patch16_224", "deit_base_patch16_224", "vgg13", "vgg16", "vgg19", "vgg13_bn", "vgg16_bn", "vgg19_bn",
    "densenet169", "densenet201", "densenet161", "frozen_dinov2", "frozen_dinov2_base", "frozen_dinov2reg4_base",
    "frozen_convnext_small", "frozen_convnext_base", "frozen_convnextv2_nano", "frozen_convnextv2_tiny",
    "frozen_convnextv2_base",
];

/// The first model of every family: families differ in what can be told of them.
fn one_of_each_family() -> Vec<&'static str> {
    let mut families = BTreeSet::new();
    let knobs = |model: &str| {
        let preset = resolve(model, &serde_json::Value::Null).unwrap();
        preset.as_object().unwrap().keys().cloned().collect::<Vec<_>>()
    };
    models().into_iter().map(|(model, _)| model).filter(|model| families.insert(knobs(model))).collect()
}

/// A network without values, for counting.
fn outline(model: &str, classes: usize) -> Network {
    let config = NetworkConfig { model: model.into(), classes, ..NetworkConfig::default() };
    Network::new(&config, init::outline()).unwrap()
}

/// A model, or a small form of one that is mostly a single layer, or is [`LONG`].
fn config(model: &str, classes: usize) -> NetworkConfig {
    let begins = |names: &[&str]| names.iter().any(|name| model.starts_with(name));
    let mut params = if LONG.contains(&model) { shortened(model) } else { serde_json::Map::new() };
    let mut set = |key: &str, value: serde_json::Value| params.insert(key.into(), value);
    if begins(&["vgg"]) {
        // The first hidden layer alone has 100 million numbers.
        set("hidden", 64.into());
    }
    if begins(&["frozen_dinov2", "frozen_vit"]) {
        // Twelve blocks alike, and 1374 tokens of a picture where there are registers.
        for (key, value) in [("width", 64), ("depth", 1), ("heads", 2)] {
            set(key, value.into());
        }
    }
    NetworkConfig { model: model.into(), classes, params: params.into(), ..NetworkConfig::default() }
}

/// What makes each stage of a model one narrow block; all else stays the preset's.
fn shortened(model: &str) -> serde_json::Map<String, serde_json::Value> {
    let mut params = serde_json::Map::new();
    let preset = resolve(model, &serde_json::Value::Null).unwrap();
    for (key, value) in preset.as_object().unwrap() {
        let each = |f: fn(u64) -> u64| {
            value.as_array().unwrap().iter().map(|n| f(n.as_u64().unwrap())).collect::<Vec<_>>().into()
        };
        let shorter = match key.as_str() {
            "layers" | "depths" | "modules" => each(|_| 1),
            "dims" => each(|channels| channels / 4),
            "width" if value.is_u64() => match preset.get("heads").and_then(serde_json::Value::as_u64) {
                Some(heads) => (8 * heads).into(),
                None => value.as_u64().unwrap().min(32).into(),
            },
            // A factor of what a row repeats, or blocks, of which the first is never dropped.
            "depth" if value.is_f64() => 1.0.into(),
            "depth" => 2.into(),
            "stages" => {
                let mut rows = value.as_array().unwrap().clone();
                rows.iter_mut().for_each(|row| row["repeats"] = 1.into());
                rows.into()
            }
            // The only thing that candle's can be.
            "size" if value.is_string() => "atto".into(),
            _ => continue,
        };
        params.insert(key.clone(), shorter);
    }
    assert!(!params.is_empty(), "{model} cannot be shortened");
    params
}

fn network(model: &str, classes: usize, seed: u64) -> (Network, VarMap) {
    made(&config(model, classes), seed)
}

fn made(config: &NetworkConfig, seed: u64) -> (Network, VarMap) {
    let vars = VarMap::new();
    let network = Network::new(config, init::seeded(&vars, seed, DType::F32, &Device::Cpu)).unwrap();
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
    let sizes = match model {
        // Their windows are not padded: they need 75 pixels, and 69.
        "inception_v3" | "intel_cnn_deep" => [(75, 75), (91, 80)],
        // Squares of patches of 14 pixels; candle has no other size for registers.
        _ if model.starts_with("frozen_dinov2reg4") => [(518, 518); 2],
        _ if model.starts_with("frozen_dinov2") => [(28, 28), (70, 70)],
        "frozen_vit_base" => [(32, 32), (48, 64)],
        _ => [(32, 32), (48, 40)],
    };
    let slices: &[usize] = if network.rank() == 5 { &[4] } else { &[] };
    let input = |(h, w)| shaped(&[&[batch, 3], slices, &[h, w]].concat());
    sizes.into_iter().map(input).collect()
}

fn rows(t: &Tensor) -> Vec<Vec<f32>> {
    t.to_vec2().unwrap()
}

#[test]
fn numbers_of_parameters_are_the_published_ones() {
    let listed: BTreeSet<&str> = PARAMETERS.iter().map(|(model, ..)| *model).collect();
    let all: BTreeSet<&str> = models().into_iter().map(|(model, _)| model).collect();
    assert_eq!(listed, all, "every model has a published number, or that of the reference");
    for (model, classes, parameters) in PARAMETERS {
        let outline = outline(model, *classes);
        // Those that never learn take no other size.
        let side = if outline.frozen() { picture_size(model).unwrap() } else { 96 };
        assert_eq!(outline.summary((side, side)).unwrap().parameters(), *parameters, "{model}");
        let (network, vars) = network(model, *classes, 0);
        let trainable =
            |(name, var): (&String, &candle_core::Var)| if name.contains("running") { 0 } else { var.elem_count() };
        let made = vars.data().lock().unwrap().iter().map(trainable).sum::<usize>();
        assert_eq!(network.summary((side, side)).unwrap().parameters(), made, "{model}");
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

/// Billions of multiply-adds for pictures of a side (volumes: of 16 slices): torchvision's.
#[test]
fn multiply_adds_are_the_published_ones() {
    let published = [
        ("resnet18", 224, 1.814),
        ("resnet34", 224, 3.664),
        ("resnet50", 224, 4.089),
        ("resnet101", 224, 7.801),
        ("resnet152", 224, 11.514),
        ("resnext50_32x4d", 224, 4.23),
        ("resnext101_32x8d", 224, 16.414),
        ("wide_resnet50_2", 224, 11.398),
        ("wide_resnet101_2", 224, 22.753),
        ("efficientnet_b0", 224, 0.386),
        ("efficientnet_b1", 240, 0.687),
        ("efficientnet_b2", 288, 1.088),
        ("efficientnet_b3", 300, 1.827),
        ("efficientnet_b4", 380, 4.394),
        ("efficientnet_b5", 456, 10.266),
        ("efficientnet_b6", 528, 19.068),
        ("efficientnet_b7", 600, 37.746),
        ("efficientnetv2_s", 384, 8.366),
        ("mobilenetv2_100", 224, 0.301),
        ("mobilenetv3_small_100", 224, 0.057),
        ("mobilenetv3_large_100", 224, 0.217),
        ("convnext_tiny", 224, 4.456),
        ("convnext_small", 224, 8.684),
        ("convnext_base", 224, 15.355),
        ("frozen_convnext_tiny", 224, 4.456),
        ("frozen_vit_base", 224, 17.564),
        ("vit_base_patch16_224", 224, 17.564),
        ("inception_v3", 299, 5.713),
        ("vgg11", 224, 7.609),
        ("vgg13", 224, 11.308),
        ("vgg16_bn", 224, 15.47),
        ("vgg19", 224, 19.632),
        ("densenet121", 224, 2.834),
        ("densenet169", 224, 3.36),
        ("densenet201", 224, 4.291),
        ("densenet161", 224, 7.728),
        ("r3d_18", 112, 40.697),
        ("mc3_18", 112, 43.343),
        ("r2plus1d_18", 112, 40.519),
    ];
    for (model, side, billions) in published {
        let ours = outline(model, 1000).summary((side, side)).unwrap().multiply_adds() as f64 / 1e9;
        // Half of the last published digit.
        assert!((ours - billions).abs() <= 5.1e-4, "{model}: {ours}");
    }
}

#[test]
fn models_name_the_pictures_that_they_were_made_for() {
    let side = |model: &str| picture_size(model).unwrap();
    assert_eq!((side("tf_efficientnet_b4"), side("mobilenetv3_small_100")), (380, 224));
    assert_eq!((side("efficientnetv2_s"), side("resnet20")), (384, 32));
    assert!(picture_size("efficientnet_b9").is_err());
}

/// Every family takes any activation, and says something else with it.
#[test]
fn activations_can_be_swapped_in_any_family() {
    // What is wrong with a name that none has lists all of them.
    let all = serde_json::from_str::<Act>("\"none\"").unwrap_err().to_string();
    let acts: Vec<&str> = all.split('`').skip(3).step_by(2).collect();
    assert!(acts.len() > 5 && acts.contains(&"mish"), "{all}");
    // Those that never learn are candle's, with activations of their own.
    for model in one_of_each_family().into_iter().filter(|model| !outline(model, 3).frozen()) {
        let preset = resolve(model, &serde_json::Value::Null).unwrap();
        let vars = VarMap::new();
        let say = |act: &str| {
            let mut config = config(model, 3);
            let mut params = config.params.as_object().cloned().unwrap_or_default();
            params.insert("act".into(), act.into());
            config.params = params.into();
            assert_eq!(resolve(model, &config.params).unwrap()["act"], act, "{model}");
            let network = Network::new(&config, init::seeded(&vars, 0, DType::F32, &Device::Cpu)).unwrap();
            // Large numbers, so that those above 6 are not rare.
            let x = (&inputs(model, &network, 1)[0] * 50.0).unwrap();
            let logits = rows(&network.forward(&x, None, &mut Pass::eval()).unwrap());
            assert!(logits[0].iter().all(|v| v.is_finite()), "{model}: {act}");
            logits
        };
        let usual = preset["act"].as_str().unwrap_or_else(|| panic!("{model} has no field 'act'"));
        let said = say(usual);
        let known = |act: &str| serde_json::from_value::<Act>(act.into()).unwrap();
        // Some have two names.
        for act in acts.iter().filter(|act| known(act) != known(usual)) {
            assert_ne!(said, say(act), "{model}: {act}");
        }
    }
}

#[test]
fn every_parameter_learns_and_training_differs_from_evaluation() {
    for (model, _) in models() {
        let (mut network, mut vars) = network(model, 5, 1);
        if !vars.data().lock().unwrap().keys().any(|name| name.contains("running")) {
            // Without batch norms, stochastic depth or dropout is all that tells training from evaluation.
            let mut config = config(model, 5);
            match resolve(model, &serde_json::Value::Null).unwrap().get("drop_path") {
                Some(_) => config.params["drop_path"] = 0.1.into(),
                None => config.dropout = 0.5,
            }
            (network, vars) = made(&config, 1);
        }
        for x in inputs(model, &network, 3) {
            let logits = network.forward(&x, None, &mut Pass::train(1)).unwrap();
            assert_eq!(logits.dims(), [3, 5], "{model}");
            let store = logits.sqr().unwrap().sum_all().unwrap().backward().unwrap();
            for (name, var) in vars.data().lock().unwrap().iter().filter(|(name, _)| !name.contains("running")) {
                if network.frozen() && name.starts_with("backbone.") {
                    assert!(store.get(var).is_none(), "{model}: a gradient for {name}");
                    continue;
                }
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
    }
    for long in LONG {
        assert!(models().iter().any(|(model, _)| model == long), "{long}");
    }
    for (model, _) in models() {
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
    let pass = |update_stats, train| Pass { train, update_stats, ..Pass::eval() };
    network.forward(&pictures(2, 32, 32), None, &mut pass(false, true)).unwrap();
    network.forward(&pictures(2, 32, 32), None, &mut pass(true, false)).unwrap();
    assert_eq!(read(), start);
    network.forward(&pictures(2, 32, 32), None, &mut pass(true, true)).unwrap();
    assert_ne!(read(), start);
}

/// The values of the running statistics of `variables`.
fn statistics(vars: &VarMap, variables: &[String]) -> Vec<Vec<f32>> {
    let vars = vars.data().lock().unwrap();
    let running = variables.iter().filter(|name| name.contains("running"));
    running.map(|name| vars[name].to_vec1().unwrap()).collect()
}

#[test]
fn frozen_stages_stay_as_they_are() {
    for model in one_of_each_family() {
        let (network, vars) = network(model, 3, 1);
        let stages = network.stages();
        let x = &inputs(model, &network, 3)[0];
        let learns = |freeze: usize| {
            let before: Vec<_> = stages.iter().map(|(_, names)| statistics(&vars, names)).collect();
            let logits = network.forward(x, None, &mut Pass { freeze, ..Pass::train(1) }).unwrap();
            let store = logits.sqr().unwrap().sum_all().unwrap().backward().unwrap();
            for (i, ((name, variables), before)) in stages.iter().zip(before).enumerate() {
                let frozen = i < freeze.min(stages.len() - 1);
                assert!(before.is_empty() || frozen == (statistics(&vars, variables) == before), "{model}: {name}");
                for name in variables.iter().filter(|name| !name.contains("running")) {
                    let learned = store.get(&vars.data().lock().unwrap()[name]).is_some();
                    assert_ne!(learned, frozen, "{model}: {name} of {freeze} frozen stages");
                }
            }
        };
        learns(1);
        learns(stages.len() / 2);
        let map =
            |pass: &mut Pass<'_>| network.features(x, pass).unwrap().flatten_all().unwrap().to_vec1::<f32>().unwrap();
        let still = map(&mut Pass { freeze: usize::MAX, ..Pass::train(1) });
        assert_eq!(still, map(&mut Pass::eval()), "{model}");
        learns(usize::MAX);
    }
}

/// What is new learns through what is not: here through the norm that ConvNeXt has behind its pool.
#[test]
fn a_pool_learns_before_a_frozen_neck() {
    let vars = VarMap::new();
    let config = NetworkConfig { model: "convnext_atto".into(), pool: Choice::new("gem"), ..NetworkConfig::default() };
    let network = Network::new(&config, init::seeded(&vars, 0, DType::F32, &Device::Cpu)).unwrap();
    let mut pass = Pass { freeze: usize::MAX, ..Pass::train(1) };
    let logits = network.forward(&pictures(2, 32, 32), None, &mut pass).unwrap();
    let store = logits.sqr().unwrap().sum_all().unwrap().backward().unwrap();
    for (name, var) in vars.data().lock().unwrap().iter() {
        assert_eq!(store.get(var).is_some(), !name.starts_with("backbone."), "{name}");
    }
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
    // A factor of 0 drops nothing under any key, one of 0.5 half as much.
    let drop = |key, drop| logits(&meta(0.0), Pass { drop, ..Pass::train(key) });
    assert_eq!(drop(1, 0.0), drop(2, 0.0));
    assert_ne!(drop(1, 0.5), drop(1, 1.0));
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
    assert!(build("resnet18", serde_json::json!({"cardinality": 8})).contains("need bottleneck units"));
    assert!(build("wide_resnet16_4", serde_json::json!({"unit_dropout": 1})).contains("unit_dropout must be in 0..1"));
    assert!(build("efficientnet_b0", serde_json::json!({"stages": []})).contains("one row of stages"));
    assert!(build("efficientnet_b0", serde_json::json!({"width": -1})).contains("width must be above 0"));
    assert!(build("mobilenetv3_small_100", serde_json::json!({"features": 0})).contains("pooled_head needs features"));
    assert!(build("tf_efficientnet_b0", serde_json::json!({"eps": 0})).contains("eps must be above 0"));
    assert!(build("inception_v3", serde_json::json!({"width": 0})).contains("width must be above 0"));
    assert!(build("attention56", serde_json::json!({"modules": []})).contains("at least one stage"));
    assert!(build("r3d_18", serde_json::json!({"layers": [1, 0]})).contains("at least one unit"));
    assert!(build("mobilenetv2_100", serde_json::json!({"act": "swich"})).contains("unknown variant `swich`"));
    assert!(build("convnext_atto", serde_json::json!({"depths": [1]})).contains("as many depths as dims"));
    assert!(build("vit_tiny_patch16_224", serde_json::json!({"size": 225})).contains("whole patches (16)"));
    assert!(build("vit_tiny_patch16_224", serde_json::json!({"mlp": 0})).contains("at least one channel"));
    assert!(build("baseline", serde_json::json!({"kernel": 2})).contains("kernel must be odd"));
    assert!(build("baseline", serde_json::json!({"pools": [2]})).contains("each of the 4 stages"));
    assert!(build("baseline", serde_json::json!({"flatten": 4})).contains("at least one dense layer"));
    assert!(build("baseline", serde_json::json!({"norm": true})).contains("expected"));
    assert!(build("vgg16", serde_json::json!({"layers": [2, 0]})).contains("one convolution per stage"));
    assert!(
        build("vgg16", serde_json::json!({"hidden": 8, "hidden_dropout": 1}))
            .contains("vgg: hidden_dropout must be in 0..1, got 1")
    );
    assert!(build("densenet121", serde_json::json!({"layer_dropout": -0.5})).contains("layer_dropout must be in 0..1"));
    assert!(build("protein_cnn", serde_json::json!({"pool_dropout": 1.5})).contains("pool_dropout must be in 0..1"));
    assert!(build("densenet121", serde_json::json!({"growth": 0})).contains("growth and bottleneck above 0"));
    assert!(build("squeezenet1_1", serde_json::json!({"fires": [[16], []]})).contains("one module per stage"));
    assert!(build("xception", serde_json::json!({"entry": []})).contains("at least one block"));
    assert!(build("airbench94", serde_json::json!({"scale": 0})).contains("scale must be above 0"));
    assert!(
        build("frozen_vit_base", serde_json::json!({"heads": 5})).contains("a width (768) that divides into heads (5)")
    );
    assert!(build("frozen_vit_base", serde_json::json!({"hedas": 5})).contains("unknown field `hedas`"));
    assert!(build("frozen_convnextv2_atto", serde_json::json!({"size": "small"})).contains("take tiny or base"));
    let resolved = resolve("resnet20", &serde_json::json!({"width": 8})).unwrap();
    assert_eq!((resolved["width"].as_u64(), resolved["stem"].as_str()), (Some(8), Some("cifar")));
    let (network, _) = network("resnet18", 2, 0);
    let wrong =
        network.forward(&Tensor::zeros((1, 1, 32, 32), DType::F32, &Device::Cpu).unwrap(), None, &mut Pass::eval());
    assert!(wrong.unwrap_err().to_string().contains("reads 3 channels"));
}

/// A slip of the pen is told: it makes neither a panic, nor an endless loop, nor a memory that is full.
#[test]
fn sizes_beyond_all_bounds_are_clear_errors() {
    let (million, stages) = ("must be at most 1000000, got", "at most 16 stages, this one 70");
    let repeats = "at most 10000 repeats";
    let parameters = "at most 10 billion parameters";
    let ones = || serde_json::json!(vec![1; 70]);
    let cases = [
        ("resnet18", serde_json::json!({"layers": ones()}), stages),
        ("preact_resnet18", serde_json::json!({"layers": ones()}), stages),
        ("attention56", serde_json::json!({"modules": ones()}), stages),
        ("r3d_18", serde_json::json!({"layers": ones()}), stages),
        ("vgg11", serde_json::json!({"layers": ones()}), stages),
        ("densenet121", serde_json::json!({"layers": ones()}), stages),
        ("baseline", serde_json::json!({"widths": ones()}), stages),
        ("airbench94", serde_json::json!({"widths": ones()}), stages),
        ("convnext_atto", serde_json::json!({"depths": ones(), "dims": ones()}), stages),
        ("squeezenet1_1", serde_json::json!({"fires": vec![[1]; 70]}), stages),
        ("resnet18", serde_json::json!({"layers": [5000, 5001]}), repeats),
        ("efficientnet_b0", serde_json::json!({"depth": 1e6}), repeats),
        ("efficientnet_b0", serde_json::json!({"depth": 1e18}), million),
        ("efficientnet_b0", serde_json::json!({"width": 1e15}), million),
        ("inception_v3", serde_json::json!({"depth": 1e6}), repeats),
        ("xception", serde_json::json!({"middle": 1_000_000}), repeats),
        ("vit_tiny_patch16_224", serde_json::json!({"depth": 10_001}), repeats),
        ("frozen_dinov2", serde_json::json!({"depth": 10_001}), repeats),
        ("frozen_dinov2", serde_json::json!({"width": 600_000}), "width must be at most 8192, got 600000"),
        ("baseline", serde_json::json!({"convs": 10_001}), repeats),
        ("resnet18", serde_json::json!({"width": 1_000_000_000_000_000u64}), million),
        ("resnet18", serde_json::json!({"width": 1_000_000}), parameters),
        (
            "resnet50",
            serde_json::json!({"base_width": 1_000_000, "cardinality": 1_000_000, "width": 1_000_000}),
            "at most 16777216 channels",
        ),
        ("r3d_18", serde_json::json!({"width": 1_000_000}), parameters),
        ("efficientnet_b0", serde_json::json!({"width": 1e6}), "at most 16777216 channels"),
        ("vit_tiny_patch16_224", serde_json::json!({"width": 999_999, "heads": 3}), parameters),
        ("vit_tiny_patch16_224", serde_json::json!({"size": 1_000_000, "patch": 1}), parameters),
        ("inception_v3", serde_json::json!({"aux": 1_000_000, "width": 100}), parameters),
        ("baseline", serde_json::json!({"dense": vec![1; 10_001]}), repeats),
    ];
    for (model, params, want) in cases {
        let config = NetworkConfig { model: model.into(), params, ..NetworkConfig::default() };
        let vb = || init::seeded(&VarMap::new(), 0, DType::F32, &Device::Cpu);
        let error =
            Network::new(&config, vb()).err().unwrap_or_else(|| panic!("{model} {}", config.params)).to_string();
        assert!(error.contains(want), "{model} {}: {error}", config.params);
        assert!(sconce_models::build(model, &config.params, 3, vb()).is_err(), "{model}");
    }
    let error = |config: NetworkConfig| Network::new(&config, init::outline()).err().unwrap().to_string();
    let usual = NetworkConfig::default;
    let few = "classes, channels, views and tabular features are at most 1000000 each";
    assert!(error(NetworkConfig { classes: usize::MAX, ..usual() }).contains(few));
    assert!(error(NetworkConfig { channels: usize::MAX, ..usual() }).contains(few));
    assert!(error(NetworkConfig { views: 1 << 40, ..usual() }).contains(few));
    assert!(error(NetworkConfig { meta: 1, meta_hidden: vec![usize::MAX], ..usual() }).contains(parameters));
    let head =
        |name: &str, params: serde_json::Value| error(NetworkConfig { head: Choice::with(name, params), ..usual() });
    assert!(
        head("bag", serde_json::json!({"heads": 1e18 as u64})).contains("head 'bag': heads must be at most 1000000")
    );
    assert!(head("mlp", serde_json::json!({"hidden": [u64::MAX]})).contains(parameters));
    // What counts work does not overflow.
    let outline = outline("resnet18", 10);
    assert!(outline.summary((1_000_000, 1_000_000)).unwrap().multiply_adds() > 0);
    assert!(outline.summary((1_000_001, 32)).unwrap_err().to_string().contains("1000000 pixels a side"));
}

/// A network that never learns says which pictures it cannot read, hands no gradient on, and follows its variables.
#[test]
fn networks_that_never_learn_only_see() {
    let (network, vars) = network("frozen_dinov2_small", 3, 0);
    let features = |x: &Tensor| network.features(x, &mut Pass::train(0)).map_err(|error| error.to_string());
    for (height, width) in [(28, 42), (30, 30)] {
        let error = features(&pictures(1, height, width)).unwrap_err();
        assert!(
            error.contains(&format!("whole patches of 14 pixels, such as 224x224 or 518x518, got {height}x{width}"))
        );
    }
    let x = candle_core::Var::from_tensor(&pictures(2, 28, 28)).unwrap();
    let before = features(&x).unwrap();
    assert_eq!(before.dims(), [2, 128, 1, 1]);
    assert!(!before.track_op());
    // A batch is its pictures one by one.
    let second = features(&x.narrow(0, 1, 1).unwrap()).unwrap();
    let off = (before.narrow(0, 1, 1).unwrap() - second).unwrap().abs().unwrap().max_all().unwrap();
    assert!(off.to_scalar::<f32>().unwrap() < 1e-5);
    let token = vars.data().lock().unwrap()["backbone.cls_token"].clone();
    token.set(&shaped(token.dims())).unwrap();
    let off = (features(&x).unwrap() - before).unwrap().abs().unwrap().max_all().unwrap();
    assert!(off.to_scalar::<f32>().unwrap() > 1e-2);
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

/// An attention pool works at every pixel of the map, and not of what the neck writes.
#[test]
fn pools_are_counted_at_every_pixel() {
    let work = |model: &str, pool: &str| {
        let pool = Choice::new(pool);
        let config = NetworkConfig { model: model.into(), pool, ..NetworkConfig::default() };
        Network::new(&config, init::outline()).unwrap().summary((64, 64)).unwrap().multiply_adds()
    };
    let more = |model: &str| work(model, "attention") - work(model, "mean");
    // Maps of 2 × 2 and 512 channels each, of 5 × 5 patches and the class token.
    assert_eq!(more("convnext_pico"), more("resnet18"));
    assert!(more("vit_tiny_patch16_224") > 0 && more("resnet18") > 4 * 512);
}

#[test]
fn pictures_that_are_too_small_are_named() {
    let (network, _) = network("inception_v3", 3, 0);
    let error = network.forward(&shaped(&[1, 3, 40, 50]), None, &mut Pass::eval()).unwrap_err().to_string();
    assert!(error.contains("pictures of 40x50 pixels are too small for the network: a window of '"), "{error}");
    assert!(error.contains("Mixed_"), "{error}");
    let error = network.forward(&shaped(&[1, 4, 90, 90]), None, &mut Pass::eval()).unwrap_err().to_string();
    assert!(!error.contains("too small for the network"), "{error}");
}

/// The first layer of airbench's network makes patches of the pictures white, the others pass on what they read.
#[test]
fn a_network_begins_from_pictures() {
    assert!(sconce_models::begins("airbench94").unwrap() && !sconce_models::begins("resnet18").unwrap());
    let (network, vars) = network("airbench94", 3, 0);
    let pictures = shaped(&[64, 3, 32, 32]);
    sconce_models::begin("airbench94", &vars, &pictures).unwrap();
    let all = vars.data().lock().unwrap();
    let values = |t: &Tensor| t.flatten_all().unwrap().to_vec1::<f32>().unwrap();
    assert_eq!(values(&all["backbone.0.weight"]), values(&whitening(&pictures, 2).unwrap()));
    let conv = values(&all["backbone.2.conv1.weight"]);
    assert_eq!((conv[4], conv[24 * 9 + 4], conv[24 * 9 + 9 + 4]), (1.0, 0.0, 1.0));
    drop(all);
    assert!(network.forward(&pictures, None, &mut Pass::eval()).is_ok());
}
