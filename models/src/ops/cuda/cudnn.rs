//! cuDNN: its handle for this thread, and descriptors that free themselves.
//!
//! Underneath `cudarc`'s safe wrappers, because those lack batch norm and a choice among algorithms.
#![allow(unsafe_code)]

use candle_core::cuda_backend::cudarc::cudnn::{result, sys};
use candle_core::cuda_backend::cudarc::driver::CudaStream;
use candle_core::cuda_backend::{DeviceId, WrapErr};
use candle_core::{CudaDevice, DType, Error, Result, bail};
use std::cell::RefCell;
use std::collections::HashMap;
use std::ffi::{c_int, c_void};
use std::rc::Rc;
use std::sync::Arc;

/// cuDNN on one device, working on the stream of candle's kernels.
pub(super) struct Handle {
    raw: sys::cudnnHandle_t,
    stream: Arc<CudaStream>,
}

thread_local! {
    /// A handle may be used by one thread at a time: each has its own.
    static HANDLES: RefCell<HashMap<DeviceId, Rc<Handle>>> = RefCell::default();
}

impl Handle {
    /// This thread's handle of `device`, made at first use.
    pub(super) fn of(device: &CudaDevice) -> Result<Rc<Self>> {
        let stream = device.cuda_stream();
        stream.context().bind_to_thread().w()?;
        if let Some(handle) = HANDLES.with_borrow(|handles| handles.get(&device.id()).cloned()) {
            return Ok(handle);
        }
        let raw = result::create_handle().map_err(|e| {
            Error::msg(format!(
                "cannot start cuDNN ({e}); it must be version 9 and fit the driver, or build without cudnn"
            ))
        })?;
        let handle = Rc::new(Self { raw, stream });
        // SAFETY: the handle is new and the stream lives as long as it.
        unsafe { result::set_stream(raw, handle.stream.cu_stream().cast()) }?;
        HANDLES.with_borrow_mut(|handles| handles.insert(device.id(), handle.clone()));
        Ok(handle)
    }
    pub(super) fn raw(&self) -> sys::cudnnHandle_t {
        self.raw
    }
    pub(super) fn stream(&self) -> &CudaStream {
        &self.stream
    }
}

impl Drop for Handle {
    fn drop(&mut self) {
        // SAFETY: made by `of`, destroyed once. An error at the end of a thread has nobody to go to.
        let _ = unsafe { result::destroy_handle(self.raw) };
    }
}

/// Order of axes in memory.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Order {
    /// Channels last, ours.
    Nhwc,
    /// Channels first.
    Nchw,
}

impl Order {
    fn format(self) -> sys::cudnnTensorFormat_t {
        match self {
            Self::Nhwc => sys::cudnnTensorFormat_t::CUDNN_TENSOR_NHWC,
            Self::Nchw => sys::cudnnTensorFormat_t::CUDNN_TENSOR_NCHW,
        }
    }
}

/// A descriptor with its creator and destructor.
macro_rules! descriptor {
    ($(#[$doc:meta])* $name:ident, $raw:ident, $create:ident, $destroy:ident) => {
        $(#[$doc])*
        pub(super) struct $name(sys::$raw);
        impl $name {
            fn new() -> Result<Self> {
                Ok(Self(result::$create()?))
            }
            pub(super) fn raw(&self) -> sys::$raw {
                self.0
            }
        }
        impl Drop for $name {
            fn drop(&mut self) {
                // SAFETY: made by `new`, destroyed once; cuDNN keeps no reference to it.
                let _ = unsafe { result::$destroy(self.0) };
            }
        }
    };
}

descriptor!(
    /// Shape, order and type of a map.
    MapDescriptor,
    cudnnTensorDescriptor_t,
    create_tensor_descriptor,
    destroy_tensor_descriptor
);
descriptor!(
    /// Shape, order and type of a convolution's weight.
    FilterDescriptor,
    cudnnFilterDescriptor_t,
    create_filter_descriptor,
    destroy_filter_descriptor
);
descriptor!(
    /// How windows move, and in what precision sums are made.
    ConvolutionDescriptor,
    cudnnConvolutionDescriptor_t,
    create_convolution_descriptor,
    destroy_convolution_descriptor
);

impl MapDescriptor {
    /// `dims` are batch, channels, height, width, in whatever order they lie.
    pub(super) fn map(order: Order, dtype: DType, dims: [usize; 4]) -> Result<Self> {
        let it = Self::new()?;
        // SAFETY: the descriptor lives.
        unsafe { result::set_tensor4d_descriptor(it.0, order.format(), data_type(dtype)?, ints(dims)?) }?;
        Ok(it)
    }

    /// The parameters of a norm over maps like `map`.
    pub(super) fn norm_parameters(map: &Self, mode: sys::cudnnBatchNormMode_t) -> Result<Self> {
        let it = Self::new()?;
        // SAFETY: both descriptors live and `map` is set.
        unsafe { sys::cudnnDeriveBNTensorDescriptor(it.0, map.0, mode) }.result()?;
        Ok(it)
    }
}

impl FilterDescriptor {
    /// `dims` are filters, channels of a group, height, width, in whatever order they lie.
    pub(super) fn filter(order: Order, dtype: DType, dims: [usize; 4]) -> Result<Self> {
        let it = Self::new()?;
        // SAFETY: the descriptor lives.
        unsafe { result::set_filter4d_descriptor(it.0, data_type(dtype)?, order.format(), ints(dims)?) }?;
        Ok(it)
    }
}

impl ConvolutionDescriptor {
    /// Vertical and horizontal steps; sums of half precision products are made in F32.
    pub(super) fn convolution(
        dtype: DType,
        pad: [usize; 2],
        stride: [usize; 2],
        dilation: [usize; 2],
        groups: usize,
    ) -> Result<Self> {
        let it = Self::new()?;
        let ([top, left], [down, right], [dy, dx]) = (ints(pad)?, ints(stride)?, ints(dilation)?);
        let [groups] = ints([groups])?;
        let mode = sys::cudnnConvolutionMode_t::CUDNN_CROSS_CORRELATION;
        let sums = data_type(if dtype == DType::F64 { DType::F64 } else { DType::F32 })?;
        // SAFETY: the descriptor lives.
        unsafe {
            result::set_convolution2d_descriptor(it.0, top, left, down, right, dy, dx, mode, sums)?;
            result::set_convolution_group_count(it.0, groups)?;
        }
        Ok(it)
    }

    /// Which units may multiply.
    pub(super) fn set_math(&self, math: sys::cudnnMathType_t) -> Result<()> {
        // SAFETY: the descriptor lives.
        Ok(unsafe { result::set_convolution_math_type(self.0, math) }?)
    }
}

/// Pointers to 1 and 0 in the type in which cuDNN scales results of `dtype`.
pub(super) fn one_and_zero(dtype: DType) -> [*const c_void; 2] {
    const SINGLE: &[f32; 2] = &[1.0, 0.0];
    const DOUBLE: &[f64; 2] = &[1.0, 0.0];
    match dtype {
        DType::F64 => [&raw const DOUBLE[0], &raw const DOUBLE[1]].map(<*const f64>::cast),
        _ => [&raw const SINGLE[0], &raw const SINGLE[1]].map(<*const f32>::cast),
    }
}

fn data_type(dtype: DType) -> Result<sys::cudnnDataType_t> {
    Ok(match dtype {
        DType::F32 => sys::cudnnDataType_t::CUDNN_DATA_FLOAT,
        DType::F64 => sys::cudnnDataType_t::CUDNN_DATA_DOUBLE,
        DType::F16 => sys::cudnnDataType_t::CUDNN_DATA_HALF,
        DType::BF16 => sys::cudnnDataType_t::CUDNN_DATA_BFLOAT16,
        other => bail!("cuDNN is not used for {other:?}; use F32, F64, BF16 or F16"),
    })
}

fn ints<const N: usize>(values: [usize; N]) -> Result<[c_int; N]> {
    let mut ints = [0; N];
    for (to, from) in ints.iter_mut().zip(values) {
        *to = c_int::try_from(from).map_err(|_| Error::msg(format!("cuDNN takes sizes below 2^31, got {from}")))?;
    }
    Ok(ints)
}
