//! The micro-batches of one step.

use crate::error::{Error, Result};
use crate::params::{Gradients, Params};
use crate::task::{Progress, Task};
use candle_core::Tensor;

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
    pub fn add<T: Task<Batch = B>>(&mut self, task: &T, batch: B, at: Progress, params: &Params) -> Result<()> {
        let loss = task.loss(&batch, at)?;
        let gradients = Gradients::take(&loss.backward()?, params)?;
        self.count += 1;
        self.batches.push(batch);
        self.gradients = Some(match self.gradients.take() {
            Some(sum) => sum.plus(gradients)?,
            None => gradients,
        });
        self.loss = Some(match self.loss.take() {
            Some(sum) => (sum + loss.detach())?,
            None => loss.detach(),
        });
        Ok(())
    }

    /// Mean gradients and loss, and the batches.
    pub fn mean(self) -> Result<(Gradients, Tensor, Vec<B>)> {
        let share = 1.0 / self.count as f64;
        match (self.gradients, self.loss) {
            (Some(gradients), Some(loss)) => Ok((gradients.scale(share)?, (loss * share)?, self.batches)),
            _ => Err(Error::Invalid("an optimizer step without a batch".into())),
        }
    }
}
