//! Noisy or: Liao et al., "Evaluate the malignancy of pulmonary nodules using the 3D deep leaky noisy-or network", 2019
//! (arXiv 1711.08324).
//!
//! P = 1 − (1 − P_d) Π(1 − P_i) of the views' probabilities P_i and a leak P_d. In logits it needs no difference of nearly
//! equal numbers: the odds of "a or b" are e^a + e^b + e^(a+b), and that is said as a logit again.

use super::{Join, Sizes};
use crate::error::{Error, Result};
use crate::init::Start;
use crate::layers::Variables;
use crate::onnx::{Graph, Value};
use crate::parts::Part;
use crate::pass::Pass;
use candle_core::{Tensor, bail};
use serde::{Deserialize, Serialize};

/// Whether any view shows a class, from one logit of each view for each class.
///
/// | field | default | range |
/// |---|---|---|
/// | `leak` | 0 | 0..1, where the trained probability of a class that no view shows starts; 0: there is none |
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct NoisyOr {
    /// Where the probability of a class that no view shows starts; 0: there is none.
    pub leak: f64,
}

struct Built {
    leak: Option<Tensor>,
}

impl Part<dyn Join, Sizes> for NoisyOr {
    fn check(&self) -> Result<()> {
        match (0.0..1.0).contains(&self.leak) {
            true => Ok(()),
            false => Err(Error::Invalid(format!("noisy_or: leak must be in 0..1, got {}", self.leak))),
        }
    }

    fn build(&self, sizes: Sizes, vars: &mut Variables<'_>) -> Result<Box<dyn Join>> {
        let start = Start::Prior { probability: self.leak };
        let leak = if self.leak > 0.0 { Some(vars.weight("leak", sizes.classes, start)?) } else { None };
        Ok(Box::new(Built { leak }))
    }
}

impl Built {
    fn check_outputs(&self, outputs: usize) -> candle_core::Result<()> {
        match &self.leak {
            Some(leak) if leak.dims() != [outputs] => {
                bail!("noisy_or: the head says {outputs} numbers, but there are {} classes", leak.elem_count())
            }
            _ => Ok(()),
        }
    }
}

impl Join for Built {
    fn forward(&self, views: &Tensor, pass: &Pass<'_>) -> candle_core::Result<Tensor> {
        let (_, count, outputs) = views.dims3()?;
        let view = |i: usize| views.narrow(1, i, 1)?.squeeze(1);
        let mut any = view(0)?;
        for i in 1..count {
            any = either(&any, &view(i)?)?;
        }
        self.check_outputs(outputs)?;
        match &self.leak {
            None => Ok(any),
            Some(leak) => either(&any, &pass.parameter(leak).to_dtype(any.dtype())?.broadcast_as(any.shape())?),
        }
    }

    fn behind(&self) -> bool {
        true
    }

    fn onnx(&self, graph: &mut Graph, views: &Value, (count, outputs): (usize, usize)) -> Result<Value> {
        let mut any = graph.slice(views, 1, 0, 1);
        for i in 1..count {
            let view = graph.slice(views, 1, i, i + 1);
            any = either_onnx(graph, &any, &view);
        }
        if let Some(leak) = &self.leak {
            self.check_outputs(outputs)?;
            let leak = graph.numbers(&leak.reshape((1, 1, outputs))?)?;
            let shape = graph.node("Shape", &[&any], &[]);
            let leak = graph.node("Expand", &[&leak, &shape], &[]);
            any = either_onnx(graph, &any, &leak);
        }
        Ok(graph.flat(&any))
    }
}

/// The logit of "a or b" from both logits.
fn either(a: &Tensor, b: &Tensor) -> candle_core::Result<Tensor> {
    let terms = Tensor::stack(&[a.clone(), b.clone(), (a + b)?], 0)?;
    let top = terms.detach().max_keepdim(0)?;
    top.squeeze(0)? + terms.broadcast_sub(&top)?.exp()?.sum(0)?.log()?
}

/// The same in the operators of ONNX, `[batch, 1, N]` each.
fn either_onnx(graph: &mut Graph, a: &Value, b: &Value) -> Value {
    let both = graph.node("Add", &[a, b], &[]);
    let terms = graph.concat(&[a.clone(), b.clone(), both], 1);
    graph.log_sum_exp(&terms, 1)
}

#[cfg(test)]
mod tests {
    use super::*;
    use candle_core::Device;

    #[test]
    fn logits_far_out_stay_exact_in_single_precision() {
        let or = |views: &[f32]| {
            let views = Tensor::new(views, &Device::Cpu).unwrap().reshape((1, (), 1)).unwrap();
            Built { leak: None }.forward(&views, &Pass::eval()).unwrap().to_vec2::<f32>().unwrap()[0][0]
        };
        assert_eq!((or(&[-3.0]), or(&[80.0, 90.0])), (-3.0, 170.0));
        // 1 - (1 - p)² = 2p to so many digits.
        assert!((or(&[-40.0, -40.0]) - (2f32.ln() - 40.0)).abs() < 1e-5);
        assert!((or(&[0.0, 0.0, 0.0]) - 7f32.ln()).abs() < 1e-6);
    }
}
