//! `bench loss`: value and gradient of one loss on one fixed batch.

use crate::args::LossArgs;
use crate::assemble::loss::{Reads, count_in, reads};
use crate::usage::Usage;
use crate::{machine, output};
use anyhow::{Context, Result};
use candle_core::{Device, Tensor, Var};
use data::rng::stream;
use rand::Rng;
use serde_json::{Value, json};
use std::time::Instant;

/// Passes before the clock runs.
const WARM: u16 = 2;
/// Losses that compare all pairs of classes, as many numbers as there are.
const PAIRS: &[&str] = &["ranking"];
/// Most numbers of a batch.
const MOST: usize = 1 << 26;
/// Samples of each class, for losses that ask.
const COUNT: usize = 100;

/// Times the passes and prints their speed.
pub fn run(args: &LossArgs) -> Result<()> {
    machine::start("cpu", args.threads)?;
    let (batch, classes) = (usize::from(args.batch), usize::from(args.classes));
    let numbers = if PAIRS.contains(&args.loss.as_str()) { batch * classes * classes } else { batch * classes };
    if numbers > MOST {
        let message = format!("{numbers} numbers are too many for a bench; take a smaller --batch or fewer --classes");
        return Err(Usage::new(message).into());
    }
    let mut params = losses::resolve(&args.loss, json!({})).context(Usage::command_line())?;
    count_in(&mut params, &vec![COUNT; classes]);
    let loss = losses::build(&args.loss, params.clone())?;
    let (said, target) = inputs(&args.loss, &params, batch, classes)?;
    let said = Var::from_tensor(&said)?;

    let (mut times, mut value) = (vec![], 0.0);
    for number in 0..WARM + args.steps {
        let start = Instant::now();
        let mean = loss.forward(said.as_tensor(), &target)?;
        mean.backward()?;
        value = mean.to_scalar::<f32>()?;
        if number >= WARM {
            times.push(start.elapsed().as_secs_f64());
        }
    }
    times.sort_by(f64::total_cmp);
    output::result(
        &json!({
            "loss": args.loss,
            "batch": batch,
            "classes": classes,
            "threads": rayon::current_num_threads(),
            "samples_per_s": batch as f64 / times[times.len() / 2],
            "best_samples_per_s": batch as f64 / times[0],
            "value": value,
        })
        .to_string(),
    );
    Ok(())
}

/// Random numbers of the shapes that a loss reads: what a network says, and what is true.
fn inputs(name: &str, params: &Value, batch: usize, classes: usize) -> Result<(Tensor, Tensor)> {
    let mut rng = stream(0, 0, 0);
    let of = |key: &str| params.get(key).and_then(Value::as_f64);
    // Losses with a scale read cosines times it.
    let size = of("scale").unwrap_or(3.0) as f32;
    let mut numbers = |rows: usize, columns: usize| {
        let numbers: Vec<f32> = (0..rows * columns).map(|_| size * rng.random_range(-1.0..1.0f32)).collect();
        Tensor::from_vec(numbers, (rows, columns), &Device::Cpu)
    };
    let ids: Vec<u32> = (0..batch).map(|i| (i % classes) as u32).collect();
    let ids = Tensor::from_vec(ids, batch, &Device::Cpu)?;
    Ok(match reads(name) {
        Reads::Logits | Reads::Embeddings => (numbers(batch, classes)?, ids),
        Reads::Number => (numbers(batch, 1)?, ids),
        Reads::Thresholds => (numbers(batch, classes - 1)?, ids),
        Reads::Copies => (numbers(of("views").unwrap_or(1.0) as usize * batch, classes)?, ids),
        Reads::Hints => (numbers(batch, classes)?, numbers(batch, classes)?),
        Reads::Teacher => {
            let rows = losses::rows(&ids, classes, candle_core::DType::F32)?;
            (numbers(batch, classes)?, Tensor::cat(&[&rows, &numbers(batch, classes)?], 1)?)
        }
        Reads::Positions => {
            let modes = of("modes").unwrap_or(1.0) as usize;
            let confidences = if modes > 1 { modes } else { 0 };
            (numbers(batch, modes * 2 * classes + confidences)?, numbers(batch, 2 * classes)?)
        }
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_loss_can_be_timed() {
        for entry in losses::LOSSES.iter().filter(|entry| entry.name != "sum") {
            let mut params = losses::resolve(entry.name, json!({})).unwrap();
            count_in(&mut params, &[COUNT; 5]);
            let (output, target) = inputs(entry.name, &params, 10, 5).unwrap();
            let loss = losses::build(entry.name, params).unwrap();
            let value = loss.forward(&output, &target).unwrap_or_else(|e| panic!("{}: {e}", entry.name));
            assert!(value.to_scalar::<f32>().unwrap().is_finite(), "{}", entry.name);
        }
    }
}
