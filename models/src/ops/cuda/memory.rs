//! Addresses of a storage's numbers on the device, whatever their type.
#![allow(unsafe_code)]

use super::Input;
use candle_core::backend::{BackendDevice, BackendStorage};
use candle_core::cuda_backend::CudaStorageSlice as Slice;
use candle_core::cuda_backend::cudarc::driver::sys::CUdeviceptr;
use candle_core::cuda_backend::cudarc::driver::{CudaStream, DevicePtr, DevicePtrMut, SyncOnDrop};
use candle_core::{CudaDevice, CudaStorage, DType, Result, Shape, bail};

/// Where numbers lie. Work on them must be queued while this lives: dropping it tells other streams when they are free.
pub(super) struct Address<'a> {
    at: CUdeviceptr,
    _queued: SyncOnDrop<'a>,
}

impl Address<'_> {
    /// As an argument of a kernel.
    pub(super) fn device_pointer(&self) -> &CUdeviceptr {
        &self.at
    }
    /// As an argument of a library; points into the device's memory.
    #[cfg(feature = "cudnn")]
    pub(super) fn raw(&self) -> *mut std::ffi::c_void {
        self.at as *mut std::ffi::c_void
    }
}

/// Where the numbers of `input` lie, for work on `stream` that reads them.
pub(super) fn read<'a>((storage, layout): Input<'a>, stream: &'a CudaStream) -> Result<Address<'a>> {
    let Some((start, _)) = layout.contiguous_offsets() else { bail!("kernel input is not contiguous") };
    let (at, queued) = match &storage.slice {
        Slice::F32(s) => s.device_ptr(stream),
        Slice::F64(s) => s.device_ptr(stream),
        Slice::BF16(s) => s.device_ptr(stream),
        Slice::F16(s) => s.device_ptr(stream),
        _ => bail!("no CUDA kernel for {:?}; use F32, F64, BF16 or F16", storage.dtype()),
    };
    Ok(Address { at: at + (start * storage.dtype().size_in_bytes()) as u64, _queued: queued })
}

/// Where the numbers of `storage` lie, for work on `stream` that writes them.
pub(super) fn write<'a>(storage: &'a mut CudaStorage, stream: &'a CudaStream) -> Result<Address<'a>> {
    let (at, queued) = match &mut storage.slice {
        Slice::F32(s) => s.device_ptr_mut(stream),
        Slice::F64(s) => s.device_ptr_mut(stream),
        Slice::BF16(s) => s.device_ptr_mut(stream),
        Slice::F16(s) => s.device_ptr_mut(stream),
        Slice::U8(s) => s.device_ptr_mut(stream),
        other => bail!("no CUDA kernel writes {other:?}"),
    };
    Ok(Address { at, _queued: queued })
}

/// Room for `shape`; every caller's kernel fills all of it.
pub(super) fn uninitialized(device: &CudaDevice, shape: &Shape, dtype: DType) -> Result<CudaStorage> {
    // SAFETY: memory of the device cannot be read by Rust code; kernels queued later on the same stream write it first.
    unsafe { device.alloc_uninit(shape, dtype) }
}
