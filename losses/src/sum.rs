//! Several losses at once.

use crate::error::{Error, Result};
use crate::loss::{Loss, check_factor, require};
use crate::{build, resolve};
use candle_core::{Tensor, bail};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use std::mem::take;

/// `ℓ = Σᵢ wᵢ ℓᵢ` of losses that read the same output and target; probabilities are the first one's.
///
/// In recipes `{name = "sum", of = [{name = "bce"}, {name = "soft_f1", weight = 0.5}]}`: each has its own parameters
/// beside `name` and `weight`; none is a sum again. A batch's loss is the sum of those that the losses say, so that
/// each keeps its own kind of mean.
///
/// | field | default | range |
/// |---|---|---|
/// | `of` | none | at least one loss, each with a `weight` of at least 0, by default 1 |
#[derive(Debug, Default, Serialize, Deserialize)]
#[serde(try_from = "Spec")]
pub struct Sum {
    of: Vec<Term>,
    #[serde(skip)]
    losses: Vec<Box<dyn Loss>>,
}

#[derive(Debug, Serialize, Deserialize)]
struct Term {
    name: String,
    #[serde(default = "one")]
    weight: f64,
    #[serde(flatten)]
    params: Map<String, Value>,
}

fn one() -> f64 {
    1.0
}

#[derive(Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
struct Spec {
    of: Vec<Term>,
}

impl TryFrom<Spec> for Sum {
    type Error = Error;
    fn try_from(Spec { mut of }: Spec) -> Result<Self> {
        let mut losses = vec![];
        // Each would be built three times, for its parameters too, and those in it nine times.
        let flat = of.iter().all(|term| term.name != "sum");
        require("sum", flat, "of cannot have a sum in it, put that one's losses here")?;
        for term in &mut of {
            let params = Value::Object(take(&mut term.params));
            losses.push(build(&term.name, params.clone())?);
            if let Value::Object(params) = resolve(&term.name, params)? {
                term.params = params;
            }
        }
        Ok(Self { of, losses })
    }
}

impl Sum {
    fn add(&self, of: impl Fn(&dyn Loss) -> candle_core::Result<Tensor>) -> candle_core::Result<Tensor> {
        let mut terms = self.of.iter().zip(&self.losses).map(|(term, loss)| of(&**loss)? * term.weight);
        match terms.next() {
            Some(first) => terms.try_fold(first?, |sum, term| sum + term?),
            None => bail!("a sum of no losses"),
        }
    }
}

impl Loss for Sum {
    fn per_sample(&self, output: &Tensor, target: &Tensor) -> candle_core::Result<Tensor> {
        self.add(|loss| loss.per_sample(output, target))
    }
    fn forward(&self, output: &Tensor, target: &Tensor) -> candle_core::Result<Tensor> {
        self.add(|loss| loss.forward(output, target))
    }
    fn probabilities(&self, output: &Tensor) -> candle_core::Result<Tensor> {
        match self.losses.first() {
            Some(loss) => loss.probabilities(output),
            None => bail!("a sum of no losses"),
        }
    }
    fn validate(&self) -> Result<()> {
        require("sum", !self.of.is_empty(), "of needs at least one loss")?;
        self.of.iter().try_for_each(|term| check_factor("sum", "weight", term.weight))
    }
    fn check(&self, classes: usize) -> Result<()> {
        self.losses.iter().try_for_each(|loss| loss.check(classes))
    }
}
