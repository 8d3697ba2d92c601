//! Preparation and volumes against OpenCV, numpy, Pillow, scipy and torch (`xtask/fixtures/augment_preprocess.py`).
#![allow(clippy::unwrap_used)]

use crate::golden::bytes;
use rand::SeedableRng;
use rand_chacha::ChaCha8Rng;
use sconce_augment::pixel::{
    Border, Interpolation, Region, fill_in, hairs, hsv, label, mirror_volume, resize_volume, turn_volume, window_volume,
};
use sconce_augment::{Draw, Image, build};
use serde_json::{Value, json};

fn cases(text: &str) -> Vec<Value> {
    serde_json::from_str::<Value>(text).unwrap()["cases"].as_array().unwrap().clone()
}

fn prepared(name: &str) -> Vec<Value> {
    let cases: Vec<Value> =
        cases(include_str!("../golden/preprocess.json")).into_iter().filter(|case| case["name"] == name).collect();
    assert!(!cases.is_empty());
    cases
}

fn sizes<const N: usize>(v: &Value) -> [usize; N] {
    std::array::from_fn(|i| v[i].as_u64().unwrap() as usize)
}

fn picture(v: &Value) -> Image {
    Image::volume(sizes(v), bytes(&v[4])).unwrap()
}

fn apply(name: &str, params: &Value, image: Image) -> Image {
    let transform = build(name, params.clone()).unwrap();
    transform.apply(image, &mut Draw::new(&mut ChaCha8Rng::seed_from_u64(0)))
}

/// Largest difference of two bytes, and the share of bytes that differ.
fn difference(ours: &Image, want: &Image) -> (u8, f64) {
    if ours.dims() != want.dims() {
        return (255, 1.0);
    }
    let differences = ours.pixels().iter().zip(want.pixels()).map(|(a, b)| a.abs_diff(*b));
    let differing = differences.clone().filter(|d| *d > 0).count();
    (differences.max().unwrap(), differing as f64 / want.pixels().len() as f64)
}

#[test]
fn preparation_follows_its_sources() {
    let mut wrong = vec![];
    // Most that a byte may differ, and how many may.
    for (name, most, share) in [
        ("crop_gray", 0, 0.0),
        // OpenCV draws the rim of a circle with another rule.
        ("circle_crop", 255, 0.04),
        // Two resizers round differently.
        ("radius_normalize", 1, 0.3),
        // A blur that is off by one is off by four here.
        ("ben_graham", 4, 0.3),
        // Halves may fall to either side.
        ("gray_world", 1, 0.01),
        ("shades_of_gray", 1, 0.01),
        ("window", 0, 0.0),
        ("background_removal", 0, 0.0),
        // OpenCV's exponentials have fewer digits.
        ("denoise", 1, 0.02),
        ("lung_mask", 0, 0.0),
    ] {
        for case in prepared(name) {
            let ours = apply(name, &case["params"], picture(&case["input"]));
            let seen = difference(&ours, &picture(&case["output"]));
            if seen.0 > most || seen.1 > share {
                wrong.push(format!("{name} {}: {seen:?}", case["params"]));
            }
        }
    }
    assert!(wrong.is_empty(), "{wrong:#?}");
}

#[test]
fn hairs_are_opencvs() {
    for case in prepared("hairs") {
        let threshold = case["params"]["threshold"].as_u64().unwrap() as u8;
        let kernel = case["params"]["kernel"].as_u64().unwrap() as usize;
        let image = picture(&case["input"]);
        let mask = hairs(&image, kernel, threshold);
        assert_eq!(mask, bytes(&case["mask"]), "{}", case["params"]);
        assert!(mask.contains(&255) && mask.contains(&0));
        // Only hairs change.
        let clean = apply("hair_removal", &case["params"], image.clone());
        let channels = image.channels();
        for (i, kept) in mask.iter().enumerate().filter(|(_, hair)| **hair == 0) {
            let at = i * channels..(i + 1) * channels;
            assert_eq!(clean.pixels()[at.clone()], image.pixels()[at], "{kept}");
        }
    }
}

#[test]
fn holes_are_filled_from_their_rims() {
    // A slope with a hole of three columns: the rim's means first, then the mean of those.
    let mut image = Image::new(5, 3, 1, [10, 0, 0, 0, 50].repeat(3)).unwrap();
    fill_in(&mut image, &[0, 255, 255, 255, 0].repeat(3));
    assert_eq!(image.pixels(), [10, 10, 30, 50, 50].repeat(3));
    // Means are rounded to the nearest.
    let mut halves = Image::new(3, 1, 1, vec![10, 0, 13]).unwrap();
    fill_in(&mut halves, &[0, 255, 0]);
    assert_eq!(halves.pixels(), [10, 12, 13]);
    let mut dark = Image::filled(3, 3, &[7, 8]);
    fill_in(&mut dark, &[255; 9]);
    assert_eq!(dark, Image::filled(3, 3, &[7, 8]));
    // What is filled in lies between what was known.
    let pixels: Vec<u8> = (0..30 * 20 * 3).map(|i| 100 + (i * 37 % 60) as u8).collect();
    let mut noise = Image::new(30, 20, 3, pixels).unwrap();
    let mask: Vec<u8> = (0..600).map(|i| if i % 30 > 10 && i % 7 != 0 { 255 } else { 0 }).collect();
    for (i, pixel) in noise.pixels_mut().chunks_exact_mut(3).enumerate() {
        if mask[i] > 0 {
            pixel.fill(0);
        }
    }
    fill_in(&mut noise, &mask);
    assert!(noise.pixels().iter().all(|v| (100..160).contains(v)));
}

#[test]
fn hues_are_opencvs() {
    for case in prepared("hsv") {
        let input = picture(&case["input"]);
        let ours = input.pixels().as_chunks::<3>().0.iter().flat_map(|pixel| hsv(pixel.map(i32::from)));
        let want: Vec<i32> = picture(&case["output"]).pixels().iter().map(|v| i32::from(*v)).collect();
        assert_eq!(ours.collect::<Vec<_>>(), want);
    }
}

#[test]
fn parts_are_counted_as_by_scipy() {
    for case in prepared("lung_mask") {
        let volume = picture(&case["input"]);
        let threshold = case["params"]["threshold"].as_u64().unwrap() as u8;
        let air: Vec<bool> = volume.pixels().iter().map(|v| *v < threshold).collect();
        let (labels, parts) = label(&air, [volume.depth(), volume.height(), volume.width()]);
        let inside = parts.iter().filter(|part| !part.touches_side).count();
        assert_eq!(inside as u64, case["parts"].as_u64().unwrap());
        for (i, part) in parts.iter().enumerate() {
            assert_eq!(labels.iter().filter(|label| **label as usize == i + 1).count(), part.size);
        }
    }
    // Corners do not connect, faces of neighbouring slices do.
    let (labels, parts) = label(&[true, false, false, true, true, false, false, false], [2, 2, 2]);
    assert_eq!((labels, parts.len()), (vec![1, 0, 0, 2, 1, 0, 0, 0], 2));
    // Around a corner, there and back again.
    let (labels, parts) = label(&[true, false, true, true, true, true], [2, 1, 3]);
    assert_eq!((labels, parts.len()), (vec![1, 0, 1, 1, 1, 1], 1));
}

#[test]
fn channels_that_have_no_meaning_stay() {
    for (name, channels, taken) in [("background_removal", 4, 3), ("lung_mask", 3, 1)] {
        let transform = build(name, json!({})).unwrap();
        assert!(transform.check_channels(channels).is_err() && transform.check_channels(taken).is_ok());
        let picture = Image::filled(5, 4, &[200, 3, 1, 9][..channels]);
        assert_eq!(apply(name, &json!({}), picture.clone()), picture);
    }
    // Colors of the light: gray comes out gray, and one channel has no color.
    let tinted = Image::filled(4, 4, &[200, 100, 50]);
    let gray = apply("gray_world", &json!({}), tinted.clone());
    assert_eq!(gray.pixels()[..3], [117, 117, 117]);
    let shades = apply("shades_of_gray", &json!({}), tinted);
    assert!(shades.pixels().iter().all(|v| *v == shades.pixels()[0]));
    let single = Image::new(3, 1, 1, vec![1, 100, 255]).unwrap();
    for name in ["gray_world", "shades_of_gray"] {
        assert_eq!(apply(name, &json!({}), single.clone()), single);
    }
}

#[test]
fn preparation_draws_nothing() {
    let names = "background_removal ben_graham circle_crop crop_gray denoise gray_world hair_removal lung_mask radius_normalize \
                 shades_of_gray window volume_resize";
    for name in names.split_whitespace() {
        assert!(!build(name, json!({})).unwrap().is_random(), "{name}");
        assert!(build(name, json!({"p": 0.5})).unwrap().is_random(), "{name}");
    }
}

#[test]
fn volumes_follow_numpy() {
    for case in cases(include_str!("../golden/volume.json")) {
        let (input, want) = (picture(&case["input"]), picture(&case["output"]));
        match case["name"].as_str().unwrap() {
            "mirror" => {
                let axes = case["axes"].as_array().unwrap();
                let flips = [0, 1, 2].map(|axis| axes.contains(&json!(axis)));
                assert_eq!(mirror_volume(input, flips), want, "{axes:?}");
            }
            "turn" => {
                let [from, to] = sizes(&case["axes"]);
                let turns = case["turns"].as_u64().unwrap() as usize;
                assert_eq!(turn_volume(input, turns, from, to), want, "{turns} {from} {to}");
            }
            "resize" => {
                let ours = resize_volume(input, sizes(&case["size"]), Interpolation::Bilinear);
                // Bytes are rounded between the axes.
                assert!(difference(&ours, &want).0 <= 1, "{}", case["size"]);
            }
            _ => {
                let start: [isize; 3] = std::array::from_fn(|i| case["start"][i].as_i64().unwrap() as isize);
                let [depth, height, width] = sizes(&case["size"]);
                let border: Border = serde_json::from_value(case["border"].clone()).unwrap();
                let region = Region { left: start[2], top: start[1], width, height };
                assert_eq!(window_volume(input, (start[0], depth), region, border, 0), want, "{start:?} {border:?}");
            }
        }
    }
}

#[test]
fn volumes_turn_and_flip_equally_often() {
    let volume = Image::volume([2, 2, 2, 1], (0..8).collect()).unwrap();
    let distinct = |name: &str, params: Value| {
        let transform = build(name, params).unwrap();
        let mut seen: Vec<Vec<u8>> = (0..800)
            .map(|seed| {
                let mut rng = ChaCha8Rng::seed_from_u64(seed);
                transform.apply(volume.clone(), &mut Draw::new(&mut rng)).into_pixels()
            })
            .collect();
        seen.sort();
        let counts: Vec<usize> = seen.chunk_by(|a, b| a == b).map(<[_]>::len).collect();
        counts
    };
    let flips = distinct("volume_flip", json!({}));
    assert!(flips.len() == 8 && flips.iter().all(|count| count.abs_diff(100) < 45), "{flips:?}");
    assert_eq!(distinct("volume_flip", json!({"depth": 0, "height": 1, "width": 0})), [800]);
    let turns = distinct("volume_rotate", json!({}));
    assert!(turns.len() == 4 && turns.iter().all(|count| count.abs_diff(200) < 70), "{turns:?}");
    // Three planes: nothing in a quarter of the cases, nine turns share the others.
    let planes = json!({"planes": ["height_width", "depth_height", "depth_width"]});
    assert_eq!(distinct("volume_rotate", planes).len(), 10);
    assert_eq!(distinct("volume_rotate", json!({"planes": []})), [800]);
}

#[test]
fn projections_are_numpys() {
    let golden: Value = serde_json::from_str(include_str!("../../../data/tests/golden/convert/volume.json")).unwrap();
    let list = |v: &Value| serde_json::from_value::<Vec<u8>>(v.clone()).unwrap();
    let volume = || Image::volume(sizes(&golden["dims"]), list(&golden["volume"])).unwrap();
    let whole = golden["projections"].as_array().unwrap().iter().filter(|case| case["thickness"].is_null());
    let mut seen = 0;
    for case in whole {
        let projected = apply("projection", &json!({"mode": case["statistic"], "axis": case["axis"]}), volume());
        assert_eq!((projected.depth(), projected.channels()), (1, 2));
        assert_eq!(projected.pixels(), list(&case["pixels"]), "{} {}", case["statistic"], case["axis"]);
        seen += 1;
    }
    assert_eq!(seen, 9);
    for case in golden["slices"].as_array().unwrap() {
        let at = [&case["at"]; 3];
        let projected = apply("projection", &json!({"axis": case["axis"], "count": case["count"], "at": at}), volume());
        assert_eq!(projected.pixels(), list(&case["pixels"]), "{case}");
    }
    // Of a cube planes are as they lie; of others they are as large as the slices.
    let cube = Image::volume([2, 2, 2, 1], (0..8).collect()).unwrap();
    let planes = apply("projection", &json!({"mode": "planes", "at": [0, 0, 0]}), cube);
    assert_eq!((planes.dims(), planes.pixels()), ([1, 2, 2, 3], &[0, 0, 0, 1, 1, 2, 2, 4, 4, 3, 5, 6][..]));
    let flat = Image::volume([1, 2, 3, 1], vec![7, 7, 7, 90, 90, 90]).unwrap();
    let planes = apply("projection", &json!({"mode": "planes", "at": [0, 1, 0]}), flat);
    assert_eq!(planes.dims(), [1, 2, 3, 3]);
    assert!(planes.pixels().chunks_exact(3).all(|pixel| pixel[1] == 90));
}
