//! Interrupted at any step and resumed, training ends with the same bits as an unbroken run.
#![allow(clippy::unwrap_used)]

use candle_core::{DType, Device, Tensor};
use candle_nn::{Init, VarMap};
use sconce_train::{
    BoxError, Error, Event, Flow, Params, Scores, TrainConfig, Trainer, optim, schedule, supervised, variables,
};
use serde_json::json;
use std::path::Path;

const BATCHES: usize = 5;

/// A linear network with a running statistic; data, validation and weights are functions of the position.
struct Toy {
    vars: VarMap,
}

impl Toy {
    fn new() -> Self {
        let vars = VarMap::new();
        for (name, start) in [("a.weight", 0.3), ("b.weight", -0.2), ("bn.running_mean", 0.0)] {
            vars.get(4, name, Init::Const(start), DType::F32, &Device::Cpu).unwrap();
        }
        Self { vars }
    }

    /// Trains until the end or until `interrupt` optimizer steps are done; returns whether it is finished.
    fn run(&self, folder: &Path, (optimizer, guard): (&str, usize), interrupt: Option<usize>, resume: bool) -> bool {
        let config = TrainConfig {
            epochs: 6,
            lr: 0.05,
            accumulate: 2,
            clip_norm: Some(0.5),
            ema: (optimizer != "lookahead").then_some(0.9),
            swa: (optimizer == "lookahead").then_some(0.3),
            patience: Some(3),
            folder: Some(folder.into()),
            save_every: 4,
            log_every: 2,
            fingerprint: "toy".into(),
            guard,
            ..Default::default()
        };
        let all = variables(&self.vars);
        let (a, b, mean) = (all["a.weight"].clone(), all["b.weight"].clone(), all["bn.running_mean"].clone());
        let forward = |x: &Tensor, _| {
            mean.set(&((mean.as_detached_tensor() * 0.9)? + (x * 0.1)?)?)?;
            x.mul(&a)?.sub(&b)?.sub(&mean.as_detached_tensor())
        };
        let task = supervised(forward, |y: &Tensor, x: &Tensor| (y - (x * 2.0)?)?.sqr()?.mean_all());
        let hook = move |event: &Event<'_>| -> Result<Flow, BoxError> {
            let done = match event {
                Event::Step { step, .. } => *step,
                Event::Epoch { .. } => return Ok(Flow::Continue),
            };
            Ok(if Some(done) == interrupt { Flow::Interrupt } else { Flow::Continue })
        };
        let params = Params::new(&self.vars, |_| Some(1.0));
        let optimizer = optim::build(optimizer, json!({})).unwrap();
        let cosine = schedule::build("cosine", json!({})).unwrap();
        let mut trainer = Trainer::new(config, &self.vars, params, optimizer, cosine).unwrap().with_hook(hook);
        assert_eq!(trainer.resume().unwrap(), resume);
        let batch = |epoch: usize, i: usize| {
            let v: Vec<f32> = (0..4).map(|j| ((epoch * 31 + i * 7 + j * 3) % 11) as f32 / 5.0 - 1.0).collect();
            Ok::<_, Error>(Tensor::new(v, &Device::Cpu).unwrap())
        };
        let batches = |epoch, first| (first..BATCHES).map(move |i| batch(epoch, i));
        let validate = |_| -> Result<Option<Scores>, Error> {
            let a = variables(&self.vars)["a.weight"].to_vec1::<f32>()?;
            Ok(Some(Scores::of("near", -f64::from((a[0] - 1.5).abs()))))
        };
        trainer.fit(&task, BATCHES, batches, validate).unwrap().finished
    }

    fn bits(&self) -> Vec<Vec<u32>> {
        let bits = |v: &candle_core::Var| v.to_vec1::<f32>().unwrap().iter().map(|v| v.to_bits()).collect();
        variables(&self.vars).values().map(bits).collect()
    }
}

#[test]
fn resumed_runs_end_with_the_same_bits() {
    for (optimizer, guard, every) in
        [("sgd", 0, 1), ("adamw", 3, 1), ("sam", 0, 4), ("lookahead", 2, 4), ("muon", 0, 4)]
    {
        let whole = tempfile::tempdir().unwrap();
        let toy = Toy::new();
        assert!(toy.run(whole.path(), (optimizer, guard), None, false));
        let steps = 6 * BATCHES.div_ceil(2);
        for interrupt in (1..steps).step_by(every) {
            let folder = tempfile::tempdir().unwrap();
            if Toy::new().run(folder.path(), (optimizer, guard), Some(interrupt), false) {
                continue; // early stopping came first
            }
            let again = Toy::new();
            assert!(again.run(folder.path(), (optimizer, guard), None, true), "{interrupt}");
            assert_eq!(again.bits(), toy.bits(), "{optimizer}: interrupted at step {interrupt}");
            for file in ["weights.safetensors", "last.safetensors", "state.json"] {
                let read = |folder: &tempfile::TempDir| std::fs::read(folder.path().join(file)).unwrap();
                assert!(read(&folder) == read(&whole), "{optimizer}: {file} after an interrupt at step {interrupt}");
            }
        }
    }
}

#[test]
fn a_finished_run_resumes_to_its_best_weights() {
    let folder = tempfile::tempdir().unwrap();
    let toy = Toy::new();
    toy.run(folder.path(), ("sgd", 0), None, false);
    let again = Toy::new();
    assert!(again.run(folder.path(), ("sgd", 0), None, true));
    assert_eq!(again.bits(), toy.bits());
}

#[test]
fn broken_and_foreign_checkpoints_are_refused() {
    let folder = tempfile::tempdir().unwrap();
    let toy = Toy::new();
    toy.run(folder.path(), ("sgd", 0), Some(3), false);
    let path = folder.path().join("last.safetensors");
    let whole = std::fs::read(&path).unwrap();
    let resume = |fingerprint: &str, vars: &VarMap| {
        let config =
            TrainConfig { folder: Some(folder.path().into()), fingerprint: fingerprint.into(), ..Default::default() };
        let (sgd, cosine) = (optim::build("sgd", json!({})).unwrap(), schedule::build("cosine", json!({})).unwrap());
        let mut trainer = Trainer::new(config, vars, Params::new(vars, |_| Some(1.0)), sgd, cosine).unwrap();
        trainer.resume().unwrap_err().to_string()
    };
    assert!(resume("other", &toy.vars).contains("another configuration"));
    let other = VarMap::new();
    other.get(5, "a.weight", Init::Const(0.0), DType::F32, &Device::Cpu).unwrap();
    assert!(resume("toy", &other).contains("which this network does not have"));
    other.get(4, "b.weight", Init::Const(0.0), DType::F32, &Device::Cpu).unwrap();
    other.get(4, "bn.running_mean", Init::Const(0.0), DType::F32, &Device::Cpu).unwrap();
    let message = resume("toy", &other);
    assert!(message.contains("a.weight [4]") && message.contains("wants [5]"), "{message}");
    for length in [0, 4, 40, whole.len() / 2, whole.len() - 1] {
        std::fs::write(&path, &whole[..length]).unwrap();
        let message = resume("toy", &toy.vars);
        assert!(message.contains("cut off or no checkpoint"), "{length}: {message}");
    }
}

#[test]
fn a_loss_that_is_no_number_is_an_error_with_advice() {
    let vars = VarMap::new();
    vars.get(1, "w", Init::Const(1.0), DType::F32, &Device::Cpu).unwrap();
    let w = variables(&vars)["w"].clone();
    let task = supervised(move |x: &Tensor, _| x.mul(&w), |y: &Tensor, _: &Tensor| y.log()?.sum_all());
    let (sgd, constant) = (optim::build("sgd", json!({})).unwrap(), schedule::build("constant", json!({})).unwrap());
    let params = Params::new(&vars, |_| Some(1.0));
    let mut trainer = Trainer::new(TrainConfig::default(), &vars, params, sgd, constant).unwrap();
    let x = Tensor::new(&[-1f32], &Device::Cpu).unwrap();
    let result = trainer.fit(&task, 1, |_, _| [Ok::<_, Error>(x.clone())], |_| Ok::<_, Error>(None));
    let message = result.unwrap_err().to_string();
    assert!(message.contains("the loss became NaN") && message.contains("lower learning rate"), "{message}");
}
