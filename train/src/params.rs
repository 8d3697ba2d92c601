//! What is trained, and how each part of it: order, rates, decay, freezing in one place.

use crate::error::{Error, Result};
use candle_core::backprop::GradStore;
use candle_core::{Tensor, Var};
use candle_nn::VarMap;
use std::collections::BTreeMap;
use std::sync::PoisonError;

/// All variables of a map, sorted by name: a map's own order is random.
pub fn variables(vars: &VarMap) -> BTreeMap<String, Var> {
    let vars = vars.data().lock().unwrap_or_else(PoisonError::into_inner);
    vars.iter().map(|(name, var)| (name.clone(), var.clone())).collect()
}

/// Whether a variable is a running statistic: state, not a parameter.
pub fn is_statistic(name: &str) -> bool {
    let last = name.rsplit('.').next().unwrap_or(name);
    ["running_mean", "running_var", "num_batches_tracked"].contains(&last)
}

/// A parameter and how it is trained.
#[derive(Clone, Debug)]
pub struct Param {
    /// Name of the variable.
    pub name: String,
    /// The variable.
    pub var: Var,
    /// Multiplies the learning rate.
    pub lr_scale: f64,
    /// Whether weight decay applies.
    pub decay: bool,
    /// First epoch, from 0 on, in which it learns. Before, it is as if it were frozen.
    pub from: usize,
}

/// The trained parameters, sorted by name.
#[derive(Clone, Debug)]
pub struct Params(pub Vec<Param>);

impl Params {
    /// All variables but running statistics; `lr_scale` gives a factor of the learning rate, `None` freezes. All decay.
    pub fn new(vars: &VarMap, lr_scale: impl Fn(&str) -> Option<f64>) -> Self {
        let trained = variables(vars).into_iter().filter(|(name, _)| !is_statistic(name));
        let params = trained.filter_map(|(name, var)| {
            let lr_scale = lr_scale(&name)?;
            Some(Param { name, var, lr_scale, decay: true, from: 0 })
        });
        Self(params.collect())
    }

    /// Says for each name and shape whether weight decay applies.
    pub fn with_decay(mut self, decays: impl Fn(&str, &[usize]) -> bool) -> Self {
        for param in &mut self.0 {
            param.decay = decays(&param.name, param.var.dims());
        }
        self
    }

    /// Says for each name in which epoch, from 0 on, it begins to learn: gradual unfreezing (Howard & Ruder, "Universal language
    /// model fine-tuning for text classification", 2018). At the beginning of an epoch in which more parameters learn than in
    /// the one before, the optimizer forgets everything, as that of a fastai learner after `unfreeze`.
    pub fn with_start(mut self, epoch: impl Fn(&str) -> usize) -> Self {
        for param in &mut self.0 {
            param.from = epoch(&param.name);
        }
        self
    }

    /// Those that learn in `epoch`.
    pub fn learning(&self, epoch: usize) -> Self {
        Self(self.0.iter().filter(|param| param.from <= epoch).cloned().collect())
    }
}

/// One gradient for each parameter, in the same order.
#[derive(Clone, Debug)]
pub struct Gradients(pub Vec<Tensor>);

impl Gradients {
    /// Takes the gradients out of `store`, detached, so that no graph stays alive.
    ///
    /// # Errors
    /// [`Error::DeadParameters`] names every parameter without one.
    pub fn take(store: &GradStore, params: &Params) -> Result<Self> {
        let found: Vec<Option<&Tensor>> = params.0.iter().map(|p| store.get(&p.var)).collect();
        let dead = params.0.iter().zip(&found).filter(|(_, g)| g.is_none()).map(|(p, _)| p.name.clone());
        let names: Vec<String> = dead.collect();
        if !names.is_empty() {
            return Err(Error::DeadParameters { names, total: params.0.len() });
        }
        Ok(Self(found.into_iter().flatten().map(|g| g.detach().contiguous()).collect::<Result<_, _>>()?))
    }

    /// In the types of `params`.
    pub(crate) fn cast(self, params: &Params) -> Result<Self> {
        let cast = self.0.into_iter().zip(&params.0).map(|(g, param)| g.to_dtype(param.var.dtype()));
        Ok(Self(cast.collect::<Result<_, _>>()?))
    }

    /// `self + other`, parameter by parameter.
    pub fn plus(self, other: Self) -> Result<Self> {
        Ok(Self(self.0.iter().zip(&other.0).map(|(a, b)| a + b).collect::<Result<_, _>>()?))
    }

    /// All gradients times `factor`.
    pub fn scale(self, factor: f64) -> Result<Self> {
        if factor == 1.0 {
            return Ok(self);
        }
        Ok(Self(self.0.iter().map(|g| g * factor).collect::<Result<_, _>>()?))
    }
}
