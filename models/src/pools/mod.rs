//! From a map to one row: what stands between a backbone and its head. One pool a file.
//!
//! ```
//! use candle_core::{DType, Device, Tensor};
//! use sconce_models::{Network, NetworkConfig, Pass, init, parts::Choice};
//! let vars = candle_nn::VarMap::new();
//! let vb = init::seeded(&vars, 0, DType::F32, &Device::Cpu);
//! let config = NetworkConfig { pool: Choice::new("gem"), head: Choice::new("cosine"), ..Default::default() };
//! let network = Network::new(&config, vb)?;
//! let logits = network.forward(&Tensor::zeros((2, 3, 32, 32), DType::F32, &Device::Cpu)?, None, &mut Pass::eval())?;
//! assert_eq!(logits.dims(), [2, 2]);
//! # Ok::<(), sconce_models::Error>(())
//! ```

mod attention;
mod concat;
mod gem;
mod max;
mod mean;
mod token;

pub use attention::Attention;
pub use concat::Concat;
pub use gem::Gem;
pub use max::Max;
pub use mean::Mean;
pub use token::Token;

use crate::onnx;
use crate::parts::{Entry, Table};
use crate::pass::Pass;
use candle_core::{DType, Result, Tensor};

/// Makes one row of a map.
pub trait Pooling: Send + Sync {
    /// `[B, H, W, F]` → `[B, P]`.
    fn forward(&self, map: &Tensor, pass: &Pass<'_>) -> Result<Tensor>;
    /// How many rows of F stand side by side in P.
    fn parts(&self) -> usize {
        1
    }
    /// The same in the operators of ONNX, `[batch, F, height, width]` → its rows, each `[batch, F, 1, 1]`.
    ///
    /// # Errors
    /// Those of tensors.
    fn onnx(&self, graph: &mut onnx::Graph, map: &onnx::Value) -> crate::error::Result<Vec<onnx::Value>>;
}

/// All pools; they are built from F.
pub const POOLS: Table<dyn Pooling, usize> = Table(
    "pool",
    &[
        Entry::of::<Mean>("mean", "Mean over the map."),
        Entry::of::<Max>("max", "Largest value of each channel."),
        Entry::of::<Concat>("concat", "Mean and maximum side by side."),
        Entry::of::<Gem>("gem", "Generalized mean with a trained exponent (Radenovic et al. 2018)."),
        Entry::of::<Attention>("attention", "Mean weighted by a mask that small convolutions draw (Mader 2018)."),
        Entry::of::<Token>("token", "The first position alone: the class token of a transformer."),
    ],
);

/// At least F32: powers and quotients need more digits than half precision has.
fn wide(map: &Tensor) -> Result<Tensor> {
    if map.dtype() == DType::F64 { Ok(map.clone()) } else { map.to_dtype(DType::F32) }
}
