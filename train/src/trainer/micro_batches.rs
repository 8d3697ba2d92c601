//! The micro-batches of one step.

use super::Trainer;
use crate::error::{Error, Result};
use crate::params::Gradients;
use crate::task::{Progress, Task};
use candle_core::{DType, Tensor};

impl Trainer<'_> {
    /// Adds the gradients and the loss of a batch to those of the step.
    pub(super) fn add<T: Task>(
        &mut self,
        task: &T,
        batch: T::Batch,
        at: Progress,
        pending: &mut Pending<T::Batch>,
    ) -> Result<()> {
        let (gradients, loss) = self.backward(task, &batch, at)?;
        pending.add(gradients, loss)?;
        pending.batches.push(batch);
        Ok(())
    }

    /// The gradients of a batch times the loss scale, in the types of the variables, and its loss.
    fn backward<T: Task>(&self, task: &T, batch: &T::Batch, at: Progress) -> Result<(Gradients, Tensor)> {
        let loss = task.loss(batch, at)?;
        let factor = self.loss_scale();
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
    pub count: usize,
    pub batches: Vec<B>,
}

impl<B> Default for Pending<B> {
    fn default() -> Self {
        Self { gradients: None, loss: None, count: 0, batches: vec![] }
    }
}

impl<B> Pending<B> {
    fn add(&mut self, gradients: Gradients, loss: Tensor) -> Result<()> {
        self.count += 1;
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

    /// Mean gradients, without the factor that they were taken with, and mean loss; the batches.
    pub fn mean(self, factor: f64) -> Result<(Gradients, Tensor, Vec<B>)> {
        let share = 1.0 / self.count as f64;
        match (self.gradients, self.loss) {
            (Some(gradients), Some(loss)) => Ok((gradients.scale(share / factor)?, (loss * share)?, self.batches)),
            _ => Err(Error::Invalid("an optimizer step without a batch".into())),
        }
    }
}
