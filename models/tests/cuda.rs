//! Every op on a CUDA device against its twin on the CPU, forward and gradients. Without a device the tests are skipped and
//! say so.
#![cfg(feature = "cuda")]
#![allow(clippy::unwrap_used, clippy::print_stdout)]

use candle_core::{DType, Device, Result, Tensor, Var};
use candle_nn::VarMap;
use sconce_models::ops::{self, Pool, Window, k, twins};
use sconce_models::{Network, NetworkConfig, Pass, init};

/// The first CUDA device. A machine without a driver makes the CUDA library panic rather than fail.
fn device() -> Option<Device> {
    match std::panic::catch_unwind(|| Device::new_cuda_with_stream(0)) {
        Ok(Ok(device)) => Some(device),
        Ok(Err(error)) => {
            println!("skipped: there is no CUDA device: {error}");
            None
        }
        Err(_) => {
            println!("skipped: there is no CUDA driver");
            None
        }
    }
}

/// What results may be off by. F32 convolutions run on TF32 units, with 10 bits behind the point.
fn tolerances(single: f64) -> [(DType, f64); 4] {
    [(DType::F64, 1e-9), (DType::F32, single), (DType::BF16, 4e-2), (DType::F16, 1e-2)]
}
const TF32: f64 = 1e-2;
const PLAIN: f64 = 1e-4;

/// Numbers in -1..1 without pattern, of which BF16 and F16 lose nothing.
fn values(shape: &[usize], salt: u64) -> Tensor {
    let count = shape.iter().product::<usize>() as u64;
    let v: Vec<f64> = (0..count)
        .map(|i| {
            let h = (i + 1).wrapping_mul(0x9E37_79B9_7F4A_7C15) ^ salt.wrapping_mul(0xD1B5_4A32_D192_ED03);
            let h = (h ^ (h >> 31)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
            (h >> 56) as f64 / 128.0 - 1.0
        })
        .collect();
    Tensor::from_vec(v, shape, &Device::Cpu).unwrap()
}

fn flat(t: &Tensor) -> Vec<f64> {
    t.to_device(&Device::Cpu).unwrap().to_dtype(DType::F64).unwrap().flatten_all().unwrap().to_vec1().unwrap()
}

fn close(what: &str, a: &Tensor, b: &Tensor, tolerance: f64) {
    assert_eq!(a.dims(), b.dims(), "{what}");
    for (i, (a, b)) in flat(a).iter().zip(flat(b)).enumerate() {
        assert!((a - b).abs() <= tolerance * (1.0 + b.abs()), "{what}[{i}]: {a} and {b}");
    }
}

type Op<'a> = &'a dyn Fn(&[Tensor]) -> Result<Tensor>;

/// Output and gradients of `op` for `inputs` as `types` on `device`; every output has a gradient of its own.
fn run(inputs: &[Tensor], types: &[DType], device: &Device, op: Op<'_>) -> Result<Vec<Tensor>> {
    let var = |(t, dtype): (&Tensor, &DType)| Var::from_tensor(&t.to_dtype(*dtype)?.to_device(device)?);
    let vars = inputs.iter().zip(types).map(var).collect::<Result<Vec<_>>>()?;
    let y = op(&vars.iter().map(|v| v.as_tensor().clone()).collect::<Vec<_>>())?;
    let weights = values(y.dims(), 99).to_device(device)?;
    let store = y.to_dtype(DType::F64)?.mul(&weights)?.sum_all()?.backward()?;
    let mut all = vec![y.detach()];
    for var in &vars {
        all.push(store.get(var).unwrap().clone());
    }
    Ok(all)
}

/// How an op is compared with its twin.
struct Check<'a> {
    device: &'a Device,
    /// Tolerance in F32.
    single: f64,
    /// Whether all inputs but the first stay F32 beside half precision.
    parameters: bool,
}

impl Check<'_> {
    /// `ours` on the device in each type against `twin` on the CPU in F64.
    fn compare(&self, what: &str, inputs: &[Tensor], ours: Op<'_>, twin: Op<'_>) {
        let exact = run(inputs, &vec![DType::F64; inputs.len()], &Device::Cpu, twin).unwrap();
        for (dtype, tolerance) in tolerances(self.single) {
            let rest = if self.parameters && dtype.size_in_bytes() == 2 { DType::F32 } else { dtype };
            let types: Vec<DType> = std::iter::once(dtype).chain(std::iter::repeat(rest)).take(inputs.len()).collect();
            let got = run(inputs, &types, self.device, ours).unwrap_or_else(|e| panic!("{what} in {dtype:?}: {e}"));
            assert_eq!(got[0].dtype(), dtype, "{what}");
            for (i, (got, exact)) in got.iter().zip(&exact).enumerate() {
                let part = if i == 0 { "output".into() } else { format!("gradient {}", i - 1) };
                close(&format!("{what} in {dtype:?}: {part}"), got, exact, tolerance);
            }
        }
    }
}

#[test]
fn convolutions() {
    let Some(device) = device() else { return };
    let cases: &[([usize; 4], usize, Window)] = &[
        ([2, 7, 5, 3], 4, k(3)),
        ([1, 8, 9, 2], 3, k(3).stride(2)),
        ([2, 9, 7, 4], 6, k(3).stride(3).groups(2)),
        ([2, 6, 7, 5], 5, k(3).groups(5)),
        ([2, 6, 7, 32], 32, k(3).groups(32)),
        ([1, 9, 8, 3], 6, k(5).stride(2).groups(3)),
        ([2, 7, 7, 4], 4, k(5).stride(2).groups(4)),
        ([3, 4, 5, 6], 7, k(1)),
        ([3, 4, 5, 16], 8, k(1)),
        ([2, 5, 6, 4], 3, k(1).stride(2)),
        ([1, 11, 10, 2], 2, k(3).dilation(2)),
        ([2, 8, 8, 16], 32, k(3)),
        ([1, 10, 12, 3], 2, k(7).stride(2)),
        ([1, 6, 5, 2], 2, k(2).pad(0).stride(2)),
        ([1, 4, 4, 3], 2, k(4).pad(0)),
        ([1, 5, 4, 2], 2, k(3).pad(4)),
        ([1, 8, 7, 4], 4, k(3).stride(2).same()),
        ([2, 6, 8, 4], 4, k(5).stride(2).groups(4).same()),
    ];
    for (shape, out, at) in cases {
        let inputs = [values(shape, 1), values(&[*out, shape[3] / at.groups, at.size, at.size], 2)];
        let what = format!("conv {shape:?} -> {out} {at:?}");
        let check = Check { device: &device, single: TF32, parameters: false };
        check.compare(&what, &inputs, &|t| ops::conv2d(&t[0], &t[1], *at), &|t| twins::conv2d(&t[0], &t[1], *at));
    }
}

/// The weight of a half precision map is an F32 variable, and so is its gradient.
#[test]
fn weights_keep_their_type() {
    let Some(device) = device() else { return };
    let inputs = [values(&[2, 6, 5, 8], 3), values(&[4, 8, 3, 3], 4)];
    let got = run(&inputs, &[DType::BF16, DType::F32], &device, &|t| ops::conv2d(&t[0], &t[1], k(3))).unwrap();
    assert_eq!(got.iter().map(Tensor::dtype).collect::<Vec<_>>(), [DType::BF16, DType::BF16, DType::F32]);
}

#[test]
fn repeated_gradients_are_equal() {
    let Some(device) = device() else { return };
    let inputs = [values(&[8, 14, 14, 32], 5), values(&[64, 32, 3, 3], 6)];
    let once = || run(&inputs, &[DType::F32; 2], &device, &|t| ops::conv2d(&t[0], &t[1], k(3))).unwrap();
    for (a, b) in once().iter().zip(once()) {
        assert_eq!(flat(a), flat(&b));
    }
}

#[test]
fn pools() {
    let Some(device) = device() else { return };
    let cases = [
        ([2, 7, 8, 3], k(2).pad(0).stride(2)),
        ([2, 9, 7, 2], k(3).stride(2)),
        ([1, 6, 6, 4], k(3)),
        ([1, 5, 9, 1], k(1).stride(2)),
        ([2, 8, 5, 2], k(3).stride(2).pad(0)),
        ([1, 9, 9, 3], k(3).dilation(2).stride(2)),
    ];
    let check = Check { device: &device, single: PLAIN, parameters: false };
    for (shape, at) in cases {
        let x = [values(&shape, 7)];
        for f in [Pool::Max, Pool::Avg] {
            // Against our own op on the CPU: candle shares out the gradient of equal maxima.
            let op: Op<'_> = &|t| ops::pool(&t[0], f, at);
            check.compare(&format!("{f:?} pool {shape:?} {at:?}"), &x, op, op);
        }
        let (ours, twin): (Op<'_>, Op<'_>) =
            (&|t| ops::pool(&t[0], Pool::Avg, at), &|t| twins::pool(&t[0], Pool::Avg, at));
        check.compare(&format!("Avg pool {shape:?} {at:?} and its twin"), &x, ours, twin);
    }
}

#[test]
fn batch_norms() {
    let Some(device) = device() else { return };
    let check = Check { device: &device, single: PLAIN, parameters: true };
    for shape in [&[3, 4, 5, 6][..], &[40, 6], &[2, 9, 6]] {
        let inputs = [(values(shape, 8) + 1.0).unwrap(), values(&[6], 9), values(&[6], 10)];
        let what = format!("batch norm {shape:?}");
        check.compare(
            &format!("{what}, training"),
            &inputs,
            &|t| ops::batch_norm_train(&t[0], &t[1], &t[2], 1e-5).map(|r| r.0),
            &|t| twins::batch_norm_train(&t[0], &t[1], &t[2], 1e-5).map(|r| r.0),
        );
        let statistics = [values(&[6], 11), (values(&[6], 12).sqr().unwrap() + 0.1).unwrap()];
        let on = |t: &[Tensor], s: &Tensor| s.to_dtype(t[1].dtype())?.to_device(t[0].device());
        let ours: Op<'_> = &|t| {
            let (mean, variance) = (on(t, &statistics[0])?, on(t, &statistics[1])?);
            ops::batch_norm_eval(&t[0], &t[1], &t[2], (&mean, &variance), 1e-5)
        };
        let twin: Op<'_> = &|t| {
            let (mean, variance) = (on(t, &statistics[0])?, on(t, &statistics[1])?);
            twins::batch_norm_eval(&t[0], &t[1], &t[2], (&mean, &variance), 1e-5)
        };
        check.compare(&format!("{what}, evaluation with gradients"), &inputs, ours, twin);
        // Without gradients it is another kernel.
        let plain = |t: &Tensor, dtype| t.to_dtype(dtype).unwrap().to_device(&device).unwrap();
        let exact = twin(&inputs).unwrap();
        for (dtype, tolerance) in tolerances(PLAIN) {
            let rest = if dtype == DType::F64 { DType::F64 } else { DType::F32 };
            let inputs = [plain(&inputs[0], dtype), plain(&inputs[1], rest), plain(&inputs[2], rest)];
            close(&format!("{what}, evaluation in {dtype:?}"), &ours(&inputs).unwrap(), &exact, tolerance);
        }
    }
}

#[test]
fn statistics_are_the_batch_s() {
    let Some(device) = device() else { return };
    let inputs = [(values(&[3, 4, 5, 6], 13) + 3.0).unwrap(), values(&[6], 14), values(&[6], 15)];
    let (_, exact) = twins::batch_norm_train(&inputs[0], &inputs[1], &inputs[2], 1e-5).unwrap();
    let on = inputs.map(|t| t.to_dtype(DType::F32).unwrap().to_device(&device).unwrap());
    let (_, got) = ops::batch_norm_train(&on[0], &on[1], &on[2], 1e-5).unwrap();
    assert_eq!(got.count, exact.count);
    close("mean", &got.mean, &exact.mean, 1e-5);
    close("variance", &got.variance, &exact.variance, 1e-5);
    let one = on[0].narrow(0, 0, 1).unwrap().narrow(1, 0, 1).unwrap().narrow(2, 0, 1).unwrap().contiguous().unwrap();
    let (y, _) = ops::batch_norm_train(&one, &on[1], &on[2], 1e-5).unwrap();
    close("a single value", &y.flatten_all().unwrap(), &on[2], 1e-6);
}

#[test]
fn activations_and_linear() {
    let Some(device) = device() else { return };
    for f in [ops::Act::Relu, ops::Act::Silu, ops::Act::Sigmoid, ops::Act::Gelu] {
        let op: Op<'_> = &|t| ops::activate(&t[0], f);
        let check = Check { device: &device, single: PLAIN, parameters: false };
        check.compare(&format!("{f:?}"), &[values(&[3, 5, 7], 16)], op, op);
    }
    let inputs = [values(&[4, 6], 17), values(&[3, 6], 18), values(&[3], 19)];
    let check = Check { device: &device, single: TF32, parameters: false };
    check.compare("linear", &inputs, &|t| ops::linear(&t[0], &t[1], Some(&t[2])), &|t| {
        t[0].matmul(&t[1].t()?)?.broadcast_add(&t[2])
    });
}

#[test]
fn relu_has_slope_zero_at_zero_and_not_a_number_propagates() {
    let Some(device) = device() else { return };
    let x = Var::new(&[-1f32, 0.0, 2.0, f32::NAN], &device).unwrap();
    let y = ops::relu(&x).unwrap();
    assert_eq!(flat(&y)[..3], [0.0, 0.0, 2.0]);
    assert!(flat(&y)[3].is_nan());
    let g = y.sum_all().unwrap().backward().unwrap();
    assert_eq!(flat(g.get(&x).unwrap()), [0.0, 0.0, 1.0, 1.0]);
    let mut v = vec![1f32; 16];
    v[5] = f32::NAN;
    for dtype in [DType::F32, DType::BF16, DType::F16] {
        let x = Tensor::from_vec(v.clone(), (1, 4, 4, 1), &device).unwrap().to_dtype(dtype).unwrap();
        let y = flat(&ops::pool(&x, Pool::Max, k(2).pad(0).stride(2)).unwrap());
        assert!(y[0].is_nan() && y[1..].iter().all(|v| *v == 1.0), "{y:?}");
    }
}

/// A network with a stem pool and strided shortcuts: logits and all gradients as on the CPU.
#[test]
fn networks() {
    let Some(device) = device() else { return };
    let step = |device: &Device| {
        let vars = VarMap::new();
        let config = NetworkConfig { model: "resnet18".into(), classes: 5, ..NetworkConfig::default() };
        let network = Network::new(&config, init::seeded(&vars, 1, DType::F64, device)).unwrap();
        let x = values(&[3, 3, 64, 48], 20).to_device(device).unwrap();
        let logits = network.forward(&x, None, &mut Pass::train(0)).unwrap();
        let weights = values(logits.dims(), 21).to_device(device).unwrap();
        let store = logits.mul(&weights).unwrap().sum_all().unwrap().backward().unwrap();
        let vars = vars.data().lock().unwrap();
        let mut names: Vec<_> = vars.keys().filter(|name| !name.contains("running_")).cloned().collect();
        names.sort();
        let gradients: Vec<Tensor> = names.iter().map(|name| store.get(&vars[name]).unwrap().clone()).collect();
        (logits, names, gradients)
    };
    let ((a, names, ours), (b, _, exact)) = (step(&device), step(&Device::Cpu));
    close("logits", &a, &b, 1e-7);
    for ((name, a), b) in names.iter().zip(ours).zip(exact) {
        close(name, &a, &b, 1e-6);
    }
}
