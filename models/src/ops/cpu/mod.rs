//! Kernels for the CPU on plain `f32` slices: no tensors, no graph.
//!
//! | file | what |
//! |---|---|
//! | [`simd`] | vectors, chosen at run time |
//! | [`matmul`] | tiles of matrix products |
//! | [`rows`] | values on the way into and out of a kernel |
//! | [`maps`] | passes over whole maps |
//! | [`pointwise`], [`windows`], [`winograd`], [`depthwise`] | convolutions |
//! | [`pooling`] | pools |
//! | [`conv`] | which of them for a shape |
//! | [`tasks`], [`scratch`], [`weight`], [`geometry`], [`act`] | work in pieces, memory, layouts, sizes, activations |

pub(crate) mod act;
pub(crate) mod conv;
mod depthwise;
pub(crate) mod geometry;
pub(crate) mod maps;
mod matmul;
mod pointwise;
pub(crate) mod pooling;
pub(crate) mod rows;
pub(crate) mod scratch;
pub(crate) mod simd;
pub(crate) mod tasks;
mod weight;
mod windows;
mod winograd;
