//! Max and average pools over windows that overlap and reach over the edges, with exact gradients.
//!
//! Going back, each input gathers from the windows that saw it, so that its gradient is written once and can go through a
//! sink. A maximum remembers which tap it was.
#![allow(unsafe_code)]

use super::geometry::Geometry;
use super::rows::{Layout, Sink, Source, Sums};
use super::scratch::unwritten;
use super::simd::{Simd, Work, dispatch};
use super::tasks::{Room, Strip, run, share, strips};
use std::ops::Range;

/// What a pool makes of its window.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    /// The first largest value in row order; not a number, if there is one.
    Max,
    /// The mean.
    Avg,
}

/// Of the `size` taps of the window at output `at` those that lie inside a map of `side` pixels.
fn taps(at: usize, g: &Geometry, size: usize, before: usize, side: usize) -> Range<usize> {
    let start = at * g.stride;
    let first = before.saturating_sub(start).div_ceil(g.dilation).min(size);
    let last = (side + before).saturating_sub(start).div_ceil(g.dilation).min(size);
    first..last.max(first)
}

/// Outputs whose windows see input `at`, each with the tap by which it does.
fn seen(
    at: usize,
    g: &Geometry,
    size: usize,
    before: usize,
    outs: usize,
) -> impl Iterator<Item = (usize, usize)> + Clone {
    let g = *g;
    (0..size).rev().filter_map(move |tap| {
        let start = (at + before).checked_sub(tap * g.dilation)?;
        let out = start / g.stride;
        (start % g.stride == 0 && out < outs).then_some((out, tap))
    })
}

/// The pooled map, and for maxima the number of the tap of every one.
///
/// `shares`: what a window's row and column weigh in its mean.
pub(crate) fn forward(kind: Kind, g: &Geometry, shares: &[Vec<f32>; 2], x: Source<'_>) -> (Vec<f32>, Vec<f32>) {
    let len = g.samples * g.oh * g.ow * g.ci;
    // SAFETY: the strips are all of it, and each writes the value of every window.
    let mut y = unsafe { unwritten(len) };
    // SAFETY: so does each of these strips the tap.
    let mut which = if kind == Kind::Max { unsafe { unwritten(len) } } else { vec![] };
    let each = share(g.oh, 32usize.div_ceil(g.samples)).max(g.oh.min(4));
    let values = strips(&mut y, g.samples, g.oh, g.ow * g.ci, each);
    let mut places =
        if kind == Kind::Max { strips(&mut which, g.samples, g.oh, g.ow * g.ci, each) } else { vec![] }.into_iter();
    let tasks: Vec<_> = values.into_iter().map(|v| (v, places.next())).collect();
    run(tasks, len * 16, |(values, places), room| dispatch(Forward { kind, g: *g, shares, x, values, places, room }));
    (y, which)
}

struct Forward<'a, 'r> {
    kind: Kind,
    g: Geometry,
    shares: &'a [Vec<f32>; 2],
    x: Source<'a>,
    values: Strip<'r>,
    places: Option<Strip<'r>>,
    room: &'r mut Room,
}

impl Work for Forward<'_, '_> {
    type Out = ();
    #[inline(always)]
    fn run<S: Simd>(mut self, s: S) {
        let (g, c) = (&self.g, self.g.ci);
        let sample = self.values.sample;
        // Rows of the map that this strip's windows see.
        let first = (self.values.first * g.stride).saturating_sub(g.top).min(g.h);
        let last = ((self.values.last - 1) * g.stride + (g.size - 1) * g.dilation + 1)
            .saturating_sub(g.top)
            .min(g.h)
            .max(first);
        let x = match self.x.dense() {
            Some(x) => &x[(sample * g.h + first) * g.w * c..],
            None => {
                let x = self.room.a.resize((last - first) * g.w * c);
                let at = (sample * g.h + first) * g.w;
                self.x.fill(s, c, (0, c), at, (last - first) * g.w, sample, x, Layout::pixels(c, c, S::LANES));
                &*x
            }
        };
        for oy in self.values.first..self.values.last {
            let down = taps(oy, g, g.size, g.top, g.h);
            for ox in 0..g.ow {
                let across = taps(ox, g, g.across, g.left, g.w);
                let to = ((oy - self.values.first) * g.ow + ox) * c;
                let mut i = 0;
                while i < c {
                    let n = (c - i).min(S::LANES);
                    let mut best = if self.kind == Kind::Max { s.splat(f32::NEG_INFINITY) } else { s.zero() };
                    let mut place = s.splat((down.start * g.across + across.start) as f32);
                    for ky in down.clone() {
                        let row = (oy * g.stride + ky * g.dilation - g.top - first) * g.w;
                        for kx in across.clone() {
                            let v = s.read(&x[(row + ox * g.stride + kx * g.dilation - g.left) * c + i..], n);
                            if self.kind == Kind::Avg {
                                best = s.add(best, v);
                                continue;
                            }
                            let tap = s.splat((ky * g.across + kx) as f32);
                            // Not a number beats all; of several the last one.
                            let (new, old) = (s.above(v, v), s.above(best, best));
                            let better = s.select(s.above(v, best), tap, place);
                            let kept = s.select(old, place, better);
                            place = s.select(new, tap, kept);
                            best = s.select(new, v, s.max(v, best));
                        }
                    }
                    if self.kind == Kind::Avg {
                        best = s.mul(best, s.splat(self.shares[0][oy] * self.shares[1][ox]));
                    }
                    s.write(&mut self.values.out[to + i..], n, best);
                    if let Some(places) = &mut self.places {
                        s.write(&mut places.out[to + i..], n, place);
                    }
                    i += S::LANES;
                }
            }
        }
    }
}

/// The gradient of the map from that of the pooled one, through `sink`.
#[allow(clippy::too_many_arguments)]
pub(crate) fn backward(
    kind: Kind,
    g: &Geometry,
    shares: &[Vec<f32>; 2],
    dy: &[f32],
    which: &[f32],
    sink: Sink<'_>,
    dx: &mut [f32],
) -> Vec<Sums> {
    let each = share(g.h, 32usize.div_ceil(g.samples)).max(g.h.min(4));
    let cost = dx.len() * 16;
    run(strips(dx, g.samples, g.h, g.w * g.ci, each), cost, |strip, room| {
        dispatch(Backward { kind, g: *g, shares, dy, which, sink, strip, room })
    })
}

struct Backward<'a, 'r> {
    kind: Kind,
    g: Geometry,
    shares: &'a [Vec<f32>; 2],
    dy: &'a [f32],
    which: &'a [f32],
    sink: Sink<'a>,
    strip: Strip<'r>,
    room: &'r mut Room,
}

impl Work for Backward<'_, '_> {
    type Out = Sums;
    #[inline(always)]
    fn run<S: Simd>(self, s: S) -> Sums {
        let (g, c) = (&self.g, self.g.ci);
        let mut sums = self.sink.sums(c);
        let row = self.room.a.resize(g.w * c);
        let sample = self.strip.sample;
        for y in self.strip.first..self.strip.last {
            for x in 0..g.w {
                let mut i = 0;
                while i < c {
                    let n = (c - i).min(S::LANES);
                    let mut sum = s.zero();
                    for (oy, ky) in seen(y, g, g.size, g.top, g.oh) {
                        for (ox, kx) in seen(x, g, g.across, g.left, g.ow) {
                            let at = ((sample * g.oh + oy) * g.ow + ox) * c + i;
                            let d = s.read(&self.dy[at..], n);
                            if self.kind == Kind::Avg {
                                let share = self.shares[0][oy] * self.shares[1][ox];
                                sum = s.fma(d, s.splat(share), sum);
                                continue;
                            }
                            let (place, tap) = (s.read(&self.which[at..], n), s.splat((ky * g.across + kx) as f32));
                            let d = s.select(s.above(place, tap), s.zero(), d);
                            sum = s.add(sum, s.select(s.above(tap, place), s.zero(), d));
                        }
                    }
                    s.write(&mut row[x * c + i..], n, sum);
                    i += S::LANES;
                }
            }
            let at = (sample * g.h + y) * g.w;
            let to = &mut self.strip.out[(y - self.strip.first) * g.w * c..];
            self.sink.drain(s, c, (0, c), row, Layout::pixels(c, c, S::LANES), g.w, to, c, (at, 1), &mut sums);
        }
        sums
    }
}
