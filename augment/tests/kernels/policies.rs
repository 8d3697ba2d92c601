//! Policies against torchvision and timm (`xtask/fixtures/augment_color.py`), and how often they choose what.
#![allow(clippy::unwrap_used)]

use crate::golden::picture;
use rand::SeedableRng;
use rand_chacha::ChaCha8Rng;
use sconce_augment::pixel::{Sampling, mix};
use sconce_augment::policy::{Levels, Moves, Op, Policy, Space};
use sconce_augment::{Draw, Image, Step, build};
use serde_json::{Value, json};
use std::collections::BTreeMap;

const OPS: [Op; 16] = [
    Op::Identity,
    Op::ShearX,
    Op::ShearY,
    Op::TranslateX,
    Op::TranslateY,
    Op::Rotate,
    Op::Brightness,
    Op::Color,
    Op::Contrast,
    Op::Sharpness,
    Op::Posterize,
    Op::Solarize,
    Op::SolarizeAdd,
    Op::AutoContrast,
    Op::Equalize,
    Op::Invert,
];

fn cases(kind: &str) -> Vec<Value> {
    let golden: Value = serde_json::from_str(include_str!("../golden/policies.json")).unwrap();
    let cases: Vec<Value> =
        golden["cases"].as_array().unwrap().iter().filter(|case| case["kind"] == kind).cloned().collect();
    assert!(!cases.is_empty());
    cases
}

fn numbers(v: &Value) -> Vec<f64> {
    v.as_array().unwrap().iter().map(|v| v.as_f64().unwrap()).collect()
}

fn sides(v: &Value) -> [usize; 2] {
    [0, 1].map(|i| v[i].as_u64().unwrap() as usize)
}

fn op(name: &Value) -> Op {
    OPS.into_iter().find(|op| *name == op.name()).unwrap()
}

#[test]
fn pairs_are_torchvisions() {
    let names: Vec<String> = cases("policy")
        .iter()
        .map(|case| {
            let policy: Policy = serde_json::from_value(case["name"].clone()).unwrap();
            let pairs = case["table"].as_array().unwrap();
            assert_eq!(pairs.len(), 25);
            for (ours, want) in policy.table().iter().zip(pairs) {
                for (i, (op, p, bin)) in ours.iter().enumerate() {
                    assert_eq!(json!([op.name(), p, bin]), want[i], "{policy:?}");
                }
            }
            case["name"].to_string()
        })
        .collect();
    assert_eq!(names.len(), 3);
}

#[test]
fn spaces_are_torchvisions() {
    let factors = [Op::Brightness, Op::Color, Op::Contrast, Op::Sharpness];
    for case in cases("space") {
        let space = match case["name"].as_str().unwrap() {
            "auto_augment" => Space::AutoAugment,
            "rand_augment" => Space::RandAugment,
            "trivial_wide" => Space::TrivialWide,
            "augmix" => Space::AugMix,
            _ => Space::AugMixPartial,
        };
        let (bins, size) = (case["bins"].as_u64().unwrap() as usize, sides(&case["size"]));
        let want = case["ops"].as_array().unwrap();
        if space != Space::AutoAugment {
            // `AutoAugment` chooses from its pairs.
            let names: Vec<&str> = space.ops().iter().map(|op| op.name()).collect();
            assert_eq!(json!(names), want.iter().map(|op| op[0].clone()).collect::<Value>(), "{space:?}");
        }
        for entry in want {
            let op = op(&entry[0]);
            assert_eq!(entry[2], op.is_signed(), "{op:?}");
            for bin in 0..bins {
                let ours = |negative| space.argument(op, [bin, bins], size, negative);
                let Some(want) = entry[1].get(bin).and_then(Value::as_f64) else {
                    assert!(entry[1].is_null() && ours(false).is_none());
                    continue;
                };
                let sign = |want: f64| match op {
                    Op::TranslateX | Op::TranslateY => want.trunc(),
                    Op::Solarize => 255.0 * want,
                    _ if factors.contains(&op) => 1.0 + want,
                    _ => want,
                };
                for (negative, want) in [(false, want), (true, if op.is_signed() { -want } else { want })] {
                    let (ours, want) = (ours(negative).unwrap(), sign(want));
                    assert!((ours - want).abs() < 1e-4, "{space:?} {op:?} {bin}: {ours} {want}");
                }
            }
        }
    }
}

#[test]
fn levels_are_timms() {
    for case in cases("timm") {
        let levels = Levels { increasing: case["increasing"].as_bool().unwrap() };
        let want = case["ops"].as_array().unwrap();
        let names: Vec<&str> = Levels::OPS.iter().map(|op| op.name()).collect();
        assert_eq!(json!(names), want.iter().map(|op| op[0].clone()).collect::<Value>());
        for (op, entry) in Levels::OPS.into_iter().zip(want) {
            for (i, level) in numbers(&case["levels"]).into_iter().enumerate() {
                let ours = levels.argument(op, level, sides(&case["size"]), false);
                let want = entry[1].get(i).and_then(Value::as_f64);
                assert_eq!(ours.is_some(), want.is_some(), "{op:?}");
                if let (Some(ours), Some(want)) = (ours, want) {
                    assert!((ours - want).abs() < 1e-9, "{op:?} {level}: {ours} {want}");
                }
            }
        }
    }
    // The factors of `increasing` go to either side, but not below 0.1.
    let factor = |increasing, negative| Levels { increasing }.argument(Op::Color, 10.0, [9, 9], negative).unwrap();
    assert!((factor(true, true) - 0.1).abs() < 1e-9 && (factor(true, false) - 1.9).abs() < 1e-9);
    assert!(Levels { increasing: true }.is_signed(Op::Color) && !Levels { increasing: false }.is_signed(Op::Color));
}

#[test]
fn operations_are_torchvisions() {
    let mut seen = BTreeMap::new();
    for case in cases("op") {
        let op = op(&case["name"]);
        let interpolation: Sampling = serde_json::from_value(case["interpolation"].clone()).unwrap();
        let (argument, want) = (case["argument"].as_f64().unwrap(), picture(&case["output"]));
        let ours = op.apply(picture(&case["input"]), argument, Moves { interpolation, fill: 0.into() });
        let differences: Vec<u8> = ours.pixels().iter().zip(want.pixels()).map(|(a, b)| a.abs_diff(*b)).collect();
        let (most, differing) = (differences.iter().max().unwrap(), differences.iter().filter(|d| **d > 0).count());
        let share = differing as f64 / differences.len() as f64;
        // Single precision against whole numbers, where a result is nearly whole or half.
        let blends = matches!(op, Op::Color | Op::Contrast | Op::Sharpness) || interpolation != Sampling::Nearest;
        // The sine of 30 degrees is ½: pixels of the middle column lie between two.
        let halves = op == Op::Rotate && argument == -30.0 && interpolation == Sampling::Nearest;
        let allowed = if halves {
            (255, 0.1)
        } else if blends {
            (1, 0.1)
        } else {
            (0, 0.0)
        };
        assert!(*most <= allowed.0 && share <= allowed.1, "{op:?} {argument} {interpolation:?}: {most}, {share}");
        *seen.entry(op.name()).or_insert(0) += 1;
    }
    assert_eq!(seen.len(), OPS.len());
    assert_eq!(seen["rotate"], 2 * 3 * 3);
}

#[test]
fn mixtures_are_torchvisions() {
    let case = &cases("mix")[0];
    let shares = numbers(&case["shares"]);
    let mut image = picture(&case["inputs"][0]);
    let others: Vec<(Image, f64)> = [1, 2].map(|i| (picture(&case["inputs"][i]), shares[i])).into();
    mix(&mut image, shares[0], &others);
    let differing = image.pixels().iter().zip(picture(&case["output"]).pixels()).filter(|(a, b)| a != b).count();
    // What is whole only nearly.
    assert!(differing * 10 < image.pixels().len(), "{differing}");
    let same = picture(&case["inputs"][0]);
    let mut mixed = same.clone();
    mix(&mut mixed, 0.1, &[(same.clone(), 0.3), (same.clone(), 0.6)]);
    assert_eq!(mixed, same);
}

/// What happened to a picture.
fn steps(name: &str, params: &Value, seed: u64) -> Vec<Step> {
    let transform = build(name, params.clone()).unwrap();
    let mut rng = ChaCha8Rng::seed_from_u64(seed);
    let mut draw = Draw::new(&mut rng).recording();
    transform.apply(Image::new(9, 7, 3, (0..189).map(|i| (i * 89) as u8).collect()).unwrap(), &mut draw);
    draw.into_steps()
}

fn counts(name: &str, params: Value) -> BTreeMap<&'static str, usize> {
    let mut counts = BTreeMap::new();
    for seed in 0..4000 {
        for step in &steps(name, &params, seed)[1..] {
            assert_eq!(step.depth, 1);
            *counts.entry(step.name).or_insert(0) += 1;
        }
    }
    counts
}

#[test]
fn operations_are_equally_likely() {
    for (name, params, ops, total) in [
        ("rand_augment", json!({"ops": 3}), 14, 12_000),
        ("trivial_augment", json!({}), 14, 4000),
        ("augmix", json!({"depth": 1}), 13, 12_000),
        ("augmix", json!({"all_ops": false, "width": 2}), 9, 16_000),
        ("rand_augment", json!({"style": "timm", "op_p": 0.25, "ops": 4}), 15, 4000),
    ] {
        let counts = counts(name, params.clone());
        assert_eq!(counts.len(), ops, "{name} {params}: {counts:?}");
        let each = total / ops;
        assert!(counts.values().all(|n| n.abs_diff(each) * 4 < each), "{name} {params}: {counts:?}");
    }
}

#[test]
fn records_name_the_operation_and_its_magnitude() {
    let magnitudes = |name: &str, params: Value, op: &str| -> Vec<f64> {
        let drawn = |step: Step| step.drawn.iter().find(|(what, _)| *what == "magnitude").and_then(|(_, v)| v.as_f64());
        (0..2000)
            .flat_map(|seed| steps(name, &params, seed))
            .filter(|step| step.name == op)
            .map(|step| drawn(step).unwrap())
            .collect()
    };
    let angles = magnitudes("rand_augment", json!({"magnitude": 9}), "rotate");
    assert!(angles.iter().all(|v| (v.abs() - 9.0).abs() < 1e-9) && angles.len() > 200);
    let negative = angles.iter().filter(|v| **v < 0.0).count();
    assert!(negative.abs_diff(angles.len() / 2) * 5 < angles.len(), "{negative} of {}", angles.len());
    let wide = magnitudes("trivial_augment", json!({}), "rotate");
    assert!(wide.iter().any(|v| *v > 120.0) && wide.iter().any(|v| v.abs() < 20.0));
    // `rand-m7-mstd0.5-inc1`
    let params = json!({"style": "timm", "magnitude": 7, "std": 0.5, "increasing": true});
    let angles: Vec<f64> = magnitudes("rand_augment", params, "rotate").into_iter().map(f64::abs).collect();
    let mean = angles.iter().sum::<f64>() / angles.len() as f64;
    let deviation = (angles.iter().map(|v| (v - mean).powi(2)).sum::<f64>() / angles.len() as f64).sqrt();
    assert!((mean - 21.0).abs() < 0.5 && (deviation - 1.5).abs() < 0.4, "{mean} {deviation}");
    let uniform = json!({"style": "timm", "magnitude": 10, "std": 101});
    let angles: Vec<f64> = magnitudes("rand_augment", uniform, "rotate").into_iter().map(f64::abs).collect();
    assert!(angles.iter().any(|v| *v > 27.0) && angles.iter().any(|v| *v < 3.0));
}

#[test]
fn pairs_happen_as_often_as_they_should() {
    // Every pair has the same probability, each of its operations its own.
    for policy in [Policy::Imagenet, Policy::Cifar10, Policy::Svhn] {
        let mut want = BTreeMap::new();
        for (op, p, _) in policy.table().iter().flatten() {
            *want.entry(op.name()).or_insert(0.0) += p * 4000.0 / 25.0;
        }
        let name = serde_json::to_value(policy).unwrap();
        let seen = counts("auto_augment", json!({"policy": name}));
        for (op, want) in want {
            let seen = seen.get(op).map_or(0.0, |n| *n as f64);
            assert!((seen - want).abs() < 5.0 * want.sqrt() + 1.0, "{policy:?} {op}: {seen}, not {want}");
        }
    }
}

#[test]
fn impossible_parameters_are_refused() {
    for (name, params, message) in [
        ("auto_augment", json!({"policy": "mnist"}), "unknown variant `mnist`, expected one of `imagenet`"),
        ("auto_augment", json!({"interpolation": "cubic"}), "expected one of `nearest`, `bilinear`, `bicubic`"),
        ("rand_augment", json!({"magnitude": 31}), "magnitude must be one of the 31 bins from 0 on, got 31"),
        ("rand_augment", json!({"magnitude": 7.5}), "magnitude must be one of the 31 bins from 0 on, got 7.5"),
        ("rand_augment", json!({"bins": 1}), "bins must be in 2..=1000, got 1"),
        ("rand_augment", json!({"style": "timm", "std": -1}), "std must be at least 0, got -1"),
        ("rand_augment", json!({"op_p": 2}), "op_p must be in 0..=1, got 2"),
        ("rand_augment", json!({"max": -2}), "max must be in 0..=100"),
        ("rand_augment", json!({"ops": 101}), "ops must be in 0..=100"),
        ("trivial_augment", json!({"bins": 0}), "bins must be in 2..=1000, got 0"),
        ("augmix", json!({"severity": 11}), "severity must be in 1..=10, got 11"),
        ("augmix", json!({"width": 0}), "width must be in 1..=100, got 0"),
        ("augmix", json!({"depth": 0}), "depth must be −1, 1..=100 or [low, high] of these, got [0, 0]"),
        ("augmix", json!({"alpha": 0}), "alpha must be positive, got 0"),
    ] {
        let error = build(name, params).err().unwrap().to_string();
        assert!(error.contains(message), "{error}");
    }
    for name in ["auto_augment", "rand_augment", "trivial_augment", "augmix"] {
        let transform = build(name, json!({})).unwrap();
        assert!(transform.check_channels(4).is_err() && transform.check_channels(1).is_ok());
        let picture = Image::filled(3, 2, &[1, 2, 3, 4]);
        let seen = transform.apply(picture.clone(), &mut Draw::new(&mut ChaCha8Rng::seed_from_u64(0)));
        assert_eq!(seen, picture);
    }
}
