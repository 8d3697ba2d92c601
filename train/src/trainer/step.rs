//! What a step of the optimizer is made of, and what is told about it.

use super::Trainer;
use super::micro_batches::Pending;
use crate::checkpoint::{Checkpoint, copies};
use crate::error::Result;
use crate::event::{Event, Flow, Measures};
use crate::optim::Pace;
use crate::params::{Gradients, is_statistic, variables};
use crate::task::{Progress, Task};
use crate::{clip, regularize};
use candle_core::{Tensor, Var};

impl Trainer<'_> {
    /// The gradients of the same batches where the optimizer climbs to, if it does. Running statistics do not notice.
    pub(super) fn climb<T: Task>(
        &mut self,
        task: &T,
        gradients: Gradients,
        seen: Vec<T::Batch>,
        at: Progress,
    ) -> Result<Gradients> {
        if !self.optimizer.climbs() {
            return Ok(gradients);
        }
        self.optimizer.climb(&self.params, &gradients)?;
        let statistics = variables(&self.vars).into_iter().filter(|(name, _)| is_statistic(name));
        let statistics = statistics.map(|(_, var)| Ok((var.as_detached_tensor().copy()?, var)));
        let statistics: Vec<(Tensor, Var)> = statistics.collect::<Result<_>>()?;
        let mut pending = Pending::default();
        for batch in seen {
            pending.add(task, batch, at, &self.params)?;
        }
        for (value, var) in &statistics {
            var.set(value)?;
        }
        pending.mean().map(|(gradients, ..)| gradients)
    }

    /// A step of the optimizer and of what goes with it.
    pub(super) fn learn(&mut self, mut gradients: Gradients, pace: Pace) -> Result<()> {
        let config = &self.config;
        self.state.step += 1;
        if config.clip_norm.is_some() || self.state.step.is_multiple_of(config.log_every) {
            self.gradient_norm = clip::global_norm(&gradients)?;
        }
        let mut norm = self.gradient_norm;
        if config.centralize {
            gradients = clip::centralize(gradients)?;
        }
        if let Some(factor) = config.clip_unit {
            let applies = |name: &str| !config.clip_unit_except.iter().any(|start| name.starts_with(start));
            gradients = clip::by_unit(gradients, &self.params, factor, applies)?;
        }
        if let Some(limit) = config.clip_value {
            gradients = clip::by_value(gradients, limit)?;
        }
        if let Some(limit) = config.clip_norm {
            if config.centralize || config.clip_unit.is_some() || config.clip_value.is_some() {
                norm = clip::global_norm(&gradients)?;
            }
            gradients = clip::by_known_norm(gradients, norm, limit)?;
        }
        self.optimizer.step(&self.params, &gradients, pace)?;
        if let Some(lambda) = config.l1 {
            regularize::l1(&self.params, pace.lr, lambda)?;
        }
        if let Some(ema) = &mut self.ema {
            ema.update(&self.vars)?;
        }
        Ok(())
    }

    /// Tells hooks about a step and saves where it is time to.
    pub(super) fn after_step<T: Task>(&mut self, task: &T, at: Progress, lr: f64) -> Result<Flow> {
        let (epoch, step) = (self.state.epoch, self.state.step);
        let due = |every: usize| every > 0 && step.is_multiple_of(every);
        let (save, log, keep) = (due(self.config.save_every), due(self.config.log_every), due(self.config.guard));
        let loss = if log || save || keep { self.read_losses()? } else { None };
        self.keep_good(keep)?;
        if self.config.snapshots && self.schedule.ends_cycle(at) {
            self.state.snapshots += 1;
            if let Some(folder) = &self.config.folder {
                let weights = Checkpoint { tensors: copies(&self.vars)?, state: None };
                weights.write(&folder.join(format!("snapshot{}.safetensors", self.state.snapshots)))?;
            }
        }
        let measures = if log { Some(self.measures(task.parts(), lr)?) } else { None };
        let (loss, measures) = (loss.filter(|_| log), measures.as_ref());
        let flow = self.tell(&Event::Step { epoch, step, loss, lr, measures })?;
        if save && flow == Flow::Continue {
            self.save()?;
        }
        Ok(flow)
    }

    pub(super) fn measures(&self, parts: Vec<(String, f64)>, lr: f64) -> Result<Measures> {
        let mut rates: Vec<f64> = self.params.0.iter().map(|p| lr * p.lr_scale).collect();
        rates.sort_by(|a, b| b.total_cmp(a));
        rates.dedup();
        let weights = Gradients(self.params.0.iter().map(|p| p.var.as_detached_tensor()).collect());
        let (gradient_norm, weight_norm) = (self.gradient_norm, clip::global_norm(&weights)?);
        Ok(Measures { parts, rates, gradient_norm, weight_norm, rollbacks: self.state.rollbacks })
    }
}
