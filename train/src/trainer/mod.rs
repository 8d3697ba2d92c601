//! The loop.

mod config;
mod epoch;
mod guard;
mod micro_batches;
mod saving;
mod step;

pub use config::TrainConfig;

use crate::average::{Ema, Swa};
use crate::checkpoint::{Record, State, restore};
use crate::error::{BoxError, Error, Result};
use crate::event::{Event, Flow, Hook, Scores};
use crate::optim::{Optimizer, Pace};
use crate::params::Params;
use crate::precision::{Copies, LossScale};
use crate::schedule::Schedule;
use crate::task::{Progress, Task};
use candle_core::Tensor;
use candle_nn::VarMap;
use guard::Unread;
use micro_batches::Pending;
use std::collections::BTreeMap;
use std::path::Path;

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
    all: Params,
    /// Those of all that learn in this epoch.
    params: Params,
    /// The same as the network that learns has them: where there are copies, those.
    read: Params,
    optimizer: Box<dyn Optimizer>,
    schedule: Box<dyn Schedule>,
    ema: Option<Ema>,
    swa: Option<Swa>,
    copies: Option<Copies>,
    refresh: Option<Refresh<'a>>,
    hooks: Vec<Box<dyn Hook + 'a>>,
    state: State,
    best: BTreeMap<String, Tensor>,
    /// Everything that a step changes, as it was when all was well.
    good: BTreeMap<String, Tensor>,
    /// The same of a later step, until losses have shown that all was well.
    candidate: BTreeMap<String, Tensor>,
    unread: Vec<Unread>,
    /// Of the last gradients, where it was asked for.
    gradient_norm: f64,
    /// What the last loss that was logged was made of.
    parts: Vec<(String, f64)>,
}

type Refresh<'a> = Box<dyn FnMut(usize) -> Result<(), BoxError> + 'a>;

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
        config.validate()?;
        let first = params.learning(0);
        if first.0.is_empty() && !params.0.is_empty() {
            return Err(Error::Invalid("no parameter learns in epoch 0; let some start there".into()));
        }
        let ema = config.ema.map(|decay| Ema::new(vars, decay, config.ema_rise)).transpose()?;
        let swa = config.swa.map(|_| Swa::new(vars)).transpose()?;
        let loss_scale = config.loss_scale.map(LossScale::new);
        let state =
            State { fingerprint: config.fingerprint.clone(), loss_scale, pieces: config.pieces, ..State::default() };
        Ok(Self {
            config,
            vars: vars.clone(),
            all: params,
            read: first.clone(),
            params: first,
            optimizer,
            schedule,
            ema,
            swa,
            copies: None,
            refresh: None,
            hooks: vec![],
            state,
            best: BTreeMap::new(),
            good: BTreeMap::new(),
            candidate: BTreeMap::new(),
            unread: vec![],
            gradient_norm: 0.0,
            parts: vec![],
        })
    }

    /// With a way to measure running statistics anew: it is called with the epoch when equally averaged weights (`swa`) are in
    /// place, before validation, and sets the statistics by a pass over training batches, as `torch.optim.swa_utils.update_bn`.
    pub fn with_refresh(mut self, refresh: impl FnMut(usize) -> Result<(), BoxError> + 'a) -> Self {
        self.refresh = Some(Box::new(refresh));
        self
    }

    /// With copies of the variables in another type, BF16 or F16, under the same names, which the network that learns reads: mixed
    /// precision. The trainer's own variables are the truth, which the optimizer moves, averages and checkpoints are of, and
    /// validation and [`Trainer::with_refresh`] should look at; the copies are set from them. Gradients are those of the copies,
    /// in the types of the variables; running statistics, which may be F32 among the copies, go the other way after each step.
    ///
    /// # Errors
    /// [`Error::Invalid`] names the first variable that is missing, left over or of another shape.
    pub fn with_copies(mut self, copies: &VarMap) -> Result<Self> {
        self.copies = Some(Copies::new(&self.vars, copies)?);
        Ok(self)
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

    /// Runs to the end or until a hook interrupts.
    ///
    /// `batches(epoch, first)` gives the batches of an epoch from the `first` one on; `validate(epoch)` scores the current
    /// weights (the averaged ones with EMA), or says `None` where there is nothing to validate on. At the end the
    /// variables hold the weights of the best epoch, or of the last one without validation.
    ///
    /// # Errors
    /// Whatever data, tensors, validation, hooks and disk have to say; a parameter without a gradient; a loss that is no
    /// number; steps that are all skipped because of their gradients.
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
        self.set_copies(None)?;
        if self.good.is_empty() {
            self.keep_good()?;
        }
        while !self.state.finished {
            self.begin_epoch()?;
            let (mut pending, mut flow) = (Pending::default(), Flow::Continue);
            for batch in batches(self.state.epoch, self.state.batch) {
                let batch = batch.map_err(|error| Error::Batch(error.into()))?;
                let (epoch, step) = (self.state.epoch, self.state.step);
                let at = Progress { epoch, step, steps_per_epoch, epochs: self.config.epochs };
                if pending.count == 0 && self.state.loss_scale.is_some() {
                    pending.statistics = self.statistics()?;
                }
                self.add(task, batch, at, &mut pending)?;
                self.state.batch += 1;
                if !self.optimizer.climbs() {
                    pending.batches.clear();
                }
                if pending.count < self.config.accumulate && self.state.batch < batches_per_epoch {
                    continue;
                }
                let lr = self.step(task, std::mem::take(&mut pending), at)?;
                flow = self.after_step(at, lr)?;
                if flow != Flow::Continue {
                    break;
                }
            }
            if flow == Flow::Interrupt {
                return self.leave();
            }
            self.read_losses()?;
            self.check_epoch()?;
            let scores = validate(self.averaged()?).map_err(|error| Error::Validation(error.into()))?;
            if self.after_epoch(flow, scores)? {
                return self.leave();
            }
        }
        if !self.best.is_empty() {
            restore(&self.vars, &self.best, self.config.folder.as_deref().unwrap_or(Path::new("memory")))?;
            self.set_copies(None)?;
        }
        Ok(self.outcome())
    }

    /// Sets the copies, where there are any, from the variables: all of them, or only `these`.
    fn set_copies(&self, these: Option<&Params>) -> Result<()> {
        Ok(self.copies.iter().try_for_each(|copies| copies.set(these))?)
    }

    /// What the schedule says about a step.
    fn pace(&self, at: Progress) -> Pace {
        let (schedule, history) = (&self.schedule, &self.state.history);
        let lr = self.config.lr * schedule.factor(at, history) * 0.5f64.powi(self.state.rollbacks as i32);
        Pace { lr, momentum: schedule.momentum(at, history), decay: schedule.decay(at, history) }
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

    fn leave(&mut self) -> Result<Outcome> {
        self.read_losses()?;
        self.save()?;
        Ok(self.outcome())
    }

    fn outcome(&self) -> Outcome {
        let State { finished, history, best, .. } = &self.state;
        Outcome { finished: *finished, history: history.clone(), best: *best }
    }
}
