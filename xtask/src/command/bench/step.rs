//! `bench step`: forward, backward and SGD update on one fixed batch.

use crate::args::StepArgs;
use crate::usage::Usage;
use crate::{machine, output};
use anyhow::{Context, Result};
use candle_core::{DType, Tensor};
use candle_nn::VarMap;
use data::rng::stream;
use losses::{CrossEntropy, Loss};
use models::ops::{Tile, Vectors, limit_vectors, set_winograd};
use models::{Network, NetworkConfig, Pass, init};
use rand::Rng;
use serde_json::json;
use std::time::Instant;
use train::optim::Pace;
use train::{Gradients, Params};

/// Classes of the bench's network, as the peer's.
const CLASSES: usize = 10;
/// Steps before the clock runs.
const WARM: u16 = 2;

/// Times the steps and prints their speed.
pub fn run(args: &StepArgs) -> Result<()> {
    let device = machine::start(&args.device, args.threads)?;
    let dtype = match args.dtype.as_str() {
        "f32" => DType::F32,
        "bf16" => DType::BF16,
        other => return Err(Usage::new(format!("unknown dtype '{other}', expected one of f32, bf16")).into()),
    };
    let tile = match args.winograd.as_str() {
        "none" => Tile::None,
        "two" => Tile::Two,
        "four" => Tile::Four,
        other => {
            return Err(Usage::new(format!("unknown winograd '{other}', expected one of none, two, four")).into());
        }
    };
    let vectors = match args.vectors.as_str() {
        "portable" => Vectors::Portable,
        "avx2" => Vectors::Avx2,
        "avx512" => Vectors::Avx512,
        other => {
            return Err(Usage::new(format!("unknown vectors '{other}', expected one of portable, avx2, avx512")).into());
        }
    };
    set_winograd(tile);
    let vectors = limit_vectors(vectors);
    let vars = VarMap::new();
    let config = NetworkConfig { model: args.model.clone(), classes: CLASSES, ..NetworkConfig::default() };
    let network = Network::new(&config, init::seeded(&vars, 0, DType::F32, &device)).context(Usage::command_line())?;
    // A backbone that never learns has no step.
    let params = Params::new(&vars, |name| (!network.frozen() || name.starts_with("head.")).then_some(1.0));
    let mut sgd = train::optim::build("sgd", json!({"momentum": 0.9, "nesterov": false, "weight_decay": 5e-4}))?;

    let mut rng = stream(0, 0, 0);
    let (batch, size) = (usize::from(args.batch), usize::from(args.size));
    let pixels: Vec<f32> = (0..batch * 3 * size * size).map(|_| rng.random_range(-1.7..1.7)).collect();
    let images = Tensor::from_vec(pixels, (batch, 3, size, size), &device)?.to_dtype(dtype)?;
    let labels: Vec<u32> = (0..batch).map(|_| rng.random_range(0..CLASSES as u32)).collect();
    let labels = Tensor::from_vec(labels, batch, &device)?;

    let (mut times, mut losses) = (vec![], vec![]);
    for number in 0..WARM + args.steps {
        let start = Instant::now();
        let logits = network.forward(&images, None, &mut Pass::train(u64::from(number)))?;
        let loss = CrossEntropy::default().forward(&logits, &labels)?;
        let gradients = Gradients::take(&loss.backward()?, &params)?;
        sgd.step(&params, &gradients, Pace::new(0.01))?;
        losses.push(loss.to_scalar::<f32>()?);
        device.synchronize()?;
        if number >= WARM {
            times.push(start.elapsed().as_secs_f64());
        }
    }
    times.sort_by(f64::total_cmp);
    let speed = |seconds: f64| batch as f64 / seconds;
    let conv = match tile {
        Tile::None => "direct",
        Tile::Two => "direct, winograd 2x2",
        Tile::Four => "direct, winograd 4x4",
    };
    output::result(
        &json!({
            "model": args.model,
            "batch": batch,
            "size": size,
            "threads": rayon::current_num_threads(),
            "images_per_s": speed(times[times.len() / 2]),
            "best_images_per_s": speed(times[0]),
            "peak_mib": machine::peak_mib(),
            "conv": conv,
            "vectors": format!("{vectors:?}").to_lowercase(),
            "first_loss": losses.first(),
            "last_loss": losses.last(),
        })
        .to_string(),
    );
    Ok(())
}
