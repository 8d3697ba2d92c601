//! From a network and rows to predictions.

use crate::saved::{Saved, Trained};
use anyhow::Result;
use augment::predict_views;
use candle_core::{DType, Device, Tensor};
use data::{Batch, Dataset, Loader, LoaderConfig, Sequential};
use eval::Predictions;
use models::Pass;
use std::sync::Arc;

/// A loader of `dataset` in its own order, as the network wants its pictures.
pub fn loader(saved: &Saved, dataset: Arc<dyn Dataset>, batch_size: usize, device: &Device) -> Result<Loader> {
    let transform = saved.transform()?;
    let views = saved.network.views;
    let config = LoaderConfig { batch_size, stats: saved.stats.clone(), views, ..LoaderConfig::default() };
    let loader = Loader::new(dataset, Sequential, config).with_transform(move |image, rng| transform(image, rng));
    Ok(loader.with_meta(saved.encoder.clone()).on(device, DType::F32))
}

/// Probabilities of one batch.
pub fn batch(network: &Trained, batch: &Batch, views: augment::Views) -> candle_core::Result<Tensor> {
    let (network, meta) = (&network.network, batch.meta.as_ref());
    let forward = |x: &Tensor| match features(x)? {
        Some(rows) => network.classify(&rows, meta, &mut Pass::eval()),
        None => network.forward(x, meta, &mut Pass::eval()),
    };
    predict_views(&batch.images, views, forward)
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
