//! The numerical heart: layers with correct gradients, and block programs that are made of them.
//!
//! Maps are `[B, H, W, C]` throughout. Every op has a `composed` twin from plain candle ops, which is the oracle in tests
//! and runs on devices without a kernel of ours. candle's own convolution, pools and batch norm are not used in
//! training: their gradients are missing, wrong or slow in cases that classification networks need.

mod activation;
mod attention;
mod batch_norm;
mod block;
mod composed;
mod conv2d;
mod conv3d;
mod cpu;
mod cuda;
mod drop;
mod element;
mod fold;
mod fused;
mod gemm;
mod kernel;
mod layer_norm;
mod linear;
mod plan;
mod pool;
mod program;
mod softmax;
mod upsample;
mod window;

pub use activation::{Act, activate, relu};
pub use attention::attention;
pub use batch_norm::{Statistics, batch_norm_eval, batch_norm_train};
pub use block::Block;
pub use conv2d::conv2d;
pub use conv3d::conv3d;
pub use cpu::conv::{Tile, set_winograd, winograd};
pub use cpu::simd::{Vectors, limit_vectors, switch_vectors, vectors};
pub(crate) use drop::rate;
pub use drop::{drop_path, dropout, keep_mask};
pub use layer_norm::layer_norm;
pub use linear::linear;
pub use pool::{Pool, adaptive_pool, global_pool, pool};
pub(crate) use program::CONV_INIT;
pub use program::{Flow, Id, Node, Param, Plain, Program, Written, block, chain, concat};
pub use softmax::{log_softmax, softmax};
pub use upsample::{Extent, Upsample, upsample};
pub use window::{Across, Edge, Window, k, rect};

/// The ops from plain candle ops: oracles for tests, and the way on devices without a kernel.
pub mod twins {
    pub use super::activation::composed as activate;
    pub use super::attention::composed as attention;
    pub use super::batch_norm::{composed_eval as batch_norm_eval, composed_train as batch_norm_train};
    pub use super::conv2d::composed as conv2d;
    pub use super::conv3d::composed as conv3d;
    pub use super::layer_norm::composed as layer_norm;
    pub use super::pool::{composed as pool, composed_adaptive as adaptive_pool, composed_global as global_pool};
    pub use super::softmax::{composed as softmax, composed_log as log_softmax};
    pub use super::upsample::composed as upsample;
}
