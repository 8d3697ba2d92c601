//! Convolutions of any window by direct products: forward, gradient of the input, gradient of the weight.
//!
//! A strip of rows is copied into scratch memory with its zero border, and the products read windows where they lie:
//! of a row of outputs, each window is one step further. The gradient of the input is the same thing again, once for
//! each phase of the stride.
#![allow(unsafe_code)]

use super::geometry::Geometry;
use super::matmul::{Column, Left, Panels, Right, product, transposed};
use super::pointwise::{Gathered, Parts};
use super::rows::{Layout, Sink, Source, Sums};
use super::scratch::{apart, unwritten};
use super::simd::{Simd, Work, dispatch};
use super::tasks::{Room, run, share, strips};
use super::weight;

/// Numbers that a task keeps in scratch memory.
const ROOM: usize = 64 * 1024;
/// Rows of fewer outputs are short.
const SHORT: usize = 32;

/// Windows that move by whole steps: for output `j` of the phase they begin at `j · step − before`.
struct Phase {
    /// Taps down and across.
    taps: (usize, usize),
    /// Rows and columns before the map at which the first window begins (negative: inside).
    before: (isize, isize),
    /// Row and column of the first output.
    at: (usize, usize),
    /// One right factor a group.
    weights: Vec<Panels>,
}

/// A convolution as products.
pub(crate) struct Windows {
    samples: usize,
    /// Height, width, channels of what is read.
    from: [usize; 3],
    /// And of what is written.
    to: [usize; 3],
    step: usize,
    every: usize,
    dilation: usize,
    groups: usize,
    phases: Vec<Phase>,
}

fn gcd(a: usize, b: usize) -> usize {
    if b == 0 { a } else { gcd(b, a % b) }
}

impl Windows {
    /// `x` → `y`.
    pub(crate) fn forward(g: &Geometry, w: &[f32]) -> Self {
        let (taps, ci, co) = (g.taps(), g.ci / g.groups, g.co / g.groups);
        let each = taps * ci * co;
        let weights = (0..g.groups).map(|group| {
            let w = &w[group * each..][..each];
            Panels::new(taps * ci, co, |columns, out, width| weight::forward_panel(w, ci, taps, columns, out, width))
        });
        let before = (g.top as isize, g.left as isize);
        let phase = Phase { taps: (g.size, g.across), before, at: (0, 0), weights: weights.collect() };
        Self {
            samples: g.samples,
            from: [g.h, g.w, g.ci],
            to: [g.oh, g.ow, g.co],
            step: g.stride,
            every: 1,
            dilation: g.dilation,
            groups: g.groups,
            phases: vec![phase],
        }
    }

    /// `dy` → `dx`.
    pub(crate) fn backward(g: &Geometry, w: &[f32]) -> Self {
        let (taps, ci, co) = (g.taps(), g.ci / g.groups, g.co / g.groups);
        let common = gcd(g.stride, g.dilation);
        let each = taps * ci * co;
        // Taps that reach inputs `at + j · stride`, last to first, and how far before `j` their windows begin.
        let along = |at: usize, pad: usize, size: usize| {
            let reach = |tap: usize| (at + pad) as isize - (tap * g.dilation) as isize;
            let taps: Vec<usize> = (0..size).rev().filter(|&t| reach(t).rem_euclid(g.stride as isize) == 0).collect();
            let before = taps.first().map_or(0, |&t| -reach(t).div_euclid(g.stride as isize));
            (taps, before)
        };
        let mut phases = vec![];
        for row in 0..g.stride.min(g.h) {
            for column in 0..g.stride.min(g.w) {
                let ((ys, top), (xs, left)) = (along(row, g.top, g.size), along(column, g.left, g.across));
                let used: Vec<usize> = ys.iter().flat_map(|y| xs.iter().map(move |x| y * g.across + x)).collect();
                let weights = (0..g.groups).map(|group| {
                    let w = &w[group * each..][..each];
                    Panels::new(used.len() * co, ci, |columns, out, width| {
                        weight::backward_panel(w, (co, ci, taps), &used, columns, out, width);
                    })
                });
                let weights = if ys.is_empty() || xs.is_empty() { vec![] } else { weights.collect() };
                phases.push(Phase { taps: (ys.len(), xs.len()), before: (top, left), at: (row, column), weights });
            }
        }
        Self {
            samples: g.samples,
            from: [g.oh, g.ow, g.co],
            to: [g.h, g.w, g.ci],
            step: 1,
            every: g.stride,
            dilation: g.dilation / common,
            groups: g.groups,
            phases,
        }
    }

    /// `source` through the windows and `sink` into `out`.
    pub(crate) fn run(&self, source: Source<'_>, sink: Sink<'_>, out: &mut [f32]) -> Vec<Sums> {
        let [oh, ow, co] = self.to;
        let depth: usize = self.phases.iter().flat_map(|p| &p.weights).map(|w| w.depth * w.columns).sum();
        let cost = self.samples * oh * ow * depth / (self.every * self.every).max(1);
        let pieces = 32usize.div_ceil(self.samples).max(1);
        let each = share(oh, pieces).next_multiple_of(self.every);
        run(strips(out, self.samples, oh, ow * co, each), cost, |strip, room| {
            dispatch(Forward {
                windows: self,
                source,
                sink,
                sample: strip.sample,
                rows: (strip.first, strip.last),
                out: strip.out,
                room,
            })
        })
    }
}

/// Offsets of a window's runs in a strip of rows `width` pixels long, and their length.
fn runs(taps: (usize, usize), dilation: usize, width: usize, channels: usize, groups: usize) -> (Vec<usize>, usize) {
    if groups == 1 && dilation == 1 {
        return ((0..taps.0).map(|y| y * width * channels).collect(), taps.1 * channels);
    }
    let tap = |i: usize| (i / taps.1 * width + i % taps.1) * dilation * channels;
    ((0..taps.0 * taps.1).map(tap).collect(), channels / groups)
}

struct Forward<'a, 'r> {
    windows: &'a Windows,
    source: Source<'a>,
    sink: Sink<'a>,
    sample: usize,
    rows: (usize, usize),
    out: &'r mut [f32],
    room: &'r mut Room,
}

impl Work for Forward<'_, '_> {
    type Out = Sums;
    #[inline(always)]
    fn run<S: Simd>(self, s: S) -> Sums {
        let Windows { from: [h, w, c], to: [oh, ow, co], step, every, dilation, groups, .. } = *self.windows;
        let mut sums = self.sink.sums(co);
        let padded = co.next_multiple_of(S::LANES);
        let layout = Layout::pixels(co, padded, S::LANES);
        let group = co / groups;
        for phase in &self.windows.phases {
            let ((down, across), (y0, x0)) = (phase.taps, phase.at);
            if ow <= x0 {
                continue;
            }
            let columns = (ow - x0).div_ceil(every);
            let first = self.rows.0.saturating_sub(y0).div_ceil(every);
            let last = self.rows.1.saturating_sub(y0).div_ceil(every);
            let empty = down * across == 0;
            let width = if empty { 0 } else { (columns - 1) * step + (across - 1) * dilation + 1 };
            let (runs, len) = runs(phase.taps, dilation, width, c, groups);
            let block = (ROOM / (width * c * step + columns * padded).max(1)).max(1);
            let mut row = first;
            while row < last {
                let count = block.min(last - row);
                let result = self.room.c.resize(count * columns * padded);
                if empty {
                    result.fill(0.0);
                } else {
                    let height = (count - 1) * step + (down - 1) * dilation + 1;
                    let strip = self.room.a.resize(height * width * c);
                    let at = ((row * step) as isize - phase.before.0, -phase.before.1);
                    let size = Bordered { map: (h, w), channels: c, at, height, width };
                    let layout = Layout::pixels(c, c, S::LANES);
                    fill_strip(s, &self.source, self.sample, size, strip, layout, (0, c));
                    for (i, weights) in phase.weights.iter().enumerate() {
                        let left = Left { data: &strip[i * (c / groups)..], step: step * c, runs: &runs, len };
                        let right = Right { data: &mut result[i * group..], step: padded };
                        let lines = (0..count).map(
                            #[inline(always)]
                            |r| (r * step * width * c, r * columns * padded),
                        );
                        product(s, left, weights.factor(), right, columns, lines);
                    }
                }
                for r in 0..count {
                    let y = (row + r) * every + y0;
                    let pixel = y * ow + x0;
                    let to = &mut self.out[(pixel - self.rows.0 * ow) * co..];
                    let from = &result[r * columns * padded..];
                    let at = (self.sample * oh * ow + pixel, every);
                    self.sink.drain(s, co, (0, co), from, layout, columns, to, every * co, at, &mut sums);
                }
                row += count;
            }
        }
        sums
    }
}

/// A strip of rows of a map, which may reach over its edges.
#[derive(Clone, Copy)]
pub(crate) struct Bordered {
    /// Height and width of the map.
    pub map: (usize, usize),
    /// All channels of the map.
    pub channels: usize,
    /// Row and column of the strip's first pixel.
    pub at: (isize, isize),
    pub height: usize,
    pub width: usize,
}

/// Copies a strip of `sample`, channels `take.0..take.0 + take.1`, zeros beyond the edges.
#[allow(clippy::too_many_arguments)]
#[inline(always)]
pub(crate) fn fill_strip<S: Simd>(
    s: S,
    source: &Source<'_>,
    sample: usize,
    strip: Bordered,
    out: &mut [f32],
    layout: Layout,
    take: (usize, usize),
) {
    let (h, w) = strip.map;
    // Columns of the strip that lie inside the map.
    let inside = |at: isize, side: usize, count: usize| {
        let from = (-at).clamp(0, count as isize);
        let to = (side as isize - at).clamp(from, count as isize);
        (from as usize, to as usize)
    };
    let (left, right) = inside(strip.at.1, w, strip.width);
    for row in 0..strip.height {
        let out = &mut out[row * strip.width * layout.pixel..];
        let y = strip.at.0 + row as isize;
        let (left, right) = if y < 0 || y >= h as isize { (0, 0) } else { (left, right) };
        blank(s, out, layout, take.1, 0, left);
        blank(s, out, layout, take.1, right, strip.width);
        if left < right {
            let x = (strip.at.1 + left as isize) as usize;
            let at = (sample * h + y as usize) * w + x;
            source.fill(s, strip.channels, take, at, right - left, sample, &mut out[left * layout.pixel..], layout);
        }
    }
}

/// Zeros in pixels `first..last`.
#[inline(always)]
fn blank<S: Simd>(_: S, out: &mut [f32], layout: Layout, channels: usize, first: usize, last: usize) {
    if layout.vector == S::LANES {
        return out[first * layout.pixel..last * layout.pixel].fill(0.0);
    }
    for c in 0..channels.div_ceil(S::LANES) {
        out[c * layout.vector + first * layout.pixel..c * layout.vector + last * layout.pixel].fill(0.0);
    }
}

/// `Σ windows(x)ᵀ · dy`: `[groups · taps · C/groups, O/groups]`.
pub(crate) fn window_weights(g: &Geometry, x: Source<'_>, dy: Source<'_>) -> Gathered {
    let taps = g.taps();
    let (ci, co) = (g.ci / g.groups, g.co / g.groups);
    let parts = Parts::new(g.samples * g.oh, g.ow, taps * g.ci, co, g.groups > 1);
    let cost = g.samples * g.oh * g.ow * taps * ci * g.co;
    let sums =
        run(parts.tasks(), cost, |(rows, columns), room| dispatch(Gradient { g: *g, x, dy, rows, columns, room }));
    parts.gather(sums)
}

struct Gradient<'a, 'r> {
    g: Geometry,
    x: Source<'a>,
    dy: Source<'a>,
    /// Rows of outputs of the whole batch.
    rows: (usize, usize),
    columns: (usize, usize),
    room: &'r mut Room,
}

impl Work for Gradient<'_, '_> {
    type Out = Vec<f32>;
    #[inline(always)]
    fn run<S: Simd>(self, s: S) -> Vec<f32> {
        let g = &self.g;
        let (ci, co) = (g.ci / g.groups, g.co / g.groups);
        // In groups a task has all columns of all groups.
        let (from, to) = if g.groups == 1 { self.columns } else { (0, g.co) };
        let wide = apart((to - from).next_multiple_of(S::LANES));
        let under_step = apart(g.ci.next_multiple_of(S::LANES));
        let result_step = (if g.groups == 1 { to - from } else { co }).next_multiple_of(S::LANES);
        // SAFETY: the first products store, the others add to them.
        let mut sum = unsafe { unwritten(g.taps() * g.ci * result_step) };
        let width = (g.ow - 1) * g.stride + (g.across - 1) * g.dilation + 1;
        let (runs, len) = runs((g.size, g.across), g.dilation, width, g.ci, g.groups);
        let block = (ROOM / (width * g.ci * g.stride + g.ow * wide)).max(1);
        let mut row = self.rows.0;
        let mut lines = vec![];
        while row < self.rows.1 {
            let (sample, y) = (row / g.oh, row % g.oh);
            let count = block.min(self.rows.1 - row).min(g.oh - y);
            let height = (count - 1) * g.stride + (g.size - 1) * g.dilation + 1;
            let x = self.room.a.resize(height * width * g.ci);
            let at = ((y * g.stride) as isize - g.top as isize, -(g.left as isize));
            let strip = Bordered { map: (g.h, g.w), channels: g.ci, at, height, width };
            fill_strip(s, &self.x, sample, strip, x, Layout::pixels(g.ci, g.ci, S::LANES), (0, g.ci));
            // A vector more: the last group reads whole vectors.
            let dy = self.room.b.resize(count * g.ow * wide + S::LANES);
            let pixels = count * g.ow;
            let layout = Layout::pixels(to - from, wide, S::LANES);
            self.dy.fill(s, g.co, (from, to - from), row * g.ow, pixels, sample, dy, layout);
            lines.clear();
            lines.extend((0..count).map(|r| (r * g.stride * width * g.ci, r * g.ow * wide)));
            if g.groups == 1 && g.ow < SHORT && g.ci >= S::LANES {
                // Products over short rows stop too often: the values under a tap are laid one behind the other.
                for tap in 0..g.taps() {
                    let offset = (tap / g.across * width + tap % g.across) * g.dilation * g.ci;
                    let under = self.room.d.resize(pixels * under_step);
                    for (p, under) in under.chunks_exact_mut(under_step).enumerate() {
                        let at = offset + (p / g.ow * width + p % g.ow) * g.stride * g.ci;
                        under[..g.ci].copy_from_slice(&x[at..at + g.ci]);
                    }
                    let x = Column { data: under, step: under_step, width: g.ci };
                    let dy = Column { data: dy, step: wide, width: to - from };
                    let out = Right { data: &mut sum[tap * g.ci * result_step..], step: result_step };
                    transposed(s, x, dy, out, pixels, &[(0, 0)], row > self.rows.0);
                }
                row += count;
                continue;
            }
            for group in 0..g.groups {
                for (i, run) in runs.iter().enumerate() {
                    let x = Column { data: &x[run + group * ci..], step: g.stride * g.ci, width: len };
                    let columns = if g.groups == 1 { to - from } else { co };
                    let dy = Column { data: &dy[group * co..], step: wide, width: columns };
                    let at = (group * runs.len() + i) * len * result_step;
                    let out = Right { data: &mut sum[at..], step: result_step };
                    transposed(s, x, dy, out, g.ow, &lines, row > self.rows.0);
                }
            }
            row += count;
        }
        sum
    }
}
