//! The micro-batches of one step.

use super::Trainer;
use crate::error::{Error, Result, is_out_of_memory};
use crate::params::Gradients;
use crate::task::{Pieces, Progress, Task};
use candle_core::{DType, Tensor, Var};

impl Trainer<'_> {
    /// Adds the gradients and the loss of a batch to those of the step.
    pub(super) fn add<T: Task>(
        &mut self,
        task: &T,
        batch: T::Batch,
        at: Progress,
        pending: &mut Pending<T::Batch>,
    ) -> Result<()> {
        let (gradients, loss) = self.fitted(task, &batch, at)?;
        pending.add(gradients, loss, task.samples(&batch))?;
        pending.batches.push(batch);
        Ok(())
    }

    /// The gradients of a batch times the loss scale, and its loss, from as many pieces as memory needs: from then on all batches
    /// are split at once.
    fn fitted<T: Task>(&mut self, task: &T, batch: &T::Batch, at: Progress) -> Result<(Gradients, Tensor)> {
        // An attempt may fail after it has moved running statistics. To copy them for every batch would cost time, and what has
        // fitted once mostly fits again.
        let mut statistics = if self.state.fitting == self.state.pieces { None } else { Some(self.statistics()?) };
        let mut split = if self.state.pieces > 1 { task.split(batch, self.state.pieces)? } else { None };
        loop {
            let count = split.as_ref().map_or(1, Vec::len);
            let error = match self.of_pieces(task, batch, split, at) {
                Err(Error::Tensor(error)) if is_out_of_memory(&error) => error,
                done => {
                    self.state.fitting = self.state.pieces;
                    return done;
                }
            };
            split = task.split(batch, 2 * self.state.pieces)?;
            if split.as_ref().is_none_or(|split| split.len() <= count) {
                return Err(Error::OutOfMemory { pieces: count, source: error });
            }
            self.state.pieces *= 2;
            match &statistics {
                Some(statistics) => statistics.iter().try_for_each(|(value, var)| var.set(value))?,
                None => statistics = Some(self.statistics()?),
            }
        }
    }

    /// The means over the pieces by their shares, or those of the whole batch.
    fn of_pieces<T: Task>(
        &self,
        task: &T,
        batch: &T::Batch,
        split: Option<Pieces<T::Batch>>,
        at: Progress,
    ) -> Result<(Gradients, Tensor)> {
        let Some(split) = split else { return self.backward(task, batch, 1.0, at) };
        let shares: f64 = split.iter().map(|(_, share)| share).sum();
        if (shares - 1.0).abs() > 1e-6 {
            return Err(Error::Invalid(format!("the shares of a batch's pieces must add up to 1, not to {shares}")));
        }
        let mut sum: Option<(Gradients, Tensor)> = None;
        for (piece, share) in split {
            let (gradients, loss) = self.backward(task, &piece, share, at)?;
            let loss = (wide(&loss)? * share)?;
            sum = Some(match sum {
                Some((all, so_far)) => (all.plus(gradients)?, (so_far + loss)?),
                None => (gradients, loss),
            });
        }
        sum.ok_or_else(|| Error::Invalid("a batch was split into no pieces".into()))
    }

    /// The gradients of a loss times `share` and the loss scale, in the types of the variables; and the loss.
    fn backward<T: Task>(&self, task: &T, batch: &T::Batch, share: f64, at: Progress) -> Result<(Gradients, Tensor)> {
        let loss = task.loss(batch, at)?;
        let factor = share * self.loss_scale();
        let store = if factor == 1.0 { loss.backward()? } else { (wide(&loss)? * factor)?.backward()? };
        Ok((Gradients::take(&store, &self.read)?.cast(&self.params)?, loss.detach()))
    }

    /// What losses are multiplied by.
    pub(super) fn loss_scale(&self) -> f64 {
        self.state.loss_scale.map_or(1.0, |loss| loss.scale)
    }
}

/// In a type that has room for a loss times its scale.
fn wide(loss: &Tensor) -> candle_core::Result<Tensor> {
    if loss.dtype() == DType::F64 { Ok(loss.clone()) } else { loss.to_dtype(DType::F32) }
}

/// Gradients and losses of the micro-batches of one step.
pub(super) struct Pending<B> {
    gradients: Option<Gradients>,
    loss: Option<Tensor>,
    /// Samples of the first micro-batch, of which the others' weights are multiples.
    first: usize,
    weight: f64,
    pub count: usize,
    pub batches: Vec<B>,
    /// Running statistics before the step, where it may be skipped.
    pub statistics: Vec<(Tensor, Var)>,
}

impl<B> Default for Pending<B> {
    fn default() -> Self {
        Self { gradients: None, loss: None, first: 0, weight: 0.0, count: 0, batches: vec![], statistics: vec![] }
    }
}

impl<B> Pending<B> {
    fn add(&mut self, gradients: Gradients, loss: Tensor, samples: usize) -> Result<()> {
        self.count += 1;
        if self.first == 0 {
            self.first = samples.max(1);
        }
        // 1 for micro-batches that are as large as the first.
        let weight = samples.max(1) as f64 / self.first as f64;
        self.weight += weight;
        let (gradients, loss) = (gradients.scale(weight)?, if weight == 1.0 { loss } else { (loss * weight)? });
        self.gradients = Some(match self.gradients.take() {
            Some(sum) => sum.plus(gradients)?,
            None => gradients,
        });
        self.loss = Some(match self.loss.take() {
            Some(sum) => (sum + loss)?,
            None => loss,
        });
        Ok(())
    }

    /// Mean gradients by the samples, without the factor that they were taken with, and mean loss; the batches.
    pub fn mean(self, factor: f64) -> Result<(Gradients, Tensor, Vec<B>)> {
        let share = 1.0 / self.weight;
        match (self.gradients, self.loss) {
            (Some(gradients), Some(loss)) => Ok((gradients.scale(share / factor)?, (loss * share)?, self.batches)),
            _ => Err(Error::Invalid("an optimizer step without a batch".into())),
        }
    }
}
