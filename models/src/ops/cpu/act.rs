//! Activations on vectors.

use super::simd::Simd;
use crate::ops::Act;

/// Activations that kernels apply while they load.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Curve {
    Identity,
    Relu,
    Relu6,
    Silu,
    Sigmoid,
    HardSwish,
    HardSigmoid,
    Gelu,
}

impl Curve {
    /// Whether `f'(x)` can be told from `f(x)`.
    pub(crate) fn shows_slope(&self) -> bool {
        matches!(self, Self::Identity | Self::Relu | Self::Relu6)
    }
    /// `f` as a curve, if kernels know it.
    pub(crate) fn of(f: Act) -> Option<Self> {
        Some(match f {
            Act::Relu => Self::Relu,
            Act::Relu6 => Self::Relu6,
            Act::HardSwish => Self::HardSwish,
            Act::HardSigmoid => Self::HardSigmoid,
            Act::Silu => Self::Silu,
            Act::Sigmoid => Self::Sigmoid,
            Act::Gelu => Self::Gelu,
            _ => return None,
        })
    }
}

/// `f(v)`.
#[inline(always)]
pub(crate) fn curve<S: Simd>(s: S, f: Curve, v: S::V) -> S::V {
    match f {
        Curve::Identity => v,
        // The second operand survives when it is not a number.
        Curve::Relu => s.max(s.zero(), v),
        Curve::Relu6 => s.min(s.splat(6.0), s.max(s.zero(), v)),
        Curve::Silu => s.mul(v, s.sigmoid(v)),
        Curve::Sigmoid => s.sigmoid(v),
        Curve::HardSwish => s.mul(v, hard(s, v)),
        Curve::HardSigmoid => hard(s, v),
        Curve::Gelu => s.mul(v, s.normal(v).0),
    }
}

/// `relu6(v + 3) / 6`.
#[inline(always)]
fn hard<S: Simd>(s: S, v: S::V) -> S::V {
    let v = s.add(v, s.splat(3.0));
    s.mul(s.min(s.splat(6.0), s.max(s.zero(), v)), s.splat(1.0 / 6.0))
}

/// `f'(v) · g`. As in PyTorch, slopes at corners are 0 and a value that is not a number lets the gradient pass.
#[inline(always)]
pub(crate) fn slope<S: Simd>(s: S, f: Curve, v: S::V, g: S::V) -> S::V {
    match f {
        Curve::Identity => g,
        Curve::Relu => s.select(s.above(v, s.zero()), g, s.zero()),
        Curve::Relu6 => {
            let g = s.select(s.above(v, s.zero()), g, s.zero());
            s.select(s.above(s.splat(6.0), v), g, s.zero())
        }
        Curve::Silu => {
            let (one, y) = (s.splat(1.0), s.sigmoid(v));
            // y · (1 + v · (1 − y))
            s.mul(g, s.mul(y, s.fma(v, s.sub(one, y), one)))
        }
        Curve::Sigmoid => {
            let y = s.sigmoid(v);
            s.mul(g, s.mul(y, s.sub(s.splat(1.0), y)))
        }
        Curve::HardSwish => {
            // 0 up to −3, 1 from 3 on, (2 v + 3) / 6 between.
            let inner = s.mul(g, s.fma(v, s.splat(1.0 / 3.0), s.splat(0.5)));
            let low = s.select(s.above(v, s.splat(-3.0)), inner, s.zero());
            s.select(s.above(s.splat(3.0), v), low, g)
        }
        Curve::HardSigmoid => {
            let inner = s.select(s.above(v, s.splat(-3.0)), s.mul(g, s.splat(1.0 / 6.0)), s.zero());
            s.select(s.above(s.splat(3.0), v), inner, s.zero())
        }
        Curve::Gelu => {
            // Φ(v) + v · density
            let (below, bell) = s.normal(v);
            s.mul(g, s.fma(s.mul(v, bell), s.splat(0.398_942_3), below))
        }
    }
}
