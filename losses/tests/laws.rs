//! Laws that every loss of the table keeps, with several of its parameters.
#![allow(clippy::unwrap_used)]

use candle_core::{DType, Device, Tensor, Var};
use sconce_losses::{Jsd, LOSSES, Loss, TrajectoryNll, build, resolve, rows};
use serde_json::{Map, Value, json};
use std::fs;
use std::path::Path;

const CLASSES: usize = 4;
const BATCH: usize = 3;

/// What a loss reads.
#[derive(Clone, Copy, PartialEq, Debug)]
enum Reads {
    Logits,
    Numbers,
    Thresholds,
    Number,
    Embeddings,
    Positions,
    Student,
    Teacher,
    Views,
}

struct Case {
    name: &'static str,
    params: Value,
    loss: Box<dyn Loss>,
    reads: Reads,
    targets: Vec<Tensor>,
    shape: (usize, usize),
}

fn reads(name: &str) -> Reads {
    match name {
        "mse" | "huber" | "smooth_l1" => Reads::Numbers,
        "coral" | "corn" => Reads::Thresholds,
        "ordinal_regression" => Reads::Number,
        "triplet" | "contrastive" | "supervised_contrastive" | "pairwise_cosine" => Reads::Embeddings,
        "trajectory_nll" => Reads::Positions,
        "distillation" => Reads::Student,
        "cosine" | "similarity" => Reads::Teacher,
        "jsd" => Reads::Views,
        _ => Reads::Logits,
    }
}

/// Parameters without which there is no such loss.
fn required(name: &str) -> Value {
    match name {
        "ldam" | "logit_adjusted" | "dynamic_arcface" => json!({"counts": [50, 10, 200, 1]}),
        "ordinal_regression" => json!({"classes": CLASSES}),
        "sum" => json!({"of": [{"name": "cross_entropy"}, {"name": "gce", "weight": 0.5}]}),
        _ => json!({}),
    }
}

/// Parameters that take another way through a loss.
fn variants() -> Vec<(&'static str, Value)> {
    vec![
        ("adacos", json!({"dynamic": true})),
        ("arcface", json!({"easy": true})),
        ("asymmetric", json!({"clip": 0.0, "gamma_pos": 0.5})),
        ("asymmetric", json!({"clip": 1e-12})),
        ("bi_tempered", json!({"t1": 1.0, "t2": 1.0})),
        ("bi_tempered", json!({"t1": 0.0, "t2": 3.0, "smoothing": 0.2})),
        ("cross_entropy", json!({"smoothing": 0.1, "weights": [1.0, 2.0, 0.5, 0.0], "ignore": 3})),
        ("emd", json!({"r": 1.0})),
        ("emd", json!({"r": 2.5})),
        ("entmax", json!({"alpha": 1.1})),
        ("focal", json!({"gamma": 0.0})),
        ("focal", json!({"gamma": 0.5, "sigmoid": true, "alpha": 0.25})),
        ("gce", json!({"q": 1.0})),
        ("kappa", json!({"log": true, "power": 1.0})),
        ("ldam", json!({"counts": [50, 10, 200, 1], "weights": [1.0, 2.0, 0.5, 3.0]})),
        ("ordinal_regression", json!({"classes": CLASSES, "of": "huber", "cuts": [0.2, 1.0, 3.0]})),
        ("ranking", json!({"kind": "exponential"})),
        ("ranking", json!({"kind": "logistic"})),
        ("smooth_l1", json!({"beta": 0.0})),
        ("soft_f1", json!({"sigmoid": false})),
        ("sphereface", json!({"margin": 3, "lambda": 5.0})),
        ("taylor", json!({"order": 6})),
        ("trajectory_nll", json!({"modes": 1})),
        ("triplet", json!({"hard": true, "margin": 2.0})),
        ("triplet", json!({"soft": true, "normalize": false})),
        ("contrastive", json!({"normalize": false, "neg_margin": 20.0})),
    ]
}

fn case(name: &'static str, params: Value) -> Case {
    let loss = build(name, params.clone()).unwrap();
    let mixed = [[0.0f32, 1.0, 0.0, 0.0], [0.2, 0.3, 0.1, 0.4], [1.0, 0.0, 1.0, 1.0]];
    let ids = Tensor::new(&[1u32, 3, 0], &Device::Cpu).unwrap();
    let rows = Tensor::new(&mixed, &Device::Cpu).unwrap();
    let modes = params["modes"].as_u64().unwrap_or(3) as usize;
    let reads = reads(name);
    let (targets, shape) = match reads {
        Reads::Logits | Reads::Numbers => (vec![ids, rows], (BATCH, CLASSES)),
        Reads::Thresholds => (vec![ids, (rows / 3.0).unwrap()], (BATCH, CLASSES - 1)),
        Reads::Number => (vec![ids, (rows / 3.0).unwrap()], (BATCH, 1)),
        Reads::Views => (vec![ids, rows], (3 * BATCH, CLASSES)),
        Reads::Embeddings => (vec![Tensor::new(&[0u32, 1, 0, 1, 2, 0], &Device::Cpu).unwrap()], (6, 5)),
        Reads::Positions => {
            let path = [[1.0f32, 0.5, f32::NAN, f32::NAN], [0.0, 0.2, 2.0, -1.0], [f32::NAN; 4]];
            let width = modes * 4 + if modes > 1 { modes } else { 0 };
            (vec![Tensor::new(&path, &Device::Cpu).unwrap()], (BATCH, width))
        }
        Reads::Teacher => {
            let heard: Vec<f32> = (0..15).map(|i| (1.3 * i as f32).cos()).collect();
            (vec![Tensor::from_vec(heard, (BATCH, 5), &Device::Cpu).unwrap()], (BATCH, 5))
        }
        Reads::Student => {
            let teacher =
                Tensor::new(&[[3.0f32, 0.5, 0.2, 0.0], [0.0, 1.0, 2.0, 3.0], [9.0; 4]], &Device::Cpu).unwrap();
            (vec![Tensor::cat(&[&rows, &teacher], 1).unwrap()], (BATCH, CLASSES))
        }
    };
    Case { name, params, loss, reads, targets, shape }
}

impl Case {
    /// Numbers that lie on no kink.
    fn numbers(&self) -> Vec<f64> {
        let count = self.shape.0 * self.shape.1;
        (0..count).map(|i| ((i * 7 % 12) as f64 - 5.0) / 2.0 + 0.137 * (1.0 + i as f64).sin()).collect()
    }
    fn output(&self, numbers: &[f64]) -> Tensor {
        Tensor::from_slice(numbers, self.shape, &Device::Cpu).unwrap()
    }
    fn value(&self, numbers: &[f64], target: &Tensor) -> f64 {
        self.loss.forward(&self.output(numbers), target).unwrap().to_scalar().unwrap()
    }
}

fn every(test: impl Fn(&Case)) {
    for entry in LOSSES {
        assert!(entry.doc.ends_with('.'), "{}", entry.name);
        test(&case(entry.name, required(entry.name)));
    }
    for (name, params) in variants() {
        test(&case(name, params));
    }
}

#[test]
fn every_loss_and_its_gradient_are_finite_at_huge_outputs() {
    every(|case| {
        for target in &case.targets {
            for sign in [200f32, -200.0, 1e4, -1e4] {
                let z: Vec<f32> = (0..case.shape.0 * case.shape.1).map(|i| [sign, 0.0, -sign][i % 3]).collect();
                let z = Var::from_tensor(&Tensor::from_vec(z, case.shape, &Device::Cpu).unwrap()).unwrap();
                let loss = case.loss.forward(&z, target).unwrap();
                let about = format!("{} {} {sign}", case.name, case.params);
                assert!(loss.to_scalar::<f32>().unwrap().is_finite(), "{about}: {loss}");
                let gradient = loss.backward().unwrap().get(&z).unwrap().flatten_all().unwrap();
                let gradient = gradient.to_vec1::<f32>().unwrap();
                assert!(gradient.iter().all(|g| g.is_finite()), "{about}: {gradient:?}");
            }
        }
    });
}

#[test]
fn what_is_not_a_number_stays_so() {
    every(|case| {
        for (target, dtype) in case.targets.iter().flat_map(|t| [DType::F64, DType::F32].map(|dtype| (t, dtype))) {
            for i in 0..case.shape.0 * case.shape.1 {
                let mut numbers = case.numbers();
                numbers[i] = f64::NAN;
                let loss = case.loss.forward(&case.output(&numbers).to_dtype(dtype).unwrap(), target).unwrap();
                let loss = loss.to_dtype(DType::F64).unwrap().to_scalar::<f64>().unwrap();
                assert!(loss.is_nan(), "{} {} {target} {dtype:?}: output {i}: {loss}", case.name, case.params);
            }
        }
    });
}

#[test]
fn every_loss_of_classes_is_least_at_the_truth() {
    let never_zero = [
        "adacos",
        "arcface",
        "asymmetric_single",
        "bi_tempered",
        "dynamic_arcface",
        "ldam",
        "soft_f1",
        "soft_ordinal",
        "sphereface",
    ];
    for entry in LOSSES.iter().filter(|entry| reads(entry.name) == Reads::Logits) {
        let case = case(entry.name, required(entry.name));
        let truth = &case.targets[0];
        let sure = rows(truth, CLASSES, DType::F64).unwrap().affine(60.0, -30.0).unwrap();
        let of = |logits: &Tensor| case.loss.forward(logits, truth).unwrap().to_scalar::<f64>().unwrap();
        let (right, wrong) = (of(&sure), of(&sure.neg().unwrap()));
        let zero = never_zero.contains(&case.name) || (0.0..1e-9).contains(&right);
        assert!(zero && wrong > right + 0.5, "{}: {right} {wrong}", case.name);
    }
}

#[test]
fn every_gradient_equals_central_differences() {
    every(|case| {
        if case.params["dynamic"] == true {
            return; // Its scale follows the batch without a gradient.
        }
        for target in &case.targets {
            let z = Var::from_tensor(&case.output(&case.numbers())).unwrap();
            let gradient = case.loss.forward(&z, target).unwrap().backward().unwrap();
            let gradient = gradient.get(&z).unwrap().flatten_all().unwrap().to_vec1::<f64>().unwrap();
            for (i, g) in gradient.into_iter().enumerate() {
                let nudged = |by: f64| {
                    let mut z = case.numbers();
                    z[i] += by;
                    case.value(&z, target)
                };
                let slope = (nudged(1e-5) - nudged(-1e-5)) / 2e-5;
                let about = format!("{} {} {target}", case.name, case.params);
                assert!((g - slope).abs() < 1e-8 * g.abs().max(1.0), "{about}: {i}: {g}, differences {slope}");
            }
        }
    });
}

#[test]
fn class_ids_are_one_hot_rows() {
    every(|case| {
        if case.targets.len() < 2 || case.params.get("weights").is_some() {
            return; // One kind of target, or PyTorch's mean over weights.
        }
        let ids = &case.targets[0];
        let hot = rows(ids, CLASSES, DType::F32).unwrap();
        assert_eq!(hot.to_vec2::<f32>().unwrap()[1], [0.0, 0.0, 0.0, 1.0]);
        let numbers = case.numbers();
        assert_eq!(case.value(&numbers, ids), case.value(&numbers, &hot), "{}", case.name);
    });
}

#[test]
fn the_order_of_a_batch_does_not_matter() {
    every(|case| {
        for target in &case.targets {
            let samples = target.dim(0).unwrap();
            let views = case.shape.0 / samples;
            let back = |v: usize| (0..samples).rev().map(move |i| (v * samples + i) as u32);
            let order = Tensor::from_iter((0..views).flat_map(back), &Device::Cpu).unwrap();
            let output = case.output(&case.numbers());
            let turned = output.index_select(&order, 0).unwrap();
            let order = Tensor::from_iter(back(0), &Device::Cpu).unwrap();
            let other = target.index_select(&order, 0).unwrap();
            let of = |output: &Tensor, target: &Tensor| {
                let mut all = vec![case.loss.forward(output, target).unwrap().to_scalar::<f64>().unwrap()];
                match case.loss.per_sample(output, target) {
                    Ok(each) => all.extend(each.to_vec1::<f64>().unwrap()),
                    Err(error) => assert!(error.to_string().contains("is a loss of a batch"), "{error}"),
                }
                all
            };
            let (mut straight, turned) = (of(&output, target), of(&turned, &other));
            straight[1..].reverse();
            assert!([1, samples + 1].contains(&straight.len()), "{}", case.name);
            for (a, b) in straight.iter().zip(&turned) {
                assert!((a - b).abs() < 1e-12 * a.abs().max(1.0), "{}: {straight:?} {turned:?}", case.name);
            }
        }
    });
}

#[test]
fn half_precision_is_computed_in_single() {
    every(|case| {
        let half = case.output(&case.numbers()).to_dtype(DType::BF16).unwrap();
        let single = half.to_dtype(DType::F32).unwrap();
        for target in &case.targets {
            let of = |output: &Tensor| case.loss.forward(output, target).unwrap().to_scalar::<f32>().unwrap();
            assert_eq!(of(&half), of(&single), "{}", case.name);
        }
        if let Ok(probabilities) = case.loss.probabilities(&half) {
            assert_eq!(probabilities.dtype(), DType::F32, "{}", case.name);
        }
    });
}

#[test]
fn probabilities_agree_with_outputs() {
    every(|case| {
        let output = case.output(&case.numbers());
        let said = match (case.reads, case.loss.probabilities(&output)) {
            (Reads::Embeddings | Reads::Teacher, said) => {
                return assert!(said.unwrap_err().to_string().contains("say nothing about classes"));
            }
            (_, said) => said.unwrap(),
        };
        let values = said.flatten_all().unwrap().to_vec1::<f64>().unwrap();
        match case.reads {
            Reads::Numbers => assert_eq!(values, case.numbers()),
            Reads::Positions => {
                assert_eq!(said.dims(), output.dims());
                assert_eq!(values[..4], case.numbers()[..4]);
            }
            _ => {
                assert_eq!(said.dims(), [case.shape.0, CLASSES], "{}", case.name);
                assert!(values.iter().all(|p| (0.0..=1.0).contains(p)), "{} {said}", case.name);
            }
        }
        if matches!(case.reads, Reads::Logits | Reads::Student) {
            let first = |t: &Tensor| t.argmax(1).unwrap().to_vec1::<u32>().unwrap();
            // Several probabilities may be 1.
            let best = said.max(1).unwrap().to_vec1::<f64>().unwrap();
            for (i, k) in first(&output).into_iter().enumerate() {
                assert_eq!(values[i * CLASSES + k as usize], best[i], "{} {said}", case.name);
            }
        }
        let yes_no = ["asymmetric", "bce", "hamming", "lsep", "modified_huber", "ranking", "soft_f1"];
        let numbers = matches!(case.reads, Reads::Numbers | Reads::Positions);
        if !numbers && !yes_no.contains(&case.name) && case.params["sigmoid"] != true {
            for sum in said.sum(1).unwrap().to_vec1::<f64>().unwrap() {
                assert!((sum - 1.0).abs() < 1e-12, "{}: {sum}", case.name);
            }
        }
    });
}

#[test]
fn thresholds_become_classes() {
    let of = |name: &str, logits: [f64; 3]| {
        let said = build(name, json!({})).unwrap().probabilities(&Tensor::new(&[logits], &Device::Cpu).unwrap());
        said.unwrap().to_vec2::<f64>().unwrap().remove(0)
    };
    let close = |ours: Vec<f64>, known: [f64; 4]| {
        assert!(ours.iter().zip(known).all(|(a, b)| (a - b).abs() < 1e-9), "{ours:?}");
    };
    let logit = |p: f64| (p / (1.0 - p)).ln();
    close(of("coral", [logit(0.9), logit(0.6), logit(0.1)]), [0.1, 0.3, 0.5, 0.1]);
    close(of("corn", [logit(0.9), logit(0.5), logit(0.2)]), [0.1, 0.45, 0.36, 0.09]);
}

#[test]
fn samples_of_no_interest_do_not_count() {
    let z = Tensor::new(&[[2.0f64, 1.0], [0.5, 0.1], [0.0, 3.0]], &Device::Cpu).unwrap();
    let loss = |ids: &[u32], z: &Tensor, params| {
        let target = Tensor::new(ids, &Device::Cpu).unwrap();
        build("cross_entropy", params).unwrap().forward(z, &target).unwrap().to_scalar::<f64>().unwrap()
    };
    let rest = z.narrow(0, 1, 2).unwrap();
    assert_eq!(loss(&[9, 0, 1], &z, json!({"ignore": 9})), loss(&[0, 1], &rest, json!({})));
    assert_eq!(loss(&[9, 9, 9], &z, json!({"ignore": 9})), 0.0);
}

/// A row loses the share of the class that does not count, as if it had less of a sample.
#[test]
fn shares_of_no_interest_do_not_count() {
    let z = Tensor::new(&[[2.0f64, 1.0, 0.3], [0.5, 0.1, -1.0], [0.0, 3.0, 0.7]], &Device::Cpu).unwrap();
    let of = |params: &Value, target: &Tensor, z: &Tensor| {
        build("cross_entropy", params.clone()).unwrap().forward(z, target).unwrap().to_scalar::<f64>().unwrap()
    };
    for params in [json!({"ignore": 2}), json!({"ignore": 2, "smoothing": 0.1})] {
        let ids = Tensor::new(&[2u32, 0, 1], &Device::Cpu).unwrap();
        let hot = rows(&ids, 3, DType::F64).unwrap();
        assert_eq!(of(&params, &ids, &z), of(&params, &hot, &z), "{params}");
        assert_eq!(of(&params, &hot, &z), of(&params, &hot.narrow(0, 1, 2).unwrap(), &z.narrow(0, 1, 2).unwrap()));
        assert_eq!(of(&params, &hot.narrow(0, 0, 1).unwrap(), &z.narrow(0, 0, 1).unwrap()), 0.0);
        // Half of the first sample counts, so two and a half do.
        let mixed = Tensor::new(&[[0.5f64, 0.0, 0.5], [1.0, 0.0, 0.0], [0.0, 1.0, 0.0]], &Device::Cpu).unwrap();
        let alone =
            |i: usize, id: u32| of(&params, &Tensor::new(&[id], &Device::Cpu).unwrap(), &z.narrow(0, i, 1).unwrap());
        let known = (0.5 * alone(0, 0) + alone(1, 0) + alone(2, 1)) / 2.5;
        assert!((of(&params, &mixed, &z) - known).abs() < 1e-12, "{params}");
    }
    // Rows have no share of a class that is none of theirs.
    let mixed = Tensor::new(&[[0.5f64, 0.0, 0.5], [1.0, 0.0, 0.0], [0.0, 1.0, 0.0]], &Device::Cpu).unwrap();
    assert_eq!(of(&json!({"ignore": 9}), &mixed, &z), of(&json!({}), &mixed, &z));
}

/// Probabilities of exactly 0 and 1, right and wrong: losses of at most 100, gradients as PyTorch's.
#[test]
fn sure_probabilities_have_gradients() {
    let p = Var::new(&[[0f32, 1.0, 1.0, 0.0, 0.5]], &Device::Cpu).unwrap();
    let target = Tensor::new(&[[0f32, 1.0, 0.0, 1.0, 1.0]], &Device::Cpu).unwrap();
    let loss = build("bce", json!({"sigmoid": false})).unwrap().forward(&p, &target).unwrap();
    assert!((loss.to_scalar::<f32>().unwrap() - (200.0 + 2f32.ln()) / 5.0).abs() < 1e-5, "{loss}");
    let gradient = loss.backward().unwrap().get(&p).unwrap().to_vec2::<f32>().unwrap().remove(0);
    for (ours, known) in gradient.iter().zip([0.0, 0.0, 1e12 / 5.0, -1e12 / 5.0, -0.4]) {
        assert!((ours - known).abs() <= 1e-6 * known.abs(), "{gradient:?}");
    }
}

/// A class with half a label is no pair with itself.
#[test]
fn a_class_is_not_before_itself() {
    let z = Tensor::new(&[[3.0f64, -1.0]], &Device::Cpu).unwrap();
    let half = Tensor::new(&[[0.0f64, 0.5]], &Device::Cpu).unwrap();
    // One pair: class 1, half a label, before class 0.
    let hinge = build("ranking", json!({})).unwrap().forward(&z, &half).unwrap().to_scalar::<f64>().unwrap();
    assert!((hinge - 5.0).abs() < 1e-12, "{hinge}");
    let lsep = build("lsep", json!({})).unwrap().forward(&z, &half).unwrap().to_scalar::<f64>().unwrap();
    assert!((lsep - (0.5 * 4f64.exp()).ln_1p()).abs() < 1e-12, "{lsep}");
    // Thousands of halves are numbers too.
    let many = Tensor::full(0.5f32, (1, 4096), &Device::Cpu).unwrap();
    let lsep = build("lsep", json!({})).unwrap().forward(&many.zeros_like().unwrap(), &many).unwrap();
    assert!((f64::from(lsep.to_scalar::<f32>().unwrap()) - (4096.0 * 4095.0 / 4.0f64).ln_1p()).abs() < 1e-4, "{lsep}");
}

/// Where all other cosines are low the fitting scale would be negative, and what is right would be driven away.
#[test]
fn a_scale_that_fits_is_above_zero() {
    let z = Var::new(&[[27f64, -29.0, -29.0], [-29.0, 27.0, -29.0]], &Device::Cpu).unwrap();
    let target = Tensor::new(&[0u32, 1], &Device::Cpu).unwrap();
    let loss = build("adacos", json!({"dynamic": true})).unwrap().forward(&z, &target).unwrap();
    let gradient = loss.backward().unwrap().get(&z).unwrap().to_vec2::<f64>().unwrap();
    assert!(gradient[0][0] < 0.0 && gradient[0][1] > 0.0, "{gradient:?}");
}

#[test]
fn numbers_may_be_class_ids_and_may_be_missing() {
    let loss = build("mse", json!({})).unwrap();
    let z = Tensor::new(&[[1.5f64], [0.0]], &Device::Cpu).unwrap();
    let of = |target: Tensor| loss.per_sample(&z, &target).unwrap().to_vec1::<f64>().unwrap();
    assert_eq!(of(Tensor::new(&[3u32, 0], &Device::Cpu).unwrap()), [2.25, 0.0]);
    assert_eq!(of(Tensor::new(&[[f32::NAN], [2.0]], &Device::Cpu).unwrap()), [0.0, 4.0]);
}

#[test]
fn resolving_twice_changes_nothing() {
    for entry in LOSSES {
        let resolved = resolve(entry.name, required(entry.name)).unwrap();
        assert_eq!(resolve(entry.name, resolved.clone()).unwrap(), resolved, "{}", entry.name);
    }
    let sum = resolve("sum", required("sum")).unwrap();
    let first = json!({"name": "cross_entropy", "weight": 1.0, "smoothing": 0.0, "weights": null, "ignore": null});
    assert_eq!(sum, json!({"of": [first, {"name": "gce", "weight": 0.5, "q": 0.7}]}));
}

/// A table in the documentation of the struct `name`, field and default.
fn documented(text: &str, name: &str) -> Map<String, Value> {
    let at = text.find(&format!("pub struct {name} {{")).unwrap();
    let doc = text[..at].rsplit("\n\n").next().unwrap();
    let lines = doc.lines().filter_map(|line| line.strip_prefix("/// | `"));
    let pairs = lines.map(|line| {
        let cells: Vec<&str> = line.split('|').map(str::trim).collect();
        let default = match cells[1] {
            "none" => Value::Null,
            word => word
                .parse::<f64>()
                .map_or_else(|_| serde_json::from_str(word).unwrap_or_else(|_| json!(word)), |number| json!(number)),
        };
        (cells[0].trim_end_matches('`').to_string(), default)
    });
    pairs.collect()
}

#[test]
fn documented_defaults_are_those_that_are_used() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    let sources: Vec<String> =
        fs::read_dir(folder).unwrap().map(|file| fs::read_to_string(file.unwrap().path()).unwrap()).collect();
    let plain = |name: &str| name.replace('_', "").to_lowercase();
    for entry in LOSSES.iter().filter(|entry| entry.name != "sum") {
        let mut found = sources.iter().filter_map(|text| {
            let names = text.split("pub struct ").skip(1).filter_map(|rest| rest.split(' ').next());
            names.into_iter().find(|name| plain(name) == plain(entry.name)).map(|name| documented(text, name))
        });
        let documented = found.next().unwrap();
        let used = resolve(entry.name, json!({})).unwrap();
        let used: Map<String, Value> = used
            .as_object()
            .unwrap()
            .iter()
            .map(|(key, value)| (key.clone(), value.as_f64().map_or(value.clone(), |number| json!(number))))
            .collect();
        assert_eq!(documented, used, "{}", entry.name);
    }
}

#[test]
fn wrong_names_and_values_are_clear_errors() {
    let error = |name: &str, params| build(name, params).err().unwrap().to_string();
    let unknown = error("fical", json!({}));
    assert!(unknown.starts_with("unknown loss 'fical', expected one of adacos, arcface, "), "{unknown}");
    for entry in LOSSES {
        let mut params = required(entry.name);
        params["no_such"] = json!(1);
        let why = error(entry.name, params);
        assert!(why.starts_with(&format!("loss '{}': unknown field `no_such`", entry.name)), "{why}");
    }
    assert_eq!(error("bce", json!({"smoothing": 1.5})), "loss 'bce': smoothing must be in 0..=1, got 1.5");
    let negative = error("cross_entropy", json!({"weights": [1.0, -2.0]}));
    assert_eq!(negative, "loss 'cross_entropy': weights must be finite and at least 0, got -2");
    let loss = build("bce", json!({"pos_weight": [1.0, 2.0]})).unwrap();
    let why = "loss 'bce': pos_weight needs one number per class, got 2 for 4 classes";
    assert_eq!(loss.check(CLASSES).unwrap_err().to_string(), why);
    loss.check(2).unwrap();
    for name in ["ldam", "logit_adjusted", "dynamic_arcface"] {
        assert!(resolve(name, json!({})).unwrap().as_object().unwrap().contains_key("counts"));
        let why = build(name, json!({})).unwrap().check(CLASSES).unwrap_err().to_string();
        assert!(why.contains("counts is missing") && why.contains("recipes fill it in"), "{why}");
        let why = build(name, json!({"counts": [1, 2]})).unwrap().check(CLASSES).unwrap_err().to_string();
        assert!(why.contains("counts needs one number per class, got 2 for 4 classes"), "{why}");
    }
    for (name, params) in [
        ("sum", json!({})),
        ("sum", json!({"of": [{"name": "fical"}]})),
        ("sum", json!({"of": [{"name": "gce", "q": 2.0}]})),
        ("sum", json!({"of": [{"name": "gce", "weight": -1.0}]})),
        ("entmax", json!({"alpha": 1.0})),
        ("bi_tempered", json!({"t2": 0.5})),
        ("emd", json!({"r": 0.5})),
        ("jsd", json!({"views": 1})),
        ("ranking", json!({"kind": "other"})),
        ("focal", json!({"gamma": -1.0})),
        ("arcface", json!({"scale": 0.0})),
        ("arcface", json!({"margin": 3.5})),
        ("sphereface", json!({"margin": 0})),
        ("dynamic_arcface", json!({"smallest": 0.6})),
        ("distillation", json!({"alpha": 1.1})),
        ("trajectory_nll", json!({"modes": 0})),
        ("taylor", json!({"order": 0})),
        ("huber", json!({"delta": 0.0})),
        ("bce", json!({"threshold": 1.0})),
        // Contradictions.
        ("focal", json!({"sum": true})),
        ("ranking", json!({"kind": "logistic", "margin": 0.5})),
        ("contrastive", json!({"pos_margin": 1.0})),
        ("contrastive", json!({"neg_margin": 2.5})),
        ("cross_entropy", json!({"weights": [0.0, 0.0]})),
        ("focal", json!({"weights": [0.0, 0.0]})),
        ("ldam", json!({"weights": [0.0, 0.0], "counts": [1, 2]})),
        // Nothing in single precision.
        ("huber", json!({"delta": 1e-50})),
        ("smooth_l1", json!({"beta": 1e-50})),
        ("gce", json!({"q": 1e-50})),
        ("soft_f1", json!({"epsilon": 1e-50})),
        ("asymmetric", json!({"clip": 1e-50})),
    ] {
        let built = build(name, params.clone());
        let why = built.err().map(|error| error.to_string()).unwrap_or_default();
        assert!(why.starts_with(&format!("loss '{name}': ")), "{name} {params}: {why}");
    }
    build("adacos", json!({})).unwrap().check(2).unwrap_err();
}

/// Each sum within a sum was built three times by the one around it.
#[test]
fn sums_do_not_nest() {
    let nested = (0..9).fold(json!({"name": "gce"}), |inner, _| json!({"name": "sum", "of": [inner]}));
    let why = build("sum", json!({"of": [nested]})).err().map(|error| error.to_string()).unwrap_or_default();
    assert!(why.contains("of cannot have a sum in it"), "{why}");
}

/// Fields are public, so that numbers need not have been checked.
#[test]
fn numbers_that_nobody_checked_are_errors() {
    let output = Tensor::zeros((6, 4), DType::F32, &Device::Cpu).unwrap();
    let jsd = Jsd { views: 0, ..Default::default() };
    let why = jsd.per_sample(&output, &Tensor::new(&[1u32, 0], &Device::Cpu).unwrap()).unwrap_err().to_string();
    assert!(why.contains("views must be at least 2"), "{why}");
    let trajectory = TrajectoryNll { modes: 0 };
    let why = trajectory.per_sample(&output, &output).unwrap_err().to_string();
    assert!(why.contains("modes must be at least 1"), "{why}");
    trajectory.probabilities(&output).unwrap_err();
}

#[test]
fn wrong_tensors_are_clear_errors() {
    let zeros = |dims: &[usize], dtype| Tensor::zeros(dims, dtype, &Device::Cpu).unwrap();
    every(|case| {
        let error = |output: &Tensor, target: &Tensor| case.loss.forward(output, target).unwrap_err().to_string();
        let output = zeros(&[case.shape.0, case.shape.1], DType::F32);
        let flat = error(&zeros(&[3], DType::F32), &zeros(&[3], DType::U32));
        assert!(flat.contains("an output is [B, K] logits, got [3]"), "{flat}");
        assert!(error(&output, &zeros(&[2], DType::U32)).contains("do not fit"));
        if case.name == "similarity" {
            // Any other network will do.
            return;
        }
        let wide = error(&output, &zeros(&[case.targets[0].dim(0).unwrap(), 7], DType::F32));
        assert!(wide.contains(if case.name == "cosine" { "7] have no cosine" } else { "7] F32" }), "{wide}");
        if case.reads == Reads::Logits {
            let high = Tensor::new(&[0u32, 4, 1], &Device::Cpu).unwrap();
            let high = error(&output, &high);
            assert!(high.contains("sample 1 of the batch has class id 4, but there are only 4 classes"), "{high}");
            assert!(error(&output, &zeros(&[3, 5], DType::F32)).contains("[B, 4] rows of floats, got [3, 5] F32"));
            assert!(error(&output, &zeros(&[3], DType::I64)).contains("got [3] I64"));
        }
        if case.reads == Reads::Embeddings {
            assert!(wide.contains("mixed targets do not say who is alike"), "{wide}");
        }
    });
    let weighted = build("cross_entropy", json!({"weights": [1.0, 2.0]})).unwrap();
    let target = Tensor::new(&[1u32, 3, 0], &Device::Cpu).unwrap();
    let error = weighted.forward(&zeros(&[3, CLASSES], DType::F32), &target).unwrap_err().to_string();
    assert!(error.contains("weights needs one number per class, got 2 for 4 classes"), "{error}");
}
