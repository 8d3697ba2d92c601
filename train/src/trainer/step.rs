//! What a step of the optimizer is made of, and what is told about it.

use super::Trainer;
use super::guard::Unread;
use super::micro_batches::{Learned, Pending};
use crate::checkpoint::{Checkpoint, State, copies};
use crate::error::Result;
use crate::event::{Event, Flow, Measures};
use crate::optim::Pace;
use crate::params::{Gradients, is_statistic, variables};
use crate::precision::{Copies, LEAST_SCALE};
use crate::task::{Progress, Task};
use crate::{clip, precision, regularize};
use candle_core::{Tensor, Var};

impl Trainer<'_> {
    /// A step from what has been gathered; it is skipped where gradients are no numbers because of the loss scale. Returns the
    /// learning rate.
    pub(super) fn step<T: Task>(&mut self, task: &T, mut pending: Pending<T::Batch>, at: Progress) -> Result<f64> {
        let pace = self.pace(at);
        self.state.step += 1;
        let statistics = std::mem::take(&mut pending.statistics);
        let (Learned { gradients, loss, parts }, seen) = pending.mean(self.loss_scale())?;
        self.parts = parts;
        let mut gradients = self.usable(gradients)?;
        if self.optimizer.climbs()
            && let Some(first) = gradients.take()
        {
            gradients = self.climb(task, first, seen, at)?;
        }
        let skipped = gradients.is_none();
        match gradients {
            Some(gradients) => {
                // First, because averages take them in.
                self.copies.iter().try_for_each(Copies::take_statistics)?;
                self.learn(gradients, pace)?;
            }
            None => {
                // What was no number may be in them too.
                statistics.iter().try_for_each(|(value, var)| var.set(value))?;
                self.gradient_norm = f64::INFINITY;
            }
        }
        self.state.taken += usize::from(!skipped);
        self.state.skipped += usize::from(skipped);
        if let Some(scale) = &mut self.state.loss_scale {
            scale.update(!skipped);
            if skipped && scale.scale < LEAST_SCALE {
                self.nothing_learned()?;
            }
        }
        self.set_copies(Some(&self.params))?;
        self.unread.push(Unread { loss, skipped });
        Ok(pace.lr)
    }

    /// Gradients, unless there is a loss scale that made them anything but numbers.
    fn usable(&self, gradients: Gradients) -> Result<Option<Gradients>> {
        let usable = self.state.loss_scale.is_none() || precision::finite(&gradients)?;
        Ok(usable.then_some(gradients))
    }

    /// The gradients of the same batches where the optimizer climbs to, if they are of use. Running statistics do not notice.
    fn climb<T: Task>(
        &mut self,
        task: &T,
        gradients: Gradients,
        seen: Vec<T::Batch>,
        at: Progress,
    ) -> Result<Option<Gradients>> {
        self.optimizer.climb(&self.params, &gradients)?;
        self.set_copies(Some(&self.params))?;
        let statistics = self.statistics()?;
        let mut pending = Pending::default();
        for batch in seen {
            self.add(task, batch, at, &mut pending)?;
        }
        for (value, var) in &statistics {
            var.set(value)?;
        }
        let (learned, _) = pending.mean(self.loss_scale())?;
        let gradients = self.usable(learned.gradients)?;
        if gradients.is_none() {
            self.optimizer.descend(&self.params)?;
        }
        Ok(gradients)
    }

    /// Copies of the running statistics of the network that learns, with their variables.
    pub(super) fn statistics(&self) -> Result<Vec<(Tensor, Var)>> {
        let network = self.copies.as_ref().map_or_else(|| variables(&self.vars), Copies::variables);
        let statistics = network.into_iter().filter(|(name, _)| is_statistic(name));
        statistics.map(|(_, var)| Ok((var.as_detached_tensor().copy()?, var))).collect()
    }

    /// A step of the optimizer and of what goes with it.
    fn learn(&mut self, mut gradients: Gradients, pace: Pace) -> Result<()> {
        let config = &self.config;
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
    pub(super) fn after_step(&mut self, at: Progress, lr: f64) -> Result<Flow> {
        let (epoch, step) = (self.state.epoch, self.state.step);
        let due = |every: usize| every > 0 && step.is_multiple_of(every);
        let (save, log, keep) = (due(self.config.save_every), due(self.config.log_every), due(self.config.guard));
        let loss = if log || save || keep { self.read_losses()? } else { None };
        if keep {
            self.keep_candidate()?;
        }
        if self.config.snapshots && self.schedule.ends_cycle(at) {
            self.state.snapshots += 1;
            if let Some(folder) = &self.config.folder {
                let weights = Checkpoint { tensors: copies(&self.vars)?, state: None };
                weights.write(&folder.join(format!("snapshot{}.safetensors", self.state.snapshots)))?;
            }
        }
        let measures = if log { Some(self.measures(lr)?) } else { None };
        let (loss, measures) = (loss.filter(|_| log), measures.as_ref());
        let flow = self.tell(&Event::Step { epoch, step, loss, lr, measures })?;
        if save && flow == Flow::Continue {
            self.save()?;
        }
        Ok(flow)
    }

    /// What learns, as it is.
    pub(super) fn weights(&self) -> Gradients {
        Gradients(self.params.0.iter().map(|p| p.var.as_detached_tensor()).collect())
    }

    fn measures(&self, lr: f64) -> Result<Measures> {
        let parts = self.parts.clone();
        let rates = self.params.groups().into_iter().map(|(name, scale)| (name, lr * scale)).collect();
        let (gradient_norm, weight_norm) = (self.gradient_norm, clip::global_norm(&self.weights())?);
        let State { rollbacks, loss_scale, skipped, pieces, .. } = self.state;
        let loss_scale = loss_scale.map(|loss| loss.scale);
        Ok(Measures { parts, rates, gradient_norm, weight_norm, rollbacks, loss_scale, skipped, pieces })
    }
}
