//! Noise, weather, erasing and stains against Albumentations, OpenCV and formulas (`xtask/fixtures/augment_noise.py`), and what
//! their transforms draw.
#![allow(clippy::unwrap_used)]

use crate::golden::picture;
use rand::SeedableRng;
use rand_chacha::ChaCha8Rng;
use sconce_augment::pixel::{Region, grid, noise, polygon, stain, veil};
use sconce_augment::{Draw, Image, build};
use serde_json::{Value, json};

/// The cases of a kind, with their inputs.
fn cases(kind: &str) -> Vec<Value> {
    let all: Value = serde_json::from_str(include_str!("../golden/noise.json")).unwrap();
    let mut cases: Vec<Value> =
        all["cases"].as_array().unwrap().iter().filter(|c| c["kind"] == kind).cloned().collect();
    assert!(!cases.is_empty());
    for case in cases.iter_mut().filter(|case| case["input"].is_string()) {
        case["input"] = all["pictures"][case["input"].as_str().unwrap()].clone();
    }
    cases
}

fn numbers(v: &Value) -> Vec<f64> {
    v.as_array().unwrap().iter().map(|v| v.as_f64().unwrap()).collect()
}

fn array<const N: usize>(v: &Value) -> [f64; N] {
    numbers(v).try_into().unwrap()
}

fn sizes<const N: usize>(v: &Value) -> [usize; N] {
    std::array::from_fn(|i| v[i].as_u64().unwrap() as usize)
}

/// Largest difference of two bytes, and the share of bytes that differ.
fn difference(case: &Value, change: impl FnOnce(&mut Image)) -> (u8, f64) {
    let (mut ours, want) = (picture(&case["input"]), picture(&case["output"]));
    change(&mut ours);
    assert_eq!(ours.dims(), want.dims());
    let differences = ours.pixels().iter().zip(want.pixels()).map(|(a, b)| a.abs_diff(*b));
    let differing = differences.clone().filter(|d| *d > 0).count();
    (differences.max().unwrap(), differing as f64 / want.pixels().len() as f64)
}

fn applied(name: &str, params: Value, image: Image, seed: u64) -> Image {
    build(name, params).unwrap().apply(image, &mut Draw::new(&mut ChaCha8Rng::seed_from_u64(seed)))
}

#[test]
fn factors_are_albumentations() {
    for case in cases("factors") {
        let seen = difference(&case, |image| noise::multiply_channels(image, &numbers(&case["factors"])));
        assert_eq!(seen, (0, 0.0), "{}", case["factors"]);
    }
}

#[test]
fn hues_and_lightness_are_opencvs() {
    for case in cases("hls") {
        let [turns, light] = ["turns", "light"].map(|name| case[name].as_f64().unwrap());
        // Floats in another order: halves are rounded either way.
        let (most, share) = difference(&case, |image| noise::shift_hls(image, turns, light));
        assert!(most <= 1 && share < 0.03, "{turns} {light}: {most}, {share}");
    }
}

#[test]
fn shadows_are_opencvs_but_for_their_outlines() {
    for case in cases("shadow") {
        let vertices: Vec<[f64; 2]> = case["vertices"].as_array().unwrap().iter().map(array).collect();
        let factor = 1.0 - case["intensity"].as_f64().unwrap();
        let mut ours = picture(&case["input"]);
        polygon::darken(&mut ours, &vertices, factor);
        let (before, want) = (picture(&case["input"]), picture(&case["output"]));
        let mut dark = 0;
        let pixels = ours.pixels().iter().zip(before.pixels()).zip(want.pixels());
        for (i, ((ours, before), want)) in pixels.enumerate() {
            dark += usize::from(ours != before);
            if ours != want {
                // OpenCV draws the outline too, as a line of pixels.
                let (x, y) = ((i % 40) as f64, (i / 40) as f64);
                let nearest =
                    (0..vertices.len()).map(|k| away([x, y], vertices[k], vertices[(k + 1) % vertices.len()]));
                assert!(nearest.fold(f64::INFINITY, f64::min) < 1.0, "{x} {y}");
                assert!(ours == before && *want == (f64::from(*before) * factor) as u8, "{x} {y}");
            }
        }
        assert!(dark > 100, "{dark}");
    }
}

/// Distance of a point from a segment.
fn away(p: [f64; 2], a: [f64; 2], b: [f64; 2]) -> f64 {
    let d = [b[0] - a[0], b[1] - a[1]];
    let along = ((p[0] - a[0]) * d[0] + (p[1] - a[1]) * d[1]) / (d[0] * d[0] + d[1] * d[1]).max(1e-9);
    let t = along.clamp(0.0, 1.0);
    (p[0] - a[0] - t * d[0]).hypot(p[1] - a[1] - t * d[1])
}

#[test]
fn rain_is_albumentations() {
    for case in cases("rain") {
        let starts: Vec<[usize; 2]> = case["starts"].as_array().unwrap().iter().map(sizes).collect();
        let [length, blur] = ["length", "blur"].map(|name| case[name].as_u64().unwrap() as usize);
        let streaks = veil::Streaks { length, shift: 0.0, blur, color: 200 };
        let brightness = case["brightness"].as_f64().unwrap();
        let seen = difference(&case, |image| veil::rain(image, &starts, streaks, brightness));
        assert_eq!(seen, (0, 0.0), "{}", case["starts"]);
    }
}

#[test]
fn fog_is_its_formula() {
    for case in cases("fog") {
        let patches: Vec<([isize; 2], usize)> = case["patches"]
            .as_array()
            .unwrap()
            .iter()
            .map(sizes)
            .map(|[x, y, r]| ([x as isize, y as isize], r))
            .collect();
        // Coverage is in parts of a patch.
        let (most, share) = difference(&case, |image| veil::fog(image, &patches, case["density"].as_f64().unwrap()));
        assert!(most <= 1 && share < 0.1, "{most}, {share}");
    }
}

#[test]
fn holes_in_a_grid_are_albumentations() {
    for case in cases("grid_dropout") {
        let ours = grid::holes(sizes(&case["sides"]), sizes(&case["cells"]), case["ratio"].as_f64().unwrap(), None);
        let want: Vec<Region> = case["holes"]
            .as_array()
            .unwrap()
            .iter()
            .map(sizes)
            .map(|[left, top, right, bottom]| Region {
                left: left as isize,
                top: top as isize,
                width: right - left,
                height: bottom - top,
            })
            .collect();
        assert_eq!(ours, want, "{}", case["sides"]);
    }
}

#[test]
fn grid_masks_are_the_papers() {
    for case in cases("grid_mask") {
        let [d, kept] = ["d", "kept"].map(|name| case[name].as_u64().unwrap() as usize);
        let seen = difference(&case, |image| grid::mask(image, [d, kept], sizes(&case["shift"]), 0.0, 0));
        assert_eq!(seen, (0, 0.0), "{d} {kept}");
    }
}

#[test]
fn stains_are_scikit_images() {
    for case in cases("stains") {
        let (alpha, beta) = (array(&case["alpha"]), array(&case["beta"]));
        // 32-bit floats: halves are rounded either way.
        let (most, share) = difference(&case, |image| stain::jitter(image, alpha, beta));
        assert!(most <= 1 && share < 0.01, "{} {}: {most}, {share}", case["alpha"], case["beta"]);
    }
}

#[test]
fn noise_is_as_strong_as_drawn() {
    for seed in 0..20 {
        let seen = applied("gaussian_noise", json!({"deviation": [4, 6]}), Image::filled(100, 100, &[100; 3]), seed);
        let variance = seen.pixels().iter().map(|v| (f64::from(*v) - 100.0).powi(2)).sum::<f64>() / 30_000.0;
        assert!((3.9..6.1).contains(&variance.sqrt()), "{variance}");
        let seen = applied("multiplicative_noise", json!({"per_channel": true}), Image::filled(5, 5, &[200; 3]), seed);
        assert!(seen.pixels().iter().all(|v| (180..=220).contains(v)) && seen.pixels()[..3] == seen.pixels()[72..]);
    }
}

#[test]
fn shadows_lie_in_their_region_and_are_as_dark_as_asked() {
    for seed in 0..50 {
        let params = json!({"region": [0.2, 0.5, 0.6, 0.9], "intensity": [0.5, 0.5], "count": [2, 2]});
        let seen = applied("shadow", params, Image::filled(101, 61, &[200]), seed);
        for (i, v) in seen.pixels().iter().enumerate() {
            let (x, y) = (i % 101, i / 101);
            let inside = (20..=60).contains(&x) && (30..=54).contains(&y);
            assert!(*v == 200 || (inside && [100, 50].contains(v)), "{x} {y} {v}");
        }
        assert!(seen.pixels().contains(&100));
    }
}

#[test]
fn fog_is_densest_before_the_middle_and_whitens_all_it_covers() {
    let mut sums = [0u64; 2];
    for seed in 0..10 {
        let seen = applied("fog", json!({}), Image::filled(96, 64, &[50]), seed);
        assert!(seen.pixels().iter().all(|v| *v >= 50));
        let at = |x: usize, y: usize| u64::from(seen.pixels()[y * 96 + x]);
        sums[0] += (0..8).map(|i| at(44 + i, 28 + i)).sum::<u64>();
        sums[1] += (0..8).map(|i| at(i, i)).sum::<u64>();
    }
    assert!(sums[0] > sums[1] + 10 * 8 * 10, "{sums:?}");
}

#[test]
fn rain_darkens_and_adds_light_streaks() {
    let seen = applied("rain", json!({"drops": 1}), Image::filled(100, 80, &[100; 3]), 0);
    assert!(seen.pixels().iter().all(|v| *v >= 70));
    let wet = seen.pixels().iter().filter(|v| **v > 70).count() as f64 / seen.pixels().len() as f64;
    assert!((0.3..0.99).contains(&wet), "{wet}");
    assert_eq!(applied("rain", json!({"drops": 0}), Image::filled(9, 9, &[100]), 0), Image::filled(9, 9, &[70]));
}

#[test]
fn holes_cover_what_they_should() {
    let share = |name: &str, params: Value, channels: usize| {
        let shares = (0..40).map(|seed| {
            let seen = applied(name, params.clone(), Image::filled(200, 150, &[9; 3][..channels]), seed);
            seen.pixels().iter().filter(|v| **v == 0).count() as f64 / seen.pixels().len() as f64
        });
        shares.sum::<f64>() / 40.0
    };
    for (name, params, exact) in [
        ("grid_dropout", json!({}), 0.5 * 7.0 / 15.0),
        ("grid_dropout", json!({"unit": [25, 25], "ratio": 0.8}), 0.64),
        ("grid_mask", json!({"d": [8, 24]}), 0.16),
        ("grid_mask", json!({"d": [10, 10], "rotate": 0, "ratio": 0.5}), 0.25),
        ("pixel_dropout", json!({"share": 0.1}), 0.1),
        ("pixel_dropout", json!({"share": 0.1, "per_channel": true}), 0.1),
        ("cutout", json!({"inside": true, "size": 30}), 0.03),
        ("coarse_dropout", json!({"holes": [1, 1], "height": [15, 15], "width": [20, 20]}), 0.01),
    ] {
        let seen = share(name, params.clone(), 3);
        assert!((seen - exact).abs() < 0.01 + 0.03 * exact, "{name} {params}: {seen}, not {exact}");
    }
    let pixels = applied("pixel_dropout", json!({"share": 0.5}), Image::filled(50, 50, &[9; 3]), 0);
    assert!(pixels.pixels().as_chunks::<3>().0.iter().all(|p| [[0; 3], [9; 3]].contains(p)));
}

#[test]
fn hairs_darken_skin_and_leave_most_of_it() {
    for seed in 0..20 {
        let seen = applied("hair_overlay", json!({}), Image::filled(128, 128, &[220, 170, 150]), seed);
        let changed = seen.pixels().as_chunks::<3>().0.iter().filter(|p| **p != [220, 170, 150]);
        let count = changed.clone().count();
        assert!(changed.into_iter().all(|[r, g, b]| *r <= 220 && *g <= 170 && *b <= 150));
        assert!(count > 5 && count < 128 * 128 / 4, "{count}");
    }
}

#[test]
fn stains_spread_as_drawn() {
    // Of one color, the logarithm's deviation over many draws is that of the formula.
    let color = [180u8, 120, 170];
    let mut sum = [0.0; 2];
    for seed in 0..2000 {
        let params = json!({"sigma1": 0, "sigma2": 0.2});
        let green = applied("stain_jitter", params, Image::filled(1, 1, &color), seed).pixels()[1];
        let ln = (f64::from(green) / 255.0).ln() - (120.0f64 / 255.0).ln();
        sum = [sum[0] + ln, sum[1] + ln * ln];
    }
    let [mean, variance] = sum.map(|s| s / 2000.0);
    let exact = (0.70f64.powi(2) + 0.99f64.powi(2) + 0.57f64.powi(2)) * 0.04 / 3.0;
    assert!(mean.abs() < 0.01 && (variance / exact - 1.0).abs() < 0.1, "{mean} {variance} {exact}");
}
