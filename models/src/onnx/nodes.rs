//! Block programs in the operators of ONNX. Maps are `[batch, C, height, width]` there.

use super::graph::{Attribute, Graph, Value};
use crate::error::{Error, Result};
use crate::ops::{Act, Block, Node, Pool, Upsample, Window};
use candle_core::{Device, Tensor};

/// Height and width in pixels.
type Size = (usize, usize);

impl Graph {
    /// A block in evaluation on a map of `size` (height, width): its output and the size of that.
    ///
    /// # Errors
    /// When a window does not fit, or a node has no counterpart.
    pub fn block(&mut self, block: &Block, x: &Value, size: Size) -> Result<(Value, Size)> {
        let program = block.program();
        let sizes = program.sizes(size)?;
        let mut values: Vec<Value> = Vec::with_capacity(sizes.len());
        for (id, node) in program.nodes.iter().enumerate() {
            let value = |id: &usize| &values[*id];
            let y = match node {
                Node::Input => x.clone(),
                Node::Conv { x, at, weight, bias } => {
                    let numbers = &block.params()[*weight];
                    let [down, across] = at.axes();
                    let numbers = numbers.reshape((numbers.dim(0)?, (), down.size, across.size))?;
                    let weight = self.tensor(&program.params[*weight].name, &numbers)?;
                    let bias = bias.map(|i| self.tensor(&program.params[i].name, &block.params()[i])).transpose()?;
                    let mut attributes = window(*at, sizes[*x], sizes[id]);
                    attributes.push(("group", Attribute::Int(at.groups as i64)));
                    attributes.push(dilations(*at));
                    let inputs: Vec<&Value> = [value(x), &weight].into_iter().chain(&bias).collect();
                    self.node("Conv", &inputs, &attributes)
                }
                Node::Norm { x, eps, weight, bias, stats, .. } => {
                    let (name, _) = &program.stats[*stats];
                    let [mean, variance] = &block.stats()[*stats];
                    let numbers = [&block.params()[*weight], &block.params()[*bias], mean, variance];
                    self.batch_norm(value(x), name, numbers, *eps)?
                }
                Node::LayerNorm { x, eps, weight, bias } => {
                    let weight = self.tensor(&program.params[*weight].name, &block.params()[*weight])?;
                    let bias = self.tensor(&program.params[*bias].name, &block.params()[*bias])?;
                    let last = self.turned(value(x), [0, 2, 3, 1]);
                    let attributes = [("axis", Attribute::Int(-1)), ("epsilon", Attribute::Float(*eps as f32))];
                    let normed = self.node("LayerNormalization", &[&last, &weight, &bias], &attributes);
                    self.turned(&normed, [0, 3, 1, 2])
                }
                Node::Attention { x, heads } => self.attention(value(x), *heads, program.channels[id], sizes[id]),
                Node::Act { x, f } => self.act(value(x), *f),
                Node::Add { a, b } => self.node("Add", &[value(a), value(b)], &[]),
                Node::Mul { a, b } => self.node("Mul", &[value(a), value(b)], &[]),
                Node::Upsample { x, f, like } => self.resize(value(x), *f, sizes[*like]),
                Node::Scale { x, gate } => self.node("Mul", &[value(x), value(gate)], &[]),
                Node::Pool { x, f: Pool::Max, at } => {
                    let mut attributes = window(*at, sizes[*x], sizes[id]);
                    attributes.push(dilations(*at));
                    self.node("MaxPool", &[value(x)], &attributes)
                }
                Node::Pool { x, f, at } => self.average(value(x), (*f, *at), (sizes[*x], sizes[id]))?,
                Node::GlobalPool { x } => self.mean(value(x)),
                Node::PadChannels { x, before, after } => {
                    let pads = self.ints(&[0, *before as i64, 0, 0, 0, *after as i64, 0, 0]);
                    self.node("Pad", &[value(x), &pads], &[])
                }
                Node::AtLeast { x, .. } => self.spread(value(x), sizes[*x], sizes[id])?,
                Node::Times { x, by } => self.times(value(x), *by),
                Node::DropPath { x, .. } | Node::Dropout { x, .. } => value(x).clone(),
                Node::Concat { xs } => {
                    let all: Vec<Value> = xs.iter().map(|x| value(x).clone()).collect();
                    self.concat(&all, 1)
                }
                Node::Plain { x, written: Some(written), params, .. } => {
                    let own = params.iter().map(|&i| self.tensor(&program.params[i].name, &block.params()[i]));
                    let own = own.collect::<Result<Vec<_>>>()?;
                    written(self, value(x), &own)
                }
                Node::Plain { .. } => {
                    return Err(Error::Invalid(
                        "a block has code of its own, and nothing says what it is in ONNX; see `Flow::written`".into(),
                    ));
                }
            };
            values.push(y);
        }
        let last = values.pop().zip(sizes.last().copied());
        last.ok_or_else(|| Error::Invalid("a block needs at least one node".into()))
    }

    pub(crate) fn turned(&mut self, x: &Value, order: [i64; 4]) -> Value {
        self.node("Transpose", &[x], &[("perm", Attribute::Ints(order.to_vec()))])
    }

    /// Numbers `from..to` of an axis.
    pub(crate) fn slice(&mut self, x: &Value, axis: i64, from: usize, to: usize) -> Value {
        let [from, to, axis] = [from as i64, to as i64, axis].map(|v| self.ints(&[v]));
        self.node("Slice", &[x, &from, &to, &axis], &[])
    }

    /// The same numbers in another shape; 0 keeps a side.
    pub(crate) fn reshape(&mut self, x: &Value, shape: &[i64]) -> Value {
        let shape = self.ints(shape);
        self.node("Reshape", &[x, &shape], &[])
    }

    /// A map resampled to a height and a width.
    fn resize(&mut self, x: &Value, f: Upsample, (h, w): Size) -> Value {
        let (mode, coordinates) = match f {
            Upsample::Nearest => ("nearest", "asymmetric"),
            Upsample::Bilinear { align_corners: true } => ("linear", "align_corners"),
            Upsample::Bilinear { align_corners: false } => ("linear", "half_pixel"),
        };
        // Batch and channels as they are.
        let shape = self.node("Shape", &[x], &[]);
        let shape = self.slice(&shape, 0, 0, 2);
        let sides = self.ints(&[h as i64, w as i64]);
        let sizes = self.node("Concat", &[&shape, &sides], &[("axis", Attribute::Int(0))]);
        let none = Value::none();
        let attributes = [
            ("mode", Attribute::Text(mode)),
            ("coordinate_transformation_mode", Attribute::Text(coordinates)),
            ("nearest_mode", Attribute::Text("floor")),
        ];
        self.node("Resize", &[x, &none, &none, &sizes], &attributes)
    }

    /// An adaptive average.
    fn spread(&mut self, x: &Value, from: Size, to: Size) -> Result<Value> {
        if from == to {
            return Ok(x.clone());
        }
        let share = |from: usize, to: usize| {
            move |o: usize, i: usize| {
                let (first, end) = (o * from / to, ((o + 1) * from).div_ceil(to));
                if (first..end).contains(&i) { 1.0 / (end - first) as f32 } else { 0.0 }
            }
        };
        self.shared(x, (from, to), [&share(from.0, to.0), &share(from.1, to.1)])
    }

    /// An average that ONNX lacks: a product with what each output row has of each row, and one with the same of columns.
    fn shared(
        &mut self,
        x: &Value,
        (from, to): (Size, Size),
        share: [&dyn Fn(usize, usize) -> f32; 2],
    ) -> Result<Value> {
        let shares = |from: usize, to: usize, share: &dyn Fn(usize, usize) -> f32| {
            let shares = (0..to).flat_map(|o| (0..from).map(move |i| share(o, i))).collect::<Vec<_>>();
            Tensor::from_vec(shares, (to, from), &Device::Cpu)
        };
        let rows = self.numbers(&shares(from.0, to.0, share[0])?)?;
        let columns = self.numbers(&shares(from.1, to.1, share[1])?.t()?)?;
        let y = self.node("MatMul", &[&rows, x], &[]);
        Ok(self.node("MatMul", &[&y, &columns], &[]))
    }

    /// Queries, keys and values of all pixels, `[batch, 3 · channels, height, width]` → `[batch, channels, height, width]`.
    fn attention(&mut self, x: &Value, heads: usize, channels: usize, (h, w): Size) -> Value {
        let each = channels / heads;
        let [query, key, value] = [0, 1, 2].map(|i| {
            let part = self.slice(x, 1, i * channels, (i + 1) * channels);
            self.reshape(&part, &[0, heads as i64, each as i64, (h * w) as i64])
        });
        let query = self.turned(&query, [0, 1, 3, 2]);
        let scores = self.node("MatMul", &[&query, &key], &[]);
        let scale = self.scalar((1.0 / (each as f64).sqrt()) as f32);
        let scores = self.node("Mul", &[&scores, &scale], &[]);
        let weights = self.node("Softmax", &[&scores], &[("axis", Attribute::Int(-1))]);
        let weights = self.turned(&weights, [0, 1, 3, 2]);
        let y = self.node("MatMul", &[&value, &weights], &[]);
        self.reshape(&y, &[0, channels as i64, h as i64, w as i64])
    }

    /// An activation.
    pub fn act(&mut self, x: &Value, f: Act) -> Value {
        match f {
            Act::Relu => self.node("Relu", &[x], &[]),
            Act::Relu6 => {
                let (low, high) = (self.scalar(0.0), self.scalar(6.0));
                self.node("Clip", &[x, &low, &high], &[])
            }
            Act::Sigmoid => self.node("Sigmoid", &[x], &[]),
            Act::Tanh => self.node("Tanh", &[x], &[]),
            Act::HardSigmoid => self.node(
                "HardSigmoid",
                &[x],
                &[("alpha", Attribute::Float(1.0 / 6.0)), ("beta", Attribute::Float(0.5))],
            ),
            Act::Silu => self.gated(x, Act::Sigmoid),
            Act::HardSwish => self.gated(x, Act::HardSigmoid),
            Act::Mish => {
                let softplus = self.node("Softplus", &[x], &[]);
                let gate = self.act(&softplus, Act::Tanh);
                self.node("Mul", &[x, &gate], &[])
            }
            Act::Gelu => {
                let (root, one, half) =
                    (self.scalar(std::f32::consts::FRAC_1_SQRT_2), self.scalar(1.0), self.scalar(0.5));
                let scaled = self.node("Mul", &[x, &root], &[]);
                let erf = self.node("Erf", &[&scaled], &[]);
                let twice = self.node("Add", &[&erf, &one], &[]);
                let share = self.node("Mul", &[&twice, &half], &[]);
                self.node("Mul", &[x, &share], &[])
            }
        }
    }

    /// `x · f(x)`.
    fn gated(&mut self, x: &Value, f: Act) -> Value {
        let gate = self.act(x, f);
        self.node("Mul", &[x, &gate], &[])
    }

    /// An average over windows. ONNX counts all padding or none; ours counts all but what a last window lacks beyond it, so
    /// there the padding that counts becomes part of the map.
    fn average(&mut self, x: &Value, (f, at): (Pool, Window), (from, to): (Size, Size)) -> Result<Value> {
        let [down, across] = at.axes();
        if at.dilation != 1 {
            // ONNX knows no such average before opset 19.
            let share = |at: Window, from: usize| {
                move |o: usize, i: usize| {
                    let seen = |tap| o * at.stride + tap * at.dilation == i + at.near(from);
                    let counted = at.counted(o, from, f == Pool::AvgInside) as f32;
                    if (0..at.size).any(seen) { 1.0 / counted } else { 0.0 }
                }
            };
            return self.shared(x, (from, to), [&share(down, from.0), &share(across, from.1)]);
        }
        let lacks = |at: Window, from: usize, to: usize| beyond(at, from, to) > at.far(from);
        let uneven = f == Pool::Avg && (lacks(down, from.0, to.0) || lacks(across, from.1, to.1));
        let counts = [("count_include_pad", Attribute::Int(i64::from(f == Pool::Avg && !uneven)))];
        if !uneven {
            let attributes: Vec<_> = window(at, from, to).into_iter().chain(counts).collect();
            return Ok(self.node("AveragePool", &[x], &attributes));
        }
        let side = |at: Window, from: usize| at.near(from) + from + at.far(from);
        let pads = [0, 0, down.near(from.0), across.near(from.1), 0, 0, down.far(from.0), across.far(from.1)];
        let pads = self.ints(&pads.map(|pad| pad as i64));
        let map = self.node("Pad", &[x, &pads], &[]);
        let attributes = window(at.pad(0), (side(down, from.0), side(across, from.1)), to).into_iter().chain(counts);
        Ok(self.node("AveragePool", &[&map], &attributes.collect::<Vec<_>>()))
    }
}

/// Pixels that the last of `to` windows reaches beyond a side of `from` pixels.
fn beyond(at: Window, from: usize, to: usize) -> usize {
    ((to - 1) * at.stride + at.span()).saturating_sub(at.near(from) + from)
}

/// What a window needs over a map of size `from` to give one of size `to`.
fn window(at: Window, from: Size, to: Size) -> Vec<(&'static str, Attribute)> {
    let [down, across] = at.axes();
    let pads = [down.near(from.0), across.near(from.1), beyond(down, from.0, to.0), beyond(across, from.1, to.1)];
    vec![
        ("kernel_shape", Attribute::Ints(vec![down.size as i64, across.size as i64])),
        ("strides", Attribute::Ints(vec![at.stride as i64; 2])),
        ("pads", Attribute::Ints(pads.map(|pad| pad as i64).to_vec())),
    ]
}

fn dilations(at: Window) -> (&'static str, Attribute) {
    ("dilations", Attribute::Ints(vec![at.dilation as i64; 2]))
}
