//! candle's fused layer norm has no backward pass: everything before it would silently stay as it is.
#![allow(clippy::unwrap_used)]

use candle_core::{DType, Device, Tensor};
use candle_nn::{Module, VarBuilder, VarMap, layer_norm, linear};
use sconce_train::{Error, Params, Scores, TrainConfig, Trainer, optim, schedule, supervised};
use serde_json::json;

#[test]
fn a_cut_graph_is_reported_with_all_names() {
    let vars = VarMap::new();
    let vb = VarBuilder::from_varmap(&vars, DType::F32, &Device::Cpu);
    let first = linear(4, 4, vb.pp("first")).unwrap();
    let norm = layer_norm(4, 1e-5, vb.pp("norm")).unwrap();
    let last = linear(4, 1, vb.pp("last")).unwrap();
    let forward = |x: &Tensor, _| last.forward(&norm.forward(&first.forward(x)?)?);
    let task = supervised(forward, |y: &Tensor, _: &Tensor| y.sqr()?.mean_all());
    let sgd = optim::build("sgd", json!({})).unwrap();
    let constant = schedule::build("constant", json!({})).unwrap();
    let params = Params::new(&vars, |_| Some(1.0));
    let mut trainer = Trainer::new(TrainConfig::default(), &vars, params, sgd, constant).unwrap();
    let x = Tensor::ones((2, 4), DType::F32, &Device::Cpu).unwrap();
    let error =
        trainer.fit(&task, 1, |_, _| [Ok::<_, Error>(x.clone())], |_| Ok::<_, Error>(None::<Scores>)).unwrap_err();
    let message = error.to_string();
    assert!(
        message.contains("no gradient reaches 4 of 6 parameters: first.bias, first.weight, norm.bias, norm.weight"),
        "{message}"
    );
}
