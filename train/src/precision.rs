//! Mixed precision: networks that learn in a smaller type than what they learn is kept in (Micikevicius et al., "Mixed precision
//! training", 2018).

use crate::error::{Error, Result};
use crate::optim::rule::{Number, Rule, apply};
use crate::params::{Gradients, Params, is_statistic, variables};
use candle_core::Var;
use candle_nn::VarMap;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// A factor of the loss that keeps small gradients of small types from vanishing; it finds its size itself, as
/// `torch.amp.GradScaler`: a step with gradients that are no numbers is skipped and halves it, 2000 good steps in a row double it.
/// Training ends with an error when it is less than 2⁻²⁴, when an epoch takes no step although it is less than 1, and when there
/// was no step at all: the gradients are no numbers then for another reason.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct LossScale {
    /// The factor.
    pub scale: f64,
    /// Good steps in a row since it last changed.
    pub good: usize,
}

/// Gradients that are no numbers with a smaller scale than the least number of F16 are not so because of it.
pub(crate) const LEAST_SCALE: f64 = 1.0 / (1u32 << 24) as f64;

/// Good steps in a row after which the scale doubles.
const GROWTH_INTERVAL: usize = 2000;

impl LossScale {
    /// Begins with `scale`, > 0.
    pub fn new(scale: f64) -> Self {
        Self { scale, good: 0 }
    }

    /// After a step: whether all its gradients were `finite`.
    pub fn update(&mut self, finite: bool) {
        self.good = if finite { self.good + 1 } else { 0 };
        if !finite {
            self.scale *= 0.5;
        }
        if self.good == GROWTH_INTERVAL {
            self.good = 0;
            // Gradients are F32 at last.
            if self.scale * 2.0 <= f64::from(f32::MAX) {
                self.scale *= 2.0;
            }
        }
    }
}

struct Difference;

impl Rule<0, 1, 1> for Difference {
    fn at<N: Number>(&self, []: [N; 0], [x]: [N; 1]) -> ([N; 0], [N; 1]) {
        ([], [x.clone() - x])
    }
}

/// Whether all numbers are finite: `x − x` is 0 for those, and no number for the others.
pub(crate) fn finite(gradients: &Gradients) -> Result<bool> {
    for g in &gradients.0 {
        let [sum] = apply(&Difference, [], [g])?;
        if sum != 0.0 {
            return Ok(false);
        }
    }
    Ok(true)
}

/// Copies of variables in another type, by name, which the network that learns reads.
pub(crate) struct Copies(Vec<Copy>);

struct Copy {
    name: String,
    own: Var,
    copy: Var,
}

impl Copies {
    /// # Errors
    /// [`Error::Invalid`] names the first variable that is missing, left over or of another shape.
    pub fn new(vars: &VarMap, copies: &VarMap) -> Result<Self> {
        let (own, mut copies) = (variables(vars), variables(copies));
        let pair = |(name, own): (String, Var)| {
            let wrong =
                |what: &str| Err(Error::Invalid(format!("the copies {what} '{name}': make them of the same network")));
            match copies.remove(&name) {
                None => wrong("lack"),
                Some(copy) if copy.dims() != own.dims() => wrong("have another shape of"),
                Some(copy) => Ok(Copy { name, own, copy }),
            }
        };
        let pairs = own.into_iter().map(pair).collect::<Result<_>>()?;
        match copies.keys().next() {
            Some(name) => Err(Error::Invalid(format!("the copies have '{name}', which is no variable of the network"))),
            None => Ok(Self(pairs)),
        }
    }

    /// Sets copies from the variables: all of them, or only `these`.
    pub fn set(&self, these: Option<&Params>) -> candle_core::Result<()> {
        let set = |own: &Var, copy: &Var| copy.set(&own.as_detached_tensor().to_dtype(copy.dtype())?);
        match these {
            None => self.0.iter().try_for_each(|pair| set(&pair.own, &pair.copy)),
            Some(params) => self.pairs(params).try_for_each(|pair| set(&pair.own, &pair.copy)),
        }
    }

    /// Sets running statistics from those that the network that learns has moved.
    pub fn take_statistics(&self) -> candle_core::Result<()> {
        let statistics = self.0.iter().filter(|pair| is_statistic(&pair.name));
        statistics
            .into_iter()
            .try_for_each(|pair| pair.own.set(&pair.copy.as_detached_tensor().to_dtype(pair.own.dtype())?))
    }

    /// `params` with the copies as variables.
    pub fn of(&self, params: &Params) -> Params {
        let mut params = params.clone();
        for param in &mut params.0 {
            if let Ok(i) = self.find(&param.name) {
                param.var = self.0[i].copy.clone();
            }
        }
        params
    }

    /// The copies by name.
    pub fn variables(&self) -> BTreeMap<String, Var> {
        self.0.iter().map(|pair| (pair.name.clone(), pair.copy.clone())).collect()
    }

    fn pairs(&self, params: &Params) -> impl Iterator<Item = &Copy> {
        params.0.iter().filter_map(|param| self.find(&param.name).ok().map(|i| &self.0[i]))
    }

    /// They are sorted by name.
    fn find(&self, name: &str) -> std::result::Result<usize, usize> {
        self.0.binary_search_by(|pair| pair.name.as_str().cmp(name))
    }
}
