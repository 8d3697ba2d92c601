//! Every op against its twin from plain candle ops, against finite differences, and for any number of threads.
#![allow(unsafe_code, clippy::unwrap_used)]

use candle_core::{DType, Device, Result, Tensor, Var};
use proptest::prelude::*;
use sconce_models::ops::{self, Across, Act, Edge, Extent, Pool, Upsample, Window, k, rect, twins};

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
        ([2, 8, 7, 4], 4, k(3).stride(2).groups(4).same()),
        ([1, 6, 5, 3], 2, k(4).stride(2).same()),
        ([1, 6, 5, 3], 2, k(3).stride(2).pads(0, 1)),
        ([1, 3, 4, 2], 3, k(1).pads(0, 1)),
        ([2, 6, 9, 3], 4, rect(1, 7)),
        ([2, 9, 6, 4], 6, rect(7, 1).groups(2)),
        ([1, 7, 8, 3], 3, rect(3, 1).groups(3)),
        ([1, 7, 8, 3], 2, rect(2, 5).stride(2).same()),
    ];
    for (shape, out, at) in cases {
        let x = values(shape, 1);
        let w = values(&[*out, shape[3] / at.groups, at.sides()[0], at.sides()[1]], 2);
        let what = format!("conv {shape:?} -> {out} {at:?}");
        check(&what, &[x, w], &|t| ops::conv2d(&t[0], &t[1], *at), &|t| twins::conv2d(&t[0], &t[1], *at));
    }
}

const POOLS: [Pool; 3] = [Pool::Max, Pool::Avg, Pool::AvgInside];

#[test]
fn pools() {
    let cases = [
        ([2, 7, 8, 3], k(2).pad(0).stride(2)),
        ([2, 9, 7, 2], k(3).stride(2)),
        ([1, 6, 6, 4], k(3)),
        ([1, 5, 9, 1], k(1).stride(2)),
        ([2, 8, 5, 2], k(3).stride(2).pad(0)),
        ([2, 6, 7, 2], k(3).stride(2).ceil()),
        ([1, 8, 5, 2], k(2).pad(0).stride(3).ceil()),
        ([2, 6, 7, 3], k(3).stride(2).same()),
        ([1, 6, 5, 2], k(3).stride(2).pads(0, 1)),
        ([1, 9, 8, 2], k(3).dilation(2).stride(2)),
        ([1, 6, 8, 2], rect(1, 3).stride(2)),
        ([1, 8, 6, 2], rect(3, 2).stride(2).same()),
    ];
    for (shape, at) in cases {
        for f in POOLS {
            let what = format!("{f:?} pool {shape:?} {at:?}");
            check(&what, &[values(&shape, 3)], &|t| ops::pool(&t[0], f, at), &|t| twins::pool(&t[0], f, at));
        }
    }
}

#[test]
fn adaptive_and_global_pools() {
    for f in POOLS {
        let x = values(&[2, 7, 5, 3], 30);
        for size in [(3, 2), (7, 5), (1, 4), (9, 11)] {
            check(
                &format!("{f:?} to {size:?}"),
                std::slice::from_ref(&x),
                &|t| ops::adaptive_pool(&t[0], f, size),
                &|t| twins::adaptive_pool(&t[0], f, size),
            );
        }
        check(&format!("global {f:?}"), &[x], &|t| ops::global_pool(&t[0], f), &|t| twins::global_pool(&t[0], f));
    }
}

/// A picture of 65,536 equal pixels: a sum in f32 is off in the third digit.
#[test]
fn averages_of_large_pictures_are_exact() {
    let y = ops::global_pool(&Tensor::full(0.1f32, (1, 256, 256, 1), &Device::Cpu).unwrap(), Pool::Avg).unwrap();
    assert_eq!(y.flatten_all().unwrap().to_vec1::<f32>().unwrap(), [0.1]);
}

const RESAMPLINGS: [Upsample; 3] =
    [Upsample::Nearest, Upsample::Bilinear { align_corners: false }, Upsample::Bilinear { align_corners: true }];

#[test]
fn resampling() {
    let extents = [Extent::Size(8, 10), Extent::Size(7, 3), Extent::Size(1, 1), Extent::Factor(1.5, 2.7)];
    for f in RESAMPLINGS {
        for to in extents {
            let what = format!("{f:?} {to:?}");
            check(&what, &[values(&[2, 4, 5, 3], 31)], &|t| ops::upsample(&t[0], f, to), &|t| {
                twins::upsample(&t[0], f, to)
            });
        }
    }
}

#[test]
fn volumes() {
    let cases = [
        ([2, 5, 6, 4, 2], 3, k(3), k(3)),
        ([1, 6, 5, 5, 4], 2, k(3).stride(2), k(3).stride(2).groups(2)),
        ([1, 4, 4, 5, 3], 3, k(1), k(3).groups(3)),
        ([1, 7, 3, 3, 2], 2, k(3).dilation(2), k(1)),
        ([2, 4, 5, 4, 2], 2, k(2).pad(0).stride(2), k(2).pad(0)),
        ([1, 4, 6, 6, 1], 2, k(3).stride(2).same(), k(3).stride(2).same()),
        ([1, 2, 3, 3, 2], 2, k(1).pad(2), k(3)),
        ([1, 3, 5, 4, 2], 3, k(3), rect(1, 3)),
    ];
    for (shape, out, depth, at) in cases {
        let w = values(&[out, shape[4] / at.groups, depth.size, at.sides()[0], at.sides()[1]], 33);
        let what = format!("conv3d {shape:?} -> {out} {depth:?} {at:?}");
        check(&what, &[values(&shape, 32), w], &|t| ops::conv3d(&t[0], &t[1], depth, at), &|t| {
            twins::conv3d(&t[0], &t[1], depth, at)
        });
    }
}

#[test]
fn layer_norms_and_softmaxes() {
    let inputs = [values(&[3, 4, 7], 34), values(&[7], 35), values(&[7], 36)];
    check("layer norm", &inputs, &|t| ops::layer_norm(&t[0], &t[1], &t[2], 1e-5), &|t| {
        twins::layer_norm(&t[0], &t[1], &t[2], 1e-5)
    });
    let x = (values(&[4, 3, 9], 37) * 5.0).unwrap();
    check("softmax", std::slice::from_ref(&x), &|t| ops::softmax(&t[0]), &|t| twins::softmax(&t[0]));
    check("log softmax", &[x], &|t| ops::log_softmax(&t[0]), &|t| twins::log_softmax(&t[0]));
    // The second one has more queries than are looked at together.
    for (shape, heads) in [([2, 5, 24], 2), ([1, 70, 6], 1)] {
        let x = (values(&shape, 37) * 2.0).unwrap();
        check("attention", &[x], &|t| ops::attention(&t[0], heads), &|t| twins::attention(&t[0], heads));
    }
}

/// Large numbers do not overflow, and a row far from zero keeps its digits.
#[test]
fn rows_far_from_zero_are_exact() {
    let x = Tensor::new(&[[1000f32, 1001.0, 999.0]], &Device::Cpu).unwrap();
    let y = ops::softmax(&x).unwrap().to_vec2::<f32>().unwrap();
    assert!((y[0][1] - 0.665_240_9).abs() < 1e-6, "{y:?}");
    let x = (values(&[2, 64], 38) + 4096.0).unwrap();
    let (one, zero) =
        (Tensor::ones(64, DType::F64, &Device::Cpu).unwrap(), Tensor::zeros(64, DType::F64, &Device::Cpu).unwrap());
    let single = |t: &Tensor| t.to_dtype(DType::F32).unwrap();
    let exact = ops::layer_norm(&single(&x).to_dtype(DType::F64).unwrap(), &one, &zero, 1e-5).unwrap();
    close("layer norm", &ops::layer_norm(&single(&x), &single(&one), &single(&zero), 1e-5).unwrap(), &exact, 1e-3);
}

/// Windows over small maps, whether they fit or not.
fn windows() -> impl Strategy<Value = Window> {
    let edge = prop_oneof![Just(Edge::Even), (0usize..4).prop_map(Edge::Far), Just(Edge::Ceil), Just(Edge::Same)];
    let across = proptest::option::of((1usize..6, 0usize..4).prop_map(|(size, pad)| Across { size, pad }));
    let sizes = (1usize..6, 1usize..4, 0usize..4, 1usize..3);
    (sizes, edge, across).prop_map(|((size, stride, pad, dilation), edge, across)| Window {
        edge,
        across,
        ..k(size).stride(stride).dilation(dilation).pad(pad)
    })
}

/// `ours` and `twin` give the same output and gradients, or both say why not.
fn same(what: &str, inputs: &[Tensor], ours: Op<'_>, twin: Op<'_>) {
    let vars: Vec<Var> = inputs.iter().map(|t| Var::from_tensor(t).unwrap()).collect();
    let tensors: Vec<Tensor> = vars.iter().map(|v| v.as_tensor().clone()).collect();
    let (a, b) = match (ours(&tensors), twin(&tensors)) {
        (Ok(a), Ok(b)) => (a, b),
        (a, b) => {
            // Behind the first line candle may print where it happened.
            let [a, b] = [a, b].map(|r| r.unwrap_err().to_string().lines().next().map(String::from));
            return assert_eq!(a, b, "{what}");
        }
    };
    close(&format!("{what}: output"), &a, &b, 1e-12);
    let (ga, gb) = (scalar(&a).backward().unwrap(), scalar(&b).backward().unwrap());
    for (i, var) in vars.iter().enumerate() {
        close(&format!("{what}: gradient {i}"), ga.get(var).unwrap(), gb.get(var).unwrap(), 1e-10);
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 200, failure_persistence: None, ..Default::default() })]

    #[test]
    fn any_convolution_is_its_twin(
        at in windows(), batch in 1usize..3, height in 1usize..10, width in 1usize..10,
        groups in 1usize..4, group_in in 1usize..4, group_out in 1usize..4,
    ) {
        let at = at.groups(groups);
        let x = values(&[batch, height, width, groups * group_in], 40);
        let w = values(&[groups * group_out, group_in, at.sides()[0], at.sides()[1]], 41);
        let what = format!("conv {:?} {:?} {at:?}", x.dims(), w.dims());
        same(&what, &[x, w], &|t| ops::conv2d(&t[0], &t[1], at), &|t| twins::conv2d(&t[0], &t[1], at));
    }

    #[test]
    fn any_pool_is_its_twin(
        at in windows(), batch in 1usize..3, height in 1usize..10, width in 1usize..10, channels in 1usize..4,
        to in (1usize..12, 1usize..12),
    ) {
        let x = values(&[batch, height, width, channels], 42);
        for f in POOLS {
            let what = format!("{f:?} {:?} {at:?}", x.dims());
            // A maximum over padding only has no gradient to compare.
            let fits = ops::pool(&x, f, at).map_or(true, |y| flat(&y).iter().all(|v| v.is_finite()));
            if fits {
                same(&what, std::slice::from_ref(&x), &|t| ops::pool(&t[0], f, at), &|t| twins::pool(&t[0], f, at));
            }
            let what = format!("{f:?} {:?} to {to:?}", x.dims());
            same(&what, std::slice::from_ref(&x), &|t| ops::adaptive_pool(&t[0], f, to), &|t| twins::adaptive_pool(&t[0], f, to));
        }
    }

    #[test]
    fn any_resampling_is_its_twin(height in 1usize..9, width in 1usize..9, to in (1usize..20, 1usize..20)) {
        let x = values(&[2, height, width, 2], 43);
        let factor = Extent::Factor(to.0 as f64 / 5.0, to.1 as f64 / 3.0);
        for f in RESAMPLINGS {
            for to in [Extent::Size(to.0, to.1), factor] {
                let what = format!("{f:?} {height}x{width} {to:?}");
                same(&what, std::slice::from_ref(&x), &|t| ops::upsample(&t[0], f, to), &|t| twins::upsample(&t[0], f, to));
            }
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
    let inputs = [values(&[2, 4, 6], 11), values(&[3, 6], 12)];
    check("linear", &inputs, &|t| ops::linear(&t[0], &t[1], None), &|t| t[0].broadcast_matmul(&t[1].t()?));
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

/// The parameters' gradients of a norm are not rounded to the precision of its input.
#[test]
fn half_precision_maps_have_new_ops_too() {
    let half = |t: &Tensor| t.to_dtype(DType::BF16).unwrap();
    let wide = |t: &Tensor| t.to_dtype(DType::F32).unwrap();
    let x = half(&values(&[2, 4, 4, 6], 50));
    let all = |x: &Tensor| -> Vec<Tensor> {
        let x5 = x.reshape((2, 4, 2, 2, 6)).unwrap();
        let w = half(&values(&[3, 6, 3, 1, 1], 51)).to_dtype(x.dtype()).unwrap();
        let mut all = vec![
            ops::softmax(x).unwrap(),
            ops::log_softmax(x).unwrap(),
            ops::attention(&x.flatten(1, 2).unwrap(), 2).unwrap(),
            ops::upsample(x, RESAMPLINGS[1], Extent::Size(7, 5)).unwrap(),
            ops::adaptive_pool(x, Pool::Max, (3, 3)).unwrap(),
            ops::global_pool(x, Pool::Avg).unwrap(),
        ];
        all.extend(ACTS.map(|f| ops::activate(x, f).unwrap()));
        // Slices along the depth are added in the type of the map: one tap, so that nothing is.
        all.push(ops::conv3d(&x5, &w.narrow(2, 1, 1).unwrap(), k(1), k(1)).unwrap());
        all
    };
    for (i, (a, b)) in all(&x).iter().zip(&all(&wide(&x))).enumerate() {
        assert_eq!(a.dtype(), DType::BF16);
        close(&format!("half {i}"), a, &half(b), 0.0);
    }
    let [weight, bias] = [52, 53].map(|salt| Var::from_tensor(&wide(&values(&[6], salt))).unwrap());
    let gradients = |x: &Tensor| {
        let y = ops::layer_norm(x, &weight, &bias, 1e-5).unwrap();
        assert_eq!(y.dtype(), x.dtype());
        let store = y.to_dtype(DType::F32).unwrap().sum_all().unwrap().backward().unwrap();
        [&weight, &bias].map(|v| store.get(v).unwrap().clone())
    };
    for (a, b) in gradients(&x).iter().zip(&gradients(&wide(&x))) {
        close("layer norm's parameters", a, b, 1e-6);
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
    assert!(message(ops::pool(&empty, Pool::Max, k(3))).contains("empty input"));
    assert!(message(ops::global_pool(&empty, Pool::Avg)).contains("empty input"));
    assert!(message(ops::adaptive_pool(&x, Pool::Avg, (0, 2))).contains("size (0, 2)"));
    assert!(message(ops::pool(&x, Pool::Max, k(5).pad(0))).contains("does not fit into 4x4"));
    assert!(message(ops::pool(&x, Pool::Avg, k(3).pads(0, 2))).contains("padding 2 is more than half"));
    assert!(message(ops::upsample(&empty, Upsample::Nearest, Extent::Size(2, 2))).contains("empty input"));
    assert!(message(ops::upsample(&x, Upsample::Nearest, Extent::Factor(0.1, 2.0))).contains("result (0, 8)"));
    assert!(message(ops::upsample(&x, Upsample::Nearest, Extent::Factor(f64::NAN, 2.0))).contains("positive"));
    let (one, rows) = (values(&[4], 1), Tensor::zeros((0, 3), DType::F64, &Device::Cpu).unwrap());
    assert!(message(ops::layer_norm(&x, &one, &one, 1e-5)).contains("3 channels, but weight [4]"));
    let three = values(&[3], 1);
    assert!(message(ops::layer_norm(&rows, &three, &three, 1e-5)).contains("empty input"));
    assert!(message(ops::attention(&values(&[2, 3, 8], 1), 2)).contains("8 channels are not queries"));
    assert!(message(ops::softmax(&rows)).contains("empty input") && message(ops::log_softmax(&rows)).contains("empty"));
    let volume = values(&[1, 2, 4, 4, 3], 17);
    assert!(
        message(ops::conv3d(&volume, &values(&[2, 3, 5, 3, 3], 1), k(5).pad(0), k(3))).contains("5 slices does not")
    );
    assert!(message(ops::conv3d(&volume, &values(&[2, 3, 1, 5, 5], 1), k(1), k(5).pad(0))).contains("fit into 4x4"));
    assert!(message(ops::conv3d(&volume, &values(&[2, 3, 3, 3, 3], 1), k(1), k(3))).contains("window of 1 slices"));
    assert!(message(ops::conv3d(&x, &values(&[2, 3, 3, 3], 1), k(3), k(3))).contains("expected [B, D, H, W, C]"));
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

/// The same for layers whose sums run over rows, pictures and slices; in F64, since they sum in double precision.
#[test]
fn results_of_new_ops_do_not_depend_on_threads() {
    let run = |threads: usize| {
        let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build().unwrap();
        pool.install(|| {
            let var = |shape: &[usize], salt| Var::from_tensor(&values(shape, salt)).unwrap();
            let (x, w) = (var(&[5, 3, 19, 17, 24], 17), var(&[32, 24, 3, 3, 3], 18));
            let (g, b) = (var(&[32], 19), var(&[32], 20));
            let y = ops::conv3d(&x, &w, k(3), k(3)).unwrap().flatten(0, 1).unwrap();
            let y = ops::activate(&ops::layer_norm(&y, &g, &b, 1e-5).unwrap(), Act::Mish).unwrap();
            let y = ops::pool(&y, Pool::AvgInside, k(3).stride(2).ceil()).unwrap();
            let y = ops::upsample(&y, RESAMPLINGS[1], Extent::Size(23, 31)).unwrap();
            let y = ops::log_softmax(&ops::softmax(&y).unwrap()).unwrap();
            let y = ops::adaptive_pool(&y, Pool::Max, (5, 4)).unwrap();
            let loss = (&y * ops::global_pool(&y, Pool::Avg).unwrap().broadcast_as(y.shape()).unwrap()).unwrap();
            let store = loss.sum_all().unwrap().backward().unwrap();
            [&x, &w, &g, &b].map(|v| store.get(v).unwrap().flatten_all().unwrap().to_vec1::<f64>().unwrap())
        })
    };
    assert_eq!(run(1), run(3));
}

/// Layers of rows and curves on every kind of vectors against the same in f64.
#[test]
fn single_precision_rows_and_curves_agree_with_double_precision() {
    let _alone = VECTORS.write().unwrap();
    let single = |t: &Tensor| t.to_dtype(DType::F32).unwrap().to_dtype(DType::F64).unwrap();
    for vectors in [ops::Vectors::Portable, ops::Vectors::Avx2, ops::Vectors::Avx512] {
        // SAFETY: the lock keeps all other tests of this file waiting.
        unsafe { ops::switch_vectors(vectors) };
        for c in [1, 7, 16, 30, 96, 197] {
            let x = single(&(values(&[5, 13, c], 80) * 4.0).unwrap());
            let (w, b) = (single(&values(&[c], 81)), single(&values(&[c], 82)));
            let y = |what: &str, inputs: &[Tensor], f: Op<'_>| {
                let run = |dtype| {
                    let of = |t: &Tensor| Var::from_tensor(&t.to_dtype(dtype).unwrap()).unwrap();
                    let vars: Vec<Var> = inputs.iter().map(of).collect();
                    let tensors: Vec<Tensor> = vars.iter().map(|v| v.as_tensor().clone()).collect();
                    let y = f(&tensors).unwrap();
                    let store = scalar(&y.to_dtype(DType::F64).unwrap()).backward().unwrap();
                    let mut all = vec![y];
                    all.extend(vars.iter().map(|v| store.get(v).unwrap().clone()));
                    all
                };
                for (a, b) in run(DType::F32).iter().zip(&run(DType::F64)) {
                    close(&format!("{what} of {c} {vectors:?}"), a, b, 1e-5);
                }
            };
            y("softmax", std::slice::from_ref(&x), &|t| ops::softmax(&t[0]));
            y("log softmax", std::slice::from_ref(&x), &|t| ops::log_softmax(&t[0]));
            if c > 1 {
                y("layer norm", &[x.clone(), w, b], &|t| ops::layer_norm(&t[0], &t[1], &t[2], 1e-5));
            }
            if usize::is_multiple_of(c, 3) {
                y("attention", std::slice::from_ref(&x), &|t| ops::attention(&t[0], 1));
            }
            for f in ACTS {
                y(&format!("{f:?}"), std::slice::from_ref(&x), &|t| ops::activate(&t[0], f));
            }
        }
    }
    // SAFETY: the lock keeps all other tests of this file waiting.
    unsafe { ops::switch_vectors(ops::Vectors::Avx512) };
}

/// Limits at infinities, and what is not a number, as in PyTorch's F64.
#[test]
fn curves_of_infinities_are_pytorch_s() {
    let x = Tensor::new(&[f32::NEG_INFINITY, -1000.0, 1000.0, f32::INFINITY, f32::NAN], &Device::Cpu).unwrap();
    let (nan, inf) = (f32::NAN, f32::INFINITY);
    let want: [(Act, [f32; 5]); 5] = [
        (Act::Silu, [nan, 0.0, 1000.0, inf, nan]),
        (Act::Sigmoid, [0.0, 0.0, 1.0, 1.0, nan]),
        (Act::Gelu, [nan, 0.0, 1000.0, inf, nan]),
        (Act::Mish, [nan, 0.0, 1000.0, inf, nan]),
        (Act::Tanh, [-1.0, -1.0, 1.0, 1.0, nan]),
    ];
    for (f, want) in want {
        let ours = ops::activate(&x, f).unwrap().to_vec1::<f32>().unwrap();
        assert!(ours.iter().zip(&want).all(|(a, b)| a == b || a.is_nan() && b.is_nan()), "{f:?}: {ours:?}");
    }
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
        // So many channels that the batch is transformed first.
        ([2, 7, 9, 250], 270, k(3)),
        ([2, 17, 17, 32], 40, rect(1, 7)),
        ([2, 17, 17, 32], 40, rect(7, 1)),
        ([3, 8, 8, 24], 33, rect(1, 3)),
        ([3, 8, 40, 24], 33, rect(3, 1)),
        ([2, 9, 7, 12], 8, rect(5, 3).stride(2).groups(4)),
        ([2, 9, 8, 6], 6, rect(1, 3).groups(6)),
        ([1, 11, 12, 5], 7, rect(2, 3).dilation(2).same()),
    ];
    let kinds = [ops::Vectors::Portable, ops::Vectors::Avx2, ops::Vectors::Avx512];
    let default = ops::winograd();
    let tiles = [(ops::Tile::None, 1e-5), (ops::Tile::Two, 1e-5), (ops::Tile::Four, 5e-5)];
    for (vectors, (tile, tolerance)) in kinds.into_iter().flat_map(|v| tiles.map(|t| (v, t))) {
        // SAFETY: the lock keeps all other tests of this file waiting.
        let used = unsafe { ops::switch_vectors(vectors) };
        ops::set_winograd(tile);
        for (shape, out, at) in cases {
            let x = values(shape, 1);
            let w = values(&[*out, shape[3] / at.groups, at.sides()[0], at.sides()[1]], 2);
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
                let error = flat(a)
                    .iter()
                    .zip(flat(b))
                    .fold(0.0, |m: f64, (a, b)| if a.is_nan() { f64::NAN } else { m.max((a - b).abs()) });
                assert!(
                    error < tolerance * scale.max(1.0),
                    "{used:?} {tile:?} {shape:?} -> {out} {at:?}: {what} is off by {error} of {scale}"
                );
            }
        }
    }
    // SAFETY: the lock keeps all other tests of this file waiting.
    unsafe { ops::switch_vectors(ops::Vectors::Avx512) };
    ops::set_winograd(default);
}
