//! `pretrain`: a network that learns without labels, from two views of each picture (SimSiam, Chen & He 2021, arXiv
//! 2011.10566). Its weights are for `model.pretrained`.
//!
//! Both views go through the network as one batch; the reference passes them one after the other, each with batch statistics
//! of its own.

mod judge;

use crate::args::RunArgs;
use crate::fold::{Curves, Fold, LOADING, Training, Watch};
use crate::pipeline::{self, Session};
use crate::recipe::{Recipe, Snapshots, Spec};
use crate::usage::Usage;
use crate::{assemble, output};
use anyhow::{Context, Result, anyhow, bail};
use candle_core::{D, DType, Tensor};
use candle_nn::VarMap;
use data::rng::sub_seed;
use data::{Dataset, Loader, LoaderConfig, Subset};
use eval::Run;
use losses::{Cosine, Loss};
use models::{Pass, Siamese, init};
use serde_json::{Value, json};
use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};
use train::checkpoint::Checkpoint;
use train::{BoxError, Event, Flow, Params, Progress as At, Scores, Task, TrainConfig, Trainer};

/// What a finished run of it holds.
const TOLD: &str = "pretrain.json";

pub fn run(args: &RunArgs) -> Result<()> {
    let common = &args.recipe.common;
    let mut recipe = pipeline::recipe(&args.recipe)?;
    check(&mut recipe)?;
    let out = pipeline::folder(common, &format!("{}-pretrain", recipe.name));
    // A run begins with its recipe.
    let begun = out.join("recipe.toml").is_file();
    if begun && !args.resume {
        let message = format!(
            "'{}' holds something already; continue it with --resume, or choose another folder with --out",
            out.display()
        );
        return Err(Usage::new(message).into());
    }
    if args.max_minutes.is_some() {
        return Err(Usage::new("pretrain takes as long as train.epochs say; leave --max-minutes away").into());
    }
    if begun && out.join(TOLD).is_file() {
        output::note(&format!("'{}' is finished already", out.display()));
        show(&serde_json::from_slice(&std::fs::read(out.join(TOLD))?)?, &out, common.json);
        return Ok(());
    }
    let session = Session::new(recipe, common, || common.start())?;
    if args.dry_run {
        return session.try_out(common.json);
    }
    let told = session.aside(|training| {
        let text = training.recipe.text()?;
        if begun && std::fs::read(out.join("recipe.toml"))? != text.as_bytes() {
            return Err(Usage::new(format!("'{}' was begun with another recipe", out.display())).into());
        }
        let run = if begun { Run::open(&out)? } else { Run::create(&out)? };
        run.write("recipe.toml", text.as_bytes())?;
        learn(training, &run)
    })?;
    show(&told, &out, common.json);
    Ok(())
}

/// What came of it.
fn show(told: &Value, out: &Path, json: bool) {
    let number = |key: &str| told[key].as_f64().unwrap_or(f64::NAN);
    output::result(&match json {
        true => told.to_string(),
        false => format!(
            "linear probe: accuracy {:.4} before, {:.4} after\nnearest neighbours: {:.4} before, {:.4} after\n\
             the weights are for --set model.pretrained={}",
            number("probe_before"),
            number("probe"),
            number("neighbours_before"),
            number("neighbours"),
            out.join("weights.safetensors").display()
        ),
    });
}

/// Two views of each picture, and nothing that needs labels.
fn check(recipe: &mut Recipe) -> Result<()> {
    recipe.train.repeat = recipe.train.repeat.max(2);
    // The head is not reached.
    recipe.loss = Default::default();
    recipe.model.head = Spec::new("linear");
    recipe.augment.batch = vec![];
    let wrong = |why: &str| Err(anyhow!("{why}")).context(Usage::recipe(&recipe.name));
    match () {
        _ if recipe.train.repeat != 2 => wrong("pretrain compares two copies of each picture; set train.repeat = 2"),
        _ if recipe.augment.transforms.is_empty() => {
            wrong("pretrain learns from random changes; give it augment.transforms")
        }
        _ if recipe.train.features || recipe.train.backbone_lr == 0.0 => {
            wrong("pretrain trains the backbone; set train.features = false and train.backbone_lr above 0")
        }
        _ if !(1..=65_536).contains(&recipe.pretrain.width) || !(1..=65_536).contains(&recipe.pretrain.bottleneck) => {
            wrong("pretrain.width and pretrain.bottleneck must be in 1..=65536")
        }
        _ if recipe.train.schedule.name == "plateau" => {
            wrong("pretrain has no score that a plateau could wait for; take another train.schedule")
        }
        _ if !recipe.train.sizes.is_empty() || recipe.train.swa > 0.0 || recipe.train.snapshots != Snapshots::None => {
            wrong("pretrain has no epochs that are judged; leave train.sizes, swa and snapshots away")
        }
        _ => Ok(()),
    }
}

/// A network with its projector and predictor.
struct Pair<'a> {
    fold: &'a Fold,
    siamese: Siamese,
    /// How far the last projections are spread: 1 for directions that are as good as random, 0 where all have become one.
    spread: Mutex<Option<Tensor>>,
}

impl Task for Pair<'_> {
    /// Pictures `[2·B, C, H, W]`, the copies of each side by side, and the key of random numbers.
    type Batch = (Tensor, u64);

    fn samples(&self, (images, _): &Self::Batch) -> usize {
        images.dims()[0]
    }

    fn loss(&self, (images, key): &Self::Batch, at: At) -> candle_core::Result<Tensor> {
        let mut pass = self.fold.pass(*key, at);
        let rows = self.fold.embed(images, &mut pass)?.to_dtype(DType::F32)?;
        let (z, p) = self.siamese.forward(&rows, &pass)?;
        let (count, width) = z.dims2()?;
        let pairs = z.detach().reshape((count / 2, 2, width))?;
        let others = pairs.flip(&[1])?.reshape((count, width))?;
        let length = z.detach().sqr()?.sum_keepdim(D::Minus1)?.sqrt()?;
        let unit = z.detach().broadcast_div(&(length + 1e-12)?)?;
        let spread = (unit.var(0)?.sum_all()? * (count as f64 - 1.0))?;
        *self.spread.lock().unwrap_or_else(PoisonError::into_inner) = Some((spread / count as f64)?);
        Cosine {}.forward(&p, &others)
    }

    fn parts(&self) -> Vec<(String, f64)> {
        let spread = self.spread.lock().unwrap_or_else(PoisonError::into_inner).clone();
        let number = spread.and_then(|spread| spread.to_dtype(DType::F64).ok()?.to_scalar::<f64>().ok());
        number.map(|number| ("spread".to_string(), number)).into_iter().collect()
    }
}

/// Trains on all rows, also those of the test part: no label is read.
fn learn(training: &Training<'_>, run: &Run) -> Result<Value> {
    let training = &Training {
        interrupted: pipeline::listen()?,
        pictures: Arc::clone(&training.pictures),
        normalize: training.normalize.clone(),
        fingerprint: training.fingerprint.clone(),
        ..*training
    };
    let (recipe, prepared) = (training.recipe, training.prepared);
    if prepared.views > 1 {
        bail!("pretrain compares views of one picture, but a sample has {} pictures", prepared.views);
    }
    if let Some(start) = training.start
        && start.knows(prepared)?.is_some()
    {
        bail!(
            "model.pretrained: '{}' knows labels of these rows, which pretrain is not to read; take other weights",
            start.file()
        );
    }
    // A fold's network, as it begins, fed with all rows.
    let fold = training.fold(0)?;
    let (saved, train) = (&fold.saved, &recipe.train);
    let (network, vars) = (&fold.trained.network, &fold.trained.vars);
    let all: Vec<usize> = (0..prepared.dataset.rows().len()).collect();
    let side = recipe.preprocess.size;
    let assemble::Training { first, copies, .. } = training.parts.training.get(&side).context("no such side")?;
    let (first, copies) = (first.clone(), copies.clone());
    let config = LoaderConfig {
        batch_size: train.batch_size,
        seed: sub_seed(recipe.seed, "pretrain/pictures"),
        repeat: 2,
        drop_last: 2 * all.len() >= train.batch_size,
        prefetch: train.prefetch,
        stats: saved.stats.clone(),
        views: 1,
    };
    let rows: Arc<dyn Dataset> = Arc::new(Subset::new(training.pictures.clone(), all));
    let loader = Loader::new(rows, data::Shuffled, config)
        .with_normalize(saved.normalize.clone())
        .with_transform(move |image, rng| first(image, rng))
        .with_copies(move |image, rng| copies(image, rng))
        .on(training.device, DType::F32);
    let features = {
        let one = loader.epoch(0).next().context("there are no pictures")??.images.narrow(0, 0, 1)?;
        network.embed(&network.features(&one, &mut Pass::eval())?, &mut Pass::eval())?.dim(1)?
    };
    let before = judge::judge(training, saved, network)?;
    let mut params = fold.params(recipe);
    params.0.retain(|param| is_kept(&param.name));
    let vb = init::seeded(vars, sub_seed(recipe.seed, "pretrain"), DType::F32, training.device);
    let siamese = Siamese::new(features, recipe.pretrain.width, recipe.pretrain.bottleneck, &vb)?;
    let own = |name: &str| {
        let new = name.starts_with("projector.") || name.starts_with("predictor.");
        (new && Siamese::learns(name)).then_some(1.0)
    };
    params.0.extend(Params::new(vars, own).with_decay(|_, shape| train.decay_norms || shape.len() > 1).0);
    let pair = Pair { fold: &fold, siamese, spread: Mutex::default() };

    let config = TrainConfig {
        // Its weights are another file than those that are kept in the end.
        folder: Some(run.path("training")),
        fingerprint: training.fingerprint.clone(),
        patience: None,
        ..assemble::train_config(recipe)
    };
    let mut trainer = Trainer::new(config, vars, params, assemble::optimizer(recipe)?, assemble::schedule(recipe)?)?;
    trainer.resume()?;
    let (done, epochs) = (trainer.state().step, trainer.state().epoch);
    let mut curves = Curves::resume(run, 0, (done, epochs))?;
    let batches = match train.steps_per_epoch {
        0 => loader.batches(),
        most => loader.batches().min(most * train.accumulate),
    };
    let mut watch = Watch::new(training, "pretraining", batches, done);
    let mut trainer =
        trainer.with_hook(|event: &Event<'_>| -> Result<Flow, BoxError> { watch.see(event, &mut curves) });
    let steps = |epoch: usize, first: usize| {
        let seed = sub_seed(recipe.seed, "pretrain/steps");
        let mut steps = loader.epoch_from(epoch, first).take(batches - first).enumerate().map(move |(i, batch)| {
            let key = sub_seed(seed, &format!("{epoch}/{}", first + i));
            Ok::<_, BoxError>((batch?.images, key))
        });
        std::iter::from_fn(move || training.times.of(LOADING, || steps.next()))
    };
    let outcome = trainer.fit(&pair, batches, steps, |_| Ok::<_, BoxError>(None::<Scores>))?;
    drop(trainer);
    curves.flush()?;
    if !outcome.finished {
        bail!(
            "interrupted; the same command with --resume goes on from the checkpoint in '{}'",
            run.folder().display()
        );
    }
    let after = judge::judge(training, saved, network)?;
    let told = json!({
        "run": run.folder(), "weights": run.path("weights.safetensors"), "loss": outcome.history.last().map(|last| last.loss),
        "probe_before": before.probe, "probe": after.probe,
        "neighbours_before": before.neighbours, "neighbours": after.neighbours,
    });
    write(vars, &run.path("weights.safetensors"))?;
    run.write(TOLD, &serde_json::to_vec_pretty(&told)?)?;
    // The checkpoint is of no use any more.
    std::fs::remove_dir_all(run.path("training")).ok();
    Ok(told)
}

/// Whether a variable is of the backbone or the pool: what stands behind them is not reached.
fn is_kept(variable: &str) -> bool {
    variable.starts_with("backbone.") || variable.starts_with("pool.")
}

/// The backbone and the pool alone.
fn write(vars: &VarMap, path: &Path) -> Result<()> {
    let kept = train::variables(vars).into_iter().filter(|(name, _)| is_kept(name));
    let tensors = kept.map(|(name, var)| (name, var.as_detached_tensor())).collect();
    Ok(Checkpoint { tensors, state: None }.write(path)?)
}
