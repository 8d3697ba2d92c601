//! Blurs and compressions against OpenCV, Albumentations and Pillow (`xtask/fixtures/augment_blur.py`).
#![allow(clippy::unwrap_used, clippy::print_stdout)]

use crate::golden::{bytes, picture};
use rand::SeedableRng;
use rand_chacha::ChaCha8Rng;
use sconce_augment::pixel::{
    Border, Scaling, box_blur, disc_blur, downscale, gaussian_blur, jpeg, mean_of, median_blur, motion_line,
    swap_nearby, zoom_blur,
};
use sconce_augment::{Draw, Image, Transform, build};
use serde_json::{Value, json};

/// The cases of a kind: parameters, input, wanted output.
fn cases(kind: &str) -> Vec<(Value, Image, Image)> {
    let all: Value = serde_json::from_str(include_str!("../golden/blur.json")).unwrap();
    let cases: Vec<_> = all["cases"].as_array().unwrap().iter().filter(|case| case["kind"] == kind).cloned().collect();
    assert!(!cases.is_empty(), "{kind}");
    let pictures = |case: &Value| {
        let input = picture(&all["pictures"][size(&case["input"])]);
        let output = Image::new(input.width(), input.height(), input.channels(), bytes(&case["output"])).unwrap();
        (input, output)
    };
    let with_pictures = |case: Value| {
        let (input, output) = pictures(&case);
        (case, input, output)
    };
    cases.into_iter().map(with_pictures).collect()
}

/// Compares with no byte off by more than `most`, and no larger share than `share` off at all.
fn close(case: &Value, ours: &Image, want: &Image, most: u8, share: f64) {
    assert_eq!(ours.dims(), want.dims());
    let differences = ours.pixels().iter().zip(want.pixels()).map(|(a, b)| a.abs_diff(*b));
    let differing = differences.clone().filter(|d| *d > 0).count() as f64 / want.pixels().len() as f64;
    let largest = differences.max().unwrap();
    let mut case = case.clone();
    case.as_object_mut().unwrap().retain(|key, _| !["input", "output", "moves"].contains(&key.as_str()));
    println!("{case}: largest difference {largest}, of {differing:.3}");
    assert!(largest <= most && differing <= share, "{case}: {largest}, {differing}");
}

fn number(v: &Value) -> f64 {
    v.as_f64().unwrap()
}

fn size(v: &Value) -> usize {
    v.as_u64().unwrap() as usize
}

fn parse<T: serde::de::DeserializeOwned>(v: &Value) -> T {
    serde_json::from_value(v.clone()).unwrap()
}

/// Products are truncated to 1/256 of a step and their mean added, where OpenCV keeps 1/65536.
#[test]
fn gaussians_are_opencvs() {
    for (case, mut image, want) in cases("gaussian") {
        gaussian_blur(&mut image, number(&case["sigma"]), size(&case["size"]), parse(&case["border"]), 0);
        close(&case, &image, &want, 1, 0.03);
    }
}

#[test]
fn boxes_are_opencvs() {
    for (case, image, want) in cases("box") {
        close(&case, &box_blur(&image, size(&case["size"]), parse(&case["border"]), 0), &want, 0, 0.0);
    }
}

#[test]
fn medians_are_opencvs() {
    for (case, mut image, want) in cases("median") {
        median_blur(&mut image, size(&case["size"]));
        close(&case, &image, &want, 0, 0.0);
    }
}

/// Halves are rounded up here, to even numbers there: lines of 2, 4 or 6 pixels have them.
#[test]
fn motion_is_albumentations() {
    for (case, mut image, want) in cases("motion") {
        let [angle, direction] = ["angle", "direction"].map(|name| number(&case[name]));
        mean_of(&mut image, &motion_line(size(&case["size"]), angle, direction, parse(&case["shift"])));
        close(&case, &image, &want, 1, 0.2);
    }
}

/// The disc's means are rounded before the edge is blurred, whose weights are in 1/256.
#[test]
fn defocus_is_albumentations() {
    for (case, image, want) in cases("defocus") {
        let mut image = disc_blur(&image, size(&case["radius"]));
        gaussian_blur(&mut image, number(&case["alias"]), size(&case["size"]), Border::Reflect101, 0);
        close(&case, &image, &want, 1, 0.2);
    }
}

/// Blended in integers here, in floats there.
#[test]
fn zooms_are_albumentations() {
    for (case, image, want) in cases("zoom") {
        close(&case, &zoom_blur(&image, &parse::<Vec<f64>>(&case["factors"])), &want, 1, 0.1);
    }
}

/// As the Gaussian that comes before and after.
#[test]
fn glass_is_albumentations() {
    for (case, mut image, want) in cases("glass") {
        let (sigma, mut moves) = (number(&case["sigma"]), parse::<Vec<[isize; 2]>>(&case["moves"]).into_iter());
        gaussian_blur(&mut image, sigma, 0, Border::Reflect101, 0);
        swap_nearby(&mut image, size(&case["delta"]), size(&case["iterations"]), || moves.next().unwrap());
        assert!(moves.next().is_none());
        gaussian_blur(&mut image, sigma, 0, Border::Reflect101, 0);
        close(&case, &image, &want, 1, 0.05);
    }
}

/// OpenCV's vectors round once more in between.
#[test]
fn downscaling_is_opencvs() {
    for (case, image, want) in cases("downscale") {
        let [down, up]: [Scaling; 2] = [parse(&case["down"]), parse(&case["up"])];
        let exact = [down, up] == [Scaling::Nearest; 2];
        close(&case, &downscale(&image, number(&case["scale"]), down, up), &want, u8::from(!exact), 0.15);
    }
}

#[test]
fn jpegs_are_pillows() {
    for (case, mut image, want) in cases("jpeg") {
        jpeg(&mut image, size(&case["quality"]) as u8);
        close(&case, &image, &want, 0, 0.0);
    }
}

#[test]
fn many_channels_are_gray_jpegs() {
    let (case, image, want) = cases("jpeg").into_iter().find(|(_, image, _)| image.channels() == 1).unwrap();
    let of_four = |image: &Image| {
        let pixels = image.pixels().iter().flat_map(|v| [*v, 7, *v, 200]).collect();
        Image::new(image.width(), image.height(), 4, pixels).unwrap()
    };
    let mut four = of_four(&image);
    jpeg(&mut four, size(&case["quality"]) as u8);
    let seen: Vec<u8> = four.pixels().chunks_exact(4).flat_map(|pixel| [pixel[0], pixel[2]]).collect();
    assert!(seen.chunks_exact(2).zip(want.pixels()).all(|(seen, want)| seen == [*want; 2]));
}

#[test]
fn transforms_apply_what_they_draw() {
    let (_, image, want) = cases("jpeg").into_iter().find(|(case, _, _)| case["quality"] == 50).unwrap();
    let fixed = |name: &str, params: Value, image: &Image| {
        let mut rng = ChaCha8Rng::seed_from_u64(0);
        build(name, params).unwrap().apply(image.clone(), &mut Draw::new(&mut rng))
    };
    assert_eq!(fixed("compression", json!({"quality": [50, 50]}), &image), want);
    let (case, image, want) = cases("median").remove(2);
    assert_eq!(fixed("median_blur", json!({"kernel": [case["size"], case["size"]]}), &image), want);
    let (case, image, want) = cases("box").remove(0);
    assert_eq!(fixed("box_blur", json!({"kernel": [case["size"], case["size"]]}), &image), want);
    let (case, image, want) = cases("zoom").remove(1);
    close(&case, &fixed("zoom_blur", json!({"factor": [1.1, 1.1], "step": [0.01, 0.01]}), &image), &want, 1, 0.1);
}

/// Sizes are odd, and all of them are as likely.
#[test]
fn kernels_are_uniform_among_odd_sizes() {
    let transform = build("box_blur", json!({"kernel": [3, 9]})).unwrap();
    let mut counts = [0; 4];
    let mut rng = ChaCha8Rng::seed_from_u64(0);
    let mut image = vec![0; 41];
    image[20] = 255;
    let image = Image::new(41, 1, 1, image).unwrap();
    for _ in 0..2000 {
        let seen = transform.apply(image.clone(), &mut Draw::new(&mut rng));
        let touched = seen.pixels().iter().filter(|v| **v > 0).count();
        assert_eq!(touched % 2, 1);
        counts[touched / 2 - 1] += 1;
    }
    assert!(counts.iter().all(|count| (430..570).contains(count)), "{counts:?}");
}

/// The decoder is libwebp's too: `image-webp` interpolates colors otherwise.
#[cfg(feature = "webp")]
#[test]
fn webps_are_opencvs() {
    for (case, mut image, want) in cases("webp") {
        sconce_augment::pixel::webp(&mut image, size(&case["quality"]) as u8);
        close(&case, &image, &want, 0, 0.0);
    }
    let (_, image, want) = cases("webp").into_iter().find(|(case, _, _)| case["quality"] == 50).unwrap();
    let compression = build("compression", json!({"quality": [50, 50], "format": "webp"})).unwrap();
    assert_eq!(compression.apply(image, &mut Draw::new(&mut ChaCha8Rng::seed_from_u64(0))), want);
}
