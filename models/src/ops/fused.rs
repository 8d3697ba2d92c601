//! The fused interpreter: a program on plain `[B, H, W, C]` slices, forward, and the walk back.
//!
//! A norm, and an activation or a gate behind it, are not computed but *described*; whoever reads the value computes it on
//! the way in. Going back, the gradient of a convolution behind a norm is described likewise. So fusion follows from the
//! values, not from a list of patterns. Differentiation is the chain rule on nodes in reverse order, each gradient in one
//! of the forms of [`Slope`].
#![allow(unsafe_code)]

use super::activation::activate;
use super::attention::{self, Heads};
use super::cpu::act::Curve;
use super::cpu::conv::{self, kernel};
use super::cpu::geometry::Geometry;
use super::cpu::maps::{self, Branch, Gate, Size};
use super::cpu::pooling;
use super::cpu::rows::{Sink, Source, Sums, moments, totals};
use super::cpu::scratch::unwritten;
use super::drop::{drop_in_place, keep_mask, rate};
use super::layer_norm;
use super::plan::Plan;
use super::pool::{Pool, spread};
use super::program::{Id, Node, Program};
use super::upsample;
use super::window::Window;
use candle_core::{Device, Result, Tensor, Var, bail};
use std::ops::Range;
use std::sync::Arc;

/// How to walk through a program.
pub(crate) struct Walk<'a> {
    pub program: &'a Program,
    pub plan: &'a Plan,
    /// In the program's order.
    pub params: &'a [&'a [f32]],
    /// Running mean and variance of every norm.
    pub running: &'a [[Vec<f32>; 2]],
    /// Batch statistics, drop-path.
    pub train: bool,
    /// Key and site of random numbers.
    pub key: u64,
    pub site: u64,
    /// Multiplies the rates of dropout and drop-path.
    pub drop: f64,
}

/// Mean and biased variance of a norm's batch, and over how many values.
#[derive(Clone)]
pub(crate) struct Batch {
    pub mean: Vec<f64>,
    pub variance: Vec<f64>,
    pub count: usize,
}

/// `y · scale + shift` of a norm.
struct Affine {
    scale: Vec<f32>,
    shift: Vec<f32>,
    mean: Vec<f32>,
    inverse: Vec<f32>,
    /// Values per channel, or none where the statistics are constants.
    count: Option<f64>,
}

/// A piece of candle's graph within the block.
struct Inner {
    x: Var,
    params: Vec<Var>,
    y: Tensor,
}

/// What going forward leaves behind.
pub(crate) struct Saved {
    samples: usize,
    sizes: Vec<(usize, usize)>,
    values: Vec<Vec<f32>>,
    affine: Vec<Option<Affine>>,
    masks: Vec<Vec<f32>>,
    inner: Vec<Option<Inner>>,
    /// Batch statistics of every norm, in training.
    pub seen: Vec<Option<Batch>>,
}

impl Saved {
    /// Height and width of the output.
    pub(crate) fn out_size(&self) -> (usize, usize) {
        self.sizes.last().copied().unwrap_or((0, 0))
    }
}

/// The block's input and, going back, its output.
#[derive(Clone, Copy)]
pub(crate) struct Ends<'a> {
    pub x: &'a [f32],
    pub z: &'a [f32],
}

/// Numbers of a gradient.
#[derive(Clone)]
enum Numbers<'a> {
    Given(&'a [f32]),
    Own(Arc<Vec<f32>>),
}

impl std::ops::Deref for Numbers<'_> {
    type Target = [f32];
    fn deref(&self) -> &[f32] {
        match self {
            Self::Given(v) => v,
            Self::Own(v) => v,
        }
    }
}

impl Numbers<'_> {
    fn own(v: Vec<f32>) -> Self {
        Self::Own(Arc::new(v))
    }
    /// As a vector that may be changed.
    fn take(self) -> Vec<f32> {
        match self {
            Self::Given(v) => v.to_vec(),
            Self::Own(v) => Arc::try_unwrap(v).unwrap_or_else(|v| v.to_vec()),
        }
    }
}

/// The gradient of a value.
enum Slope<'a> {
    None,
    Dense(Numbers<'a>),
    /// Of a norm's result, with `Σ t` and `Σ t · (y − mean)`.
    Summed {
        t: Numbers<'a>,
        one: Vec<f64>,
        two: Vec<f64>,
    },
    /// Of what a norm reads: `a · t + b · y + c`.
    Normed {
        t: Numbers<'a>,
        abc: [Vec<f32>; 3],
    },
    /// `t · times + plus`, both `[B, C]`.
    Gated {
        t: Numbers<'a>,
        times: Vec<f32>,
        plus: Vec<f32>,
    },
}

/// Gradients of the input and of every wanted parameter.
pub(crate) type Gradients = (Option<Vec<f32>>, Vec<Option<Vec<f32>>>);

impl<'w> Walk<'w> {
    fn value<'a>(&self, saved: &'a Saved, ends: Ends<'a>, id: Id) -> &'a [f32] {
        if id == 0 {
            ends.x
        } else if id + 1 == self.program.nodes.len() && !ends.z.is_empty() {
            ends.z
        } else {
            &saved.values[id]
        }
    }

    fn size(&self, saved: &Saved, id: Id) -> Size {
        let (h, w) = saved.sizes[id];
        Size { samples: saved.samples, pixels: h * w, channels: self.program.channels[id] }
    }

    /// The norm at the bottom of a described value, and what that norm reads.
    fn norm_of(&self, id: Id) -> Option<(Id, Id)> {
        if !self.plan.described[id] {
            return None;
        }
        match &self.program.nodes[id] {
            Node::Norm { x, .. } => Some((id, *x)),
            Node::Act { x, .. } | Node::Scale { x, .. } => self.norm_of(*x),
            _ => None,
        }
    }

    fn source<'a>(&self, saved: &'a Saved, ends: Ends<'a>, id: Id) -> Source<'a> {
        if !self.plan.described[id] {
            return Source::Dense(self.value(saved, ends, id));
        }
        self.description(saved, ends, id)
    }

    /// A norm, or an activation or gate of one, as it is computed.
    fn description<'a>(&self, saved: &'a Saved, ends: Ends<'a>, id: Id) -> Source<'a> {
        match &self.program.nodes[id] {
            Node::Norm { x, .. } => match &saved.affine[id] {
                Some(a) => Source::Described {
                    x: self.value(saved, ends, *x),
                    scale: &a.scale,
                    shift: &a.shift,
                    f: Curve::Identity,
                    gate: None,
                },
                None => Source::Dense(&[]),
            },
            Node::Act { x, f } => match (self.source(saved, ends, *x), Curve::of(*f)) {
                (Source::Described { x, scale, shift, gate, .. }, Some(f)) => {
                    Source::Described { x, scale, shift, f, gate }
                }
                (other, _) => other,
            },
            Node::Scale { x, gate } => match self.source(saved, ends, *x) {
                Source::Described { x, scale, shift, f, .. } => {
                    Source::Described { x, scale, shift, f, gate: Some(self.value(saved, ends, *gate)) }
                }
                other => other,
            },
            _ => Source::Dense(self.value(saved, ends, id)),
        }
    }

    fn geometry(&self, saved: &Saved, id: Id, x: Id, at: Window) -> Geometry {
        let ((h, w), (oh, ow)) = (saved.sizes[x], saved.sizes[id]);
        let [down, across] = at.axes();
        Geometry {
            samples: saved.samples,
            h,
            w,
            ci: self.program.channels[x],
            oh,
            ow,
            co: self.program.channels[id],
            size: down.size,
            across: across.size,
            stride: at.stride,
            dilation: at.dilation,
            groups: at.groups,
            top: down.near(h),
            left: across.near(w),
        }
    }

    /// `x` `[B, H, W, C]` → the output, and what going back needs (`keep`).
    pub(crate) fn forward(&self, x: &[f32], dims: [usize; 3], keep: bool) -> Result<(Vec<f32>, Saved)> {
        let (program, plan) = (self.program, self.plan);
        let count = program.nodes.len();
        let [samples, h, w] = dims;
        let ends = Ends { x, z: &[] };
        let sizes = program.sizes((h, w)).map_err(candle_core::Error::wrap)?;
        let mut saved = Saved {
            samples,
            sizes,
            values: vec![vec![]; count],
            affine: (0..count).map(|_| None).collect(),
            masks: vec![vec![]; count],
            inner: (0..count).map(|_| None).collect(),
            seen: vec![None; program.stats.len()],
        };
        let mut sums: Vec<Vec<Sums>> = (0..count).map(|_| vec![]).collect();
        for (id, node) in program.nodes.iter().enumerate() {
            let size = self.size(&saved, id);
            let c = size.channels;
            saved.values[id] = match node {
                Node::Input => vec![],
                Node::Conv { x, at, weight, bias } => {
                    let g = self.geometry(&saved, id, *x, *at);
                    // SAFETY: kernels store every output.
                    let mut y = unsafe { unwritten(size.len()) };
                    let norm = matches!(plan.users[id][..], [user] if matches!(program.nodes[user], Node::Norm { .. }));
                    let sink = if self.train && norm && bias.is_none() { Sink::Moments } else { Sink::Store };
                    let source = self.source(&saved, ends, *x);
                    sums[id] = conv::forward(kernel(&g), &g, source, self.params[*weight], sink, &mut y);
                    if let Some(bias) = bias {
                        sums[id].clear();
                        y.chunks_exact_mut(c).for_each(|y| maps::add(y, self.params[*bias]));
                    }
                    y
                }
                Node::Norm { x, eps, weight, bias, stats, .. } => {
                    let taken = std::mem::take(&mut sums[*x]);
                    let (mean, variance) = if self.train {
                        let taken = if taken.iter().any(Sums::any) {
                            taken
                        } else {
                            maps::sums(self.value(&saved, ends, *x), Sink::Moments, size)
                        };
                        let (mean, variance) = moments(&taken, c);
                        let batch = Batch { mean, variance, count: size.samples * size.pixels };
                        saved.seen[*stats] = Some(batch.clone());
                        (batch.mean, batch.variance)
                    } else {
                        let wide = |v: &[f32]| v.iter().map(|&v| f64::from(v)).collect::<Vec<f64>>();
                        (wide(&self.running[*stats][0]), wide(&self.running[*stats][1]))
                    };
                    let values = self.train.then_some((size.samples * size.pixels) as f64);
                    saved.affine[id] =
                        Some(Affine::new(&mean, &variance, self.params[*weight], self.params[*bias], *eps, values));
                    if plan.described[id] {
                        vec![]
                    } else {
                        maps::materialize(self.description(&saved, ends, id), size)
                    }
                }
                Node::LayerNorm { x, eps, weight, bias } => {
                    layer_norm::forward(self.value(&saved, ends, *x), self.params[*weight], self.params[*bias], *eps)
                }
                Node::Attention { x, heads } => attention::forward(
                    self.value(&saved, ends, *x),
                    Heads { tokens: size.pixels, width: c, heads: *heads },
                ),
                Node::Act { x, f } => {
                    if plan.described[id] {
                        vec![]
                    } else if plan.closes[*x].is_some() {
                        std::mem::take(&mut saved.values[*x])
                    } else if plan.described[*x] {
                        maps::materialize(self.description(&saved, ends, id), size)
                    } else if let Some(f) = Curve::of(*f) {
                        let (one, zero) = (vec![1.0; c], vec![0.0; c]);
                        let x = self.value(&saved, ends, *x);
                        maps::materialize(Source::Described { x, scale: &one, shift: &zero, f, gate: None }, size)
                    } else {
                        self.inner(&mut saved, ends, id, *x, &[], |x, _| activate(&x[0], *f))?
                    }
                }
                Node::Add { a, b } => {
                    let f = plan.closes[id].map_or(Curve::Identity, |c| c.0);
                    maps::sum(self.source(&saved, ends, *a), self.source(&saved, ends, *b), f, size)
                }
                Node::Pool { x, f, at } => {
                    let g = self.geometry(&saved, id, *x, *at);
                    let shares = shares(*f, *at, &g);
                    let (y, which) = pooling::forward(f.kind(), &g, &shares, self.source(&saved, ends, *x));
                    saved.masks[id] = which;
                    y
                }
                Node::GlobalPool { x } => {
                    let from = self.size(&saved, *x);
                    let mut mean = maps::pixel_sums(self.source(&saved, ends, *x), None, from);
                    mean.iter_mut().for_each(|v| *v /= from.pixels as f32);
                    mean
                }
                Node::Scale { x, gate } => {
                    if plan.described[id] {
                        vec![]
                    } else {
                        let (one, zero) = (vec![1.0; c], vec![0.0; c]);
                        let gate = Some(self.value(&saved, ends, *gate));
                        let source = match self.source(&saved, ends, *x) {
                            Source::Described { x, scale, shift, f, .. } => {
                                Source::Described { x, scale, shift, f, gate }
                            }
                            _ => {
                                let x = self.value(&saved, ends, *x);
                                Source::Described { x, scale: &one, shift: &zero, f: Curve::Identity, gate }
                            }
                        };
                        maps::materialize(source, size)
                    }
                }
                Node::Mul { a, b } => {
                    let factors = [self.value(&saved, ends, *a), self.value(&saved, ends, *b)];
                    factors[0].iter().zip(factors[1]).map(|(a, b)| a * b).collect()
                }
                Node::Upsample { x, f, .. } => {
                    let plan = upsample::Plan::sized((saved.sizes[*x], c), *f, saved.sizes[id]);
                    plan.forward(self.value(&saved, ends, *x))
                }
                Node::PadChannels { x, before, after } => {
                    let x = self.value(&saved, ends, *x);
                    let mut y = Vec::with_capacity(size.len());
                    for x in x.chunks_exact(c - before - after) {
                        y.resize(y.len() + before, 0.0);
                        y.extend_from_slice(x);
                        y.resize(y.len() + after, 0.0);
                    }
                    y
                }
                Node::DropPath { x, p } => {
                    let mask = if self.train {
                        let site = self.site ^ program.site(id);
                        keep_mask(self.key, site, rate(*p, self.drop), samples)
                    } else {
                        vec![1.0; samples]
                    };
                    let mut y = maps::materialize(self.source(&saved, ends, *x), size);
                    for (y, m) in y.chunks_exact_mut(size.pixels * c).zip(&mask) {
                        y.iter_mut().for_each(|y| *y *= m);
                    }
                    saved.masks[id] = mask;
                    y
                }
                Node::Dropout { x, p } => {
                    let mut y = maps::materialize(self.source(&saved, ends, *x), size);
                    if self.train {
                        drop_in_place(&mut y, rate(*p, self.drop), self.key, self.site ^ program.site(id));
                    }
                    y
                }
                Node::Concat { xs } => {
                    // SAFETY: the maps have as many channels together, and all are copied.
                    let mut y = unsafe { unwritten(size.len()) };
                    let mut first = 0;
                    for x in xs {
                        let own = program.channels[*x];
                        let rows = self.value(&saved, ends, *x).chunks_exact(own);
                        y.chunks_exact_mut(c).zip(rows).for_each(|(y, x)| y[first..first + own].copy_from_slice(x));
                        first += own;
                    }
                    y
                }
                Node::AtLeast { x, .. } => {
                    let size = saved.sizes[id];
                    let f =
                        |x: &[Tensor], _: &[Tensor]| spread(&x[0].permute((0, 2, 3, 1))?, size)?.permute((0, 3, 1, 2));
                    self.inner(&mut saved, ends, id, *x, &[], f)?
                }
                Node::Times { x, by } => {
                    let mut y = maps::materialize(self.source(&saved, ends, *x), size);
                    y.iter_mut().for_each(|y| *y *= *by as f32);
                    y
                }
                Node::Plain { x, f, params, .. } => self.inner(&mut saved, ends, id, *x, params, |x, p| f(x, p))?,
            };
            for x in 1..id {
                if plan.last[x] <= id && !(keep && plan.kept[x]) && x + 1 < count {
                    saved.values[x] = vec![];
                }
            }
        }
        let z = saved.values.pop().unwrap_or_default();
        saved.values.push(vec![]);
        Ok((z, saved))
    }

    /// Candle code on `[B, C, H, W]`, kept with its own small graph.
    #[allow(clippy::too_many_arguments)]
    fn inner(
        &self,
        saved: &mut Saved,
        ends: Ends<'_>,
        id: Id,
        x: Id,
        params: &[usize],
        f: impl Fn(&[Tensor], &[Tensor]) -> Result<Tensor>,
    ) -> Result<Vec<f32>> {
        let ((h, w), c) = (saved.sizes[x], self.program.channels[x]);
        let value = maps::materialize(self.source(saved, ends, x), self.size(saved, x));
        let map = Tensor::from_vec(value, (saved.samples, h, w, c), &Device::Cpu)?;
        let x = Var::from_tensor(&map.permute((0, 3, 1, 2))?.contiguous()?)?;
        let var = |i: &usize| {
            Var::from_tensor(&Tensor::from_slice(self.params[*i], self.program.params[*i].shape.clone(), &Device::Cpu)?)
        };
        let params = params.iter().map(var).collect::<Result<Vec<_>>>()?;
        let tensors: Vec<Tensor> = params.iter().map(|v| v.as_tensor().clone()).collect();
        let y = f(&[x.as_tensor().clone()], &tensors)?;
        let (_, _, oh, ow) = y.dims4()?;
        saved.sizes[id] = (oh, ow);
        let out = y.permute((0, 2, 3, 1))?.flatten_all()?.to_vec1()?;
        saved.inner[id] = Some(Inner { x, params, y });
        Ok(out)
    }

    /// Gradients of the input, if `wants_x`, and of every parameter that `wants` one, from that of the output.
    pub(crate) fn backward(
        &self,
        ends: Ends<'_>,
        dz: &[f32],
        mut saved: Saved,
        wants: &[bool],
        wants_x: bool,
    ) -> Result<Gradients> {
        let (program, plan) = (self.program, self.plan);
        let count = program.nodes.len();
        let needs = self.needs(wants, wants_x);
        let mut grads: Vec<Option<Vec<f32>>> = vec![None; program.params.len()];
        let mut slopes: Vec<Slope<'_>> = (0..count).map(|_| Slope::None).collect();
        slopes[count - 1] = Slope::Dense(Numbers::Given(dz));
        for id in (1..count).rev() {
            let slope = std::mem::replace(&mut slopes[id], Slope::None);
            if matches!(slope, Slope::None) || !needs[id] {
                continue;
            }
            let size = self.size(&saved, id);
            let c = size.channels;
            match &program.nodes[id] {
                Node::Input => {}
                Node::Conv { x, at, weight, bias } => {
                    let g = self.geometry(&saved, id, *x, *at);
                    let dense;
                    let dy = match &slope {
                        Slope::Normed { t, abc } => {
                            Source::Normed { t, y: self.value(&saved, ends, id), abc: [&abc[0], &abc[1], &abc[2]] }
                        }
                        _ => {
                            dense = self.dense(&saved, ends, id, slope);
                            Source::Dense(&dense)
                        }
                    };
                    if let Some(bias) = bias.filter(|b| wants[*b]) {
                        grads[bias] = Some(column_sums(dy, size));
                    }
                    let (w, source) = (self.params[*weight], self.source(&saved, ends, *x));
                    let gradient = || conv::weight_gradient(kernel(&g), &g, source, dy);
                    if !needs[*x] {
                        grads[*weight] = wants[*weight].then(gradient);
                        continue;
                    }
                    let before = std::mem::replace(&mut slopes[*x], Slope::None);
                    let mut dw = None;
                    slopes[*x] = self.back_to_input(&saved, ends, *x, before, |sink, dx| {
                        if !wants[*weight] {
                            return conv::input_gradient(kernel(&g), &g, dy, w, sink, dx);
                        }
                        let (sums, own) = conv::gradients(kernel(&g), &g, (source, dy), w, sink, dx);
                        dw = Some(own);
                        sums
                    });
                    grads[*weight] = dw;
                }
                Node::Norm { x, weight, bias, .. } => {
                    let Some(affine) = &saved.affine[id] else { bail!("a norm has no statistics") };
                    let y = self.value(&saved, ends, *x);
                    let (t, one, two) = match slope {
                        Slope::Summed { t, one, two } => (t, one, two),
                        other => {
                            let t = self.dense(&saved, ends, id, other);
                            let [one, two] = totals(&maps::sums(&t, affine.mask(y, Curve::Identity), size), c);
                            (t, one, two)
                        }
                    };
                    let dweight: Vec<f32> =
                        two.iter().zip(&affine.inverse).map(|(t, i)| (t * f64::from(*i)) as f32).collect();
                    let abc = affine.back(&one, &two);
                    if wants[*weight] {
                        grads[*weight] = Some(dweight);
                    }
                    if wants[*bias] {
                        grads[*bias] = Some(one.iter().map(|v| *v as f32).collect());
                    }
                    if needs[*x] {
                        let normed = Slope::Normed { t, abc };
                        let conv = matches!(program.nodes[*x], Node::Conv { .. }) && plan.single(*x);
                        if conv {
                            slopes[*x] = normed;
                        } else {
                            let t = self.dense(&saved, ends, *x, normed);
                            self.give(&saved, ends, &mut slopes, *x, t);
                        }
                    }
                }
                Node::LayerNorm { x, eps, weight, bias } => {
                    let dy = self.dense(&saved, ends, id, slope);
                    let x_value = self.value(&saved, ends, *x);
                    let [dx, dweight, dbias] = layer_norm::backward(x_value, &dy, self.params[*weight], *eps);
                    grads[*weight] = wants[*weight].then_some(dweight);
                    grads[*bias] = wants[*bias].then_some(dbias);
                    if needs[*x] {
                        self.give(&saved, ends, &mut slopes, *x, Numbers::own(dx));
                    }
                }
                Node::Attention { x, heads } => {
                    let dy = self.dense(&saved, ends, id, slope);
                    let heads = Heads { tokens: size.pixels, width: c, heads: *heads };
                    let dx = attention::backward(self.value(&saved, ends, *x), &dy, heads);
                    self.give(&saved, ends, &mut slopes, *x, Numbers::own(dx));
                }
                Node::Act { x, .. } if plan.closes[*x].is_some() => {
                    let d = self.dense(&saved, ends, id, slope);
                    let z = self.value(&saved, ends, id);
                    let f = plan.closes[*x].map_or(Curve::Identity, |c| c.0);
                    if let Node::Add { a, b } = &program.nodes[*x] {
                        self.back_to_terms(&saved, ends, &mut slopes, &needs, (d, z, f), (*a, *b), size);
                    }
                }
                // Whoever read the activation has masked its gradient already.
                Node::Act { x, .. } if matches!(slope, Slope::Summed { .. }) => {
                    self.hand(&saved, ends, &mut slopes, *x, slope);
                }
                Node::Act { x, f } => match (Curve::of(*f), saved.inner[id].take()) {
                    (Some(f), _) => {
                        let base = self.norm_of(*x);
                        let affine = base.and_then(|(norm, _)| saved.affine[norm].as_ref());
                        let (t, gate) = match slope {
                            Slope::Gated { t, times, plus } => (t, Some((times, plus))),
                            other => (self.dense(&saved, ends, id, other), None),
                        };
                        let gate = gate.as_ref().map(|(times, plus)| Gate { times, plus });
                        let mut t = t.take();
                        match (base, affine) {
                            (Some((_, y)), Some(affine)) => {
                                let parts = maps::mask(&mut t, gate, affine.mask(self.value(&saved, ends, y), f), size);
                                let [one, two] = totals(&parts, c);
                                let summed = Slope::Summed { t: Numbers::own(t), one, two };
                                self.hand(&saved, ends, &mut slopes, *x, summed);
                            }
                            _ => {
                                let (one, zero) = (vec![1.0; c], vec![0.0; c]);
                                let x_value = self.value(&saved, ends, *x);
                                let sink = Sink::Mask { x: x_value, scale: &one, shift: &zero, mean: &zero, f };
                                maps::mask(&mut t, gate, sink, size);
                                self.give(&saved, ends, &mut slopes, *x, Numbers::own(t));
                            }
                        }
                    }
                    (None, Some(inner)) => {
                        self.back_through_candle(&saved, ends, &mut slopes, (id, *x), inner, slope, &[], &mut grads)?
                    }
                    (None, None) => bail!("an activation was not kept"),
                },
                Node::Add { a, b } => {
                    let d = self.dense(&saved, ends, id, slope);
                    self.back_to_terms(&saved, ends, &mut slopes, &needs, (d, &[], Curve::Identity), (*a, *b), size);
                }
                Node::Pool { x, f, at } => {
                    let g = self.geometry(&saved, id, *x, *at);
                    let d = self.dense(&saved, ends, id, slope);
                    let (which, shares) = (&saved.masks[id], shares(*f, *at, &g));
                    let backward =
                        |sink: Sink<'_>, dx: &mut [f32]| pooling::backward(f.kind(), &g, &shares, &d, which, sink, dx);
                    let before = std::mem::replace(&mut slopes[*x], Slope::None);
                    slopes[*x] = self.back_to_input(&saved, ends, *x, before, backward);
                }
                Node::GlobalPool { x } => {
                    let d = self.dense(&saved, ends, id, slope);
                    let from = self.size(&saved, *x);
                    let share: Vec<f32> = d.iter().map(|v| v / from.pixels as f32).collect();
                    match &mut slopes[*x] {
                        Slope::Gated { plus, .. } => maps::add(plus, &share),
                        _ => {
                            let each = share.chunks_exact(c);
                            let t = each
                                .flat_map(|share| std::iter::repeat_n(share, from.pixels))
                                .collect::<Vec<_>>()
                                .concat();
                            self.give(&saved, ends, &mut slopes, *x, Numbers::own(t));
                        }
                    }
                }
                Node::Scale { x, gate } => {
                    let t = self.dense(&saved, ends, id, slope);
                    let times = self.value(&saved, ends, *gate).to_vec();
                    if needs[*gate] {
                        let value = self.source(&saved, ends, *x);
                        let d = maps::pixel_sums(value, Some(&t), size);
                        self.give(&saved, ends, &mut slopes, *gate, Numbers::own(d));
                    }
                    if needs[*x] {
                        let gated = Slope::Gated { t, plus: vec![0.0; times.len()], times };
                        if matches!(slopes[*x], Slope::None) {
                            slopes[*x] = gated;
                        } else {
                            let t = self.dense(&saved, ends, *x, gated);
                            self.give(&saved, ends, &mut slopes, *x, t);
                        }
                    }
                }
                Node::Mul { a, b } => {
                    let d = self.dense(&saved, ends, id, slope);
                    for (x, other) in [(*a, *b), (*b, *a)].into_iter().filter(|(x, _)| needs[*x]) {
                        let other = self.value(&saved, ends, other);
                        let dx = d.iter().zip(other).map(|(d, other)| d * other).collect();
                        self.give(&saved, ends, &mut slopes, x, Numbers::own(dx));
                    }
                }
                Node::Upsample { x, f, .. } if needs[*x] => {
                    let d = self.dense(&saved, ends, id, slope);
                    let plan = upsample::Plan::sized((saved.sizes[*x], c), *f, saved.sizes[id]);
                    self.give(&saved, ends, &mut slopes, *x, Numbers::own(plan.backward(&d)));
                }
                // Of the other map only the size counts.
                Node::Upsample { .. } => {}
                Node::PadChannels { x, before, .. } => {
                    let d = self.dense(&saved, ends, id, slope);
                    let own = program.channels[*x];
                    let dx = cut(&d, c, *before..before + own);
                    self.give(&saved, ends, &mut slopes, *x, Numbers::own(dx));
                }
                Node::DropPath { x, .. } => {
                    let mut d = self.dense(&saved, ends, id, slope).take();
                    for (d, m) in d.chunks_exact_mut(size.pixels * c).zip(&saved.masks[id]) {
                        d.iter_mut().for_each(|d| *d *= m);
                    }
                    self.give(&saved, ends, &mut slopes, *x, Numbers::own(d));
                }
                Node::Dropout { x, p } => {
                    let mut d = self.dense(&saved, ends, id, slope).take();
                    if self.train {
                        drop_in_place(&mut d, rate(*p, self.drop), self.key, self.site ^ program.site(id));
                    }
                    self.give(&saved, ends, &mut slopes, *x, Numbers::own(d));
                }
                Node::Concat { xs } => {
                    let d = self.dense(&saved, ends, id, slope);
                    let mut first = 0;
                    for x in xs {
                        let own = program.channels[*x];
                        if needs[*x] {
                            let dx = cut(&d, c, first..first + own);
                            self.give(&saved, ends, &mut slopes, *x, Numbers::own(dx));
                        }
                        first += own;
                    }
                }
                Node::Times { x, by } => {
                    let mut d = self.dense(&saved, ends, id, slope).take();
                    d.iter_mut().for_each(|d| *d *= *by as f32);
                    self.give(&saved, ends, &mut slopes, *x, Numbers::own(d));
                }
                Node::AtLeast { x, .. } => {
                    let Some(inner) = saved.inner[id].take() else { bail!("candle code was not kept") };
                    self.back_through_candle(&saved, ends, &mut slopes, (id, *x), inner, slope, &[], &mut grads)?;
                }
                Node::Plain { x, params, .. } => {
                    let Some(inner) = saved.inner[id].take() else { bail!("candle code was not kept") };
                    self.back_through_candle(&saved, ends, &mut slopes, (id, *x), inner, slope, params, &mut grads)?;
                }
            }
            // What only this node and later ones read is free now.
            saved.values[id] = vec![];
        }
        let input = std::mem::replace(&mut slopes[0], Slope::None);
        let dx = match input {
            _ if !wants_x => None,
            Slope::None => Some(vec![0.0; ends.x.len()]),
            slope => Some(self.dense(&saved, ends, 0, slope).take()),
        };
        Ok((dx, grads))
    }

    /// Which nodes lie before something that wants a gradient.
    fn needs(&self, wants: &[bool], wants_x: bool) -> Vec<bool> {
        let mut needs = vec![wants_x];
        for node in &self.program.nodes[1..] {
            let own = match node {
                Node::Conv { weight, bias, .. } => wants[*weight] || bias.is_some_and(|b| wants[b]),
                Node::Norm { weight, bias, .. } | Node::LayerNorm { weight, bias, .. } => {
                    wants[*weight] || wants[*bias]
                }
                Node::Plain { params, .. } => params.iter().any(|p| wants[*p]),
                _ => false,
            };
            needs.push(own || node.inputs().iter().any(|x| needs[*x]));
        }
        needs
    }

    /// The numbers of a gradient.
    fn dense<'a>(&self, saved: &Saved, ends: Ends<'a>, id: Id, slope: Slope<'a>) -> Numbers<'a> {
        match slope {
            Slope::None => Numbers::own(vec![0.0; self.size(saved, id).len()]),
            Slope::Dense(t) | Slope::Summed { t, .. } => t,
            Slope::Normed { t, abc } => {
                let source = Source::Normed { t: &t, y: self.value(saved, ends, id), abc: [&abc[0], &abc[1], &abc[2]] };
                Numbers::own(maps::materialize(source, self.size(saved, id)))
            }
            Slope::Gated { t, times, plus } => {
                let mut t = t.take();
                maps::mask(&mut t, Some(Gate { times: &times, plus: &plus }), Sink::Store, self.size(saved, id));
                Numbers::own(t)
            }
        }
    }

    /// Adds `t` to the gradient of `id`.
    fn give<'a>(&self, saved: &Saved, ends: Ends<'a>, slopes: &mut [Slope<'a>], id: Id, t: Numbers<'a>) {
        slopes[id] = match std::mem::replace(&mut slopes[id], Slope::None) {
            Slope::None => Slope::Dense(t),
            before => {
                let mut sum = self.dense(saved, ends, id, before).take();
                maps::add(&mut sum, &t);
                Slope::Dense(Numbers::own(sum))
            }
        };
    }

    /// Gives a summed gradient; its sums are good only while it is the only one.
    fn hand<'a>(&self, saved: &Saved, ends: Ends<'a>, slopes: &mut [Slope<'a>], id: Id, slope: Slope<'a>) {
        if matches!(slopes[id], Slope::None) {
            slopes[id] = slope;
        } else {
            let t = self.dense(saved, ends, id, slope);
            self.give(saved, ends, slopes, id, t);
        }
    }

    /// The gradient that a window's node hands to what it reads, added to what that has already.
    fn back_to_input<'a>(
        &self,
        saved: &Saved,
        ends: Ends<'a>,
        x: Id,
        before: Slope<'a>,
        mut backward: impl FnMut(Sink<'_>, &mut [f32]) -> Vec<Sums>,
    ) -> Slope<'a> {
        if !matches!(before, Slope::None) {
            let mut dx = self.dense(saved, ends, x, before).take();
            backward(Sink::Add, &mut dx);
            return Slope::Dense(Numbers::own(dx));
        }
        // SAFETY: `backward` stores the gradient of every input with either of these sinks.
        let mut dx = unsafe { unwritten(self.size(saved, x).len()) };
        // The only reader of a described value also masks its gradient, and sums what the norm needs.
        let described = self.plan.single(x).then(|| self.source(saved, ends, x));
        if let (Some(Source::Described { x: y, scale, shift, f, gate: None }), Some((norm, _))) =
            (described, self.norm_of(x))
            && let Some(affine) = &saved.affine[norm]
        {
            let sink = Sink::Mask { x: y, scale, shift, mean: &affine.mean, f };
            let [one, two] = totals(&backward(sink, &mut dx), self.program.channels[x]);
            return Slope::Summed { t: Numbers::own(dx), one, two };
        }
        backward(Sink::Store, &mut dx);
        Slope::Dense(Numbers::own(dx))
    }

    /// The gradient `d` of `z = f(a + b)` on its way to both terms.
    #[allow(clippy::too_many_arguments)]
    fn back_to_terms<'a>(
        &self,
        saved: &Saved,
        ends: Ends<'a>,
        slopes: &mut [Slope<'a>],
        needs: &[bool],
        (d, z, f): (Numbers<'a>, &[f32], Curve),
        (a, b): (Id, Id),
        size: Size,
    ) {
        // A term that is a described norm with no other reader wants sums.
        let branch = |x: Id| {
            let (norm, y) = self.norm_of(x).filter(|_| self.plan.single(x))?;
            let affine = saved.affine[norm].as_ref().filter(|_| norm == x)?;
            Some(Branch { y: self.value(saved, ends, y), mean: &affine.mean })
        };
        let branches = if a == b { [None, None] } else { [branch(a), branch(b)] };
        let (t, [one, first, second]) = maps::residual(&d, z, f, branches, size);
        drop(d);
        let t = Arc::new(t);
        for (x, branch, two) in [(a, branches[0], first), (b, branches[1], second)] {
            let t = Numbers::Own(t.clone());
            if !needs[x] {
            } else if branch.is_some() {
                self.hand(saved, ends, slopes, x, Slope::Summed { t, one: one.clone(), two });
            } else {
                self.give(saved, ends, slopes, x, t);
            }
        }
    }

    /// Through a piece of candle's graph.
    #[allow(clippy::too_many_arguments)]
    fn back_through_candle<'a>(
        &self,
        saved: &Saved,
        ends: Ends<'a>,
        slopes: &mut [Slope<'a>],
        (id, x): (Id, Id),
        inner: Inner,
        slope: Slope<'a>,
        params: &[usize],
        grads: &mut [Option<Vec<f32>>],
    ) -> Result<()> {
        let ((h, w), c) = (saved.sizes[id], self.program.channels[id]);
        let d = self.dense(saved, ends, id, slope);
        let d = Tensor::from_slice(&d, (saved.samples, h, w, c), &Device::Cpu)?.permute((0, 3, 1, 2))?;
        let store = (&inner.y * d)?.sum_all()?.backward()?;
        for (var, param) in inner.params.iter().zip(params) {
            if let Some(grad) = store.get(var) {
                grads[*param] = Some(grad.flatten_all()?.to_vec1()?);
            }
        }
        if let Some(dx) = store.get(&inner.x) {
            let dx = dx.permute((0, 2, 3, 1))?.flatten_all()?.to_vec1()?;
            self.give(saved, ends, slopes, x, Numbers::own(dx));
        }
        Ok(())
    }
}

impl Affine {
    fn new(mean: &[f64], variance: &[f64], weight: &[f32], bias: &[f32], eps: f64, count: Option<f64>) -> Self {
        let inverse: Vec<f64> = variance.iter().map(|v| 1.0 / (v + eps).sqrt()).collect();
        let scale: Vec<f64> = inverse.iter().zip(weight).map(|(i, w)| i * f64::from(*w)).collect();
        let shift = (0..mean.len()).map(|c| (f64::from(bias[c]) - mean[c] * scale[c]) as f32).collect();
        let narrow = |v: &[f64]| v.iter().map(|&v| v as f32).collect();
        Self { scale: narrow(&scale), shift, mean: narrow(mean), inverse: narrow(&inverse), count }
    }

    fn mask<'a>(&'a self, y: &'a [f32], f: Curve) -> Sink<'a> {
        Sink::Mask { x: y, scale: &self.scale, shift: &self.shift, mean: &self.mean, f }
    }

    /// `dy = a · t + b · y + c` from `Σ t` and `Σ t · (y − mean)`.
    fn back(&self, one: &[f64], two: &[f64]) -> [Vec<f32>; 3] {
        let channels = 0..self.scale.len();
        let Some(count) = self.count else {
            let zero = vec![0.0; channels.len()];
            return [self.scale.clone(), zero.clone(), zero];
        };
        let slope = |c: usize| {
            let inverse = f64::from(self.inverse[c]);
            -f64::from(self.scale[c]) * inverse * inverse * two[c] / count
        };
        let b = channels.clone().map(|c| slope(c) as f32).collect();
        let c =
            channels.map(|c| (-f64::from(self.scale[c]) * one[c] / count - slope(c) * f64::from(self.mean[c])) as f32);
        [self.scale.clone(), b, c.collect()]
    }
}

/// Of each of the rows of `width` numbers those of `range`.
fn cut(rows: &[f32], width: usize, range: Range<usize>) -> Vec<f32> {
    let mut cut = Vec::with_capacity(rows.len() / width * range.len());
    rows.chunks_exact(width).for_each(|row| cut.extend_from_slice(&row[range.clone()]));
    cut
}

/// What each row and each column of windows of a pool weighs in its averages.
fn shares(f: Pool, at: Window, g: &Geometry) -> [Vec<f32>; 2] {
    let [down, across] = at.axes();
    let axis = |at: Window, side: usize, outs: usize| {
        (0..outs).map(|o| 1.0 / at.counted(o, side, f == Pool::AvgInside).max(1) as f32).collect()
    };
    [axis(down, g.h, g.oh), axis(across, g.w, g.ow)]
}

/// `Σ` over all pixels of all samples.
fn column_sums(value: Source<'_>, size: Size) -> Vec<f32> {
    let rows = maps::pixel_sums(value, None, size);
    let mut total = vec![0f64; size.channels];
    for row in rows.chunks_exact(size.channels) {
        total.iter_mut().zip(row).for_each(|(t, v)| *t += f64::from(*v));
    }
    total.into_iter().map(|v| v as f32).collect()
}
