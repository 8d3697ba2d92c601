//! One step of each optimizer over the parameters of a ResNet-50, 25.6 million in 161 tensors. PyTorch's beside them:
//! `xtask/fixtures/optimizer_step.py`; threads: `RAYON_NUM_THREADS`.
#![allow(clippy::unwrap_used)]

use candle_core::{Device, Tensor, Var};
use candle_nn::VarMap;
use criterion::{Criterion, criterion_group, criterion_main};
use sconce_train::optim::{OPTIMIZERS, Pace, build};
use sconce_train::{Gradients, Params};
use serde_json::json;

/// Shapes of the convolutions, norms and the last layer.
fn shapes() -> Vec<Vec<usize>> {
    let mut all = vec![vec![64, 3, 7, 7], vec![64], vec![64]];
    let mut conv =
        |out: usize, into: usize, size: usize| all.extend([vec![out, into, size, size], vec![out], vec![out]]);
    let mut into = 64;
    for (width, blocks) in [(64, 3), (128, 4), (256, 6), (512, 3)] {
        for block in 0..blocks {
            conv(width, into, 1);
            conv(width, width, 3);
            conv(4 * width, width, 1);
            if block == 0 {
                conv(4 * width, into, 1);
            }
            into = 4 * width;
        }
    }
    all.extend([vec![1000, 2048], vec![1000]]);
    all
}

fn steps(c: &mut Criterion) {
    let vars = VarMap::new();
    for (i, shape) in shapes().into_iter().enumerate() {
        let n: usize = shape.iter().product();
        let values: Vec<f32> = (0..n).map(|j| (j as f32 * 0.37).sin() * 0.05).collect();
        let var = Var::from_tensor(&Tensor::from_vec(values, shape, &Device::Cpu).unwrap()).unwrap();
        vars.data().lock().unwrap().insert(format!("p{i:03}"), var);
    }
    let params = Params::new(&vars, |_| Some(1.0)).with_decay(|_, shape| shape.len() > 1);
    assert_eq!(params.0.iter().map(|p| p.var.elem_count()).sum::<usize>(), 25_557_032);
    let gradient = |p: &sconce_train::Param| p.var.as_detached_tensor().affine(0.01, 1e-4).unwrap();
    let gradients = Gradients(params.0.iter().map(gradient).collect());
    let mut group = c.benchmark_group("step");
    group.sample_size(10);
    for entry in OPTIMIZERS {
        let mut optimizer = build(entry.name, json!({})).unwrap();
        group.bench_function(entry.name, |b| {
            b.iter(|| {
                if optimizer.climbs() {
                    optimizer.climb(&params, &gradients).unwrap();
                }
                optimizer.step(&params, &gradients, Pace::new(1e-6)).unwrap();
            });
        });
    }
}

criterion_group!(benches, steps);
criterion_main!(benches);
