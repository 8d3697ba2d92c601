//! Weights between PyTorch's layout `[O, C/groups, k, k]` and the order in which kernels read them.

use rayon::prelude::*;

/// `[O, I, taps]` → `[taps, O, I]`.
pub(crate) fn taps_first(w: &[f32], taps: usize) -> Vec<f32> {
    let each = w.len() / taps;
    let mut out = super::scratch::unwritten(w.len());
    out.par_chunks_mut(each.max(1)).enumerate().for_each(|(tap, out)| {
        out.iter_mut().zip(w.iter().skip(tap).step_by(taps)).for_each(|(out, &w)| *out = w);
    });
    out
}

/// `[rows, columns]`, rows `step` apart → `[columns, rows]`.
pub(crate) fn transpose(w: &[f32], rows: usize, columns: usize, step: usize, out: &mut [f32]) {
    const SIDE: usize = 16;
    let task = |(block, out): (usize, &mut [f32])| {
        let first = block * SIDE;
        for r in (0..rows).step_by(SIDE) {
            let height = SIDE.min(rows - r);
            for (c, out) in out.chunks_exact_mut(rows).enumerate() {
                for (i, v) in out[r..r + height].iter_mut().enumerate() {
                    *v = w[(r + i) * step + first + c];
                }
            }
        }
    };
    if rows * columns < 1 << 14 {
        out.chunks_mut(SIDE * rows).enumerate().take(columns.div_ceil(SIDE)).for_each(task);
    } else {
        out.par_chunks_mut(SIDE * rows).enumerate().take(columns.div_ceil(SIDE)).for_each(task);
    }
}

/// `[O, I, taps]` → `[taps, I, O]`.
pub(crate) fn taps_inputs(w: &[f32], outputs: usize, inputs: usize, taps: usize) -> Vec<f32> {
    let mut out = super::scratch::unwritten(w.len());
    let first;
    let by_tap = if taps == 1 {
        w
    } else {
        first = taps_first(w, taps);
        &first
    };
    for (w, out) in by_tap.chunks_exact(outputs * inputs).zip(out.chunks_exact_mut(outputs * inputs)) {
        transpose(w, outputs, inputs, inputs, out);
    }
    out
}

/// `[taps, I, O]`, rows of `O` `step` apart → `[O, I, taps]`.
pub(crate) fn outputs_first(w: &[f32], outputs: usize, inputs: usize, taps: usize, step: usize, out: &mut [f32]) {
    if taps == 1 {
        return transpose(w, inputs, outputs, step, out);
    }
    // A block of outputs at a time, so that what is read column by column stays in cache.
    const SIDE: usize = 16;
    let task = |(block, out): (usize, &mut [f32])| {
        for i in 0..inputs {
            for tap in 0..taps {
                let row = &w[(tap * inputs + i) * step + block * SIDE..];
                for (o, out) in out.chunks_exact_mut(inputs * taps).enumerate() {
                    out[i * taps + tap] = row[o];
                }
            }
        }
    };
    out.par_chunks_mut(SIDE * inputs * taps).enumerate().for_each(task);
}
