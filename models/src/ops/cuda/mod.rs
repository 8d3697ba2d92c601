//! CUDA: convolution and batch norm by cuDNN (feature `cudnn`), pools and ReLU by kernels of ours that are compiled on the
//! spot (feature `cuda`). Whatever is missing here runs as the composed twin. Nothing outside `ops` knows of the features.

#[cfg(feature = "cudnn")]
pub(crate) mod batch_norm;
#[cfg(feature = "cudnn")]
pub(crate) mod conv2d;
#[cfg(feature = "cudnn")]
mod cudnn;
#[cfg(feature = "cuda")]
mod launch;
#[cfg(feature = "cuda")]
mod memory;

#[cfg(feature = "cuda")]
pub(crate) use launch::launch;

use candle_core::{CudaStorage, Layout, Shape, Tensor};

/// A contiguous operand of an op.
pub(crate) type Input<'a> = (&'a CudaStorage, &'a Layout);

/// What an op gives back.
pub(crate) type Output = (CudaStorage, Shape);

/// Whether our own kernels run where `x` lies.
pub(crate) fn has_kernels(x: &Tensor) -> bool {
    cfg!(feature = "cuda") && x.device().is_cuda()
}

/// Whether cuDNN runs where `x` lies.
pub(crate) fn has_cudnn(x: &Tensor) -> bool {
    cfg!(feature = "cudnn") && x.device().is_cuda()
}
