//! Pointwise activations, forward and slope in one pass each over `x`; values and slopes at kinks, NaN and infinities are
//! PyTorch's. candle's ReLU has slope 1 at zero, PyTorch's has 0, and zeros are common (zero-initialized last norms, padding).

use super::cpu::act;
use super::cpu::simd::{Simd, Work, dispatch};
use super::cuda;
use super::element::Element;
use super::kernel::{Kernel1, Kernel2, Op1, Op2, PIXELS_PER_TASK};
use candle_core::{Result, Shape, Tensor};
use rayon::prelude::*;
use serde::{Deserialize, Serialize};
use std::marker::PhantomData;

/// A pointwise activation.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Act {
    /// `max(x, 0)`.
    Relu,
    /// `min(max(x, 0), 6)` (Howard et al. 2017).
    Relu6,
    /// `x · sigmoid(x)`, also called swish (Ramachandran et al. 2017).
    #[serde(alias = "swish")]
    Silu,
    /// `1 / (1 + e^-x)`.
    Sigmoid,
    /// `x · Φ(x)` with the exact error function (Hendrycks & Gimpel 2016).
    Gelu,
    /// `x · relu6(x + 3) / 6` (Howard et al. 2019).
    HardSwish,
    /// `relu6(x + 3) / 6` (Howard et al. 2019).
    HardSigmoid,
    /// `x · tanh(ln(1 + e^x))` (Misra 2019).
    Mish,
    /// Hyperbolic tangent.
    Tanh,
}

/// Applies `f` to every element.
pub fn activate(x: &Tensor, f: Act) -> Result<Tensor> {
    if x.device().is_cpu() || f == Act::Relu && cuda::has_kernels(x) {
        x.contiguous()?.apply_op1(Op1(Pointwise(f)))
    } else {
        composed(x, f)
    }
}

/// `max(x, 0)` with slope 0 at 0; NaN stays NaN.
pub fn relu(x: &Tensor) -> Result<Tensor> {
    activate(x, Act::Relu)
}

/// The same from plain candle ops: the oracle of the tests, and the way on devices without a kernel.
pub fn composed(x: &Tensor, f: Act) -> Result<Tensor> {
    // Chosen, not multiplied by a mask, which would make NaN of infinities; candle's clamp has slope 1 at its bounds.
    let zeros = x.zeros_like()?;
    match f {
        Act::Relu => x.le(0.0)?.where_cond(&zeros, x),
        Act::Relu6 => x.le(0.0)?.where_cond(&zeros, &x.ge(6.0)?.where_cond(&(&zeros + 6.0)?, x)?),
        Act::Silu => x.silu(),
        Act::Sigmoid => candle_nn::ops::sigmoid(x),
        // The gradient of candle's own is right to six digits only.
        Act::Gelu => (x * 0.5)?.mul(&((x * std::f64::consts::FRAC_1_SQRT_2)?.erf()? + 1.0)?),
        Act::HardSwish => {
            let curve = x.mul(&((x + 3.0)? / 6.0)?)?;
            x.le(-3.0)?.where_cond(&zeros, &x.ge(3.0)?.where_cond(x, &curve)?)
        }
        Act::HardSigmoid => composed(&(x + 3.0)?, Act::Relu6)? / 6.0,
        Act::Mish => x.mul(&(x.exp()? + 1.0)?.log()?.tanh()?),
        Act::Tanh => x.tanh(),
    }
}

/// One activation: its value at `x`, and `dy` times its slope there (0 where it is flat, whatever `dy` is).
trait Curve {
    fn value<T: Element>(x: T) -> T;
    fn grad<T: Element>(x: T, dy: T) -> T;
    /// Whether there are forms for vectors, which the compiler does not find by itself: those with powers of e.
    const VECTORS: bool = false;
    #[inline(always)]
    fn values<S: Simd>(_: S, x: S::V) -> S::V {
        x
    }
    #[inline(always)]
    fn grads<S: Simd>(_: S, _: S::V, dy: S::V) -> S::V {
        dy
    }
}

/// `x` held between two bounds; NaN stays.
fn clamp<T: Element>(x: T, low: f64, high: f64) -> T {
    let (low, high) = (T::of(low), T::of(high));
    if x < low {
        low
    } else if x > high {
        high
    } else {
        x
    }
}

fn sigmoid<T: Element>(x: T) -> T {
    T::ONE / (T::ONE + (T::ZERO - x).exp())
}

/// `1 + e^−x`; with a division behind it infinities come out as PyTorch's.
#[inline(always)]
fn one_and_exp<S: Simd>(s: S, x: S::V) -> S::V {
    s.add(s.splat(1.0), s.exp(s.sub(s.zero(), x)))
}

struct Relu;
impl Curve for Relu {
    fn value<T: Element>(x: T) -> T {
        if x < T::ZERO { T::ZERO } else { x }
    }
    fn grad<T: Element>(x: T, dy: T) -> T {
        if x <= T::ZERO { T::ZERO } else { dy }
    }
}

struct Relu6;
impl Curve for Relu6 {
    fn value<T: Element>(x: T) -> T {
        clamp(x, 0.0, 6.0)
    }
    fn grad<T: Element>(x: T, dy: T) -> T {
        if x > T::ZERO && x < T::of(6.0) { dy } else { T::ZERO }
    }
}

struct Silu;
impl Curve for Silu {
    fn value<T: Element>(x: T) -> T {
        x / (T::ONE + (T::ZERO - x).exp())
    }
    fn grad<T: Element>(x: T, dy: T) -> T {
        let s = sigmoid(x);
        dy * (s * (T::ONE + x * (T::ONE - s)))
    }
    const VECTORS: bool = true;
    #[inline(always)]
    fn values<S: Simd>(s: S, x: S::V) -> S::V {
        s.div(x, one_and_exp(s, x))
    }
    #[inline(always)]
    fn grads<S: Simd>(s: S, x: S::V, dy: S::V) -> S::V {
        let one = s.splat(1.0);
        let y = s.div(one, one_and_exp(s, x));
        s.mul(dy, s.mul(y, s.fma(x, s.sub(one, y), one)))
    }
}

struct Sigmoid;
impl Curve for Sigmoid {
    fn value<T: Element>(x: T) -> T {
        sigmoid(x)
    }
    fn grad<T: Element>(x: T, dy: T) -> T {
        let s = sigmoid(x);
        dy * (s * (T::ONE - s))
    }
    const VECTORS: bool = true;
    #[inline(always)]
    fn values<S: Simd>(s: S, x: S::V) -> S::V {
        s.div(s.splat(1.0), one_and_exp(s, x))
    }
    #[inline(always)]
    fn grads<S: Simd>(s: S, x: S::V, dy: S::V) -> S::V {
        let y = Self::values(s, x);
        s.mul(dy, s.mul(y, s.sub(s.splat(1.0), y)))
    }
}

struct Gelu;
impl Gelu {
    /// Φ(x), the normal distribution.
    fn below<T: Element>(x: T) -> T {
        T::of(0.5) * (T::ONE + (x * T::of(std::f64::consts::FRAC_1_SQRT_2)).erf())
    }
}
impl Curve for Gelu {
    fn value<T: Element>(x: T) -> T {
        x * Self::below(x)
    }
    fn grad<T: Element>(x: T, dy: T) -> T {
        // 1 / √(2π)
        let density = (x * x * T::of(-0.5)).exp() * T::of(0.398_942_280_401_432_7);
        dy * (Self::below(x) + x * density)
    }
    const VECTORS: bool = true;
    #[inline(always)]
    fn values<S: Simd>(s: S, x: S::V) -> S::V {
        act::curve(s, act::Curve::Gelu, x)
    }
    #[inline(always)]
    fn grads<S: Simd>(s: S, x: S::V, dy: S::V) -> S::V {
        act::slope(s, act::Curve::Gelu, x, dy)
    }
}

struct HardSwish;
impl Curve for HardSwish {
    fn value<T: Element>(x: T) -> T {
        x * clamp(x + T::of(3.0), 0.0, 6.0) / T::of(6.0)
    }
    fn grad<T: Element>(x: T, dy: T) -> T {
        if x <= T::of(-3.0) {
            T::ZERO
        } else if x >= T::of(3.0) {
            dy
        } else {
            dy * (x / T::of(3.0) + T::of(0.5))
        }
    }
}

struct HardSigmoid;
impl Curve for HardSigmoid {
    fn value<T: Element>(x: T) -> T {
        clamp(x + T::of(3.0), 0.0, 6.0) / T::of(6.0)
    }
    fn grad<T: Element>(x: T, dy: T) -> T {
        if x > T::of(-3.0) && x < T::of(3.0) { dy * T::of(1.0 / 6.0) } else { T::ZERO }
    }
}

struct Mish;
impl Curve for Mish {
    fn value<T: Element>(x: T) -> T {
        x * x.exp().ln_1p().tanh()
    }
    fn grad<T: Element>(x: T, dy: T) -> T {
        let t = x.exp().ln_1p().tanh();
        dy * (t + x * sigmoid(x) * (T::ONE - t * t))
    }
    // With e = e^x: tanh(ln(1 + e)) = e(e + 2) / (e(e + 2) + 2), which is 1 long before e² is too large.
    const VECTORS: bool = true;
    #[inline(always)]
    fn values<S: Simd>(s: S, x: S::V) -> S::V {
        let two = s.splat(2.0);
        let e = s.exp(s.min(s.splat(20.0), x));
        let n = s.mul(e, s.add(e, two));
        s.mul(x, s.div(n, s.add(n, two)))
    }
    #[inline(always)]
    fn grads<S: Simd>(s: S, x: S::V, dy: S::V) -> S::V {
        let (one, two) = (s.splat(1.0), s.splat(2.0));
        let e = s.exp(s.min(s.splat(20.0), x));
        let n = s.mul(e, s.add(e, two));
        let d = s.div(one, s.add(n, two));
        // t + x · 4e(e + 1) / (n + 2)², flat where e is held.
        let bend = s.mul(s.mul(s.mul(s.splat(4.0), e), s.mul(s.add(e, one), d)), d);
        let bend = s.select(s.above(s.splat(20.0), x), bend, s.zero());
        s.mul(dy, s.fma(x, bend, s.mul(n, d)))
    }
}

struct Tanh;
impl Curve for Tanh {
    fn value<T: Element>(x: T) -> T {
        x.tanh()
    }
    fn grad<T: Element>(x: T, dy: T) -> T {
        let t = x.tanh();
        dy * (T::ONE - t * t)
    }
    const VECTORS: bool = true;
    #[inline(always)]
    fn values<S: Simd>(s: S, x: S::V) -> S::V {
        s.tanh(x)
    }
    #[inline(always)]
    fn grads<S: Simd>(s: S, x: S::V, dy: S::V) -> S::V {
        let t = s.tanh(x);
        s.mul(dy, s.fnma(t, t, s.splat(1.0)))
    }
}

/// Calls `$f::<Curve, _>($args)` with the curve of `$act`.
macro_rules! with_curve {
    ($act:expr, $f:ident($($args:expr),*)) => {
        match $act {
            Act::Relu => $f::<Relu, _>($($args),*),
            Act::Relu6 => $f::<Relu6, _>($($args),*),
            Act::Silu => $f::<Silu, _>($($args),*),
            Act::Sigmoid => $f::<Sigmoid, _>($($args),*),
            Act::Gelu => $f::<Gelu, _>($($args),*),
            Act::HardSwish => $f::<HardSwish, _>($($args),*),
            Act::HardSigmoid => $f::<HardSigmoid, _>($($args),*),
            Act::Mish => $f::<Mish, _>($($args),*),
            Act::Tanh => $f::<Tanh, _>($($args),*),
        }
    };
}

const TASK: usize = PIXELS_PER_TASK * 16;

fn values<C: Curve, T: Element>(x: &[T]) -> Vec<T> {
    let mut y = vec![T::ZERO; x.len()];
    y.par_chunks_mut(TASK).zip(x.par_chunks(TASK)).for_each(|(y, x)| match (T::single_mut(y), T::single(x)) {
        (Some(y), Some(x)) if C::VECTORS => dispatch(Values::<C> { x, y, curve: PhantomData }),
        _ => y.iter_mut().zip(x).for_each(|(y, &x)| *y = C::value(x)),
    });
    y
}

struct Values<'a, C> {
    x: &'a [f32],
    y: &'a mut [f32],
    curve: PhantomData<C>,
}

impl<C: Curve> Work for Values<'_, C> {
    type Out = ();
    #[inline(always)]
    fn run<S: Simd>(self, s: S) {
        for (y, x) in self.y.chunks_mut(S::LANES).zip(self.x.chunks(S::LANES)) {
            let v = C::values(s, s.read(x, x.len()));
            s.write(y, x.len(), v);
        }
    }
}

fn gradients<C: Curve, T: Element>(x: &[T], dy: &[T]) -> Vec<T> {
    let mut dx = vec![T::ZERO; x.len()];
    let tasks = dx.par_chunks_mut(TASK).zip(x.par_chunks(TASK).zip(dy.par_chunks(TASK)));
    tasks.for_each(|(dx, (x, dy))| match (T::single_mut(dx), T::single(x), T::single(dy)) {
        (Some(dx), Some(x), Some(dy)) if C::VECTORS => dispatch(Gradients::<C> { x, dy, dx, curve: PhantomData }),
        _ => dx.iter_mut().zip(x.iter().zip(dy)).for_each(|(dx, (&x, &dy))| *dx = C::grad(x, dy)),
    });
    dx
}

struct Gradients<'a, C> {
    x: &'a [f32],
    dy: &'a [f32],
    dx: &'a mut [f32],
    curve: PhantomData<C>,
}

impl<C: Curve> Work for Gradients<'_, C> {
    type Out = ();
    #[inline(always)]
    fn run<S: Simd>(self, s: S) {
        let parts = self.x.chunks(S::LANES).zip(self.dy.chunks(S::LANES));
        for (dx, (x, dy)) in self.dx.chunks_mut(S::LANES).zip(parts) {
            let v = C::grads(s, s.read(x, x.len()), s.read(dy, x.len()));
            s.write(dx, x.len(), v);
        }
    }
}

struct Pointwise(Act);

impl Kernel1 for Pointwise {
    const NAME: &'static str = "activation";

    fn run<T: Element>(&self, x: &[T], shape: &Shape) -> Result<(Vec<T>, Shape)> {
        Ok((with_curve!(self.0, values(x)), shape.clone()))
    }

    #[cfg(feature = "cuda")]
    fn cuda(&self, x: cuda::Input<'_>) -> Result<cuda::Output> {
        // Only ReLU comes here, see `activate`.
        cuda::launch("relu", &[x], x.1.shape(), None)
    }

    fn grad(&self, x: &Tensor, _: &Tensor, dy: &Tensor) -> Result<Tensor> {
        x.apply_op2_no_bwd(dy, &Op2(PointwiseGrad(self.0)))
    }
}

struct PointwiseGrad(Act);

impl Kernel2 for PointwiseGrad {
    const NAME: &'static str = "activation_grad";

    fn run<T: Element>(&self, x: &[T], shape: &Shape, dy: &[T], _: &Shape) -> Result<(Vec<T>, Shape)> {
        Ok((with_curve!(self.0, gradients(x, dy)), shape.clone()))
    }

    #[cfg(feature = "cuda")]
    fn cuda(&self, x: cuda::Input<'_>, dy: cuda::Input<'_>) -> Result<cuda::Output> {
        // Only ReLU comes here, see `activate`.
        cuda::launch("relu_grad", &[x, dy], x.1.shape(), None)
    }
}
