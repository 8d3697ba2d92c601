//! A formula for every number of a parameter, written once and read twice: number by number in one pass over memory (`fused`,
//! on the CPU in F32), and as operations of candle on whole tensors (any device and type).

use super::fused;
use candle_core::{DType, Error, Result, Tensor, Var};
use std::ops::{Add, Div, Mul, Sub};

/// What a formula computes with. Constants are F64 and rounded once to the type of the tensors.
pub(crate) trait Number:
    Clone
    + Add<Output = Self>
    + Sub<Output = Self>
    + Mul<Output = Self>
    + Div<Output = Self>
    + Add<f64, Output = Self>
    + Mul<f64, Output = Self>
{
    fn sqrt(self) -> Self;
    fn abs(self) -> Self;
    /// −1, 0 or 1; of what is not a number that.
    fn sign(self) -> Self;
    /// Not less than 0; of what is not a number that.
    fn positive(self) -> Self;
    fn square(self) -> Self {
        self.clone() * self
    }
    /// `keep·self + (1 − keep)·new`: a running average.
    fn blend(self, new: Self, keep: f64) -> Self {
        self * keep + new * (1.0 - keep)
    }
}

/// New values of `W` tensors from theirs and from `R` others of the same shape, and `S` terms to sum over all numbers.
pub(crate) trait Rule<const W: usize, const R: usize, const S: usize = 0>: Sync {
    /// For one number of each tensor, or for all of them at once.
    fn at<N: Number>(&self, written: [N; W], read: [N; R]) -> ([N; W], [N; S]);
}

/// Applies `rule` to all numbers; returns the sums in F64, which are the same for any number of threads.
pub(crate) fn apply<const W: usize, const R: usize, const S: usize>(
    rule: &impl Rule<W, R, S>,
    written: [&Var; W],
    read: [&Tensor; R],
) -> Result<[f64; S]> {
    let old = written.map(Var::as_detached_tensor);
    if fused::fits(old.iter().chain(read)) {
        return fused::apply(rule, &old, read);
    }
    let whole = |t: &Tensor| Whole(Ok(t.clone()));
    let (new, terms) = rule.at(old.each_ref().map(whole), read.map(whole));
    // A new value that is another tensor's old one must be read before that is written.
    let kept = |new: Whole| new.0.and_then(|t| if old.iter().any(|o| o.id() == t.id()) { t.copy() } else { Ok(t) });
    let new: Vec<Tensor> = new.into_iter().map(kept).collect::<Result<_>>()?;
    for (var, new) in written.into_iter().zip(&new) {
        var.set(new)?;
    }
    let mut sums = [0.0; S];
    for (sum, term) in sums.iter_mut().zip(terms) {
        *sum = term.0?.sum_all()?.to_dtype(DType::F64)?.to_scalar()?;
    }
    Ok(sums)
}

struct Square;

impl Rule<0, 1, 1> for Square {
    fn at<N: Number>(&self, []: [N; 0], [x]: [N; 1]) -> ([N; 0], [N; 1]) {
        ([], [x.square()])
    }
}

/// Sum of all squares.
pub(crate) fn squares(x: &Tensor) -> Result<f64> {
    apply(&Square, [], [x]).map(|[sum]| sum)
}

/// One number of a tensor.
#[derive(Clone, Copy)]
pub(crate) struct Lane(pub f32);

macro_rules! lanes {
    ($($op:ident $f:ident),*) => {$(
        impl $op for Lane {
            type Output = Self;
            #[inline(always)]
            fn $f(self, other: Self) -> Self {
                Self($op::$f(self.0, other.0))
            }
        }
        impl $op for Whole {
            type Output = Self;
            fn $f(self, other: Self) -> Self {
                Self(self.0.and_then(|a| $op::$f(&a, &other.0?)))
            }
        }
    )*};
    (constant $($op:ident $f:ident),*) => {$(
        impl $op<f64> for Lane {
            type Output = Self;
            #[inline(always)]
            fn $f(self, other: f64) -> Self {
                Self($op::$f(self.0, other as f32))
            }
        }
        impl $op<f64> for Whole {
            type Output = Self;
            fn $f(self, other: f64) -> Self {
                Self(self.0.and_then(|a| $op::$f(&a, other)))
            }
        }
    )*};
}
lanes!(Add add, Sub sub, Mul mul, Div div);
lanes!(constant Add add, Mul mul);

impl Number for Lane {
    #[inline(always)]
    fn sqrt(self) -> Self {
        Self(self.0.sqrt())
    }
    #[inline(always)]
    fn abs(self) -> Self {
        Self(self.0.abs())
    }
    #[inline(always)]
    fn sign(self) -> Self {
        let sign = f32::from(i8::from(self.0 > 0.0) - i8::from(self.0 < 0.0));
        Self(if self.0.is_nan() { self.0 } else { sign })
    }
    #[inline(always)]
    fn positive(self) -> Self {
        Self(if self.0 < 0.0 { 0.0 } else { self.0 })
    }
}

/// All numbers of a tensor; an error goes through the formula to its end.
struct Whole(Result<Tensor>);

impl Clone for Whole {
    fn clone(&self) -> Self {
        Self(self.0.as_ref().map(Tensor::clone).map_err(|error| Error::Msg(error.to_string())))
    }
}

impl Number for Whole {
    fn sqrt(self) -> Self {
        Self(self.0.and_then(|t| t.sqrt()))
    }
    fn abs(self) -> Self {
        Self(self.0.and_then(|t| t.abs()))
    }
    fn sign(self) -> Self {
        Self(self.0.and_then(|t| t.eq(&t)?.where_cond(&t.sign()?, &t)))
    }
    fn positive(self) -> Self {
        Self(self.0.and_then(|t| t.lt(0.0)?.where_cond(&t.zeros_like()?, &t)))
    }
}
