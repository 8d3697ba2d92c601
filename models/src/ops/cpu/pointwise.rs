//! 1×1 convolutions: a matrix product over pixels.
#![allow(unsafe_code)]

use super::matmul::{Column, Factor, Left, Right, lanes, product, transposed};
use super::rows::{Layout, Sink, Source, Sums};
use super::scratch::{apart, unwritten};
use super::simd::{Simd, Work, dispatch};
use super::tasks::{Room, run, share, strips};

/// Tasks that a whole map is cut into: enough for many threads, few enough that sums are cheap.
const TASKS: usize = 32;

/// `pixels` pixels of each of `samples` pictures.
#[derive(Clone, Copy)]
pub(crate) struct Map {
    pub samples: usize,
    pub pixels: usize,
    pub channels: usize,
}

impl Map {
    /// All pictures as one, unless the source tells them apart.
    fn merged(self, source: &Source<'_>) -> Self {
        if source.gated() { self } else { Self { samples: 1, pixels: self.samples * self.pixels, ..self } }
    }
}

/// Pixels whose values of `width` numbers each fit into a fast cache.
fn block(width: usize, rows: usize) -> usize {
    (96 * 1024 / width.max(1)).clamp(24, 240) / rows * rows
}

/// `source` `[pixels, C]` times `weights` `[C, N]`, through `sink` into `out` `[pixels, N]`.
pub(crate) fn pointwise(
    map: Map,
    source: Source<'_>,
    weights: Factor<'_>,
    sink: Sink<'_>,
    out: &mut [f32],
) -> Vec<Sums> {
    let map = map.merged(&source);
    let n = weights.columns;
    assert_eq!(out.len(), map.samples * map.pixels * n, "result of a 1x1 convolution");
    let block = block(map.channels + n, 12);
    let each = share(map.pixels, (TASKS / map.samples).max(1)).next_multiple_of(block);
    let tasks = strips(out, map.samples, map.pixels, n, each);
    let cost = map.samples * map.pixels * n * map.channels;
    run(tasks, cost, |task, room| {
        let first = task.sample * map.pixels + task.first;
        dispatch(Forward {
            channels: map.channels,
            source,
            weights,
            sink,
            block,
            first,
            sample: task.sample,
            out: task.out,
            room,
        })
    })
}

struct Forward<'a, 'r> {
    channels: usize,
    source: Source<'a>,
    weights: Factor<'a>,
    sink: Sink<'a>,
    block: usize,
    first: usize,
    sample: usize,
    out: &'r mut [f32],
    room: &'r mut Room,
}

impl Work for Forward<'_, '_> {
    type Out = Sums;
    #[inline(always)]
    fn run<S: Simd>(self, s: S) -> Sums {
        let (c, n) = (self.channels, self.weights.columns);
        let (wide, padded) = (c.next_multiple_of(S::LANES), n.next_multiple_of(S::LANES));
        let mut sums = self.sink.sums(n);
        let layout = Layout::pixels(n, padded, S::LANES);
        for (i, out) in self.out.chunks_mut(self.block * n).enumerate() {
            let (at, count) = (self.first + i * self.block, out.len() / n);
            let (data, step) = match self.source.dense() {
                Some(x) => (&x[at * c..], c),
                None => {
                    let a = self.room.a.resize(self.block * wide);
                    self.source.fill(s, c, (0, c), at, count, self.sample, a, Layout::pixels(c, wide, S::LANES));
                    (&*a, wide)
                }
            };
            let left = Left { data, step, runs: &[0], len: c };
            let one = std::iter::once((0, 0));
            if self.sink.plain() {
                product(s, left, self.weights, Right { data: out, step: n }, count, one);
            } else {
                let result = self.room.c.resize(self.block * padded);
                product(s, left, self.weights, Right { data: result, step: padded }, count, one);
                self.sink.drain(s, n, (0, n), result, layout, count, out, n, (at, 1), &mut sums);
            }
        }
        sums
    }
}

/// `Σ dyᵀ · x` over pixels into `dw` `[N, C]`.
pub(crate) fn pointwise_weights(map: Map, x: Source<'_>, dy: Source<'_>, dw: &mut [f32]) {
    let map = map.merged(&x);
    let (c, n) = (map.channels, dw.len() / map.channels);
    let parts = Parts::new(map.samples * map.pixels, 1, c, n, false);
    let cost = map.samples * map.pixels * n * c;
    let step = c.next_multiple_of(lanes());
    if parts.pixel_parts > 1 || step > c {
        let tasks = parts.tasks();
        let sums = run(tasks.clone(), cost, |(pixels, outputs), room| {
            // SAFETY: the first products store, the others add to them.
            let mut sum = unsafe { unwritten((outputs.1 - outputs.0) * step) };
            dispatch(Gradient { map, x, dy, n, pixels, outputs, sum: &mut sum, room });
            sum
        });
        let mut rest = dw;
        let mut sums = sums.into_iter();
        for part in tasks.chunk_by(|a, b| a.1 == b.1) {
            let (from, to) = part[0].1;
            let (own, behind) = rest.split_at_mut((to - from) * c);
            let sum = Gathered::sum(sums.by_ref().take(part.len()).collect(), step);
            sum.rows(c, own);
            rest = behind;
        }
        return;
    }
    let mut rest = dw;
    let mut tasks = vec![];
    for (pixels, outputs) in parts.tasks() {
        let (own, behind) = rest.split_at_mut((outputs.1 - outputs.0) * c);
        tasks.push((pixels, outputs, own));
        rest = behind;
    }
    run(tasks, cost, |(pixels, outputs, sum), room| dispatch(Gradient { map, x, dy, n, pixels, outputs, sum, room }));
}

/// Both gradients at once, so that a described `dy` is computed once: that of the input, through `sink` into `dx`, and that of
/// the weight, `[N, C]`, if it is small enough for a partial sum a task. `weights` is `[N, C]`.
pub(crate) fn pointwise_both(
    map: Map,
    x: Source<'_>,
    dy: Source<'_>,
    weights: Factor<'_>,
    sink: Sink<'_>,
    dx: &mut [f32],
) -> Option<(Vec<Sums>, Vec<f32>)> {
    let (c, n) = (map.channels, weights.depth);
    let pixels = map.samples * map.pixels;
    let parts = Parts { pixel_parts: (pixels / 256).clamp(1, 16), column_parts: 1, pixels, depth: n, columns: c };
    if dy.dense().is_some() || parts.pixel_parts < 4 || parts.pixel_parts * c * n > 1 << 20 {
        return None;
    }
    let mut rest = dx;
    let mut tasks = vec![];
    for (range, _) in parts.tasks() {
        let (own, behind) = rest.split_at_mut((range.1 - range.0) * c);
        tasks.push((range, own));
        rest = behind;
    }
    let done = run(tasks, 2 * pixels * c * n, |(pixels, out), room| {
        dispatch(Both { map, x, dy, weights, sink, pixels, out, room })
    });
    let (sums, gradients) = done.into_iter().unzip();
    let sum = Gathered::sum(gradients, c.next_multiple_of(lanes()));
    if sum.step == c {
        return Some((sums, sum.data));
    }
    // SAFETY: all rows are copied.
    let mut dw = unsafe { unwritten(n * c) };
    sum.rows(c, &mut dw);
    Some((sums, dw))
}

struct Both<'a, 'r> {
    map: Map,
    x: Source<'a>,
    dy: Source<'a>,
    weights: Factor<'a>,
    sink: Sink<'a>,
    pixels: (usize, usize),
    out: &'r mut [f32],
    room: &'r mut Room,
}

impl Work for Both<'_, '_> {
    type Out = (Sums, Vec<f32>);
    #[inline(always)]
    fn run<S: Simd>(self, s: S) -> Self::Out {
        let (c, n) = (self.map.channels, self.weights.depth);
        let (c_padded, n_padded) = (c.next_multiple_of(S::LANES), n.next_multiple_of(S::LANES));
        let (x_step, dy_step) = (apart(c_padded), apart(n_padded));
        // SAFETY: the first products store, the others add to them.
        let mut gradient = unsafe { unwritten(n * c_padded) };
        let mut sums = self.sink.sums(c);
        let block = block(c + n, 12).min(120);
        let mut at = self.pixels.0;
        while at < self.pixels.1 {
            let sample = at / self.map.pixels;
            let end = (at + block).min(self.pixels.1).min((sample + 1) * self.map.pixels);
            let count = end - at;
            let x = self.room.a.resize(block * x_step);
            self.x.fill(s, c, (0, c), at, count, sample, x, Layout::pixels(c, x_step, S::LANES));
            let dy = self.room.b.resize(block * dy_step);
            self.dy.fill(s, n, (0, n), at, count, sample, dy, Layout::pixels(n, dy_step, S::LANES));
            let columns = (Column { data: x, step: x_step, width: c }, Column { data: dy, step: dy_step, width: n });
            let into = Right { data: &mut gradient, step: c_padded };
            transposed(s, columns.1, columns.0, into, count, &[(0, 0)], at > self.pixels.0);
            let left = Left { data: dy, step: dy_step, runs: &[0], len: n };
            let result = self.room.c.resize(block * c_padded);
            product(s, left, self.weights, Right { data: result, step: c_padded }, count, std::iter::once((0, 0)));
            let out = &mut self.out[(at - self.pixels.0) * c..];
            let layout = Layout::pixels(c, c_padded, S::LANES);
            self.sink.drain(s, c, (0, c), result, layout, count, out, c, (at, 1), &mut sums);
            at = end;
        }
        (sums, gradient)
    }
}

/// How a sum over pixels is cut: by pixels, whose parts are added in order, and by columns of the result.
pub(crate) struct Parts {
    pixels: usize,
    depth: usize,
    columns: usize,
    pixel_parts: usize,
    column_parts: usize,
}

/// The gradient of a weight as `[depth, columns]`, rows `step` numbers apart.
pub(crate) struct Gathered {
    pub data: Vec<f32>,
    pub step: usize,
}

impl Gathered {
    /// The sum of parts that are whole, in their order.
    pub(crate) fn sum(parts: Vec<Vec<f32>>, step: usize) -> Self {
        let mut parts = parts.into_iter();
        let mut data = parts.next().unwrap_or_default();
        for part in parts {
            data.iter_mut().zip(part).for_each(|(sum, v)| *sum += v);
        }
        Self { data, step }
    }

    /// Its rows one behind the other.
    fn rows(&self, width: usize, out: &mut [f32]) {
        for (out, row) in out.chunks_exact_mut(width).zip(self.data.chunks_exact(self.step)) {
            out.copy_from_slice(&row[..width]);
        }
    }
}

impl Parts {
    /// `pixels` may be rows of `each` pixels, if these must not be cut; `whole`: nor may the columns.
    pub(crate) fn new(pixels: usize, each: usize, depth: usize, columns: usize, whole: bool) -> Self {
        let size = depth * columns;
        // A partial sum has to be added up: it must be small beside the work that makes it.
        let pixel_parts = (pixels * each / 512).min(pixels).min((1 << 20) / size.max(1)).clamp(1, 8);
        let panel = 2 * lanes();
        // What both factors need is made once a part of the columns: these are wide.
        let column_parts = if whole { 1 } else { (8 / pixel_parts).min(columns.div_ceil(2 * panel)).max(1) };
        Self { pixels, depth, columns, pixel_parts, column_parts }
    }
    /// Pixels and columns of every task.
    pub(crate) fn tasks(&self) -> Vec<((usize, usize), (usize, usize))> {
        let panel = 2 * lanes();
        let pixels = share(self.pixels, self.pixel_parts);
        let columns = share(self.columns, self.column_parts).next_multiple_of(panel);
        let mut tasks = vec![];
        for c in (0..self.columns).step_by(columns) {
            for p in (0..self.pixels).step_by(pixels) {
                tasks.push(((p, (p + pixels).min(self.pixels)), (c, (c + columns).min(self.columns))));
            }
        }
        tasks
    }
    /// Adds the parts up. Each is `[depth, columns of the task]`, rows rounded up to a vector.
    pub(crate) fn gather(&self, sums: Vec<Vec<f32>>) -> Gathered {
        let lanes = lanes();
        let step = self.columns.next_multiple_of(lanes);
        let tasks = self.tasks();
        let whole = tasks.iter().take_while(|t| t.1 == tasks[0].1).count();
        if whole == tasks.len() {
            return Gathered::sum(sums, step);
        }
        // SAFETY: the first part of every column copies, the others add to it.
        let mut data = unsafe { unwritten(self.depth * step) };
        for (i, (task, part)) in tasks.iter().zip(&sums).enumerate() {
            let (from, to) = task.1;
            let width = (to - from).next_multiple_of(lanes);
            for (row, part) in data.chunks_exact_mut(step).zip(part.chunks_exact(width)) {
                let row = &mut row[from..from + width];
                if i % whole == 0 {
                    row.copy_from_slice(part)
                } else {
                    row.iter_mut().zip(part).for_each(|(sum, v)| *sum += v)
                }
            }
        }
        Gathered { data, step }
    }
}

struct Gradient<'a, 'r> {
    map: Map,
    x: Source<'a>,
    dy: Source<'a>,
    n: usize,
    pixels: (usize, usize),
    outputs: (usize, usize),
    /// `[outputs, C]`, rows rounded up to a vector.
    sum: &'r mut [f32],
    room: &'r mut Room,
}

impl Work for Gradient<'_, '_> {
    type Out = ();
    #[inline(always)]
    fn run<S: Simd>(self, s: S) {
        let (c, n) = (self.map.channels, self.n);
        let (from, to) = self.outputs;
        let width = c.next_multiple_of(S::LANES);
        let (x_step, dy_step) = (apart(width), apart((to - from).next_multiple_of(S::LANES)));
        let block = block(x_step + dy_step, 1).min(128);
        let mut at = self.pixels.0;
        while at < self.pixels.1 {
            // A block stays within a picture.
            let sample = at / self.map.pixels;
            let end = (at + block).min(self.pixels.1).min((sample + 1) * self.map.pixels);
            let count = end - at;
            let x = self.room.a.resize(block * x_step);
            self.x.fill(s, c, (0, c), at, count, sample, x, Layout::pixels(c, x_step, S::LANES));
            let dy = self.room.b.resize(block * dy_step);
            let layout = Layout::pixels(to - from, dy_step, S::LANES);
            self.dy.fill(s, n, (from, to - from), at, count, sample, dy, layout);
            let x = Column { data: x, step: x_step, width: c };
            let dy = Column { data: dy, step: dy_step, width: to - from };
            let out = Right { data: self.sum, step: width };
            transposed(s, dy, x, out, count, &[(0, 0)], at > self.pixels.0);
            at = end;
        }
    }
}
