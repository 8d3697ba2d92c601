//! Predictions in and out of tensors and CSV.
#![allow(clippy::unwrap_used)]

use candle_core::{Device, Tensor};
use sconce_eval::{Predictions, Truth};

fn names(names: &[&str]) -> Vec<String> {
    names.iter().map(|name| name.to_string()).collect()
}

fn tensor<const B: usize, const K: usize>(rows: &[[f32; K]; B]) -> Tensor {
    Tensor::new(rows, &Device::Cpu).unwrap()
}

fn round_trip(predictions: &Predictions) -> String {
    let text = String::from_utf8(predictions.to_csv().unwrap()).unwrap();
    assert_eq!(&Predictions::from_csv(&text).unwrap(), predictions, "{text}");
    text
}

#[test]
fn batches_add_up() {
    let mut all = Predictions::new(&names(&["cat", "dog"]));
    assert!(all.is_empty());
    let ids = Tensor::new(&[0u32, 1], &Device::Cpu).unwrap();
    all.push(&names(&["a", "b"]), &tensor(&[[0.9, 0.1], [0.5, 0.5]]), Some(&ids)).unwrap();
    let half = tensor(&[[0.25, 0.75]]).to_dtype(candle_core::DType::BF16).unwrap();
    all.push(&names(&["c"]), &half, Some(&Tensor::new(&[1u32], &Device::Cpu).unwrap())).unwrap();
    assert_eq!((all.len(), all.row(2), all.best(1), all.best(2)), (3, &[0.25, 0.75][..], 0, 1));
    assert_eq!(all.truth, Some(Truth::Class(vec![0, 1, 1])));
    assert_eq!(Predictions::concat(&[all.select(&[0]), all.select(&[1, 2])]).unwrap(), all);
    assert_eq!(all.select(&[2, 2]).ids, ["c", "c"]);
}

#[test]
fn wrong_batches_are_clear_errors_and_change_nothing() {
    let mut all = Predictions::new(&names(&["cat", "dog"]));
    let (a, scores) = (names(&["a"]), tensor(&[[0.9, 0.1]]));
    let ids = |id: u32| Tensor::new(&[id], &Device::Cpu).unwrap();
    all.push(&a, &scores, Some(&ids(1))).unwrap();
    let before = all.clone();
    let mut error = |scores: &Tensor, truth: Option<&Tensor>| all.push(&a, scores, truth).unwrap_err().to_string();
    assert!(error(&tensor(&[[0.9, 0.1, 0.0]]), None).contains("1 ids and 2 classes need scores [1, 2], got [1, 3]"));
    assert!(error(&tensor(&[[f32::NAN, 0.1]]), None).contains("sample 'a' has the score NaN"));
    assert!(error(&scores, Some(&ids(2))).contains("sample 'a' has class id 2, but there are only 2 classes"));
    assert!(error(&scores, Some(&tensor(&[[0.0, 1.0]]))).contains("need a truth, and of one kind"));
    assert!(error(&scores, None).contains("need a truth, and of one kind"));
    assert!(error(&scores, Some(&tensor(&[[0.0]]))).contains("[1] U32 class ids or [1, 2] floats, got [1, 1] F32"));
    assert_eq!(all, before);
    let other = Predictions::new(&names(&["cat", "cow"]));
    let error = Predictions::concat(&[all, other]).unwrap_err().to_string();
    assert_eq!(error, "predictions: class 1 is 'dog' here and 'cow' there");
}

#[test]
fn csv_comes_back_exactly() {
    let mut all = Predictions::new(&names(&["id", "a, \"b\"", " x\ny ", "=1+1", "0.5", "target"]));
    let scores =
        [[0.1, 1.0 / 3.0, 1e-30, f32::MIN_POSITIVE, 16_777_216.0, -0.0], [f32::MAX, 0.7, 0.0, 1e-45, 0.2, 0.3]];
    all.push(&names(&["q/ä, 1.jpg", "-2"]), &tensor(&scores), None).unwrap();
    let text = round_trip(&all);
    assert!(text.starts_with("id,id,\"a, \"\"b\"\"\",\" x\ny \",=1+1,0.5,target,target\n"), "{text}");
    all.truth = Some(Truth::Class(vec![5, 2]));
    assert!(round_trip(&all).ends_with("0.3,\" x\ny \"\n"));
    round_trip(&Predictions::new(&names(&["target"])));
    let mut plain = Predictions::new(&names(&["cat", "dog"]));
    plain.push(&names(&["a"]), &tensor(&[[0.25, 0.75]]), Some(&Tensor::new(&[1u32], &Device::Cpu).unwrap())).unwrap();
    assert_eq!(round_trip(&plain), "id,cat,dog,target\na,0.25,0.75,dog\n");
    plain.truth = Some(Truth::Dense(vec![1.0, 0.5]));
    assert_eq!(round_trip(&plain), "id,cat,dog,target\na,0.25,0.75,1|0.5\n");
    plain.truth = Some(Truth::Dense(vec![f32::NAN, 1.0]));
    let text = String::from_utf8(plain.to_csv().unwrap()).unwrap();
    assert!(text.ends_with(",|1\n"), "{text}");
    let Some(Truth::Dense(values)) = Predictions::from_csv(&text).unwrap().truth else { panic!("{text}") };
    assert!(values[0].is_nan() && values[1] == 1.0);
}

#[test]
fn wrong_csv_names_the_line_and_the_column() {
    let error = |text: &str| Predictions::from_csv(text).unwrap_err().to_string();
    assert_eq!(error("id,a,b\nx,1,0\ny,1,z\n"), "line 3: column 'b' holds 'z', which is no finite number");
    assert_eq!(error("id,a\nx,inf\n"), "line 2: column 'a' holds 'inf', which is no finite number");
    assert_eq!(error("id,a,b\nx,1\n"), "line 2: it has 2 cells, the header 3");
    assert_eq!(error("id,a,b,target\nx,1,0,c\n"), "line 2: column 'target' holds 'c', which is none of the classes");
    assert_eq!(error("id,a,target\nx,1,a\ny,1,\n"), "line 3: column 'target' holds '', which is no class");
    let what = "neither a class nor a value of each";
    assert_eq!(
        error("id,a,b,target\nx,1,0,0|1\ny,1,0,0|z\n"),
        format!("line 3: column 'target' holds '0|z', which is {what}")
    );
    assert_eq!(error("id,a,a\n"), "line 1: predictions: there are two classes called 'a'");
    assert_eq!(error(""), "line 1: predictions need a column of ids and one per class");
    let twice = Predictions::new(&names(&["a", "a"])).to_csv().unwrap_err().to_string();
    assert_eq!(twice, "predictions: there are two classes called 'a'");
}
