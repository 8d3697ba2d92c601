//! Batches that are too large for memory pass in pieces.
#![allow(clippy::unwrap_used)]

use candle_core::{DType, Device, Tensor, Var};
use candle_nn::VarMap;
use sconce_train::{
    BoxError, Error, Event, Flow, Measures, Params, Pieces, Progress, Scores, Task, TrainConfig, Trainer,
};
use sconce_train::{optim, schedule, variables};
use serde_json::json;
use std::cell::{Cell, RefCell};
use std::path::Path;

const BATCHES: usize = 4;

/// Fits a matrix to samples [N, 3]; more than `room` of them do not fit, and neither do more than `room_later` from a step on.
struct Narrow {
    vars: VarMap,
    room: usize,
    later: (usize, usize),
    splits: bool,
    /// Sizes of all passes that were tried.
    sizes: RefCell<Vec<usize>>,
    moved: Cell<usize>,
    /// The last loss.
    last: Cell<f64>,
}

impl Narrow {
    fn new(room: usize) -> Self {
        let vars = VarMap::new();
        let start: Vec<f64> = (0..6).map(|i| (f64::from(i) * 0.7).sin()).collect();
        let w = Tensor::from_vec(start, (3, 2), &Device::Cpu).unwrap().to_dtype(DType::F32).unwrap();
        vars.data().lock().unwrap().insert("w".into(), Var::from_tensor(&w).unwrap());
        let mean = Var::zeros(3, DType::F32, &Device::Cpu).unwrap();
        vars.data().lock().unwrap().insert("bn.running_mean".into(), mean);
        let later = (usize::MAX, room);
        Self { vars, room, later, splits: true, sizes: RefCell::default(), moved: Cell::new(0), last: Cell::new(0.0) }
    }

    fn w(&self) -> Vec<f32> {
        variables(&self.vars)["w"].flatten_all().unwrap().to_vec1().unwrap()
    }
}

impl Task for Narrow {
    type Batch = Tensor;

    fn loss(&self, x: &Tensor, at: Progress) -> candle_core::Result<Tensor> {
        let n = x.dim(0)?;
        self.sizes.borrow_mut().push(n);
        // The statistic moves before memory is out.
        let all = variables(&self.vars);
        let mean = &all["bn.running_mean"];
        mean.set(&((mean.as_detached_tensor() * 0.9)? + (x.mean(0)? * 0.1)?)?)?;
        self.moved.set(self.moved.get() + 1);
        if n > if at.step < self.later.0 { self.room } else { self.later.1 } {
            candle_core::bail!("DriverError(CUDA_ERROR_OUT_OF_MEMORY, \"out of memory\")");
        }
        let loss = x.matmul(all["w"].as_tensor())?.tanh()?.sub(&x.narrow(1, 0, 2)?)?.sqr()?.mean_all()?;
        self.last.set(loss.to_scalar::<f32>()?.into());
        Ok(loss)
    }

    fn samples(&self, x: &Tensor) -> usize {
        x.dims()[0]
    }

    fn parts(&self) -> Vec<(String, f64)> {
        vec![("half".into(), self.last.get() / 2.0)]
    }

    fn split(&self, x: &Tensor, pieces: usize) -> candle_core::Result<Option<Pieces<Tensor>>> {
        if !self.splits {
            return Ok(None);
        }
        let n = x.dim(0)?;
        let size = n.div_ceil(pieces);
        let piece = |start| {
            let size = size.min(n - start);
            Ok((x.narrow(0, start, size)?, size as f64 / n as f64))
        };
        (0..n).step_by(size).map(piece).collect::<candle_core::Result<_>>().map(Some)
    }
}

/// Batches of 10, the last of an epoch 7.
fn batch(epoch: usize, i: usize) -> Tensor {
    let n = if i + 1 == BATCHES { 7 } else { 10 };
    let values: Vec<f32> = (0..n * 3).map(|k| ((epoch * 31 + i * 17 + k) as f32 * 0.9).sin()).collect();
    Tensor::from_vec(values, (n, 3), &Device::Cpu).unwrap()
}

fn config() -> TrainConfig {
    TrainConfig { epochs: 3, lr: 0.05, accumulate: 2, log_every: 1, ema: Some(0.9), ..TrainConfig::default() }
}

/// What was measured; interrupted after so many steps.
fn run(task: &Narrow, config: TrainConfig, optimizer: &str, interrupt: Option<usize>) -> Result<Vec<Measures>, Error> {
    let params = Params::new(&task.vars, |_| Some(1.0));
    let optimizer = optim::build(optimizer, json!({})).unwrap();
    let constant = schedule::build("constant", json!({})).unwrap();
    let seen = RefCell::new(vec![]);
    let mut trainer = Trainer::new(config, &task.vars, params, optimizer, constant).unwrap().with_hook(
        |event: &Event<'_>| -> Result<Flow, BoxError> {
            let Event::Step { step, loss: Some(loss), measures: Some(measures), .. } = event else {
                return Ok(Flow::Continue);
            };
            // What is logged of a step is of all its pieces and micro-batches.
            let [(name, half)] = &measures.parts[..] else { panic!("{measures:?}") };
            assert!(name == "half" && (half - loss / 2.0).abs() < 1e-6, "{half} {loss}");
            seen.borrow_mut().push((*measures).clone());
            Ok(if Some(*step) == interrupt { Flow::Interrupt } else { Flow::Continue })
        },
    );
    trainer.resume()?;
    let batches = |epoch, first| (first..BATCHES).map(move |i| Ok::<_, Error>(batch(epoch, i)));
    let validate = |epoch: usize| Ok::<_, Error>(Some(Scores::of("epoch", epoch as f64)));
    trainer.fit(task, BATCHES, batches, validate)?;
    drop(trainer);
    Ok(seen.into_inner())
}

#[test]
fn pieces_give_the_numbers_of_whole_batches() {
    for optimizer in ["sgd", "sam"] {
        let whole = Narrow::new(10);
        let alone = run(&whole, config(), optimizer, None).unwrap();
        for (room, pieces) in [(5, 2), (3, 4), (1, 16)] {
            let task = Narrow::new(room);
            let seen = run(&task, config(), optimizer, None).unwrap();
            assert!(seen.iter().all(|m| m.pieces == pieces), "{optimizer} {room}: {:?}", seen[0]);
            for (ours, wants) in seen.iter().zip(&alone) {
                assert!((ours.gradient_norm - wants.gradient_norm).abs() < 1e-6);
            }
            for (ours, want) in task.w().iter().zip(whole.w()) {
                assert!((ours - want).abs() < 1e-6, "{optimizer} {room}: {ours} {want}");
            }
            // Only the first batch was tried in larger pieces.
            let too_large = task.sizes.borrow().iter().filter(|n| **n > room).count();
            assert_eq!(too_large, pieces.ilog2() as usize, "{optimizer} {room}");
        }
        let task = Narrow::new(5);
        run(&task, TrainConfig { pieces: 2, ..config() }, optimizer, None).unwrap();
        assert!(task.sizes.borrow().iter().all(|n| *n <= 5));
    }
}

/// Attempts that fail leave no trace in running statistics.
#[test]
fn statistics_move_once_for_each_piece() {
    let (tried, known) = (Narrow::new(5), Narrow::new(5));
    run(&tried, config(), "sgd", None).unwrap();
    run(&known, TrainConfig { pieces: 2, ..config() }, "sgd", None).unwrap();
    assert_eq!(tried.moved.get(), known.moved.get() + 1);
    let mean = |task: &Narrow| variables(&task.vars)["bn.running_mean"].to_vec1::<f32>().unwrap();
    assert_eq!(mean(&tried), mean(&known));
}

#[test]
fn pieces_resume_bit_by_bit() {
    let task = || Narrow { later: (3, 2), ..Narrow::new(5) };
    let with = |folder: &Path| TrainConfig { folder: Some(folder.into()), ..config() };
    let whole = tempfile::tempdir().unwrap();
    let seen = run(&task(), with(whole.path()), "adamw", None).unwrap();
    assert_eq!(seen.iter().map(|m| m.pieces).collect::<Vec<_>>(), [2, 2, 2, 8, 8, 8]);
    for interrupt in 1..6 {
        let folder = tempfile::tempdir().unwrap();
        run(&task(), with(folder.path()), "adamw", Some(interrupt)).unwrap();
        let again = task();
        run(&again, with(folder.path()), "adamw", None).unwrap();
        let read = |folder: &tempfile::TempDir| std::fs::read(folder.path().join("last.safetensors")).unwrap();
        assert!(read(&folder) == read(&whole), "interrupted at step {interrupt}");
    }
}

#[test]
fn what_fits_in_no_way_is_an_error_with_advice() {
    let none = Narrow::new(0);
    let message = run(&none, config(), "sgd", None).unwrap_err().to_string();
    assert!(message.contains("in 10 pieces, which are as small as they get; try smaller batches"), "{message}");
    assert_eq!(*none.sizes.borrow(), [10, 5, 3, 2, 1]);
    let whole = Narrow { splits: false, ..Narrow::new(5) };
    let message = run(&whole, config(), "sgd", None).unwrap_err().to_string();
    assert!(message.contains("for a batch that cannot be split; try smaller batches"), "{message}");
    assert_eq!(whole.sizes.borrow().len(), 1);
}
