//! Gives norms back what folding took from them.

use crate::error::Result;
use crate::network::Network;
use crate::pass::{Grad, Pass, Seen};
use candle_core::{DType, Tensor, Var};
use candle_nn::VarMap;
use std::cell::RefCell;
use std::collections::HashMap;
use std::sync::PoisonError;

/// Whether the batch norms among `vars` are those of folded weights: all means 0 and all variances 1, or 1 less what is
/// added to it. Not so without any.
///
/// # Errors
/// Those of tensors.
pub fn is_folded(vars: &VarMap) -> Result<bool> {
    let all = vars.data().lock().unwrap_or_else(PoisonError::into_inner);
    let mut norms = 0;
    for (name, var) in all.iter() {
        let usual = match name {
            _ if name.ends_with(".running_mean") => 0.0,
            _ if name.ends_with(".running_var") => 1.0,
            _ => continue,
        };
        let off = (var.as_tensor().to_dtype(DType::F64)? - usual)?.abs()?.max_all()?.to_scalar::<f64>()?;
        if off > 2e-3 {
            return Ok(false);
        }
        norms += 1;
    }
    Ok(norms > 0)
}

/// Gives each batch norm of `network`'s block programs the statistics of what it reads over `images` `[B, C, H, W]` as running
/// ones, and the weight and bias with which it says what it said before: the same network in evaluation. In training it
/// says nearly the same, too; without this, folded weights would be torn by the statistics of the first batch. Returns how
/// many norms there are.
///
/// # Errors
/// Those of the forward pass.
pub fn unfold(network: &Network, vars: &VarMap, images: &Tensor) -> Result<usize> {
    let seen = RefCell::new(HashMap::new());
    let see = |name: &str, layer: Seen<'_>| {
        if let Seen::Norm { reads, eps } = layer {
            seen.borrow_mut().insert(name.to_string(), (statistics(reads), eps));
        }
    };
    network.features(images, &mut Pass { grad: Grad::None, layers: Some(&see), ..Pass::eval() })?;
    let all: HashMap<String, Var> = vars.data().lock().unwrap_or_else(PoisonError::into_inner).clone();
    let mut norms = 0;
    for (name, (found, eps)) in seen.into_inner() {
        let of = |kind: &str| all.get(&format!("backbone.{name}.{kind}"));
        let (Some(mean), Some(variance), Some(weight), Some(bias)) =
            (of("running_mean"), of("running_var"), of("weight"), of("bias"))
        else {
            continue;
        };
        let wide = |var: &Var| var.as_detached_tensor().to_dtype(DType::F64);
        let (new_mean, new_variance) = found?;
        let slope = (wide(weight)? / (wide(variance)? + eps)?.sqrt()?)?;
        let new_weight = (&slope * (&new_variance + eps)?.sqrt()?)?;
        let new_bias = (wide(bias)? + (&slope * (&new_mean - wide(mean)?)?)?)?;
        for (var, value) in [(mean, new_mean), (variance, new_variance), (weight, new_weight), (bias, new_bias)] {
            var.set(&value.to_dtype(var.dtype())?)?;
        }
        norms += 1;
    }
    Ok(norms)
}

/// Mean and variance of every channel of `[B, H, W, C]`.
fn statistics(x: &Tensor) -> candle_core::Result<(Tensor, Tensor)> {
    let rows = x.detach().to_dtype(DType::F64)?.flatten_to(2)?;
    let mean = rows.mean(0)?;
    let variance = rows.broadcast_sub(&mean)?.sqr()?.mean(0)?;
    Ok((mean, variance))
}
