//! Each kernel on a 224² picture of three channels, and each transform with its defaults at 224² and 512².
#![allow(clippy::unwrap_used)]

use candle_core::{DType, Device, Tensor};
use criterion::{BatchSize, Criterion, criterion_group, criterion_main};
use data::Image;
use rand::SeedableRng;
use rand_chacha::ChaCha8Rng;
use sconce_augment::pixel::{
    Border, Interpolation, Region, Sampling, Symmetry, box_blur, color, disc_blur, gaussian_blur, jpeg, median_blur,
    orient, resize, rotation, warp, window,
};
use sconce_augment::{BATCH_TRANSFORMS, Draw, TRANSFORMS, build, build_batch};
use serde_json::json;

fn picture(width: usize, height: usize) -> Image {
    let pixels = (0..width * height * 3).map(|i| (i * 31 + i / width * 7) as u8).collect();
    Image::new(width, height, 3, pixels).unwrap()
}

fn kernels(c: &mut Criterion) {
    let image = picture(224, 224);
    let mut bench = |name: &str, kernel: &dyn Fn(Image) -> Image| {
        c.bench_function(&format!("kernel/{name}/224"), |b| {
            b.iter_batched(|| image.clone(), kernel, BatchSize::SmallInput)
        });
    };
    for (name, symmetry) in [
        ("mirror", Symmetry::MIRROR),
        ("upside_down", Symmetry::UPSIDE_DOWN),
        ("turn_90", Symmetry::ALL[1]),
        ("turn_180", Symmetry::ALL[2]),
    ] {
        bench(name, &move |image| orient(image, symmetry));
    }
    let inverse = rotation(13.0, 224, 224);
    bench("rotate_bilinear", &|image| warp(&image, inverse, Sampling::Bilinear, Border::Reflect101, 0));
    bench("rotate_nearest", &|image| warp(&image, inverse, Sampling::Nearest, Border::Constant, 0));
    let part = Region { left: 20, top: 30, width: 160, height: 120 };
    bench("resized_crop", &|image| resize(image, part, [224; 2], Interpolation::Bilinear));
    bench("crop", &|image| window(image, part, Border::Constant, 0));
    bench("box_7", &|image| box_blur(&image, 7, Border::Reflect101, 0));
    bench("disc_6", &|image| disc_blur(&image, 6));
    for size in [3, 5, 7] {
        bench(&format!("median_{size}"), &move |mut image| {
            median_blur(&mut image, size);
            image
        });
    }
    bench("gaussian_1.75", &|mut image| {
        gaussian_blur(&mut image, 1.75, 0, Border::Reflect101, 0);
        image
    });
    bench("jpeg_75", &|mut image| {
        jpeg(&mut image, 75);
        image
    });
    type InPlace = fn(&mut Image, f64);
    let changes: [(&str, InPlace, f64); 4] = [
        ("brightness", color::brightness, 1.2),
        ("contrast", color::contrast, 1.2),
        ("saturation", color::saturation, 1.2),
        ("hue", color::hue, 0.1),
    ];
    for (name, change, factor) in changes {
        bench(name, &move |mut image| {
            change(&mut image, factor);
            image
        });
    }
}

fn transforms(c: &mut Criterion) {
    for size in [224, 512] {
        let image = picture(size, size);
        for entry in TRANSFORMS {
            let Ok(transform) = build(entry.name, json!({})) else { continue };
            let mut rng = ChaCha8Rng::seed_from_u64(0);
            let mut apply = |image| transform.apply(image, &mut Draw::new(&mut rng));
            c.bench_function(&format!("{}/{size}", entry.name), |b| {
                b.iter_batched(|| image.clone(), &mut apply, BatchSize::SmallInput);
            });
        }
    }
}

/// Blends of 32 pictures of floats.
fn batches(c: &mut Criterion) {
    for size in [224, 512] {
        let images = Tensor::rand(0f32, 1.0, (32, 3, size, size), &Device::Cpu).unwrap();
        let targets = Tensor::eye(32, DType::F32, &Device::Cpu).unwrap();
        for entry in BATCH_TRANSFORMS {
            let transform = build_batch(entry.name, json!({})).unwrap();
            let mut rng = ChaCha8Rng::seed_from_u64(0);
            c.bench_function(&format!("batch/{}/{size}", entry.name), |b| {
                b.iter(|| transform.apply(&images, &targets, &mut Draw::new(&mut rng)).unwrap());
            });
        }
    }
}

/// Volumes of 64³ values.
fn volumes(c: &mut Criterion) {
    let volume = Image::volume([64, 64, 64, 1], (0..64 * 64 * 64).map(|i| (i * 31) as u8).collect()).unwrap();
    for (name, params) in [
        ("volume_flip", json!({})),
        ("volume_rotate", json!({"planes": ["height_width", "depth_height", "depth_width"]})),
        ("volume_rotate", json!({"planes": [], "degrees": 15})),
        ("volume_crop", json!({"size": [48, 48, 48]})),
        ("volume_resize", json!({"size": [48, 48, 48]})),
        ("intensity", json!({})),
    ] {
        let transform = build(name, params.clone()).unwrap();
        let mut rng = ChaCha8Rng::seed_from_u64(0);
        let mut apply = |volume| transform.apply(volume, &mut Draw::new(&mut rng));
        c.bench_function(&format!("volume/{name} {params}/64"), |b| {
            b.iter_batched(|| volume.clone(), &mut apply, BatchSize::SmallInput);
        });
    }
}

criterion_group!(benches, kernels, transforms, batches, volumes);
criterion_main!(benches);
