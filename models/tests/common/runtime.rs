//! A reader and runner of ONNX files by candle's own operations: as much of the format as our files have, read from its
//! description (onnx.proto, Operators.md) and not from our writer.
#![allow(clippy::unwrap_used, clippy::panic)]

use candle_core::{D, DType, Device, Tensor};
use std::collections::BTreeMap;

/// A field of a message.
enum Field<'a> {
    Int(i64),
    Float(f32),
    Bytes(&'a [u8]),
}

impl<'a> Field<'a> {
    fn int(&self) -> i64 {
        let Self::Int(v) = self else { panic!("expected a varint") };
        *v
    }
    fn bytes(&self) -> &'a [u8] {
        let Self::Bytes(v) = self else { panic!("expected bytes") };
        v
    }
    fn text(&self) -> String {
        String::from_utf8(self.bytes().to_vec()).unwrap()
    }
}

fn varint(bytes: &mut &[u8]) -> u64 {
    let (mut value, mut shift) = (0, 0);
    loop {
        let byte = bytes[0];
        *bytes = &bytes[1..];
        value |= u64::from(byte & 0x7F) << shift;
        shift += 7;
        if byte & 0x80 == 0 {
            return value;
        }
    }
}

fn take<'a>(bytes: &mut &'a [u8], count: usize) -> &'a [u8] {
    let (taken, rest) = bytes.split_at(count);
    *bytes = rest;
    taken
}

/// Fields in their order, by number.
fn fields(mut bytes: &[u8]) -> Vec<(u64, Field<'_>)> {
    let mut found = vec![];
    while !bytes.is_empty() {
        let key = varint(&mut bytes);
        let field = match key & 7 {
            0 => Field::Int(varint(&mut bytes) as i64),
            5 => Field::Float(f32::from_le_bytes(take(&mut bytes, 4).try_into().unwrap())),
            2 => {
                let count = varint(&mut bytes) as usize;
                Field::Bytes(take(&mut bytes, count))
            }
            kind => panic!("wire type {kind}"),
        };
        found.push((key >> 3, field));
    }
    found
}

/// All fields of one number.
fn all<'a>(message: &'a [u8], number: u64) -> impl Iterator<Item = Field<'a>> {
    fields(message).into_iter().filter(move |(n, _)| *n == number).map(|(_, field)| field)
}

fn one<'a>(message: &'a [u8], number: u64) -> Field<'a> {
    all(message, number).next().unwrap_or_else(|| panic!("no field {number}"))
}

/// `TensorProto`.
fn tensor(message: &[u8]) -> (String, Tensor) {
    let dims: Vec<usize> = all(message, 1).map(|f| f.int() as usize).collect();
    let raw = one(message, 9).bytes();
    let value = match one(message, 2).int() {
        1 => {
            let values: Vec<f32> = raw.chunks_exact(4).map(|b| f32::from_le_bytes(b.try_into().unwrap())).collect();
            Tensor::from_vec(values, dims, &Device::Cpu)
        }
        7 => {
            let values: Vec<i64> = raw.chunks_exact(8).map(|b| i64::from_le_bytes(b.try_into().unwrap())).collect();
            Tensor::from_vec(values, dims, &Device::Cpu)
        }
        kind => panic!("data type {kind}"),
    };
    (one(message, 8).text(), value.unwrap())
}

/// Attributes of a node; what is missing has ONNX's default.
struct Attributes(BTreeMap<String, Vec<u8>>);

impl Attributes {
    fn int(&self, name: &str, default: i64) -> i64 {
        self.0.get(name).map_or(default, |a| one(a, 3).int())
    }
    fn float(&self, name: &str, default: f32) -> f64 {
        let value = self.0.get(name).map_or(default, |a| match one(a, 2) {
            Field::Float(v) => v,
            _ => panic!("'{name}' is no float"),
        });
        f64::from(value)
    }
    fn ints(&self, name: &str) -> Vec<usize> {
        all(&self.0[name], 8).map(|f| f.int() as usize).collect()
    }
}

/// Runs the model on its inputs in their order; metadata and the first output.
pub fn run(file: &[u8], inputs: &[&Tensor]) -> (BTreeMap<String, String>, Tensor) {
    assert_eq!(one(one(file, 8).bytes(), 2).int(), 17);
    let metadata = all(file, 14).map(|f| (one(f.bytes(), 1).text(), one(f.bytes(), 2).text())).collect();
    let graph = one(file, 7).bytes();
    let mut values: BTreeMap<String, Tensor> = all(graph, 5).map(|f| tensor(f.bytes())).collect();
    for (info, input) in all(graph, 11).zip(inputs) {
        values.insert(one(info.bytes(), 1).text(), (*input).clone());
    }
    for node in all(graph, 1).map(|f| f.bytes()) {
        let x: Vec<Tensor> = all(node, 1).map(|f| values[&f.text()].clone()).collect();
        let attributes = all(node, 5).map(|f| (one(f.bytes(), 1).text(), f.bytes().to_vec())).collect();
        let operator = one(node, 4).text();
        let y = apply(&operator, &x, &Attributes(attributes)).unwrap_or_else(|error| panic!("{operator}: {error}"));
        assert!(values.insert(one(node, 2).text(), y).is_none(), "two values of one name");
    }
    let output = one(one(graph, 12).bytes(), 1).text();
    (metadata, values[&output].clone())
}

fn apply(operator: &str, x: &[Tensor], a: &Attributes) -> candle_core::Result<Tensor> {
    let channels = |t: &Tensor| t.reshape((1, (), 1, 1));
    let ints = |t: &Tensor| t.to_vec1::<i64>();
    match operator {
        "Identity" => Ok(x[0].clone()),
        "Add" => x[0].broadcast_add(&x[1]),
        "Mul" => x[0].broadcast_mul(&x[1]),
        "MatMul" => x[0].contiguous()?.broadcast_matmul(&x[1].contiguous()?),
        "Relu" => x[0].relu(),
        "Sigmoid" => candle_nn::ops::sigmoid(&x[0]),
        "Tanh" => x[0].tanh(),
        "Erf" => x[0].erf(),
        "Softplus" => (x[0].exp()? + 1.0)?.log(),
        "Softmax" => {
            let axis = a.int("axis", -1).rem_euclid(x[0].rank() as i64);
            candle_nn::ops::softmax(&x[0], axis as usize)
        }
        "Clip" => x[0].clamp(x[1].to_scalar::<f32>()?, x[2].to_scalar::<f32>()?),
        "HardSigmoid" => x[0].affine(a.float("alpha", 0.2), a.float("beta", 0.5))?.clamp(0f32, 1f32),
        "Concat" => Tensor::cat(x, a.int("axis", 0) as usize),
        "Flatten" => x[0].flatten_from(a.int("axis", 1) as usize),
        "Transpose" => x[0].permute(a.ints("perm"))?.contiguous(),
        "GlobalAveragePool" => x[0].mean_keepdim(2)?.mean_keepdim(3),
        "Pad" => {
            let pads = ints(&x[1])?;
            let rank = pads.len() / 2;
            (0..rank).try_fold(x[0].clone(), |t, i| t.pad_with_zeros(i, pads[i] as usize, pads[rank + i] as usize))
        }
        "Slice" => {
            let [from, to, axis] = [ints(&x[1])?[0], ints(&x[2])?[0], ints(&x[3])?[0]].map(|v| v as usize);
            x[0].narrow(axis, from, to - from)?.contiguous()
        }
        "Reshape" => {
            let same = |(i, &d): (usize, &i64)| if d == 0 { x[0].dims()[i] } else { d as usize };
            x[0].reshape(ints(&x[1])?.iter().enumerate().map(same).collect::<Vec<_>>())
        }
        "Gemm" => {
            assert_eq!(a.int("transB", 0), 1);
            x[0].matmul(&x[1].t()?)?.broadcast_add(&x[2])
        }
        "Conv" => {
            let (pads, strides, dilations) = (a.ints("pads"), a.ints("strides"), a.ints("dilations"));
            assert_eq!(a.ints("kernel_shape"), &x[1].dims()[2..]);
            let padded = x[0].pad_with_zeros(2, pads[0], pads[2])?.pad_with_zeros(3, pads[1], pads[3])?;
            let y = padded.conv2d(&x[1], 0, strides[0], dilations[0], a.int("group", 1) as usize)?;
            if let Some(bias) = x.get(2) { y.broadcast_add(&channels(bias)?) } else { Ok(y) }
        }
        "BatchNormalization" => {
            let scale = (&x[1] / (&x[4] + a.float("epsilon", 1e-5))?.sqrt()?)?;
            let shift = (&x[2] - x[3].mul(&scale)?)?;
            x[0].broadcast_mul(&channels(&scale)?)?.broadcast_add(&channels(&shift)?)
        }
        "LayerNormalization" => {
            let centered = x[0].broadcast_sub(&x[0].mean_keepdim(D::Minus1)?)?;
            let deviation = (centered.sqr()?.mean_keepdim(D::Minus1)? + a.float("epsilon", 1e-5))?.sqrt()?;
            centered.broadcast_div(&deviation)?.broadcast_mul(&x[1])?.broadcast_add(&x[2])
        }
        "MaxPool" => windows(&x[0], a, |inside, _| inside.iter().copied().fold(f32::NEG_INFINITY, f32::max)),
        "AveragePool" => {
            let padding = a.int("count_include_pad", 0) == 1;
            windows(&x[0], a, |inside, all| {
                inside.iter().sum::<f32>() / if padding { all } else { inside.len() } as f32
            })
        }
        _ => panic!("operator '{operator}'"),
    }
}

/// `f(values inside the picture, places of the window)` of every window.
fn windows(x: &Tensor, a: &Attributes, f: impl Fn(&[f32], usize) -> f32) -> candle_core::Result<Tensor> {
    let (b, c, h, w) = x.dims4()?;
    let (size, stride, pads) = (a.ints("kernel_shape")[0], a.ints("strides")[0], a.ints("pads"));
    let step = if a.0.contains_key("dilations") { a.ints("dilations")[0] } else { 1 };
    let out = |side: usize, pads: usize| (side + pads - step * (size - 1) - 1) / stride + 1;
    let (oh, ow) = (out(h, pads[0] + pads[2]), out(w, pads[1] + pads[3]));
    let values = x.to_dtype(DType::F32)?.flatten_all()?.to_vec1::<f32>()?;
    let mut y = Vec::with_capacity(b * c * oh * ow);
    for (plane, row, col) in (0..b * c).flat_map(|p| (0..oh).flat_map(move |i| (0..ow).map(move |j| (p, i, j)))) {
        let at = |o: usize, tap: usize, near: usize, side: usize| {
            (o * stride + tap * step).checked_sub(near).filter(|&place| place < side)
        };
        let taps = (0..size * size).filter_map(|tap| {
            let (i, j) = (at(row, tap / size, pads[0], h)?, at(col, tap % size, pads[1], w)?);
            Some(values[(plane * h + i) * w + j])
        });
        y.push(f(&taps.collect::<Vec<_>>(), size * size));
    }
    Tensor::from_vec(y, (b, c, oh, ow), &Device::Cpu)
}
