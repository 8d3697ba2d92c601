//! A graph of ONNX operators while it is written, and the file that holds it.
//!
//! Numbers of fields and types are those of `onnx/onnx.proto`, version 8 of the format (ONNX 1.12).

use super::proto::Message;
use crate::error::{Error, Result};
use candle_core::{DType, Tensor};
use std::collections::BTreeMap;

/// Version of ONNX's operators: the first with layer normalization.
pub const OPSET: i64 = 17;
const FORMAT: i64 = 8;
/// Protocol Buffers count bytes in 31 bits.
const LARGEST: usize = i32::MAX as usize;

const F32: i64 = 1;
const I64: i64 = 7;

/// A tensor of the graph, by its name.
#[derive(Clone, Debug)]
pub struct Value(String);

impl Value {
    /// Where an operator has an input that is left out.
    pub(super) fn none() -> Self {
        Self(String::new())
    }
}

/// What an operator is told besides its inputs.
#[derive(Clone, Debug)]
pub enum Attribute {
    /// A whole number.
    Int(i64),
    /// Whole numbers.
    Ints(Vec<i64>),
    /// A number.
    Float(f32),
    /// A word.
    Text(&'static str),
}

/// Operators in the order in which they run.
#[derive(Default)]
pub struct Graph {
    nodes: Vec<Message>,
    tensors: Vec<Message>,
    /// Where each constant tensor stands among them, by its name.
    named: BTreeMap<String, usize>,
    inputs: Vec<Message>,
    outputs: Vec<Message>,
    /// Values named so far.
    values: usize,
}

impl Graph {
    /// An input `[batch, shape..]`.
    pub fn input(&mut self, name: &str, shape: &[usize]) -> Value {
        self.inputs.push(described(name, &shape.iter().map(|&side| Side::Of(side)).collect::<Vec<_>>()));
        Value(name.into())
    }

    /// An input `[batch, outer.., depth, height, width]`, the depth of any size.
    pub fn volumes(&mut self, name: &str, outer: &[usize], (height, width): (usize, usize)) -> Value {
        let outer = outer.iter().map(|&side| Side::Of(side));
        let shape = outer.chain([Side::Any("depth"), Side::Of(height), Side::Of(width)]).collect::<Vec<_>>();
        self.inputs.push(described(name, &shape));
        Value(name.into())
    }

    /// Makes `value`, `[batch, shape..]`, an output of this name.
    pub fn output(&mut self, name: &str, value: &Value, shape: &[usize]) {
        self.nodes.push(node("Identity", &[value], name, &[]));
        self.outputs.push(described(name, &shape.iter().map(|&side| Side::Of(side)).collect::<Vec<_>>()));
    }

    /// An operator with one output, by its name in ONNX.
    pub fn node(&mut self, operator: &str, inputs: &[&Value], attributes: &[(&str, Attribute)]) -> Value {
        let output = self.name(operator);
        self.nodes.push(node(operator, inputs, &output.0, attributes));
        output
    }

    /// A constant F32 tensor of this name, such as a variable. The same tensor is written once; another one of a name that is
    /// taken gets one of its own.
    ///
    /// # Errors
    /// Those of tensors.
    pub fn tensor(&mut self, name: &str, value: &Tensor) -> Result<Value> {
        let values = value.to_dtype(DType::F32)?.flatten_all()?.to_vec1::<f32>()?;
        let bytes: Vec<u8> = values.into_iter().flat_map(f32::to_le_bytes).collect();
        Ok(self.constant(name.into(), value.dims(), F32, &bytes))
    }

    /// A constant F32 tensor without a name of its own.
    ///
    /// # Errors
    /// Those of tensors.
    pub fn numbers(&mut self, value: &Tensor) -> Result<Value> {
        let name = self.name("numbers").0;
        self.tensor(&name, value)
    }

    /// A constant number.
    pub fn scalar(&mut self, value: f32) -> Value {
        let name = self.name("scalar").0;
        self.constant(name, &[], F32, &value.to_le_bytes())
    }

    /// A constant list of whole numbers: shapes, sizes of padding.
    pub fn ints(&mut self, values: &[i64]) -> Value {
        let name = self.name("ints").0;
        let bytes: Vec<u8> = values.iter().flat_map(|v| v.to_le_bytes()).collect();
        self.constant(name, &[values.len()], I64, &bytes)
    }

    /// Mean over a map `[batch, C, height, width]` → `[batch, C, 1, 1]`.
    pub fn mean(&mut self, map: &Value) -> Value {
        self.node("GlobalAveragePool", &[map], &[])
    }

    /// The file: this graph with `metadata` as properties of the model.
    ///
    /// # Errors
    /// When it is larger than the format allows, 2 GiB.
    pub fn model(self, metadata: &[(&str, String)]) -> Result<Vec<u8>> {
        let bytes: usize = self.tensors.iter().map(Message::len).sum();
        if bytes > LARGEST {
            return Err(Error::Invalid(format!(
                "an ONNX file can hold 2 GiB, but this network's weights are {bytes} bytes; export it as safetensors"
            )));
        }
        let graph = Message::default()
            .each(self.nodes, |m, node| m.message(1, &node))
            .bytes(2, b"sconce")
            .each(self.tensors, |m, tensor| m.message(5, &tensor))
            .each(self.inputs, |m, input| m.message(11, &input))
            .each(self.outputs, |m, output| m.message(12, &output));
        let property = |(key, value): &(&str, String)| text(1, key).bytes(2, value.as_bytes());
        let model = Message::default()
            .int(1, FORMAT)
            .bytes(2, b"sconce")
            .bytes(3, env!("CARGO_PKG_VERSION").as_bytes())
            .message(7, &graph)
            .message(8, &text(1, "").int(2, OPSET))
            .each(metadata, |m, pair| m.message(14, &property(pair)));
        Ok(model.into_bytes())
    }

    fn name(&mut self, what: &str) -> Value {
        self.values += 1;
        Value(format!("{what}_{}", self.values))
    }

    fn constant(&mut self, name: String, dims: &[usize], kind: i64, bytes: &[u8]) -> Value {
        let tensor = Message::default().each(dims, |m, &dim| m.int(1, dim as i64));
        let tensor = tensor.int(2, kind).bytes(8, name.as_bytes()).bytes(9, bytes);
        match self.named.get(&name) {
            Some(&at) if self.tensors[at] == tensor => return Value(name),
            Some(_) => {
                let Value(other) = self.name(&name);
                return self.constant(other, dims, kind, bytes);
            }
            None => {}
        }
        self.named.insert(name.clone(), self.tensors.len());
        self.tensors.push(tensor);
        Value(name)
    }
}

fn text(field: u32, value: &str) -> Message {
    Message::default().bytes(field, value.as_bytes())
}

/// `NodeProto`; its own name is that of its output.
fn node(operator: &str, inputs: &[&Value], output: &str, attributes: &[(&str, Attribute)]) -> Message {
    let attribute = |(name, value): &(&str, Attribute)| {
        let named = text(1, name);
        match value {
            Attribute::Float(v) => named.float(2, *v).int(20, 1),
            Attribute::Int(v) => named.int(3, *v).int(20, 2),
            Attribute::Text(v) => named.bytes(4, v.as_bytes()).int(20, 3),
            Attribute::Ints(v) => named.each(v, |m, &v| m.int(8, v)).int(20, 7),
        }
    };
    Message::default()
        .each(inputs, |m, input| m.bytes(1, input.0.as_bytes()))
        .bytes(2, output.as_bytes())
        .bytes(3, output.as_bytes())
        .bytes(4, operator.as_bytes())
        .each(attributes, |m, pair| m.message(5, &attribute(pair)))
}

/// A side of an input or output: a number, or any number under a name.
#[derive(Clone, Copy)]
enum Side {
    Of(usize),
    Any(&'static str),
}

/// `ValueInfoProto` of an F32 tensor `[batch, shape..]`, the batch of any size.
fn described(name: &str, shape: &[Side]) -> Message {
    let side = |m: Message, side: &Side| match *side {
        Side::Of(side) => m.message(1, &Message::default().int(1, side as i64)),
        Side::Any(name) => m.message(1, &text(2, name)),
    };
    let shape = side(Message::default(), &Side::Any("batch")).each(shape, side);
    let tensor = Message::default().int(1, F32).message(2, &shape);
    text(1, name).message(2, &Message::default().message(1, &tensor))
}
