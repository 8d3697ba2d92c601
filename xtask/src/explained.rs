//! One picture as a network sees it: what it says, and where it looked.

use crate::predict;
use crate::report::thumbnail::{encode, mosaic, visible};
use crate::saved::{Saved, Trained};
use anyhow::{Context, Result};
use candle_core::{Device, Tensor};
use data::{Dataset, Image, Subset, spread};
use eval::Run;
use eval::explain::{grad_cam, overlay};
use eval::report::page::Encoded;
use models::Pass;
use serde_json::json;
use std::sync::Arc;

/// Side of a picture that a person sees well, pixels; three of them stand beside one another on a phone, hardly smaller.
const READABLE: u64 = 112;

/// Most pictures of a sample that are shown.
const SHOWN: usize = 9;

/// A network and how it is fed.
pub struct Eye<'a> {
    pub saved: Saved,
    pub trained: Trained,
    pub device: &'a Device,
}

/// What it saw of a picture.
pub struct Seen {
    /// The picture inside of the frame that the network sees, large enough for a person; several side by side.
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
            let row = network.embed(x, &mut Pass::explain())?;
            let said = network.classify(&row, batch.meta.as_ref(), &mut Pass::explain())?;
            // A head of thresholds has no logit of a class.
            if said.dim(1)? == self.saved.classes.len() { Ok(said) } else { self.trained.probabilities(&said) }
        };
        let shown = predict::loader(&self.enlarged(), one, 1, self.device)?.sample(0, 0)?;
        // Of many pictures some.
        let some: Vec<usize> = spread(shown.len(), shown.len().min(SHOWN)).collect();
        let shown = some.iter().map(|&view| visible(&shown[view])).collect::<Result<Vec<_>>>()?;
        let heat = |class: &usize| -> Result<Encoded> {
            let maps = grad_cam(&features, *class, classify)?;
            let (_, rows, columns) = maps.dims3()?;
            let hot = |(picture, &view): (&Image, &usize)| -> Result<Image> {
                let (size, map) =
                    ([picture.height(), picture.width()], maps.get(view)?.flatten_all()?.to_vec1::<f32>()?);
                Ok(Image::new(size[1], size[0], 3, overlay(picture.pixels(), size, &map, [rows, columns])?)?)
            };
            let hot = shown.iter().zip(&some).map(hot).collect::<Result<Vec<_>>>()?;
            encode(&mosaic(&hot)?, &format!("where {} was seen", self.saved.classes[*class]))
        };
        Ok(Seen {
            picture: encode(&mosaic(&shown)?, &dataset.rows()[row].id)?,
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
