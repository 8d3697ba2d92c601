//! Weights between PyTorch's layout `[O, C/groups, k, k]` and the order in which kernels read them.

use super::simd::{Simd, Work, dispatch};
use rayon::prelude::*;
use std::ops::Range;

/// Turns a matrix: number `c` of row `r`, at `from(r) + c`, goes to `to(c) + r`.
#[inline(always)]
pub(crate) fn turn<S: Simd>(
    s: S,
    (rows, columns): (usize, usize),
    source: &[f32],
    from: impl Fn(usize) -> usize,
    out: &mut [f32],
    to: impl Fn(usize) -> usize,
) {
    for r in (0..rows).step_by(S::LANES) {
        let height = (rows - r).min(S::LANES);
        for c in (0..columns).step_by(S::LANES) {
            let width = (columns - c).min(S::LANES);
            let mut m = [s.zero(); 16];
            for i in 0..height {
                m[i] = s.read(&source[from(r + i) + c..], width);
            }
            s.transpose(&mut m);
            for j in 0..width {
                s.write(&mut out[to(c + j) + r..], height, m[j]);
            }
        }
    }
}

/// Rows `(tap, i)` of outputs `columns`, `width` apart: a panel for going forward, from `w` `[O, I, taps]`.
pub(crate) fn forward_panel(
    w: &[f32],
    inputs: usize,
    taps: usize,
    columns: Range<usize>,
    out: &mut [f32],
    width: usize,
) {
    struct Panel<'a>(&'a [f32], usize, usize, Range<usize>, &'a mut [f32], usize);
    impl Work for Panel<'_> {
        type Out = ();
        #[inline(always)]
        fn run<S: Simd>(self, s: S) {
            let Self(w, inputs, taps, columns, out, width) = self;
            let each = inputs * taps;
            let first = columns.start;
            let row = |j: usize| (j % taps * inputs + j / taps) * width;
            turn(s, (columns.len(), each), w, |o| (first + o) * each, out, row);
        }
    }
    dispatch(Panel(w, inputs, taps, columns, out, width));
}

/// Rows `(tap of taps, o)` of inputs `columns`, `width` apart: a panel for going back, from `w` `[O, I, all taps]`.
pub(crate) fn backward_panel(
    w: &[f32],
    (outputs, inputs, all): (usize, usize, usize),
    taps: &[usize],
    columns: Range<usize>,
    out: &mut [f32],
    width: usize,
) {
    for o in 0..outputs {
        let from = &w[(o * inputs + columns.start) * all..(o * inputs + columns.end) * all];
        if all == 1 {
            out[o * width..][..from.len()].copy_from_slice(from);
            continue;
        }
        for (i, from) in from.chunks_exact(all).enumerate() {
            for (t, tap) in taps.iter().enumerate() {
                out[(t * outputs + o) * width + i] = from[*tap];
            }
        }
    }
}

/// `[O, taps]` → `[taps, O]`, rows `width` apart.
pub(crate) fn taps_first(w: &[f32], outputs: usize, taps: usize, out: &mut [f32], width: usize) {
    for (o, w) in w.chunks_exact(taps).enumerate().take(outputs) {
        for (tap, &w) in w.iter().enumerate() {
            out[tap * width + o] = w;
        }
    }
}

/// `[taps, I, O]`, rows of `O` `step` apart → `[O, I, taps]`.
pub(crate) fn outputs_first(w: &[f32], outputs: usize, inputs: usize, taps: usize, step: usize, out: &mut [f32]) {
    struct Block<'a>(&'a [f32], usize, usize, usize, usize, &'a mut [f32]);
    impl Work for Block<'_> {
        type Out = ();
        #[inline(always)]
        fn run<S: Simd>(self, s: S) {
            let Self(w, first, inputs, taps, step, out) = self;
            let each = inputs * taps;
            let row = |j: usize| (j % taps * inputs + j / taps) * step + first;
            turn(s, (each, out.len() / each), w, row, out, |o| o * each);
        }
    }
    const SIDE: usize = 16;
    let each = inputs * taps;
    let task = |(i, out): (usize, &mut [f32])| dispatch(Block(w, i * SIDE, inputs, taps, step, out));
    debug_assert_eq!(out.len(), outputs * each);
    if out.len() < 1 << 14 {
        out.chunks_mut(SIDE * each).enumerate().for_each(task);
    } else {
        out.par_chunks_mut(SIDE * each).enumerate().for_each(task);
    }
}
