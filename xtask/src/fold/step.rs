//! A step of training: what it learns from, and what it minimizes.

use super::Fold;
use crate::assemble::Parts;
use crate::bootstrap::Drawn;
use crate::criterion::Said;
use crate::predict;
use augment::Draw;
use candle_core::{DType, Tensor};
use data::rng::{stream, sub_seed};
use data::{Batch, Loader, Waits};
use models::{AUXILIARY, Pass};
use std::sync::PoisonError;
use train::{BoxError, Progress, Task};

/// A training batch with soft targets where batches are mixed, and the key of the network's random numbers.
pub struct Step {
    pub batch: Batch,
    pub targets: Tensor,
    key: u64,
    /// What each head of a bag learns from.
    drawn: Option<Drawn>,
}

impl Fold {
    /// What the steps of an epoch learn from, in order, from batch `first` on.
    pub fn steps(&self, parts: &Parts, epoch: usize, first: usize) -> impl Iterator<Item = Result<Step, BoxError>> {
        self.made(self.loader(epoch), parts, epoch, first)
    }

    /// The first steps, with pictures of their last size: for trying out.
    pub fn first_steps(&self, parts: &Parts) -> impl Iterator<Item = Result<Step, BoxError>> {
        self.made(&self.train, parts, 0, 0)
    }

    fn made(
        &self,
        loader: &Loader,
        parts: &Parts,
        epoch: usize,
        first: usize,
    ) -> impl Iterator<Item = Result<Step, BoxError>> {
        let classes = self.saved.classes.len();
        let batches = loader.epoch_from(epoch, first);
        *self.meter.lock().unwrap_or_else(PoisonError::into_inner) = Some(batches.meter());
        let batches = batches.take(self.batches - first);
        batches.enumerate().map(move |(i, batch)| {
            let index = (first + i) as u64;
            let mut batch = batch?;
            let targets = batch.targets.take().ok_or("a training row has no label")?;
            let (images, targets) = if parts.mixing.is_empty() {
                (batch.images.clone(), targets)
            } else {
                let mut rng = stream(sub_seed(self.seed, "mixing"), epoch, index);
                let mut draw = Draw::new(&mut rng);
                let soft = losses::rows(&targets, classes, DType::F32)?;
                parts
                    .mixing
                    .iter()
                    .try_fold((batch.images.clone(), soft), |(x, y), mix| mix.apply(&x, &y, &mut draw))?
            };
            batch.images = images;
            let key = sub_seed(self.seed, &format!("network/{epoch}/{index}"));
            let draw = || Drawn::new(sub_seed(self.seed, "bags"), &batch.ids, self.bags, targets.device());
            let drawn = (self.bags > 1).then(draw).transpose()?;
            Ok(Step { batch, targets, key, drawn })
        })
    }

    /// What the loader of the epoch's steps did so far.
    pub fn waits(&self) -> Option<Waits> {
        Some(self.meter.lock().unwrap_or_else(PoisonError::into_inner).as_ref()?.waits())
    }

    /// What stands behind the pool in training, `[B, E]`, in the recipe's precision.
    pub fn embed(&self, images: &Tensor, pass: &mut Pass<'_>) -> candle_core::Result<Tensor> {
        let features = self.trained.network.features(&images.to_dtype(self.precision)?, pass)?;
        self.trained.network.embed(&features, pass)
    }

    /// How the network goes forward in a step.
    pub fn pass<'a>(&self, key: u64, at: Progress) -> Pass<'a> {
        let drop = self.dropout.as_ref().map_or(1.0, |schedule| schedule.factor(at, &[]));
        Pass { freeze: self.frozen(at.epoch), recompute: self.recompute, drop, ..Pass::train(key) }
    }
}

impl Task for Fold {
    type Batch = Step;

    fn samples(&self, step: &Step) -> usize {
        step.batch.ids.len()
    }

    /// The sum of the criterion's terms.
    fn loss(&self, step: &Step, at: Progress) -> candle_core::Result<Tensor> {
        let network = &self.trained.network;
        let (images, meta, mut auxiliary) = (&step.batch.images, step.batch.meta.as_ref(), vec![]);
        let mut hear = |name: &str, said: &Tensor| auxiliary.extend((name == AUXILIARY).then(|| said.clone()));
        let mut pass = self.pass(step.key, at);
        let features = predict::features(images)?;
        if features.is_some() || step.drawn.is_some() {
            let rows = features.map_or_else(|| self.embed(images, &mut pass), Ok)?;
            let loss = |logits: &Tensor, targets: &Tensor| self.criterion.of_logits(logits, targets, None);
            return match &step.drawn {
                Some(drawn) => drawn.loss(&network.each(&rows, meta, &mut pass)?, &step.targets, loss),
                None => loss(&network.classify(&rows, meta, &mut pass)?, &step.targets),
            };
        }
        if network.auxiliary() > 0 {
            pass.taps = Some(&mut hear);
        }
        let embedding = self.embed(images, &mut pass)?;
        let logits = network.classify(&embedding, meta, &mut pass)?;
        let teacher = self.teacher.as_ref().map(|teacher| teacher.say(images, meta)).transpose()?;
        let terms = self.criterion.terms(&Said { logits, embedding, auxiliary }, &step.targets, teacher.as_ref())?;
        let sum = terms[1..].iter().try_fold(terms[0].1.clone(), |sum, (_, term)| sum + term)?;
        let heard = terms.into_iter().map(|(name, term)| (name, term.detach())).collect();
        *self.terms.lock().unwrap_or_else(PoisonError::into_inner) = heard;
        Ok(sum)
    }

    /// The terms of the loss, where there are several.
    fn parts(&self) -> Vec<(String, f64)> {
        let terms = self.terms.lock().unwrap_or_else(PoisonError::into_inner);
        let number = |term: &Tensor| term.to_dtype(DType::F64).and_then(|term| term.to_scalar::<f64>());
        let each = terms.iter().filter_map(|(name, term)| Some((format!("loss/{name}"), number(term).ok()?)));
        if terms.len() > 1 { each.collect() } else { vec![] }
    }

    /// Several smaller steps; copies of a picture stay together. A bag's resample is one of the whole batch.
    fn split(&self, step: &Step, pieces: usize) -> candle_core::Result<Option<Vec<(Step, f64)>>> {
        let (samples, copies) = (step.batch.ids.len(), self.copies);
        if step.drawn.is_some() {
            return Ok(None);
        }
        let groups = samples / copies;
        let pieces = pieces.min(groups);
        let cut = |piece: usize| -> candle_core::Result<(Step, f64)> {
            let (from, to) = (groups * piece / pieces * copies, groups * (piece + 1) / pieces * copies);
            let part = |t: &Tensor| t.narrow(0, from, to - from);
            let batch = Batch {
                ids: step.batch.ids[from..to].to_vec(),
                images: part(&step.batch.images)?,
                targets: None,
                meta: step.batch.meta.as_ref().map(part).transpose()?,
            };
            let key = sub_seed(step.key, &format!("piece/{piece}"));
            Ok((Step { batch, targets: part(&step.targets)?, key, drawn: None }, (to - from) as f64 / samples as f64))
        };
        (0..pieces).map(cut).collect::<candle_core::Result<_>>().map(Some)
    }
}
