//! What one step of learning means. The trainer owns the loop, a task the mathematics.

use candle_core::{Result, Tensor};

/// How far training is.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Progress {
    /// 0-based.
    pub epoch: usize,
    /// Optimizer steps done before this one, all epochs together.
    pub step: usize,
    /// Optimizer steps per epoch.
    pub steps_per_epoch: usize,
    /// Epochs planned.
    pub epochs: usize,
}

impl Progress {
    /// Optimizer steps planned.
    pub fn total(&self) -> usize {
        self.steps_per_epoch * self.epochs
    }
    /// Epochs done, with the part of the current one.
    pub fn epochs_done(&self) -> f64 {
        self.step as f64 / self.steps_per_epoch.max(1) as f64
    }
    /// Share of the steps done, 0..=1.
    pub fn fraction(&self) -> f64 {
        (self.step as f64 / self.total().max(1) as f64).min(1.0)
    }
}

/// Pieces of a batch, each with its share of the samples, 0..=1.
pub type Pieces<B> = Vec<(B, f64)>;

/// A mean loss with its graph from a batch.
pub trait Task {
    /// What it learns from.
    type Batch;
    /// Scalar mean loss of `batch`.
    fn loss(&self, batch: &Self::Batch, at: Progress) -> Result<Tensor>;
    /// How many samples `batch` has: that is how much it weighs among the micro-batches of a step. All weigh the same where it
    /// is not said.
    fn samples(&self, _batch: &Self::Batch) -> usize {
        1
    }
    /// `batch` in at most `pieces` pieces, fewer where it has fewer samples, each with its share of the samples; the shares' sum
    /// is 1. `None` where it cannot be split. It is asked when memory is not enough for a whole batch: the loss of a batch is
    /// then the mean of its pieces' by their shares. What is random in a loss should not be the same for all pieces.
    fn split(&self, _batch: &Self::Batch, _pieces: usize) -> Result<Option<Pieces<Self::Batch>>> {
        Ok(None)
    }
    /// What the last loss was made of, by name; asked after each loss of the steps that are logged, whose pieces and
    /// micro-batches are averaged by their samples.
    fn parts(&self) -> Vec<(String, f64)> {
        vec![]
    }
}

/// Learning from targets: `forward` predicts, `criterion` compares.
pub struct Supervised<F, L, B> {
    forward: F,
    criterion: L,
    samples: fn(&B) -> usize,
}

/// A task from two closures, so that neither models nor losses need to be known here.
pub fn supervised<B, F, L>(forward: F, criterion: L) -> Supervised<F, L, B>
where
    F: Fn(&B, Progress) -> Result<Tensor>,
    L: Fn(&Tensor, &B) -> Result<Tensor>,
{
    Supervised { forward, criterion, samples: |_| 1 }
}

impl<F, L, B> Supervised<F, L, B> {
    /// With a way to say how many samples a batch has, where micro-batches of a step may differ in that.
    pub fn with_samples(mut self, samples: fn(&B) -> usize) -> Self {
        self.samples = samples;
        self
    }
}

impl<B, F, L> Task for Supervised<F, L, B>
where
    F: Fn(&B, Progress) -> Result<Tensor>,
    L: Fn(&Tensor, &B) -> Result<Tensor>,
{
    type Batch = B;
    fn loss(&self, batch: &B, at: Progress) -> Result<Tensor> {
        (self.criterion)(&(self.forward)(batch, at)?, batch)
    }
    fn samples(&self, batch: &B) -> usize {
        (self.samples)(batch)
    }
}
