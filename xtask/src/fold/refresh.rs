//! Statistics of batch norms for weights that no training step has seen: averages of weights.

use super::Fold;
use crate::assemble::Parts;
use anyhow::{Result, anyhow};
use candle_core::{DType, Tensor, Var};
use models::{Grad, Pass};
use train::is_statistic;

/// Measures all running statistics anew, as the equal mean over the batches of `epoch`: `torch.optim.swa_utils.update_bn`.
///
/// A pass moves a statistic `r` to `(1 − m)·r + m·s` of a batch with `s`. What the network's momenta `m` are is seen from two
/// passes over the first batch that begin at 0 and at 1; after that every pass begins at 0 and leaves `m·s`.
pub fn refresh(fold: &Fold, parts: &Parts, epoch: usize) -> Result<()> {
    // Stages that stay as they are run with their statistics, and what stands behind them reads what comes out.
    let still = fold.still_names(epoch);
    let statistics: Vec<Var> = train::variables(&fold.trained.vars)
        .into_iter()
        .filter(|(name, var)| is_statistic(name) && var.dtype().is_float() && !still.contains(name))
        .map(|(_, var)| var)
        .collect();
    if statistics.is_empty() {
        return Ok(());
    }
    let set = |value: f64| statistics.iter().try_for_each(|var| var.set(&var.zeros_like()?.affine(0.0, value)?));
    let read = || -> Result<Vec<Tensor>> {
        Ok(statistics.iter().map(|var| var.as_detached_tensor().to_dtype(DType::F64)).collect::<Result<_, _>>()?)
    };
    let before = statistics.iter().map(|var| var.as_detached_tensor().copy()).collect::<Result<Vec<_>, _>>()?;
    let mut shares = vec![];
    let (mut sums, mut batches): (Vec<Tensor>, usize) = (vec![], 0);
    for step in fold.steps(parts, epoch, 0) {
        let step = step.map_err(|error| anyhow!(error))?;
        let see = |start: f64| -> Result<Vec<Tensor>> {
            set(start)?;
            let mut pass = Pass { freeze: fold.frozen(epoch), grad: Grad::None, ..Pass::train(0) };
            fold.trained.network.forward(&step.batch.images, step.batch.meta.as_ref(), &mut pass)?;
            read()
        };
        let seen = see(0.0)?;
        if shares.is_empty() {
            let share = |(one, zero): (&Tensor, &Tensor)| Ok(1.0 - (one - zero)?.mean_all()?.to_scalar::<f64>()?);
            shares = see(1.0)?.iter().zip(&seen).map(share).collect::<Result<_>>()?;
        }
        sums = match sums.is_empty() {
            true => seen,
            false => sums.iter().zip(&seen).map(|(sum, seen)| sum + seen).collect::<Result<_, _>>()?,
        };
        batches += 1;
    }
    for (((var, before), sum), share) in statistics.iter().zip(&before).zip(&sums).zip(&shares) {
        // What does not move in training stays.
        match *share > 1e-4 {
            true => var.set(&(sum / (share * batches as f64))?.to_dtype(var.dtype())?)?,
            false => var.set(before)?,
        }
    }
    Ok(())
}
