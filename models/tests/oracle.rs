//! candle-transformers' ResNets and ours, with the same variables, say the same in evaluation.
#![allow(clippy::unwrap_used)]

use candle_core::{DType, Device, Tensor};
use candle_nn::{Module, VarBuilder, VarMap};
use sconce_models::{Network, NetworkConfig, Pass, init};
use std::collections::HashMap;

#[test]
fn candle_transformers_agrees() {
    for model in ["resnet18", "resnet34", "resnet50"] {
        let vars = VarMap::new();
        let config = NetworkConfig { model: model.into(), classes: 7, ..NetworkConfig::default() };
        let ours = Network::new(&config, init::seeded(&vars, 5, DType::F32, &Device::Cpu)).unwrap();
        let values: Vec<f32> = (0..2 * 3 * 64 * 64).map(|i| ((i * 7919) % 1009) as f32 / 504.0 - 1.0).collect();
        let x = Tensor::from_vec(values, (2, 3, 64, 64), &Device::Cpu).unwrap();
        // One training pass, so that running statistics are not those of an untouched network.
        ours.forward(&x, None, &mut Pass::train(0)).unwrap();
        let renamed = |name: &str| name.replace("backbone.", "").replace("head.", "fc.");
        let tensors: HashMap<String, Tensor> =
            vars.data().lock().unwrap().iter().map(|(name, var)| (renamed(name), var.as_tensor().clone())).collect();
        let vb = VarBuilder::from_tensors(tensors, DType::F32, &Device::Cpu);
        use candle_transformers::models::resnet;
        let theirs = match model {
            "resnet18" => resnet::resnet18(7, vb),
            "resnet34" => resnet::resnet34(7, vb),
            _ => resnet::resnet50(7, vb),
        };
        let theirs = theirs.unwrap().forward(&x).unwrap().to_vec2::<f32>().unwrap();
        let ours = ours.forward(&x, None, &mut Pass::eval()).unwrap().to_vec2::<f32>().unwrap();
        for (a, b) in ours.iter().flatten().zip(theirs.iter().flatten()) {
            assert!((a - b).abs() < 1e-3 * (1.0 + b.abs()), "{model}: {a} and {b}");
        }
    }
}
