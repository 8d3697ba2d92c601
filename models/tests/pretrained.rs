//! Pretrained weights: PyTorch's files as its own reader sees them (`xtask/fixtures/pretrained.py`), and into networks.
#![allow(clippy::unwrap_used, clippy::print_stdout, clippy::print_stderr)]

mod common;

use candle_core::{DType, Device, Tensor};
use candle_nn::VarMap;
use common::formula;
use sconce_models::ops::{conv2d, conv3d, k};
use sconce_models::parts::Choice;
use sconce_models::pretrained::{self, Input, Report, Weights, load};
use sconce_models::{Network, NetworkConfig, Pass, init};
use serde_json::{Value, json};
use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::path::{Path, PathBuf};

const ZIP: &[u8] = include_bytes!("golden/zip.pth");
const LEGACY: &[u8] = include_bytes!("golden/legacy.pth");

/// i² mod 17 in rows of `shape`.
fn squares(count: usize) -> Vec<f64> {
    (0..count).map(|i| (i * i % 17) as f64).collect()
}

fn values(weights: &Weights, name: &str) -> Vec<f64> {
    weights.tensor(name).unwrap().to_dtype(DType::F64).unwrap().flatten_all().unwrap().to_vec1().unwrap()
}

#[test]
fn both_formats_of_pytorch_are_read() {
    for (format, bytes) in [("zip", ZIP), ("legacy", LEGACY)] {
        let weights = Weights::parse(format, bytes.to_vec()).unwrap();
        let shapes: BTreeMap<String, Vec<usize>> =
            weights.shapes().map(|(name, shape)| (name.to_string(), shape.to_vec())).collect();
        assert_eq!(shapes.len(), 11, "{format}: {shapes:?}");
        let types = [
            ("f32", DType::F32),
            ("f16", DType::F16),
            ("bf16", DType::BF16),
            ("f64", DType::F64),
            ("i64", DType::I64),
            ("parameter", DType::F32),
        ];
        for (name, dtype) in types {
            assert_eq!(shapes[name], [2, 3], "{format} {name}");
            assert_eq!(weights.tensor(name).unwrap().dtype(), dtype);
            assert_eq!(values(&weights, name), squares(6), "{format} {name}");
        }
        assert_eq!((shapes["scalar"].len(), values(&weights, "scalar")), (0, vec![5.0]));
        assert_eq!((&shapes["empty"][..], values(&weights, "empty").len()), (&[0, 3][..], 0));
        assert_eq!((&shapes["turned"][..], values(&weights, "turned")), (&[3, 2][..], vec![0., 9., 1., 16., 4., 8.]));
        // A view shares the storage of the whole.
        let whole = squares(12);
        assert_eq!(values(&weights, "whole"), whole);
        assert_eq!(
            (&shapes["part"][..], values(&weights, "part")),
            (&[2, 2][..], vec![whole[5], whole[6], whole[9], whole[10]])
        );
    }
}

/// Every prefix is an error that says so, and no changed byte makes a panic or takes memory.
#[test]
fn broken_files_are_errors() {
    let mut safe =
        safetensors::serialize([("w", Tensor::zeros((2, 3), DType::F32, &Device::Cpu).unwrap())], None).unwrap();
    for (format, bytes) in [("zip", ZIP), ("legacy", LEGACY), ("safetensors", &safe.clone()[..])] {
        for end in (0..bytes.len()).step_by(if format == "zip" { 13 } else { 1 }) {
            let error =
                Weights::parse(format, bytes[..end].to_vec()).err().unwrap_or_else(|| panic!("{format}: {end} bytes"));
            assert!(error.to_string().starts_with(&format!("weights '{format}': ")), "{error}");
        }
        for at in 0..bytes.len() {
            let mut changed = bytes.to_vec();
            changed[at] ^= 1 << (at % 8);
            if let Ok(weights) = Weights::parse(format, changed) {
                let names: Vec<String> = weights.shapes().map(|(name, _)| name.to_string()).collect();
                names.iter().for_each(|name| drop(weights.tensor(name).unwrap()));
            }
        }
    }
    // A header that announces more than there is.
    safe[..8].copy_from_slice(&u64::MAX.to_le_bytes());
    assert!(Weights::parse("f", safe).err().unwrap().to_string().contains("get it again"));
    let why = |bytes: &[u8]| Weights::parse("f", bytes.to_vec()).err().unwrap().to_string();
    assert!(why(b"version https://git-lfs.github.com/spec/v1").contains("git lfs pull"));
    assert!(why(b"<!DOCTYPE html>").contains("web page"));
    assert!(why(b"\x80\x02cos\nsystem\nX\x04\x00\x00\x00true\x85R.").contains("'os.system'"));
    assert!(why(b"\x80\x02K\x01.").contains("not PyTorch's"));
    // Sides beside one of 0 are multiplied for strides.
    let header = r#"{"w":{"dtype":"F32","shape":[0,1099511627776,1099511627776],"data_offsets":[0,0]}}"#;
    let huge = [&(header.len() as u64).to_le_bytes(), header.as_bytes()].concat();
    assert!(why(&huge).contains("1099511627776"));
    assert!(why(&named(&"n".repeat(4097))).contains("4097 bytes"));
    // As many prefixes as a name has room for, all of them taken at once.
    let many = Weights::parse("f", named(&format!("{}w", "module.".repeat(500)))).unwrap();
    assert_eq!(many.shapes().next().unwrap().0, "w");
}

/// A file of one tensor of this name.
fn named(name: &str) -> Vec<u8> {
    safetensors::serialize([(name, Tensor::zeros(2, DType::F32, &Device::Cpu).unwrap())], None).unwrap()
}

/// Names of files that end in the beginning of their digest are known, and must be right.
#[test]
fn a_file_with_a_digest_in_its_name_is_checked() {
    let folder = tempfile::tempdir().unwrap();
    for name in ["resnet20-12fca82f.th", "squeezenet1_1-b8a52dc0.pth"] {
        std::fs::write(folder.path().join(name), ZIP).unwrap();
        let error = Weights::open(&folder.path().join(name)).err().unwrap().to_string();
        assert!(error.contains("does not begin with") && error.contains("get the file again"), "{error}");
    }
    let other = folder.path().join("mine-12fca82f.th");
    std::fs::write(&other, ZIP).unwrap();
    assert!(Weights::open(&other).is_ok());
}

struct Made {
    network: Network,
    vars: VarMap,
    config: NetworkConfig,
}

fn network(model: &str, classes: usize, channels: usize, params: Value) -> Made {
    let vars = VarMap::new();
    let config = NetworkConfig { model: model.into(), classes, channels, params, ..NetworkConfig::default() };
    let network = Network::new(&config, init::seeded(&vars, 5, DType::F32, &Device::Cpu)).unwrap();
    Made { network, vars, config }
}

fn tensors(made: &Made) -> BTreeMap<String, Tensor> {
    let vars = made.vars.data().lock().unwrap();
    vars.iter().map(|(name, var)| (name.clone(), var.as_tensor().copy().unwrap())).collect()
}

/// The variables of `made` under timm's names, changed by `change`.
fn file(made: &Made, head: &str, change: impl Fn(&mut BTreeMap<String, Tensor>)) -> Weights {
    let name = |name: String| match name.strip_prefix("backbone.") {
        Some(inner) => inner.to_string(),
        None => name.replacen("head.", &format!("{head}."), 1),
    };
    let plus = |t: Tensor| (t + 0.25).unwrap();
    let mut named: BTreeMap<String, Tensor> = tensors(made).into_iter().map(|(n, t)| (name(n), plus(t))).collect();
    change(&mut named);
    Weights::parse("file", safetensors::serialize(named, None).unwrap()).unwrap()
}

/// Loaded; without the network the same would have been said.
fn into(made: &Made, weights: &Weights) -> Result<Report, String> {
    let said = load(weights, &made.config, &made.vars, Input::Repeat).map_err(|error| error.to_string());
    let tried = pretrained::check(weights, &made.config, Input::Repeat).map_err(|error| error.to_string());
    assert_eq!(tried, said);
    said
}

const THIN: fn() -> Value = || json!({"width": 8});

#[test]
fn every_variable_of_the_same_network_is_loaded() {
    let made = network("resnet18", 3, 3, THIN());
    let before = tensors(&made);
    let counter = |t: &mut BTreeMap<String, Tensor>| {
        t.insert("bn1.num_batches_tracked".into(), Tensor::new(7i64, &Device::Cpu).unwrap());
    };
    let report = into(&made, &file(&made, "fc", counter)).unwrap();
    assert_eq!(report.loaded.len(), before.len());
    assert_eq!((report.adapted.len(), report.missing.len(), report.unexpected.len()), (0, 0, 0));
    for (name, tensor) in tensors(&made) {
        let off = (tensor - &before[&name]).unwrap().flatten_all().unwrap().to_vec1::<f32>().unwrap();
        assert!(off.iter().all(|v| (v - 0.25).abs() < 1e-5), "{name}");
    }
    // The network itself has them: its variables are the same.
    let x = Tensor::ones((1, 3, 32, 32), DType::F32, &Device::Cpu).unwrap();
    let other = network("resnet18", 3, 3, THIN());
    let own: HashMap<String, Tensor> = tensors(&made).into_iter().collect();
    let ours = Weights::parse("ours", safetensors::serialize(own, None).unwrap()).unwrap();
    assert_eq!(into(&other, &ours).unwrap().loaded.len(), before.len());
    let said = |made: &Made| {
        made.network.forward(&x, None, &mut Pass::eval()).unwrap().flatten_all().unwrap().to_vec1::<f32>().unwrap()
    };
    assert_eq!(said(&made), said(&other));
}

/// SqueezeNet's classifier is a 1×1 convolution in torchvision.
#[test]
fn a_head_that_is_a_convolution_is_loaded() {
    let made = network("squeezenet1_1", 3, 3, json!({"fires": [[2]]}));
    let weights = file(&made, "classifier.1", |tensors| {
        let head = tensors["classifier.1.weight"].reshape((3, 16, 1, 1)).unwrap();
        tensors.insert("classifier.1.weight".into(), head);
    });
    let other = network("squeezenet1_1", 3, 3, json!({"fires": [[2]]}));
    let report = into(&other, &weights).unwrap();
    assert!(report.adapted.is_empty() && report.missing.is_empty() && report.unexpected.is_empty(), "{report}");
    // As we export it.
    let own = tensors(&made);
    let theirs: BTreeMap<String, Tensor> =
        own.iter().map(|(name, value)| sconce_models::reference("squeezenet1_1", name, value).unwrap()).collect();
    assert_eq!(theirs["classifier.1.weight"].dims(), [3, 16, 1, 1]);
    assert_eq!((theirs["classifier.1.bias"].dims(), theirs.len()), (&[3][..], own.len()));
    let weights = Weights::parse("export", safetensors::serialize(theirs, None).unwrap()).unwrap();
    let report = into(&other, &weights).unwrap();
    assert_eq!((report.loaded.len(), report.missing.len(), report.unexpected.len()), (own.len(), 0, 0));
    for (name, tensor) in tensors(&other) {
        let values = |t: &Tensor| t.flatten_all().unwrap().to_vec1::<f32>().unwrap();
        assert_eq!(values(&tensor), values(&own[&name]), "{name}");
    }
}

#[test]
fn another_head_starts_anew_and_other_channels_are_adapted() {
    let weights = file(&network("resnet18", 1000, 3, THIN()), "fc", |_| ());
    let made = network("resnet18", 5, 1, THIN());
    let before = tensors(&made);
    let report = into(&made, &weights).unwrap();
    let adapted: BTreeMap<String, String> = report.adapted.into_iter().collect();
    assert_eq!(adapted.keys().collect::<Vec<_>>(), ["backbone.conv1.weight", "head.bias", "head.weight"]);
    assert!(adapted["backbone.conv1.weight"].contains("1 channels") && adapted["head.bias"].contains("[1000]"));
    let after = tensors(&made);
    let sum = weights.tensor("conv1.weight").unwrap().sum_keepdim(1).unwrap();
    let flat = |t: &Tensor| t.flatten_all().unwrap().to_vec1::<f32>().unwrap();
    assert_eq!(flat(&after["backbone.conv1.weight"]), flat(&sum));
    assert_eq!(flat(&after["head.weight"]), flat(&before["head.weight"]));
}

#[test]
fn another_auxiliary_head_starts_anew() {
    let of = |classes: usize| network("inception_v3", classes, 3, json!({"width": 0.03, "aux": classes}));
    let report = into(&of(5), &file(&of(1000), "fc", |_| ())).unwrap();
    let adapted: Vec<&str> = report.adapted.iter().map(|(name, _)| name.as_str()).collect();
    let aux = ["backbone.AuxLogits.fc.bias", "backbone.AuxLogits.fc.weight"];
    assert_eq!(adapted, [&aux[..], &["head.bias", "head.weight"]].concat());
    assert!(report.missing.is_empty() && report.unexpected.is_empty(), "{report}");
}

#[test]
fn what_is_missing_and_what_is_left_is_told() {
    let made = network("resnet18", 3, 3, THIN());
    let extra = |t: &mut BTreeMap<String, Tensor>| {
        let bias = t.remove("fc.bias").unwrap();
        t.insert("aux.bias".into(), bias);
    };
    let report = into(&made, &file(&made, "fc", extra)).unwrap();
    assert_eq!((report.missing, report.unexpected), (vec!["head.bias".into()], vec!["aux.bias".into()]));
    // Of the backbone nothing may be missing.
    let weights = file(&made, "fc", |t| drop(t.remove("layer1.0.bn1.bias").unwrap()));
    let error = into(&made, &weights).unwrap_err();
    assert!(
        error.contains("lacks 1 of the 100 variables of 'resnet18', such as 'backbone.layer1.0.bn1.bias'"),
        "{error}"
    );
}

#[test]
fn weights_of_another_depth_are_errors() {
    let whole = |model| network(model, 2, 3, Value::Null);
    let weights = |model| file(&whole(model), "fc", |_| ());
    let (small, large) = (weights("resnet18"), weights("resnet34"));
    let error = into(&whole("resnet34"), &small).unwrap_err();
    assert!(error.contains("lacks 80 of the 180 variables of 'resnet34'"), "{error}");
    assert!(error.contains("look like weights of 'resnet18'"), "{error}");
    let error = into(&whole("resnet18"), &large).unwrap_err();
    assert!(error.contains("'resnet18' has no use for 80 of its tensors, such as 'layer1.2."), "{error}");
    assert!(error.contains("look like weights of 'resnet34'"), "{error}");
    // All that resnet50 has and squeezes.
    let error = into(&whole("resnet50"), &weights("seresnet50")).unwrap_err();
    assert!(error.contains("no use for 64 of its tensors") && error.contains("of 'seresnet50'"), "{error}");
}

/// Inception's other head is for training, and for as many classes as the data have.
#[test]
fn auxiliary_heads_may_come_and_go() {
    let with = |aux: usize| network("inception_v3", 3, 3, json!({"width": 0.1, "aux": aux}));
    let report = into(&with(0), &file(&with(5), "fc", |_| ())).unwrap();
    assert!(report.unexpected.iter().all(|name| name.starts_with("AuxLogits.")) && report.unexpected.len() == 12);
    let report = into(&with(3), &file(&with(0), "fc", |_| ())).unwrap();
    assert!(report.missing.iter().all(|name| name.starts_with("backbone.AuxLogits.")) && report.missing.len() == 12);
    let report = into(&with(3), &file(&with(5), "fc", |_| ())).unwrap();
    let anew: Vec<&str> = report.adapted.iter().map(|(name, _)| name.as_str()).collect();
    assert_eq!(anew, ["backbone.AuxLogits.fc.bias", "backbone.AuxLogits.fc.weight"]);
}

/// A pool with a parameter, a head with a norm called as one of the backbone, and layers for tabular features.
#[test]
fn all_of_a_run_s_own_weights_are_loaded() {
    let make = |seed| {
        let vars = VarMap::new();
        let config = NetworkConfig {
            model: "convnext_atto".into(),
            pool: Choice::new("gem"),
            meta: 3,
            meta_hidden: vec![4],
            head: Choice::with("mlp", json!({"hidden": [6]})),
            ..NetworkConfig::default()
        };
        let network = Network::new(&config, init::seeded(&vars, seed, DType::F32, &Device::Cpu)).unwrap();
        Made { network, vars, config }
    };
    let (run, made) = (make(1), make(2));
    let own = tensors(&run);
    for name in ["pool.p", "head.norm.weight", "backbone.head.norm.weight", "head.hidden.0.weight"] {
        assert!(own.contains_key(name), "{name} is not among {:?}", own.keys());
    }
    let weights = Weights::parse("own", safetensors::serialize(own.clone(), None).unwrap()).unwrap();
    let report = into(&made, &weights).unwrap();
    assert_eq!((report.names.as_str(), report.loaded.len()), ("Sconce", own.len()));
    for (name, tensor) in tensors(&made) {
        let values = |t: &Tensor| t.flatten_all().unwrap().to_vec1::<f32>().unwrap();
        assert_eq!(values(&tensor), values(&own[&name]), "{name}");
    }
}

/// Hugging Face's file of a ViT, its classifier included (`xtask/fixtures/pretrained.py`), and back under its names.
#[test]
fn a_vit_of_transformers_is_loaded_whole() {
    let names: Vec<String> = serde_json::from_str(include_str!("golden/transformers_vit.json")).unwrap();
    let made = network("frozen_vit_base", 5, 3, json!({"width": 32, "heads": 2}));
    let own = tensors(&made);
    let ours = |name: &str| match name.strip_prefix("classifier.") {
        Some(leaf) => format!("head.{leaf}"),
        None => format!("backbone.{name}"),
    };
    let theirs: BTreeMap<&str, Tensor> =
        names.iter().map(|name| (name.as_str(), (&own[&ours(name)] + 0.25).unwrap())).collect();
    let weights = Weights::parse("theirs", safetensors::serialize(theirs, None).unwrap()).unwrap();
    let report = into(&made, &weights).unwrap();
    assert_eq!((report.loaded.len(), names.len()), (own.len(), own.len()), "{report}");
    let loaded = tensors(&made);
    for (name, before) in &own {
        let off = (&loaded[name] - before).unwrap().flatten_all().unwrap().to_vec1::<f32>().unwrap();
        assert!(off.iter().all(|v| (v - 0.25).abs() < 1e-5), "{name}");
    }
    let back = own.iter().map(|(name, value)| sconce_models::reference("frozen_vit_base", name, value).unwrap().0);
    assert_eq!(back.collect::<BTreeSet<_>>(), names.into_iter().collect());
}

/// What timm or torchvision has weights of for a thousand classes can be had by name (`xtask/fixtures/pretrained.py`).
#[test]
fn every_published_preset_has_weights_by_name() {
    let published: Value = serde_json::from_str(include_str!("golden/published.json")).unwrap();
    let timm: BTreeSet<&str> =
        published["timm"].as_array().unwrap().iter().map(|name| name.as_str().unwrap()).collect();
    let torchvision = published["torchvision"].as_object().unwrap();
    let (mut of_timm, mut of_torchvision) = (0, 0);
    for (model, _) in sconce_models::models() {
        let tags: Vec<&str> =
            pretrained::all().filter(|row| row.model() == model).filter_map(|row| row.name.split('.').nth(1)).collect();
        // torchvision's are on timm's hub, or on its own server.
        let theirs = tags.iter().filter(|tag| tag.starts_with("tv") || tag.starts_with("torchvision")).count();
        if torchvision.contains_key(model) {
            assert!(theirs > 0, "{model} has no weights of torchvision, but {tags:?}");
            of_torchvision += 1;
        }
        // Of some the hub has none but torchvision's.
        if timm.contains(model) {
            assert!(
                pretrained::of_model(model).unwrap().repository().is_some(),
                "{model} has none on the hub, but {tags:?}"
            );
            of_timm += 1;
        }
        assert!(!model.starts_with("frozen_") || !tags.is_empty(), "{model}");
    }
    assert!(of_timm > 65 && of_torchvision > 35, "{of_timm} {of_torchvision}");
}

/// torchvision's MobileNetV3 has TensorFlow's norms, which its weights cannot say (`xtask/fixtures/pretrained.py`).
#[test]
fn torchvision_s_network_says_the_same() {
    let golden: Value = serde_json::from_str(include_str!("golden/mobilenet_v3_small.json")).unwrap();
    let shape = |v: &Value| v.as_array().unwrap().iter().map(|n| n.as_u64().unwrap() as usize).collect::<Vec<_>>();
    let tensor = |(name, dims): (&String, &Value)| {
        let value = formula(0, name, &shape(dims), DType::F32);
        (name.clone(), if name.ends_with("running_var") { (value + 1.0).unwrap() } else { value })
    };
    let tensors: BTreeMap<String, Tensor> = golden["tensors"].as_object().unwrap().iter().map(tensor).collect();
    let count = tensors.len();
    let weights = Weights::parse("theirs", safetensors::serialize(tensors, None).unwrap()).unwrap();
    let error = into(&network("mobilenetv3_small_100", 7, 3, Value::Null), &weights).unwrap_err();
    assert!(
        error.contains("torchvision trained them with eps 0.001") && error.contains("set model.eps = 0.001"),
        "{error}"
    );
    let made = network("mobilenetv3_small_100", 7, 3, json!({"eps": 1e-3}));
    let report = into(&made, &weights).unwrap();
    assert_eq!(report.loaded.len() + report.adapted.len(), count);
    assert!(report.missing.is_empty() && report.unexpected.is_empty(), "{report}");
    let images = formula(0, "images", &[2, 3, 64, 64], DType::F32);
    let said = made.network.forward(&images, None, &mut Pass::eval()).unwrap();
    let said = said.flatten_all().unwrap().to_vec1::<f32>().unwrap();
    let want: Vec<f64> = golden["logits"].as_array().unwrap().iter().map(|v| v.as_f64().unwrap()).collect();
    let norm = |values: &[f64]| values.iter().map(|v| v * v).sum::<f64>().sqrt();
    let off: Vec<f64> = said.iter().zip(&want).map(|(&a, b)| f64::from(a) - b).collect();
    assert!(norm(&off) <= 1e-4 * norm(&want), "relative distance {:.1e}", norm(&off) / norm(&want));
}

/// ResNet-18 for volumes from the one for pictures. The whole networks are no match, one pools behind the first convolution and
/// slices at the ends see zeros beside them; but every kernel sums up to that for pictures, all else is equal, and the first
/// convolution sees the same in an inner one of equal slices.
#[test]
fn weights_for_pictures_become_those_for_volumes() {
    let flat = network("resnet18", 3, 3, THIN());
    let weights = file(&flat, "fc", |_| ());
    for (model, inflated) in [("r3d_18", 20), ("mc3_18", 20)] {
        let made = network(model, 3, 3, THIN());
        let report = into(&made, &weights).unwrap();
        assert_eq!(report.names, "resnet of pictures for volumes");
        assert_eq!((report.adapted.len(), report.missing.len(), report.unexpected.len()), (inflated, 0, 0), "{report}");
        let own = tensors(&made);
        let values = |t: &Tensor| t.flatten_all().unwrap().to_vec1::<f32>().unwrap();
        for (name, theirs) in [
            ("backbone.stem.0.weight", "conv1.weight"),
            ("backbone.stem.1.running_var", "bn1.running_var"),
            ("backbone.layer1.0.conv1.0.weight", "layer1.0.conv1.weight"),
            ("backbone.layer4.1.conv2.0.weight", "layer4.1.conv2.weight"),
            ("backbone.layer4.1.conv2.1.bias", "layer4.1.bn2.bias"),
            ("backbone.layer2.0.downsample.0.weight", "layer2.0.downsample.0.weight"),
        ] {
            let ours = if own[name].rank() == 5 { own[name].sum(2).unwrap() } else { own[name].clone() };
            for (a, b) in values(&ours).iter().zip(values(&weights.tensor(theirs).unwrap())) {
                assert!((a - b).abs() < 1e-6, "{name}: {a} {b}");
            }
        }
        let picture = formula(0, "images", &[1, 16, 16, 3], DType::F32);
        let still = picture.unsqueeze(1).unwrap().repeat((1, 5, 1, 1, 1)).unwrap();
        let at = k(7).stride(2);
        let deep = conv3d(&still, &own["backbone.stem.0.weight"], k(3), at).unwrap();
        let inner = deep.narrow(1, 2, 1).unwrap().squeeze(1).unwrap();
        let want = conv2d(&picture, &weights.tensor("conv1.weight").unwrap(), at).unwrap();
        for (a, b) in values(&inner).iter().zip(values(&want)) {
            assert!((a - b).abs() < 1e-4, "{a} {b}");
        }
    }
    // Split convolutions have no like among those for pictures.
    assert!(into(&network("r2plus1d_18", 3, 3, THIN()), &weights).unwrap_err().contains("lacks"));
}

#[test]
fn weights_of_another_model_are_errors_that_name_it() {
    let weights = file(&network("resnet50", 10, 3, Value::Null), "fc", |_| ());
    let made = network("resnet18", 10, 3, Value::Null);
    let before = tensors(&made);
    let error = into(&made, &weights).unwrap_err();
    assert!(error.contains("[64, 64, 1, 1]") && error.contains("[64, 64, 3, 3]"), "{error}");
    assert!(error.contains("layer1.0.conv1.weight") && error.contains("look like weights of 'resnet50'"), "{error}");
    for (name, tensor) in tensors(&made) {
        let off = (tensor - &before[&name]).unwrap().abs().unwrap().sum_all().unwrap().to_scalar::<f32>().unwrap();
        assert_eq!(off, 0.0, "{name} was set");
    }
    let error = into(&network("mobilenetv2_100", 10, 3, Value::Null), &weights).unwrap_err();
    assert!(error.contains("lacks 256 of the 260 variables") && error.contains("'resnet50'"), "{error}");
    let whole = file(&made, "fc", |t| {
        let t = t.get_mut("conv1.weight").unwrap();
        *t = t.to_dtype(DType::I64).unwrap();
    });
    assert!(into(&made, &whole).unwrap_err().contains("'conv1.weight' holds whole numbers"));
}

/// Real files, where they lie beside the checkout.
fn real(file: &str) -> Option<PathBuf> {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../shared/weights").join(file);
    if !path.exists() {
        eprintln!("skipped: no {}", path.display());
    }
    path.exists().then_some(path)
}

#[test]
fn a_published_resnet20_is_loaded_whole_from_both_of_its_files() {
    let mut said = vec![];
    for file in ["resnet20-12fca82f.th", "resnet20-12fca82f.safetensors"] {
        let Some(path) = real(file) else { return };
        let made = network("resnet20", 10, 3, Value::Null);
        let report = into(&made, &Weights::open(&path).unwrap()).unwrap();
        println!("{file}: {report}");
        assert_eq!(report.loaded.len(), tensors(&made).len());
        assert!(report.missing.is_empty() && report.unexpected.is_empty() && report.adapted.is_empty());
        let x = Tensor::arange(0f32, 3072.0, &Device::Cpu).unwrap().reshape((1, 3, 32, 32)).unwrap();
        let logits = made.network.forward(&(x.sin().unwrap()), None, &mut Pass::eval()).unwrap();
        said.push(logits.flatten_all().unwrap().to_vec1::<f32>().unwrap());
    }
    assert_eq!(said[0], said[1]);
}

#[test]
fn a_published_mobilenet_is_loaded_whole() {
    let Some(path) = real("mobilenet_v2_1.0_224_quant_f32.safetensors") else { return };
    let made = network("mobilenetv2_100", 1000, 3, json!({"same": true}));
    let report = into(&made, &Weights::open(&path).unwrap()).unwrap();
    println!("{report}");
    assert_eq!(report.names, "torchvision mobilenet_v2");
    assert_eq!(report.loaded.len(), tensors(&made).len());
    assert!(report.missing.is_empty() && report.unexpected.is_empty() && report.adapted.is_empty());
}
