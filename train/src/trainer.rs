//! The loop.

use crate::average::{Ema, Rise, Swa};
use crate::checkpoint::{Checkpoint, Record, State, broken, copies, restore, write_atomic};
use crate::error::{BoxError, Error, Result};
use crate::event::{Event, Flow, Hook, Measures, Scores};
use crate::optim::{Optimizer, Pace};
use crate::params::{Gradients, Params, is_statistic, variables};
use crate::schedule::Schedule;
use crate::task::{Progress, Task};
use crate::{clip, regularize};
use candle_core::{DType, Tensor, Var};
use candle_nn::VarMap;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

/// How to train.
///
/// | field | default | range |
/// |---|---|---|
/// | `epochs` | 10 | ≥ 1 |
/// | `lr` | 0.1 | > 0, multiplied by the schedule |
/// | `accumulate` | 1 | micro-batches per step, averaged; a last group may be smaller |
/// | `centralize` | false | whether each unit's mean is taken out of its gradient |
/// | `clip_unit` | none | largest length of a unit's gradient over the unit's own (adaptive clipping) |
/// | `clip_unit_except` | ["head."] | beginnings of names that it leaves alone |
/// | `clip_value` | none | largest number in a gradient |
/// | `clip_norm` | none | largest global norm of the gradients |
/// | `l1` | none | ≥ 0, pulls weights that decay to exactly 0 |
/// | `ema` | none | decay of the averaged weights, 0..1; validation and the result use the average |
/// | `ema_rise` | "tensorflow" | how the decay rises: "tensorflow", "timm", "none" |
/// | `swa` | none | 0..1, share of the epochs after which their weights are averaged equally; used as with `ema` |
/// | `snapshots` | false | whether weights at the ends of the schedule's cycles are kept, as `snapshot<k>.safetensors` |
/// | `guard` | 0 | steps between states in memory to which a loss that is no number leads back; 0: it is an error |
/// | `spike` | none | > 1, a loss of so many times the usual one leads back as well |
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
    /// Gradient centralization.
    pub centralize: bool,
    /// Adaptive gradient clipping.
    pub clip_unit: Option<f64>,
    /// Beginnings of names of parameters that are not clipped by unit.
    pub clip_unit_except: Vec<String>,
    /// Largest number in a gradient.
    pub clip_value: Option<f64>,
    /// Largest global gradient norm.
    pub clip_norm: Option<f64>,
    /// L1 penalty.
    pub l1: Option<f64>,
    /// Decay of the averaged weights.
    pub ema: Option<f64>,
    /// How it rises.
    pub ema_rise: Rise,
    /// Where stochastic weight averaging begins.
    pub swa: Option<f64>,
    /// Whether weights are kept at the ends of cycles.
    pub snapshots: bool,
    /// Steps between states that can be gone back to.
    pub guard: usize,
    /// What a loss may be over the usual one.
    pub spike: Option<f64>,
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
            centralize: false,
            clip_unit: None,
            clip_unit_except: vec!["head.".into()],
            clip_value: None,
            clip_norm: None,
            l1: None,
            ema: None,
            ema_rise: Rise::Tensorflow,
            swa: None,
            snapshots: false,
            guard: 0,
            spike: None,
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
    swa: Option<Swa>,
    refresh: Option<Refresh<'a>>,
    hooks: Vec<Box<dyn Hook + 'a>>,
    state: State,
    best: BTreeMap<String, Tensor>,
    /// Everything that a step changes, as it was when all was well.
    good: BTreeMap<String, Tensor>,
    unread: Vec<Tensor>,
    /// Of the last gradients, where it was asked for.
    gradient_norm: f64,
}

type Refresh<'a> = Box<dyn FnMut(usize) -> Result<(), BoxError> + 'a>;

/// After how many returns to a good state training gives up.
const MOST_ROLLBACKS: usize = 16;

/// Losses before one can be called unusual.
const USUAL_AFTER: usize = 20;

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
            c if c.clip_value.is_some_and(|n| n <= 0.0) => return invalid("clip_value must be positive"),
            c if c.clip_unit.is_some_and(|n| n <= 0.0) => return invalid("clip_unit must be positive"),
            c if c.l1.is_some_and(|n| n.is_nan() || n < 0.0) => return invalid("l1 must be at least 0"),
            c if c.swa.is_some_and(|d| !(0.0..1.0).contains(&d)) => return invalid("swa must be in 0..1"),
            c if c.swa.is_some() && c.ema.is_some() => return invalid("ema and swa exclude each other"),
            c if c.snapshots && c.folder.is_none() => return invalid("snapshots need a folder"),
            c if c.spike.is_some_and(|s| s.is_nan() || s <= 1.0) => return invalid("spike must be more than 1"),
            c if c.spike.is_some() && c.guard == 0 => return invalid("spike needs guard"),
            _ => {}
        }
        let ema = config.ema.map(|decay| Ema::new(vars, decay, config.ema_rise)).transpose()?;
        let swa = config.swa.map(|_| Swa::new(vars)).transpose()?;
        let state = State { fingerprint: config.fingerprint.clone(), ..State::default() };
        Ok(Self {
            config,
            vars: vars.clone(),
            params,
            optimizer,
            schedule,
            ema,
            swa,
            refresh: None,
            hooks: vec![],
            state,
            best: BTreeMap::new(),
            good: BTreeMap::new(),
            unread: vec![],
            gradient_norm: 0.0,
        })
    }

    /// With a way to measure running statistics anew: it is called with the epoch when equally averaged weights (`swa`) are in
    /// place, before validation, and sets the statistics by a pass over training batches, as `torch.optim.swa_utils.update_bn`.
    pub fn with_refresh(mut self, refresh: impl FnMut(usize) -> Result<(), BoxError> + 'a) -> Self {
        self.refresh = Some(Box::new(refresh));
        self
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
        self.good = checkpoint.take("good/");
        self.put(checkpoint, state.averaged, &path)?;
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
        self.keep_good(self.good.is_empty())?;
        while !self.state.finished {
            let (mut pending, mut flow) = (Pending::default(), Flow::Continue);
            for batch in batches(self.state.epoch, self.state.batch) {
                let batch = batch.map_err(|error| Error::Batch(error.into()))?;
                let (epoch, step) = (self.state.epoch, self.state.step);
                let at = Progress { epoch, step, steps_per_epoch, epochs: self.config.epochs };
                pending.add(task, batch, at, &self.params)?;
                self.state.batch += 1;
                if !self.optimizer.climbs() {
                    pending.batches.clear();
                }
                if pending.count < self.config.accumulate && self.state.batch < batches_per_epoch {
                    continue;
                }
                let (gradients, loss, seen) = std::mem::take(&mut pending).mean()?;
                let gradients = self.climb(task, gradients, seen, at)?;
                let pace = self.pace(at);
                self.learn(gradients, pace)?;
                self.unread.push(loss);
                flow = self.after_step(task, at, pace.lr)?;
                if flow != Flow::Continue {
                    break;
                }
            }
            if flow == Flow::Interrupt {
                return self.leave();
            }
            self.read_losses()?;
            let scores = validate(self.averaged()?).map_err(|error| Error::Validation(error.into()))?;
            if self.after_epoch(flow, scores)? {
                return self.leave();
            }
        }
        if !self.best.is_empty() {
            restore(&self.vars, &self.best, self.config.folder.as_deref().unwrap_or(Path::new("memory")))?;
        }
        Ok(self.outcome())
    }

    /// What the schedule says about a step.
    fn pace(&self, at: Progress) -> Pace {
        let (schedule, history) = (&self.schedule, &self.state.history);
        let lr = self.config.lr * schedule.factor(at, history) * 0.5f64.powi(self.state.rollbacks as i32);
        Pace { lr, momentum: schedule.momentum(at, history), decay: schedule.decay(at, history) }
    }

    /// The gradients of the same batches where the optimizer climbs to, if it does. Running statistics do not notice.
    fn climb<T: Task>(
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
    fn learn(&mut self, mut gradients: Gradients, pace: Pace) -> Result<()> {
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
    fn after_step<T: Task>(&mut self, task: &T, at: Progress, lr: f64) -> Result<Flow> {
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

    fn measures(&self, parts: Vec<(String, f64)>, lr: f64) -> Result<Measures> {
        let mut rates: Vec<f64> = self.params.0.iter().map(|p| lr * p.lr_scale).collect();
        rates.sort_by(|a, b| b.total_cmp(a));
        rates.dedup();
        let weights = Gradients(self.params.0.iter().map(|p| p.var.as_detached_tensor()).collect());
        let (gradient_norm, weight_norm) = (self.gradient_norm, clip::global_norm(&weights)?);
        Ok(Measures { parts, rates, gradient_norm, weight_norm, rollbacks: self.state.rollbacks })
    }

    /// Puts the averaged weights in place for validation; returns the epoch.
    fn averaged(&mut self) -> Result<usize> {
        let (epoch, epochs) = (self.state.epoch, self.config.epochs);
        if let (Some(swa), Some(start)) = (&mut self.swa, self.config.swa)
            && (epoch + 1) as f64 > start * epochs as f64
        {
            swa.update(&self.vars)?;
        }
        self.swap()?;
        if let (Some(swa), Some(refresh)) = (&self.swa, &mut self.refresh)
            && swa.count() > 0
        {
            refresh(epoch).map_err(Error::Hook)?;
        }
        Ok(epoch)
    }

    /// Exchanges averaged and current weights, where there are averaged ones.
    fn swap(&mut self) -> Result<()> {
        if let Some(ema) = &mut self.ema {
            ema.swap(&self.vars)?;
        }
        if let Some(swa) = &mut self.swa {
            swa.swap(&self.vars)?;
        }
        Ok(())
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
            self.best = copies(&self.vars)?;
            if let Some(folder) = &self.config.folder {
                // Before the checkpoint: a kill in between only repeats this epoch.
                let weights = Checkpoint { tensors: self.best.clone(), state: None };
                weights.write(&folder.join("weights.safetensors"))?;
            }
        }
        self.swap()?;
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
            let state = &mut self.state;
            let spike = self.config.spike.is_some_and(|spike| loss > spike * state.usual && state.seen >= USUAL_AFTER);
            if !loss.is_finite() || spike {
                self.roll_back(loss)?;
                return Ok(None);
            }
            state.usual = if state.seen == 0 { loss } else { 0.95 * state.usual + 0.05 * loss };
            state.seen += 1;
            state.loss_sum += loss;
            state.loss_count += 1;
            last = Some(loss);
        }
        Ok(last)
    }

    /// Goes back to the last good state, or gives up.
    fn roll_back(&mut self, loss: f64) -> Result<()> {
        let State { epoch, step, rollbacks, averaged, .. } = self.state;
        if self.good.is_empty() || rollbacks >= MOST_ROLLBACKS {
            return Err(Error::NotFinite { epoch, step, loss });
        }
        self.state.rollbacks += 1;
        let tensors = self.good.clone();
        self.put(Checkpoint { tensors, state: None }, averaged, Path::new("memory"))
    }

    /// Keeps the current state as a good one where one is wanted.
    fn keep_good(&mut self, now: bool) -> Result<()> {
        if now && self.config.guard > 0 {
            self.good = self.tensors()?;
        }
        Ok(())
    }

    /// Copies of everything that steps change.
    fn tensors(&mut self) -> Result<BTreeMap<String, Tensor>> {
        let mut tensors = copies(&self.vars)?;
        tensors.extend(self.optimizer.state()?.into_iter().map(|(name, t)| (format!("optimizer.{name}"), t)));
        let average = match (&self.ema, &self.swa) {
            (Some(ema), _) => Some(ema.state()?),
            (_, Some(swa)) => Some(swa.state()?),
            _ => None,
        };
        if let Some((shadow, count)) = average {
            self.state.averaged = count;
            tensors.extend(shadow.into_iter().map(|(name, t)| (format!("average.{name}"), t)));
        }
        Ok(tensors)
    }

    /// Takes back what [`Trainer::tensors`] gave.
    fn put(&mut self, mut checkpoint: Checkpoint, averaged: usize, path: &Path) -> Result<()> {
        let (optimizer, average) = (checkpoint.take("optimizer."), checkpoint.take("average."));
        restore(&self.vars, &checkpoint.tensors, path)?;
        self.optimizer.restore(optimizer)?;
        if let Some(ema) = &mut self.ema {
            ema.restore(average, averaged)?;
        } else if let Some(swa) = &mut self.swa {
            swa.restore(average, averaged)?;
        }
        Ok(())
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
        let mut tensors = self.tensors()?;
        tensors.extend(self.good.iter().map(|(name, t)| (format!("good/{name}"), t.clone())));
        let text = |state: &State| serde_json::to_string_pretty(state).unwrap_or_default();
        let state = text(&self.state);
        Checkpoint { tensors, state: Some(state.clone()) }.write(&folder.join("last.safetensors"))?;
        write_atomic(&folder.join("state.json"), state.as_bytes())
    }
}

/// Gradients and losses of the micro-batches of one step.
struct Pending<B> {
    gradients: Option<Gradients>,
    loss: Option<Tensor>,
    count: usize,
    batches: Vec<B>,
}

impl<B> Default for Pending<B> {
    fn default() -> Self {
        Self { gradients: None, loss: None, count: 0, batches: vec![] }
    }
}

impl<B> Pending<B> {
    fn add<T: Task<Batch = B>>(&mut self, task: &T, batch: B, at: Progress, params: &Params) -> Result<()> {
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
    fn mean(self) -> Result<(Gradients, Tensor, Vec<B>)> {
        let share = 1.0 / self.count as f64;
        match (self.gradients, self.loss) {
            (Some(gradients), Some(loss)) => Ok((gradients.scale(share)?, (loss * share)?, self.batches)),
            _ => Err(Error::Invalid("an optimizer step without a batch".into())),
        }
    }
}
