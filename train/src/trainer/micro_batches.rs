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
        let learned = self.fitted(task, &batch, at)?;
        pending.add(learned, task.samples(&batch))?;
        pending.batches.push(batch);
        Ok(())
    }

    /// The gradients of a batch times the loss scale, with its loss, from as many pieces as memory needs: from then on all
    /// batches are split at once.
    fn fitted<T: Task>(&mut self, task: &T, batch: &T::Batch, at: Progress) -> Result<Learned> {
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
    ) -> Result<Learned> {
        let Some(split) = split else { return self.backward(task, batch, 1.0, at) };
        let shares: f64 = split.iter().map(|(_, share)| share).sum();
        if (shares - 1.0).abs() > 1e-6 {
            return Err(Error::Invalid(format!("the shares of a batch's pieces must add up to 1, not to {shares}")));
        }
        let mut sum: Option<Learned> = None;
        for (piece, share) in split {
            let mut learned = self.backward(task, &piece, share, at)?;
            learned.loss = (wide(&learned.loss)? * share)?;
            learned.parts.iter_mut().for_each(|(_, value)| *value *= share);
            sum = Some(match sum {
                Some(sum) => sum.plus(learned)?,
                None => learned,
            });
        }
        sum.ok_or_else(|| Error::Invalid("a batch was split into no pieces".into()))
    }

    /// The gradients of a loss times `share` and the loss scale, in the types of the variables; the loss, and where the step is
    /// logged what it is made of.
    fn backward<T: Task>(&self, task: &T, batch: &T::Batch, share: f64, at: Progress) -> Result<Learned> {
        let loss = task.loss(batch, at)?;
        let factor = share * self.loss_scale();
        let store = if factor == 1.0 { loss.backward()? } else { (wide(&loss)? * factor)?.backward()? };
        let gradients = Gradients::take(&store, &self.read)?.cast(&self.params)?;
        let logged = (at.step + 1).is_multiple_of(self.config.log_every);
        Ok(Learned { gradients, loss: loss.detach(), parts: if logged { task.parts() } else { vec![] } })
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

/// What there is to know from a batch, or from several.
pub(super) struct Learned {
    pub gradients: Gradients,
    pub loss: Tensor,
    /// What the loss is made of, in a step that is logged.
    pub parts: Vec<(String, f64)>,
}

impl Learned {
    fn plus(self, other: Self) -> Result<Self> {
        let mut parts = self.parts;
        for (name, value) in other.parts {
            match parts.iter_mut().find(|(known, _)| *known == name) {
                Some((_, sum)) => *sum += value,
                None => parts.push((name, value)),
            }
        }
        Ok(Self { gradients: self.gradients.plus(other.gradients)?, loss: (self.loss + other.loss)?, parts })
    }

    fn scale(self, factor: f64) -> Result<Self> {
        if factor == 1.0 {
            return Ok(self);
        }
        let parts = self.parts.into_iter().map(|(name, value)| (name, value * factor)).collect();
        Ok(Self { gradients: self.gradients.scale(factor)?, loss: (self.loss * factor)?, parts })
    }
}

/// The micro-batches of one step.
pub(super) struct Pending<B> {
    sum: Option<Learned>,
    /// Samples of the first micro-batch, of which the others' weights are multiples.
    first: usize,
    /// Sum of the weights.
    weight: f64,
    pub count: usize,
    pub batches: Vec<B>,
    /// Running statistics before the step, where it may be skipped.
    pub statistics: Vec<(Tensor, Var)>,
}

impl<B> Default for Pending<B> {
    fn default() -> Self {
        Self { sum: None, first: 0, weight: 0.0, count: 0, batches: vec![], statistics: vec![] }
    }
}

impl<B> Pending<B> {
    fn add(&mut self, learned: Learned, samples: usize) -> Result<()> {
        self.count += 1;
        if self.first == 0 {
            self.first = samples.max(1);
        }
        // 1 for micro-batches that are as large as the first.
        let weight = samples.max(1) as f64 / self.first as f64;
        self.weight += weight;
        let learned = learned.scale(weight)?;
        self.sum = Some(match self.sum.take() {
            Some(sum) => sum.plus(learned)?,
            None => learned,
        });
        Ok(())
    }

    /// The means by the samples, gradients without the factor that they were taken with; the batches.
    pub fn mean(self, factor: f64) -> Result<(Learned, Vec<B>)> {
        let sum = self.sum.ok_or_else(|| Error::Invalid("an optimizer step without a batch".into()))?;
        let share = 1.0 / self.weight;
        let Learned { gradients, loss, mut parts } = sum;
        parts.iter_mut().for_each(|(_, value)| *value *= share);
        Ok((Learned { gradients: gradients.scale(share / factor)?, loss: (loss * share)?, parts }, self.batches))
    }
}
