//! Kernels against Pillow and torchvision (`xtask/fixtures/augment.py`).
#![allow(clippy::unwrap_used, clippy::print_stdout)]

use crate::golden::picture;
use candle_core::{Device, Tensor};
use rand::SeedableRng;
use rand_chacha::ChaCha8Rng;
use sconce_augment::batch::{blend, cut, paste};
use sconce_augment::pixel::{Border, Interpolation, Region, Sampling, Symmetry, color, orient, resize, rotation, warp};
use sconce_augment::{Draw, Image};
use serde_json::{Value, json};

fn cases(text: &str) -> Vec<Value> {
    serde_json::from_str::<Value>(text).unwrap()["cases"].as_array().unwrap().clone()
}

fn numbers(v: &Value) -> Vec<f64> {
    v.as_array().unwrap().iter().map(|v| v.as_f64().unwrap()).collect()
}

fn sizes<const N: usize>(v: &Value) -> [usize; N] {
    std::array::from_fn(|i| v[i].as_u64().unwrap() as usize)
}

/// Largest difference of two bytes, and the share of bytes that differ.
fn difference(ours: &Image, want: &Value) -> (u8, f64) {
    let want = picture(want);
    assert_eq!(ours.dims(), want.dims());
    let differences = ours.pixels().iter().zip(want.pixels()).map(|(a, b)| a.abs_diff(*b));
    let differing = differences.clone().filter(|d| *d > 0).count();
    (differences.max().unwrap(), differing as f64 / want.pixels().len() as f64)
}

#[test]
fn symmetries_are_numpys() {
    let case = &cases(include_str!("../golden/geometry.json"))[0];
    for (i, symmetry) in Symmetry::ALL.into_iter().enumerate() {
        assert_eq!(orient(picture(&case["input"]), symmetry), picture(&case["output"][i]), "{symmetry:?}");
    }
}

#[test]
fn rotations_follow_torchvision() {
    for case in &cases(include_str!("../golden/geometry.json"))[1..] {
        let input = picture(&case["input"]);
        let inverse = rotation(case["degrees"].as_f64().unwrap(), input.width(), input.height());
        let sampling = if case["sampling"] == "nearest" { Sampling::Nearest } else { Sampling::Bilinear };
        let border: Border = serde_json::from_value(case["border"].clone()).unwrap();
        let ours = warp(&input, inverse, sampling, border, 0);
        let (most, share) = difference(&ours, &case["output"]);
        let allowed = if sampling == Sampling::Nearest { 0 } else { 1 };
        assert!(most <= allowed && share < 0.1, "{} degrees, {sampling:?}: {most}, {share}", case["degrees"]);
    }
}

#[test]
fn resizing_follows_pillow() {
    for case in cases(include_str!("../golden/resize.json")) {
        if let Some(size) = case["crop"].as_u64() {
            let resize = sconce_augment::build("resize", json!({"size": size, "mode": "crop"})).unwrap();
            let (most, share) = difference(
                &resize.apply(picture(&case["input"]), &mut Draw::new(&mut ChaCha8Rng::seed_from_u64(0))),
                &case["output"],
            );
            assert!(most <= 1 && share < 0.3, "crop {size}: {most}, {share}");
            continue;
        }
        let [left, top, width, height] = sizes(&case["region"]);
        let region = Region { left: left as isize, top: top as isize, width, height };
        let [out_width, out_height] = sizes(&case["output"]);
        let ours = resize(picture(&case["input"]), region, [out_width, out_height], Interpolation::Bilinear);
        let (most, share) = difference(&ours, &case["output"]);
        assert!(most <= 1 && share < 0.3, "{region:?} to {out_width} x {out_height}: {most}, {share}");
    }
}

/// Four pixels made three, by each of its filters.
#[test]
fn four_pixels_become_pillows_three() {
    let picture = Image::new(4, 4, 1, (0..16).map(|i| i % 4 * 50 + i / 4 * 10).collect()).unwrap();
    for (interpolation, want) in [
        (Interpolation::Bilinear, [18, 78, 138, 30, 90, 150, 42, 102, 162]),
        (Interpolation::Bicubic, [11, 77, 143, 24, 90, 156, 37, 103, 169]),
        (Interpolation::Lanczos, [10, 77, 144, 23, 90, 157, 36, 103, 170]),
    ] {
        let seen = resize(picture.clone(), Region::whole(&picture), [3, 3], interpolation);
        assert_eq!(seen.pixels(), want, "{interpolation:?}");
    }
}

/// Pictures as networks are judged on them.
#[test]
fn evaluation_follows_timm() {
    for case in cases(include_str!("../golden/evaluation.json")) {
        let resize = sconce_augment::build("resize", case["params"].clone()).unwrap();
        let ours = resize.apply(picture(&case["input"]), &mut Draw::new(&mut ChaCha8Rng::seed_from_u64(0)));
        let (most, share) = difference(&ours, &case["output"]);
        println!("{}: largest difference {most}, of {share:.3}", case["params"]);
        assert!(most <= 1 && share < 0.3, "{}: {most}, {share}", case["params"]);
    }
}

#[test]
fn colors_follow_torchvision() {
    for case in cases(include_str!("../golden/color.json")) {
        let name = case["name"].as_str().unwrap();
        let change = match name {
            "brightness" => color::brightness,
            "contrast" => color::contrast,
            "saturation" => color::saturation,
            _ => color::hue,
        };
        for (i, factor) in numbers(&case["factors"]).into_iter().enumerate() {
            let mut ours = picture(&case["input"]);
            change(&mut ours, factor);
            let (most, share) = difference(&ours, &case["outputs"][i]);
            let exact = name == "brightness";
            // Where a result is whole, single precision falls below it as often as not; our whole numbers do not.
            assert!(most <= u8::from(!exact) && share < 0.05, "{name} {factor}: {most}, {share}");
        }
    }
}

#[test]
fn batches_follow_the_reference_implementations() {
    for case in cases(include_str!("../golden/batch.json")) {
        let lambda = case["lambda"].as_f64().unwrap();
        if case["kind"] == "cut" {
            let (region, kept) = cut(sizes(&case["size"]), lambda, sizes(&case["center"]));
            let (left, top) = (region.left as usize, region.top as usize);
            assert_eq!([left, top, left + region.width, top + region.height], sizes(&case["box"]), "{case}");
            assert!((kept - case["kept"].as_f64().unwrap()).abs() < 1e-12, "{case}");
            continue;
        }
        let tensor = |name: &str, shape: &[usize]| {
            let values: Vec<f32> = numbers(&case[name]).into_iter().map(|v| v as f32).collect();
            Tensor::from_vec(values, shape, &Device::Cpu).unwrap()
        };
        let (images, targets) = (tensor("images", &[3, 2, 4, 5]), tensor("targets", &[3, 4]));
        let order = Tensor::new(&sizes::<3>(&case["order"]).map(|i| i as u32), &Device::Cpu).unwrap();
        let (mixed, labels) = if case["kind"] == "mixup" {
            (blend(&images, &order, lambda).unwrap(), blend(&targets, &order, lambda).unwrap())
        } else {
            let (region, kept) = cut([5, 4], lambda, sizes(&case["center"]));
            (paste(&images, &order, region).unwrap(), blend(&targets, &order, kept).unwrap())
        };
        for (ours, want) in [(mixed, "mixed"), (labels, "labels")] {
            let ours = ours.flatten_all().unwrap().to_vec1::<f32>().unwrap();
            for (a, b) in ours.into_iter().zip(numbers(&case[want])) {
                assert!((f64::from(a) - b).abs() < 1e-6, "{} {want}: {a} {b}", case["kind"]);
            }
        }
    }
}
