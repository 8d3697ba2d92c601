//! The inner loops of all convolutions: tiles of a matrix product that stay in registers.
//!
//! A tile is up to [`rows`] × 2 vectors of the result. Left factors are read where they lie, as rows at a fixed distance
//! made of one or more *runs*, so that a convolution's windows need not be gathered. Right factors of [`Panels`] are read
//! in order.
#![allow(unsafe_code)]

use super::scratch::Scratch;
use super::simd::{Simd, Work, dispatch};
use std::ops::Range;

/// Rows of a full tile: two vectors a row, two of the right factor, one broadcast.
pub(crate) const fn rows<S: Simd>() -> usize {
    match S::REGISTERS {
        32 => 12,
        16 => 6,
        _ => 2,
    }
}

/// A right factor `[depth, columns]` cut into panels of two vectors (the last one of one or two), zeros behind the last column.
pub(crate) struct Panels {
    data: Scratch,
    pub depth: usize,
    pub columns: usize,
}

impl Panels {
    /// `fill(columns, out, width)` writes `depth` rows, `width` apart, of these columns.
    pub(crate) fn new(depth: usize, columns: usize, fill: impl Fn(Range<usize>, &mut [f32], usize) + Sync) -> Self {
        use rayon::prelude::*;
        let lanes = lanes();
        // SAFETY: a panel is filled from the first row to the last, with zeros behind the last column.
        let mut data = unsafe { Scratch::new(depth * columns.next_multiple_of(lanes)) };
        let width = 2 * lanes;
        let task = |(panel, out): (usize, &mut [f32])| {
            let wide = out.len() / depth;
            let range = panel * width..(panel * width + wide).min(columns);
            if range.len() < wide {
                out.fill(0.0);
            }
            fill(range, out, wide);
        };
        let chunk = (depth * width).max(1);
        if depth * columns < 1 << 14 {
            data.chunks_mut(chunk).enumerate().for_each(task);
        } else {
            data.par_chunks_mut(chunk).enumerate().for_each(task);
        }
        Self { data, depth, columns }
    }
}

/// A right factor in the form of [`Panels`].
#[derive(Clone, Copy)]
pub(crate) struct Factor<'a> {
    pub data: &'a [f32],
    pub depth: usize,
    pub columns: usize,
}

impl Panels {
    pub(crate) fn factor(&self) -> Factor<'_> {
        Factor { data: &self.data, depth: self.depth, columns: self.columns }
    }
}

/// Numbers in a vector of this machine.
pub(crate) fn lanes() -> usize {
    struct Lanes;
    impl Work for Lanes {
        type Out = usize;
        #[inline(always)]
        fn run<S: Simd>(self, _: S) -> usize {
            S::LANES
        }
    }
    dispatch(Lanes)
}

/// Left factor: row `i` begins at `data[start + i · step]` and continues with the runs.
#[derive(Clone, Copy)]
pub(crate) struct Left<'a> {
    pub data: &'a [f32],
    pub step: usize,
    /// Offsets of the runs from a row's beginning.
    pub runs: &'a [usize],
    /// Numbers in each run.
    pub len: usize,
}

/// Where a product's rows go: row `i` at `data[start + i · step]`.
pub(crate) struct Right<'a> {
    pub data: &'a mut [f32],
    pub step: usize,
}

/// For each of `lines` (start in `a`, start in `c`): `count` rows of `c = a · b`. Columns of `c` beyond `b`'s stay untouched.
#[inline(always)]
pub(crate) fn product<S: Simd>(
    s: S,
    a: Left<'_>,
    b: Factor<'_>,
    c: Right<'_>,
    count: usize,
    lines: impl Iterator<Item = (usize, usize)> + Clone,
) {
    let reach = a.runs.iter().max().map_or(0, |r| r + a.len) + (count.max(1) - 1) * a.step;
    assert_eq!(a.runs.len() * a.len, b.depth, "inner dimensions");
    assert!(c.step >= b.columns && b.data.len() >= b.depth * b.columns.next_multiple_of(S::LANES));
    for (from, to) in lines.clone() {
        assert!(from + reach <= a.data.len() && to + (count.max(1) - 1) * c.step + b.columns <= c.data.len());
    }
    let width = 2 * S::LANES;
    let tiles = count.div_ceil(rows::<S>());
    let mut column = 0;
    while column < b.columns {
        let valid = (b.columns - column).min(width);
        let panel = &b.data[column * b.depth..];
        for (from, to) in lines.clone() {
            let mut row = 0;
            for t in 0..tiles {
                // Even tiles rather than full ones and a rest.
                let m = (count - row).div_ceil(tiles - t);
                // SAFETY: rows `row..row + m` of this line lie inside both slices, checked above; the panel holds
                // `depth` rows of one or two vectors.
                unsafe {
                    let a_at = a.data.as_ptr().add(from + row * a.step);
                    let c_at = c.data.as_mut_ptr().add(to + row * c.step + column);
                    let left = Rows { at: a_at, step: a.step, runs: a.runs, len: a.len };
                    let out = Out { at: c_at, step: c.step, valid, add: false };
                    if valid > S::LANES {
                        tile::<S, 2>(s, m, left, panel.as_ptr(), out)
                    } else {
                        tile::<S, 1>(s, m, left, panel.as_ptr(), out)
                    }
                }
                row += m;
            }
        }
        column += width;
    }
}

#[derive(Clone, Copy)]
struct Rows<'a> {
    at: *const f32,
    step: usize,
    runs: &'a [usize],
    len: usize,
}

#[derive(Clone, Copy)]
struct Out {
    at: *mut f32,
    step: usize,
    /// Columns of the tile that exist.
    valid: usize,
    add: bool,
}

/// Calls `f::<S, M, N>` for `M` = `m` rows.
macro_rules! by_rows {
    ($f:ident, $n:ident, $m:expr, $($arg:expr),*) => {
        match $m {
            1 => $f::<S, 1, $n>($($arg),*),
            2 => $f::<S, 2, $n>($($arg),*),
            3 if S::REGISTERS > 8 => $f::<S, 3, $n>($($arg),*),
            4 if S::REGISTERS > 8 => $f::<S, 4, $n>($($arg),*),
            5 if S::REGISTERS > 8 => $f::<S, 5, $n>($($arg),*),
            6 if S::REGISTERS > 8 => $f::<S, 6, $n>($($arg),*),
            7 if S::REGISTERS > 16 => $f::<S, 7, $n>($($arg),*),
            8 if S::REGISTERS > 16 => $f::<S, 8, $n>($($arg),*),
            9 if S::REGISTERS > 16 => $f::<S, 9, $n>($($arg),*),
            10 if S::REGISTERS > 16 => $f::<S, 10, $n>($($arg),*),
            11 if S::REGISTERS > 16 => $f::<S, 11, $n>($($arg),*),
            12 if S::REGISTERS > 16 => $f::<S, 12, $n>($($arg),*),
            _ => {}
        }
    };
}

/// # Safety
/// `m` rows of `a` with all runs are readable, `panel` holds their depth × `N` vectors, the valid columns of `c` are writable.
#[inline(always)]
unsafe fn tile<S: Simd, const N: usize>(s: S, m: usize, a: Rows<'_>, panel: *const f32, c: Out) {
    // SAFETY: the caller's promise.
    unsafe { by_rows!(forward_tile, N, m, s, a, panel, c) }
}

/// # Safety
/// As [`tile`].
#[inline(always)]
unsafe fn forward_tile<S: Simd, const M: usize, const N: usize>(s: S, a: Rows<'_>, panel: *const f32, c: Out) {
    // SAFETY: the caller's promise.
    unsafe {
        let mut acc = start::<S, M, N>(s, c);
        let mut b = panel;
        for &run in a.runs {
            let mut at = a.at.add(run);
            for _ in 0..a.len {
                // The panel streams through: its next rows are asked for while these are used.
                for j in 0..N {
                    s.prefetch(b.wrapping_add(8 * N * S::LANES + j * S::LANES));
                }
                step::<S, M, N>(s, &mut acc, b, |i| *at.add(i * a.step));
                b = b.add(N * S::LANES);
                at = at.add(1);
            }
        }
        finish(s, acc, c);
    }
}

/// One multiplication of a column by a row.
/// # Safety
/// `N` vectors are readable at `b`.
#[inline(always)]
unsafe fn step<S: Simd, const M: usize, const N: usize>(
    s: S,
    acc: &mut [[S::V; N]; M],
    b: *const f32,
    a: impl Fn(usize) -> f32,
) {
    let mut row = [s.zero(); N];
    for (j, v) in row.iter_mut().enumerate() {
        // SAFETY: the caller's promise.
        *v = unsafe { s.load(b.add(j * S::LANES)) };
    }
    for (i, acc) in acc.iter_mut().enumerate() {
        let left = s.splat(a(i));
        for (acc, &b) in acc.iter_mut().zip(&row) {
            *acc = s.fma(left, b, *acc);
        }
    }
}

/// # Safety
/// The valid columns of `M` rows of `c` are readable if `c.add`.
#[inline(always)]
unsafe fn start<S: Simd, const M: usize, const N: usize>(s: S, c: Out) -> [[S::V; N]; M] {
    let mut acc = [[s.zero(); N]; M];
    if c.add {
        let rest = c.valid - (N - 1) * S::LANES;
        for (i, acc) in acc.iter_mut().enumerate() {
            for (j, acc) in acc.iter_mut().enumerate() {
                // SAFETY: the caller's promise.
                unsafe {
                    let p = c.at.add(i * c.step + j * S::LANES);
                    *acc = if j + 1 < N || rest == S::LANES { s.load(p) } else { s.load_part(p, rest) };
                }
            }
        }
    }
    acc
}

/// # Safety
/// The valid columns of `M` rows of `c` are writable.
#[inline(always)]
unsafe fn finish<S: Simd, const M: usize, const N: usize>(s: S, acc: [[S::V; N]; M], c: Out) {
    let rest = c.valid - (N - 1) * S::LANES;
    for (i, acc) in acc.into_iter().enumerate() {
        for (j, acc) in acc.into_iter().enumerate() {
            // SAFETY: the caller's promise.
            unsafe {
                let p = c.at.add(i * c.step + j * S::LANES);
                if j + 1 < N || rest == S::LANES { s.store(p, acc) } else { s.store_part(p, rest, acc) }
            }
        }
    }
}

/// Both factors of a transposed product: row `k` of a line at `start + k · step`.
#[derive(Clone, Copy)]
pub(crate) struct Column<'a> {
    pub data: &'a [f32],
    pub step: usize,
    /// Numbers used of a row.
    pub width: usize,
}

/// `c (+)= Σ a_kᵀ · b_k` over the `count` rows of each of `lines` (start in `a`, start in `b`). `b` is read in whole vectors.
#[allow(clippy::too_many_arguments)]
#[inline(always)]
pub(crate) fn transposed<S: Simd>(
    s: S,
    a: Column<'_>,
    b: Column<'_>,
    c: Right<'_>,
    count: usize,
    lines: &[(usize, usize)],
    add: bool,
) {
    if count == 0 || a.width == 0 {
        return;
    }
    let whole = b.width.next_multiple_of(S::LANES);
    assert!(c.step >= whole && c.data.len() >= (a.width - 1) * c.step + whole, "result of a product");
    for &(left, right) in lines {
        assert!(left + (count - 1) * a.step + a.width <= a.data.len(), "left factor");
        assert!(right + (count - 1) * b.step + whole <= b.data.len(), "right factor");
    }
    let tiles = a.width.div_ceil(rows::<S>());
    let mut row = 0;
    for t in 0..tiles {
        let m = (a.width - row).div_ceil(tiles - t);
        let mut column = 0;
        while column < whole {
            let valid = (whole - column).min(2 * S::LANES);
            // SAFETY: checked above: every row of every line has `m` numbers from `row` and `valid` from `column`.
            unsafe {
                let left = Walk { at: a.data.as_ptr().add(row), step: a.step };
                let right = Walk { at: b.data.as_ptr().add(column), step: b.step };
                let out = Out { at: c.data.as_mut_ptr().add(row * c.step + column), step: c.step, valid, add };
                if valid > S::LANES {
                    walk::<S, 2>(s, m, left, right, out, count, lines);
                } else {
                    walk::<S, 1>(s, m, left, right, out, count, lines);
                }
            }
            column += 2 * S::LANES;
        }
        row += m;
    }
}

#[derive(Clone, Copy)]
struct Walk {
    at: *const f32,
    step: usize,
}

/// # Safety
/// `m` numbers of `a` and `N` vectors of `b` are readable in each of `count` rows of each line; the tile of `c` is writable.
#[allow(clippy::too_many_arguments)]
#[inline(always)]
unsafe fn walk<S: Simd, const N: usize>(
    s: S,
    m: usize,
    a: Walk,
    b: Walk,
    c: Out,
    count: usize,
    lines: &[(usize, usize)],
) {
    // SAFETY: the caller's promise.
    unsafe { by_rows!(transposed_tile, N, m, s, a, b, c, count, lines) }
}

/// # Safety
/// As [`walk`].
#[inline(always)]
unsafe fn transposed_tile<S: Simd, const M: usize, const N: usize>(
    s: S,
    a: Walk,
    b: Walk,
    c: Out,
    count: usize,
    lines: &[(usize, usize)],
) {
    // SAFETY: the caller's promise.
    unsafe {
        let mut acc = start::<S, M, N>(s, c);
        for &(left, right) in lines {
            let (mut left, mut right) = (a.at.add(left), b.at.add(right));
            for _ in 0..count {
                step::<S, M, N>(s, &mut acc, right, |i| *left.add(i));
                // Behind the last row there may be less than a step.
                left = left.wrapping_add(a.step);
                right = right.wrapping_add(b.step);
            }
        }
        finish(s, acc, c);
    }
}
