//! Blends of batches and views against timm, numpy, torch and torchvision (`xtask/fixtures/augment.py`).
#![allow(clippy::unwrap_used)]

use candle_core::{Device, Tensor};
use rand::SeedableRng;
use rand_chacha::ChaCha8Rng;
use sconce_augment::batch::{Blend, cut_full, low_frequencies, mask, mix, shrink};
use sconce_augment::pixel::Region;
use sconce_augment::{Draw, Views, build_batch, predict_views};
use serde_json::{Value, json};
use std::cell::RefCell;

fn cases(kind: &str) -> Vec<Value> {
    let all: Value = serde_json::from_str(include_str!("../golden/mixing.json")).unwrap();
    let cases: Vec<Value> =
        all["cases"].as_array().unwrap().iter().filter(|case| case["kind"] == kind).cloned().collect();
    assert!(!cases.is_empty());
    cases
}

fn numbers(v: &Value) -> Vec<f64> {
    v.as_array().unwrap().iter().map(|v| v.as_f64().unwrap()).collect()
}

fn sizes<const N: usize>(v: &Value) -> [usize; N] {
    std::array::from_fn(|i| v[i].as_u64().unwrap() as usize)
}

fn tensor(v: &Value, shape: &[usize]) -> Tensor {
    let values: Vec<f32> = numbers(v).into_iter().map(|v| v as f32).collect();
    Tensor::from_vec(values, shape, &Device::Cpu).unwrap()
}

fn flat(x: &Tensor) -> Vec<f32> {
    x.flatten_all().unwrap().to_vec1().unwrap()
}

fn same(ours: &[f32], want: &Value, tolerance: f64, what: &str) {
    let want = numbers(want);
    assert_eq!(ours.len(), want.len(), "{what}");
    for (i, (a, b)) in ours.iter().zip(want).enumerate() {
        assert!((f64::from(*a) - b).abs() < tolerance, "{what}: {i}: {a} {b}");
    }
}

#[test]
fn modes_follow_timm() {
    for case in cases("timm") {
        let mut centers = case["centers"].as_array().unwrap().iter();
        let lambdas = numbers(&case["lambdas"]);
        let mut blends: Vec<Blend> = lambdas
            .iter()
            .zip(case["pasted"].as_array().unwrap())
            .map(|(lambda, pasted)| match pasted.as_bool().unwrap() {
                true => Blend::Paste(cut_full([6, 5], *lambda, sizes(centers.next().unwrap()))),
                false => Blend::Average(*lambda),
            })
            .collect();
        match case["mode"].as_str().unwrap() {
            "batch" => blends = vec![blends[0]; 4],
            "pair" => blends.extend(blends.clone().into_iter().rev()),
            _ => {}
        }
        let (images, targets) = (tensor(&case["images"], &[4, 2, 5, 6]), tensor(&case["targets"], &[4, 4]));
        let (mixed, labels) = mix(&images, &targets, &blends).unwrap();
        same(&flat(&mixed), &case["mixed"], 1e-6, "pictures");
        same(&flat(&labels), &case["labels"], 1e-6, "targets");
        // Volumes are mixed through all slices.
        let volumes = images.unsqueeze(2).unwrap().repeat((1, 1, 3, 1, 1)).unwrap();
        let (mixed, _) = mix(&volumes, &targets, &blends).unwrap();
        assert_eq!(mixed.dims(), [4, 2, 3, 5, 6]);
        same(&flat(&mixed.narrow(2, 1, 1).unwrap()), &case["mixed"], 1e-6, "volumes");
    }
}

#[test]
fn masks_of_low_frequencies_are_numpys() {
    for case in cases("fmix") {
        let noise: Vec<[f64; 2]> = numbers(&case["noise"]).as_chunks::<2>().0.to_vec();
        let heights = low_frequencies(&noise, case["decay"].as_f64().unwrap(), sizes(&case["size"]));
        for (a, b) in heights.iter().zip(numbers(&case["heights"])) {
            assert!((a - b).abs() < 1e-9 * (1.0 + b.abs()), "{a} {b}");
        }
        let (mask, kept) = mask(&heights, case["lambda"].as_f64().unwrap());
        same(&mask, &case["mask"], 1e-9, "mask");
        assert!((kept - mask.iter().map(|v| f64::from(*v)).sum::<f64>() / mask.len() as f64).abs() < 1e-9);
    }
}

#[test]
fn small_pictures_are_pasted_as_by_torch() {
    for case in cases("resize_mix") {
        let images = tensor(&case["images"], &[4, 2, 5, 6]);
        let order = Tensor::new(&sizes::<4>(&case["order"]).map(|i| i as u32), &Device::Cpu).unwrap();
        let [left, top, width, height] = sizes(&case["region"]);
        let region = Region { left: left as isize, top: top as isize, width, height };
        same(&flat(&shrink(&images, &order, region).unwrap()), &case["mixed"], 1e-5, "pictures");
    }
}

#[test]
fn views_follow_torchvision() {
    for case in cases("views") {
        let views: Views = serde_json::from_value(case["views"].clone()).unwrap();
        let looked = RefCell::new(vec![]);
        let predict = |x: &Tensor| {
            looked.borrow_mut().push(flat(x));
            x.flatten_from(1)
        };
        let mean = flat(&predict_views(&tensor(&case["input"], &[1, 1, 8, 16]), views, predict).unwrap());
        let (looked, want) = (looked.take(), case["output"].as_array().unwrap());
        assert_eq!((looked.len(), views.count()), (want.len(), want.len()));
        for (ours, want) in looked.iter().zip(want) {
            same(ours, want, 1e-5, "views");
        }
        let average = |i: usize| looked.iter().map(|view| view[i]).sum::<f32>() / looked.len() as f32;
        assert!(mean.iter().enumerate().all(|(i, mean)| (mean - average(i)).abs() < 1e-5));
    }
}

/// How much of picture 0 each batch transform leaves, in `draws` batches of two pictures of 20 by 20.
fn shares(name: &str, params: &Value, draws: u64) -> Vec<f64> {
    let images = Tensor::zeros((2, 1, 20, 20), candle_core::DType::F32, &Device::Cpu).unwrap();
    let targets = Tensor::eye(2, candle_core::DType::F32, &Device::Cpu).unwrap();
    let transform = build_batch(name, params.clone()).unwrap();
    let share = |seed| {
        let mut rng = ChaCha8Rng::seed_from_u64(seed);
        let (_, labels) = transform.apply(&images, &targets, &mut Draw::new(&mut rng)).unwrap();
        f64::from(labels.to_vec2::<f32>().unwrap()[0][0])
    };
    (0..draws).map(share).collect()
}

fn mean(values: &[f64]) -> f64 {
    values.iter().sum::<f64>() / values.len() as f64
}

#[test]
fn shares_have_their_distributions() {
    // λ ~ Beta(4, 4): mean 1/2, variance 1/36; always the other picture.
    let mixed = shares("mixup", &json!({"alpha": 4, "mode": "element"}), 2000);
    let variance = mean(&mixed.iter().map(|share| (share - 0.5).powi(2)).collect::<Vec<_>>());
    assert!((mean(&mixed) - 0.5).abs() < 0.02 && (variance - 1.0 / 36.0).abs() < 0.004, "{variance}");
    // Nothing happens to a quarter, nor to those that get their own picture in half of the cases.
    let untouched = |values: &[f64]| values.iter().filter(|share| **share == 1.0).count() as f64 / values.len() as f64;
    let pairs = untouched(&shares("mixup", &json!({"alpha": 4, "mode": "pair", "p": 0.75}), 2000));
    assert!((pairs - 0.25).abs() < 0.04, "{pairs}");
    // Shares between 0.3 and 0.9 of the sides are areas of 0.09 to 0.81.
    let pasted = shares("mixup_cutmix", &json!({"mixup_alpha": 0, "min_max": [0.3, 0.9]}), 2000);
    assert!(pasted.iter().all(|share| (0.19 - 1e-6..0.91 + 1e-6).contains(share)));
    // Whole sides uniform in 6..=17 of 20: the mean area is (11.5 / 20)².
    assert!((mean(&pasted) - (1.0 - 0.575f64.powi(2))).abs() < 0.02, "{}", mean(&pasted));
    // The switch: averages of α → ∞ have a share of 1/2, rectangles of α → ∞ have it only when they lie inside.
    let switched = shares("mixup_cutmix", &json!({"mixup_alpha": 1e6, "switch": 0.3}), 2000);
    let averages = switched.iter().filter(|share| (**share - 0.5).abs() < 0.002).count() as f64 / 2000.0;
    assert!((averages - 0.7).abs() < 0.04, "{averages}");
    // Half of the orders leave two pictures where they are; the others keep λ uniform.
    let shapes: Vec<f64> = shares("fmix", &json!({}), 2000).into_iter().filter(|share| *share < 1.0).collect();
    assert!((mean(&shapes) - 0.5).abs() < 0.03 && shapes.len().abs_diff(1000) < 80, "{}", mean(&shapes));
    let small: Vec<f64> = shares("resize_mix", &json!({"scale": [0.5, 0.5]}), 200);
    assert!(small.iter().all(|share| *share == 1.0 || *share == 0.75));
}

#[test]
fn multi_label_targets_are_mixed_convexly() {
    let images = Tensor::zeros((4, 1, 8, 8), candle_core::DType::F32, &Device::Cpu).unwrap();
    let targets = Tensor::new(&[[1f32, 1., 1.], [0., 0., 0.], [1., 0., 1.], [0., 1., 0.]], &Device::Cpu).unwrap();
    for name in ["mixup", "cutmix", "mixup_cutmix", "fmix", "resize_mix"] {
        let transform = build_batch(name, json!({})).unwrap();
        for seed in 0..20 {
            let mut rng = ChaCha8Rng::seed_from_u64(seed);
            let (_, labels) = transform.apply(&images, &targets, &mut Draw::new(&mut rng)).unwrap();
            // The sums of the columns stay when all pictures exchange one share.
            for (before, after) in flat(&targets.sum(0).unwrap()).iter().zip(flat(&labels.sum(0).unwrap())) {
                assert!((before - after).abs() < 1e-5, "{name}");
            }
        }
    }
}
