//! The fused interpreter against the composed one: output, every gradient, running statistics.
#![allow(unsafe_code, clippy::unwrap_used)]

use candle_core::{DType, Device, Tensor, Var};
use candle_nn::VarMap;
use sconce_models::ops::{Act, Block, Flow, Pool, Program, Upsample, Vectors, block, concat, k, rect, switch_vectors};
use sconce_models::{Pass, init};

/// The kind of vectors is one for the whole process.
static VECTORS: std::sync::RwLock<()> = std::sync::RwLock::new(());

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

fn se<'a>(x: Flow<'a>, c: usize) -> Flow<'a> {
    let gate = x.global_pool().conv("se.reduce", c, k(1).bias()).silu();
    x.scale(gate.conv("se.expand", x.channels(), k(1).bias()).act(Act::Sigmoid))
}

fn programs() -> Vec<(&'static str, usize, Program)> {
    let plan: Vec<(&'static str, usize, sconce_models::Result<Program>)> = vec![
        (
            "basic",
            16,
            block(16, |x| {
                let y = x.conv("a", 16, k(3)).norm("an").relu().conv("b", 16, k(3)).norm("bn");
                (y + x).relu()
            }),
        ),
        (
            "basic, stride 2",
            16,
            block(16, |x| {
                let y = x.conv("a", 24, k(3).stride(2)).norm("an").relu().conv("b", 24, k(3)).norm("bn");
                (y + x.conv("d", 24, k(1).stride(2)).norm("dn")).relu()
            }),
        ),
        (
            "basic, padded shortcut",
            8,
            block(8, |x| {
                let y = x.conv("a", 16, k(3).stride(2)).norm("an").relu().conv("b", 16, k(3)).norm("bn");
                (y.drop_path(0.4) + x.pool(Pool::Avg, k(1).stride(2)).pad_channels(4, 4)).relu()
            }),
        ),
        (
            "bottleneck",
            32,
            block(32, |x| {
                let y = x.conv("a", 8, k(1)).norm("an").relu().conv("b", 8, k(3)).norm("bn").relu();
                (y.conv("c", 32, k(1)).norm("cn") + x).relu()
            }),
        ),
        (
            "resnext, stride 2",
            24,
            block(24, |x| {
                let y =
                    x.conv("a", 16, k(1)).norm("an").relu().conv("b", 16, k(3).groups(4).stride(2)).norm("bn").relu();
                (y.conv("c", 48, k(1)).norm("cn") + x.conv("d", 48, k(1).stride(2)).norm("dn")).relu()
            }),
        ),
        (
            "mbconv",
            20,
            block(20, |x| {
                let y = x.conv("pw", 60, k(1)).norm("n1").silu().depthwise("dw", k(5)).norm("n2").silu();
                se(y, 5).conv("pwl", 20, k(1)).norm("n3").drop_path(0.3) + x
            }),
        ),
        (
            "mbconv, stride 2",
            20,
            block(20, |x| {
                let y = x.conv("pw", 36, k(1)).norm("n1").silu().depthwise("dw", k(3).stride(2)).norm("n2").silu();
                se(y, 5).conv("pwl", 28, k(1)).norm("n3")
            }),
        ),
        (
            "inverted residual",
            16,
            block(16, |x| {
                let y = x.conv("pw", 48, k(1)).norm("n1").relu().depthwise("dw", k(3)).norm("n2").relu();
                y.conv("pwl", 16, k(1)).norm("n3") + x
            }),
        ),
        ("stem", 3, block(3, |x| x.conv("c", 12, k(7).stride(2)).norm("n").relu().pool(Pool::Max, k(3).stride(2)))),
        (
            "plain with biases",
            3,
            block(3, |x| {
                x.conv("a", 9, k(3).bias())
                    .relu()
                    .conv("b", 9, k(3).bias())
                    .act(Act::Gelu)
                    .pool(Pool::Avg, k(2).pad(0).stride(2))
            }),
        ),
        (
            "pools of every kind",
            6,
            block(6, |x| {
                let y = x.norm("n").relu().pool(Pool::Avg, k(3).stride(2).ceil());
                let y = y
                    .conv("a", 6, k(3).stride(2).same())
                    .norm("m")
                    .act(Act::HardSwish)
                    .pool(Pool::Max, k(3).pads(0, 1));
                y.pool(Pool::AvgInside, k(2).same()).act(Act::HardSigmoid)
            }),
        ),
        (
            "windows that are not square",
            12,
            block(12, |x| {
                let y = x.conv("a", 16, rect(1, 7)).norm("an").relu().conv("b", 12, rect(7, 1)).norm("bn").relu();
                let z = y.pool(Pool::Max, rect(3, 1)).conv("c", 12, rect(3, 1).stride(2)).norm("cn").relu();
                z.pool(Pool::Avg, rect(1, 3))
            }),
        ),
        (
            "uneven padding",
            16,
            block(16, |x| {
                let y = x
                    .conv("a", 16, k(3).pads(0, 2))
                    .norm("n")
                    .act(Act::Relu6)
                    .depthwise("b", k(5).stride(2).same())
                    .norm("m");
                y.relu().conv("c", 8, k(1).pads(0, 1)).norm("o")
            }),
        ),
        (
            "dense layers",
            12,
            block(12, |x| {
                let a = x.norm("n1").relu().conv("c1", 6, k(3));
                let b = concat(x, &[a]).norm("n2").relu().conv("c2", 6, k(3));
                concat(x, &[a, b])
            }),
        ),
        (
            "pre-activation",
            16,
            block(16, |x| {
                let pre = x.norm("n1").relu();
                pre.conv("a", 16, k(3)).norm("n2").relu().conv("b", 16, k(3)) + pre.conv("d", 16, k(1))
            }),
        ),
        (
            "wide residual",
            12,
            block(12, |x| {
                let pre = x.norm("n1").relu();
                let y = pre.conv("a", 16, k(3).stride(2)).norm("n2").relu().dropout(0.3).conv("b", 16, k(3));
                y.dropout(0.1).drop_path(0.4) + pre.conv("d", 16, k(1).stride(2))
            }),
        ),
        (
            "blurred stride, squeeze and excitation",
            8,
            block(8, |x| {
                let y = x.conv("a", 8, k(3).groups(2)).norm("n1").silu();
                let y = y.pool(Pool::Avg, k(2).pad(0)).pool(Pool::AvgInside, k(2).stride(2));
                let past = x.pool(Pool::AvgInside, k(2).pad(0).stride(2).ceil()).conv("d", 12, k(1)).norm("dn");
                (se(y.conv("b", 12, k(1)).norm("n2"), 8).drop_path(0.2) + past).silu()
            }),
        ),
        (
            "sum of itself",
            5,
            block(5, |x| {
                let y = x.conv("a", 5, k(3)).norm("n");
                (y + y).relu()
            }),
        ),
        (
            "shared norm",
            6,
            block(6, |x| {
                let y = x.conv("a", 6, k(1)).norm("n");
                y.relu().conv("b", 6, k(3)) + y.silu()
            }),
        ),
        (
            "dense layer on a map that may be too small",
            6,
            block(6, |x| x.conv("a", 6, k(3)).relu().times(0.7).at_least(9).conv("b", 5, k(9).pad(0).bias()).relu()),
        ),
        ("gate of a stored value", 6, block(6, |x| se(x.conv("a", 6, k(3).bias()), 3) + x)),
        (
            "convnext",
            20,
            block(20, |x| {
                let y = x.depthwise("dw", k(7).bias()).layer_norm("n", 1e-6).linear("a", 40).gelu();
                y.linear("b", 20).layer_scale("gamma", 0.1).drop_path(0.3) + x
            }),
        ),
        (
            "convnext, downsampling",
            8,
            block(8, |x| x.layer_norm("n", 1e-6).conv("c", 13, k(2).pad(0).stride(2).bias()).norm("m").gelu()),
        ),
        (
            "transformer",
            24,
            block(24, |x| {
                let y = x.layer_norm("n1", 1e-6).linear("qkv", 72).attention(3).linear("proj", 24);
                let x = y.drop_path(0.2) + x;
                x.layer_norm("n2", 1e-6).linear("fc1", 30).gelu().linear("fc2", 24) + x
            }),
        ),
        (
            "mask and trunk",
            8,
            block(8, |x| {
                let trunk = x.conv("a", 8, k(3)).norm("an").relu();
                let small = x.pool(Pool::Max, k(3).stride(2)).conv("b", 8, k(3)).norm("bn");
                let mask = small.upsample(Upsample::Bilinear { align_corners: true }, trunk) + trunk;
                let mask = mask.conv("c", 8, k(1)).act(Act::Sigmoid);
                (mask * trunk + trunk).norm("dn").relu().conv("d", 8, k(1)) * x
            }),
        ),
        (
            "nearest, and a square",
            4,
            block(4, |x| {
                let y = x.conv("a", 4, k(3).stride(2)).norm("n").upsample(Upsample::Nearest, x);
                (y * y).norm("m").relu()
            }),
        ),
        (
            "candle code",
            6,
            block(6, |x| {
                x.conv("a", 6, k(3))
                    .norm("n")
                    .relu()
                    .plain(6, &[("s", vec![1], candle_nn::Init::Const(0.7))], |x, p| x[0].sin()?.broadcast_mul(&p[0]))
                    .relu()
            }),
        ),
    ];
    plan.into_iter().map(|(name, c, p)| (name, c, p.unwrap())).collect()
}

type Named = Vec<(String, Vec<f64>)>;

/// Output, gradients of input and parameters, running statistics.
fn run(program: &Program, dtype: DType, size: (usize, usize, usize), fused: bool, pass: &Pass<'_>) -> Named {
    let vars = VarMap::new();
    let block = Block::new(program.clone(), init::seeded(&vars, 3, dtype, &Device::Cpu)).unwrap();
    for (name, var) in vars.data().lock().unwrap().iter() {
        let salt = name.bytes().fold(7u64, |h, b| h.wrapping_mul(31).wrapping_add(u64::from(b)));
        let v = values(var.dims(), salt).to_dtype(dtype).unwrap();
        let fan = var.elem_count() / var.dim(0).unwrap();
        let v = match name {
            n if n.ends_with("running_var") => (v.abs().unwrap() + 0.5).unwrap(),
            _ if var.rank() >= 2 => (v * (3.0 / fan as f64).sqrt()).unwrap(),
            n => ((v * 0.3).unwrap() + if n.ends_with("weight") { 1.0 } else { 0.1 }).unwrap(),
        };
        var.set(&v).unwrap();
    }
    let (b, h, w) = size;
    let x = Var::from_tensor(&values(&[b, h, w, program.channels[0]], 1).to_dtype(dtype).unwrap()).unwrap();
    let y = if fused { block.forward(&x, pass) } else { block.composed(&x, pass) }.unwrap();
    let weights = values(y.dims(), 9).to_dtype(dtype).unwrap();
    let store = (&y * weights).unwrap().sum_all().unwrap().backward().unwrap();
    let mut all = vec![("y".into(), flat(&y)), ("dx".into(), flat(store.get(&x).unwrap()))];
    let vars = vars.data().lock().unwrap();
    let mut names: Vec<_> = vars.keys().cloned().collect();
    names.sort();
    for name in names {
        let value = if name.contains("running") { Some(vars[&name].as_tensor()) } else { store.get(&vars[&name]) };
        all.push((name.clone(), flat(value.unwrap_or_else(|| panic!("no gradient for {name}")))));
    }
    all
}

fn compare(what: &str, ours: &Named, exact: &Named) {
    for ((name, a), (_, b)) in ours.iter().zip(exact) {
        let scale = b.iter().fold(0.0, |m: f64, v| m.max(v.abs())).max(1.0);
        for (i, (a, b)) in a.iter().zip(b).enumerate() {
            assert!((a - b).abs() <= 2e-5 * scale, "{what}: {name}[{i}] is {a}, not {b} (largest {scale})");
        }
    }
}

#[test]
fn fused_blocks_agree_with_composed_ones_in_double_precision() {
    let _alone = VECTORS.write().unwrap();
    for vectors in [Vectors::Portable, Vectors::Avx2, Vectors::Avx512] {
        // SAFETY: the lock keeps all other tests of this file waiting.
        unsafe { switch_vectors(vectors) };
        for (name, _, program) in programs() {
            // The last one is cut into several tasks.
            for size in [(2, 8, 8), (3, 9, 7), (4, 17, 19)] {
                for train in [true, false] {
                    for recompute in [false, true] {
                        let drop = if recompute { 1.5 } else { 1.0 };
                        let pass = || Pass { train, update_stats: train, recompute, drop, ..Pass::train(5) };
                        let ours = run(&program, DType::F32, size, true, &pass());
                        let exact = run(&program, DType::F64, size, false, &pass());
                        compare(&format!("{name} {vectors:?} {size:?} train {train}"), &ours, &exact);
                    }
                }
            }
        }
    }
    // SAFETY: the lock keeps all other tests of this file waiting.
    unsafe { switch_vectors(Vectors::Avx512) };
}

#[test]
fn fused_blocks_do_not_depend_on_threads() {
    let _shared = VECTORS.read().unwrap();
    for (name, _, program) in programs() {
        let with = |threads: usize| {
            let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build().unwrap();
            pool.install(|| run(&program, DType::F32, (5, 21, 18), true, &Pass::train(5)))
        };
        assert!(with(1) == with(3), "{name}");
    }
}

/// Several applications in one graph, and one graph gone through twice.
#[test]
fn gradients_of_shared_blocks_and_second_passes_are_right() {
    let _shared = VECTORS.read().unwrap();
    let program = programs().remove(0).2;
    let vars = VarMap::new();
    let block = Block::new(program, init::seeded(&vars, 3, DType::F32, &Device::Cpu)).unwrap();
    let x = Var::from_tensor(&values(&[2, 8, 8, 16], 1).to_dtype(DType::F32).unwrap()).unwrap();
    let loss = |fused: bool| {
        let pass = Pass { update_stats: false, ..Pass::train(1) };
        let f = |x: &Tensor| if fused { block.forward(x, &pass) } else { block.composed(x, &pass) }.unwrap();
        f(&f(&x)).sqr().unwrap().sum_all().unwrap()
    };
    let (ours, exact) = (loss(true), loss(false));
    let (first, second, exact) = (ours.backward().unwrap(), ours.backward().unwrap(), exact.backward().unwrap());
    for (name, var) in vars.data().lock().unwrap().iter().filter(|(n, _)| !n.contains("running")) {
        let (a, b, c) = (flat(first.get(var).unwrap()), flat(second.get(var).unwrap()), flat(exact.get(var).unwrap()));
        assert_eq!(a, b, "{name}");
        let scale = c.iter().fold(0.0, |m: f64, v| m.max(v.abs())).max(1.0);
        assert!(a.iter().zip(&c).all(|(a, c)| (a - c).abs() < 1e-4 * scale), "{name}");
    }
}
