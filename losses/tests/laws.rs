//! Laws that every loss of the table keeps.
#![allow(clippy::unwrap_used)]

use candle_core::{DType, Device, Tensor, Var};
use sconce_losses::{LOSSES, Loss, build, resolve, rows};
use serde_json::json;

const CLASSES: usize = 4;

fn every(test: impl Fn(&str, &dyn Loss)) {
    for entry in LOSSES {
        assert!(entry.doc.ends_with('.'), "{}", entry.name);
        test(entry.name, &*build(entry.name, json!({})).unwrap());
    }
}

/// Two targets for three samples: class ids and rows.
fn targets() -> [Tensor; 2] {
    let rows = [[0.0f32, 1.0, 0.0, 0.0], [0.2, 0.3, 0.1, 0.4], [1.0, 0.0, 1.0, 1.0]];
    [Tensor::new(&[1u32, 3, 0], &Device::Cpu).unwrap(), Tensor::new(&rows, &Device::Cpu).unwrap()]
}

fn logits() -> Vec<f64> {
    (0..3 * CLASSES).map(|i| ((i * 7 % 12) as f64 - 5.0) / 2.0).collect()
}

fn value(loss: &dyn Loss, logits: &[f64], target: &Tensor) -> f64 {
    let logits = Tensor::from_slice(logits, (3, CLASSES), &Device::Cpu).unwrap();
    loss.forward(&logits, target).unwrap().to_scalar().unwrap()
}

#[test]
fn every_loss_and_its_gradient_are_finite_at_huge_logits() {
    every(|name, loss| {
        for target in targets() {
            for sign in [1e4f32, -1e4] {
                let z: Vec<f32> = (0..3 * CLASSES).map(|i| [sign, 0.0, -sign][i % 3]).collect();
                let z = Var::from_tensor(&Tensor::from_vec(z, (3, CLASSES), &Device::Cpu).unwrap()).unwrap();
                let loss = loss.forward(&z, &target).unwrap();
                assert!(loss.to_scalar::<f32>().unwrap().is_finite(), "{name}: {loss}");
                let gradient = loss.backward().unwrap().get(&z).unwrap().flatten_all().unwrap();
                let gradient = gradient.to_vec1::<f32>().unwrap();
                assert!(gradient.iter().all(|g| g.is_finite()), "{name}: {gradient:?}");
            }
        }
    });
}

#[test]
fn every_loss_is_near_zero_at_the_truth_and_larger_elsewhere() {
    every(|name, loss| {
        let truth = &targets()[0];
        let sure = rows(truth, CLASSES, DType::F64).unwrap().affine(60.0, -30.0).unwrap();
        let of = |logits: &Tensor| loss.per_sample(logits, truth).unwrap().to_vec1::<f64>().unwrap();
        let (right, wrong) = (of(&sure), of(&sure.neg().unwrap()));
        assert_eq!(right.len(), 3);
        assert!(
            right.iter().zip(&wrong).all(|(r, w)| (0.0..1e-9).contains(r) && *w > 1.0),
            "{name}: {right:?} {wrong:?}"
        );
    });
}

#[test]
fn every_gradient_equals_central_differences() {
    every(|name, loss| {
        for target in targets() {
            let z = Var::from_slice(&logits(), (3, CLASSES), &Device::Cpu).unwrap();
            let gradient = loss.forward(&z, &target).unwrap().backward().unwrap();
            let gradient = gradient.get(&z).unwrap().flatten_all().unwrap().to_vec1::<f64>().unwrap();
            for (i, g) in gradient.into_iter().enumerate() {
                let nudged = |by: f64| {
                    let mut z = logits();
                    z[i] += by;
                    value(loss, &z, &target)
                };
                let slope = (nudged(1e-5) - nudged(-1e-5)) / 2e-5;
                assert!((g - slope).abs() < 1e-8, "{name}: logit {i}: {g}, differences {slope}");
            }
        }
    });
}

#[test]
fn class_ids_are_one_hot_rows() {
    every(|name, loss| {
        let [ids, _] = targets();
        let hot = rows(&ids, CLASSES, DType::F32).unwrap();
        assert_eq!(hot.to_vec2::<f32>().unwrap()[1], [0.0, 0.0, 0.0, 1.0]);
        assert_eq!(value(loss, &logits(), &ids), value(loss, &logits(), &hot), "{name}");
    });
}

#[test]
fn resolving_twice_changes_nothing() {
    for entry in LOSSES {
        let resolved = resolve(entry.name, json!({"smoothing": 0.25})).unwrap();
        assert_eq!(resolve(entry.name, resolved.clone()).unwrap(), resolved, "{}", entry.name);
        assert!(resolved.as_object().unwrap().len() > 1, "{resolved}");
    }
}

#[test]
fn wrong_names_and_values_are_clear_errors() {
    let error = |name: &str, params| build(name, params).err().unwrap().to_string();
    assert_eq!(error("fical", json!({})), "unknown loss 'fical', expected one of bce, cross_entropy");
    assert!(error("bce", json!({"smothing": 0.1})).starts_with("loss 'bce': unknown field `smothing`"));
    assert_eq!(error("bce", json!({"smoothing": 1.5})), "loss 'bce': smoothing must be in 0..=1, got 1.5");
    let negative = error("cross_entropy", json!({"weights": [1.0, -2.0]}));
    assert_eq!(negative, "loss 'cross_entropy': weights must be finite and at least 0, got -2");
    let loss = build("bce", json!({"pos_weight": [1.0, 2.0]})).unwrap();
    let why = "loss 'bce': pos_weight needs one number per class, got 2 for 4 classes";
    assert_eq!(loss.check(CLASSES).unwrap_err().to_string(), why);
    loss.check(2).unwrap();
}

#[test]
fn wrong_tensors_are_clear_errors() {
    every(|_, loss| {
        let logits = Tensor::zeros((3, CLASSES), DType::F32, &Device::Cpu).unwrap();
        let error = |target: Tensor| loss.forward(&logits, &target).unwrap_err().to_string();
        let zeros = |dims: &[usize], dtype| Tensor::zeros(dims, dtype, &Device::Cpu).unwrap();
        let high = Tensor::new(&[0u32, 4, 1], &Device::Cpu).unwrap();
        assert!(error(high).contains("sample 1 of the batch has class id 4, but there are only 4 classes"));
        assert!(error(zeros(&[2], DType::U32)).contains("[3, 4] and a target of shape [2] do not fit"));
        assert!(error(zeros(&[3, 5], DType::F32)).contains("[B, 4] rows of floats, got [3, 5] F32"));
        assert!(error(zeros(&[3], DType::I64)).contains("got [3] I64"));
        let flat = loss.forward(&zeros(&[3], DType::F32), &zeros(&[3], DType::U32)).unwrap_err().to_string();
        assert!(flat.contains("an output is [B, K] logits, got [3]"), "{flat}");
    });
    let weighted = build("cross_entropy", json!({"weights": [1.0, 2.0]})).unwrap();
    let logits = Tensor::zeros((3, CLASSES), DType::F32, &Device::Cpu).unwrap();
    let error = weighted.forward(&logits, &targets()[0]).unwrap_err().to_string();
    assert!(error.contains("weights needs one number per class, got 2 for 4 classes"), "{error}");
}
