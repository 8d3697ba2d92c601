//! Losses: read in time, and what is done about those that are no numbers.

use super::Trainer;
use crate::checkpoint::{Checkpoint, State};
use crate::error::{Error, Result};
use candle_core::{DType, Tensor};
use std::path::Path;

/// After how many returns to a good state training gives up.
const MOST_ROLLBACKS: usize = 16;

/// Losses before one can be called unusual.
const USUAL_AFTER: usize = 20;

/// The loss of a step that nobody has looked at yet.
pub(super) struct Unread {
    pub loss: Tensor,
    /// Whether its gradients were no numbers under the loss scale.
    pub skipped: bool,
}

impl Trainer<'_> {
    /// Reads the losses since the last time into the epoch's sum, and gives the last one.
    pub(super) fn read_losses(&mut self) -> Result<Option<f64>> {
        let mut last = None;
        for Unread { loss, skipped } in std::mem::take(&mut self.unread) {
            let loss = loss.to_dtype(DType::F64)?.to_scalar::<f64>()?;
            if skipped && loss.is_infinite() {
                // Too large for its type, and its step has not been taken.
                last = None;
                continue;
            }
            let state = &mut self.state;
            let spike = self.config.spike.is_some_and(|spike| loss > spike * state.usual && state.seen >= USUAL_AFTER);
            if !loss.is_finite() || spike {
                self.roll_back(loss)?;
                return Ok(None);
            }
            state.usual = if state.seen == 0 { loss } else { 0.95 * state.usual + 0.05 * loss };
            state.seen += 1;
            state.loss_sum += loss;
            state.loss_count += 1;
            last = Some(loss);
        }
        Ok(last)
    }

    /// An error when an epoch has been none: all its steps were skipped with a loss scale that is not too large, or none of its
    /// losses was a number and there is no usual one either. Short epochs may well be skipped until the scale is found.
    pub(super) fn check_epoch(&self) -> Result<()> {
        let State { epoch, step, batch, loss_count, seen, taken, loss_scale, .. } = self.state;
        let idle = loss_scale.filter(|_| taken == 0 && batch > 0);
        if batch > 0 && loss_count == 0 && (idle.is_some() || seen == 0) {
            let loss = if idle.is_some() { f64::INFINITY } else { f64::NAN };
            return Err(Error::NotFinite { epoch, step, loss });
        }
        if idle.is_some_and(|loss| loss.scale < 1.0) { self.nothing_learned() } else { Ok(()) }
    }

    /// The error when all steps are skipped.
    pub(super) fn nothing_learned(&self) -> Result<()> {
        let State { epoch, step, skipped, .. } = self.state;
        let scale = self.loss_scale();
        Err(Error::NothingLearned { epoch, step, skipped, scale })
    }

    /// Goes back to the last good state, or gives up.
    pub(super) fn roll_back(&mut self, loss: f64) -> Result<()> {
        let State { epoch, step, rollbacks, averaged_when_good, .. } = self.state;
        if self.good.is_empty() || rollbacks >= MOST_ROLLBACKS {
            return Err(Error::NotFinite { epoch, step, loss });
        }
        self.state.rollbacks += 1;
        self.candidate.clear();
        let tensors = self.good.clone();
        self.put(Checkpoint { tensors, state: None }, averaged_when_good, Path::new("memory"))
    }

    /// Takes the current state for a good one, where one is wanted.
    pub(super) fn keep_good(&mut self) -> Result<()> {
        if self.config.guard > 0 {
            self.candidate.clear();
            self.good = self.tensors()?;
            self.state.averaged_when_good = self.state.averaged;
        }
        Ok(())
    }

    /// Keeps the current state until the next time: the losses so far are from before its last step, which may have been a bad
    /// one. The one that was kept before is good then, because a bad loss would have led back.
    pub(super) fn keep_candidate(&mut self) -> Result<()> {
        if !self.candidate.is_empty() {
            if self.state.seen == self.state.seen_when_kept {
                // All steps were skipped: nothing is known about it yet.
                return Ok(());
            }
            self.good = std::mem::take(&mut self.candidate);
            self.state.averaged_when_good = self.state.averaged_when_kept;
        }
        self.candidate = self.tensors()?;
        (self.state.averaged_when_kept, self.state.seen_when_kept) = (self.state.averaged, self.state.seen);
        Ok(())
    }
}
