//! The loop.

use crate::average::Ema;
use crate::checkpoint::{Checkpoint, Record, State, broken, restore, snapshot, write_atomic};
use crate::clip;
use crate::error::{BoxError, Error, Result};
use crate::event::{Event, Flow, Hook, Scores};
use crate::optim::Optimizer;
use crate::params::{Gradients, Params, variables};
use crate::schedule::Schedule;
use crate::task::{Progress, Task};
use candle_core::{DType, Tensor};
use candle_nn::VarMap;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::path::PathBuf;

/// How to train.
///
/// | field | default | range |
/// |---|---|---|
/// | `epochs` | 10 | ≥ 1 |
/// | `lr` | 0.1 | > 0, multiplied by the schedule |
/// | `accumulate` | 1 | micro-batches per step, averaged; a last group may be smaller |
/// | `clip_norm` | none | largest global norm of the gradients |
/// | `ema` | none | decay of the averaged weights, 0..1; validation and the result use the average |
/// | `patience` | none | epochs without a better score after which training ends |
/// | `folder` | none | where `last.safetensors`, `state.json` and `weights.safetensors` go |
/// | `save_every` | 0 | steps between checkpoints inside an epoch; 0: after each epoch only |
/// | `log_every` | 10 | steps between losses that hooks see |
/// | `fingerprint` | empty | must be the same when resuming |
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct TrainConfig {
    /// Passes over the data.
    pub epochs: usize,
    /// Base learning rate.
    pub lr: f64,
    /// Micro-batches per step.
    pub accumulate: usize,
    /// Largest global gradient norm.
    pub clip_norm: Option<f64>,
    /// Decay of the averaged weights.
    pub ema: Option<f64>,
    /// Early stopping.
    pub patience: Option<usize>,
    /// Where checkpoints go.
    pub folder: Option<PathBuf>,
    /// Steps between checkpoints.
    pub save_every: usize,
    /// Steps between logged losses.
    pub log_every: usize,
    /// Guards against resuming something else.
    pub fingerprint: String,
}

impl Default for TrainConfig {
    fn default() -> Self {
        Self {
            epochs: 10,
            lr: 0.1,
            accumulate: 1,
            clip_norm: None,
            ema: None,
            patience: None,
            folder: None,
            save_every: 0,
            log_every: 10,
            fingerprint: String::new(),
        }
    }
}

/// How training ended.
#[derive(Clone, Debug)]
pub struct Outcome {
    /// False when a hook interrupted it.
    pub finished: bool,
    /// One record an epoch.
    pub history: Vec<Record>,
    /// Index of the best epoch in `history`.
    pub best: Option<usize>,
}

/// Trains the variables of a map.
pub struct Trainer<'a> {
    config: TrainConfig,
    vars: VarMap,
    params: Params,
    optimizer: Box<dyn Optimizer>,
    schedule: Box<dyn Schedule>,
    ema: Option<Ema>,
    hooks: Vec<Box<dyn Hook + 'a>>,
    state: State,
    best: BTreeMap<String, Tensor>,
    unread: Vec<Tensor>,
}

impl<'a> Trainer<'a> {
    /// Trains `params`, which are variables of `vars`.
    ///
    /// # Errors
    /// [`Error::Invalid`] for impossible values.
    pub fn new(
        config: TrainConfig,
        vars: &VarMap,
        params: Params,
        optimizer: Box<dyn Optimizer>,
        schedule: Box<dyn Schedule>,
    ) -> Result<Self> {
        let invalid = |why: &str| Err(Error::Invalid(why.into()));
        match &config {
            c if c.epochs == 0 || c.accumulate == 0 || c.log_every == 0 => {
                return invalid("epochs, accumulate and log_every must be at least 1");
            }
            c if !(c.lr > 0.0 && c.lr.is_finite()) => return invalid("lr must be positive"),
            c if c.ema.is_some_and(|d| !(0.0..1.0).contains(&d)) => return invalid("ema must be in 0..1"),
            c if c.clip_norm.is_some_and(|n| n <= 0.0) => return invalid("clip_norm must be positive"),
            _ => {}
        }
        let ema = config.ema.map(|decay| Ema::new(vars, decay)).transpose()?;
        let state = State { fingerprint: config.fingerprint.clone(), ..State::default() };
        let (vars, hooks, best) = (vars.clone(), vec![], BTreeMap::new());
        Ok(Self { config, vars, params, optimizer, schedule, ema, hooks, state, best, unread: vec![] })
    }

    /// With an observer; observers are asked in the order in which they were added.
    pub fn with_hook(mut self, hook: impl Hook + 'a) -> Self {
        self.hooks.push(Box::new(hook));
        self
    }

    /// Where training is.
    pub fn state(&self) -> &State {
        &self.state
    }

    /// Goes back to the checkpoint in the folder, if there is one: the next [`Trainer::fit`] goes on from it, bit by bit.
    ///
    /// # Errors
    /// [`Error::Checkpoint`] when it is broken, or made by another model or configuration.
    pub fn resume(&mut self) -> Result<bool> {
        let Some(folder) = self.config.folder.clone() else { return Ok(false) };
        let path = folder.join("last.safetensors");
        if !path.exists() {
            return Ok(false);
        }
        let mut checkpoint = Checkpoint::read(&path)?;
        let state = checkpoint.state.take().unwrap_or_default();
        let state: State =
            serde_json::from_str(&state).map_err(|e| broken(&path, &format!("its state is unreadable: {e}")))?;
        if state.fingerprint != self.config.fingerprint {
            return Err(broken(&path, "it was made with another configuration; use another folder"));
        }
        let (optimizer, ema) = (checkpoint.take("optimizer."), checkpoint.take("ema."));
        restore(&self.vars, &checkpoint.tensors, &path)?;
        self.optimizer.restore(optimizer)?;
        if let Some(average) = &mut self.ema {
            average.restore(ema, state.ema_steps);
        }
        if state.best.is_some() {
            let mut best = Checkpoint::read(&folder.join("weights.safetensors"))?.tensors;
            // Whoever trains some variables may have added the others to a finished file.
            let known = variables(&self.vars);
            best.retain(|name, _| known.contains_key(name));
            self.best = best;
        }
        self.state = state;
        Ok(true)
    }

    /// Runs to the end or until a hook interrupts.
    ///
    /// `batches(epoch, first)` gives the batches of an epoch from the `first` one on; `validate(epoch)` scores the current
    /// weights (the averaged ones with EMA), or says `None` where there is nothing to validate on. At the end the
    /// variables hold the weights of the best epoch, or of the last one without validation.
    ///
    /// # Errors
    /// Whatever data, tensors, validation, hooks and disk have to say; a parameter without a gradient; a loss that is no number.
    pub fn fit<T: Task, I, E, V>(
        &mut self,
        task: &T,
        batches_per_epoch: usize,
        mut batches: impl FnMut(usize, usize) -> I,
        mut validate: impl FnMut(usize) -> Result<Option<Scores>, V>,
    ) -> Result<Outcome>
    where
        I: IntoIterator<Item = Result<T::Batch, E>>,
        E: Into<BoxError>,
        V: Into<BoxError>,
    {
        let steps_per_epoch = batches_per_epoch.div_ceil(self.config.accumulate);
        while !self.state.finished {
            let (mut pending, mut flow) = (Pending::default(), Flow::Continue);
            for batch in batches(self.state.epoch, self.state.batch) {
                let batch = batch.map_err(|error| Error::Batch(error.into()))?;
                let (epoch, step) = (self.state.epoch, self.state.step);
                let at = Progress { epoch, step, steps_per_epoch, epochs: self.config.epochs };
                let loss = task.loss(&batch, at)?;
                pending.add(Gradients::take(&loss.backward()?, &self.params)?, loss.detach())?;
                self.state.batch += 1;
                if pending.count < self.config.accumulate && self.state.batch < batches_per_epoch {
                    continue;
                }
                let (gradients, loss) = std::mem::take(&mut pending).mean()?;
                let gradients = match self.config.clip_norm {
                    Some(limit) => clip::by_norm(gradients, limit)?,
                    None => gradients,
                };
                let lr = self.config.lr * self.schedule.factor(at);
                self.optimizer.step(&self.params, &gradients, lr)?;
                if let Some(ema) = &mut self.ema {
                    ema.update(&self.vars)?;
                }
                self.state.step += 1;
                self.unread.push(loss);
                flow = self.after_step(lr)?;
                if flow != Flow::Continue {
                    break;
                }
            }
            if flow == Flow::Interrupt {
                return self.leave();
            }
            self.read_losses()?;
            let scores = validate(self.swapped()?).map_err(|error| Error::Validation(error.into()))?;
            if self.after_epoch(flow, scores)? {
                return self.leave();
            }
        }
        if !self.best.is_empty() {
            restore(&self.vars, &self.best, self.config.folder.as_deref().unwrap_or(std::path::Path::new("memory")))?;
        }
        Ok(self.outcome())
    }

    /// Tells hooks about a step and saves where it is time to.
    fn after_step(&mut self, lr: f64) -> Result<Flow> {
        let (epoch, step) = (self.state.epoch, self.state.step);
        let save = self.config.save_every > 0 && step.is_multiple_of(self.config.save_every);
        let log = step.is_multiple_of(self.config.log_every);
        let loss = if log || save { self.read_losses()? } else { None };
        let flow = self.tell(&Event::Step { epoch, step, loss: loss.filter(|_| log), lr })?;
        if save && flow == Flow::Continue {
            self.save()?;
        }
        Ok(flow)
    }

    /// Puts the averaged weights in place for validation; returns the epoch.
    fn swapped(&mut self) -> Result<usize> {
        if let Some(ema) = &mut self.ema {
            ema.swap(&self.vars)?;
        }
        Ok(self.state.epoch)
    }

    /// Keeps the best weights, tells hooks, decides whether this was the end, saves. Returns whether a hook interrupts.
    fn after_epoch(&mut self, flow: Flow, scores: Option<Scores>) -> Result<bool> {
        let decisive = |record: &Record| record.scores.as_ref().map(|s| s.decisive);
        let so_far = self.state.best.and_then(|best| decisive(&self.state.history[best]));
        let best = match (&scores, so_far) {
            (Some(scores), Some(so_far)) => scores.decisive > so_far || so_far.is_nan(),
            _ => true,
        };
        let state = &mut self.state;
        let loss = state.loss_sum / state.loss_count.max(1) as f64;
        state.history.push(Record { epoch: state.epoch, loss, scores: scores.clone() });
        state.stale = if best { 0 } else { state.stale + 1 };
        if best {
            state.best = Some(state.history.len() - 1);
            self.best = snapshot(&self.vars)?;
            if let Some(folder) = &self.config.folder {
                // Before the checkpoint: a kill in between only repeats this epoch.
                let weights = Checkpoint { tensors: self.best.clone(), state: None };
                weights.write(&folder.join("weights.safetensors"))?;
            }
        }
        self.swapped()?;
        let (epoch, step) = (self.state.epoch, self.state.step);
        let scores = scores.unwrap_or_default();
        let asked = self.tell(&Event::Epoch { epoch, step, loss, scores: &scores, best })?;
        let state = &mut self.state;
        (state.epoch, state.batch, state.loss_sum, state.loss_count) = (epoch + 1, 0, 0.0, 0);
        let tired = self.config.patience.is_some_and(|patience| state.stale >= patience.max(1));
        state.finished = state.epoch >= self.config.epochs || tired || flow == Flow::Stop || asked == Flow::Stop;
        self.save()?;
        Ok(asked == Flow::Interrupt && !self.state.finished)
    }

    /// Asks all hooks; the strongest wish wins.
    fn tell(&mut self, event: &Event<'_>) -> Result<Flow> {
        let mut wish = Flow::Continue;
        for hook in &mut self.hooks {
            wish = match (wish, hook.on(event).map_err(Error::Hook)?) {
                (Flow::Interrupt, _) | (_, Flow::Interrupt) => Flow::Interrupt,
                (Flow::Stop, _) | (_, Flow::Stop) => Flow::Stop,
                _ => Flow::Continue,
            };
        }
        Ok(wish)
    }

    /// Reads the losses since the last time into the epoch's sum, and gives the last one.
    fn read_losses(&mut self) -> Result<Option<f64>> {
        let mut last = None;
        for loss in std::mem::take(&mut self.unread) {
            let loss = loss.to_dtype(DType::F64)?.to_scalar::<f64>()?;
            if !loss.is_finite() {
                return Err(Error::NotFinite { epoch: self.state.epoch, step: self.state.step, loss });
            }
            self.state.loss_sum += loss;
            self.state.loss_count += 1;
            last = Some(loss);
        }
        Ok(last)
    }

    fn leave(&mut self) -> Result<Outcome> {
        self.read_losses()?;
        self.save()?;
        Ok(self.outcome())
    }

    fn outcome(&self) -> Outcome {
        let State { finished, history, best, .. } = &self.state;
        Outcome { finished: *finished, history: history.clone(), best: *best }
    }

    /// Writes `last.safetensors`, the checkpoint, and `state.json`, its readable copy.
    fn save(&mut self) -> Result<()> {
        let Some(folder) = self.config.folder.clone() else { return Ok(()) };
        let mut tensors = snapshot(&self.vars)?;
        tensors.extend(self.optimizer.state().into_iter().map(|(name, t)| (format!("optimizer.{name}"), t)));
        if let Some(ema) = &self.ema {
            let (shadow, steps) = ema.state();
            self.state.ema_steps = steps;
            tensors.extend(shadow.iter().map(|(name, t)| (format!("ema.{name}"), t.clone())));
        }
        let text = |state: &State| serde_json::to_string_pretty(state).unwrap_or_default();
        let state = text(&self.state);
        Checkpoint { tensors, state: Some(state.clone()) }.write(&folder.join("last.safetensors"))?;
        write_atomic(&folder.join("state.json"), state.as_bytes())
    }
}

/// Gradients and losses of the micro-batches of one step.
#[derive(Default)]
struct Pending {
    gradients: Option<Gradients>,
    loss: Option<Tensor>,
    count: usize,
}

impl Pending {
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

    fn mean(self) -> Result<(Gradients, Tensor)> {
        let share = 1.0 / self.count as f64;
        match (self.gradients, self.loss) {
            (Some(gradients), Some(loss)) => Ok((gradients.scale(share)?, (loss * share)?)),
            _ => Err(Error::Invalid("an optimizer step without a batch".into())),
        }
    }
}
