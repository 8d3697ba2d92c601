//! Convolutions of every channel by itself: forward, gradient of the input, gradient of the weight.
//!
//! A strip of rows is copied into scratch memory as one plane a vector of channels, with its zero border. In a plane,
//! neighbouring pixels are neighbouring vectors, so that every tap is one multiply-add on memory in the fastest cache.
#![allow(unsafe_code)]

use super::geometry::Geometry;
use super::matmul::lanes;
use super::pointwise::{Gathered, Parts};
use super::rows::{Layout, Sink, Source, Sums};
use super::simd::{Simd, Work, dispatch};
use super::tasks::{Room, run, share, strips};
use super::weight;
use super::windows::{Bordered, fill_strip};

/// Numbers that a task keeps in scratch memory for its strip.
const ROOM: usize = 64 * 1024;
/// Outputs that are computed together.
const TILE: usize = 12;

/// Windows that move by whole steps, as in [`super::windows`].
struct Phase {
    /// Row, column and number of each tap.
    taps: Vec<(usize, usize, usize)>,
    /// Rows and columns that a window spans.
    span: (usize, usize),
    before: (isize, isize),
    at: (usize, usize),
}

/// A depthwise convolution.
pub(crate) struct Depthwise {
    samples: usize,
    channels: usize,
    from: (usize, usize),
    to: (usize, usize),
    step: usize,
    every: usize,
    phases: Vec<Phase>,
    /// `[taps, C rounded up to a vector]`.
    weights: Vec<f32>,
}

/// `[C, taps]` → `[taps, C]`, zeros up to a vector.
fn by_tap(w: &[f32], channels: usize, taps: usize) -> Vec<f32> {
    let wide = channels.next_multiple_of(lanes());
    let mut out = vec![0.0; taps * wide];
    weight::taps_first(w, channels, taps, &mut out, wide);
    out
}

impl Depthwise {
    /// `x` → `y`.
    pub(crate) fn forward(g: &Geometry, w: &[f32]) -> Self {
        let side = || 0..g.size;
        let taps = side().flat_map(|y| side().map(move |x| (y * g.dilation, x * g.dilation, y * g.size + x)));
        let span = (g.size - 1) * g.dilation + 1;
        let before = (g.top as isize, g.left as isize);
        let phase = Phase { taps: taps.collect(), span: (span, span), before, at: (0, 0) };
        Self {
            samples: g.samples,
            channels: g.ci,
            from: (g.h, g.w),
            to: (g.oh, g.ow),
            step: g.stride,
            every: 1,
            phases: vec![phase],
            weights: by_tap(w, g.ci, g.size * g.size),
        }
    }

    /// `dy` → `dx`.
    pub(crate) fn backward(g: &Geometry, w: &[f32]) -> Self {
        // Output coordinates that see input `at + j · stride`, relative to `j`, with the tap by which they do.
        let along = |at: usize, pad: usize| {
            let seen = (0..g.size).filter_map(|tap| {
                let reach = (at + pad) as isize - (tap * g.dilation) as isize;
                (reach.rem_euclid(g.stride as isize) == 0).then(|| (reach.div_euclid(g.stride as isize), tap))
            });
            let seen: Vec<(isize, usize)> = seen.collect();
            let first = seen.iter().map(|s| s.0).min().unwrap_or(0);
            let last = seen.iter().map(|s| s.0).max().unwrap_or(-1);
            let taps: Vec<(usize, usize)> = seen.into_iter().map(|(o, tap)| ((o - first) as usize, tap)).collect();
            (taps, -first, (last - first + 1) as usize)
        };
        let mut phases = vec![];
        for row in 0..g.stride.min(g.h) {
            for column in 0..g.stride.min(g.w) {
                let ((ys, top, down), (xs, left, across)) = (along(row, g.top), along(column, g.left));
                let taps = ys.iter().flat_map(|y| xs.iter().map(|x| (y.0, x.0, y.1 * g.size + x.1))).collect();
                phases.push(Phase { taps, span: (down, across), before: (top, left), at: (row, column) });
            }
        }
        Self {
            samples: g.samples,
            channels: g.ci,
            from: (g.oh, g.ow),
            to: (g.h, g.w),
            step: 1,
            every: g.stride,
            phases,
            weights: by_tap(w, g.ci, g.size * g.size),
        }
    }

    /// `source` through the windows and `sink` into `out`.
    pub(crate) fn run(&self, source: Source<'_>, sink: Sink<'_>, out: &mut [f32]) -> Vec<Sums> {
        let (oh, ow) = self.to;
        let taps: usize = self.phases.iter().map(|p| p.taps.len()).sum();
        // A multiply-add of a vector is cheap beside its memory.
        let cost = self.samples * oh * ow * self.channels * (taps / self.phases.len() + 4);
        let each = share(oh, 32usize.div_ceil(self.samples)).max(oh.min(8)).next_multiple_of(self.every);
        run(strips(out, self.samples, oh, ow * self.channels, each), cost, |strip, room| {
            let rows = (strip.first, strip.last);
            dispatch(Forward { depthwise: self, source, sink, sample: strip.sample, rows, out: strip.out, room })
        })
    }
}

/// Channels (whole vectors) whose strips of `rows` rows of `width` pixels fit into scratch memory.
fn chunk<S: Simd>(channels: usize, rows: usize, width: usize) -> usize {
    // Two vectors at least: what is read from memory comes in lines.
    let fits = ROOM / (rows * width).max(1) / S::LANES * S::LANES;
    fits.max(2 * S::LANES).min(channels.next_multiple_of(S::LANES))
}

struct Forward<'a, 'r> {
    depthwise: &'a Depthwise,
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
        let Depthwise { from, to: (oh, ow), step, every, channels, ref phases, ref weights, .. } = *self.depthwise;
        let wide = channels.next_multiple_of(S::LANES);
        let mut sums = self.sink.sums(channels);
        let most = phases.iter().map(|p| p.span).fold((1, 1), |a, b| (a.0.max(b.0), a.1.max(b.1)));
        let count = (self.rows.1 - self.rows.0).div_ceil(every);
        let chunk = chunk::<S>(channels, (count - 1) * step + most.0, (ow.div_ceil(every) - 1) * step + most.1);
        let mut first_channel = 0;
        while first_channel < channels {
            let take = chunk.min(channels - first_channel);
            let vectors = take.div_ceil(S::LANES);
            for phase in phases {
                let ((down, across), (y0, x0)) = (phase.span, phase.at);
                let first = self.rows.0.saturating_sub(y0).div_ceil(every);
                let last = self.rows.1.saturating_sub(y0).div_ceil(every);
                if ow <= x0 || first >= last {
                    continue;
                }
                let (count, columns) = (last - first, (ow - x0).div_ceil(every));
                let result = self.room.c.resize(vectors * count * columns * S::LANES);
                if phase.taps.is_empty() {
                    result.fill(0.0);
                } else {
                    let (height, width) = ((count - 1) * step + down, (columns - 1) * step + across);
                    let strip = self.room.a.resize(vectors * height * width * S::LANES);
                    let at = ((first * step) as isize - phase.before.0, -phase.before.1);
                    let size = Bordered { map: from, channels, at, height, width };
                    let layout = Layout::planes(height * width, S::LANES);
                    fill_strip(s, &self.source, self.sample, size, strip, layout, (first_channel, take));
                    let offset = |t: &(usize, usize, usize)| ((t.0 * width + t.1) * S::LANES, t.2 * wide);
                    let taps: Vec<(usize, usize)> = phase.taps.iter().map(offset).collect();
                    for v in 0..vectors {
                        let plane = &strip[v * height * width * S::LANES..][..height * width * S::LANES];
                        let out = &mut result[v * count * columns * S::LANES..][..count * columns * S::LANES];
                        let weights = &weights[first_channel + v * S::LANES..];
                        correlate(s, plane, width, weights, &taps, step, out, columns);
                    }
                }
                let layout = Layout::planes(count * columns, S::LANES);
                let range = (first_channel, take);
                if every == 1 {
                    let at = self.sample * oh * ow + first * ow;
                    self.sink.drain(
                        s,
                        channels,
                        range,
                        result,
                        layout,
                        count * columns,
                        self.out,
                        channels,
                        (at, 1),
                        &mut sums,
                    );
                    continue;
                }
                for r in 0..count {
                    let pixel = ((first + r) * every + y0) * ow + x0;
                    let to = &mut self.out[(pixel - self.rows.0 * ow) * channels..];
                    let from = &result[r * columns * S::LANES..];
                    let at = (self.sample * oh * ow + pixel, every);
                    self.sink.drain(s, channels, range, from, layout, columns, to, every * channels, at, &mut sums);
                }
            }
            first_channel += take;
        }
        sums
    }
}

/// All rows of `out` (`columns` vectors each) from a plane (`width` vectors a row): `Σ plane[window + tap] · weight`.
#[inline(always)]
#[allow(clippy::too_many_arguments)]
fn correlate<S: Simd>(
    s: S,
    plane: &[f32],
    width: usize,
    weights: &[f32],
    taps: &[(usize, usize)],
    step: usize,
    out: &mut [f32],
    columns: usize,
) {
    let rows = out.len() / (columns * S::LANES);
    let reach = taps.iter().map(|t| t.0).max().unwrap_or(0);
    assert!(
        (((rows - 1) * width + (columns - 1)) * step) * S::LANES + reach + S::LANES <= plane.len(),
        "plane of a depthwise convolution"
    );
    assert!(taps.iter().all(|t| t.1 + S::LANES <= weights.len()), "weights of a depthwise convolution");
    let pace = step * S::LANES;
    for row in 0..rows {
        let mut x = 0;
        while x < columns {
            let count = (columns - x).min(TILE);
            // SAFETY: the last window of the last row with its farthest tap lies inside the plane, checked above; `x + count`
            // is at most `columns`.
            unsafe {
                let from = plane.as_ptr().add(row * step * width * S::LANES + x * pace);
                let to = out.as_mut_ptr().add((row * columns + x) * S::LANES);
                let at = (from, pace, weights.as_ptr(), to);
                match count {
                    TILE => tile::<S, TILE>(s, at, taps),
                    8..TILE => {
                        tile::<S, 8>(s, at, taps);
                        for i in 8..count {
                            tile::<S, 1>(s, shift::<S>(at, i), taps)
                        }
                    }
                    7 => tile::<S, 7>(s, at, taps),
                    4..7 => {
                        tile::<S, 4>(s, at, taps);
                        for i in 4..count {
                            tile::<S, 1>(s, shift::<S>(at, i), taps)
                        }
                    }
                    _ => {
                        for i in 0..count {
                            tile::<S, 1>(s, shift::<S>(at, i), taps)
                        }
                    }
                }
            }
            x += count;
        }
    }
}

/// Plane, distance between windows, weights, result.
type At = (*const f32, usize, *const f32, *mut f32);

/// # Safety
/// As [`tile`] for window `i`.
#[inline(always)]
unsafe fn shift<S: Simd>((from, pace, weights, to): At, i: usize) -> At {
    // SAFETY: the caller's promise.
    unsafe { (from.add(i * pace), pace, weights, to.add(i * S::LANES)) }
}

/// # Safety
/// Every tap of `N` windows is readable, and `N` vectors of the result are writable.
#[inline(always)]
unsafe fn tile<S: Simd, const N: usize>(s: S, (from, pace, weights, to): At, taps: &[(usize, usize)]) {
    // SAFETY: the caller's promise.
    unsafe {
        let mut acc = [s.zero(); N];
        for &(offset, weight) in taps {
            let w = s.load(weights.add(weight));
            let from = from.add(offset);
            for (i, acc) in acc.iter_mut().enumerate() {
                *acc = s.fma(s.load(from.add(i * pace)), w, *acc);
            }
        }
        for (i, acc) in acc.into_iter().enumerate() {
            s.store(to.add(i * S::LANES), acc);
        }
    }
}

/// Both gradients at once, so that a described `dy` is computed once: that of the input, through `sink` into `dx`, and that of
/// the weight `w`. For windows at every pixel that keep the map's size.
pub(crate) fn depthwise_both(
    g: &Geometry,
    x: Source<'_>,
    dy: Source<'_>,
    w: &[f32],
    sink: Sink<'_>,
    dx: &mut [f32],
) -> Option<(Vec<Sums>, Gathered)> {
    if g.stride * g.dilation != 1 || (g.oh, g.ow) != (g.h, g.w) || g.top.max(g.left) >= g.size || dy.dense().is_some() {
        return None;
    }
    let back = Depthwise::backward(g, w);
    let each = share(g.h, 32usize.div_ceil(g.samples)).max(g.h.min(8));
    let cost = g.samples * g.h * g.w * g.ci * (2 * g.size * g.size + 8);
    let done = run(strips(dx, g.samples, g.h, g.w * g.ci, each), cost, |strip, room| {
        let rows = (strip.first, strip.last);
        dispatch(Both { g: *g, back: &back, x, dy, sink, sample: strip.sample, rows, out: strip.out, room })
    });
    let (sums, gradients): (Vec<Sums>, Vec<Vec<f32>>) = done.into_iter().unzip();
    Some((sums, Gathered::sum(gradients, g.ci.next_multiple_of(lanes()))))
}

struct Both<'a, 'r> {
    g: Geometry,
    back: &'a Depthwise,
    x: Source<'a>,
    dy: Source<'a>,
    sink: Sink<'a>,
    sample: usize,
    rows: (usize, usize),
    out: &'r mut [f32],
    room: &'r mut Room,
}

impl Work for Both<'_, '_> {
    type Out = (Sums, Vec<f32>);
    #[inline(always)]
    fn run<S: Simd>(self, s: S) -> Self::Out {
        let (g, wide) = (&self.g, self.g.ci.next_multiple_of(S::LANES));
        let mut gradient = vec![0.0; g.size * g.size * wide];
        let mut sums = self.sink.sums(g.ci);
        let count = self.rows.1 - self.rows.0;
        // Both strips have the same size: a border of `size − 1` pixels, shared between the sides.
        let (height, width) = (count + g.size - 1, g.w + g.size - 1);
        let each = height * width * S::LANES;
        let (above, before) = (g.size - 1 - g.top, g.size - 1 - g.left);
        let tap = |t: &(usize, usize, usize)| ((t.0 * width + t.1) * S::LANES, t.2 * wide);
        let taps: Vec<(usize, usize)> = self.back.phases.iter().flat_map(|p| &p.taps).map(tap).collect();
        let chunk = chunk::<S>(g.ci, height, width);
        for first in (0..g.ci).step_by(chunk) {
            let take = chunk.min(g.ci - first);
            let vectors = take.div_ceil(S::LANES);
            let layout = Layout::planes(height * width, S::LANES);
            let size = |above: usize, before: usize| Bordered {
                map: (g.h, g.w),
                channels: g.ci,
                at: (self.rows.0 as isize - above as isize, -(before as isize)),
                height,
                width,
            };
            let x = self.room.a.resize(vectors * each);
            fill_strip(s, &self.x, self.sample, size(g.top, g.left), x, layout, (first, take));
            let dy = self.room.b.resize(vectors * each);
            fill_strip(s, &self.dy, self.sample, size(above, before), dy, layout, (first, take));
            let result = self.room.c.resize(vectors * count * g.w * S::LANES);
            for v in 0..vectors {
                let (x, dy) = (&x[v * each..][..each], &dy[v * each..][..each]);
                let out = &mut result[v * count * g.w * S::LANES..][..count * g.w * S::LANES];
                correlate(s, dy, width, &self.back.weights[first + v * S::LANES..], &taps, 1, out, g.w);
                let dy = &dy[(above * width + before) * S::LANES..];
                let plane = Plane { x, dy, width, columns: g.w, dy_width: width, rows: count, step: 1 };
                plane.add(s, g, &mut gradient[first + v * S::LANES..], wide);
            }
            let at = (self.sample * g.h + self.rows.0) * g.w;
            let layout = Layout::planes(count * g.w, S::LANES);
            self.sink.drain(s, g.ci, (first, take), result, layout, count * g.w, self.out, g.ci, (at, 1), &mut sums);
        }
        (sums, gradient)
    }
}

/// `Σ windows(x) · dy`: `[taps, C]`.
pub(crate) fn depthwise_weights(g: &Geometry, x: Source<'_>, dy: Source<'_>) -> Gathered {
    let taps = g.size * g.size;
    let parts = Parts::new(g.samples * g.oh, g.ow, taps, g.ci, true);
    let cost = g.samples * g.oh * g.ow * g.ci * (taps + 4);
    let sums = run(parts.tasks(), cost, |(rows, _), room| dispatch(Gradient { g: *g, x, dy, rows, room }));
    parts.gather(sums)
}

struct Gradient<'a, 'r> {
    g: Geometry,
    x: Source<'a>,
    dy: Source<'a>,
    rows: (usize, usize),
    room: &'r mut Room,
}

impl Work for Gradient<'_, '_> {
    type Out = Vec<f32>;
    #[inline(always)]
    fn run<S: Simd>(self, s: S) -> Vec<f32> {
        let g = &self.g;
        let wide = g.ci.next_multiple_of(S::LANES);
        let mut sum = vec![0.0; g.size * g.size * wide];
        let span = (g.size - 1) * g.dilation + 1;
        let width = (g.ow - 1) * g.stride + span;
        let most = (self.rows.1 - self.rows.0).min(g.oh);
        let chunk = chunk::<S>(g.ci, (most - 1) * g.stride + span, width);
        let mut row = self.rows.0;
        while row < self.rows.1 {
            let (sample, y) = (row / g.oh, row % g.oh);
            let count = (self.rows.1 - row).min(g.oh - y);
            let height = (count - 1) * g.stride + span;
            for first in (0..g.ci).step_by(chunk) {
                let take = chunk.min(g.ci - first);
                let vectors = take.div_ceil(S::LANES);
                let strip = self.room.a.resize(vectors * height * width * S::LANES);
                let at = ((y * g.stride) as isize - g.top as isize, -(g.left as isize));
                let size = Bordered { map: (g.h, g.w), channels: g.ci, at, height, width };
                fill_strip(s, &self.x, sample, size, strip, Layout::planes(height * width, S::LANES), (first, take));
                let pixels = count * g.ow;
                let dy = self.room.b.resize(vectors * pixels * S::LANES);
                let layout = Layout::planes(pixels, S::LANES);
                self.dy.fill(s, g.ci, (first, take), row * g.ow, pixels, sample, dy, layout);
                for v in 0..vectors {
                    let plane = Plane {
                        x: &strip[v * height * width * S::LANES..][..height * width * S::LANES],
                        dy: &dy[v * pixels * S::LANES..][..pixels * S::LANES],
                        width,
                        columns: g.ow,
                        dy_width: g.ow,
                        rows: count,
                        step: g.stride,
                    };
                    plane.add(s, g, &mut sum[first + v * S::LANES..], wide);
                }
            }
            row += count;
        }
        sum
    }
}

/// One vector of channels of a strip.
#[derive(Clone, Copy)]
struct Plane<'a> {
    x: &'a [f32],
    dy: &'a [f32],
    /// Pixels in a row of `x`.
    width: usize,
    /// Pixels in a row of `dy`, and from one to the next.
    columns: usize,
    dy_width: usize,
    /// Rows of `dy`.
    rows: usize,
    step: usize,
}

impl Plane<'_> {
    /// Adds every tap's sum to `sum[tap · wide..]`.
    #[inline(always)]
    fn add<S: Simd>(&self, s: S, g: &Geometry, sum: &mut [f32], wide: usize) {
        let span = (g.size - 1) * g.dilation;
        assert!(((self.rows - 1) * self.dy_width + self.columns) * S::LANES <= self.dy.len());
        let last = ((self.rows - 1) * self.step + span) * self.width + (self.columns - 1) * self.step + span;
        assert!((last + 1) * S::LANES <= self.x.len() && (g.size * g.size - 1) * wide + S::LANES <= sum.len());
        let mut tap = 0;
        while tap < g.size * g.size {
            let (y, x) = (tap / g.size, tap % g.size);
            let left = g.size - y;
            // SAFETY: the farthest tap of the last window lies inside the strip, checked above; a call takes whole rows of
            // taps that exist.
            unsafe {
                match (g.size, g.dilation) {
                    (3, 1) => {
                        self.taps::<S, 3, 3>(s, (y, 0), tap, sum, wide);
                        tap += 9;
                    }
                    (5, 1) if left >= 2 => {
                        self.taps::<S, 2, 5>(s, (y, 0), tap, sum, wide);
                        tap += 10;
                    }
                    (5, 1) => {
                        self.taps::<S, 1, 5>(s, (y, 0), tap, sum, wide);
                        tap += 5;
                    }
                    (7, 1) => {
                        self.taps::<S, 1, 7>(s, (y, 0), tap, sum, wide);
                        tap += 7;
                    }
                    _ => {
                        self.taps::<S, 1, 1>(s, (y * g.dilation, x * g.dilation), tap, sum, wide);
                        tap += 1;
                    }
                }
            }
        }
    }

    /// # Safety
    /// All windows with `R` rows and `K` columns of taps from `at` lie inside `x`.
    #[inline(always)]
    unsafe fn taps<S: Simd, const R: usize, const K: usize>(
        &self,
        s: S,
        at: (usize, usize),
        tap: usize,
        sum: &mut [f32],
        wide: usize,
    ) {
        let mut acc = [[s.zero(); K]; R];
        for row in 0..self.rows {
            // SAFETY: the caller's promise.
            unsafe {
                let mut x = self.x.as_ptr().add(((row * self.step + at.0) * self.width + at.1) * S::LANES);
                let mut dy = self.dy.as_ptr().add(row * self.dy_width * S::LANES);
                for _ in 0..self.columns {
                    let d = s.load(dy);
                    for (r, acc) in acc.iter_mut().enumerate() {
                        for (k, acc) in acc.iter_mut().enumerate() {
                            *acc = s.fma(s.load(x.add((r * self.width + k) * S::LANES)), d, *acc);
                        }
                    }
                    // Behind the last pixel there may be less than a step.
                    x = x.wrapping_add(self.step * S::LANES);
                    dy = dy.wrapping_add(S::LANES);
                }
            }
        }
        for (i, acc) in acc.into_iter().flatten().enumerate() {
            let to = &mut sum[(tap + i) * wide..];
            let v = s.add(s.read(to, S::LANES), acc);
            s.write(to, S::LANES, v);
        }
    }
}
