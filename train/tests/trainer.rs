//! What the loop does besides stepping: climbing, averaging, snapshots, going back.
#![allow(clippy::unwrap_used)]

use candle_core::{DType, Device, Tensor, Var};
use candle_nn::{Init, VarMap};
use sconce_train::checkpoint::{Checkpoint, Record};
use sconce_train::{
    BoxError, Error, Event, Flow, Measures, Params, Progress, Rise, Scores, Task, TrainConfig, Trainer,
};
use sconce_train::{optim, schedule, supervised, variables};
use serde_json::{Value, json};
use std::cell::{Cell, RefCell};
use std::ops::Range;
use std::path::Path;

const BATCHES: usize = 6;

/// Fits `w` to batches with a statistic that every pass moves; at some calls the loss is spoilt, or only its gradient.
struct Bowl {
    vars: VarMap,
    w: Var,
    mean: Var,
    calls: Cell<usize>,
    spoil: Option<(usize, f64)>,
    cliff: Range<usize>,
}

impl Task for Bowl {
    type Batch = f64;
    fn loss(&self, batch: &f64, _: Progress) -> candle_core::Result<Tensor> {
        self.calls.set(self.calls.get() + 1);
        self.mean.set(&((self.mean.as_detached_tensor() * 0.9)? + 0.1 * batch)?)?;
        let mut loss = (&*self.w - *batch)?.sqr()?.mean_all()?;
        if self.cliff.contains(&self.calls.get()) {
            // A root's slope at 0 is no number.
            loss = (loss + (&*self.w - self.w.detach())?.sqr()?.sum_all()?.sqrt()?)?;
        }
        match self.spoil {
            Some((call, factor)) if call == self.calls.get() => loss * factor,
            _ => Ok(loss),
        }
    }
    fn parts(&self) -> Vec<(String, f64)> {
        vec![("calls".into(), self.calls.get() as f64)]
    }
}

impl Bowl {
    fn new(spoil: Option<(usize, f64)>) -> Self {
        let start = Tensor::new(&[4f32, 4.0, 4.0], &Device::Cpu).unwrap();
        Self { spoil, ..Self::at("w", &start) }
    }

    /// With a weight of this name that begins at `start`.
    fn at(name: &str, start: &Tensor) -> Self {
        let vars = VarMap::new();
        vars.data().lock().unwrap().insert(name.into(), Var::from_tensor(start).unwrap());
        vars.get(3, "bn.running_mean", Init::Const(4.0), DType::F32, &Device::Cpu).unwrap();
        let all = variables(&vars);
        let (w, mean) = (all[name].clone(), all["bn.running_mean"].clone());
        Self { vars, w, mean, calls: Cell::new(0), spoil: None, cliff: 0..0 }
    }

    fn trainer<'a>(&self, config: TrainConfig, optimizer: (&str, Value), plan: (&str, Value)) -> Trainer<'a> {
        let optimizer = optim::build(optimizer.0, optimizer.1).unwrap();
        let schedule = schedule::build(plan.0, plan.1).unwrap();
        Trainer::new(config, &self.vars, Params::new(&self.vars, |_| Some(1.0)), optimizer, schedule).unwrap()
    }

    fn fit(&self, trainer: &mut Trainer<'_>) -> Result<Vec<Record>, Error> {
        let batch = |epoch: usize, i: usize| Ok::<_, Error>(((epoch * 5 + i * 3) % 7) as f64 / 7.0);
        let batches = |epoch, first| (first..BATCHES).map(move |i| batch(epoch, i));
        let score = |_| -> Result<_, Error> { Ok(Some(Scores::of("w", f64::from(self.read(&self.w))))) };
        trainer.fit(self, BATCHES, batches, score).map(|outcome| outcome.history)
    }

    fn read(&self, var: &Var) -> f32 {
        var.flatten_all().unwrap().to_vec1::<f32>().unwrap()[0]
    }
}

fn config() -> TrainConfig {
    TrainConfig { epochs: 4, lr: 0.05, accumulate: 2, log_every: 1, ..TrainConfig::default() }
}

fn plain() -> Value {
    json!({"momentum": 0.0, "nesterov": false, "weight_decay": 0.0})
}

fn constant() -> (&'static str, Value) {
    ("constant", json!({}))
}

/// Every batch is passed twice, and the statistic moves as with passes that are made once.
#[test]
fn a_climb_leaves_no_trace_in_running_statistics() {
    let (once, twice) = (Bowl::new(None), Bowl::new(None));
    once.fit(&mut once.trainer(config(), ("sgd", plain()), constant())).unwrap();
    let mut spec = plain();
    spec["name"] = json!("sgd");
    let history =
        twice.fit(&mut twice.trainer(config(), ("sam", json!({"of": spec, "rho": 0.1})), constant())).unwrap();
    assert_eq!((once.calls.get(), twice.calls.get(), history.len()), (4 * BATCHES, 8 * BATCHES, 4));
    assert_eq!(once.read(&once.mean), twice.read(&twice.mean));
    assert_ne!(once.read(&once.w), twice.read(&twice.w));
    // One component of w: the climb adds ρ/√3 to each, the bowl's slope is 2/3, so a step has 2/3·ρ/√3 more; w − batch > 0.
    let (mut w, lr, epsilon) = (4.0f64, 0.05, 0.1 / 3f64.sqrt());
    for epoch in 0..4usize {
        for i in (0..BATCHES).step_by(2) {
            let mean = [i, i + 1].iter().map(|i| ((epoch * 5 + i * 3) % 7) as f64 / 7.0).sum::<f64>() / 2.0;
            w -= lr * 2.0 / 3.0 * (w + epsilon - mean);
        }
    }
    // The history's best is the first epoch's, the largest w; compare the last score.
    let last = history[3].scores.as_ref().unwrap().decisive;
    assert!((last - w).abs() < 1e-5, "{last} {w}");
}

#[test]
fn what_is_logged_is_complete() {
    let bowl = Bowl::new(None);
    let seen = RefCell::new(Vec::<Measures>::new());
    let mut trainer = bowl.trainer(config(), ("sgd", plain()), constant()).with_hook(|event: &Event<'_>| {
        if let Event::Step { measures: Some(measures), loss: Some(_), .. } = event {
            seen.borrow_mut().push((*measures).clone());
        }
        Ok::<_, BoxError>(Flow::Continue)
    });
    bowl.fit(&mut trainer).unwrap();
    let seen = seen.borrow();
    assert_eq!(seen.len(), 4 * BATCHES / 2);
    // Batches 0 and 3/7 at w = 4: gradient 2/3·(4 − 3/14) three times.
    let (norm, step) = (2.0 / 3.0 * (4.0 - 3.0 / 14.0), 0.05);
    assert!((seen[0].gradient_norm - norm * 3f64.sqrt()).abs() < 1e-5, "{:?}", seen[0]);
    assert!((seen[0].weight_norm - (4.0 - step * norm) * 3f64.sqrt()).abs() < 1e-5, "{:?}", seen[0]);
    assert_eq!(
        (&seen[0].rates[..], &seen[0].parts[..]),
        (&[("w".to_string(), 0.05)][..], &[("calls".to_string(), 1.5)][..])
    );
}

/// After the second of four epochs: weights of the third and fourth epoch are averaged, and statistics are measured anew.
#[test]
fn equal_averages_are_validated_with_fresh_statistics() {
    let (plain_run, bowl) = (Bowl::new(None), Bowl::new(None));
    let alone = plain_run.fit(&mut plain_run.trainer(config(), ("sgd", plain()), constant())).unwrap();
    let asked = RefCell::new(vec![]);
    let mean = bowl.mean.clone();
    let mut trainer = bowl.trainer(TrainConfig { swa: Some(0.5), ..config() }, ("sgd", plain()), constant());
    trainer = trainer.with_refresh(|epoch| {
        asked.borrow_mut().push(epoch);
        Ok(mean.set(&(mean.as_detached_tensor() * 0.0)?)?)
    });
    let history = bowl.fit(&mut trainer).unwrap();
    let score = |history: &[Record], epoch: usize| history[epoch].scores.as_ref().unwrap().decisive;
    for epoch in 0..3 {
        assert_eq!(score(&history, epoch), score(&alone, epoch), "epoch {epoch}");
    }
    let average = (score(&alone, 2) + score(&alone, 3)) / 2.0;
    assert!((score(&history, 3) - average).abs() < 1e-6);
    assert_eq!(*asked.borrow(), [2, 3]);
}

#[test]
fn snapshots_are_taken_where_cycles_end() {
    let folder = tempfile::tempdir().unwrap();
    let bowl = Bowl::new(None);
    let config = TrainConfig { snapshots: true, folder: Some(folder.path().into()), ..config() };
    let mut trainer = bowl.trainer(config, ("sgd", plain()), ("warm_restarts", json!({"first": 2})));
    let history = bowl.fit(&mut trainer).unwrap();
    let read = |path: &Path| Checkpoint::read(path).unwrap().tensors["w"].to_vec1::<f32>().unwrap()[0];
    for (k, epoch) in [(1, 1), (2, 3)] {
        let snapshot = read(&folder.path().join(format!("snapshot{k}.safetensors")));
        assert_eq!(f64::from(snapshot), history[epoch].scores.as_ref().unwrap().decisive, "snapshot {k}");
    }
    assert!(!folder.path().join("snapshot3.safetensors").exists());
}

#[test]
fn a_loss_that_is_no_number_leads_back_to_a_good_state() {
    for (factor, spike) in [(f64::NAN, None), (f64::INFINITY, None), (1e6, Some(5.0))] {
        let rates = RefCell::new(vec![]);
        let bowl = Bowl::new(Some((50, factor)));
        let config = TrainConfig { guard: 2, spike, epochs: 12, lr: 0.01, ..config() };
        let mut trainer = bowl.trainer(config, ("adamw", json!({})), constant()).with_hook(|event: &Event<'_>| {
            if let Event::Step { lr, measures: Some(measures), .. } = event {
                rates.borrow_mut().push((*lr, measures.rollbacks));
            }
            Ok::<_, BoxError>(Flow::Continue)
        });
        let history = bowl.fit(&mut trainer).unwrap();
        let rates = rates.borrow();
        // Call 50 is in step 25; it is seen there, and later steps are half as long.
        assert_eq!((rates[23], rates[24], rates[25]), ((0.01, 0), (0.01, 1), (0.005, 1)), "{factor}");
        assert!(bowl.read(&bowl.w).is_finite() && history.iter().all(|r| r.loss < 100.0), "{factor}: {history:?}");
    }
    // Without a guard it is an error, and so it is when nothing helps.
    let bowl = Bowl::new(Some((50, f64::NAN)));
    let error = bowl.fit(&mut bowl.trainer(TrainConfig { epochs: 12, ..config() }, ("sgd", plain()), constant()));
    assert!(error.unwrap_err().to_string().contains("the loss became NaN"));
    let bowl = Bowl::new(None);
    bowl.w.set(&(bowl.w.as_detached_tensor() * f64::NAN).unwrap()).unwrap();
    let error =
        bowl.fit(&mut bowl.trainer(TrainConfig { guard: 1, epochs: 12, ..config() }, ("sgd", plain()), constant()));
    assert!(error.unwrap_err().to_string().contains("the loss became NaN"));
}

/// Where one step of length 1 from `[1, 2, 3]` leads, as a matrix with one row, and the same with numbers: `g` is the gradient
/// before anything is done to it.
fn one_step(name: &str, config: TrainConfig, wants: impl Fn([f64; 3]) -> [f64; 3]) {
    let start = [1f32, 2.0, 3.0];
    let bowl = Bowl::at(name, &Tensor::new(&[start], &Device::Cpu).unwrap());
    let config = TrainConfig { epochs: 1, lr: 1.0, accumulate: BATCHES, ..config };
    bowl.fit(&mut bowl.trainer(config.clone(), ("sgd", plain()), constant())).unwrap();
    // The mean of the batches 0, 3, 6, 2, 5 and 1, in sevenths.
    let mean = 17.0 / 6.0 / 7.0;
    let wants = wants(start.map(|w| 2.0 / 3.0 * (f64::from(w) - mean)));
    let ours = bowl.w.flatten_all().unwrap().to_vec1::<f32>().unwrap();
    let near = ours.iter().zip(wants).all(|(a, b)| (f64::from(*a) - b).abs() < 1e-5);
    assert!(near, "{name} {config:?}: {ours:?}, not {wants:?}");
}

/// A step along `−g` from `[1, 2, 3]`.
fn stepped(g: [f64; 3]) -> [f64; 3] {
    [1.0 - g[0], 2.0 - g[1], 3.0 - g[2]]
}

fn length(v: [f64; 3]) -> f64 {
    v.iter().map(|v| v * v).sum::<f64>().sqrt()
}

#[test]
fn gradients_are_changed_as_the_settings_say() {
    let none = TrainConfig::default;
    let least = |a: f64, b: f64| if a < b { a } else { b };
    one_step("w", none(), stepped);
    one_step("w", TrainConfig { clip_norm: Some(0.5), ..none() }, |g| stepped(g.map(|v| v * 0.5 / length(g))));
    one_step("w", TrainConfig { clip_norm: Some(50.0), ..none() }, stepped);
    one_step("w", TrainConfig { clip_value: Some(0.9), ..none() }, |g| stepped(g.map(|v| least(v, 0.9))));
    let unit = TrainConfig { clip_unit: Some(0.1), ..none() };
    one_step("w", unit.clone(), |g| stepped(g.map(|v| v * 0.1 * 14f64.sqrt() / length(g))));
    one_step("head.w", unit.clone(), stepped);
    one_step("w", TrainConfig { clip_unit_except: vec!["w".into()], ..unit.clone() }, stepped);
    one_step("head.w", TrainConfig { clip_unit_except: vec![], ..unit }, |g| {
        stepped(g.map(|v| v * 0.1 * 14f64.sqrt() / length(g)))
    });
    one_step("w", TrainConfig { centralize: true, ..none() }, |g| stepped(g.map(|v| v - g[1])));
    // First the mean goes out, ∓2/3 remain; then rows, numbers and the whole are made smaller.
    let all = TrainConfig { centralize: true, clip_unit: Some(0.2), clip_value: Some(0.4), ..none() };
    one_step("w", all.clone(), |_| stepped([-0.4, 0.0, 0.4]));
    one_step("w", TrainConfig { clip_unit: Some(0.1), ..all.clone() }, |_| {
        let side = 0.1 * 7f64.sqrt();
        stepped([-side, 0.0, side])
    });
    one_step("w", TrainConfig { clip_norm: Some(0.2), ..all }, |_| {
        let side = 0.2 / 2f64.sqrt();
        stepped([-side, 0.0, side])
    });
}

/// Batches that say how many samples they have, or do not.
struct Counted {
    bowl: Bowl,
    says: bool,
}

impl Task for Counted {
    type Batch = (f64, usize);
    fn loss(&self, (mean, _): &(f64, usize), at: Progress) -> candle_core::Result<Tensor> {
        self.bowl.loss(mean, at)
    }
    fn samples(&self, (_, samples): &(f64, usize)) -> usize {
        if self.says { *samples } else { 1 }
    }
}

/// Three samples of mean 0 and one of 1, from 4.
#[test]
fn micro_batches_weigh_as_much_as_they_have_samples() {
    let mut spec = plain();
    spec["name"] = json!("sgd");
    for (optimizer, options) in [("sgd", plain()), ("sam", json!({"of": spec, "rho": 1e-9}))] {
        for (says, mean, loss) in [(true, 0.25, (3.0 * 16.0 + 9.0) / 4.0), (false, 0.5, (16.0 + 9.0) / 2.0)] {
            let task = Counted { bowl: Bowl::new(None), says };
            let config = TrainConfig { epochs: 1, ..config() };
            let mut trainer = task.bowl.trainer(config, (optimizer, options.clone()), constant());
            let batches = |_, first: usize| [(0.0, 3), (1.0, 1)].into_iter().skip(first).map(Ok::<_, Error>);
            let history = trainer.fit(&task, 2, batches, |_| Ok::<_, Error>(None)).unwrap().history;
            let w = 4.0 - 0.05 * 2.0 / 3.0 * (4.0 - mean);
            let ours = f64::from(task.bowl.read(&task.bowl.w));
            assert!((ours - w).abs() < 1e-5, "{optimizer} {says}: {ours} {w}");
            assert!((history[0].loss - loss).abs() < 1e-5, "{optimizer} {says}: {history:?}");
        }
    }
    let forward = |_: &Vec<u8>, _: Progress| Tensor::new(0f32, &Device::Cpu);
    let task = supervised(forward, |y: &Tensor, _: &Vec<u8>| Ok(y.clone()));
    assert_eq!(task.samples(&vec![0; 3]), 1);
    assert_eq!(task.with_samples(Vec::len).samples(&vec![0; 3]), 3);
}

#[test]
fn weights_are_pulled_to_zero_after_a_step() {
    for l1 in [0.3, 1.2] {
        one_step("w", TrainConfig { l1: Some(l1), ..TrainConfig::default() }, |g| {
            stepped(g).map(|w| w.signum() * (w.abs() - l1).max(0.0))
        });
    }
}

/// Validation and the result have the averages, training goes on from the weights.
#[test]
fn averages_are_validated_and_kept() {
    let config = || TrainConfig { epochs: 3, accumulate: BATCHES, ..config() };
    let (alone, bowl) = (Bowl::new(None), Bowl::new(None));
    let score = |record: &Record| record.scores.as_ref().unwrap().decisive;
    let weights = alone.fit(&mut alone.trainer(config(), ("sgd", plain()), constant())).unwrap();
    let averaged = TrainConfig { ema: Some(0.75), ema_rise: Rise::None, ..config() };
    let history = bowl.fit(&mut bowl.trainer(averaged, ("sgd", plain()), constant())).unwrap();
    let mut average = 4.0;
    for (epoch, (weights, ours)) in weights.iter().zip(&history).enumerate() {
        average = 0.75 * average + 0.25 * score(weights);
        assert!((score(ours) - average).abs() < 1e-5, "epoch {epoch}: {} {average}", score(ours));
        assert!((score(ours) - score(weights)).abs() > 1e-3);
    }
    // The first epoch is the best.
    assert_eq!(f64::from(bowl.read(&bowl.w)), score(&history[0]));
}

/// How many epochs of ten are trained that have these scores.
fn epochs(config: TrainConfig, scores: [f64; 10]) -> usize {
    let bowl = Bowl::new(None);
    let config = TrainConfig { epochs: 10, ..config };
    let mut trainer = bowl.trainer(config, ("sgd", plain()), constant());
    let score = |epoch: usize| Ok::<_, Error>(Some(Scores::of("score", scores[epoch])));
    let outcome = trainer.fit(&bowl, 1, |_, _| [Ok::<_, Error>(0.5)], score).unwrap();
    assert!(outcome.finished && trainer.state().finished);
    // The best weights are the best ones, by however little.
    let best = scores[..outcome.history.len()].iter().copied().fold(f64::NAN, f64::max);
    assert_eq!(outcome.best.map(|epoch| scores[epoch]), Some(best));
    outcome.history.len()
}

#[test]
fn training_ends_when_nothing_gets_better() {
    let scores = [1.0, 3.0, 2.0, 3.0, 4.0, 3.0, 3.9, 4.0, 5.0, 6.0];
    for (patience, wants) in [(None, 10), (Some(0), 3), (Some(1), 3), (Some(2), 4), (Some(3), 8), (Some(4), 10)] {
        assert_eq!(epochs(TrainConfig { patience, ..config() }, scores), wants, "{patience:?}");
    }
    // As Keras: what is compared with is the last score that was so much better, so that small steps add up.
    let slow = [1.0, 3.0, 4.0, 4.5, 5.0, 5.5, 6.0, 6.5, 6.75, 7.0];
    for (min_delta, wants) in [(0.0, 10), (0.25, 10), (0.5, 10), (1.0, 6), (1.5, 4), (2.0, 5), (9.0, 3)] {
        assert_eq!(epochs(TrainConfig { patience: Some(2), min_delta, ..config() }, slow), wants, "{min_delta}");
    }
    // What is no number is not better, but anything else is better than that.
    let scores = [f64::NAN, 1.0, f64::NAN, 2.0, f64::NAN, f64::NAN, 3.0, 4.0, 5.0, 6.0];
    assert_eq!(epochs(TrainConfig { patience: Some(2), ..config() }, scores), 6);
}

/// The gradients of one step are no numbers under a loss that is one: the state after it is none to go back to, also where it
/// is the one that was to be kept.
#[test]
fn a_bad_step_is_not_kept_as_a_good_state() {
    for (bad, back) in [(22, 20), (23, 20), (24, 22)] {
        for log_every in [1, 7] {
            let bowl = Bowl { cliff: 2 * bad..2 * bad + 1, ..Bowl::new(None) };
            let norms = RefCell::new(vec![]);
            let config = TrainConfig { guard: 2, epochs: 12, lr: 0.01, log_every, ..config() };
            let mut trainer = bowl.trainer(config, ("adamw", json!({})), constant()).with_hook(|event: &Event<'_>| {
                if let Event::Step { measures: Some(measures), .. } = event {
                    norms.borrow_mut().push(measures.weight_norm);
                }
                Ok::<_, BoxError>(Flow::Continue)
            });
            let history = bowl.fit(&mut trainer).unwrap();
            assert_eq!(trainer.state().rollbacks, 1, "{bad} {log_every}");
            drop(trainer);
            assert!(bowl.read(&bowl.w).is_finite() && history.iter().all(|r| r.loss.is_finite()), "{bad}: {history:?}");
            if log_every == 1 {
                // The next step's loss is the first that is no number.
                let norms = norms.borrow();
                assert_eq!(norms[bad], norms[back - 1], "{bad}");
                assert!(norms[bad + 1] < norms[bad]);
            }
        }
    }
}

fn scaled() -> TrainConfig {
    TrainConfig { loss_scale: Some(65536.0), ..config() }
}

/// Batches 5 and 6 are of a step that is skipped, because one of them is infinite.
#[test]
fn skipped_steps_leave_running_statistics_alone() {
    for (optimizer, options) in [("sgd", plain()), ("sam", json!({}))] {
        let bowl = Bowl::new(None);
        let config = TrainConfig { epochs: 1, ..scaled() };
        let mut trainer = bowl.trainer(config, (optimizer, options), constant());
        let batch = |i: usize| if i == 5 { f64::INFINITY } else { i as f64 };
        let batches = |_, first| (first..8).map(move |i| Ok::<_, Error>(batch(i)));
        trainer.fit(&bowl, 8, batches, |_| Ok::<_, Error>(None)).unwrap();
        assert_eq!(trainer.state().skipped, 1);
        let want = [0, 1, 2, 3, 6, 7].into_iter().fold(4.0, |mean, i| 0.9 * mean + 0.1 * batch(i));
        assert!(
            (f64::from(bowl.read(&bowl.mean)) - want).abs() < 1e-5,
            "{optimizer}: {} {want}",
            bowl.read(&bowl.mean)
        );
    }
}

/// Gradients that are never numbers are an error that says what to do: within a long epoch, after short ones, at the end.
#[test]
fn steps_that_are_all_skipped_are_an_error() {
    for (batches, epochs, wants) in [
        (1000, 1, "epoch 0: 41 of 41 steps were skipped"),
        (6, 100, "epoch 5: 18 of 18 steps were skipped"),
        (6, 3, "epoch 2: 9 of 9 steps were skipped"),
    ] {
        let bowl = Bowl { cliff: 0..usize::MAX, ..Bowl::new(None) };
        let mut trainer = bowl.trainer(TrainConfig { epochs, ..scaled() }, ("sgd", plain()), constant());
        let ones = |_, first| (first..batches).map(|_| Ok::<_, Error>(1.0));
        let error = trainer.fit(&bowl, batches, ones, |_| Ok::<_, Error>(None)).unwrap_err().to_string();
        assert!(error.contains(wants), "{error}");
        let helps: &[&str] =
            if error.contains("e-") { &["bf16", "clip", "lower learning rate"] } else { &["begin with a smaller one"] };
        assert!(helps.iter().all(|what| error.contains(what)), "{error}");
    }
    // Two epochs are not enough to find the scale, but the third is.
    let bowl = Bowl { cliff: 0..13, ..Bowl::new(None) };
    let history = bowl.fit(&mut bowl.trainer(scaled(), ("sgd", plain()), constant())).unwrap();
    assert!(history.len() == 4 && history.iter().all(|r| r.loss > 0.1), "{history:?}");
}

#[test]
fn an_epoch_without_a_loss_that_is_a_number_is_an_error() {
    let bowl = Bowl::new(None);
    let mut trainer = bowl.trainer(scaled(), ("sgd", plain()), constant());
    let batch = |epoch: usize| if epoch == 1 { f64::INFINITY } else { 1.0 };
    let batches = |epoch, first| (first..BATCHES).map(move |_| Ok::<_, Error>(batch(epoch)));
    let error = trainer.fit(&bowl, BATCHES, batches, |_| Ok::<_, Error>(None)).unwrap_err();
    assert!(matches!(error, Error::NotFinite { epoch: 1, step: 6, loss: f64::INFINITY }), "{error}");
    assert!(bowl.read(&bowl.w).is_finite() && bowl.read(&bowl.mean).is_finite());
}

/// An epoch whose one loss led back has none to report: the usual one stands for it.
#[test]
fn an_epoch_that_led_back_has_the_usual_loss() {
    let bowl = Bowl::new(Some((4, f64::NAN)));
    let mut trainer = bowl.trainer(TrainConfig { guard: 1, ..config() }, ("sgd", plain()), constant());
    let history = trainer.fit(&bowl, 1, |_, _| [Ok::<_, Error>(1.0)], |_| Ok::<_, Error>(None)).unwrap().history;
    let [a, b, c] = [0, 1, 2].map(|epoch| history[epoch].loss);
    let usual = 0.95 * (0.95 * a + 0.05 * b) + 0.05 * c;
    assert!((history[3].loss - usual).abs() < 1e-9, "{history:?}");
    // Where there is none, there is no result either.
    let bowl = Bowl::new(Some((1, f64::NAN)));
    let mut trainer = bowl.trainer(TrainConfig { guard: 1, ..config() }, ("sgd", plain()), constant());
    let error = trainer.fit(&bowl, 1, |_, _| [Ok::<_, Error>(1.0)], |_| Ok::<_, Error>(None)).unwrap_err();
    assert!(matches!(error, Error::NotFinite { epoch: 0, step: 1, .. }), "{error}");
}

#[test]
fn impossible_settings_are_refused() {
    let refused = |config: TrainConfig| {
        let bowl = Bowl::new(None);
        let (sgd, constant) =
            (optim::build("sgd", json!({})).unwrap(), schedule::build("constant", json!({})).unwrap());
        let params = Params::new(&bowl.vars, |_| Some(1.0));
        Trainer::new(config, &bowl.vars, params, sgd, constant).err().map(|e| e.to_string()).unwrap_or_default()
    };
    for (config, key) in [
        (TrainConfig { clip_value: Some(0.0), ..config() }, "clip_value"),
        (TrainConfig { clip_unit: Some(-1.0), ..config() }, "clip_unit"),
        (TrainConfig { l1: Some(-1.0), ..config() }, "l1"),
        (TrainConfig { swa: Some(1.0), ..config() }, "swa"),
        (TrainConfig { swa: Some(0.5), ema: Some(0.9), ..config() }, "exclude"),
        (TrainConfig { snapshots: true, ..config() }, "folder"),
        (TrainConfig { spike: Some(3.0), ..config() }, "guard"),
        (TrainConfig { patience: Some(3), min_delta: -0.1, ..config() }, "min_delta"),
        (TrainConfig { patience: Some(3), min_delta: f64::NAN, ..config() }, "min_delta"),
        (TrainConfig { spike: Some(1.0), guard: 2, ..config() }, "spike"),
    ] {
        assert!(refused(config).contains(key), "{key}");
    }
}
