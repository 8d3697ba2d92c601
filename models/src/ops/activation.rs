//! Pointwise activations. ReLU is our own: candle's has slope 1 at zero, PyTorch's has 0, and zeros are common
//! (zero-initialized last norms, padding); the others are candle's, whose gradients are right.

use super::cuda;
use super::element::Element;
use super::kernel::{Kernel1, Kernel2, Op1, Op2, PIXELS_PER_TASK};
use candle_core::{Result, Shape, Tensor};
use rayon::prelude::*;
use serde::{Deserialize, Serialize};

/// A pointwise activation.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Act {
    /// `max(x, 0)`.
    Relu,
    /// `x · sigmoid(x)`, also called swish (Ramachandran et al. 2017).
    Silu,
    /// `1 / (1 + e^-x)`.
    Sigmoid,
    /// `x · Φ(x)` with the exact error function (Hendrycks & Gimpel 2016).
    Gelu,
}

/// Applies `f` to every element.
pub fn activate(x: &Tensor, f: Act) -> Result<Tensor> {
    match f {
        Act::Relu => relu(x),
        Act::Silu => x.silu(),
        Act::Sigmoid => candle_nn::ops::sigmoid(x),
        Act::Gelu => x.gelu_erf(),
    }
}

/// `max(x, 0)` with slope 0 at 0; NaN stays NaN.
pub fn relu(x: &Tensor) -> Result<Tensor> {
    if x.device().is_cpu() || cuda::has_kernels(x) {
        x.contiguous()?.apply_op1(Op1(Relu))
    } else {
        x.mul(&x.gt(0.0)?.to_dtype(x.dtype())?)
    }
}

struct Relu;

impl Kernel1 for Relu {
    const NAME: &'static str = "relu";

    fn run<T: Element>(&self, x: &[T], shape: &Shape) -> Result<(Vec<T>, Shape)> {
        let mut y = vec![T::ZERO; x.len()];
        let size = PIXELS_PER_TASK * 16;
        y.par_chunks_mut(size).zip(x.par_chunks(size)).for_each(|(y, x)| {
            y.iter_mut().zip(x).for_each(|(y, &x)| *y = if x < T::ZERO { T::ZERO } else { x });
        });
        Ok((y, shape.clone()))
    }

    #[cfg(feature = "cuda")]
    fn cuda(&self, x: cuda::Input<'_>) -> Result<cuda::Output> {
        cuda::launch(Self::NAME, &[x], x.1.shape(), None)
    }

    fn grad(&self, _: &Tensor, y: &Tensor, dy: &Tensor) -> Result<Tensor> {
        y.apply_op2_no_bwd(dy, &Op2(ReluGrad))
    }
}

struct ReluGrad;

impl Kernel2 for ReluGrad {
    const NAME: &'static str = "relu_grad";

    fn run<T: Element>(&self, y: &[T], shape: &Shape, dy: &[T], _: &Shape) -> Result<(Vec<T>, Shape)> {
        let mut dx = vec![T::ZERO; y.len()];
        let size = PIXELS_PER_TASK * 16;
        dx.par_chunks_mut(size).zip(y.par_chunks(size).zip(dy.par_chunks(size))).for_each(|(dx, (y, dy))| {
            // As PyTorch: no gradient where the output is at most 0; a NaN lets it pass.
            dx.iter_mut().zip(y.iter().zip(dy)).for_each(|(dx, (&y, &dy))| {
                *dx = if y <= T::ZERO { T::ZERO } else { dy };
            });
        });
        Ok((dx, shape.clone()))
    }

    #[cfg(feature = "cuda")]
    fn cuda(&self, y: cuda::Input<'_>, dy: cuda::Input<'_>) -> Result<cuda::Output> {
        cuda::launch(Self::NAME, &[y, dy], y.1.shape(), None)
    }
}
