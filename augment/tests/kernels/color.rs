//! Changes of color against torchvision, OpenCV and numpy (`xtask/fixtures/augment_color.py`), and the distributions of what
//! they draw.
#![allow(clippy::unwrap_used)]

use crate::golden::picture;
use rand::SeedableRng;
use rand_chacha::ChaCha8Rng;
use sconce_augment::pixel::{autocontrast, clahe, color, equalize, fancy_pca, sharpen, tone};
use sconce_augment::{Draw, Image, build};
use serde_json::{Value, json};
use std::collections::BTreeSet;

/// The kernel `name` on a picture, and how far it may be from its reference: by how much, and in which share of the bytes.
fn change(name: &str, args: &[f64], image: &mut Image) -> (u8, f64) {
    const EXACT: (u8, f64) = (0, 0.0);
    // Single precision and whole numbers round apart where a result is nearly whole.
    const NEAR: (u8, f64) = (1, 0.05);
    match name {
        "gamma" => tone::look_up(image, &tone::gamma(args[0])),
        "invert" => tone::look_up(image, &tone::invert()),
        "solarize" => tone::look_up(image, &tone::solarize(args[0])),
        "posterize" => tone::look_up(image, &tone::posterize(args[0] as u32)),
        "equalize" => equalize(image),
        "autocontrast" => autocontrast(image),
        "gray" => color::grayscale(image, [0.2989, 0.587, 0.114]),
        "tone_curve" => tone::look_up(image, &tone::curve(args[0], args[1])),
        "fancy_pca" => fancy_pca(image, [args[0], args[1], args[2]]),
        "clahe" => {
            clahe(image, args[0], args[1] as usize);
            // OpenCV's vectors round a and b of Lab otherwise in few colors.
            return if image.channels() == 1 { EXACT } else { (3, 0.01) };
        }
        "tf_brightness" => color::tensorflow::brightness(image, args[0]),
        "tf_contrast" => color::tensorflow::contrast(image, args[0]),
        "sharpen" => {
            sharpen(image, args[0]);
            return NEAR;
        }
        "tf_saturation" => {
            color::tensorflow::saturation(image, args[0]);
            // A factor of one half makes many halves, which fall to either side.
            return if args[0] == 0.5 { (1, 0.2) } else { NEAR };
        }
        "tf_hue" => {
            color::tensorflow::hue(image, args[0]);
            return NEAR;
        }
        other => panic!("{other}"),
    }
    EXACT
}

#[test]
fn kernels_follow_their_references() {
    let golden: Value = serde_json::from_str(include_str!("../golden/tones.json")).unwrap();
    let (mut seen, mut wrong) = (BTreeSet::new(), vec![]);
    for case in golden["cases"].as_array().unwrap() {
        let name = case["name"].as_str().unwrap();
        let args: Vec<f64> = case["args"].as_array().unwrap().iter().map(|v| v.as_f64().unwrap()).collect();
        let (mut ours, want) = (picture(&case["input"]), picture(&case["output"]));
        let (most, share) = change(name, &args, &mut ours);
        assert_eq!(ours.dims(), want.dims());
        let differences: Vec<u8> = ours.pixels().iter().zip(want.pixels()).map(|(a, b)| a.abs_diff(*b)).collect();
        let (largest, differing) = (differences.iter().max().unwrap(), differences.iter().filter(|d| **d > 0).count());
        let differing = differing as f64 / differences.len() as f64;
        if *largest > most || differing > share {
            wrong.push(format!("{name} {args:?} {:?}: {largest}, {differing:.3}", ours.dims()));
        }
        seen.insert(name.to_string());
    }
    assert!(wrong.is_empty(), "{wrong:#?}");
    assert_eq!(seen.len(), 15);
}

/// The example of `torchvision`'s results that a person can check.
#[test]
fn small_examples_are_right() {
    let check = [200, 100, 50, 10, 250, 20, 30, 60, 90, 120, 120, 120];
    let after = |f: &dyn Fn(&mut Image)| {
        let mut image = Image::new(2, 2, 3, check.to_vec()).unwrap();
        f(&mut image);
        image.into_pixels()
    };
    let table = |table: tone::Table| after(&|image| tone::look_up(image, &table));
    assert_eq!(table(tone::gamma(0.5)), [226, 160, 113, 50, 253, 71, 87, 124, 152, 175, 175, 175]);
    assert_eq!(table(tone::solarize(128.0)), [55, 100, 50, 10, 5, 20, 30, 60, 90, 120, 120, 120]);
    assert_eq!(table(tone::posterize(3)), [192, 96, 32, 0, 224, 0, 0, 32, 64, 96, 96, 96]);
    // 254 is what becomes of 255 in single precision, as in `torchvision`.
    assert_eq!(after(&autocontrast), [255, 53, 76, 0, 255, 0, 26, 0, 178, 147, 80, 254]);
    let gray = after(&|image| color::grayscale(image, [0.2989, 0.587, 0.114]));
    assert_eq!(gray, [124, 124, 124, 152, 152, 152, 54, 54, 54, 119, 119, 119]);
    assert_eq!(after(&|image| color::reorder(image, &[2, 0, 1]))[..3], [50, 200, 100]);
    assert_eq!(after(&|image| color::drop_channels(image, &[1], 7))[..6], [200, 7, 50, 10, 7, 20]);
}

fn apply(name: &str, params: Value, image: &Image, seed: u64) -> Image {
    let mut rng = ChaCha8Rng::seed_from_u64(seed);
    build(name, params).unwrap().apply(image.clone(), &mut Draw::new(&mut rng))
}

#[test]
fn draws_reach_their_bounds_and_no_further() {
    let gray = Image::filled(1, 1, &[100, 100, 100]);
    let range = |name: &str, params: Value, c: usize| {
        let values: Vec<u8> = (0..400).map(|seed| apply(name, params.clone(), &gray, seed).pixels()[c]).collect();
        [*values.iter().min().unwrap(), *values.iter().max().unwrap()]
    };
    assert_eq!(range("brightness", json!({"strength": 0.2}), 0), [80, 119]);
    assert_eq!(range("brightness", json!({"strength": 0.2, "semantics": "tensorflow"}), 0), [49, 151]);
    for c in 0..3 {
        assert_eq!(range("rgb_shift", json!({}), c), [80, 120]);
    }
    let [low, high] = range("gamma", json!({}), 0);
    assert!((82..84).contains(&low) && (120..=121).contains(&high), "{low} {high}");
    let shifts: Vec<f64> = (0..4000)
        .map(|s| f64::from(apply("channel_affine", json!({"scale": 0}), &gray, s).pixels()[0]) - 100.0)
        .collect();
    let mean = shifts.iter().sum::<f64>() / 4000.0;
    let deviation = (shifts.iter().map(|v| v * v).sum::<f64>() / 4000.0).sqrt();
    assert!(mean.abs() < 1.5 && (deviation - 25.5).abs() < 1.0, "{mean} {deviation}");
}

#[test]
fn channels_are_chosen_evenly() {
    let picture = Image::filled(2, 2, &[1, 2, 3]);
    let mut counts = std::collections::BTreeMap::new();
    for seed in 0..3000 {
        *counts.entry(apply("channel_shuffle", json!({}), &picture, seed).into_pixels()).or_insert(0) += 1;
        let dropped = apply("channel_drop", json!({"channels": [1, 2]}), &picture, seed);
        *counts.entry(dropped.into_pixels()).or_insert(0) += 1;
    }
    // Six orders of 500 each; one of three or two of three channels dropped: as many of each.
    assert!(counts.len() == 12 && counts.values().all(|n| (420..580).contains(n)), "{counts:?}");
    assert_eq!(apply("channel_drop", json!({}), &Image::filled(2, 2, &[5]), 0), Image::filled(2, 2, &[5]));
}

#[test]
fn jitter_is_its_steps_one_after_the_other() {
    let picture = Image::new(40, 30, 3, (0..3600).map(|i| (i * 89 + i / 7) as u8).collect()).unwrap();
    for seed in 0..60 {
        let mut rng = ChaCha8Rng::seed_from_u64(seed);
        let mut draw = Draw::new(&mut rng);
        let order = draw.order("", 4);
        let factors = [0, 1, 2].map(|_| draw.uniform("", [0.6, 1.4]));
        let turns = draw.uniform("", [-0.1, 0.1]);
        let mut want = picture.clone();
        for step in order {
            match step {
                0 => color::brightness(&mut want, factors[0]),
                1 => color::contrast(&mut want, factors[1]),
                2 => color::saturation(&mut want, factors[2]),
                _ => color::hue(&mut want, turns),
            }
        }
        let params = json!({"brightness": 0.4, "contrast": 0.4, "saturation": 0.4, "hue": 0.1});
        assert_eq!(apply("color_jitter", params, &picture, seed), want);
    }
}

#[test]
fn impossible_parameters_are_refused() {
    for (name, params, message) in [
        ("brightness", json!({"strength": -1}), "transform 'brightness': strength must be at least 0, got -1"),
        ("hue", json!({"turns": 0.6}), "turns must be in 0..=0.5"),
        ("gamma", json!({"gamma": [0, 1]}), "gamma must be [low, high]"),
        ("rgb_shift", json!({"shift": 300}), "shift must be in 0..=255"),
        ("channel_drop", json!({"channels": [2, 1]}), "channels must be [low, high]"),
        ("gray", json!({"weights": [0.5, 0.5, 0.5]}), "weights must add up to at most 1"),
        ("solarize", json!({"threshold": -1}), "threshold must be in 0..=256"),
        ("posterize", json!({"bits": 9}), "bits must be in 0..=8"),
        ("clahe", json!({"clip": [4, 1]}), "clip must be [low, high]"),
        ("clahe", json!({"tiles": 0}), "tiles must be in 1..=256"),
        ("sharpen", json!({"strength": -0.1}), "strength must be at least 0"),
        ("tone_curve", json!({"scale": 2}), "scale must be in 0..=1"),
        ("fancy_pca", json!({"alpha": -1}), "alpha must be at least 0"),
        ("channel_affine", json!({"shift": -1}), "shift must be at least 0"),
    ] {
        let error = build(name, params).err().unwrap().to_string();
        assert!(error.contains(message), "{error}");
    }
    for name in ["saturation", "hue", "gray", "fancy_pca", "clahe"] {
        let transform = build(name, json!({})).unwrap();
        assert!([1, 3].iter().all(|c| transform.check_channels(*c).is_ok()), "{name}");
        let picture = Image::filled(3, 2, &[1, 2, 3, 4]);
        assert!(transform.check_channels(4).unwrap_err().to_string().contains("must have 1 or 3 channels, got 4"));
        assert_eq!(apply(name, json!({}), &picture, 0), picture);
    }
}
