//! Convolutions at the shapes of known networks, forward and with both gradients: `cargo bench -p sconce-models`.
//!
//! Compare ratios within one run only. One thread: `RAYON_NUM_THREADS=1`.
#![allow(clippy::unwrap_used)]

use candle_core::{Device, Tensor, Var};
use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use sconce_models::ops::{Window, conv2d, k};

/// Name, batch, side and channels of the map, outputs, window.
type Shape = (&'static str, usize, usize, usize, usize, Window);

fn shapes() -> Vec<Shape> {
    vec![
        ("resnet20 16@32", 64, 32, 16, 16, k(3)),
        ("resnet20 64@8", 64, 8, 64, 64, k(3)),
        ("resnet18_cifar 64@32", 32, 32, 64, 64, k(3)),
        ("resnet18_cifar 512@4", 32, 4, 512, 512, k(3)),
        ("wide_resnet28_10 160@32", 8, 32, 160, 160, k(3)),
        ("wide_resnet28_10 640@8", 8, 8, 640, 640, k(3)),
        ("resnet50 stem", 8, 224, 3, 64, k(7).stride(2)),
        ("resnet50 64-256@56", 8, 56, 64, 256, k(1)),
        ("resnet50 128@56 stride 2", 8, 56, 128, 128, k(3).stride(2)),
        ("resnet50 256@14", 8, 14, 256, 256, k(3)),
        ("resnet50 2048-512@7", 8, 7, 2048, 512, k(1)),
        ("efficientnet_b0 depthwise 3x3/2 96@112", 8, 112, 96, 96, k(3).stride(2).groups(96)),
        ("efficientnet_b0 depthwise 5x5 240@28", 8, 28, 240, 240, k(5).groups(240)),
        ("efficientnet_b0 112-672@14", 8, 14, 112, 672, k(1)),
        ("mobilenetv2_100 16-96@112", 8, 112, 16, 96, k(1)),
        ("mobilenetv2_100 depthwise 3x3 384@14", 8, 14, 384, 384, k(3).groups(384)),
    ]
}

fn values(shape: &[usize]) -> Tensor {
    let count = shape.iter().product::<usize>();
    let v: Vec<f32> = (0..count).map(|i| ((i * 7919) % 1009) as f32 / 504.0 - 1.0).collect();
    Tensor::from_vec(v, shape, &Device::Cpu).unwrap()
}

fn convolutions(c: &mut Criterion) {
    let mut group = c.benchmark_group("conv2d");
    group.sample_size(10);
    for (name, batch, side, inputs, outputs, at) in shapes() {
        let x = Var::from_tensor(&values(&[batch, side, side, inputs])).unwrap();
        let w = Var::from_tensor(&values(&[outputs, inputs / at.groups, at.size, at.size])).unwrap();
        let y = conv2d(&x, &w, at).unwrap();
        let products = (y.elem_count() * w.elem_count() / outputs) as u64;
        let dy = values(y.dims());
        group.throughput(Throughput::Elements(products));
        group.bench_function(format!("{name}, forward"), |b| {
            let (x, w) = (x.as_detached_tensor(), w.as_detached_tensor());
            b.iter(|| conv2d(&x, &w, at).unwrap());
        });
        group.throughput(Throughput::Elements(3 * products));
        group.bench_function(format!("{name}, forward and gradients"), |b| {
            b.iter(|| (conv2d(&x, &w, at).unwrap() * &dy).unwrap().sum_all().unwrap().backward().unwrap());
        });
    }
    group.finish();
}

criterion_group!(benches, convolutions);
criterion_main!(benches);
