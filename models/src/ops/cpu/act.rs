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
            Act::Silu => Self::Silu,
            Act::Sigmoid => Self::Sigmoid,
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
    }
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
    }
}
