//! The numbers that kernels compute with, and the bridge from candle's storage to slices of them.
//!
//! A kernel is written once over [`Element`] (`f32` and `f64`; half precision is widened to `f32` at the edges).

use candle_core::{CpuStorage, Layout, Result, WithDType, bail};
use half::{bf16, f16};
use std::borrow::Cow;

/// `f32` or `f64`.
pub(crate) trait Element: WithDType + num::Float {
    /// The same slice when it is of `f32`: the way to the kernels of [`super::cpu`].
    fn single(x: &[Self]) -> Option<&[f32]>;
    /// The same for a slice that is written to.
    fn single_mut(x: &mut [Self]) -> Option<&mut [f32]>;
    /// The way back.
    fn of_single(x: Vec<f32>) -> Vec<Self>;
}
impl Element for f32 {
    fn single(x: &[Self]) -> Option<&[f32]> {
        Some(x)
    }
    fn single_mut(x: &mut [Self]) -> Option<&mut [f32]> {
        Some(x)
    }
    fn of_single(x: Vec<f32>) -> Vec<Self> {
        x
    }
}
impl Element for f64 {
    fn single(_: &[Self]) -> Option<&[f32]> {
        None
    }
    fn single_mut(_: &mut [Self]) -> Option<&mut [f32]> {
        None
    }
    fn of_single(x: Vec<f32>) -> Vec<Self> {
        x.into_iter().map(f64::from).collect()
    }
}

/// The few operations kernels need beside candle's `WithDType`.
pub(crate) mod num {
    use std::ops::{Add, AddAssign, Div, Mul, MulAssign, Sub};
    /// Arithmetic shared by `f32` and `f64`.
    pub(crate) trait Float:
        Copy
        + Send
        + Sync
        + Default
        + PartialOrd
        + Add<Output = Self>
        + Sub<Output = Self>
        + Mul<Output = Self>
        + Div<Output = Self>
        + AddAssign
        + MulAssign
        + 'static
    {
        const ZERO: Self;
        const ONE: Self;
        const LOWEST: Self;
        fn of(v: f64) -> Self;
        fn wide(self) -> f64;
        fn is_nan(self) -> bool;
        fn exp(self) -> Self;
        fn ln_1p(self) -> Self;
        fn tanh(self) -> Self;
        fn erf(self) -> Self;
    }
    macro_rules! float {
        ($t:ty, $erf:path) => {
            impl Float for $t {
                const ZERO: Self = 0.0;
                const ONE: Self = 1.0;
                const LOWEST: Self = <$t>::NEG_INFINITY;
                fn of(v: f64) -> Self {
                    v as $t
                }
                fn wide(self) -> f64 {
                    self as f64
                }
                fn is_nan(self) -> bool {
                    <$t>::is_nan(self)
                }
                fn exp(self) -> Self {
                    <$t>::exp(self)
                }
                fn ln_1p(self) -> Self {
                    <$t>::ln_1p(self)
                }
                fn tanh(self) -> Self {
                    <$t>::tanh(self)
                }
                fn erf(self) -> Self {
                    $erf(self)
                }
            }
        };
    }
    float!(f32, candle_core::cpu::erf::erf_f32);
    float!(f64, candle_core::cpu::erf::erf_f64);
}

/// The elements of a contiguous tensor.
pub(crate) fn slice<'a, T: WithDType>(storage: &'a CpuStorage, layout: &Layout) -> Result<&'a [T]> {
    let Some((start, end)) = layout.contiguous_offsets() else { bail!("kernel input is not contiguous") };
    Ok(&storage.as_slice::<T>()?[start..end])
}

/// The elements of a contiguous F32, BF16 or F16 tensor as `f32`.
pub(crate) fn widened<'a>(storage: &'a CpuStorage, layout: &Layout) -> Result<Cow<'a, [f32]>> {
    Ok(match storage {
        CpuStorage::BF16(_) => Cow::Owned(slice::<bf16>(storage, layout)?.iter().map(|v| v.to_f32()).collect()),
        CpuStorage::F16(_) => Cow::Owned(slice::<f16>(storage, layout)?.iter().map(|v| v.to_f32()).collect()),
        _ => Cow::Borrowed(slice::<f32>(storage, layout)?),
    })
}

/// `values` in the storage type of `like` (F32, BF16 or F16).
pub(crate) fn narrowed(values: Vec<f32>, like: &CpuStorage) -> CpuStorage {
    match like {
        CpuStorage::BF16(_) => CpuStorage::BF16(values.into_iter().map(bf16::from_f32).collect()),
        CpuStorage::F16(_) => CpuStorage::F16(values.into_iter().map(f16::from_f32).collect()),
        _ => CpuStorage::F32(values),
    }
}
