//! Passes over whole maps: what is left when convolutions take norms and activations along.
#![allow(unsafe_code)]

use super::act::{Curve, slope};
use super::rows::{Layout, Sink, Source, Sums, ahead, by_curve, sweep};
use super::scratch::unwritten;
use super::simd::{Simd, Work, dispatch};
use super::tasks::{Room, Strip, run, share, strips};

/// Sizes of a map `[B, H·W, C]`.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Size {
    pub samples: usize,
    pub pixels: usize,
    pub channels: usize,
}

impl Size {
    pub(crate) fn len(&self) -> usize {
        self.samples * self.pixels * self.channels
    }
    /// Pieces of a map of this size, none across two samples.
    fn cut<'a>(&self, out: &'a mut [f32]) -> Vec<Strip<'a>> {
        let pieces = 32usize.div_ceil(self.samples.max(1));
        strips(out, self.samples, self.pixels, self.channels, share(self.pixels, pieces).max(8))
    }
    /// What a pass costs, in multiply-adds that take as long.
    fn cost(&self) -> usize {
        self.len() * 8
    }
}

/// Pixels that fit into the fastest cache.
fn block(channels: usize) -> usize {
    (4096 / channels.max(1)).clamp(1, 64)
}

/// A described map, written out.
pub(crate) fn materialize(source: Source<'_>, size: Size) -> Vec<f32> {
    // SAFETY: the strips are all of it, and each is filled.
    let mut out = unsafe { unwritten(size.len()) };
    run(size.cut(&mut out), size.cost(), |strip, _| dispatch(Fill { source, size, strip }));
    out
}

struct Fill<'a, 'r> {
    source: Source<'a>,
    size: Size,
    strip: Strip<'r>,
}

impl Work for Fill<'_, '_> {
    type Out = ();
    #[inline(always)]
    fn run<S: Simd>(self, s: S) {
        let c = self.size.channels;
        let at = self.strip.sample * self.size.pixels + self.strip.first;
        let count = self.strip.last - self.strip.first;
        let layout = Layout::pixels(c, c, S::LANES);
        self.source.fill(s, c, (0, c), at, count, self.strip.sample, self.strip.out, layout);
    }
}

/// `f(a + b)`.
pub(crate) fn sum(a: Source<'_>, b: Source<'_>, f: Curve, size: Size) -> Vec<f32> {
    // SAFETY: the strips are all of it, and each is filled.
    let mut out = unsafe { unwritten(size.len()) };
    run(size.cut(&mut out), size.cost(), |strip, room| dispatch(Sum { a, b, f, size, strip, room }));
    out
}

struct Sum<'a, 'r> {
    a: Source<'a>,
    b: Source<'a>,
    f: Curve,
    size: Size,
    strip: Strip<'r>,
    room: &'r mut Room,
}

impl Work for Sum<'_, '_> {
    type Out = ();
    #[inline(always)]
    fn run<S: Simd>(self, s: S) {
        let c = self.size.channels;
        let layout = Layout::pixels(c, c, S::LANES);
        let start = self.strip.sample * self.size.pixels + self.strip.first;
        let block = block(c);
        for (i, out) in self.strip.out.chunks_mut(block * c).enumerate() {
            let (at, count) = (start + i * block, out.len() / c);
            self.a.fill(s, c, (0, c), at, count, self.strip.sample, out, layout);
            let other = match self.b.dense() {
                Some(b) => &b[at * c..],
                None => {
                    let other = self.room.a.resize(block * c);
                    self.b.fill(s, c, (0, c), at, count, self.strip.sample, other, layout);
                    &*other
                }
            };
            by_curve!(self.f, F, {
                let mut i = 0;
                while i < out.len() {
                    let n = (out.len() - i).min(S::LANES);
                    let v = s.add(s.read(&out[i..], n), s.read(&other[i..], n));
                    s.write(&mut out[i..], n, super::act::curve(s, F, v));
                    i += S::LANES;
                }
            });
        }
    }
}

/// A branch of a sum whose norm needs `Σ t · (y − mean)`.
#[derive(Clone, Copy)]
pub(crate) struct Branch<'a> {
    pub y: &'a [f32],
    pub mean: &'a [f32],
}

/// `t = f'(z) · d` (with `z = f(…)`, for curves whose slope shows in the result), `Σ t`, and for each branch its sum.
pub(crate) fn residual(
    d: &[f32],
    z: &[f32],
    f: Curve,
    branches: [Option<Branch<'_>>; 2],
    size: Size,
) -> (Vec<f32>, [Vec<f64>; 3]) {
    // SAFETY: the strips are all of it, and each is filled.
    let mut t = unsafe { unwritten(size.len()) };
    let parts = run(size.cut(&mut t), size.cost(), |strip, _| dispatch(Residual { d, z, f, branches, size, strip }));
    let mut totals = [vec![0.0; size.channels], vec![0.0; size.channels], vec![0.0; size.channels]];
    for part in parts {
        for (total, part) in totals.iter_mut().zip(part.chunks_exact(size.channels)) {
            total.iter_mut().zip(part).for_each(|(t, &p)| *t += f64::from(p));
        }
    }
    (t, totals)
}

struct Residual<'a, 'r> {
    d: &'a [f32],
    z: &'a [f32],
    f: Curve,
    branches: [Option<Branch<'a>>; 2],
    size: Size,
    strip: Strip<'r>,
}

impl Work for Residual<'_, '_> {
    type Out = Vec<f32>;
    #[inline(always)]
    fn run<S: Simd>(self, s: S) -> Vec<f32> {
        let c = self.size.channels;
        let mut sums = vec![0.0; 3 * c];
        let start = (self.strip.sample * self.size.pixels + self.strip.first) * c;
        let count = self.strip.last - self.strip.first;
        let out = self.strip.out;
        by_curve!(
            self.f,
            F,
            sweep::<S>(
                c,
                count,
                #[inline(always)]
                |i, n, first, last| {
                    let mut one = s.read(&sums[i..], n);
                    let mut two = [s.read(&sums[c + i..], n), s.read(&sums[2 * c + i..], n)];
                    let mut means = [s.zero(); 2];
                    for (mean, branch) in means.iter_mut().zip(&self.branches) {
                        if let Some(branch) = branch {
                            *mean = s.read(&branch.mean[i..], n);
                        }
                    }
                    for p in first..last {
                        let at = p * c + i;
                        ahead(s, self.d, start + at, c);
                        let d = s.read(&self.d[start + at..], n);
                        let t = if matches!(F, Curve::Identity) {
                            d
                        } else {
                            ahead(s, self.z, start + at, c);
                            slope(s, F, s.read(&self.z[start + at..], n), d)
                        };
                        s.write(&mut out[at..], n, t);
                        one = s.add(one, t);
                        for ((two, mean), branch) in two.iter_mut().zip(&means).zip(&self.branches) {
                            if let Some(branch) = branch {
                                ahead(s, branch.y, start + at, c);
                                *two = s.fma(t, s.sub(s.read(&branch.y[start + at..], n), *mean), *two);
                            }
                        }
                    }
                    s.write(&mut sums[i..], n, one);
                    s.write(&mut sums[c + i..], n, two[0]);
                    s.write(&mut sums[2 * c + i..], n, two[1]);
                },
            )
        );
        sums
    }
}

/// What a gradient is multiplied by and what is added to it before its mask, both `[B, C]`.
#[derive(Clone, Copy)]
pub(crate) struct Gate<'a> {
    pub times: &'a [f32],
    pub plus: &'a [f32],
}

/// `t ← sink(t · gate + plus)` in place; the sums of the sink.
pub(crate) fn mask(t: &mut [f32], gate: Option<Gate<'_>>, sink: Sink<'_>, size: Size) -> Vec<Sums> {
    run(size.cut(t), size.cost(), |strip, room| dispatch(Mask { gate, sink, size, strip, room }))
}

struct Mask<'a, 'r> {
    gate: Option<Gate<'a>>,
    sink: Sink<'a>,
    size: Size,
    strip: Strip<'r>,
    room: &'r mut Room,
}

impl Work for Mask<'_, '_> {
    type Out = Sums;
    #[inline(always)]
    fn run<S: Simd>(self, s: S) -> Sums {
        let c = self.size.channels;
        let layout = Layout::pixels(c, c, S::LANES);
        let mut sums = self.sink.sums(c);
        let start = self.strip.sample * self.size.pixels + self.strip.first;
        let block = block(c);
        let scratch = self.room.a.resize(block * c);
        for (i, t) in self.strip.out.chunks_mut(block * c).enumerate() {
            let count = t.len() / c;
            match self.gate {
                None => scratch[..t.len()].copy_from_slice(t),
                Some(gate) => sweep::<S>(
                    c,
                    count,
                    #[inline(always)]
                    |j, n, first, last| {
                        let times = s.read(&gate.times[self.strip.sample * c + j..], n);
                        let plus = s.read(&gate.plus[self.strip.sample * c + j..], n);
                        for p in first..last {
                            ahead(s, t, p * c + j, c);
                            let v = s.fma(s.read(&t[p * c + j..], n), times, plus);
                            s.write(&mut scratch[p * c + j..], n, v);
                        }
                    },
                ),
            }
            self.sink.drain(s, c, (0, c), scratch, layout, count, t, c, (start + i * block, 1), &mut sums);
        }
        sums
    }
}

/// The sums of `sink` over a map that stays as it is.
pub(crate) fn sums(map: &[f32], sink: Sink<'_>, size: Size) -> Vec<Sums> {
    let pieces = 32usize.div_ceil(size.samples.max(1));
    let each = share(size.pixels, pieces).max(8);
    let mut tasks = vec![];
    for sample in 0..size.samples {
        for first in (0..size.pixels).step_by(each) {
            tasks.push((sample * size.pixels + first, each.min(size.pixels - first)));
        }
    }
    run(tasks, size.cost(), |(at, count), room| dispatch(Look { map, sink, channels: size.channels, at, count, room }))
}

struct Look<'a, 'r> {
    map: &'a [f32],
    sink: Sink<'a>,
    channels: usize,
    at: usize,
    count: usize,
    room: &'r mut Room,
}

impl Work for Look<'_, '_> {
    type Out = Sums;
    #[inline(always)]
    fn run<S: Simd>(self, s: S) -> Sums {
        let c = self.channels;
        let mut sums = self.sink.sums(c);
        let block = block(c);
        let scratch = self.room.a.resize(block * c);
        for first in (0..self.count).step_by(block) {
            let (at, count) = (self.at + first, block.min(self.count - first));
            let from = &self.map[at * c..];
            self.sink.drain(s, c, (0, c), from, Layout::pixels(c, c, S::LANES), count, scratch, c, (at, 1), &mut sums);
        }
        sums
    }
}

/// `Σ` over the pixels of each sample of `value`, times `weight` if given: `[B, C]`.
pub(crate) fn pixel_sums(value: Source<'_>, weight: Option<&[f32]>, size: Size) -> Vec<f32> {
    let mut out = vec![0.0; size.samples * size.channels];
    // Channels are cut too, so that a few samples keep all threads busy.
    let tasks: Vec<(usize, &mut [f32])> = out.chunks_mut(size.channels).enumerate().collect();
    run(tasks, size.cost(), |(sample, out), room| dispatch(Total { value, weight, size, sample, out, room }));
    out
}

struct Total<'a, 'r> {
    value: Source<'a>,
    weight: Option<&'a [f32]>,
    size: Size,
    sample: usize,
    out: &'r mut [f32],
    room: &'r mut Room,
}

impl Work for Total<'_, '_> {
    type Out = ();
    #[inline(always)]
    fn run<S: Simd>(self, s: S) {
        let c = self.size.channels;
        let block = block(c);
        for first in (0..self.size.pixels).step_by(block) {
            let count = block.min(self.size.pixels - first);
            let at = self.sample * self.size.pixels + first;
            let values = match self.value.dense() {
                Some(v) => &v[at * c..],
                None => {
                    let values = self.room.a.resize(block * c);
                    self.value.fill(s, c, (0, c), at, count, self.sample, values, Layout::pixels(c, c, S::LANES));
                    &*values
                }
            };
            let out = &mut *self.out;
            sweep::<S>(
                c,
                count,
                #[inline(always)]
                |i, n, first, last| {
                    let mut sum = s.read(&out[i..], n);
                    for p in first..last {
                        let v = s.read(&values[p * c + i..], n);
                        sum = match self.weight {
                            Some(weight) => {
                                ahead(s, weight, (at + p) * c + i, c);
                                s.fma(v, s.read(&weight[(at + p) * c + i..], n), sum)
                            }
                            None => s.add(sum, v),
                        };
                    }
                    s.write(&mut out[i..], n, sum);
                },
            );
        }
    }
}

/// `to += from`.
pub(crate) fn add(to: &mut [f32], from: &[f32]) {
    use rayon::prelude::*;
    const PIECE: usize = 1 << 15;
    let piece = |(to, from): (&mut [f32], &[f32])| to.iter_mut().zip(from).for_each(|(t, f)| *t += f);
    if to.len() <= PIECE {
        return piece((to, from));
    }
    to.par_chunks_mut(PIECE).zip(from.par_chunks(PIECE)).for_each(piece);
}
