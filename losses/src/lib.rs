//! What training minimizes: losses from logits and targets to one number per sample.
//!
//! A target is a tensor, `[B]` class ids or `[B, K]` rows; label smoothing, mixup and distillation need no other loss.
//!
//! ```
//! use candle_core::{Device, Tensor};
//! use sconce_losses::{CrossEntropy, Loss, build};
//! let logits = Tensor::new(&[[2.0f32, -1.0], [0.5, 0.1]], &Device::Cpu)?;
//! let classes = Tensor::new(&[0u32, 1], &Device::Cpu)?;
//! let mixed = Tensor::new(&[[1.0f32, 0.0], [0.3, 0.7]], &Device::Cpu)?;
//! let loss = CrossEntropy { smoothing: 0.1, ..Default::default() };
//! let hardest = loss.per_sample(&logits, &mixed)?.argmax(0)?.to_scalar::<u32>()?;
//! let by_name = build("cross_entropy", serde_json::json!({"smoothing": 0.1}))?;
//! let batch = by_name.forward(&logits, &classes)?.to_scalar::<f32>()?;
//! assert_eq!((hardest, batch), (1, loss.forward(&logits, &classes)?.to_scalar::<f32>()?));
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! | loss | name | what |
//! |---|---|---|
//! | [`Bce`] | `bce` | one yes-or-no question per class; multi-label, or one class with smoothing |
//! | [`CrossEntropy`] | `cross_entropy` | one class per sample; label smoothing, class weights, soft targets |

mod bce;
mod cross_entropy;
mod error;
mod loss;

pub use bce::Bce;
pub use cross_entropy::CrossEntropy;
pub use error::{Error, Result};
pub use loss::{Loss, rows};

use serde::{Serialize, de::DeserializeOwned};
use serde_json::Value;

/// A line of the table of losses.
pub struct Entry {
    /// Name in recipes.
    pub name: &'static str,
    /// One sentence.
    pub doc: &'static str,
    build: fn(Value) -> Result<Box<dyn Loss>, serde_json::Error>,
    resolve: fn(Value) -> Result<Value, serde_json::Error>,
}

impl Entry {
    const fn of<L: Loss + Serialize + DeserializeOwned + 'static>(name: &'static str, doc: &'static str) -> Self {
        Self {
            name,
            doc,
            build: |params| Ok(Box::new(serde_json::from_value::<L>(params)?)),
            resolve: |params| serde_json::to_value(serde_json::from_value::<L>(params)?),
        }
    }
}

/// All losses.
pub const LOSSES: &[Entry] = &[
    Entry::of::<Bce>("bce", "Binary cross-entropy of every class, with label smoothing and weights for positives."),
    Entry::of::<CrossEntropy>(
        "cross_entropy",
        "Softmax cross-entropy with label smoothing (Szegedy et al. 2016) and class weights.",
    ),
];

/// The loss `name` with `params`, an object.
///
/// # Errors
/// Unknown names and parameters, impossible values.
pub fn build(name: &str, params: Value) -> Result<Box<dyn Loss>> {
    let loss = (find(name)?.build)(params).map_err(|source| parameter(name, source))?;
    loss.validate()?;
    Ok(loss)
}

/// `params` with every default written out.
///
/// # Errors
/// As [`build`].
pub fn resolve(name: &str, params: Value) -> Result<Value> {
    build(name, params.clone())?;
    (find(name)?.resolve)(params).map_err(|source| parameter(name, source))
}

fn find(name: &str) -> Result<&'static Entry> {
    let known = || LOSSES.iter().map(|e| e.name).collect::<Vec<_>>().join(", ");
    LOSSES.iter().find(|e| e.name == name).ok_or_else(|| Error::Unknown { name: name.into(), known: known() })
}

fn parameter(name: &str, source: serde_json::Error) -> Error {
    Error::Parameter { name: name.into(), source }
}
