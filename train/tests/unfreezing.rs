//! Parameters that begin to learn later than others.
#![allow(clippy::unwrap_used)]

use candle_core::{Device, Tensor, Var};
use candle_nn::VarMap;
use sconce_train::{BoxError, Error, Event, Flow, Params, Scores, TrainConfig, Trainer};
use sconce_train::{optim, schedule, supervised, variables};
use serde_json::{Value, json};
use std::cell::RefCell;
use std::path::Path;

const BATCHES: usize = 5;

fn sines(phase: f64, scale: f64) -> Tensor {
    let values: Vec<f64> = (0..3).map(|i| scale * (1.7 * f64::from(i) + phase).sin()).collect();
    Tensor::new(values, &Device::Cpu).unwrap()
}

/// A body that learns from the third of four epochs on, and a head.
struct Net {
    vars: VarMap,
    /// A step whose loss is no number.
    spoilt: Option<usize>,
    /// A step whose gradients are no numbers under a loss that is one.
    cliff: Option<usize>,
}

impl Net {
    fn new() -> Self {
        let vars = VarMap::new();
        for (name, phase) in [("body.weight", 0.0), ("head.weight", 1.0)] {
            vars.data().lock().unwrap().insert(name.into(), Var::from_tensor(&sines(phase, 0.6)).unwrap());
        }
        Self { vars, spoilt: None, cliff: None }
    }

    fn flat(&self) -> Vec<f64> {
        variables(&self.vars).values().flat_map(|v| v.to_vec1::<f64>().unwrap()).collect()
    }

    /// The weights after each epoch of this run; interrupted after so many steps, if at all.
    fn run(&self, folder: Option<&Path>, guard: usize, interrupt: Option<usize>) -> Vec<Vec<f64>> {
        let config = TrainConfig {
            epochs: 4,
            lr: 0.05,
            guard,
            log_every: 1,
            folder: folder.map(Into::into),
            ..TrainConfig::default()
        };
        let params =
            Params::new(&self.vars, |_| Some(1.0)).with_start(|name| if name.starts_with("body") { 2 } else { 0 });
        let adamw = optim::build("adamw", json!({})).unwrap();
        let constant = schedule::build("constant", json!({})).unwrap();
        let all = variables(&self.vars);
        let (body, head) = (all["body.weight"].clone(), all["head.weight"].clone());
        // Before it learns, the graph does not even reach the body.
        let forward = |step: &usize, _| {
            let body = if *step >= 2 * BATCHES { body.as_tensor().clone() } else { body.as_detached_tensor() };
            (sines(0.3 * *step as f64, 1.0) * body)?.tanh()? * head.as_tensor()
        };
        let target = |step: usize| sines(0.5 * step as f64 + 1.0, 0.8);
        let criterion = |y: &Tensor, step: &usize| {
            let mut loss = (y - target(*step))?.sqr()?.mean_all()?;
            if Some(*step) == self.cliff {
                // A root's slope at 0 is no number.
                loss = (loss + (y - y.detach())?.sqr()?.sum_all()?.sqrt()?)?;
            }
            if Some(*step) == self.spoilt { loss * f64::NAN } else { Ok(loss) }
        };
        let task = supervised(forward, criterion);
        let norms = RefCell::new(vec![]);
        let mut trainer = Trainer::new(config, &self.vars, params, adamw, constant).unwrap().with_hook(
            |event: &Event<'_>| -> Result<Flow, BoxError> {
                let Event::Step { step, measures, .. } = event else { return Ok(Flow::Continue) };
                norms.borrow_mut().extend(measures.map(|m| (*step, m.weight_norm)));
                Ok(if Some(*step) == interrupt { Flow::Interrupt } else { Flow::Continue })
            },
        );
        trainer.resume().unwrap();
        let batches = |epoch: usize, first| (first..BATCHES).map(move |i| Ok::<_, Error>(epoch * BATCHES + i));
        let seen = RefCell::new(vec![]);
        let validate = |epoch: usize| -> Result<_, Error> {
            seen.borrow_mut().push(self.flat());
            Ok(Some(Scores::of("epoch", epoch as f64)))
        };
        trainer.fit(&task, BATCHES, batches, validate).unwrap();
        let norm_of = |w: &[f64]| w.iter().map(|v| v * v).sum::<f64>().sqrt();
        let at = |step: usize| norms.borrow().iter().find(|(s, _)| *s == step).map_or(0.0, |(_, norm)| *norm);
        if let [first, second, ..] = &seen.borrow()[..]
            && interrupt.is_none()
            && norms.borrow().len() == 4 * BATCHES
        {
            assert!((at(BATCHES) - norm_of(&first[3..])).abs() < 1e-9, "what does not learn is in no norm");
            // A step without a loss leads back to where the body began to learn, not to before.
            let back = (at(2 * BATCHES + 1) - norm_of(second)).abs() < 1e-9;
            assert_eq!(back, self.spoilt == Some(2 * BATCHES));
        }
        drop(trainer);
        seen.into_inner()
    }
}

/// A new `AdamW` of all parameters in PyTorch (`xtask/fixtures/trainer.py`).
#[test]
fn unfrozen_parameters_get_a_new_optimizer() {
    let golden: Value = serde_json::from_str(include_str!("golden/trainer.json")).unwrap();
    let wants: Vec<Vec<f64>> = serde_json::from_value(golden["unfreezing"].clone()).unwrap();
    let ours = Net::new().run(None, 0, None);
    assert_eq!(ours[1][..3], wants[0][..3], "the body stays as it was");
    for (ours, wants) in ours.iter().zip(&wants) {
        assert!(ours.iter().zip(wants).all(|(a, b)| (a - b).abs() < 1e-12), "{ours:?} {wants:?}");
    }
}

#[test]
fn runs_resume_across_unfreezing() {
    for guard in [0, 3] {
        let whole = tempfile::tempdir().unwrap();
        let net = Net::new();
        net.run(Some(whole.path()), guard, None);
        for interrupt in 1..4 * BATCHES {
            let folder = tempfile::tempdir().unwrap();
            Net::new().run(Some(folder.path()), guard, Some(interrupt));
            let again = Net::new();
            again.run(Some(folder.path()), guard, None);
            assert_eq!(again.flat(), net.flat(), "interrupted at step {interrupt}");
            let read = |folder: &tempfile::TempDir| std::fs::read(folder.path().join("last.safetensors")).unwrap();
            assert!(read(&folder) == read(&whole), "checkpoint after an interrupt at step {interrupt}");
        }
    }
}

#[test]
fn a_return_does_not_cross_unfreezing() {
    let net = Net { spoilt: Some(2 * BATCHES), ..Net::new() };
    assert_eq!(net.run(None, 1000, None).len(), 4);
}

/// The last step before more begins to learn has spoilt the weights; no loss of theirs has been seen.
#[test]
fn a_spoilt_state_is_not_the_one_where_more_begins_to_learn() {
    for guard in [1, 1000] {
        let net = Net { cliff: Some(2 * BATCHES - 1), ..Net::new() };
        net.run(None, guard, None);
        assert!(net.flat().iter().all(|v| v.is_finite()), "{guard}");
    }
}

#[test]
fn something_must_learn_from_the_beginning() {
    let net = Net::new();
    let params = Params::new(&net.vars, |_| Some(1.0)).with_start(|_| 1);
    let adamw = optim::build("adamw", json!({})).unwrap();
    let constant = schedule::build("constant", json!({})).unwrap();
    let error = Trainer::new(TrainConfig::default(), &net.vars, params, adamw, constant).err().unwrap();
    assert!(error.to_string().contains("no parameter learns in epoch 0"), "{error}");
}
