//! Every op against PyTorch's float64 (`xtask/fixtures/ops.py`): outputs and gradients, NaN and infinities included.
#![allow(clippy::unwrap_used)]

mod common;

use candle_core::{Device, Result, Tensor, Var};
use common::unit;
use sconce_models::ops::{self, Act, Extent, Pool, Upsample, Window};
use serde::de::DeserializeOwned;
use serde_json::Value;

const GOLDEN: &str = include_str!("golden/ops.json");

/// JSON has no infinities and no NaN: they are strings.
fn number(v: &Value) -> f64 {
    v.as_f64().unwrap_or_else(|| v.as_str().unwrap().parse().unwrap())
}

fn numbers(v: &Value) -> Vec<usize> {
    v.as_array().unwrap().iter().map(|v| v.as_u64().unwrap() as usize).collect()
}

fn read<T: DeserializeOwned>(v: &Value) -> T {
    serde_json::from_value(v.clone()).unwrap()
}

fn run(case: &Value, x: &[Var]) -> Result<Tensor> {
    let size = || read::<(usize, usize)>(&case["size"]);
    match case["op"].as_str().unwrap() {
        "conv2d" => ops::conv2d(&x[0], &x[1], read::<Window>(&case["at"])),
        "conv3d" => ops::conv3d(&x[0], &x[1], read::<Window>(&case["depth"]), read::<Window>(&case["at"])),
        "pool" => ops::pool(&x[0], read::<Pool>(&case["pool"]), read::<Window>(&case["at"])),
        "adaptive_pool" if size() == (1, 1) => ops::global_pool(&x[0], read::<Pool>(&case["pool"])),
        "adaptive_pool" => ops::adaptive_pool(&x[0], read::<Pool>(&case["pool"]), size()),
        "upsample" => {
            let to = match case["factor"].is_array() {
                true => read::<(f64, f64)>(&case["factor"]),
                false => (0.0, 0.0),
            };
            let to = if to.0 > 0.0 { Extent::Factor(to.0, to.1) } else { Extent::Size(size().0, size().1) };
            ops::upsample(&x[0], read::<Upsample>(&case["f"]), to)
        }
        "layer_norm" => ops::layer_norm(&x[0], &x[1], &x[2], case["eps"].as_f64().unwrap()),
        "softmax" => ops::softmax(&x[0]),
        "log_softmax" => ops::log_softmax(&x[0]),
        "activate" => ops::activate(&x[0], read::<Act>(&case["act"])),
        other => panic!("no op '{other}'"),
    }
}

fn compare(what: &str, ours: &Tensor, want: &Value) {
    let ours = ours.flatten_all().unwrap().to_vec1::<f64>().unwrap();
    for (at, value) in numbers(&want["at"]).into_iter().zip(want["values"].as_array().unwrap()) {
        let (ours, value) = (ours[at], number(value));
        let same = ours == value || ours.is_nan() && value.is_nan();
        assert!(same || (ours - value).abs() <= 1e-10 * (1.0 + value.abs()), "{what}[{at}]: {ours}, PyTorch {value}");
    }
    let norm = ours.iter().filter(|v| v.is_finite()).map(|v| v * v).sum::<f64>().sqrt();
    let value = number(&want["norm"]);
    assert!((norm - value).abs() <= 1e-10 * (1.0 + value), "{what}: norm {norm}, PyTorch {value}");
}

#[test]
fn ops_are_pytorch_s() {
    let golden: Value = serde_json::from_str(GOLDEN).unwrap();
    let cases = golden["cases"].as_array().unwrap();
    assert!(cases.len() > 70);
    for (i, case) in cases.iter().enumerate() {
        let mut inputs = vec![];
        for (j, shape) in case["inputs"].as_array().unwrap().iter().map(numbers).enumerate() {
            let mut v: Vec<f64> = unit(&format!("{i}/{j}"), shape.iter().product()).iter().map(|v| 4.0 * v).collect();
            for put in case["put"].as_array().unwrap().iter().filter(|_| j == 0) {
                v[put[0].as_u64().unwrap() as usize] = number(&put[1]);
            }
            inputs.push(Var::from_tensor(&Tensor::from_vec(v, shape, &Device::Cpu).unwrap()).unwrap());
        }
        let mut name = case.clone();
        name.as_object_mut().unwrap().retain(|key, _| !["output", "gradients", "put"].contains(&key.as_str()));
        let y = run(case, &inputs).unwrap_or_else(|e| panic!("{name}: {e}"));
        assert_eq!(y.dims(), numbers(&case["shape"]), "{name}");
        compare(&format!("{name}: output"), &y, &case["output"]);
        let dy = Tensor::from_vec(unit(&format!("{i}/dy"), y.elem_count()), y.dims(), &Device::Cpu).unwrap();
        let store = with_gradient(&y, &dy).backward().unwrap();
        for (j, want) in case["gradients"].as_array().unwrap().iter().enumerate() {
            compare(&format!("{name}: gradient {j}"), store.get(&inputs[j]).unwrap(), want);
        }
    }
}

/// A scalar whose gradient with respect to `y` is `dy`, and stays so where `y` is not a number.
fn with_gradient(y: &Tensor, dy: &Tensor) -> Tensor {
    (y * dy).unwrap().sum_all().unwrap()
}
