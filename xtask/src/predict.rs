//! From a network and rows to predictions.

use crate::assemble::Shared;
use crate::saved::{Saved, Trained};
use anyhow::Result;
use augment::predict_views;
use candle_core::{DType, Device, Tensor};
use data::{Batch, Dataset, Loader, LoaderConfig, Sequential};
use eval::{Predictions, ensemble};
use models::Pass;
use std::path::PathBuf;
use std::sync::Arc;

/// A loader of `dataset` in its own order, as the network wants its pictures.
pub fn loader(saved: &Saved, dataset: Arc<dyn Dataset>, batch_size: usize, device: &Device) -> Result<Loader> {
    Ok(in_order(saved, dataset, batch_size, saved.transform()?, device))
}

/// The same for pictures that went through the deterministic steps ([`crate::assemble::prepared`]).
pub fn prepared(saved: &Saved, dataset: Arc<dyn Dataset>, batch_size: usize, device: &Device) -> Result<Loader> {
    Ok(in_order(saved, dataset, batch_size, saved.fit()?, device))
}

fn in_order(saved: &Saved, dataset: Arc<dyn Dataset>, batch_size: usize, transform: Shared, device: &Device) -> Loader {
    let views = saved.network.views;
    let config = LoaderConfig { batch_size, stats: saved.stats.clone(), views, ..LoaderConfig::default() };
    let loader = Loader::new(dataset, Sequential, config).with_transform(move |image, rng| transform(image, rng));
    loader.with_normalize(saved.normalize.clone()).with_meta(saved.encoder.clone()).on(device, DType::F32)
}

/// Probabilities of one batch.
pub fn batch(trained: &Trained, batch: &Batch, views: augment::Views) -> candle_core::Result<Tensor> {
    predict_views(&batch.images, views, |x| trained.probabilities(&logits(trained, x, batch.meta.as_ref())?))
}

/// What the network says of pictures, or of features in their place.
pub fn logits(trained: &Trained, x: &Tensor, meta: Option<&Tensor>) -> candle_core::Result<Tensor> {
    match features(x)? {
        Some(rows) => trained.network.classify(&rows, meta, &mut Pass::eval()),
        None => trained.network.forward(x, meta, &mut Pass::eval()),
    }
}

/// What a loader gives in the place of pictures, `[B, E]`, or `[B·V, E]` of several pictures of a sample; `None` for pictures.
pub fn features(x: &Tensor) -> candle_core::Result<Option<Tensor>> {
    Ok(match x.rank() {
        2 => Some(x.clone()),
        3 => Some(x.flatten(0, 1)?),
        _ => None,
    })
}

/// Predictions of everything that `loader` gives; `done(pictures)` is called after each batch.
pub fn all(
    network: &Trained,
    loader: &Loader,
    classes: &[String],
    views: augment::Views,
    mut done: impl FnMut(usize),
) -> Result<Predictions> {
    let mut said = Predictions::new(classes);
    // A test part may be labelled in parts.
    let labelled = loader.rows().iter().all(|row| row.target.is_some());
    for next in loader.epoch(0) {
        let next = next?;
        let truth = next.targets.as_ref().filter(|_| labelled);
        said.push(&next.ids, &batch(network, &next, views)?, truth)?;
        done(said.len());
    }
    Ok(said)
}

/// Predictions of a fold, the mean over the weights in `members`, of which the last ones stay in `trained`; `done(pictures)`
/// counts all of them.
pub fn members(
    trained: &Trained,
    saved: &Saved,
    members: &[PathBuf],
    loader: &Loader,
    mut done: impl FnMut(usize),
) -> Result<Predictions> {
    let mut said = vec![];
    for (i, weights) in members.iter().enumerate() {
        train::checkpoint::load_weights(weights, &trained.vars)?;
        let before = i * loader.rows().len();
        said.push(all(trained, loader, &saved.classes, saved.views, |pictures| {
            done((before + pictures) / members.len());
        })?);
    }
    Ok(ensemble::mean(&said)?)
}
