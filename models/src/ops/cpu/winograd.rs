//! 3×3 convolutions with fewer multiplications (Winograd 1980; Lavin & Gray 2015, arXiv 1509.09308): F(2×2, 3×3) takes
//! 16 for every 4 outputs where the direct way takes 36, F(4×4, 3×3) 36 for 16 where it takes 144, with three to five
//! times the rounding error.
//!
//! Tiles of a few rows are transformed into scratch memory, multiplied there matrix by matrix, and transformed back.
// Small matrices are walked by row and column.
#![allow(unsafe_code, clippy::needless_range_loop)]

use super::geometry::Geometry;
use super::matmul::{Column, Factor, Left, Right, lanes, product, transposed};
use super::pointwise::{Gathered, Parts};
use super::rows::{Layout, Sink, Source, Sums};
use super::scratch::{Scratch, apart, unwritten};
use super::simd::{Simd, Work, dispatch};
use super::tasks::{Room, run, share};
use super::weight;
use super::windows::{Bordered, fill_strip};
use rayon::prelude::*;

/// Numbers that a task keeps in scratch memory.
const ROOM: usize = 224 * 1024;

/// `Bᵀ d` for `M + 2` inputs.
#[inline(always)]
fn inputs<S: Simd, const M: usize>(s: S, d: [S::V; 6]) -> [S::V; 6] {
    let c = |v: f32| s.splat(v);
    if M == 2 {
        return [s.sub(d[0], d[2]), s.add(d[1], d[2]), s.sub(d[2], d[1]), s.sub(d[3], d[1]), d[4], d[5]];
    }
    let a = s.fnma(c(4.0), d[2], d[4]);
    let b = s.fnma(c(4.0), d[1], d[3]);
    let e = s.sub(d[4], d[2]);
    let f = s.sub(d[3], d[1]);
    let f = s.add(f, f);
    [
        s.fma(c(4.0), d[0], s.fnma(c(5.0), d[2], d[4])),
        s.add(a, b),
        s.sub(a, b),
        s.add(e, f),
        s.sub(e, f),
        s.fma(c(4.0), d[1], s.fnma(c(5.0), d[3], d[5])),
    ]
}

/// `Aᵀ m`: `M` outputs.
#[inline(always)]
fn outputs<S: Simd, const M: usize>(s: S, m: [S::V; 6]) -> [S::V; 4] {
    let c = |v: f32| s.splat(v);
    let (s1, d1) = (s.add(m[1], m[2]), s.sub(m[1], m[2]));
    if M == 2 {
        return [s.add(m[0], s1), s.add(d1, m[3]), m[0], m[0]];
    }
    let (s2, d2) = (s.add(m[3], m[4]), s.sub(m[3], m[4]));
    [s.add(m[0], s.add(s1, s2)), s.fma(c(2.0), d2, d1), s.fma(c(4.0), s2, s1), s.add(s.fma(c(8.0), d2, d1), m[5])]
}

/// `G g` for three weights.
#[inline(always)]
fn weights<S: Simd, const M: usize>(s: S, g: [S::V; 3]) -> [S::V; 6] {
    let c = |v: f32| s.splat(v);
    let sum = s.add(g[0], g[2]);
    if M == 2 {
        return [g[0], s.mul(s.add(sum, g[1]), c(0.5)), s.mul(s.sub(sum, g[1]), c(0.5)), g[2], sum, sum];
    }
    let far = s.fma(c(4.0), g[2], g[0]);
    let twice = s.add(g[1], g[1]);
    [
        s.mul(g[0], c(0.25)),
        s.mul(s.add(sum, g[1]), c(-1.0 / 6.0)),
        s.mul(s.sub(sum, g[1]), c(-1.0 / 6.0)),
        s.mul(s.add(far, twice), c(1.0 / 24.0)),
        s.mul(s.sub(far, twice), c(1.0 / 24.0)),
        g[2],
    ]
}

/// The transform of `M` gradients of outputs for F(3×3, M×M), which gives the gradient of the weight.
#[inline(always)]
fn gradients<S: Simd, const M: usize>(s: S, g: [S::V; 4]) -> [S::V; 6] {
    let c = |v: f32| s.splat(v);
    if M == 2 {
        let (sum, apart) = (s.add(g[0], g[1]), s.sub(g[0], g[1]));
        return [g[0], s.mul(sum, c(0.5)), s.mul(apart, c(0.5)), g[1], g[0], g[0]];
    }
    let (even, odd) = (s.add(g[0], g[2]), s.add(g[1], g[3]));
    let far = s.fma(c(4.0), g[2], g[0]);
    let apart = s.fma(c(8.0), g[3], s.add(g[1], g[1]));
    [
        s.mul(g[0], c(0.25)),
        s.mul(s.add(even, odd), c(-1.0 / 6.0)),
        s.mul(s.sub(even, odd), c(-1.0 / 6.0)),
        s.mul(s.add(far, apart), c(1.0 / 24.0)),
        s.mul(s.sub(far, apart), c(1.0 / 24.0)),
        g[3],
    ]
}

/// Three gradients of weights from `M + 2` products.
#[inline(always)]
fn taps<S: Simd, const M: usize>(s: S, m: [S::V; 6]) -> [S::V; 3] {
    let c = |v: f32| s.splat(v);
    let (s1, d1) = (s.add(m[1], m[2]), s.sub(m[1], m[2]));
    if M == 2 {
        return [s.add(m[0], s1), d1, s.add(s1, m[3])];
    }
    let (s2, d2) = (s.add(m[3], m[4]), s.sub(m[3], m[4]));
    [s.add(m[0], s.add(s1, s2)), s.fma(c(2.0), d2, d1), s.add(s.fma(c(4.0), s2, s1), m[5])]
}

/// A 3×3 convolution.
#[derive(Clone, Copy)]
pub(crate) struct Winograd<'a, const M: usize> {
    samples: usize,
    /// Height, width, channels of what is read.
    from: [usize; 3],
    /// And of what is written.
    to: [usize; 3],
    before: (usize, usize),
    /// `[outputs, inputs, 9]`, or, turned, `[inputs, outputs, 9]`.
    w: &'a [f32],
    turned: bool,
}

impl<'a, const M: usize> Winograd<'a, M> {
    const SIDE: usize = M + 2;

    /// `x` → `y`.
    pub(crate) fn forward(g: &Geometry, w: &'a [f32]) -> Self {
        let (from, to) = ([g.h, g.w, g.ci], [g.oh, g.ow, g.co]);
        Self { samples: g.samples, from, to, before: (g.top, g.left), w, turned: false }
    }

    /// `dy` → `dx`: the turned window.
    pub(crate) fn backward(g: &Geometry, w: &'a [f32]) -> Self {
        let (from, to) = ([g.oh, g.ow, g.co], [g.h, g.w, g.ci]);
        Self { samples: g.samples, from, to, before: (2 - g.top, 2 - g.left), w, turned: true }
    }

    /// `source` through the windows and `sink` into `out`.
    pub(crate) fn run(self, source: Source<'_>, sink: Sink<'_>, out: &mut [f32]) -> Vec<Sums> {
        let [oh, ow, co] = self.to;
        let lines = Lines::new::<M>(self.samples, oh, ow);
        let cost = self.samples * oh * ow * co * self.from[2] * 4;
        if self.from[2] * co >= WIDE {
            return self.wide(lines, (source, sink), cost, out);
        }
        let (weights, each) = (&*self.weights(), self.each());
        run(lines.strips(out, ow * co), cost, |(first, last, out), room| {
            dispatch(Forward { winograd: self, lines, source, sink, weights, each, tiles: (first, last), out, room })
        })
    }

    /// Numbers from one of the `(M + 2)²` matrices of weights to the next.
    fn each(&self) -> usize {
        // A line more: matrices a power of two apart would fall on each other in the cache.
        self.from[2] * self.to[2].next_multiple_of(lanes()) + 16
    }

    /// All transformed weights.
    fn weights(&self) -> Scratch {
        let (ci, co, each) = (self.from[2], self.to[2], self.each());
        // SAFETY: products read the rows of each matrix, which its filters write in whole vectors, and not what is behind them.
        let mut data = unsafe { Scratch::new(Self::SIDE * Self::SIDE * each) };
        let out = Shared::new(&mut data);
        // A task transforms a vector of outputs for all inputs.
        let filter = |first: usize| Filter::<M> { w: self.w, ci, co, turned: self.turned, first, base: 0, each, out };
        let blocks = (0..co).step_by(lanes());
        if ci * co < 1 << 12 {
            blocks.for_each(|first| dispatch(filter(first)));
        } else {
            blocks.collect::<Vec<_>>().into_par_iter().for_each(|first| dispatch(filter(first)));
        }
        data
    }

    /// With many channels the transformed weights would go to memory and come back: instead all tiles of the batch are
    /// transformed first, and a task takes them through a few outputs, whose weights it transforms itself.
    fn wide(self, lines: Lines, (source, sink): (Source<'_>, Sink<'_>), cost: usize, out: &mut [f32]) -> Vec<Sums> {
        let [oh, ow, co] = self.to;
        let (matrices, tiles, pixels) = (Self::SIDE * Self::SIDE, lines.tiles(), self.samples * oh * ow);
        let step = self.from[2].next_multiple_of(lanes());
        let each = tiles * step + 16;
        // SAFETY: products read the rows of each matrix, which its tiles write in whole vectors, and not what is behind them.
        let mut values = unsafe { Scratch::new(matrices * each) };
        let to = Shared::new(&mut values);
        run(lines.parts(16), cost, |(first, last), room| {
            let to = to.from(first * lines.across * step);
            dispatch(Tiles { winograd: self, source, lines, range: (first, last), to, step, each, room });
        });
        // For each vector of outputs all pixels.
        // SAFETY: every block of planes is written by the task that has it.
        let mut planes = unsafe { Scratch::new(co.next_multiple_of(lanes()) * pixels) };
        let blocks = planes.chunks_mut(2 * lanes() * pixels).enumerate().collect();
        run(blocks, cost, |(i, planes), room| {
            let columns = (2 * i * lanes(), planes.len() / pixels);
            dispatch(Columns { winograd: self, lines, values: &values, step, each, columns, planes, room });
        });
        let rows = share(self.samples * oh, 32);
        let strips = out.chunks_mut(rows * ow * co).enumerate().collect();
        run(strips, cost, |(i, out), _| {
            dispatch(Drain { sink, planes: &planes, pixels, co, first: i * rows * ow, out })
        })
    }
}

/// Channels in × channels out from which on the matrices of one layer exceed a core's cache.
const WIDE: usize = 256 * 256;

/// Transforms lines of tiles.
struct Tiles<'a, 'r, const M: usize> {
    winograd: Winograd<'a, M>,
    source: Source<'a>,
    lines: Lines,
    range: (usize, usize),
    /// Where the first tile goes; tiles `step` apart, matrices `each`.
    to: Shared,
    step: usize,
    each: usize,
    room: &'r mut Room,
}

impl<const M: usize> Work for Tiles<'_, '_, M> {
    type Out = ();
    #[inline(always)]
    fn run<S: Simd>(self, s: S) {
        self.winograd.tiles(s, &self.source, self.lines, self.range, self.to, (self.step, self.each), &mut self.room.d);
    }
}

impl<const M: usize> Winograd<'_, M> {
    /// Transforms lines `first..last` to where their first tile goes, tiles `step` apart, matrices `each`.
    #[allow(clippy::too_many_arguments)]
    #[inline(always)]
    fn tiles<S: Simd>(
        &self,
        s: S,
        source: &Source<'_>,
        lines: Lines,
        (first, last): (usize, usize),
        to: Shared,
        (step, each): (usize, usize),
        room: &mut Scratch,
    ) {
        let [h, w, ci] = self.from;
        let wide = ci.next_multiple_of(S::LANES);
        let mut at = first;
        while at < last {
            let (sample, y, count) = lines.group(at, last, 8);
            let (height, width) = (count * M + 2, lines.across * M + 2);
            let strip = room.resize(height * width * wide);
            let corner = ((y * M) as isize - self.before.0 as isize, -(self.before.1 as isize));
            let size = Bordered { map: (h, w), channels: ci, at: corner, height, width };
            fill_strip(s, source, sample, size, strip, Layout::pixels(ci, wide, S::LANES), (0, ci));
            let to = to.from((at - first) * lines.across * step);
            into::<S, M>(s, strip, (count, lines.across), (wide, step), to, each);
            at += count;
        }
    }
}

/// A few outputs of all tiles.
struct Columns<'a, 'r, const M: usize> {
    winograd: Winograd<'a, M>,
    lines: Lines,
    values: &'a [f32],
    step: usize,
    each: usize,
    /// The first output, and how many with those that fill the last vector.
    columns: (usize, usize),
    planes: &'r mut [f32],
    room: &'r mut Room,
}

impl<const M: usize> Work for Columns<'_, '_, M> {
    type Out = ();
    #[inline(always)]
    fn run<S: Simd>(self, s: S) {
        let Winograd { from: [.., ci], to: [oh, ow, co], w, turned, .. } = self.winograd;
        let (side, lines, (base, width)) = (M + 2, self.lines, self.columns);
        let tiles = lines.tiles();
        let each = ci * width + 16;
        let weights = self.room.a.resize(side * side * each);
        let out = Shared::new(weights);
        for first in (base..base + width).step_by(S::LANES) {
            Filter::<M> { w, ci, co, turned, first, base, each, out }.run(s);
        }
        let apart = tiles * width + 16;
        let products = self.room.b.resize(side * side * apart);
        for xi in 0..side * side {
            let left = Left { data: &self.values[xi * self.each..], step: self.step, runs: &[0], len: ci };
            let factor = Factor { data: &weights[xi * each..], depth: ci, columns: width };
            let right = Right { data: &mut products[xi * apart..], step: width };
            product(s, left, factor, right, tiles, std::iter::once((0, 0)));
        }
        let pixels = self.planes.len() / width;
        let mut at = 0;
        while at < lines.count() {
            let (sample, y, count) = lines.group(at, lines.count(), 8);
            let across = lines.across * M;
            let result = self.room.c.resize(count * M * across * width);
            back::<S, M>(s, &products[at * lines.across * width..], apart, (count, lines.across), width, result);
            for r in 0..(count * M).min(oh - y * M) {
                let row = (sample * oh + y * M + r) * ow;
                for (v, plane) in self.planes.chunks_exact_mut(pixels * S::LANES).enumerate() {
                    let to = &mut plane[row * S::LANES..][..ow * S::LANES];
                    for (x, to) in to.chunks_exact_mut(S::LANES).enumerate() {
                        to.copy_from_slice(&result[(r * across + x) * width + v * S::LANES..][..S::LANES]);
                    }
                }
            }
            at += count;
        }
    }
}

/// Takes pixels from planes to the map.
struct Drain<'a, 'r> {
    sink: Sink<'a>,
    planes: &'a [f32],
    pixels: usize,
    co: usize,
    first: usize,
    out: &'r mut [f32],
}

impl Work for Drain<'_, '_> {
    type Out = Sums;
    #[inline(always)]
    fn run<S: Simd>(self, s: S) -> Sums {
        let mut sums = self.sink.sums(self.co);
        let (from, layout) = (&self.planes[self.first * S::LANES..], Layout::planes(self.pixels, S::LANES));
        let (all, count) = ((0, self.co), self.out.len() / self.co);
        self.sink.drain(s, self.co, all, from, layout, count, self.out, self.co, (self.first, 1), &mut sums);
        sums
    }
}

/// Where tasks write rows of different matrices.
#[derive(Clone, Copy)]
struct Shared(*mut f32, usize);

impl Shared {
    fn new(data: &mut [f32]) -> Self {
        Self(data.as_mut_ptr(), data.len())
    }
    /// What lies behind the first `count` numbers.
    fn from(self, count: usize) -> Self {
        assert!(count <= self.1);
        Self(self.0.wrapping_add(count), self.1 - count)
    }
}

// SAFETY: every task writes its own rows.
unsafe impl Send for Shared {}
// SAFETY: as above.
unsafe impl Sync for Shared {}

/// Transforms the weights of the vector of outputs from `first`.
struct Filter<'a, const M: usize> {
    w: &'a [f32],
    ci: usize,
    co: usize,
    turned: bool,
    first: usize,
    /// The output whose weights `out` begins with.
    base: usize,
    each: usize,
    out: Shared,
}

impl<const M: usize> Work for Filter<'_, M> {
    type Out = ();
    #[inline(always)]
    fn run<S: Simd>(self, s: S) {
        /// Inputs whose weights are turned together.
        const INPUTS: usize = 16;
        let (side, c) = (M + 2, self.first);
        let n = (self.co - c).min(S::LANES);
        let wide = self.co.next_multiple_of(S::LANES);
        // The place of row 0 in the form of `Panels`.
        let panel = c / (2 * S::LANES) * (2 * S::LANES);
        let width = (wide - panel).min(2 * S::LANES);
        let mut taps = [0.0; 9 * INPUTS * 16];
        for first in (0..self.ci).step_by(INPUTS) {
            let count = INPUTS.min(self.ci - first);
            // To `[inputs, 9, lanes]`.
            if self.turned {
                for i in 0..count {
                    let from = ((first + i) * self.co + c) * 9;
                    let to = i * 9 * S::LANES;
                    weight::turn(s, (n, 9), self.w, |o| from + o * 9, &mut taps, |tap| to + (8 - tap) * S::LANES);
                }
            } else {
                let from = |o: usize| ((c + o) * self.ci + first) * 9;
                weight::turn(s, (n, count * 9), self.w, from, &mut taps, |j| j * S::LANES);
            }
            for (i, taps) in taps.chunks_exact(9 * S::LANES).enumerate().take(count) {
                let mut columns = [[s.zero(); 6]; 3];
                for (x, column) in columns.iter_mut().enumerate() {
                    let mut g = [s.zero(); 3];
                    for (y, g) in g.iter_mut().enumerate() {
                        *g = s.read(&taps[(y * 3 + x) * S::LANES..], n);
                    }
                    *column = weights::<S, M>(s, g);
                }
                let at = (panel - self.base) * self.ci + (first + i) * width + (c - panel);
                for y in 0..side {
                    let row = weights::<S, M>(s, [columns[0][y], columns[1][y], columns[2][y]]);
                    for x in 0..side {
                        let at = (y * side + x) * self.each + at;
                        assert!(at + S::LANES <= self.out.1);
                        // SAFETY: inside, and of these outputs only.
                        unsafe { s.store(self.out.0.add(at), row[x]) }
                    }
                }
            }
        }
    }
}

/// Rows of tiles of a whole batch.
#[derive(Clone, Copy)]
struct Lines {
    samples: usize,
    /// Rows of pixels of a picture.
    rows: usize,
    /// Rows of tiles of a picture, and tiles of a row.
    down: usize,
    across: usize,
    tile: usize,
}

impl Lines {
    fn new<const M: usize>(samples: usize, rows: usize, columns: usize) -> Self {
        Self { samples, rows, down: rows.div_ceil(M), across: columns.div_ceil(M), tile: M }
    }
    fn count(&self) -> usize {
        self.samples * self.down
    }
    fn tiles(&self) -> usize {
        self.count() * self.across
    }
    /// About `pieces` ranges of lines.
    fn parts(&self, pieces: usize) -> Vec<(usize, usize)> {
        let each = share(self.count(), pieces);
        (0..self.count()).step_by(each).map(|first| (first, (first + each).min(self.count()))).collect()
    }
    /// The first row of pixels of line `line`, counted through the batch.
    fn row(&self, line: usize) -> usize {
        line / self.down * self.rows + (line % self.down * self.tile).min(self.rows)
    }
    /// Lines of each task and what they write.
    fn strips<'a>(&self, mut out: &'a mut [f32], width: usize) -> Vec<(usize, usize, &'a mut [f32])> {
        // Enough tiles for every pass over the weights, and as many tasks for each of two threads.
        let least = share(self.count(), 32).max(64usize.div_ceil(self.across));
        let tasks = (self.count() / least).max(1);
        let each = share(self.count(), if tasks > 1 { tasks.next_multiple_of(2) } else { 1 });
        let mut strips = vec![];
        for first in (0..self.count()).step_by(each) {
            let last = (first + each).min(self.count());
            let (own, rest) = out.split_at_mut((self.row(last) - self.row(first)) * width);
            strips.push((first, last, own));
            out = rest;
        }
        strips
    }
    /// The next lines from `line`, at most `most` and none from another picture: picture, first line in it, how many.
    fn group(&self, line: usize, last: usize, most: usize) -> (usize, usize, usize) {
        let (sample, y) = (line / self.down, line % self.down);
        (sample, y, (self.down - y).min(last - line).min(most))
    }
}

struct Forward<'a, 'r, const M: usize> {
    winograd: Winograd<'a, M>,
    lines: Lines,
    source: Source<'a>,
    sink: Sink<'a>,
    weights: &'a [f32],
    each: usize,
    tiles: (usize, usize),
    out: &'r mut [f32],
    room: &'r mut Room,
}

impl<const M: usize> Work for Forward<'_, '_, M> {
    type Out = Sums;
    #[inline(always)]
    fn run<S: Simd>(self, s: S) -> Sums {
        let Winograd { from: [.., ci], to: [oh, ow, co], .. } = self.winograd;
        let (weights, each, lines, side) = (self.weights, self.each, self.lines, M + 2);
        let (ci_wide, co_wide) = (ci.next_multiple_of(S::LANES), co.next_multiple_of(S::LANES));
        let mut sums = self.sink.sums(co);
        let per_line = side * side * (ci_wide + co_wide) * lines.across;
        // With many channels the weights are read once a block: better few large ones.
        let block = (ROOM / per_line.max(1)).max(48usize.div_ceil(lines.across)).max(1);
        let start = lines.row(self.tiles.0);
        let mut line = self.tiles.0;
        while line < self.tiles.1 {
            let end = (line + block).min(self.tiles.1);
            let tiles = (end - line) * lines.across;
            let v_each = tiles * ci_wide + 16;
            let m_each = tiles * co_wide + 16;
            let values = self.room.a.resize(side * side * v_each);
            let to = Shared::new(values);
            self.winograd.tiles(s, &self.source, lines, (line, end), to, (ci_wide, v_each), &mut self.room.d);
            let products = self.room.b.resize(side * side * m_each);
            for xi in 0..side * side {
                let left = Left { data: &values[xi * v_each..], step: ci_wide, runs: &[0], len: ci };
                let factor = Factor { data: &weights[xi * each..], depth: ci, columns: co };
                let right = Right { data: &mut products[xi * m_each..], step: co_wide };
                product(s, left, factor, right, tiles, std::iter::once((0, 0)));
            }
            let mut at = line;
            while at < end {
                let (sample, y, count) = lines.group(at, end, 8);
                let width = lines.across * M;
                let result = self.room.c.resize(count * M * width * co_wide);
                let first = (at - line) * lines.across;
                back::<S, M>(s, &products[first * co_wide..], m_each, (count, lines.across), co_wide, result);
                for r in 0..(count * M).min(oh - y * M) {
                    let row = sample * oh + y * M + r;
                    let to = &mut self.out[(row - start) * ow * co..];
                    let from = &result[r * width * co_wide..];
                    let layout = Layout::pixels(co, co_wide, S::LANES);
                    self.sink.drain(s, co, (0, co), from, layout, ow, to, co, (row * ow, 1), &mut sums);
                }
                at += count;
            }
            line = end;
        }
        sums
    }
}

/// Transforms all tiles of a strip of `M + 2` (and `M` more for every further row of tiles) rows.
#[inline(always)]
fn into<S: Simd, const M: usize>(
    s: S,
    strip: &[f32],
    (down, across): (usize, usize),
    (channels, apart): (usize, usize),
    values: Shared,
    each: usize,
) {
    let side = M + 2;
    let row = (across * M + 2) * channels;
    assert!((down * M + 2) * row <= strip.len());
    assert!(
        (side * side - 1) * each + (down * across - 1) * apart + channels <= values.1
            && channels.is_multiple_of(S::LANES)
    );
    for tile in 0..down * across {
        let (y, x) = (tile / across, tile % across);
        for c in (0..channels).step_by(S::LANES) {
            // SAFETY: the tile and its results lie inside both, checked above; no other task writes these tiles.
            unsafe {
                let from = strip.as_ptr().add(y * M * row + x * M * channels + c);
                let to = values.0.add(tile * apart + c);
                let mut columns = [[s.zero(); 6]; 6];
                for i in 0..side {
                    let mut d = [s.zero(); 6];
                    for j in 0..side {
                        d[j] = s.load(from.add(j * row + i * channels));
                    }
                    columns[i] = inputs::<S, M>(s, d);
                }
                for j in 0..side {
                    let mut d = [s.zero(); 6];
                    for i in 0..side {
                        d[i] = columns[i][j];
                    }
                    let d = inputs::<S, M>(s, d);
                    for i in 0..side {
                        s.store(to.add((j * side + i) * each), d[i]);
                    }
                }
            }
        }
    }
}

/// Transforms products back: `M · down` rows of `M · across` pixels.
#[inline(always)]
fn back<S: Simd, const M: usize>(
    s: S,
    products: &[f32],
    each: usize,
    (down, across): (usize, usize),
    channels: usize,
    out: &mut [f32],
) {
    let side = M + 2;
    let row = across * M * channels;
    assert!((side * side - 1) * each + down * across * channels <= products.len());
    assert!(down * M * row <= out.len() && channels.is_multiple_of(S::LANES));
    for tile in 0..down * across {
        let (y, x) = (tile / across, tile % across);
        for c in (0..channels).step_by(S::LANES) {
            // SAFETY: the tile and its results lie inside both slices, checked above.
            unsafe {
                let from = products.as_ptr().add(tile * channels + c);
                let to = out.as_mut_ptr().add(y * M * row + x * M * channels + c);
                let mut columns = [[s.zero(); 4]; 6];
                for i in 0..side {
                    let mut m = [s.zero(); 6];
                    for j in 0..side {
                        m[j] = s.load(from.add((j * side + i) * each));
                    }
                    columns[i] = outputs::<S, M>(s, m);
                }
                for j in 0..M {
                    let mut m = [s.zero(); 6];
                    for i in 0..side {
                        m[i] = columns[i][j];
                    }
                    let m = outputs::<S, M>(s, m);
                    for i in 0..M {
                        s.store(to.add(j * row + i * channels), m[i]);
                    }
                }
            }
        }
    }
}

/// `Σ windows(x)ᵀ · dy` into `dw` `[O, C, 3, 3]`.
pub(crate) fn winograd_weights<const M: usize>(g: &Geometry, x: Source<'_>, dy: Source<'_>, dw: &mut [f32]) {
    let side = M + 2;
    let lines = Lines::new::<M>(g.samples, g.oh, g.ow);
    let cost = g.samples * g.oh * g.ow * g.co * g.ci * 4;
    if g.ci * g.co >= WIDE {
        return wide_weights::<M>(g, lines, (x, dy), cost, dw);
    }
    let parts = Parts::new(lines.count(), lines.across * M * M, side * side * g.ci, g.co, false);
    let sums = run(parts.tasks(), cost, |(tiles, columns), room| {
        dispatch(Gradient::<M> { g: *g, lines, x, dy, tiles, columns, room })
    });
    let Gathered { data, step } = &parts.gather(sums);
    let task = |(i, out)| dispatch(Taps::<M> { sums: data, step: *step, ci: g.ci, first: i * lanes(), out });
    dw.par_chunks_mut(lanes() * g.ci * 9).enumerate().for_each(task);
}

/// All tiles of the batch are transformed first; sums of a few outputs then stay in a fast cache and need not be added up
/// over tasks.
fn wide_weights<const M: usize>(
    g: &Geometry,
    lines: Lines,
    (x, dy): (Source<'_>, Source<'_>),
    cost: usize,
    dw: &mut [f32],
) {
    // Outputs of a task: their matrices should stay in a core's cache.
    let outputs = 128 / M;
    let matrices = (M + 2) * (M + 2);
    let tiles = lines.tiles();
    let steps = (apart(g.ci.next_multiple_of(lanes())), apart(g.co.next_multiple_of(lanes())));
    let each = (tiles * steps.0 + 16, tiles * steps.1 + 16);
    // SAFETY: products read the rows of each matrix, which its tiles write in whole vectors, and not what is behind them.
    let (mut values, mut slopes) =
        (unsafe { Scratch::new(matrices * each.0) }, unsafe { Scratch::new(matrices * each.1) });
    let to = (Shared::new(&mut values), Shared::new(&mut slopes));
    let lift = Lift::<M> { g: *g, lines, x, dy, columns: (0, g.co) };
    run(lines.parts(16), cost, |(first, last), room| {
        let tile = first * lines.across;
        let to = (to.0.from(tile * steps.0), to.1.from(tile * steps.1));
        dispatch(Lifted { lift, lines: (first, last), to, steps, each, room });
    });
    let (values, slopes) = (&*values, &*slopes);
    run(dw.chunks_mut(outputs * g.ci * 9).enumerate().collect(), cost, |(i, out), room| {
        let slopes = &slopes[i * outputs..];
        dispatch(Narrow::<M> { values, slopes, steps, each, tiles, ci: g.ci, out, room });
    });
}

/// Transforms the gradient of the weights of the vector of outputs from `first` back.
struct Taps<'a, 'r, const M: usize> {
    sums: &'a [f32],
    step: usize,
    ci: usize,
    first: usize,
    out: &'r mut [f32],
}

impl<const M: usize> Work for Taps<'_, '_, M> {
    type Out = ();
    #[inline(always)]
    fn run<S: Simd>(self, s: S) {
        /// Inputs whose weights are turned together.
        const INPUTS: usize = 16;
        let (side, step) = (M + 2, self.step);
        let n = self.out.len() / (self.ci * 9);
        let mut turned = [0.0; 9 * INPUTS * 16];
        for first in (0..self.ci).step_by(INPUTS) {
            let count = INPUTS.min(self.ci - first);
            for (i, turned) in turned.chunks_exact_mut(9 * S::LANES).enumerate().take(count) {
                let mut columns = [[s.zero(); 3]; 6];
                for x in 0..side {
                    let mut m = [s.zero(); 6];
                    for y in 0..side {
                        let row = (y * side + x) * self.ci + first + i;
                        m[y] = s.read(&self.sums[row * step + self.first..], S::LANES);
                    }
                    columns[x] = taps::<S, M>(s, m);
                }
                for y in 0..3 {
                    let mut m = [s.zero(); 6];
                    for x in 0..side {
                        m[x] = columns[x][y];
                    }
                    for (x, v) in taps::<S, M>(s, m).into_iter().enumerate() {
                        s.write(&mut turned[(y * 3 + x) * S::LANES..], S::LANES, v);
                    }
                }
            }
            let to = |o: usize| (o * self.ci + first) * 9;
            weight::turn(s, (count * 9, n), &turned, |j| j * S::LANES, self.out, to);
        }
    }
}

/// Transforms lines of tiles of both factors of the weight's gradient.
#[derive(Clone, Copy)]
struct Lift<'a, const M: usize> {
    g: Geometry,
    lines: Lines,
    x: Source<'a>,
    dy: Source<'a>,
    /// Outputs that are wanted.
    columns: (usize, usize),
}

impl<const M: usize> Lift<'_, M> {
    /// Lines `first..last` of both, to where their first line goes; tiles `steps` apart, matrices `each`.
    #[allow(clippy::too_many_arguments)]
    #[inline(always)]
    fn run<S: Simd>(
        &self,
        s: S,
        (first, last): (usize, usize),
        (values, slopes): (Shared, Shared),
        (x_step, y_step): (usize, usize),
        (x_each, y_each): (usize, usize),
        room: &mut Scratch,
    ) {
        let (g, lines, (from, to)) = (&self.g, self.lines, self.columns);
        let (ci, co) = (g.ci.next_multiple_of(S::LANES), (to - from).next_multiple_of(S::LANES));
        let mut at = first;
        while at < last {
            let (sample, y, count) = lines.group(at, last, 8);
            let tile = (at - first) * lines.across;
            let (height, width) = (count * M + 2, lines.across * M + 2);
            let strip = room.resize(height * width * ci);
            let corner = ((y * M) as isize - g.top as isize, -(g.left as isize));
            let size = Bordered { map: (g.h, g.w), channels: g.ci, at: corner, height, width };
            fill_strip(s, &self.x, sample, size, strip, Layout::pixels(g.ci, ci, S::LANES), (0, g.ci));
            into::<S, M>(s, strip, (count, lines.across), (ci, x_step), values.from(tile * x_step), x_each);
            let (height, width) = (count * M, lines.across * M);
            let strip = room.resize(height * width * co);
            let size = Bordered { map: (g.oh, g.ow), channels: g.co, at: ((y * M) as isize, 0), height, width };
            let layout = Layout::pixels(to - from, co, S::LANES);
            fill_strip(s, &self.dy, sample, size, strip, layout, (from, to - from));
            slope_tiles::<S, M>(s, strip, (count, lines.across), (co, y_step), slopes.from(tile * y_step), y_each);
            at += count;
        }
    }
}

/// [`Lift`] as a task of its own.
struct Lifted<'a, 'r, const M: usize> {
    lift: Lift<'a, M>,
    lines: (usize, usize),
    to: (Shared, Shared),
    steps: (usize, usize),
    each: (usize, usize),
    room: &'r mut Room,
}

impl<const M: usize> Work for Lifted<'_, '_, M> {
    type Out = ();
    #[inline(always)]
    fn run<S: Simd>(self, s: S) {
        self.lift.run(s, self.lines, self.to, self.steps, self.each, &mut self.room.d);
    }
}

/// The gradient of the weights of a few outputs, from tiles of the whole batch, while its matrices stay in a fast cache.
struct Narrow<'a, 'r, const M: usize> {
    values: &'a [f32],
    slopes: &'a [f32],
    steps: (usize, usize),
    each: (usize, usize),
    tiles: usize,
    ci: usize,
    out: &'r mut [f32],
    room: &'r mut Room,
}

impl<const M: usize> Work for Narrow<'_, '_, M> {
    type Out = ();
    #[inline(always)]
    fn run<S: Simd>(self, s: S) {
        let (side, ci) = (M + 2, self.ci);
        let width = self.out.len() / (ci * 9);
        let step = width.next_multiple_of(S::LANES);
        let sums = self.room.a.resize(side * side * ci * step);
        for xi in 0..side * side {
            let x = Column { data: &self.values[xi * self.each.0..], step: self.steps.0, width: ci };
            let dy = Column { data: &self.slopes[xi * self.each.1..], step: self.steps.1, width };
            transposed(s, x, dy, Right { data: &mut sums[xi * ci * step..], step }, self.tiles, &[(0, 0)], false);
        }
        for (i, out) in self.out.chunks_mut(S::LANES * ci * 9).enumerate() {
            Taps::<M> { sums, step, ci, first: i * S::LANES, out }.run(s);
        }
    }
}

struct Gradient<'a, 'r, const M: usize> {
    g: Geometry,
    lines: Lines,
    x: Source<'a>,
    dy: Source<'a>,
    tiles: (usize, usize),
    columns: (usize, usize),
    room: &'r mut Room,
}

impl<const M: usize> Work for Gradient<'_, '_, M> {
    type Out = Vec<f32>;
    #[inline(always)]
    fn run<S: Simd>(self, s: S) -> Vec<f32> {
        let (g, lines, side) = (&self.g, self.lines, M + 2);
        let (from, to) = self.columns;
        let (ci, co) = (g.ci.next_multiple_of(S::LANES), (to - from).next_multiple_of(S::LANES));
        let (x_step, y_step) = (apart(ci), apart(co));
        // SAFETY: the first products store, the others add to them.
        let mut sum = unsafe { unwritten(side * side * g.ci * co) };
        let per_line = side * side * (ci + co) * lines.across;
        let block = (ROOM / per_line.max(1)).max(128usize.div_ceil(lines.across)).max(1);
        let mut line = self.tiles.0;
        while line < self.tiles.1 {
            let end = (line + block).min(self.tiles.1);
            let tiles = (end - line) * lines.across;
            let (x_each, y_each) = (tiles * x_step + 16, tiles * y_step + 16);
            let values = self.room.a.resize(side * side * x_each);
            let slopes = self.room.b.resize(side * side * y_each);
            let both = (Shared::new(values), Shared::new(slopes));
            let tiles_of = Lift::<M> { g: self.g, lines, x: self.x, dy: self.dy, columns: (from, to) };
            tiles_of.run(s, (line, end), both, (x_step, y_step), (x_each, y_each), &mut self.room.d);
            for xi in 0..side * side {
                let x = Column { data: &values[xi * x_each..], step: x_step, width: g.ci };
                let dy = Column { data: &slopes[xi * y_each..], step: y_step, width: to - from };
                let out = Right { data: &mut sum[xi * g.ci * co..], step: co };
                transposed(s, x, dy, out, tiles, &[(0, 0)], line > self.tiles.0);
            }
            line = end;
        }
        sum
    }
}

/// Transforms all `M × M` tiles of a strip of gradients.
#[inline(always)]
fn slope_tiles<S: Simd, const M: usize>(
    s: S,
    strip: &[f32],
    (down, across): (usize, usize),
    (channels, apart): (usize, usize),
    values: Shared,
    each: usize,
) {
    let side = M + 2;
    let row = across * M * channels;
    assert!(down * M * row <= strip.len());
    assert!(
        (side * side - 1) * each + (down * across - 1) * apart + channels <= values.1
            && channels.is_multiple_of(S::LANES)
    );
    for tile in 0..down * across {
        let (y, x) = (tile / across, tile % across);
        for c in (0..channels).step_by(S::LANES) {
            // SAFETY: the tile and its results lie inside both, checked above; no other task writes these tiles.
            unsafe {
                let from = strip.as_ptr().add(y * M * row + x * M * channels + c);
                let to = values.0.add(tile * apart + c);
                let mut columns = [[s.zero(); 6]; 4];
                for i in 0..M {
                    let mut d = [s.zero(); 4];
                    for j in 0..M {
                        d[j] = s.load(from.add(j * row + i * channels));
                    }
                    columns[i] = gradients::<S, M>(s, d);
                }
                for j in 0..side {
                    let mut d = [s.zero(); 4];
                    for i in 0..M {
                        d[i] = columns[i][j];
                    }
                    let d = gradients::<S, M>(s, d);
                    for i in 0..side {
                        s.store(to.add((j * side + i) * each), d[i]);
                    }
                }
            }
        }
    }
}
