//! A fully connected layer. It is a 1×1 convolution here: candle's `matmul` splits its work by the number of threads.

use super::conv2d::conv2d;
use super::window::k;
use candle_core::{Result, Tensor, bail};

/// `x` `[.., F]`, `weight` `[K, F]`, `bias` `[K]` → `[.., K]`.
pub fn linear(x: &Tensor, weight: &Tensor, bias: Option<&Tensor>) -> Result<Tensor> {
    let (out, inputs) = weight.dims2()?;
    let Some((&features, outer)) = x.dims().split_last() else { bail!("linear: expected [.., F], got a number") };
    let rows = outer.iter().product::<usize>();
    if features != inputs {
        bail!("linear: {features} features, but the weight takes {inputs}")
    }
    let y = conv2d(&x.reshape((rows, 1, 1, features))?, &weight.reshape((out, inputs, 1, 1))?, k(1))?;
    let y = y.reshape([outer, &[out]].concat())?;
    match bias {
        Some(bias) => y.broadcast_add(bias),
        None => Ok(y),
    }
}
