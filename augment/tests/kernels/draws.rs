//! What transforms draw: the names, ranges and distributions of their numbers.
#![allow(clippy::unwrap_used)]

use rand::SeedableRng;
use rand_chacha::ChaCha8Rng;
use sconce_augment::{Draw, Image, build};
use serde_json::{Value, json};

/// What is drawn for a name, over many pictures.
fn drawn(name: &str, params: Value, what: &str) -> Vec<f64> {
    let transform = build(name, params).unwrap();
    let mut all = vec![];
    for seed in 0..600 {
        let mut rng = ChaCha8Rng::seed_from_u64(seed);
        let mut draw = Draw::new(&mut rng).recording();
        transform.apply(Image::filled(21, 11, &[0; 3]), &mut draw);
        let steps = draw.into_steps();
        all.extend(steps[0].drawn.iter().filter(|(name, _)| *name == what).map(|(_, v)| v.as_f64().unwrap()));
    }
    all
}

#[test]
fn parameters_are_drawn_from_their_distributions() {
    let moments = |values: &[f64]| {
        let mean = values.iter().sum::<f64>() / values.len() as f64;
        (mean, values.iter().map(|v| (v - mean).powi(2)).sum::<f64>() / values.len() as f64)
    };
    for (name, params, what, [low, high]) in [
        ("affine", json!({"degrees": 30}), "degrees", [-30.0, 30.0]),
        ("affine", json!({"translate": [0.2, 0]}), "translate_x", [-4.2, 4.2]),
        ("affine", json!({"shear": [0, 7]}), "shear_y", [-7.0, 7.0]),
        ("affine", json!({"scale": [0.5, 2]}), "scale", [0.5, 2.0]),
        ("perspective", json!({}), "scale", [0.05, 0.1]),
        ("optical_distortion", json!({}), "k", [-0.05, 0.05]),
        ("grid_distortion", json!({}), "column", [0.7, 1.3]),
        ("piecewise_affine", json!({}), "scale", [0.03, 0.05]),
        ("thin_plate", json!({}), "scale", [0.2, 0.4]),
        ("motion_blur", json!({}), "angle", [0.0, 360.0]),
        ("motion_blur", json!({}), "direction", [-1.0, 1.0]),
        ("motion_blur", json!({"kernel": [9, 9]}), "shift_x", [-2.0, 2.0]),
        ("motion_blur", json!({"kernel": [5, 5]}), "shift_y", [-1.0, 1.0]),
        ("defocus", json!({}), "alias_blur", [0.1, 0.5]),
        ("iso_noise", json!({}), "color_shift", [0.01, 0.05]),
        ("iso_noise", json!({"intensity": [0.2, 0.8]}), "intensity", [0.2, 0.8]),
        ("hair_overlay", json!({"color": [10, 60]}), "color", [10.0, 60.0]),
        ("hair_overlay", json!({"width": [0.01, 0.02]}), "width", [0.01, 0.02]),
        ("hair_overlay", json!({"hairs": [2, 2]}), "x", [0.0, 21.0]),
        ("hair_overlay", json!({}), "y", [0.0, 11.0]),
        ("hair_overlay", json!({}), "angle", [0.0, std::f64::consts::TAU]),
        ("hair_overlay", json!({}), "length", [0.125, 0.5]),
        ("hair_overlay", json!({}), "bend", [-0.5, 0.5]),
        ("rain", json!({}), "slant", [-10.0, 10.0]),
    ] {
        let values = drawn(name, params, what);
        assert!(values.iter().all(|v| (low..=high).contains(v)), "{name} {what}");
        let ((mean, variance), range) = (moments(&values), high - low);
        assert!((mean - (low + high) / 2.0).abs() < range / 15.0, "{name} {what}: {mean}");
        assert!((variance * 12.0 / range.powi(2) - 1.0).abs() < 0.15, "{name} {what}: {variance}");
    }
    for (name, params, what, deviation) in [
        ("perspective", json!({"scale": [0.1, 0.1]}), "x", 0.1),
        ("thin_plate", json!({"scale": [0.5, 0.5]}), "y", 0.05),
        ("piecewise_affine", json!({"scale": [0.3, 0.3]}), "x", 1.1),
    ] {
        let (mean, variance) = moments(&drawn(name, params, what));
        assert!(mean.abs() < deviation / 8.0, "{name} {what}: {mean}");
        assert!((variance.sqrt() / deviation - 1.0).abs() < 0.05, "{name} {what}: {variance}");
    }
}

/// All whole numbers of a range are as likely.
#[test]
fn whole_parameters_are_even() {
    for (name, params, what, range) in [
        ("motion_blur", json!({"kernel": [3, 9]}), "radius", vec![1.0, 2.0, 3.0, 4.0]),
        ("defocus", json!({"radius": [3, 6]}), "radius", vec![3.0, 4.0, 5.0, 6.0]),
        ("compression", json!({"quality": [50, 53]}), "quality", vec![50.0, 51.0, 52.0, 53.0]),
        ("hair_overlay", json!({"hairs": [0, 3]}), "hairs", vec![0.0, 1.0, 2.0, 3.0]),
        ("coarse_dropout", json!({}), "holes", vec![1.0, 2.0]),
    ] {
        let values = drawn(name, params, what);
        assert!(values.iter().all(|v| range.contains(v)), "{name} {what}: {values:?}");
        let each = values.len() as f64 / range.len() as f64;
        for wanted in &range {
            let count = values.iter().filter(|v| *v == wanted).count() as f64;
            assert!((count - each).abs() < 5.0 * each.sqrt(), "{name} {what} {wanted}: {count}, not {each}");
        }
    }
}

/// Streaks begin in any column, in any row in which they end within the picture.
#[test]
fn streaks_of_rain_begin_anywhere() {
    let params = json!({"drops": 0.125, "slant": [0, 0], "blur": 1, "color": 255, "brightness": 1});
    let rain = build("rain", params).unwrap();
    let (mut columns, mut rows) = ([0usize; 8], [0usize; 8]);
    for seed in 0..4000 {
        let mut rng = ChaCha8Rng::seed_from_u64(seed);
        let seen = rain.apply(Image::filled(8, 8, &[0]), &mut Draw::new(&mut rng));
        for at in seen.pixels().iter().enumerate().filter(|(_, v)| **v > 0).map(|(at, _)| at) {
            columns[at % 8] += 1;
            rows[at / 8] += 1;
        }
    }
    let even = |counts: &[usize]| {
        let each = counts.iter().sum::<usize>() as f64 / counts.len() as f64;
        each > 100.0 && counts.iter().all(|count| (*count as f64 - each).abs() < 6.0 * each.sqrt())
    };
    assert!(even(&columns), "{columns:?} {rows:?}");
    assert!(rows[1..7].iter().all(|count| count * 4 > rows[3] * 3), "{rows:?}");
}
