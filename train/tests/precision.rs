//! Mixed precision: copies that learn, and the scale of the loss.
#![allow(clippy::unwrap_used)]

use candle_core::{DType, Device, Tensor, Var};
use candle_nn::VarMap;
use sconce_train::{BoxError, Error, Event, Flow, LossScale, Measures, Params, Progress, Rise, Scores, Task};
use sconce_train::{TrainConfig, Trainer, optim, schedule, variables};
use serde_json::{Value, json};
use std::cell::{Cell, RefCell};
use std::path::Path;

fn golden() -> Value {
    serde_json::from_str(include_str!("golden/trainer.json")).unwrap()
}

/// `torch.amp.GradScaler` over runs of finite and infinite gradients (`xtask/fixtures/trainer.py`).
#[test]
fn the_scale_follows_pytorch() {
    for case in golden()["loss_scales"].as_array().unwrap() {
        let mut scale = LossScale::new(case["first"].as_f64().unwrap());
        let runs: Vec<(usize, usize)> = serde_json::from_value(case["runs"].clone()).unwrap();
        for ((finite, count), want) in runs.into_iter().zip(case["scales"].as_array().unwrap()) {
            (0..count).for_each(|_| scale.update(finite == 1));
            assert_eq!(scale.scale, want.as_f64().unwrap(), "{count} steps, {finite}");
        }
    }
}

fn sines(phase: f64, scale: f64) -> Tensor {
    let values: Vec<f64> = (0..3).map(|i| scale * (1.7 * f64::from(i) + phase).sin()).collect();
    Tensor::new(values, &Device::Cpu).unwrap()
}

fn map(dtype: DType) -> VarMap {
    let vars = VarMap::new();
    for (name, start) in [("bn.running_mean", 0.0), ("w", 0.6)] {
        let var = Var::from_tensor(&sines(1.0, start).to_dtype(dtype).unwrap()).unwrap();
        vars.data().lock().unwrap().insert(name.into(), var);
    }
    vars
}

/// Fits sines with a weight, and moves a statistic. Some calls' losses are multiplied by something at once, or only on the way
/// back.
struct Sines {
    own: VarMap,
    copies: VarMap,
    calls: Cell<usize>,
    spoil: Vec<(usize, f64, bool)>,
}

impl Task for Sines {
    type Batch = usize;
    fn loss(&self, step: &usize, _: Progress) -> candle_core::Result<Tensor> {
        let all = variables(&self.copies);
        let (w, mean) = (&all["w"], &all["bn.running_mean"]);
        self.calls.set(self.calls.get() + 1);
        let x = sines(0.3 * *step as f64, 1.0).to_dtype(w.dtype())?;
        mean.set(&((mean.as_detached_tensor() * 0.875)? + (&x * 0.125)?)?)?;
        let target = sines(0.5 * *step as f64 + 1.0, 0.8).to_dtype(DType::F32)?;
        let loss = ((x * w.as_tensor())?.to_dtype(DType::F32)? - target)?.sqr()?.mean_all()?;
        match self.spoil.iter().find(|(call, ..)| *call == self.calls.get()) {
            // The value of the loss stays, its gradient is multiplied.
            Some((_, factor, true)) => (&loss * *factor)? + (loss.detach() * (1.0 - factor))?,
            Some((_, factor, false)) => loss * *factor,
            None => Ok(loss),
        }
    }
}

/// What a run does.
#[derive(Default)]
struct Plan<'a> {
    config: TrainConfig,
    optimizer: &'a str,
    interrupt: Option<usize>,
    per_epoch: usize,
}

impl Sines {
    fn new(dtype: DType, spoil: &[(usize, f64, bool)]) -> Self {
        Self { own: map(DType::F32), copies: map(dtype), calls: Cell::new(0), spoil: spoil.to_vec() }
    }

    fn w(&self) -> Vec<f32> {
        variables(&self.own)["w"].to_vec1::<f32>().unwrap()
    }

    /// What was measured, and the weights after each epoch.
    #[allow(clippy::type_complexity)]
    fn run(&self, plan: &Plan<'_>) -> Result<(Vec<(f64, Measures)>, Vec<Vec<f32>>), Error> {
        let params = Params::new(&self.own, |_| Some(1.0));
        let optimizer = optim::build(plan.optimizer, json!({})).unwrap();
        let linear = schedule::build("linear", json!({})).unwrap();
        let seen = RefCell::new(vec![]);
        let mut trainer = Trainer::new(plan.config.clone(), &self.own, params, optimizer, linear)
            .unwrap()
            .with_copies(&self.copies)
            .unwrap()
            .with_hook(|event: &Event<'_>| -> Result<Flow, BoxError> {
                let Event::Step { step, lr, measures: Some(measures), .. } = event else { return Ok(Flow::Continue) };
                seen.borrow_mut().push((*lr, (*measures).clone()));
                Ok(if Some(*step) == plan.interrupt { Flow::Interrupt } else { Flow::Continue })
            });
        trainer.resume()?;
        let weights = RefCell::new(vec![]);
        let batches = |epoch, first| (first..plan.per_epoch).map(move |i| Ok::<_, Error>(epoch * plan.per_epoch + i));
        let validate = |epoch: usize| -> Result<_, Error> {
            weights.borrow_mut().push(self.w());
            Ok(Some(Scores::of("epoch", epoch as f64)))
        };
        trainer.fit(self, plan.per_epoch, batches, validate)?;
        drop(trainer);
        Ok((seen.into_inner(), weights.into_inner()))
    }
}

fn config() -> TrainConfig {
    TrainConfig { epochs: 4, lr: 0.05, log_every: 1, ..TrainConfig::default() }
}

/// A copy learns, `AdamW` moves the weights in F32, as in PyTorch (`xtask/fixtures/trainer.py`).
#[test]
fn copies_learn_for_weights_of_full_precision() {
    for (name, dtype) in [("bf16", DType::BF16), ("f16", DType::F16)] {
        let wants: Vec<Vec<f32>> = serde_json::from_value(golden()["mixed"][name].clone()).unwrap();
        // A loss scale that is a power of two changes nothing as long as gradients are normal numbers.
        for loss_scale in [None, Some(1024.0)] {
            let task = Sines::new(dtype, &[]);
            let params = Params::new(&task.own, |_| Some(1.0));
            let adamw = optim::build("adamw", json!({})).unwrap();
            let constant = schedule::build("constant", json!({})).unwrap();
            let config = TrainConfig { epochs: 8, loss_scale, ..config() };
            let mut trainer =
                Trainer::new(config, &task.own, params, adamw, constant).unwrap().with_copies(&task.copies).unwrap();
            let batches = |epoch: usize, first| (first..5).map(move |i| Ok::<_, Error>(epoch * 5 + i));
            let seen = RefCell::new(vec![]);
            let validate = |_| -> Result<Option<Scores>, Error> {
                seen.borrow_mut().push(task.w());
                Ok(None)
            };
            trainer.fit(&task, 5, batches, validate).unwrap();
            assert_eq!(trainer.state().skipped, 0);
            for (epoch, (ours, wants)) in seen.borrow().iter().zip(&wants).enumerate() {
                let far = ours.iter().zip(wants).map(|(a, b)| (a - b).abs()).fold(0.0, f32::max);
                let limit = if loss_scale.is_some() && dtype == DType::F16 { 1e-4 } else { 2e-6 };
                assert!(far < limit, "{name} {loss_scale:?} epoch {epoch}: {far:e}");
            }
        }
    }
}

#[test]
fn copies_follow_and_statistics_come_back() {
    let task = Sines::new(DType::BF16, &[]);
    let plan = Plan {
        config: TrainConfig { ema: Some(0.9), ..config() },
        optimizer: "adamw",
        per_epoch: 5,
        ..Plan::default()
    };
    task.run(&plan).unwrap();
    let (own, copies) = (variables(&task.own), variables(&task.copies));
    for (name, var) in &own {
        let rounded = var.as_detached_tensor().to_dtype(DType::BF16).unwrap();
        let same = |a: &Tensor, b: &Tensor| {
            let read = |t: &Tensor| t.to_dtype(DType::F32).unwrap().to_vec1::<f32>().unwrap();
            read(a) == read(b)
        };
        assert!(same(&rounded, &copies[name].as_detached_tensor()), "{name}");
    }
    let mean = own["bn.running_mean"].to_vec1::<f32>().unwrap();
    assert!(mean.iter().any(|v| v.abs() > 0.01), "{mean:?}");
}

/// Averages take in the statistics of the step that they are made after: 1/8 of `x` where the average began at 0.
#[test]
fn averages_have_the_statistics_of_their_step() {
    let task = Sines::new(DType::F32, &[]);
    let params = Params::new(&task.own, |_| Some(1.0));
    let sgd = optim::build("sgd", json!({})).unwrap();
    let constant = schedule::build("constant", json!({})).unwrap();
    let config = TrainConfig { epochs: 1, ema: Some(0.75), ema_rise: Rise::None, ..config() };
    let mut trainer =
        Trainer::new(config, &task.own, params, sgd, constant).unwrap().with_copies(&task.copies).unwrap();
    let batches = |_, first| (first..2).map(Ok::<_, Error>);
    trainer.fit(&task, 2, batches, |_| Ok::<_, Error>(None)).unwrap();
    let ours = variables(&task.own)["bn.running_mean"].to_vec1::<f32>().unwrap();
    for (i, ours) in ours.into_iter().enumerate() {
        let x = |step: f64| (1.7 * i as f64 + 0.3 * step).sin();
        let first = x(0.0) / 8.0;
        let second = first * 7.0 / 8.0 + x(1.0) / 8.0;
        let want = 0.75 * 0.25 * first + 0.25 * second;
        assert!((f64::from(ours) - want).abs() < 1e-6, "{ours} {want}");
    }
}

/// Gradients become infinite in step 3, first with the loss and then on the way back only.
#[test]
fn a_step_with_infinite_gradients_is_skipped() {
    for (factor, back, ema) in [(f64::INFINITY, false, Some(0.5)), (3e37, true, Some(0.5)), (3e37, true, None)] {
        for optimizer in ["adamw", "sam"] {
            let calls = if optimizer == "sam" { 2 } else { 1 };
            // With one that climbs the second of its passes is spoilt in one run, the first in the other.
            for late in 0..calls {
                let task = Sines::new(DType::F32, &[(2 * calls + 1 + late, factor, back)]);
                // An epoch whose only loss is infinite would be an error.
                let (epochs, per_epoch) = if back { (6, 1) } else { (1, 6) };
                let config = TrainConfig { loss_scale: Some(65536.0), ema, epochs, guard: 2, ..config() };
                let plan = Plan { config, optimizer, per_epoch, ..Plan::default() };
                let (seen, weights) = task.run(&plan).unwrap();
                let skipped: Vec<usize> = seen.iter().map(|(_, m)| m.skipped).collect();
                assert_eq!(skipped, [0, 0, 1, 1, 1, 1], "{optimizer} {factor:e} {late}");
                let scales: Vec<f64> = seen.iter().map(|(_, m)| m.loss_scale.unwrap()).collect();
                assert_eq!(scales, [65536.0, 65536.0, 32768.0, 32768.0, 32768.0, 32768.0]);
                // Neither weights nor their averages move, and the schedule goes on.
                let norm = |step: usize| seen[step].1.weight_norm;
                assert_eq!(norm(2), norm(1), "{optimizer} {factor:e} {late}");
                assert!(norm(3) != norm(2) && norm(1) != norm(0));
                if back {
                    assert_eq!(weights[2], weights[1], "{optimizer} {factor:e} {late}");
                    assert!(weights[3] != weights[2] && weights[1] != weights[0]);
                }
                assert!(seen.windows(2).all(|pair| pair[1].0 < pair[0].0));
                assert_eq!(seen[5].1.rollbacks, 0);
            }
        }
    }
}

/// Step 4, after which the state is kept, leads far away. Losses of the next steps are infinite and their steps are skipped,
/// which shows nothing good; one that is NaN leads back to before.
#[test]
fn skipped_steps_do_not_make_a_state_a_good_one() {
    let (infinite, nan) = (f64::INFINITY, f64::NAN);
    let spoil = [(4, 1e18, true), (5, infinite, false), (6, infinite, false), (7, nan, false), (9, nan, false)];
    let task = Sines::new(DType::F32, &spoil);
    let config = TrainConfig { loss_scale: Some(1024.0), guard: 2, ..config() };
    let (seen, _) = task.run(&Plan { config, optimizer: "sgd", per_epoch: 5, ..Plan::default() }).unwrap();
    let last = &seen.last().unwrap().1;
    assert_eq!((last.skipped, last.rollbacks), (4, 2));
    // Twice: what was not good is forgotten.
    assert_eq!([6, 8].map(|step| seen[step].1.weight_norm), [seen[1].1.weight_norm; 2]);
    assert!(seen[3].1.weight_norm > 1e10 && task.w().iter().all(|w| w.abs() < 10.0));
}

/// A loss that is NaN is no matter of its scale; neither is one that is infinite without a scale.
#[test]
fn a_loss_that_is_nan_is_still_an_error() {
    for (factor, loss_scale) in [(f64::NAN, Some(65536.0)), (f64::INFINITY, None)] {
        let task = Sines::new(DType::F32, &[(3, factor, false)]);
        let plan =
            Plan { config: TrainConfig { loss_scale, ..config() }, optimizer: "sgd", per_epoch: 5, ..Plan::default() };
        let message = task.run(&plan).unwrap_err().to_string();
        assert!(message.contains("the loss became"), "{message}");
    }
}

#[test]
fn two_thousand_good_steps_double_the_scale() {
    let task = Sines::new(DType::F32, &[]);
    let config = TrainConfig { loss_scale: Some(8.0), epochs: 1, ..config() };
    let (seen, _) = task.run(&Plan { config, optimizer: "sgd", per_epoch: 2001, ..Plan::default() }).unwrap();
    let scale = |step: usize| seen[step - 1].1.loss_scale;
    assert_eq!((scale(1999), scale(2000), scale(2001)), (Some(8.0), Some(16.0), Some(16.0)));
}

#[test]
fn runs_in_mixed_precision_resume_bit_by_bit() {
    // Steps 4 and 9 are skipped, and losses in steps 8 and 13 lead back.
    let spoil = [(4, f64::INFINITY, false), (8, f64::NAN, false), (9, 3e37, true), (13, f64::NAN, false)];
    let run = |folder: &Path, task: &Sines, interrupt| {
        let config =
            TrainConfig { loss_scale: Some(256.0), ema: Some(0.8), guard: 3, folder: Some(folder.into()), ..config() };
        task.run(&Plan { config, optimizer: "adamw", per_epoch: 5, interrupt }).unwrap();
    };
    for dtype in [DType::F16, DType::BF16] {
        let whole = tempfile::tempdir().unwrap();
        let task = Sines::new(dtype, &spoil);
        run(whole.path(), &task, None);
        for interrupt in 1..20 {
            let folder = tempfile::tempdir().unwrap();
            run(folder.path(), &Sines::new(dtype, &spoil), Some(interrupt));
            let again = Sines::new(dtype, &spoil);
            again.calls.set(interrupt);
            run(folder.path(), &again, None);
            let read = |folder: &tempfile::TempDir| std::fs::read(folder.path().join("last.safetensors")).unwrap();
            assert!(read(&folder) == read(&whole), "{dtype:?}: interrupted at step {interrupt}");
            assert_eq!(again.w(), task.w());
        }
    }
}

#[test]
fn copies_of_another_network_are_refused() {
    let task = Sines::new(DType::BF16, &[]);
    let refused = |copies: &VarMap| {
        let params = Params::new(&task.own, |_| Some(1.0));
        let (sgd, constant) =
            (optim::build("sgd", json!({})).unwrap(), schedule::build("constant", json!({})).unwrap());
        let trainer = Trainer::new(config(), &task.own, params, sgd, constant).unwrap();
        trainer.with_copies(copies).err().unwrap().to_string()
    };
    let other = VarMap::new();
    let insert = |name: &str, n: usize| {
        let var = Var::zeros(n, DType::BF16, &Device::Cpu).unwrap();
        other.data().lock().unwrap().insert(name.into(), var);
    };
    insert("bn.running_mean", 3);
    assert!(refused(&other).contains("lack 'w'"));
    insert("w", 4);
    assert!(refused(&other).contains("another shape of 'w'"));
    insert("w", 3);
    insert("z", 3);
    assert!(refused(&other).contains("have 'z'"));
}
