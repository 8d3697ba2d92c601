//! Image classification networks with trainable layers, on candle.
//!
//! A [`Network`] is a backbone that sees, a pool, and a head. Backbones come from families by name; convolutional families
//! are written as block programs ([`ops::block`]), data that an interpreter runs.
//!
//! ```
//! use candle_core::{DType, Device, Tensor};
//! use sconce_models::{Network, NetworkConfig, Pass, init};
//! let vars = candle_nn::VarMap::new();
//! let vb = init::seeded(&vars, 42, DType::F32, &Device::Cpu);
//! let config = NetworkConfig { model: "resnet20".into(), classes: 10, ..Default::default() };
//! let network = Network::new(&config, vb)?;
//! let logits = network.forward(&Tensor::zeros((2, 3, 32, 32), DType::F32, &Device::Cpu)?, None, &mut Pass::eval())?;
//! assert_eq!(logits.dims(), [2, 10]);
//! assert_eq!(network.summary((32, 32))?.parameters(), 269_722);
//! # Ok::<(), sconce_models::Error>(())
//! ```
//!
//! Any model that learns grows in width, depth and resolution ([`grow`], [`Growth::compound`]):
//!
//! ```
//! use sconce_models::{Growth, NetworkConfig, grow};
//! let (params, side) = grow("resnet20", &serde_json::Value::Null, Growth { width: 2.0, depth: 1.3, resolution: 1.5 })?;
//! assert_eq!((&params, side), (&serde_json::json!({"width": 32, "layers": [4, 4, 4]}), 48));
//! let config = NetworkConfig { model: "resnet20".into(), params, classes: 10, ..Default::default() };
//! # let _ = config;
//! # Ok::<(), sconce_models::Error>(())
//! ```
//!
//! | module | what |
//! |---|---|
//! | [`backbones`] | one family a file; [`models()`] lists all names |
//! | [`pools`], [`joins`], [`heads`] | what stands behind it, one a file, each kind with its table |
//! | [`parts`], [`layers`] | how these are chosen by name, and what they are made of |
//! | [`ops`] | layers with exact gradients, block programs and their interpreter |
//! | [`onnx`] | networks for elsewhere |
//! | [`init`] | variables as functions of (seed, name) |
//! | [`pretrained`] | weights from files and by name, fitted to a network |
//! | [`Siamese`] | what learning without labels needs behind a network |
//! | [`Pass`] | how to go forward: training or not, which gradients, which random key |
//! | [`Summary`] | layers, shapes, parameters, multiply-adds |

mod backbone;
pub mod backbones;
mod error;
mod growth;
pub mod heads;
pub mod init;
pub mod joins;
pub mod layers;
mod limits;
mod network;
pub mod onnx;
pub mod ops;
pub mod parts;
mod pass;
pub mod pools;
pub mod pretrained;
mod siamese;
mod summary;

pub use backbone::{
    Backbone, Begin, Entry, Family, Preset, begin, begins, build, models, picture_size, reference, resolve,
};
pub use error::{Error, Result};
pub use growth::{Growth, grow};
pub use network::{Network, NetworkConfig};
pub use pass::{AUXILIARY, Grad, LayerTap, Pass, Seen, Tap};
pub use siamese::Siamese;
pub use summary::{Layer, Summary};
