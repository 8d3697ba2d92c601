//! Future positions: the baseline of the Lyft motion prediction competition (Houston et al. 2020, arXiv 2006.14480).
//!
//! Reference implementation: l5kit's example (one mode, a linear layer of 4096 features before the last, no activation
//! between) and its well-known form with three modes. The outputs are M·T·2 positions, mode by mode, and M confidences; one
//! mode needs no confidence.

use super::{Head, Sizes};
use crate::error::{Error, Result};
use crate::layers::{Dense, Variables};
use crate::onnx::{Graph, Value};
use crate::ops::softmax;
use crate::parts::Part;
use crate::pass::Pass;
use candle_core::Tensor;
use serde::{Deserialize, Serialize};

/// Several modes of T positions each.
///
/// | field | default | range |
/// |---|---|---|
/// | `modes` | 3 | at least 1 |
/// | `steps` | 50 | at least 1, positions per mode |
/// | `hidden` | 0 | features of a linear layer before the last; 0: none |
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Trajectory {
    /// M.
    pub modes: usize,
    /// T.
    pub steps: usize,
    /// Features of a linear layer before the last; 0: none.
    pub hidden: usize,
}

impl Default for Trajectory {
    fn default() -> Self {
        Self { modes: 3, steps: 50, hidden: 0 }
    }
}

struct Built {
    hidden: Option<Dense>,
    layer: Dense,
    outputs: usize,
}

impl Part<dyn Head, Sizes> for Trajectory {
    fn check(&self) -> Result<()> {
        match self.modes * self.steps > 0 {
            true => Ok(()),
            false => Err(Error::Invalid("trajectory: needs at least one mode and one step".into())),
        }
    }

    fn build(&self, Sizes { inputs, .. }: Sizes, vars: &mut Variables<'_>) -> Result<Box<dyn Head>> {
        let confidences = if self.modes > 1 { self.modes } else { 0 };
        let outputs = self.modes * self.steps * 2 + confidences;
        let (hidden, reads) = match self.hidden {
            0 => (None, inputs),
            width => (Some(Dense::new(vars, "hidden", [inputs, width], true)?), width),
        };
        Ok(Box::new(Built { hidden, layer: Dense::new(vars, "", [reads, outputs], true)?, outputs }))
    }
}

impl Head for Built {
    fn forward(&self, x: &Tensor, pass: &Pass<'_>) -> candle_core::Result<Tensor> {
        match &self.hidden {
            Some(hidden) => self.layer.forward(&hidden.forward(x, pass)?, pass),
            None => self.layer.forward(x, pass),
        }
    }

    fn outputs(&self) -> usize {
        self.outputs
    }

    fn onnx(&self, graph: &mut Graph, rows: &Value) -> Result<Value> {
        let hidden = self.hidden.as_ref().map(|hidden| hidden.onnx(graph, rows)).transpose()?;
        self.layer.onnx(graph, hidden.as_ref().unwrap_or(rows))
    }
}

/// Positions `[B, M, T, 2]` and confidences `[B, M]` that sum to 1, from the outputs of [`Trajectory`].
///
/// # Errors
/// When `outputs` are not those of so many modes and steps.
pub fn modes(outputs: &Tensor, modes: usize, steps: usize) -> candle_core::Result<(Tensor, Tensor)> {
    let (batch, width) = outputs.dims2()?;
    let count = modes * steps * 2;
    if width != if modes > 1 { count + modes } else { count } {
        candle_core::bail!("trajectory: {width} outputs are not {modes} modes of {steps} steps")
    }
    let positions = outputs.narrow(1, 0, count)?.reshape((batch, modes, steps, 2))?;
    let confidences = match modes {
        1 => Tensor::ones((batch, 1), outputs.dtype(), outputs.device())?,
        _ => softmax(&outputs.narrow(1, count, modes)?)?,
    };
    Ok((positions, confidences))
}
