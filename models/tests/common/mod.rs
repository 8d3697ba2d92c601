//! The formula of `xtask/fixtures/models.py`, which gives weights and pictures to our networks and to the reference's.
#![allow(dead_code)]

use candle_core::{DType, Device, Tensor};

pub fn name_hash(name: &str) -> u64 {
    name.bytes().fold(0xCBF2_9CE4_8422_2325, |h, b| (h ^ u64::from(b)).wrapping_mul(0x0100_0000_01B3))
}

fn mix(v: u64) -> u64 {
    let v = v.wrapping_add(0x9E37_79B9_7F4A_7C15);
    let v = (v ^ (v >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
    let v = (v ^ (v >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
    v ^ (v >> 31)
}

/// `count` numbers in [-1, 1) of a key.
pub fn unit(key: &str, count: usize) -> Vec<f64> {
    let key = name_hash(key);
    (0..count as u64).map(|i| (mix(key.wrapping_add(i)) >> 40) as f64 / (1u64 << 23) as f64 - 1.0).collect()
}

/// The value of a variable, or of the batch (name 'images').
pub fn formula(seed: u64, name: &str, shape: &[usize], dtype: DType) -> Tensor {
    let fan_in = shape[1..].iter().product::<usize>() as f64;
    let values: Vec<f32> = unit(&format!("{seed}/{name}"), shape.iter().product())
        .into_iter()
        .map(|u| {
            let v = match shape.len() {
                _ if name == "images" => 1.5 * u,
                4 | 5 => (6.0 / fan_in).sqrt() * u,
                2 => (3.0 / fan_in).sqrt() * u,
                _ if name == "head.bias" => 0.1 * u,
                _ if name.ends_with(".weight") => 1.0 + 0.2 * u,
                _ => 0.2 * u,
            };
            v as f32
        })
        .collect();
    Tensor::from_vec(values, shape, &Device::Cpu).unwrap().to_dtype(dtype).unwrap()
}
