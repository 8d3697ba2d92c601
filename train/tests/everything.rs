//! All that a step can have at once, interrupted at each of them.
#![allow(clippy::unwrap_used)]

use candle_core::{DType, Device, Tensor, Var};
use candle_nn::VarMap;
use sconce_train::{BoxError, Error, Event, Flow, Params, Pieces, Progress, Scores, Task, TrainConfig, Trainer};
use sconce_train::{optim, schedule, variables};
use serde_json::json;
use std::path::Path;

const EPOCHS: usize = 6;
const BATCHES: usize = 5;
const STEPS: usize = EPOCHS * BATCHES.div_ceil(2);

/// A network of two layers whose copies in BF16 learn; the first one from the third epoch on. Everything that goes wrong is a
/// function of the position: gradients are infinite in steps 4 and 11, the loss is NaN in step 13, memory gets less in step 7.
struct Net {
    own: VarMap,
    copies: VarMap,
}

fn map(dtype: DType) -> VarMap {
    let vars = VarMap::new();
    for (name, shape) in [("body.bias", vec![4]), ("body.weight", vec![4, 3]), ("head.weight", vec![2, 4])] {
        let values: Vec<f32> = (0..shape.iter().product()).map(|i| (i as f32 * 1.7 + 1.0).sin() * 0.5).collect();
        let tensor = Tensor::from_vec(values, shape, &Device::Cpu).unwrap().to_dtype(dtype).unwrap();
        vars.data().lock().unwrap().insert(name.into(), Var::from_tensor(&tensor).unwrap());
    }
    // Statistics may well be F32 among the copies.
    let mean = Var::zeros(4, DType::F32, &Device::Cpu).unwrap();
    vars.data().lock().unwrap().insert("body.running_mean".into(), mean);
    vars
}

/// x·wᵀ in F32, with a gradient for any type: [N, in], [out, in] → [N, out].
fn linear(x: &Tensor, w: &Tensor) -> candle_core::Result<Tensor> {
    x.unsqueeze(1)?.broadcast_mul(w)?.to_dtype(DType::F32)?.sum(2)
}

impl Task for Net {
    type Batch = Tensor;

    fn loss(&self, x: &Tensor, at: Progress) -> candle_core::Result<Tensor> {
        let all = variables(&self.copies);
        let mean = &all["body.running_mean"];
        if x.dim(0)? > if at.step < 7 { 4 } else { 2 } {
            candle_core::bail!("DriverError(CUDA_ERROR_OUT_OF_MEMORY, \"out of memory\")");
        }
        let hidden = linear(&x.to_dtype(DType::BF16)?, &all["body.weight"])?;
        let hidden = hidden.broadcast_add(&all["body.bias"].to_dtype(DType::F32)?)?;
        mean.set(&((mean.as_detached_tensor() * 0.9)? + (hidden.detach().mean(0)? * 0.1)?)?)?;
        let hidden = hidden.broadcast_sub(&mean.as_detached_tensor())?.tanh()?.to_dtype(DType::BF16)?;
        let loss = linear(&hidden, &all["head.weight"])?.sub(&x.narrow(1, 0, 2)?)?.sqr()?.mean_all()?;
        match at.step {
            4 | 11 => (&loss * 3e37)? - (loss.detach() * 3e37)?,
            13 => loss * f64::NAN,
            _ => Ok(loss),
        }
    }

    fn split(&self, x: &Tensor, pieces: usize) -> candle_core::Result<Option<Pieces<Tensor>>> {
        let n = x.dim(0)?;
        let size = n.div_ceil(pieces);
        let piece =
            |start: usize| Ok((x.narrow(0, start, size.min(n - start))?, size.min(n - start) as f64 / n as f64));
        (0..n).step_by(size).map(piece).collect::<candle_core::Result<_>>().map(Some)
    }
}

impl Net {
    fn new() -> Self {
        Self { own: map(DType::F32), copies: map(DType::BF16) }
    }

    /// Trains to the end or to a step; what was measured.
    fn run(&self, folder: &Path, interrupt: Option<usize>) -> Vec<sconce_train::Measures> {
        let config = TrainConfig {
            epochs: EPOCHS,
            lr: 0.05,
            accumulate: 2,
            centralize: true,
            clip_unit: Some(0.5),
            clip_value: Some(0.2),
            clip_norm: Some(0.3),
            l1: Some(1e-3),
            loss_scale: Some(1024.0),
            ema: Some(0.8),
            guard: 2,
            save_every: 4,
            log_every: 1,
            folder: Some(folder.into()),
            fingerprint: "everything".into(),
            ..TrainConfig::default()
        };
        let params = Params::new(&self.own, |name| Some(if name.starts_with("body") { 0.3 } else { 1.0 }))
            .with_decay(|_, shape| shape.len() > 1)
            .with_start(|name| if name.starts_with("body") { 2 } else { 0 });
        let sam = optim::build("sam", json!({"of": {"name": "adamw", "weight_decay": 0.1}, "rho": 0.1})).unwrap();
        let plateau = schedule::build("plateau", json!({"gamma": 0.5, "patience": 1})).unwrap();
        let mut seen = vec![];
        let mut trainer = Trainer::new(config, &self.own, params, sam, plateau)
            .unwrap()
            .with_copies(&self.copies)
            .unwrap()
            .with_hook(|event: &Event<'_>| -> Result<Flow, BoxError> {
                let Event::Step { step, measures: Some(measures), .. } = event else { return Ok(Flow::Continue) };
                seen.push((*measures).clone());
                Ok(if Some(*step) == interrupt { Flow::Interrupt } else { Flow::Continue })
            });
        trainer.resume().unwrap();
        let batch = |epoch: usize, i: usize| {
            let values: Vec<f32> = (0..12).map(|k| ((epoch * 31 + i * 17 + k) as f32 * 0.9).sin()).collect();
            Tensor::from_vec(values, (4, 3), &Device::Cpu).map_err(Error::from)
        };
        let batches = |epoch, first| (first..BATCHES).map(move |i| batch(epoch, i));
        // Scores that get no better in the middle, so that the plateau has something to do.
        let validate = |epoch: usize| -> Result<_, Error> {
            let head = variables(&self.own)["head.weight"].sum_all()?.to_scalar::<f32>()?;
            Ok(Some(Scores::of("score", [1.0, 3.0, 2.0, 2.0, 2.5, 4.0][epoch] + f64::from(head) * 1e-3)))
        };
        assert_eq!(trainer.fit(self, BATCHES, batches, validate).unwrap().finished, interrupt.is_none());
        drop(trainer);
        seen
    }

    fn bits(&self) -> Vec<u32> {
        let all = [variables(&self.own), variables(&self.copies)];
        let read = |v: &Var| v.flatten_all().unwrap().to_dtype(DType::F32).unwrap().to_vec1::<f32>().unwrap();
        all.iter().flat_map(|vars| vars.values().flat_map(read)).map(f32::to_bits).collect()
    }
}

#[test]
fn a_run_with_everything_resumes_bit_by_bit() {
    let whole = tempfile::tempdir().unwrap();
    let net = Net::new();
    let seen = net.run(whole.path(), None);
    // All of it has happened.
    let last = seen.last().unwrap();
    assert_eq!((seen.len(), last.rollbacks, last.pieces), (STEPS, 1, 2));
    assert_eq!((last.skipped, last.loss_scale), (3, Some(128.0)));
    assert_eq!((seen[0].rates.len(), last.rates.len()), (1, 2));
    assert!((last.rates[0].1 - 0.05 * 0.5 * 0.5).abs() < 1e-12, "{:?}", last.rates);
    assert_ne!(net.bits(), Net::new().bits());
    for interrupt in 1..STEPS {
        let folder = tempfile::tempdir().unwrap();
        Net::new().run(folder.path(), Some(interrupt));
        let again = Net::new();
        assert_eq!(again.run(folder.path(), None).last(), seen.last(), "interrupted at step {interrupt}");
        for file in ["weights.safetensors", "last.safetensors", "state.json"] {
            let read = |folder: &tempfile::TempDir| std::fs::read(folder.path().join(file)).unwrap();
            assert!(read(&folder) == read(&whole), "{file} after an interrupt at step {interrupt}");
        }
        assert_eq!(again.bits(), net.bits(), "interrupted at step {interrupt}");
    }
}
