//! Networks for elsewhere: [ONNX](https://onnx.ai), as onnxruntime, TensorRT, OpenVINO or tract read it.
//!
//! [`Network::onnx`](crate::Network::onnx) writes a whole network. A family that is more than a block program says in
//! [`Backbone::onnx`](crate::Backbone::onnx) what it does, in the operators of ONNX:
//!
//! ```
//! use sconce_models::onnx::{Attribute, Graph};
//! let mut graph = Graph::default();
//! let x = graph.input("x", &[4]);
//! let y = graph.node("Softmax", &[&x], &[("axis", Attribute::Int(1))]);
//! graph.output("y", &y, &[4]);
//! assert!(!graph.model(&[])?.is_empty());
//! # Ok::<(), sconce_models::Error>(())
//! ```

mod graph;
mod nodes;
mod parts;
mod proto;

pub use graph::{Attribute, Graph, OPSET, Value};
