//! Every op against its twin from plain candle ops, against finite differences, and for any number of threads.
#![allow(clippy::unwrap_used)]

use candle_core::{DType, Device, Result, Tensor, Var};
use sconce_models::ops::{self, Act, Pool, Window, k, twins};

/// The kind of vectors is one for the whole process.
static VECTORS: std::sync::RwLock<()> = std::sync::RwLock::new(());

/// Numbers in -1..1 without pattern, and all different.
fn values(shape: &[usize], salt: u64) -> Tensor {
    let count = shape.iter().product::<usize>() as u64;
    let v: Vec<f64> = (0..count)
        .map(|i| {
            let h = (i + 1).wrapping_mul(0x9E37_79B9_7F4A_7C15) ^ salt.wrapping_mul(0xD1B5_4A32_D192_ED03);
            let h = (h ^ (h >> 31)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
            (h >> 11) as f64 / (1u64 << 52) as f64 - 1.0
        })
        .collect();
    Tensor::from_vec(v, shape, &Device::Cpu).unwrap()
}

fn flat(t: &Tensor) -> Vec<f64> {
    t.to_dtype(DType::F64).unwrap().flatten_all().unwrap().to_vec1().unwrap()
}

fn close(what: &str, a: &Tensor, b: &Tensor, tolerance: f64) {
    assert_eq!(a.dims(), b.dims(), "{what}");
    for (i, (a, b)) in flat(a).iter().zip(flat(b)).enumerate() {
        assert!((a - b).abs() <= tolerance * (1.0 + b.abs()), "{what}[{i}]: {a} and {b}");
    }
}

/// A weighted sum of the output, so that every output has its own gradient.
fn scalar(y: &Tensor) -> Tensor {
    (y * values(y.dims(), 99)).unwrap().sum_all().unwrap()
}

type Op<'a> = &'a dyn Fn(&[Tensor]) -> Result<Tensor>;

/// Output and all gradients of `ours` equal those of `twin`, and central differences of `ours`.
fn check(what: &str, inputs: &[Tensor], ours: Op<'_>, twin: Op<'_>) {
    let vars: Vec<Var> = inputs.iter().map(|t| Var::from_tensor(t).unwrap()).collect();
    let tensors: Vec<Tensor> = vars.iter().map(|v| v.as_tensor().clone()).collect();
    let (a, b) = (ours(&tensors).unwrap(), twin(&tensors).unwrap());
    close(&format!("{what}: output"), &a, &b, 1e-12);
    let (ga, gb) = (scalar(&a).backward().unwrap(), scalar(&b).backward().unwrap());
    for (i, var) in vars.iter().enumerate() {
        let (ga, gb) = (ga.get(var).unwrap(), gb.get(var).unwrap());
        close(&format!("{what}: gradient {i}"), ga, gb, 1e-10);
        let g = flat(ga);
        for at in (0..g.len()).step_by(g.len().div_ceil(7)) {
            let moved = |by: f64| {
                let mut v = flat(&inputs[i]);
                v[at] += by;
                let mut inputs = inputs.to_vec();
                inputs[i] = Tensor::from_vec(v, inputs[i].shape().clone(), &Device::Cpu).unwrap();
                scalar(&ours(&inputs).unwrap()).to_scalar::<f64>().unwrap()
            };
            let difference = (moved(1e-6) - moved(-1e-6)) / 2e-6;
            assert!(
                (difference - g[at]).abs() < 1e-6 * (1.0 + g[at].abs()),
                "{what}: d{i}[{at}] {} {difference}",
                g[at]
            );
        }
    }
}

#[test]
fn convolutions() {
    let cases: &[([usize; 4], usize, Window)] = &[
        ([2, 7, 5, 3], 4, k(3)),
        ([1, 8, 9, 2], 3, k(3).stride(2)),
        ([2, 9, 7, 4], 6, k(3).stride(3).groups(2)),
        ([2, 6, 7, 5], 5, k(3).groups(5)),
        ([1, 9, 8, 3], 6, k(5).stride(2).groups(3)),
        ([2, 7, 7, 4], 4, k(5).stride(2).groups(4)),
        ([3, 4, 5, 6], 7, k(1)),
        ([2, 5, 6, 4], 3, k(1).stride(2)),
        ([1, 11, 10, 2], 2, k(3).dilation(2)),
        ([1, 10, 12, 3], 2, k(7).stride(2)),
        ([1, 6, 5, 2], 2, k(2).pad(0).stride(2)),
        ([1, 4, 4, 3], 2, k(4).pad(0)),
        ([1, 5, 4, 2], 2, k(3).pad(4)),
    ];
    for (shape, out, at) in cases {
        let x = values(shape, 1);
        let w = values(&[*out, shape[3] / at.groups, at.size, at.size], 2);
        let what = format!("conv {shape:?} -> {out} {at:?}");
        check(&what, &[x, w], &|t| ops::conv2d(&t[0], &t[1], *at), &|t| twins::conv2d(&t[0], &t[1], *at));
    }
}

#[test]
fn pools() {
    let cases = [
        ([2, 7, 8, 3], k(2).pad(0).stride(2)),
        ([2, 9, 7, 2], k(3).stride(2)),
        ([1, 6, 6, 4], k(3)),
        ([1, 5, 9, 1], k(1).stride(2)),
        ([2, 8, 5, 2], k(3).stride(2).pad(0)),
    ];
    for (shape, at) in cases {
        for f in [Pool::Max, Pool::Avg] {
            let what = format!("{f:?} pool {shape:?} {at:?}");
            check(&what, &[values(&shape, 3)], &|t| ops::pool(&t[0], f, at), &|t| twins::pool(&t[0], f, at));
        }
    }
}

#[test]
fn batch_norms() {
    let x = (values(&[3, 4, 5, 6], 4) + 3.0).unwrap();
    let inputs = [x.clone(), values(&[6], 5), values(&[6], 6)];
    check("batch norm, training", &inputs, &|t| ops::batch_norm_train(&t[0], &t[1], &t[2], 1e-5).map(|r| r.0), &|t| {
        twins::batch_norm_train(&t[0], &t[1], &t[2], 1e-5).map(|r| r.0)
    });
    let (mean, variance) = (values(&[6], 7), values(&[6], 8).sqr().unwrap());
    check(
        "batch norm, evaluation",
        &inputs,
        &|t| ops::batch_norm_eval(&t[0], &t[1], &t[2], (&mean, &variance), 1e-5),
        &|t| twins::batch_norm_eval(&t[0], &t[1], &t[2], (&mean, &variance), 1e-5),
    );
    let (_, a) = ops::batch_norm_train(&inputs[0], &inputs[1], &inputs[2], 1e-5).unwrap();
    let (_, b) = twins::batch_norm_train(&inputs[0], &inputs[1], &inputs[2], 1e-5).unwrap();
    assert_eq!(a.count, 60);
    close("mean", &a.mean, &b.mean, 1e-12);
    close("variance", &a.variance, &b.variance, 1e-12);
}

/// Values far from zero: a one-pass variance loses all digits here in f32.
#[test]
fn batch_norm_survives_a_large_mean() {
    let x = (values(&[8, 8, 8, 2], 9) + 4096.0).unwrap();
    let (one, zero) =
        (Tensor::ones(2, DType::F64, &Device::Cpu).unwrap(), Tensor::zeros(2, DType::F64, &Device::Cpu).unwrap());
    let (exact, _) = ops::batch_norm_train(&x, &one, &zero, 1e-5).unwrap();
    let single = |t: &Tensor| t.to_dtype(DType::F32).unwrap();
    let (ours, _) = ops::batch_norm_train(&single(&x), &single(&one), &single(&zero), 1e-5).unwrap();
    close("large mean", &ours, &exact, 2e-3);
}

#[test]
fn relu_has_slope_zero_at_zero_and_keeps_nan() {
    let x = Var::new(&[-1f32, 0.0, 2.0, f32::NAN], &Device::Cpu).unwrap();
    let y = ops::relu(&x).unwrap();
    assert_eq!(y.to_vec1::<f32>().unwrap()[..3], [0.0, 0.0, 2.0]);
    assert!(y.to_vec1::<f32>().unwrap()[3].is_nan());
    let g = y.sum_all().unwrap().backward().unwrap();
    assert_eq!(g.get(&x).unwrap().to_vec1::<f32>().unwrap(), [0.0, 0.0, 1.0, 1.0]);
}

const ACTS: [Act; 9] =
    [Act::Relu, Act::Relu6, Act::Silu, Act::Sigmoid, Act::Gelu, Act::HardSwish, Act::HardSigmoid, Act::Mish, Act::Tanh];

#[test]
fn activations_and_linear() {
    for f in ACTS {
        let x = (values(&[3, 17], 10) * 7.0).unwrap();
        check(&format!("{f:?}"), &[x], &|t| ops::activate(&t[0], f), &|t| twins::activate(&t[0], f));
    }
    let inputs = [values(&[4, 6], 11), values(&[3, 6], 12), values(&[3], 13)];
    check("linear", &inputs, &|t| ops::linear(&t[0], &t[1], Some(&t[2])), &|t| {
        t[0].matmul(&t[1].t()?)?.broadcast_add(&t[2])
    });
}

#[test]
fn not_a_number_propagates_through_pools() {
    let mut v = vec![1f32; 16];
    v[5] = f32::NAN;
    let x = Tensor::from_vec(v, (1, 4, 4, 1), &Device::Cpu).unwrap();
    let y = ops::pool(&x, Pool::Max, k(2).pad(0).stride(2)).unwrap().flatten_all().unwrap().to_vec1::<f32>().unwrap();
    assert!(y[0].is_nan() && y[1..].iter().all(|v| *v == 1.0), "{y:?}");
}

#[test]
fn half_precision_is_computed_in_f32() {
    let (x, w) = (values(&[2, 6, 5, 4], 14), values(&[3, 4, 3, 3], 15));
    for dtype in [DType::BF16, DType::F16] {
        let half = |t: &Tensor| t.to_dtype(dtype).unwrap();
        let y = ops::conv2d(&half(&x), &half(&w), k(3)).unwrap();
        assert_eq!(y.dtype(), dtype);
        let exact = ops::conv2d(&half(&x).to_dtype(DType::F32).unwrap(), &half(&w).to_dtype(DType::F32).unwrap(), k(3));
        close("half", &y, &half(&exact.unwrap()), 0.0);
    }
}

#[test]
fn mistakes_are_clear_errors() {
    let x = values(&[1, 4, 4, 3], 16);
    let message = |r: Result<Tensor>| r.unwrap_err().to_string();
    assert!(message(ops::conv2d(&x, &values(&[2, 3, 7, 7], 1), k(7).pad(0))).contains("does not fit into 4x4"));
    assert!(
        message(ops::conv2d(&x, &values(&[4, 1, 3, 3], 1), k(3).groups(2))).contains("do not divide into 2 groups")
    );
    assert!(message(ops::conv2d(&x, &values(&[2, 4, 3, 3], 1), k(3))).contains("does not fit 3 channels"));
    assert!(message(ops::pool(&x, Pool::Max, k(2).pad(2))).contains("more than half"));
    let empty = Tensor::zeros((0, 4, 4, 3), DType::F32, &Device::Cpu).unwrap();
    assert!(message(ops::conv2d(&empty, &values(&[2, 3, 3, 3], 1), k(3))).contains("empty input"));
}

/// Sums are split by shape, never by the number of threads.
#[test]
fn results_do_not_depend_on_threads() {
    let _shared = VECTORS.read().unwrap();
    let run = |threads: usize| {
        let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build().unwrap();
        pool.install(|| {
            let single =
                |shape: &[usize], salt| Var::from_tensor(&values(shape, salt).to_dtype(DType::F32).unwrap()).unwrap();
            let (x, w) = (single(&[5, 19, 17, 24], 17), single(&[32, 24, 3, 3], 18));
            let (g, b) = (single(&[32], 19), single(&[32], 20));
            let y = ops::conv2d(&x, &w, k(3).stride(2)).unwrap();
            let (y, _) = ops::batch_norm_train(&y, &g, &b, 1e-5).unwrap();
            let y = ops::pool(&ops::relu(&y).unwrap(), Pool::Max, k(3).stride(2)).unwrap();
            let loss = y.sqr().unwrap().sum_all().unwrap();
            let store = loss.backward().unwrap();
            [&x, &w, &g, &b].map(|v| store.get(v).unwrap().flatten_all().unwrap().to_vec1::<f32>().unwrap())
        })
    };
    assert_eq!(run(1), run(3));
}

/// The f32 kernels, on every kind of vectors, against the same convolution in f64.
#[test]
fn single_precision_kernels_agree_with_double_precision() {
    let _alone = VECTORS.write().unwrap();
    let cases: &[([usize; 4], usize, Window)] = &[
        ([2, 7, 5, 3], 4, k(3)),
        ([2, 13, 11, 24], 40, k(3)),
        ([3, 8, 8, 16], 16, k(3)),
        ([9, 2, 3, 33], 17, k(3).pad(0).size(2)),
        ([2, 9, 6, 19], 21, k(3).pad(2)),
        ([2, 9, 6, 19], 21, k(3).pad(0)),
        ([1, 8, 9, 2], 3, k(3).stride(2)),
        ([2, 30, 17, 32], 64, k(3).stride(2)),
        ([2, 9, 7, 4], 6, k(3).stride(3).groups(2)),
        ([2, 6, 7, 48], 48, k(3).groups(48)),
        ([2, 15, 29, 40], 40, k(5).groups(40)),
        ([2, 16, 15, 24], 24, k(5).groups(24).stride(2)),
        ([1, 33, 15, 24], 24, k(3).groups(24).stride(2)),
        ([1, 12, 15, 18], 18, k(3).groups(18).dilation(2)),
        ([1, 12, 15, 18], 18, k(7).groups(18)),
        ([1, 9, 8, 3], 6, k(5).stride(2).groups(3)),
        ([2, 7, 7, 64], 64, k(3).groups(4)),
        ([3, 4, 5, 6], 7, k(1)),
        ([3, 14, 15, 96], 24, k(1)),
        ([3, 14, 15, 24], 144, k(1)),
        ([2, 5, 6, 4], 3, k(1).stride(2)),
        ([1, 11, 10, 2], 2, k(3).dilation(2)),
        ([1, 23, 21, 20], 12, k(3).dilation(2).stride(2)),
        ([1, 30, 32, 3], 20, k(7).stride(2)),
        ([1, 6, 5, 2], 2, k(2).pad(0).stride(2)),
        ([1, 4, 4, 3], 2, k(4).pad(0)),
        ([1, 5, 4, 2], 2, k(3).pad(4)),
        ([1, 5, 4, 2], 2, k(1).pad(2)),
        ([2, 1, 1, 48], 1152, k(1)),
        ([40, 1, 1, 1152], 48, k(1)),
        ([2, 3, 3, 30], 50, k(1).stride(3)),
    ];
    for vectors in [ops::Vectors::Portable, ops::Vectors::Avx2, ops::Vectors::Avx512] {
        let used = ops::limit_vectors(vectors);
        for (shape, out, at) in cases {
            let x = values(shape, 1);
            let w = values(&[*out, shape[3] / at.groups, at.size, at.size], 2);
            let gradients = |dtype| {
                let x = Var::from_tensor(&x.to_dtype(dtype).unwrap()).unwrap();
                let w = Var::from_tensor(&w.to_dtype(dtype).unwrap()).unwrap();
                let y = ops::conv2d(&x, &w, *at).unwrap();
                let weights = values(y.dims(), 99).to_dtype(dtype).unwrap();
                let store = (&y * weights).unwrap().sum_all().unwrap().backward().unwrap();
                [y.detach(), store.get(&x).unwrap().clone(), store.get(&w).unwrap().clone()]
            };
            let (ours, exact) = (gradients(DType::F32), gradients(DType::F64));
            for (what, (a, b)) in ["y", "dx", "dw"].iter().zip(ours.iter().zip(&exact)) {
                let scale = flat(b).iter().fold(0.0, |m: f64, v| m.max(v.abs()));
                let error = flat(a).iter().zip(flat(b)).fold(0.0, |m: f64, (a, b)| if a.is_nan() { f64::NAN } else { m.max((a - b).abs()) });
                assert!(error < 1e-5 * scale.max(1.0), "{used:?} {shape:?} -> {out} {at:?}: {what} is off by {error} of {scale}");
            }
        }
    }
    ops::limit_vectors(ops::Vectors::Avx512);
}
