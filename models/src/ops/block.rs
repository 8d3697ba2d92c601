//! A program with its parameters and running statistics.

use super::batch_norm::Statistics;
use super::composed;
use super::program::{Node, Program};
use crate::init::name_hash;
use crate::pass::{Grad, Pass};
use candle_core::{Result, Tensor, Var};
use candle_nn::{Init, VarBuilder};
use std::sync::Arc;

/// A block of a network: `[B, H, W, C]` → `[B, H', W', C']`.
pub struct Block {
    program: Arc<Program>,
    params: Vec<Tensor>,
    /// Running mean and variance of every norm.
    stats: Vec<[Var; 2]>,
    /// Tells the random sites of this block from those of others.
    site: u64,
}

impl Block {
    /// Takes or makes the program's variables under `vb`'s path.
    ///
    /// # Errors
    /// When `vb` has a variable of another shape, or lacks one and cannot make it.
    pub fn new(program: Program, vb: VarBuilder<'_>) -> Result<Self> {
        let params = program.params.iter().map(|p| vb.get_with_hints(p.shape.clone(), &p.name, p.init));
        let params = params.collect::<Result<_>>()?;
        let statistic = |name: &str, kind: &str, c: usize, start: f64| {
            Var::from_tensor(&vb.get_with_hints(c, &format!("{name}.{kind}"), Init::Const(start))?)
        };
        let stats = program
            .stats
            .iter()
            .map(|(name, c)| Ok([statistic(name, "running_mean", *c, 0.0)?, statistic(name, "running_var", *c, 1.0)?]));
        let stats = stats.collect::<Result<_>>()?;
        let site = name_hash(&vb.prefix());
        Ok(Self { program: Arc::new(program), params, stats, site })
    }

    /// The block as data.
    pub fn program(&self) -> &Program {
        &self.program
    }

    /// Runs the block. In training with [`Pass::update_stats`] the running statistics move.
    pub fn forward(&self, x: &Tensor, pass: &Pass<'_>) -> Result<Tensor> {
        let detached: Vec<Tensor>;
        let params = if pass.grad == Grad::All {
            &self.params
        } else {
            detached = self.params.iter().map(Tensor::detach).collect();
            &detached
        };
        let x = if pass.grad == Grad::None { &x.detach() } else { x };
        let running: Vec<[Tensor; 2]> =
            self.stats.iter().map(|s| [s[0].as_detached_tensor(), s[1].as_detached_tensor()]).collect();
        let (y, seen) = composed::run(&self.program, params, &running, x, pass, self.site)?;
        if pass.train && pass.update_stats {
            self.update(&seen)?;
        }
        Ok(y)
    }

    /// `running ← (1 − momentum) · running + momentum · batch`, with the unbiased variance, as PyTorch.
    fn update(&self, seen: &[Option<Statistics>]) -> Result<()> {
        for node in &self.program.nodes {
            let Node::Norm { stats, momentum, .. } = node else { continue };
            let Some(batch) = &seen[*stats] else { continue };
            let unbiased = batch.count as f64 / (batch.count as f64 - 1.0).max(1.0);
            for (running, (new, factor)) in
                self.stats[*stats].iter().zip([(&batch.mean, 1.0), (&batch.variance, unbiased)])
            {
                let new = (new.to_dtype(running.dtype())? * (momentum * factor))?;
                running.set(&((running.as_detached_tensor() * (1.0 - momentum))? + new)?)?;
            }
        }
        Ok(())
    }
}
