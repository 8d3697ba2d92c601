//! The ends of an epoch: what learns in it; averaged weights, the best ones, whether to go on.

use super::Trainer;
use crate::checkpoint::{Checkpoint, Record, State, copies};
use crate::error::{Error, Result};
use crate::event::{Event, Flow, Scores};
use crate::{optim, precision};

impl Trainer<'_> {
    /// Sets what learns in this epoch. Where that is more than before, the optimizer begins anew: its averages are those of
    /// another problem.
    pub(super) fn begin_epoch(&mut self) -> Result<()> {
        let State { epoch, batch, .. } = self.state;
        self.params = self.all.learning(epoch);
        self.read = self.copies.as_ref().map_or_else(|| self.params.clone(), |copies| copies.of(&self.params));
        if epoch > 0 && batch == 0 && self.all.0.iter().any(|param| param.from == epoch) {
            // No loss has shown yet what the last step did.
            if self.config.guard > 0 && !precision::finite(&self.weights())? {
                self.roll_back(f64::NAN)?;
            }
            self.optimizer.restore(optim::State::new())?;
            // A return to before would bring the old averages back.
            self.keep_good()?;
        }
        Ok(())
    }

    /// Puts the averaged weights in place for validation; returns the epoch.
    pub(super) fn averaged(&mut self) -> Result<usize> {
        let (epoch, epochs) = (self.state.epoch, self.config.epochs);
        if let (Some(swa), Some(start)) = (&mut self.swa, self.config.swa)
            && (epoch + 1) as f64 > start * epochs as f64
        {
            swa.update(&self.vars)?;
        }
        self.swap()?;
        if let (Some(swa), Some(refresh)) = (&self.swa, &mut self.refresh)
            && swa.count() > 0
        {
            refresh(epoch).map_err(Error::Hook)?;
            self.set_copies(None)?;
        }
        Ok(epoch)
    }

    /// Exchanges averaged and current weights, where there are averaged ones.
    pub(super) fn swap(&mut self) -> Result<()> {
        if let Some(ema) = &mut self.ema {
            ema.swap(&self.vars)?;
        }
        if let Some(swa) = &mut self.swa {
            swa.swap(&self.vars)?;
        }
        if self.ema.is_some() || self.swa.is_some() { self.set_copies(None) } else { Ok(()) }
    }

    /// Keeps the best weights, tells hooks, decides whether this was the end, saves. Returns whether a hook interrupts.
    pub(super) fn after_epoch(&mut self, flow: Flow, scores: Option<Scores>) -> Result<bool> {
        let decisive = |record: &Record| record.scores.as_ref().map(|s| s.decisive);
        let so_far = self.state.best.and_then(|best| decisive(&self.state.history[best]));
        let best = match (&scores, so_far) {
            (Some(scores), Some(so_far)) => scores.decisive > so_far || so_far.is_nan(),
            _ => true,
        };
        let state = &mut self.state;
        // All steps may have led back.
        let loss = if state.loss_count > 0 { state.loss_sum / state.loss_count as f64 } else { state.usual };
        state.history.push(Record { epoch: state.epoch, loss, scores: scores.clone() });
        state.stale = stale(&state.history, self.config.min_delta);
        if best {
            state.best = Some(state.history.len() - 1);
            self.best = copies(&self.vars)?;
            if let Some(folder) = &self.config.folder {
                // Before the checkpoint: a kill in between only repeats this epoch.
                let weights = Checkpoint { tensors: self.best.clone(), state: None };
                weights.write(&folder.join("weights.safetensors"))?;
            }
        }
        self.swap()?;
        let (epoch, step) = (self.state.epoch, self.state.step);
        let scores = scores.unwrap_or_default();
        let asked = self.tell(&Event::Epoch { epoch, step, loss, scores: &scores, best })?;
        let state = &mut self.state;
        let idle = state.step > 0 && state.skipped == state.step;
        let tired = self.config.patience.is_some_and(|patience| state.stale >= patience.max(1));
        state.finished = epoch + 1 >= self.config.epochs || tired || flow == Flow::Stop || asked == Flow::Stop;
        if state.finished && idle {
            self.nothing_learned()?;
        }
        let state = &mut self.state;
        (state.epoch, state.batch, state.taken, state.loss_sum, state.loss_count) = (epoch + 1, 0, 0, 0.0, 0);
        self.save()?;
        Ok(asked == Flow::Interrupt && !self.state.finished)
    }
}

/// How many of the last records are not more than `min_delta` better than the last one that was.
fn stale(history: &[Record], min_delta: f64) -> usize {
    let (mut best, mut stale) = (None, 0);
    for record in history {
        let now = record.scores.as_ref().map(|scores| scores.decisive);
        let better = match (now, best) {
            (Some(now), Some(best)) => now - min_delta > best || f64::is_nan(best) && !now.is_nan(),
            _ => true,
        };
        (best, stale) = if better { (now, 0) } else { (best, stale + 1) };
    }
    stale
}
