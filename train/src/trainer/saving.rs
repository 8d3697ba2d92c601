//! Everything that steps change, out and in again: to files and to memory.

use super::Trainer;
use crate::checkpoint::{Checkpoint, State, broken, copies, restore, write_atomic};
use crate::error::Result;
use crate::params::variables;
use crate::precision::LossScale;
use candle_core::Tensor;
use std::collections::BTreeMap;
use std::path::Path;

impl Trainer<'_> {
    /// Goes back to the checkpoint in the folder, if there is one: the next [`Trainer::fit`] goes on from it, bit by bit.
    ///
    /// # Errors
    /// [`Error::Checkpoint`](crate::Error::Checkpoint) when it is broken, or made by another model or configuration.
    pub fn resume(&mut self) -> Result<bool> {
        let Some(folder) = self.config.folder.clone() else { return Ok(false) };
        let path = folder.join("last.safetensors");
        if !path.exists() {
            return Ok(false);
        }
        let mut checkpoint = Checkpoint::read(&path)?;
        let state = checkpoint.state.take().unwrap_or_default();
        let mut state: State =
            serde_json::from_str(&state).map_err(|e| broken(&path, &format!("its state is unreadable: {e}")))?;
        if state.fingerprint != self.config.fingerprint {
            return Err(broken(&path, "it was made with another configuration; use another folder"));
        }
        state.loss_scale = self.config.loss_scale.map(|first| state.loss_scale.unwrap_or(LossScale::new(first)));
        state.pieces = state.pieces.max(1);
        self.good = checkpoint.take("good/");
        self.candidate = checkpoint.take("candidate/");
        self.put(checkpoint, state.averaged, &path)?;
        if state.best.is_some() {
            let mut best = Checkpoint::read(&folder.join("weights.safetensors"))?.tensors;
            // Whoever trains some variables may have added the others to a finished file.
            let known = variables(&self.vars);
            best.retain(|name, _| known.contains_key(name));
            self.best = best;
        }
        self.state = state;
        Ok(true)
    }

    /// Copies of everything that steps change.
    pub(super) fn tensors(&mut self) -> Result<BTreeMap<String, Tensor>> {
        let mut tensors = copies(&self.vars)?;
        tensors.extend(self.optimizer.state()?.into_iter().map(|(name, t)| (format!("optimizer.{name}"), t)));
        let average = match (&self.ema, &self.swa) {
            (Some(ema), _) => Some(ema.state()?),
            (_, Some(swa)) => Some(swa.state()?),
            _ => None,
        };
        if let Some((shadow, count)) = average {
            self.state.averaged = count;
            tensors.extend(shadow.into_iter().map(|(name, t)| (format!("average.{name}"), t)));
        }
        Ok(tensors)
    }

    /// Takes back what [`Trainer::tensors`] gave.
    pub(super) fn put(&mut self, mut checkpoint: Checkpoint, averaged: usize, path: &Path) -> Result<()> {
        let (optimizer, average) = (checkpoint.take("optimizer."), checkpoint.take("average."));
        restore(&self.vars, &checkpoint.tensors, path)?;
        self.optimizer.restore(optimizer)?;
        if let Some(ema) = &mut self.ema {
            ema.restore(average, averaged)?;
        } else if let Some(swa) = &mut self.swa {
            swa.restore(average, averaged)?;
        }
        self.set_copies(None)
    }

    /// Writes `last.safetensors`, the checkpoint, and `state.json`, its readable copy.
    pub(super) fn save(&mut self) -> Result<()> {
        let Some(folder) = self.config.folder.clone() else { return Ok(()) };
        let mut tensors = self.tensors()?;
        for (kept, prefix) in [(&self.good, "good"), (&self.candidate, "candidate")] {
            tensors.extend(kept.iter().map(|(name, t)| (format!("{prefix}/{name}"), t.clone())));
        }
        let text = |state: &State| serde_json::to_string_pretty(state).unwrap_or_default();
        let state = text(&self.state);
        Checkpoint { tensors, state: Some(state.clone()) }.write(&folder.join("last.safetensors"))?;
        write_atomic(&folder.join("state.json"), state.as_bytes())
    }
}
