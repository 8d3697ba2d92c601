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

    /// The groups that have one learning rate, from the highest on: a name and the `lr_scale`. The name is what their names have
    /// in common up to a dot, or else how many they are; where two groups would have the same one, the scale is added.
    pub fn groups(&self) -> Vec<(String, f64)> {
        let mut sorted: Vec<&Param> = self.0.iter().collect();
        sorted.sort_by(|a, b| b.lr_scale.total_cmp(&a.lr_scale));
        let mut groups: Vec<(String, f64)> = vec![];
        for group in sorted.chunk_by(|a, b| a.lr_scale == b.lr_scale) {
            let (name, scale) = (common_name(group), group[0].lr_scale);
            let taken = groups.iter().any(|(other, _)| *other == name);
            groups.push((if taken { format!("{name} ×{scale}") } else { name }, scale));
        }
        groups
    }

    /// Those that learn in `epoch`.
    pub fn learning(&self, epoch: usize) -> Self {
        Self(self.0.iter().filter(|param| param.from <= epoch).cloned().collect())
    }
}

/// What the names of `params` have in common up to a dot, or how many they are.
fn common_name(params: &[&Param]) -> String {
    let parts = |param: &Param| param.name.split('.').map(String::from).collect::<Vec<_>>();
    let shared = params.iter().map(|param| parts(param)).reduce(|a, b| {
        let same = a.iter().zip(&b).take_while(|(a, b)| a == b).count();
        a[..same].to_vec()
    });
    match shared.unwrap_or_default().join(".") {
        none if none.is_empty() => format!("{} parameters", params.len()),
        name => name,
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

#[cfg(test)]
mod tests {
    use super::*;
    use candle_core::{DType, Device};

    #[test]
    fn groups_have_telling_names() {
        let vars = VarMap::new();
        let names =
            ["backbone.conv1.weight", "backbone.layer1.0.weight", "backbone.layer1.1.bias", "backbone.norm.bias"];
        for name in names.into_iter().chain(["head.bias", "head.weight", "log_scale"]) {
            let var = Var::zeros(1, DType::F32, &Device::Cpu).unwrap();
            vars.data().lock().unwrap().insert(name.into(), var);
        }
        let groups = |scale: fn(&str) -> Option<f64>| Params::new(&vars, scale).groups();
        let by_depth = groups(|name| match name {
            "log_scale" => None,
            name if name.starts_with("head") => Some(1.0),
            name if name.contains("layer1") => Some(0.1),
            _ => Some(0.01),
        });
        assert_eq!(by_depth, [("head".into(), 1.0), ("backbone.layer1".into(), 0.1), ("backbone".into(), 0.01)]);
        assert_eq!(groups(|_| Some(0.5)), [("7 parameters".into(), 0.5)]);
        let twice = groups(|name| match name {
            "log_scale" => Some(2.0),
            "backbone.conv1.weight" | "backbone.layer1.0.weight" => Some(0.5),
            "backbone.layer1.1.bias" | "backbone.norm.bias" => Some(0.25),
            _ => None,
        });
        assert_eq!(twice, [("log_scale".into(), 2.0), ("backbone".into(), 0.5), ("backbone ×0.25".into(), 0.25)]);
    }
}
