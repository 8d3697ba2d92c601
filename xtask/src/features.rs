//! Features of a backbone that is not trained: computed once for every picture, kept in the user's cache, and read in place
//! of pictures from then on.
//!
//! A file of the cache is named after a digest of all that decides what it holds: the pictures and how they are prepared, the
//! network with its weights up to the pool, and the arithmetic of the machine. It is checked when it is read, so a broken
//! one only costs time.

use crate::fold::Training;
use crate::machine;
use crate::predict;
use crate::recipe::{Recipe, Snapshots};
use crate::saved::{Saved, Trained};
use anyhow::{Context, Result, bail};
use candle_core::{DType, Device, Tensor};
use candle_nn::VarMap;
use models::Pass;
use serde_json::json;
use std::collections::BTreeMap;
use std::path::Path;
use std::sync::PoisonError;
use std::sync::atomic::Ordering;
use train::checkpoint::Checkpoint;

/// Pictures in one pass; part of what decides the last digit of a feature.
const BATCH: usize = 32;

/// Refuses what cannot be together with `train.features` and `train.bags`; `frozen` says that the backbone never learns.
pub fn check(recipe: &Recipe, frozen: bool) -> Result<()> {
    let Recipe { augment, model, train, eval, .. } = recipe;
    match () {
        _ if !(1..=1000).contains(&train.bags) => bail!("train.bags must be in 1..=1000"),
        _ if train.bags > 1 && !train.features => bail!("train.bags are heads on features; set train.features = true"),
        _ if train.bags > 1 && model.head.name == "bag" => {
            bail!("train.bags makes a bag of model.head, which is one already; take another head, or train.bags = 1")
        }
        _ if !train.features => Ok(()),
        _ if train.backbone_lr != 0.0 && !frozen => {
            bail!("train.features are those of a backbone that is not trained; set train.backbone_lr = 0")
        }
        _ if !augment.transforms.is_empty() || !augment.batch.is_empty() => bail!(
            "train.features are computed once, of pictures as they are; set augment.transforms = [] and augment.batch = []"
        ),
        _ if train.swa > 0.0 || train.snapshots != Snapshots::None => {
            bail!("train.features leave one layer to train; set train.swa = 0 and train.snapshots = \"none\"")
        }
        _ if recipe.pseudo.is_some() => {
            bail!("train.features are of rows with labels of their own; leave [pseudo] away")
        }
        _ if train.repeat > 1 || !train.sizes.is_empty() => {
            bail!("train.features are of one picture of one size; set train.repeat = 1 and train.sizes = []")
        }
        _ if eval.views != augment::Views::None => {
            bail!("train.features are those of one view of each picture; set eval.views = \"none\"")
        }
        _ => Ok(()),
    }
}

/// What stands behind the pool for every row of the data set, `[N, E]` on the CPU (`[N, V, E]` where a sample has several
/// pictures): from the cache, or computed and kept there.
pub fn rows(training: &Training<'_>, saved: &Saved, trained: &Trained) -> Result<Tensor> {
    let caches = machine::caches().context("there is no folder for the cache of features; set XDG_CACHE_HOME")?;
    let key = key(training, saved, &trained.vars)?;
    let path = caches.join(format!("sconce/features/{key}.safetensors"));
    let count = training.prepared.dataset.rows().len();
    if path.is_file() {
        match read(&path, &key, count) {
            Some(rows) => return Ok(rows),
            None => {
                training.progress.warning(&format!("'{}' is broken; its features are computed anew", path.display()))
            }
        }
    }
    let rows = training.times.of("computing features", || compute(training, saved, trained))?;
    let kept = Checkpoint {
        tensors: BTreeMap::from([(NAME.to_string(), rows.clone())]),
        state: Some(format!("{key} {}", digest(&rows)?)),
    };
    if let Err(error) = kept.write(&path) {
        training.progress.warning(&format!("the features are not kept: {error}"));
    }
    Ok(rows)
}

/// The one tensor of a file.
const NAME: &str = "features";

/// The rows of a file, if it is whole and the one that was meant.
fn read(path: &Path, key: &str, count: usize) -> Option<Tensor> {
    let mut kept = Checkpoint::read(path).ok()?;
    let rows = kept.tensors.remove(NAME).filter(|rows| rows.rank() >= 2 && rows.dtype() == DType::F32)?;
    let whole = rows.dim(0).ok()? == count && kept.state? == format!("{key} {}", digest(&rows).ok()?);
    whole.then_some(rows)
}

fn compute(training: &Training<'_>, saved: &Saved, trained: &Trained) -> Result<Tensor> {
    let loader = predict::prepared(saved, training.pictures.clone(), BATCH, training.device)?;
    let stretch = training.progress.stretch("features", loader.rows().len() as u64, "pictures");
    let (mut rows, mut done) = (vec![], 0);
    for batch in loader.epoch(0) {
        if training.interrupted.load(Ordering::Relaxed) {
            bail!(
                "interrupted before all features were computed; the same command with --resume begins with them again"
            );
        }
        let (batch, mut eval) = (batch?, Pass::eval());
        let row = trained.network.embed(&trained.network.features(&batch.images, &mut eval)?, &mut eval)?;
        let row = if saved.network.views > 1 { row.reshape((batch.ids.len(), saved.network.views, ()))? } else { row };
        rows.push(row.to_dtype(DType::F32)?.to_device(&Device::Cpu)?);
        done += batch.ids.len();
        stretch.at(done as u64);
    }
    Ok(Tensor::cat(&rows, 0)?)
}

/// Digest of everything that decides what the features are.
fn key(training: &Training<'_>, saved: &Saved, vars: &VarMap) -> Result<String> {
    let network = &saved.network;
    let told = json!({
        "version": env!("CARGO_PKG_VERSION"),
        "data": training.prepared.fingerprint,
        "color": saved.color,
        "steps": saved.steps,
        "stats": saved.stats,
        "normalize": saved.normalize,
        "model": network.model,
        "params": network.params,
        "channels": network.channels,
        "pool": network.pool,
        "views": network.views,
        "winograd": training.recipe.train.winograd,
        "device": format!("{:?}", training.device.location()),
        "simd": machine::simd(),
    });
    let mut hash = blake3::Hasher::new();
    hash.update(told.to_string().as_bytes());
    let vars = vars.data().lock().unwrap_or_else(PoisonError::into_inner);
    let seeing: BTreeMap<_, _> = vars.iter().filter(|(name, _)| is_seeing(name)).collect();
    for (name, var) in seeing {
        hash.update(name.as_bytes());
        hash.update(digest(var)?.as_bytes());
    }
    Ok(hash.finalize().to_hex()[..32].to_string())
}

/// Digest of a tensor's values.
fn digest(tensor: &Tensor) -> Result<String> {
    let values = tensor.to_dtype(DType::F32)?.flatten_all()?.to_vec1::<f32>()?;
    let mut hash = blake3::Hasher::new();
    // In pieces, so that large tensors are not held a third time.
    for piece in values.chunks(1 << 16) {
        hash.update(&piece.iter().flat_map(|v| v.to_le_bytes()).collect::<Vec<u8>>());
    }
    Ok(hash.finalize().to_hex().to_string())
}

/// Whether a variable decides on features: all but what stands behind the pool.
fn is_seeing(variable: &str) -> bool {
    variable.starts_with("backbone.") || variable.starts_with("pool.")
}

/// The variables behind the backbone: all that learns where it does not.
pub fn behind(vars: &VarMap) -> VarMap {
    let behind = VarMap::new();
    let all = vars.data().lock().unwrap_or_else(PoisonError::into_inner);
    let some =
        all.iter().filter(|(name, _)| !name.starts_with("backbone.")).map(|(name, var)| (name.clone(), var.clone()));
    behind.data().lock().unwrap_or_else(PoisonError::into_inner).extend(some);
    behind
}

/// Writes all variables as a file of weights, those that did not learn included.
pub fn write_whole(vars: &VarMap, path: &Path) -> Result<()> {
    let all = vars.data().lock().unwrap_or_else(PoisonError::into_inner);
    let tensors = all.iter().map(|(name, var)| (name.clone(), var.as_detached_tensor())).collect();
    Ok(Checkpoint { tensors, state: None }.write(path)?)
}
