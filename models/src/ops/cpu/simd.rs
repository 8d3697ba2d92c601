//! Vectors of `f32`, chosen when the program runs: AVX-512, AVX2 with FMA, or portable code that the compiler
//! vectorizes (SSE2, NEON). Kernels are written once over [`Simd`]; the same binary runs everywhere.
//!
//! A value of a [`Simd`] type is a proof that the machine has its instructions: only [`dispatch`] makes one, so its methods
//! are safe to call. They are inlined into the one function of [`dispatch`] that is compiled for those instructions;
//! a kernel's functions therefore have to be `#[inline(always)]` down to here, and threads are started outside.
#![allow(unsafe_code)]

use std::sync::atomic::{AtomicU8, Ordering};

/// A machine's vectors of `f32`.
pub(crate) trait Simd: Copy {
    /// A vector.
    type V: Copy;
    /// The result of a comparison.
    type M: Copy;
    /// Numbers in a vector.
    const LANES: usize;
    /// Vectors that fit into registers.
    const REGISTERS: usize;

    fn splat(self, x: f32) -> Self::V;
    /// # Safety
    /// `LANES` numbers are readable at `p`.
    unsafe fn load(self, p: *const f32) -> Self::V;
    /// # Safety
    /// `LANES` numbers are writable at `p`.
    unsafe fn store(self, p: *mut f32, v: Self::V);
    /// The first `n` lanes, zeros behind.
    /// # Safety
    /// `n` numbers are readable at `p`.
    unsafe fn load_part(self, p: *const f32, n: usize) -> Self::V;
    /// The first `n` lanes.
    /// # Safety
    /// `n` numbers are writable at `p`.
    unsafe fn store_part(self, p: *mut f32, n: usize, v: Self::V);
    fn add(self, a: Self::V, b: Self::V) -> Self::V;
    fn sub(self, a: Self::V, b: Self::V) -> Self::V;
    fn mul(self, a: Self::V, b: Self::V) -> Self::V;
    fn div(self, a: Self::V, b: Self::V) -> Self::V;
    /// `a · b + c`, rounded once where the machine can.
    fn fma(self, a: Self::V, b: Self::V, c: Self::V) -> Self::V;
    /// The larger one; `b` when either is not a number.
    fn max(self, a: Self::V, b: Self::V) -> Self::V;
    /// The smaller one; `b` when either is not a number.
    fn min(self, a: Self::V, b: Self::V) -> Self::V;
    /// `a > b`, or either is not a number.
    fn above(self, a: Self::V, b: Self::V) -> Self::M;
    /// `a` where the mask holds, else `b`.
    fn select(self, m: Self::M, a: Self::V, b: Self::V) -> Self::V;
    /// `v · 2^n` for whole `n` up to 127; below −126 nearly 0.
    fn scale2(self, v: Self::V, n: Self::V) -> Self::V;
    /// To the nearest integer.
    fn round(self, v: Self::V) -> Self::V;
    /// Turns the square of the first `LANES` vectors: lane `j` of vector `i` becomes lane `i` of vector `j`.
    fn transpose(self, m: &mut [Self::V; 16]);
    /// Asks for the cache line at `p` ahead of its use; any address will do.
    fn prefetch(self, p: *const f32);

    /// Runs `work` with these vectors in a function of its own: what many kernels do is then compiled once for a kind of vectors,
    /// not once more in each of them.
    fn call<W: Work>(self, work: W) -> W::Out;

    /// `n` numbers from the front of `x` (at most a vector).
    #[inline(always)]
    fn read(self, x: &[f32], n: usize) -> Self::V {
        let x = &x[..n];
        // SAFETY: the slice has just been cut to `n` numbers.
        unsafe { if n == Self::LANES { self.load(x.as_ptr()) } else { self.load_part(x.as_ptr(), n) } }
    }
    /// Writes `n` lanes to the front of `x`.
    #[inline(always)]
    fn write(self, x: &mut [f32], n: usize, v: Self::V) {
        let x = &mut x[..n];
        // SAFETY: the slice has just been cut to `n` numbers.
        unsafe { if n == Self::LANES { self.store(x.as_mut_ptr(), v) } else { self.store_part(x.as_mut_ptr(), n, v) } }
    }
    #[inline(always)]
    fn zero(self) -> Self::V {
        self.splat(0.0)
    }
    /// `c − a · b`.
    #[inline(always)]
    fn fnma(self, a: Self::V, b: Self::V, c: Self::V) -> Self::V {
        self.fma(self.sub(self.zero(), a), b, c)
    }
    /// `1 / v` for 1 ≤ v, at most 2 ulp off.
    #[inline(always)]
    fn reciprocal(self, v: Self::V) -> Self::V {
        self.div(self.splat(1.0), v)
    }
    /// `1 / (1 + e^−x)`: networks evaluate it more often than anything else but products, so without a division where the
    /// machine has a first guess, and with Cephes' shorter polynomial for powers of two.
    #[inline(always)]
    fn sigmoid(self, x: Self::V) -> Self::V {
        let c = |v: f32| self.splat(v);
        // NaN is the second operand and survives; e^87 is still a number.
        let x = self.max(c(-87.0), x);
        let n = self.round(self.mul(x, c(-std::f32::consts::LOG2_E)));
        let f = self.fms(x, c(-std::f32::consts::LOG2_E), n);
        let mut p = c(1.535_336_2e-4);
        for coefficient in [1.339_887_4e-3, 9.618_437e-3, 5.550_332_6e-2, 0.240_226_48, std::f32::consts::LN_2, 1.0] {
            p = self.fma(p, f, c(coefficient));
        }
        self.reciprocal(self.add(c(1.0), self.scale2(p, n)))
    }
    /// `a · b − c`.
    #[inline(always)]
    fn fms(self, a: Self::V, b: Self::V, c: Self::V) -> Self::V {
        self.fma(a, b, self.sub(self.zero(), c))
    }
    /// `Σ coefficient · x^i`, the highest power first.
    #[inline(always)]
    fn polynomial(self, x: Self::V, coefficients: &[f32]) -> Self::V {
        let mut p = self.splat(coefficients[0]);
        for &coefficient in &coefficients[1..] {
            p = self.fma(p, x, self.splat(coefficient));
        }
        p
    }
    /// `e^x`, 1 ulp off; 0 below `e^−86.9`, where numbers are about to lose digits, infinity above the largest number.
    #[inline(always)]
    fn exp(self, x: Self::V) -> Self::V {
        let c = |v: f32| self.splat(v);
        let n = self.round(self.mul(x, c(std::f32::consts::LOG2_E)));
        // ln 2 in two parts: `n` times the first one is exact.
        let r = self.fma(n, c(-355.0 / 512.0), x);
        let r = self.fma(n, c(2.121_944_4e-4), r);
        let p = self.polynomial(r, &[1.395_063_2e-3, 8.368_972e-3, 4.166_620_2e-2, 0.166_665_18, 0.5]);
        let y = self.add(self.fma(p, self.mul(r, r), r), c(1.0));
        // `n` may be 128, which is no exponent, and more than that where the result is infinite.
        let y = self.mul(self.scale2(y, self.sub(self.min(c(128.0), n), c(1.0))), c(2.0));
        let y = self.select(self.above(x, c(-86.9)), y, self.zero());
        self.select(self.above(c(88.722_83), x), y, c(f32::INFINITY))
    }
    /// `|x|`.
    #[inline(always)]
    fn abs(self, x: Self::V) -> Self::V {
        self.max(x, self.sub(self.zero(), x))
    }
    /// `Φ(x)`, the normal distribution, and `e^(−x²/2)`. `Φ` is at most 2.5e-7 off in relation to its value; below 0, 4e-7
    /// and what the rounding of x² adds, x² · 2⁻²⁵.
    #[inline(always)]
    fn normal(self, x: Self::V) -> (Self::V, Self::V) {
        let c = |v: f32| self.splat(v);
        let bell = self.exp(self.mul(self.mul(x, x), c(-0.5)));
        // The tail is the bell times a curve that is nearly a polynomial of u (Hastings 1955); written around u = 1/2, where
        // its terms fall off, so that rounding errors do not add up.
        let u = self.div(c(1.0), self.fma(self.min(c(40.0), self.abs(x)), c(0.3), c(1.0)));
        let p = self.polynomial(
            self.sub(self.add(u, u), c(1.0)),
            &[
                2.933_42e-4,
                -5.259_25e-4,
                -2.438_129_9e-3,
                1.807_532_3e-3,
                2.776_288_7e-2,
                8.655_032_5e-2,
                0.164_579_39,
                0.221_970_6,
            ],
        );
        let tail = self.mul(bell, self.mul(p, u));
        (self.select(self.above(x, self.zero()), self.sub(c(1.0), tail), tail), bell)
    }
    /// Hyperbolic tangent, 2 ulp off.
    #[inline(always)]
    fn tanh(self, x: Self::V) -> Self::V {
        let c = |v: f32| self.splat(v);
        let (t, s) = (self.abs(x), self.mul(x, x));
        let p = self.polynomial(s, &[-5.679_270_7e-3, 2.061_809_5e-2, -5.373_399_3e-2, 0.133_313_83, -0.333_332_8]);
        let near = self.fma(self.mul(p, s), x, x);
        let far = self.sub(c(1.0), self.div(c(2.0), self.add(self.exp(self.add(t, t)), c(1.0))));
        let far = self.select(self.above(x, self.zero()), far, self.sub(self.zero(), far));
        self.select(self.above(c(0.625), t), near, far)
    }
    /// `Σ` of all lanes.
    #[inline(always)]
    fn total(self, v: Self::V) -> f64 {
        let mut lanes = [0.0; 16];
        self.write(&mut lanes, Self::LANES, v);
        lanes.iter().map(|&v| f64::from(v)).sum()
    }
}

/// Work that is compiled once for every kind of vectors.
pub(crate) trait Work {
    type Out;
    /// Must be `#[inline(always)]`.
    fn run<S: Simd>(self, s: S) -> Self::Out;
}

/// The kinds of vectors, narrow to wide.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
#[repr(u8)]
pub enum Vectors {
    /// What the compiler makes of plain loops.
    Portable = 1,
    /// AVX2 with FMA, 8 numbers.
    Avx2 = 2,
    /// AVX-512, 16 numbers.
    Avx512 = 3,
}

/// What kernels use; 0 until it was looked up or limited, and then it stays: tasks are cut by the width of vectors, so a
/// change between cutting and computing would let them write into one another's rows.
static CHOSEN: AtomicU8 = AtomicU8::new(0);

/// The vectors that kernels use on this machine.
pub fn vectors() -> Vectors {
    match CHOSEN.load(Ordering::Relaxed) {
        3 => Vectors::Avx512,
        2 => Vectors::Avx2,
        1 => Vectors::Portable,
        _ => limit_vectors(Vectors::Avx512),
    }
}

/// Uses no wider vectors than these, for comparisons, unless something was computed before: then nothing changes. Returns
/// what is used.
pub fn limit_vectors(most: Vectors) -> Vectors {
    let chosen = machine().min(most) as u8;
    // Whoever is first decides.
    let _ = CHOSEN.compare_exchange(0, chosen, Ordering::Relaxed, Ordering::Relaxed);
    vectors()
}

/// Uses no wider vectors than these from now on, for tests that compare kinds of vectors; returns what is used.
///
/// # Safety
/// No op of this crate runs in any thread meanwhile.
pub unsafe fn switch_vectors(most: Vectors) -> Vectors {
    let chosen = machine().min(most);
    CHOSEN.store(chosen as u8, Ordering::Relaxed);
    chosen
}

#[cfg(target_arch = "x86_64")]
fn machine() -> Vectors {
    let has512 = is_x86_feature_detected!("avx512f")
        && is_x86_feature_detected!("avx512vl")
        && is_x86_feature_detected!("avx512dq")
        && is_x86_feature_detected!("avx512bw");
    if !(is_x86_feature_detected!("avx2") && is_x86_feature_detected!("fma")) {
        Vectors::Portable
    } else if has512 {
        Vectors::Avx512
    } else {
        Vectors::Avx2
    }
}

#[cfg(not(target_arch = "x86_64"))]
fn machine() -> Vectors {
    Vectors::Portable
}

/// Runs `work` with the machine's vectors.
pub(crate) fn dispatch<W: Work>(work: W) -> W::Out {
    with(vectors(), work)
}

/// Runs `work` with one kind of vectors, or what the machine has of it.
fn with<W: Work>(kind: Vectors, work: W) -> W::Out {
    match kind.min(machine()) {
        // SAFETY: `machine` found these features.
        #[cfg(target_arch = "x86_64")]
        Vectors::Avx512 => unsafe { x86::with_avx512(work) },
        // SAFETY: as above.
        #[cfg(target_arch = "x86_64")]
        Vectors::Avx2 => unsafe { x86::with_avx2(work) },
        _ => with_portable(work),
    }
}

/// Eight numbers and loops that the compiler vectorizes.
#[derive(Clone, Copy)]
pub(crate) struct Portable(());

#[inline(always)]
fn each(a: [f32; 8], b: [f32; 8], f: impl Fn(f32, f32) -> f32) -> [f32; 8] {
    let mut out = [0.0; 8];
    for i in 0..8 {
        out[i] = f(a[i], b[i]);
    }
    out
}

/// Work on portable vectors in a function of its own.
#[inline(never)]
fn with_portable<W: Work>(work: W) -> W::Out {
    work.run(Portable(()))
}

impl Simd for Portable {
    type V = [f32; 8];
    type M = [bool; 8];
    const LANES: usize = 8;
    const REGISTERS: usize = if cfg!(target_arch = "aarch64") { 16 } else { 8 };

    #[inline(always)]
    fn call<W: Work>(self, work: W) -> W::Out {
        with_portable(work)
    }

    #[inline(always)]
    fn splat(self, x: f32) -> Self::V {
        [x; 8]
    }
    #[inline(always)]
    unsafe fn load(self, p: *const f32) -> Self::V {
        // SAFETY: the caller's promise; unaligned.
        unsafe { p.cast::<[f32; 8]>().read_unaligned() }
    }
    #[inline(always)]
    unsafe fn store(self, p: *mut f32, v: Self::V) {
        // SAFETY: the caller's promise; unaligned.
        unsafe { p.cast::<[f32; 8]>().write_unaligned(v) }
    }
    #[inline(always)]
    unsafe fn load_part(self, p: *const f32, n: usize) -> Self::V {
        let mut v = [0.0; 8];
        // SAFETY: the caller's promise.
        v[..n].copy_from_slice(unsafe { std::slice::from_raw_parts(p, n) });
        v
    }
    #[inline(always)]
    unsafe fn store_part(self, p: *mut f32, n: usize, v: Self::V) {
        // SAFETY: the caller's promise.
        unsafe { std::slice::from_raw_parts_mut(p, n) }.copy_from_slice(&v[..n]);
    }
    #[inline(always)]
    fn add(self, a: Self::V, b: Self::V) -> Self::V {
        each(a, b, |a, b| a + b)
    }
    #[inline(always)]
    fn sub(self, a: Self::V, b: Self::V) -> Self::V {
        each(a, b, |a, b| a - b)
    }
    #[inline(always)]
    fn mul(self, a: Self::V, b: Self::V) -> Self::V {
        each(a, b, |a, b| a * b)
    }
    #[inline(always)]
    fn div(self, a: Self::V, b: Self::V) -> Self::V {
        each(a, b, |a, b| a / b)
    }
    #[inline(always)]
    fn fma(self, a: Self::V, b: Self::V, c: Self::V) -> Self::V {
        let mut out = [0.0; 8];
        for i in 0..8 {
            // Without the instruction `mul_add` is a slow function call.
            out[i] = if cfg!(target_arch = "aarch64") { a[i].mul_add(b[i], c[i]) } else { a[i] * b[i] + c[i] };
        }
        out
    }
    #[inline(always)]
    fn max(self, a: Self::V, b: Self::V) -> Self::V {
        each(a, b, |a, b| if a > b { a } else { b })
    }
    #[inline(always)]
    fn min(self, a: Self::V, b: Self::V) -> Self::V {
        each(a, b, |a, b| if a < b { a } else { b })
    }
    #[inline(always)]
    fn above(self, a: Self::V, b: Self::V) -> Self::M {
        let mut out = [false; 8];
        for i in 0..8 {
            out[i] = a[i] > b[i] || a[i].is_nan() || b[i].is_nan();
        }
        out
    }
    #[inline(always)]
    fn select(self, m: Self::M, a: Self::V, b: Self::V) -> Self::V {
        let mut out = [0.0; 8];
        for i in 0..8 {
            out[i] = if m[i] { a[i] } else { b[i] };
        }
        out
    }
    #[inline(always)]
    fn scale2(self, v: Self::V, n: Self::V) -> Self::V {
        each(v, n, |v, n| v * f32::from_bits(((n as i32).max(-126) + 127).cast_unsigned() << 23))
    }
    #[inline(always)]
    fn round(self, v: Self::V) -> Self::V {
        v.map(f32::round_ties_even)
    }
    #[inline(always)]
    fn transpose(self, m: &mut [Self::V; 16]) {
        let from = *m;
        for (j, row) in m.iter_mut().enumerate().take(8) {
            *row = std::array::from_fn(|i| from[i][j]);
        }
    }
    #[inline(always)]
    fn prefetch(self, _: *const f32) {}
}

#[cfg(target_arch = "x86_64")]
mod x86 {
    use super::{Simd, Work};
    use std::arch::x86_64::*;

    /// # Safety
    /// The machine has these features.
    #[target_feature(enable = "avx2,fma,avx512f,avx512vl,avx512dq,avx512bw")]
    #[inline(never)]
    pub(super) unsafe fn with_avx512<W: Work>(work: W) -> W::Out {
        work.run(Avx512(()))
    }

    /// # Safety
    /// The machine has these features.
    #[target_feature(enable = "avx2,fma")]
    #[inline(never)]
    pub(super) unsafe fn with_avx2<W: Work>(work: W) -> W::Out {
        work.run(Avx2(()))
    }

    /// Made by [`with_avx512`] only.
    #[derive(Clone, Copy)]
    pub(crate) struct Avx512(());

    /// Made by [`with_avx2`] only.
    #[derive(Clone, Copy)]
    pub(crate) struct Avx2(());

    /// A method that is one instruction.
    macro_rules! one {
        ($($name:ident($($arg:ident),*) = $intrinsic:expr;)*) => {$(
            #[inline(always)]
            fn $name(self, $($arg: Self::V),*) -> Self::V {
                // SAFETY: `self` proves that the machine has the instruction.
                unsafe { $intrinsic }
            }
        )*};
    }

    impl Simd for Avx512 {
        type V = __m512;
        type M = __mmask16;
        const LANES: usize = 16;
        const REGISTERS: usize = 32;

        #[inline(always)]
        fn call<W: Work>(self, work: W) -> W::Out {
            // SAFETY: `self` proves that the machine has the instructions.
            unsafe { with_avx512(work) }
        }

        one! {
            add(a, b) = _mm512_add_ps(a, b);
            sub(a, b) = _mm512_sub_ps(a, b);
            mul(a, b) = _mm512_mul_ps(a, b);
            div(a, b) = _mm512_div_ps(a, b);
            fma(a, b, c) = _mm512_fmadd_ps(a, b, c);
            fnma(a, b, c) = _mm512_fnmadd_ps(a, b, c);
            fms(a, b, c) = _mm512_fmsub_ps(a, b, c);
            reciprocal(v) = {
                let guess = _mm512_rcp14_ps(v);
                // One step of Newton's: guess · (2 − v · guess).
                _mm512_fmadd_ps(guess, _mm512_fnmadd_ps(v, guess, _mm512_set1_ps(1.0)), guess)
            };
            max(a, b) = _mm512_max_ps(a, b);
            min(a, b) = _mm512_min_ps(a, b);
            scale2(v, n) = _mm512_scalef_ps(v, n);
            round(v) = _mm512_roundscale_ps::<{ _MM_FROUND_TO_NEAREST_INT | _MM_FROUND_NO_EXC }>(v);
        }
        #[inline(always)]
        fn splat(self, x: f32) -> Self::V {
            // SAFETY: `self` proves that the machine has the instruction.
            unsafe { _mm512_set1_ps(x) }
        }
        #[inline(always)]
        unsafe fn load(self, p: *const f32) -> Self::V {
            // SAFETY: the caller's promise.
            unsafe { _mm512_loadu_ps(p) }
        }
        #[inline(always)]
        unsafe fn store(self, p: *mut f32, v: Self::V) {
            // SAFETY: the caller's promise.
            unsafe { _mm512_storeu_ps(p, v) }
        }
        #[inline(always)]
        unsafe fn load_part(self, p: *const f32, n: usize) -> Self::V {
            // SAFETY: the mask keeps the read within the caller's promise.
            unsafe { _mm512_maskz_loadu_ps(((1u32 << n) - 1) as __mmask16, p) }
        }
        #[inline(always)]
        unsafe fn store_part(self, p: *mut f32, n: usize, v: Self::V) {
            // SAFETY: the mask keeps the write within the caller's promise.
            unsafe { _mm512_mask_storeu_ps(p, ((1u32 << n) - 1) as __mmask16, v) }
        }
        #[inline(always)]
        fn above(self, a: Self::V, b: Self::V) -> Self::M {
            // SAFETY: `self` proves that the machine has the instruction.
            unsafe { _mm512_cmp_ps_mask::<_CMP_NLE_UQ>(a, b) }
        }
        #[inline(always)]
        fn select(self, m: Self::M, a: Self::V, b: Self::V) -> Self::V {
            // SAFETY: `self` proves that the machine has the instruction.
            unsafe { _mm512_mask_blend_ps(m, b, a) }
        }
        #[inline(always)]
        fn transpose(self, m: &mut [Self::V; 16]) {
            // SAFETY: `self` proves that the machine has the instructions.
            unsafe {
                let mut b = *m;
                for i in 0..8 {
                    b[2 * i] = _mm512_unpacklo_ps(m[2 * i], m[2 * i + 1]);
                    b[2 * i + 1] = _mm512_unpackhi_ps(m[2 * i], m[2 * i + 1]);
                }
                for i in 0..4 {
                    for half in 0..2 {
                        let x = _mm512_castps_pd(b[4 * i + half]);
                        let y = _mm512_castps_pd(b[4 * i + 2 + half]);
                        m[4 * i + 2 * half] = _mm512_castpd_ps(_mm512_unpacklo_pd(x, y));
                        m[4 * i + 2 * half + 1] = _mm512_castpd_ps(_mm512_unpackhi_pd(x, y));
                    }
                }
                // m[4 i + k]: column k of every quarter, rows 4 i to 4 i + 3.
                for k in 0..4 {
                    let t0 = _mm512_shuffle_f32x4::<0x88>(m[k], m[4 + k]);
                    let t1 = _mm512_shuffle_f32x4::<0xdd>(m[k], m[4 + k]);
                    let t2 = _mm512_shuffle_f32x4::<0x88>(m[8 + k], m[12 + k]);
                    let t3 = _mm512_shuffle_f32x4::<0xdd>(m[8 + k], m[12 + k]);
                    b[k] = _mm512_shuffle_f32x4::<0x88>(t0, t2);
                    b[8 + k] = _mm512_shuffle_f32x4::<0xdd>(t0, t2);
                    b[4 + k] = _mm512_shuffle_f32x4::<0x88>(t1, t3);
                    b[12 + k] = _mm512_shuffle_f32x4::<0xdd>(t1, t3);
                }
                *m = b;
            }
        }
        #[inline(always)]
        fn prefetch(self, p: *const f32) {
            // SAFETY: a hint; it never faults.
            unsafe { _mm_prefetch::<_MM_HINT_T0>(p.cast()) }
        }
    }

    impl Avx2 {
        /// All bits set in the first `n` lanes.
        #[inline(always)]
        fn first(self, n: usize) -> __m256i {
            const ONES: [i32; 16] = [-1, -1, -1, -1, -1, -1, -1, -1, 0, 0, 0, 0, 0, 0, 0, 0];
            let window = &ONES[8 - n..][..8];
            // SAFETY: the window has eight numbers; `self` proves that the machine has the instruction.
            unsafe { _mm256_loadu_si256(window.as_ptr().cast()) }
        }
    }

    impl Simd for Avx2 {
        type V = __m256;
        type M = __m256;
        const LANES: usize = 8;
        const REGISTERS: usize = 16;

        #[inline(always)]
        fn call<W: Work>(self, work: W) -> W::Out {
            // SAFETY: `self` proves that the machine has the instructions.
            unsafe { with_avx2(work) }
        }

        one! {
            add(a, b) = _mm256_add_ps(a, b);
            sub(a, b) = _mm256_sub_ps(a, b);
            mul(a, b) = _mm256_mul_ps(a, b);
            div(a, b) = _mm256_div_ps(a, b);
            fma(a, b, c) = _mm256_fmadd_ps(a, b, c);
            fnma(a, b, c) = _mm256_fnmadd_ps(a, b, c);
            fms(a, b, c) = _mm256_fmsub_ps(a, b, c);
            reciprocal(v) = {
                let guess = _mm256_rcp_ps(v);
                _mm256_fmadd_ps(guess, _mm256_fnmadd_ps(v, guess, _mm256_set1_ps(1.0)), guess)
            };
            max(a, b) = _mm256_max_ps(a, b);
            min(a, b) = _mm256_min_ps(a, b);
            round(v) = _mm256_round_ps::<{ _MM_FROUND_TO_NEAREST_INT | _MM_FROUND_NO_EXC }>(v);
            scale2(v, n) = {
                let n = _mm256_max_ps(n, _mm256_set1_ps(-126.0));
                let exponent = _mm256_add_epi32(_mm256_cvtps_epi32(n), _mm256_set1_epi32(127));
                _mm256_mul_ps(v, _mm256_castsi256_ps(_mm256_slli_epi32::<23>(exponent)))
            };
        }
        #[inline(always)]
        fn splat(self, x: f32) -> Self::V {
            // SAFETY: `self` proves that the machine has the instruction.
            unsafe { _mm256_set1_ps(x) }
        }
        #[inline(always)]
        unsafe fn load(self, p: *const f32) -> Self::V {
            // SAFETY: the caller's promise.
            unsafe { _mm256_loadu_ps(p) }
        }
        #[inline(always)]
        unsafe fn store(self, p: *mut f32, v: Self::V) {
            // SAFETY: the caller's promise.
            unsafe { _mm256_storeu_ps(p, v) }
        }
        #[inline(always)]
        unsafe fn load_part(self, p: *const f32, n: usize) -> Self::V {
            // SAFETY: the mask keeps the read within the caller's promise.
            unsafe { _mm256_maskload_ps(p, self.first(n)) }
        }
        #[inline(always)]
        unsafe fn store_part(self, p: *mut f32, n: usize, v: Self::V) {
            // SAFETY: the mask keeps the write within the caller's promise.
            unsafe { _mm256_maskstore_ps(p, self.first(n), v) }
        }
        #[inline(always)]
        fn above(self, a: Self::V, b: Self::V) -> Self::M {
            // SAFETY: `self` proves that the machine has the instruction.
            unsafe { _mm256_cmp_ps::<_CMP_NLE_UQ>(a, b) }
        }
        #[inline(always)]
        fn select(self, m: Self::M, a: Self::V, b: Self::V) -> Self::V {
            // SAFETY: `self` proves that the machine has the instruction.
            unsafe { _mm256_blendv_ps(b, a, m) }
        }
        #[inline(always)]
        fn transpose(self, m: &mut [Self::V; 16]) {
            // SAFETY: `self` proves that the machine has the instructions.
            unsafe {
                let mut b = *m;
                for i in 0..4 {
                    b[2 * i] = _mm256_unpacklo_ps(m[2 * i], m[2 * i + 1]);
                    b[2 * i + 1] = _mm256_unpackhi_ps(m[2 * i], m[2 * i + 1]);
                }
                for i in 0..2 {
                    for half in 0..2 {
                        let (x, y) = (b[4 * i + half], b[4 * i + 2 + half]);
                        m[4 * i + 2 * half] = _mm256_shuffle_ps::<0x44>(x, y);
                        m[4 * i + 2 * half + 1] = _mm256_shuffle_ps::<0xee>(x, y);
                    }
                }
                for k in 0..4 {
                    b[k] = _mm256_permute2f128_ps::<0x20>(m[k], m[4 + k]);
                    b[4 + k] = _mm256_permute2f128_ps::<0x31>(m[k], m[4 + k]);
                }
                *m = b;
            }
        }
        #[inline(always)]
        fn prefetch(self, p: *const f32) {
            // SAFETY: a hint; it never faults.
            unsafe { _mm_prefetch::<_MM_HINT_T0>(p.cast()) }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    struct Square;
    impl Work for Square {
        type Out = (usize, Vec<f32>);
        #[inline(always)]
        fn run<S: Simd>(self, s: S) -> Self::Out {
            let from: Vec<f32> = (0..S::LANES * S::LANES).map(|i| i as f32).collect();
            let mut m = [s.zero(); 16];
            for (v, row) in m.iter_mut().zip(from.chunks(S::LANES)) {
                *v = s.read(row, S::LANES);
            }
            s.transpose(&mut m);
            let mut to = vec![0.0; from.len()];
            for (v, row) in m.into_iter().zip(to.chunks_mut(S::LANES)) {
                s.write(row, S::LANES, v);
            }
            (S::LANES, to)
        }
    }

    struct Curves(Vec<f32>);
    impl Work for Curves {
        type Out = Vec<[f32; 4]>;
        #[inline(always)]
        fn run<S: Simd>(self, s: S) -> Self::Out {
            let mut out = vec![];
            for &x in &self.0 {
                let mut lanes = [0.0; 4];
                let x = s.splat(x);
                for (lane, y) in lanes.iter_mut().zip([s.sigmoid(x), s.exp(x), s.normal(x).0, s.tanh(x)]) {
                    s.write(std::slice::from_mut(lane), 1, y);
                }
                out.push(lanes);
            }
            out
        }
    }

    #[test]
    fn every_kind_transposes_and_computes() {
        let special = [f32::NAN, f32::INFINITY, f32::NEG_INFINITY, -0.0, -200.0, 200.0, 88.5, 88.7, 88.8, 1e-5];
        let xs: Vec<f32> = (-8800..=8800).map(|i| i as f32 / 100.0).chain(special).collect();
        for most in [Vectors::Portable, Vectors::Avx2, Vectors::Avx512] {
            let (lanes, turned) = with(most, Square);
            for (i, v) in turned.iter().enumerate() {
                assert_eq!(*v, (i % lanes * lanes + i / lanes) as f32, "{most:?}");
            }
            for (&x, ours) in xs.iter().zip(with(most, Curves(xs.clone()))) {
                let wide = f64::from(x);
                let below = 0.5 * candle_core::cpu::erf::erfc_f64(-wide * std::f64::consts::FRAC_1_SQRT_2);
                let exact = [1.0 / (1.0 + (-wide).exp()), wide.exp(), below, wide.tanh()];
                // Next to the exact value: 1 in every digit of a float, and the numbers that are flushed to 0.
                let relative =
                    [1.0, 1.5e-7, if x >= 0.0 { 2.5e-7 } else { 4e-7 + wide * wide * 0.5f64.powi(25) }, 2e-7];
                // The fast sigmoid of infinity is not a number.
                let first = usize::from(x == f32::INFINITY);
                for (i, (ours, exact)) in ours.into_iter().zip(exact).enumerate().skip(first) {
                    let (ours, most_off) =
                        (f64::from(ours), if i == 0 { 2e-7 } else { relative[i] * exact.abs() + 2e-38 });
                    let infinite = exact > f64::from(f32::MAX) && ours == f64::INFINITY;
                    let right = match x.is_nan() {
                        true => ours.is_nan(),
                        false => ours == exact || (ours - exact).abs() <= most_off || infinite,
                    };
                    assert!(right, "{most:?} curve {i} of {x} = {ours}, not {exact}");
                }
            }
        }
    }
}
