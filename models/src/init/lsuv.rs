//! Layer-sequential unit variance: Mishkin & Matas, "All you need is a good init", 2016 (arXiv 1511.06422).
//!
//! Reference implementation: ducha-aiki/LSUVinit. It starts from orthonormal weights
//! (`restart` with `{ at = "backbone.*", name = "orthogonal" }`). What differs: the head keeps its start.

use crate::error::{Error, Result};
use crate::network::Network;
use crate::pass::{Grad, Pass, Seen};
use candle_core::{DType, Tensor};
use candle_nn::VarMap;
use std::cell::{Cell, RefCell};
use std::sync::PoisonError;

/// From the variance of a layer's output to 1.
const TOLERANCE: f64 = 0.1;
/// Most times that a layer is scaled.
const ROUNDS: usize = 10;

/// Divides the weight of each convolution of `network`'s block programs, from input to output, by the deviation of its output
/// over `images` `[B, C, H, W]`, until its variance is within 0.1 of 1, at most ten times. Returns names and last variances.
///
/// Each look at a layer is a forward pass: L layers take about 2 · L passes over one batch. Layers whose output does not vary
/// keep their weight. Norms use the statistics of the batch, and their running ones stay.
///
/// # Errors
/// Those of the forward pass; a network without block programs.
pub fn lsuv(network: &Network, vars: &VarMap, images: &Tensor) -> Result<Vec<(String, f64)>> {
    let order = RefCell::new(vec![]);
    // Scales of branches are convolutions, too, and no weights.
    let weights = |name: &str| name.ends_with(".weight").then(|| name.to_string());
    look(network, images, &|name, _| order.borrow_mut().extend(weights(name)))?;
    let order = order.into_inner();
    if order.is_empty() {
        return Err(Error::Invalid("lsuv: this family has no layers that can be looked at; start it otherwise".into()));
    }
    let all = vars.data().lock().unwrap_or_else(PoisonError::into_inner).clone();
    let mut variances = Vec::with_capacity(order.len());
    for layer in order {
        let name = format!("backbone.{layer}");
        let Some(weight) = all.get(&name) else {
            return Err(Error::Invalid(format!("lsuv: the network uses '{name}', but it is not among the variables")));
        };
        let mut variance = 0.0;
        for round in 0..=ROUNDS {
            let seen = Cell::new(Ok(0.0));
            look(network, images, &|name, y| {
                if name == layer {
                    seen.set(variance_of(y));
                }
            })?;
            variance = seen.into_inner()?;
            if round == ROUNDS || (variance - 1.0).abs() < TOLERANCE || variance < 1e-12 {
                break;
            }
            weight.set(&(weight.as_detached_tensor() / variance.sqrt())?)?;
        }
        variances.push((name, variance));
    }
    Ok(variances)
}

/// One pass over `images`; `see` is called with what each convolution writes.
fn look(network: &Network, images: &Tensor, see: &dyn Fn(&str, &Tensor)) -> Result<()> {
    let written = |name: &str, layer: Seen<'_>| {
        if let Seen::Convolution(y) = layer {
            see(name, y);
        }
    };
    let mut pass = Pass { update_stats: false, grad: Grad::None, layers: Some(&written), ..Pass::train(0) };
    network.features(images, &mut pass)?;
    Ok(())
}

fn variance_of(y: &Tensor) -> candle_core::Result<f64> {
    let y = y.detach().to_dtype(DType::F64)?;
    y.broadcast_sub(&y.mean_all()?)?.sqr()?.mean_all()?.to_scalar()
}
