//! Warps, crops and frames against torchvision, OpenCV, SciPy and Pillow (`xtask/fixtures/augment_geometry.py`).
#![allow(clippy::unwrap_used, clippy::print_stdout)]

use crate::golden::picture;
use rand::SeedableRng;
use rand_chacha::ChaCha8Rng;
use sconce_augment::pixel::{
    Between, Border, Lattice, Map, Sampling, affine, bend, lens, project, quadrilateral, remap, remap_axes, thin_plate,
    warp,
};
use sconce_augment::{Draw, Image, build};
use serde_json::{Value, json};
use std::collections::BTreeSet;

fn cases(kind: &str) -> Vec<Value> {
    let all: Value = serde_json::from_str(include_str!("../golden/warps.json")).unwrap();
    let cases: Vec<Value> =
        all["cases"].as_array().unwrap().iter().filter(|case| case["kind"] == kind).cloned().collect();
    assert!(!cases.is_empty());
    cases
}

fn numbers(v: &Value) -> Vec<f64> {
    v.as_array().unwrap().iter().map(|v| v.as_f64().unwrap()).collect()
}

fn floats(v: &Value) -> Vec<f32> {
    numbers(v).into_iter().map(|v| v as f32).collect()
}

fn array<const N: usize>(v: &Value) -> [f64; N] {
    numbers(v).try_into().unwrap()
}

fn pairs(v: &Value) -> Vec<[f64; 2]> {
    v.as_array().unwrap().iter().map(array).collect()
}

fn sampling(case: &Value) -> Sampling {
    serde_json::from_value(case["sampling"].clone()).unwrap()
}

fn border(case: &Value) -> Border {
    serde_json::from_value(case["border"].clone()).unwrap()
}

/// Nearest pixels are exact. Places are rounded to 2⁻¹¹ pixels, so few of the weighted means differ, by at most `most`.
fn check(case: &Value, ours: &Image, nearest: bool, most: u8) {
    let want = picture(&case["output"]);
    assert_eq!(ours.dims(), want.dims(), "{}", case["kind"]);
    let differences = ours.pixels().iter().zip(want.pixels()).map(|(a, b)| a.abs_diff(*b));
    let share = differences.clone().filter(|d| *d > 0).count() as f64 / want.pixels().len() as f64;
    let worst = differences.max().unwrap();
    let said = format!("{} {} {} {}", case["kind"], case["sampling"], case["border"], case["spec"]);
    println!("{said}: largest difference {worst}, of {share:.3}");
    assert!(worst <= if nearest { 0 } else { most } && share < 0.1, "{said}: {worst}, {share}");
}

#[test]
fn affine_matrices_are_torchvisions() {
    for case in cases("affine_matrix") {
        let sides = array::<2>(&case["sides"]).map(|side| side as usize);
        let number = |name: &str| case[name].as_f64().unwrap();
        let ours = affine(sides, number("degrees"), array(&case["translate"]), number("scale"), array(&case["shear"]));
        let want: [f64; 6] = array(&case["matrix"]);
        assert!(ours.iter().zip(want).all(|(a, b)| (a - b).abs() < 1e-9), "{ours:?} {want:?}");
    }
}

#[test]
fn affine_maps_follow_torchvision() {
    for case in cases("affine") {
        let input = picture(&case["input"]);
        let number = |name: &str| case[name].as_f64().unwrap();
        let sides = [input.width(), input.height()];
        let inverse =
            affine(sides, number("degrees"), array(&case["translate"]), number("scale"), array(&case["shear"]));
        let sampling = sampling(&case);
        check(&case, &warp(&input, inverse, sampling, border(&case), 0), sampling == Sampling::Nearest, 1);
    }
}

#[test]
fn perspectives_follow_opencv_and_torchvision() {
    for case in cases("perspective") {
        let input = picture(&case["input"]);
        let corners = pairs(&case["corners"]).try_into().unwrap();
        let inverse = quadrilateral(corners, [input.width(), input.height()]);
        if case["by"] != "torchvision" {
            let want: [f64; 9] = array(&case["matrix"]);
            assert!(inverse.iter().zip(want).all(|(a, b)| (a - b).abs() < 1e-5), "{inverse:?} {want:?}");
        }
        let sampling = sampling(&case);
        check(&case, &project(&input, inverse, sampling, border(&case), 0), sampling == Sampling::Nearest, 1);
    }
}

#[test]
fn maps_are_read_as_torch_and_opencv_read_them() {
    for case in cases("remap") {
        let input = picture(&case["input"]);
        let map = Map::new(input.width(), floats(&case["x"]), floats(&case["y"])).unwrap();
        let sampling = sampling(&case);
        check(&case, &remap(&input, &map, sampling, border(&case), 0), sampling == Sampling::Nearest, 1);
    }
}

#[test]
fn lattices_follow_torchvision_scipy_and_opencv() {
    for case in cases("bend") {
        let step = array::<2>(&case["step"]).map(|step| step as f32);
        let columns = case["columns"].as_u64().unwrap() as usize;
        let lattice = Lattice::new(columns, step, floats(&case["x"]), floats(&case["y"])).unwrap();
        let between = if case["between"] == "bilinear" { Between::Bilinear } else { Between::Triangles };
        check(
            &case,
            &bend(&picture(&case["input"]), &lattice, between, (Sampling::Bilinear, border(&case), 0.into())),
            false,
            1,
        );
    }
}

#[test]
fn lenses_and_axes_follow_opencv_and_numpy() {
    for case in cases("lens") {
        let k = case["k"].as_f64().unwrap();
        check(&case, &lens(&picture(&case["input"]), k, (Sampling::Bilinear, border(&case), 0.into())), false, 1);
    }
    for case in cases("axes") {
        let axes = [floats(&case["x"]), floats(&case["y"])];
        let look = (Sampling::Bilinear, border(&case), 0.into());
        check(&case, &remap_axes(&picture(&case["input"]), [&axes[0], &axes[1]], look), false, 1);
    }
}

#[test]
fn plates_are_scipys() {
    for case in cases("plate") {
        let sides = array::<2>(&case["sides"]).map(|side| side as usize);
        let plate = thin_plate(sides, &pairs(&case["points"]), &pairs(&case["shifts"]));
        let ours: Vec<f64> = plate.shifts().flatten().map(f64::from).collect();
        let want = numbers(&case["nodes"]);
        assert_eq!(ours.len(), want.len());
        let most = ours.iter().zip(&want).map(|(a, b)| (a - b).abs()).fold(0.0, f64::max);
        assert!(most < 1e-4, "{most}");
    }
}

#[test]
fn crops_frames_and_sizes_follow_torchvision_opencv_and_pillow() {
    for case in cases("transform") {
        let spec = case["spec"].clone();
        let (resized, spec_is_nearest) = (spec["name"] == "resize", spec["interpolation"] == "nearest");
        let mut params = spec;
        let name = params.as_object_mut().unwrap().remove("name").unwrap();
        let transform = build(name.as_str().unwrap(), params).unwrap();
        let mut rng = ChaCha8Rng::seed_from_u64(0);
        let ours = transform.apply(picture(&case["input"]), &mut Draw::new(&mut rng));
        let want = picture(&case["output"]);
        assert_eq!(ours.dims(), want.dims(), "{}", case["spec"]);
        let differences = ours.pixels().iter().zip(want.pixels()).map(|(a, b)| a.abs_diff(*b));
        if spec_is_nearest {
            // Columns and rows halfway between two pixels show either.
            let share = differences.filter(|d| *d > 0).count() as f64 / want.pixels().len() as f64;
            assert!(share < 0.25, "{}: {share}", case["spec"]);
            continue;
        }
        let far = differences.clone().filter(|d| *d > 1).count() as f64 / want.pixels().len() as f64;
        let most = differences.max().unwrap();
        // Pillow rounds after each axis. Where cubics and sincs overshoot it also clips there, and begins with the other axis.
        let overshoots = case["spec"]["interpolation"] == "bicubic" || case["spec"]["interpolation"] == "lanczos";
        let allowed = if overshoots { 16 } else { u8::from(resized) };
        assert!(most <= allowed && far < 0.03, "{}: {most}, {far}", case["spec"]);
    }
}

#[test]
fn five_crops_are_torchvisions() {
    let case = &cases("five")[0];
    for (flips, count) in [(false, 5), (true, 10)] {
        let crop = build("five_crop", json!({"size": 4, "flips": flips})).unwrap();
        let seen: BTreeSet<Vec<u8>> = (0..200)
            .map(|seed| {
                let mut rng = ChaCha8Rng::seed_from_u64(seed);
                crop.apply(picture(&case["input"]), &mut Draw::new(&mut rng)).into_pixels()
            })
            .collect();
        let want: BTreeSet<Vec<u8>> = (0..count).map(|i| picture(&case["outputs"][i]).into_pixels()).collect();
        assert_eq!(seen, want);
    }
}
