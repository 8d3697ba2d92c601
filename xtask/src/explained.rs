//! One picture as a network sees it: what it says, and where it looked.

use crate::predict;
use crate::report::thumbnail::{encode, visible};
use crate::saved::{Saved, Trained};
use anyhow::{Context, Result};
use candle_core::{Device, Tensor};
use data::{Dataset, Subset};
use eval::Run;
use eval::explain::{grad_cam, overlay};
use eval::report::page::Encoded;
use models::Pass;
use serde_json::json;
use std::sync::Arc;

/// Side of a picture that a person sees well, pixels; three of them stand beside one another on a phone, hardly smaller.
const READABLE: u64 = 112;

/// A network and how it is fed.
pub struct Eye<'a> {
    pub saved: Saved,
    pub trained: Trained,
    pub device: &'a Device,
}

/// What it saw of a picture.
pub struct Seen {
    /// The picture inside of the frame that the network sees, large enough for a person.
    pub picture: Encoded,
    /// A heat map over the picture for each class that was asked for.
    pub heat: Vec<Encoded>,
}

impl<'a> Eye<'a> {
    /// The network of a trained fold.
    pub fn open(run: &Run, fold: usize, device: &'a Device) -> Result<Self> {
        let saved = Saved::read(run, fold)?;
        let trained = saved.load(run, fold, device)?;
        Ok(Self { saved, trained, device })
    }

    /// Picture `row`, and where each of `classes` was seen in it.
    pub fn look(&self, dataset: &Arc<dyn Dataset>, row: usize, classes: &[usize]) -> Result<Seen> {
        let one: Arc<dyn Dataset> = Arc::new(Subset::new(dataset.clone(), vec![row]));
        let loader = predict::loader(&self.saved, one.clone(), 1, self.device)?;
        let batch = loader.epoch(0).next().context("a loader of one row gives one batch")??;
        let network = &self.trained.network;
        let features = network.features(&batch.images, &mut Pass::eval())?;
        let classify = |x: &Tensor| {
            network.classify(&network.embed(x, &mut Pass::explain())?, batch.meta.as_ref(), &mut Pass::explain())
        };
        let shown = predict::loader(&self.enlarged(), one, 1, self.device)?.sample(0, 0)?;
        let shown = visible(&shown)?;
        let size = [shown.height(), shown.width()];
        let heat = |class: &usize| -> Result<Encoded> {
            let map = grad_cam(&features, *class, classify)?;
            let (rows, columns) = map.dims2()?;
            let pixels = overlay(shown.pixels(), size, &map.flatten_all()?.to_vec1::<f32>()?, [rows, columns])?;
            let image = data::Image::new(size[1], size[0], 3, pixels)?;
            encode(&image, &format!("where {} was seen", self.saved.classes[*class]))
        };
        Ok(Seen {
            picture: encode(&shown, &dataset.rows()[row].id)?,
            heat: classes.iter().map(heat).collect::<Result<_>>()?,
        })
    }

    /// The same steps with a last one to a size that a person can see and a page can carry.
    fn enlarged(&self) -> Saved {
        let mut saved = self.saved.clone();
        if let Some(fit) = saved.steps.last_mut() {
            let size = fit.params.get("size").and_then(serde_json::Value::as_u64).unwrap_or_default();
            fit.params.insert("size".into(), json!(size.clamp(READABLE, 2 * READABLE)));
        }
        saved
    }
}
