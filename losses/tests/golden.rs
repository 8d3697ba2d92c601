//! Values and gradients against the references (`xtask/fixtures/losses.py`).
#![allow(clippy::unwrap_used)]

use candle_core::{DType, Device, Tensor, Var};
use sconce_losses::{LOSSES, build};
use serde_json::{Value, json};

/// A number that is not known is NaN.
fn numbers(v: &Value) -> Vec<f64> {
    match v.as_array() {
        Some(values) => values.iter().flat_map(numbers).collect(),
        None => vec![v.as_f64().unwrap_or(f64::NAN)],
    }
}

fn tensor(v: &Value) -> Tensor {
    let (values, rows) = (numbers(v), v.as_array().unwrap().len());
    match v[0].is_array() {
        true => Tensor::from_vec(values, (rows, v[0].as_array().unwrap().len()), &Device::Cpu),
        false => Tensor::from_iter(values.into_iter().map(|id| id as u32), &Device::Cpu),
    }
    .unwrap()
}

fn within(ours: &[f64], theirs: &[f64], tolerance: f64, what: &str) {
    assert_eq!(ours.len(), theirs.len(), "{what}");
    for (ours, theirs) in ours.iter().zip(theirs) {
        assert!((ours - theirs).abs() <= tolerance * theirs.abs().max(1.0), "{what}: {ours}, reference {theirs}");
    }
}

fn close(ours: &[f64], theirs: &[f64], what: &str) {
    within(ours, theirs, 1e-10, what);
}

fn flat(t: &Tensor) -> Vec<f64> {
    t.to_dtype(DType::F64).unwrap().flatten_all().unwrap().to_vec1().unwrap()
}

#[test]
fn losses_and_gradients_follow_the_references() {
    let golden: Value = serde_json::from_str(include_str!("golden/losses.json")).unwrap();
    let cases = golden["cases"].as_array().unwrap();
    for (case, dtype) in cases.iter().flat_map(|case| [DType::F64, DType::F32].map(|dtype| (case, dtype))) {
        let about = format!("{} {} {} {} {dtype:?}", case["name"], case["params"], case["input"], case["target"]);
        let tolerance = if dtype == DType::F64 { 1e-10 } else { 1e-5 };
        let close = |ours: &Tensor, theirs: &Value| within(&flat(ours), &numbers(theirs), tolerance, &about);
        let loss = build(case["name"].as_str().unwrap(), case["params"].clone()).unwrap();
        let input = tensor(&golden["inputs"][case["input"].as_str().unwrap()]).to_dtype(dtype).unwrap();
        let z = Var::from_tensor(&input).unwrap();
        let target = tensor(&golden["targets"][case["target"].as_str().unwrap()]);
        if !case["per_sample"].is_null() {
            close(&loss.per_sample(&z, &target).unwrap(), &case["per_sample"]);
        }
        let mean = loss.forward(&z, &target).unwrap();
        close(&mean, &case["mean"]);
        close(mean.backward().unwrap().get(&z).unwrap(), &case["gradient"]);
    }
    for entry in LOSSES {
        assert!(cases.iter().any(|case| case["name"] == entry.name), "{} has no reference", entry.name);
    }
}

/// A loss by name, its parameters, an output, a target, and the losses of the samples.
type Known = (&'static str, Value, Value, Value, Value);

/// Values that are published or worked out by hand, to as many digits as they have.
#[test]
fn losses_have_their_known_values() {
    let z = || json!([[2.0, 1.0, 0.1]]);
    let three = || json!([[2.0, 1.0, 0.1], [0.5, 2.5, 0.3], [0.1, 0.2, 3.0]]);
    let binary = || json!([[0.5], [-1.0], [2.0]]);
    let yes_no = || json!([[1.0], [0.0], [1.0]]);
    let mixed = || json!([[0.7, 0.2, 0.1]]);
    let path = || {
        json!([[
            1.1,
            0.1,
            2.1,
            0.1,
            3.1,
            0.1,
            4.1,
            0.1,
            1.0,
            1.0,
            2.0,
            1.0,
            3.0,
            1.0,
            4.0,
            1.0,
            1.1,
            0.0,
            2.2,
            0.0,
            3.3,
            0.0,
            4.4,
            0.0,
            0.5f64.ln(),
            0.3f64.ln(),
            0.2f64.ln()
        ]])
    };
    let logs = |p: &[f64]| json!([p.iter().map(|p| p.ln()).collect::<Vec<_>>()]);
    let bins = logs(&[2.0, 8.0, 19.0, 36.0, 76.0, 52.0, 16.0, 9.0, 3.0, 2.0]);
    let wanted = || json!([[1.0, 2.0, 7.0, 20.0, 38.0, 52.0, 20.0, 11.0, 1.0, 3.0]]);
    let cosines = |scale: f64| json!([[0.6 * scale, 0.2 * scale, -0.1 * scale]]);
    let scores = || json!([[2.0, 0.5, 1.0, -0.5]]);
    let labels = || json!([[1.0, 0.0, 1.0, 0.0]]);
    let far = || json!([[0.3], [-1.0], [2.5]]);
    let zero = || json!([[0.0], [0.0], [0.0]]);
    let known: Vec<Known> = vec![
        ("cross_entropy", json!({}), z(), json!([0]), json!([0.41703])),
        ("cross_entropy", json!({"smoothing": 0.05}), z(), json!([0]), json!([0.465363])),
        ("cross_entropy", json!({"smoothing": 0.1}), z(), json!([0]), json!([0.513697])),
        ("cross_entropy", json!({"smoothing": 0.2}), z(), json!([0]), json!([0.610363])),
        ("cross_entropy", json!({}), z(), mixed(), json!([0.80703])),
        ("cross_entropy", json!({}), three(), json!([0, 2, 1]), json!([0.41703, 2.42005, 2.909601])),
        ("focal", json!({}), z(), json!([0]), json!([0.048492])),
        ("focal", json!({"alpha": 0.25}), z(), json!([0]), json!([0.012123])),
        ("focal", json!({"sigmoid": true}), binary(), yes_no(), json!([0.067573, 0.022658, 0.001804])),
        ("bce", json!({}), binary(), yes_no(), json!([0.474077, 0.313262, 0.126928])),
        ("bce", json!({}), scores(), labels(), json!([0.472086])),
        ("sparsemax", json!({}), z(), json!([0]), json!([0.0])),
        ("sparsemax", json!({}), json!([[0.5, 0.4, 0.1]]), json!([0]), json!([0.21])),
        ("sparsemax", json!({}), json!([[1.0, 0.8, 0.1]]), json!([0]), json!([0.16])),
        ("sparsemax", json!({}), json!([[0.1, 1.1, 0.2, 0.3]]), json!([0]), json!([1.01])),
        ("sparsemax", json!({}), json!([[0.0, 0.0, 0.0]]), json!([0]), json!([1.0 / 3.0])),
        ("sparsemax", json!({}), json!([[1.0, 0.8, 0.1]]), json!([[1.0, 1.0, 0.0]]), json!([0.01])),
        ("arcface", json!({}), cosines(30.0), json!([0]), json!([1.876121])),
        ("arcface", json!({"scale": 64.0}), cosines(64.0), json!([0]), json!([3.673142])),
        ("arcface", json!({"margin": 0.0}), cosines(30.0), json!([0]), json!([6.144e-6])),
        ("cosface", json!({}), cosines(30.0), json!([0]), json!([0.201436])),
        ("huber", json!({}), far(), zero(), json!([0.045, 0.5, 2.0])),
        ("huber", json!({"delta": 0.5}), far(), zero(), json!([0.045, 0.375, 1.125])),
        ("smooth_l1", json!({"beta": 0.5}), far(), zero(), json!([0.09, 0.75, 2.25])),
        (
            "modified_huber",
            json!({}),
            json!([[2.0], [0.5], [0.0], [-1.0], [-2.0]]),
            json!([[1.0], [1.0], [1.0], [1.0], [1.0]]),
            json!([0.0, 0.25, 1.0, 4.0, 8.0]),
        ),
        ("ranking", json!({}), scores(), labels(), json!([0.125])),
        ("ranking", json!({"kind": "exponential"}), scores(), labels(), json!([0.283719])),
        ("ranking", json!({"kind": "logistic"}), scores(), labels(), json!([0.238948])),
        ("lsep", json!({}), scores(), labels(), json!([0.758409])),
        ("coral", json!({}), json!([[1.8, 0.8, -0.2, -1.2]]), json!([2]), json!([1.3855])),
        ("distillation", json!({"alpha": 1.0}), z(), json!([[1.0, 0.0, 0.0, 3.0, 0.5, 0.2]]), json!([0.208491])),
        ("distillation", json!({}), z(), json!([[1.0, 0.0, 0.0, 3.0, 0.5, 0.2]]), json!([0.229345])),
        ("emd", json!({}), bins.clone(), wanted(), json!([0.078498])),
        ("emd", json!({"r": 1.0}), bins, wanted(), json!([0.052408])),
        ("trajectory_nll", json!({}), path(), json!([[1.0, 0.0, 2.0, 0.0, 3.0, 0.0, null, null]]), json!([0.302944])),
        (
            "hamming",
            json!({}),
            json!([[9f64.ln(), -(4f64.ln()), 1.5f64.ln()]]),
            json!([[1.0, 0.0, 1.0]]),
            json!([0.233333]),
        ),
    ];
    for (name, params, output, target, losses) in known {
        let loss = build(name, params.clone()).unwrap();
        let ours = loss.per_sample(&tensor(&output), &tensor(&target)).unwrap().to_vec1::<f64>().unwrap();
        for (ours, known) in ours.iter().zip(numbers(&losses)) {
            let error = (ours - known).abs();
            assert!(error <= 6e-7 && error <= 1e-3 * known.max(1e-3), "{name} {params}: {ours}, known {known}");
        }
    }
}

/// Where `log σ(z)` and `log softmax(z)` are all of z, or nothing.
#[test]
fn sure_outputs_lose_their_distance_or_nothing() {
    let one = json!([[1.0]]);
    for (name, output, target, known) in [
        ("bce", json!([[200.0]]), one.clone(), 0.0),
        ("bce", json!([[-200.0]]), one, 200.0),
        ("bce", json!([[200.0]]), json!([[0.0]]), 200.0),
        ("bce", json!([[-200.0]]), json!([[0.0]]), 0.0),
        ("cross_entropy", json!([[200.0, 0.0, -200.0]]), json!([0]), 0.0),
        ("cross_entropy", json!([[200.0, 0.0, -200.0]]), json!([1]), 200.0),
        ("cross_entropy", json!([[200.0, 0.0, -200.0]]), json!([2]), 400.0),
    ] {
        for dtype in [DType::F64, DType::F32] {
            let output = tensor(&output).to_dtype(dtype).unwrap();
            let ours = build(name, json!({})).unwrap().forward(&output, &tensor(&target)).unwrap();
            assert!((flat(&ours)[0] - known).abs() < 1e-80, "{name} {output} {target}: {ours}, known {known}");
        }
    }
}

/// Losses of batches.
#[test]
fn batches_have_their_known_losses() {
    let of = |name: &str, params, output: Value, target: Value| {
        let loss = build(name, params).unwrap().forward(&tensor(&output), &tensor(&target)).unwrap();
        loss.to_scalar::<f64>().unwrap()
    };
    let close = |ours: f64, known: f64| assert!((ours - known).abs() < 6e-7, "{ours}, known {known}");
    let three = || json!([[2.0, 1.0, 0.1], [0.5, 2.5, 0.3], [0.1, 0.2, 3.0]]);
    let weights = json!([1.0, 2.0, 0.5]);
    close(of("cross_entropy", json!({"weights": weights}), three(), json!([0, 2, 1])), 2.127502);
    close(of("cross_entropy", json!({"weights": weights, "smoothing": 0.1}), three(), json!([0, 2, 1])), 2.078213);
    let (binary, yes_no) = (json!([[0.5], [-1.0], [2.0]]), json!([[1.0], [0.0], [1.0]]));
    close(of("bce", json!({}), binary.clone(), yes_no.clone()), 0.304756);
    close(of("bce", json!({"pos_weight": [3.0]}), binary.clone(), yes_no.clone()), 0.705426);
    close(of("focal", json!({"sigmoid": true, "alpha": 0.25}), binary, yes_no), 0.011446);
    let corners = json!([[0.0, 0.0], [0.3, 0.4], [0.6, 0.8]]);
    // From (0, 0) to (0.6, 0.8) less to (0.3, 0.4); from (0.3, 0.4) both are 0.5 away.
    let triplet = json!({"margin": 1.0, "normalize": false});
    let anchors = build("triplet", triplet).unwrap().per_sample(&tensor(&corners), &tensor(&json!([0, 0, 1]))).unwrap();
    let anchors = anchors.to_vec1::<f64>().unwrap();
    close(anchors[0], 0.5);
    close(anchors[1], 1.0);
    close(anchors[2], 0.0);
    // Sure outputs, as scikit-learn's cohen_kappa_score has them.
    let said = [0, 1, 1, 2, 3, 3, 4, 2, 0, 0];
    let sure: Vec<Vec<f64>> =
        said.iter().map(|k| (0..5).map(|j| if j == *k { 900.0 } else { 0.0 }).collect()).collect();
    let truth = json!([0, 0, 1, 2, 2, 3, 4, 4, 1, 0]);
    close(of("kappa", json!({}), json!(sure), truth.clone()), 1.0 - 0.827586);
    close(of("kappa", json!({"power": 1.0}), json!(sure), truth), 1.0 - 0.6875);
    // Sure outputs, as its f1_score has them.
    let truth = json!([[1.0, 0.0, 1.0], [0.0, 1.0, 0.0], [1.0, 1.0, 0.0], [0.0, 0.0, 1.0]]);
    let said = json!([[90.0, -90.0, -90.0], [-90.0, 90.0, 90.0], [90.0, -90.0, -90.0], [-90.0, -90.0, 90.0]]);
    close(of("soft_f1", json!({}), said, truth), 1.0 - 0.722222);
}

#[test]
fn sparse_probabilities_have_exact_jacobians() {
    let jacobian = |z: &[f64], alpha: f64| -> Vec<Vec<f64>> {
        let z = Var::from_slice(z, (1, z.len()), &Device::Cpu).unwrap();
        let p = sconce_losses::entmax(&z, alpha).unwrap();
        let row = |k| p.narrow(1, k, 1).unwrap().sum_all().unwrap().backward().unwrap().get(&z).unwrap().clone();
        (0..z.elem_count()).map(|k| row(k).flatten_all().unwrap().to_vec1().unwrap()).collect()
    };
    let of = |z: &[f64]| {
        let z = Tensor::from_slice(z, (1, z.len()), &Device::Cpu).unwrap();
        sconce_losses::sparsemax(&z).unwrap().to_vec2::<f64>().unwrap().remove(0)
    };
    close(&of(&[2.0, 1.0, 0.1]), &[1.0, 0.0, 0.0], "one");
    close(&of(&[0.5, 0.4, 0.1]), &[0.5, 0.4, 0.1], "already a distribution");
    close(&of(&[1.0, 0.8, 0.1]), &[0.6, 0.4, 0.0], "two");
    close(&of(&[0.1, 1.1, 0.2, 0.3]), &[0.0, 0.9, 0.0, 0.1], "not in order");
    let known = [[0.5, -0.5, 0.0], [-0.5, 0.5, 0.0], [0.0; 3]].concat();
    close(&jacobian(&[1.0, 0.8, 0.1], 2.0).concat(), &known, "sparsemax");
    for alpha in [1.05, 1.2, 1.5, 1.9, 2.0] {
        let z = [0.7, -0.4, 0.2, -3.0, 0.75];
        let p = |z: &[f64]| {
            let z = Tensor::from_slice(z, (1, z.len()), &Device::Cpu).unwrap();
            sconce_losses::entmax(&z, alpha).unwrap().to_vec2::<f64>().unwrap().remove(0)
        };
        assert!((p(&z).iter().sum::<f64>() - 1.0).abs() < 1e-12);
        for (k, row) in jacobian(&z, alpha).iter().enumerate() {
            for (j, slope) in row.iter().enumerate() {
                let nudged = |by: f64| {
                    let mut z = z;
                    z[j] += by;
                    p(&z)[k]
                };
                let differences = (nudged(1e-6) - nudged(-1e-6)) / 2e-6;
                assert!((slope - differences).abs() < 1e-8, "{alpha} {k} {j}: {slope}, differences {differences}");
            }
        }
    }
}
