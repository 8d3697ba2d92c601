//! What happens to values on the way into and out of a kernel.
//!
//! Kernels compute on plain numbers in scratch memory. A [`Source`] fills it from values that were *described*, not
//! computed (a norm with its activation, the gradient of a norm), and a [`Sink`] carries results home: adds a bias, masks a
//! gradient, sums what a norm needs. Both work on a few pixels at a time while these are in cache, so that norms,
//! activations and their gradients cost no pass over memory of their own. Each is a function of its own ([`Simd::call`]): with all
//! its curves inside of every kernel, the kernels would be three times as long, and as long in compiling.

use super::act::{Curve, curve, slope};
use super::simd::{Simd, Work};

/// Pixels that are handled together: enough to keep a channel's constants in registers, few enough to read memory in order.
const GROUP: usize = 8;

/// Where number `c` of pixel `p` is: `p · pixel + c / LANES · vector + c % LANES`.
#[derive(Clone, Copy)]
pub(crate) struct Layout {
    pub pixel: usize,
    pub vector: usize,
    /// Whether the last vector of a pixel may be written whole.
    pub padded: bool,
}

impl Layout {
    /// Pixels one behind the other, `width` numbers apart.
    pub(crate) fn pixels(channels: usize, width: usize, lanes: usize) -> Self {
        Self { pixel: width, vector: lanes, padded: width >= channels.next_multiple_of(lanes) }
    }
    /// For each vector of channels `pixels` pixels.
    pub(crate) fn planes(pixels: usize, lanes: usize) -> Self {
        Self { pixel: lanes, vector: pixels * lanes, padded: true }
    }
}

/// A map `[B, H, W, C]`, or what it is computed from.
#[derive(Clone, Copy)]
pub(crate) enum Source<'a> {
    /// As it lies.
    Dense(&'a [f32]),
    /// `f(x · scale + shift)`, times `gate` `[B, C]`.
    Described { x: &'a [f32], scale: &'a [f32], shift: &'a [f32], f: Curve, gate: Option<&'a [f32]> },
    /// The gradient behind a batch norm: `a · t + b · y + c`.
    Normed { t: &'a [f32], y: &'a [f32], abc: [&'a [f32]; 3] },
}

/// Calls `f(channel, lanes, first pixel, behind the last pixel)` for groups of pixels.
#[inline(always)]
pub(crate) fn sweep<S: Simd>(channels: usize, count: usize, mut f: impl FnMut(usize, usize, usize, usize)) {
    let _ = S::LANES;
    let mut first = 0;
    while first < count {
        let last = (first + GROUP).min(count);
        let mut c = 0;
        while c < channels {
            f(c, (channels - c).min(S::LANES), first, last);
            c += S::LANES;
        }
        first = last;
    }
}

/// Asks for what the next group of pixels reads: within a group, reads are too far apart for the machine to foresee.
#[inline(always)]
pub(crate) fn ahead<S: Simd>(s: S, data: &[f32], at: usize, step: usize) {
    s.prefetch(data.as_ptr().wrapping_add(at + GROUP * step));
}

/// Runs `$body` with `$f` a constant, so that the choice is made outside the loop.
macro_rules! by_curve {
    ($f:expr, $constant:ident, $body:expr) => {{
        use $crate::ops::cpu::act::Curve as C;
        match $f {
            C::Identity => {
                const $constant: C = C::Identity;
                $body
            }
            C::Relu => {
                const $constant: C = C::Relu;
                $body
            }
            C::Relu6 => {
                const $constant: C = C::Relu6;
                $body
            }
            C::Silu => {
                const $constant: C = C::Silu;
                $body
            }
            C::Sigmoid => {
                const $constant: C = C::Sigmoid;
                $body
            }
            C::HardSwish => {
                const $constant: C = C::HardSwish;
                $body
            }
            C::HardSigmoid => {
                const $constant: C = C::HardSigmoid;
                $body
            }
            C::Gelu => {
                const $constant: C = C::Gelu;
                $body
            }
        }
    }};
}
pub(crate) use by_curve;

impl<'a> Source<'a> {
    /// The numbers themselves, if nothing needs to be done to them.
    pub(crate) fn dense(&self) -> Option<&'a [f32]> {
        match self {
            Self::Dense(x) => Some(x),
            _ => None,
        }
    }

    /// Whether values depend on the sample they belong to beyond their own numbers.
    pub(crate) fn gated(&self) -> bool {
        matches!(self, Self::Described { gate: Some(_), .. })
    }

    /// Writes `count` pixels from pixel `at`, all of sample `sample`, channels `from..from + channels` of `all`.
    #[inline(always)]
    #[allow(clippy::too_many_arguments)]
    pub(crate) fn fill<S: Simd>(
        &self,
        s: S,
        all: usize,
        channels: (usize, usize),
        at: usize,
        count: usize,
        sample: usize,
        out: &mut [f32],
        layout: Layout,
    ) {
        s.call(Fill { source: *self, all, channels, at, count, sample, out, layout });
    }
}

/// [`Source::fill`].
struct Fill<'a, 'b> {
    source: Source<'a>,
    all: usize,
    channels: (usize, usize),
    at: usize,
    count: usize,
    sample: usize,
    out: &'b mut [f32],
    layout: Layout,
}

impl Work for Fill<'_, '_> {
    type Out = ();
    #[inline(always)]
    fn run<S: Simd>(self, s: S) {
        let Self { source, all, channels: (from, channels), at, count, sample, out, layout } = self;
        let wide = |n: usize| if layout.padded { S::LANES } else { n };
        let place = |c: usize| c / S::LANES * layout.vector;
        match source {
            Source::Dense(x) => sweep::<S>(
                channels,
                count,
                #[inline(always)]
                |c, n, first, last| {
                    for p in first..last {
                        ahead(s, x, (at + p) * all + from + c, all);
                        let v = s.read(&x[(at + p) * all + from + c..], n);
                        s.write(&mut out[p * layout.pixel + place(c)..], wide(n), v);
                    }
                },
            ),
            Source::Described { x, scale, shift, f, gate } => by_curve!(
                f,
                F,
                sweep::<S>(
                    channels,
                    count,
                    #[inline(always)]
                    |c, n, first, last| {
                        let (scale, shift) = (s.read(&scale[from + c..], n), s.read(&shift[from + c..], n));
                        let gate = gate.map(
                            #[inline(always)]
                            |gate| s.read(&gate[sample * all + from + c..], n),
                        );
                        for p in first..last {
                            ahead(s, x, (at + p) * all + from + c, all);
                            let v = s.read(&x[(at + p) * all + from + c..], n);
                            let v = curve(s, F, s.fma(v, scale, shift));
                            let v = match gate {
                                Some(gate) => s.mul(v, gate),
                                None => v,
                            };
                            s.write(&mut out[p * layout.pixel + place(c)..], wide(n), v);
                        }
                    },
                )
            ),
            Source::Normed { t, y, abc } => sweep::<S>(
                channels,
                count,
                #[inline(always)]
                |c, n, first, last| {
                    let [ka, kb, kc] = [
                        s.read(&abc[0][from + c..], n),
                        s.read(&abc[1][from + c..], n),
                        s.read(&abc[2][from + c..], n),
                    ];
                    for p in first..last {
                        let i = (at + p) * all + from + c;
                        ahead(s, t, i, all);
                        ahead(s, y, i, all);
                        let v = s.fma(s.read(&y[i..], n), kb, kc);
                        let v = s.fma(s.read(&t[i..], n), ka, v);
                        s.write(&mut out[p * layout.pixel + place(c)..], wide(n), v);
                    }
                },
            ),
        }
    }
}

/// What is done to results before they are stored.
#[derive(Clone, Copy)]
pub(crate) enum Sink<'a> {
    /// Nothing.
    Store,
    /// They are added to what is there.
    Add,
    /// Sum and sum of squares per channel, from the task's first value of the channel on.
    Moments,
    /// The gradient of `f(x · scale + shift)` becomes that of `x · scale + shift`; its sum, and that of its products with
    /// `x − mean`, per channel.
    Mask { x: &'a [f32], scale: &'a [f32], shift: &'a [f32], mean: &'a [f32], f: Curve },
}

impl Sink<'_> {
    /// Whether results are stored as they are and nothing is summed.
    pub(crate) fn plain(&self) -> bool {
        matches!(self, Self::Store)
    }
    /// An empty sum for a task of `channels` channels.
    pub(crate) fn sums(&self, channels: usize) -> Sums {
        match self {
            Self::Store | Self::Add => Sums::default(),
            Self::Moments => Sums {
                count: 0,
                begun: 0,
                origin: vec![0.0; channels],
                one: vec![0.0; channels],
                two: vec![0.0; channels],
            },
            Self::Mask { .. } => {
                Sums { count: 0, begun: 0, origin: vec![], one: vec![0.0; channels], two: vec![0.0; channels] }
            }
        }
    }

    /// Takes `count` pixels of channels `start..start + channels` of `all` from `from` to `to`, where pixels lie `step` numbers
    /// apart. Pixel `p` is pixel `at + p · every` of the map. Channels come in ascending order.
    #[inline(always)]
    #[allow(clippy::too_many_arguments)]
    pub(crate) fn drain<S: Simd>(
        &self,
        s: S,
        all: usize,
        channels: (usize, usize),
        from: &[f32],
        layout: Layout,
        count: usize,
        to: &mut [f32],
        step: usize,
        at: (usize, usize),
        sums: &mut Sums,
    ) {
        s.call(Drain { sink: *self, all, channels, from, layout, count, to, step, at, sums });
    }
}

/// [`Sink::drain`].
struct Drain<'a, 'b> {
    sink: Sink<'a>,
    all: usize,
    channels: (usize, usize),
    from: &'b [f32],
    layout: Layout,
    count: usize,
    to: &'b mut [f32],
    step: usize,
    at: (usize, usize),
    sums: &'b mut Sums,
}

impl Work for Drain<'_, '_> {
    type Out = ();
    #[inline(always)]
    fn run<S: Simd>(self, s: S) {
        let Self { sink, all, channels: (start, channels), from, layout, count, to, step, at: (at, every), sums } =
            self;
        let place = |c: usize| c / S::LANES * layout.vector;
        match sink {
            Sink::Store => sweep::<S>(
                channels,
                count,
                #[inline(always)]
                |c, n, first, last| {
                    for p in first..last {
                        let v = s.read(&from[p * layout.pixel + place(c)..], n);
                        s.write(&mut to[p * step + start + c..], n, v);
                    }
                },
            ),
            Sink::Add => sweep::<S>(
                channels,
                count,
                #[inline(always)]
                |c, n, first, last| {
                    for p in first..last {
                        let v = s.read(&from[p * layout.pixel + place(c)..], n);
                        let to = &mut to[p * step + start + c..];
                        let v = s.add(v, s.read(to, n));
                        s.write(to, n, v);
                    }
                },
            ),
            Sink::Moments => {
                if start >= sums.begun && count > 0 {
                    for c in 0..channels {
                        sums.origin[start + c] = from[place(c) + c % S::LANES];
                    }
                    sums.begun = start + channels;
                }
                if start == 0 {
                    sums.count += count;
                }
                sweep::<S>(
                    channels,
                    count,
                    #[inline(always)]
                    |c, n, first, last| {
                        let origin = s.read(&sums.origin[start + c..], n);
                        let (mut one, mut two) = (s.read(&sums.one[start + c..], n), s.read(&sums.two[start + c..], n));
                        for p in first..last {
                            let v = s.read(&from[p * layout.pixel + place(c)..], n);
                            ahead(s, to, p * step + start + c, step);
                            s.write(&mut to[p * step + start + c..], n, v);
                            let d = s.sub(v, origin);
                            one = s.add(one, d);
                            two = s.fma(d, d, two);
                        }
                        s.write(&mut sums.one[start + c..], n, one);
                        s.write(&mut sums.two[start + c..], n, two);
                    },
                );
            }
            Sink::Mask { x, scale, shift, mean, f } => by_curve!(
                f,
                F,
                sweep::<S>(
                    channels,
                    count,
                    #[inline(always)]
                    |c, n, first, last| {
                        let [scale, shift, mean] = [
                            s.read(&scale[start + c..], n),
                            s.read(&shift[start + c..], n),
                            s.read(&mean[start + c..], n),
                        ];
                        let (mut one, mut two) = (s.read(&sums.one[start + c..], n), s.read(&sums.two[start + c..], n));
                        for p in first..last {
                            let v = s.read(&from[p * layout.pixel + place(c)..], n);
                            ahead(s, x, (at + p * every) * all + start + c, every * all);
                            let x = s.read(&x[(at + p * every) * all + start + c..], n);
                            let v = slope(s, F, s.fma(x, scale, shift), v);
                            ahead(s, to, p * step + start + c, step);
                            s.write(&mut to[p * step + start + c..], n, v);
                            one = s.add(one, v);
                            two = s.fma(v, s.sub(x, mean), two);
                        }
                        s.write(&mut sums.one[start + c..], n, one);
                        s.write(&mut sums.two[start + c..], n, two);
                    },
                )
            ),
        }
    }
}

/// What one task summed.
#[derive(Default)]
pub(crate) struct Sums {
    /// Values per channel.
    count: usize,
    /// Channels whose origin is known.
    begun: usize,
    origin: Vec<f32>,
    one: Vec<f32>,
    two: Vec<f32>,
}

impl Sums {
    /// Whether anything was summed.
    pub(crate) fn any(&self) -> bool {
        self.count > 0
    }
}

/// Mean and biased variance per channel of all tasks, in their order (Chan, Golub & LeVeque 1983).
pub(crate) fn moments(parts: &[Sums], channels: usize) -> (Vec<f64>, Vec<f64>) {
    let (mut mean, mut spread, mut count) = (vec![0.0; channels], vec![0.0; channels], 0.0);
    for part in parts.iter().filter(|p| p.count > 0) {
        let n = part.count as f64;
        let total = count + n;
        for c in 0..channels {
            let (one, two) = (f64::from(part.one[c]), f64::from(part.two[c]));
            let own = f64::from(part.origin[c]) + one / n;
            let apart = own - mean[c];
            mean[c] += apart * n / total;
            spread[c] += (two - one * one / n) + apart * apart * count * n / total;
        }
        count = total;
    }
    // Not `max`: NaN must stay.
    spread.iter_mut().for_each(|v| *v = if *v < 0.0 { 0.0 } else { *v / count });
    (mean, spread)
}

/// The two sums per channel of all tasks, in their order.
pub(crate) fn totals(parts: &[Sums], channels: usize) -> [Vec<f64>; 2] {
    let mut total = [vec![0.0; channels], vec![0.0; channels]];
    for part in parts.iter().filter(|p| !p.one.is_empty()) {
        for (total, sums) in total.iter_mut().zip([&part.one, &part.two]) {
            total.iter_mut().zip(sums).for_each(|(total, &sum)| *total += f64::from(sum));
        }
    }
    total
}
