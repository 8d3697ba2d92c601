//! Kernels of ours: `kernels.cu`, compiled by NVRTC at first use, so that building needs no compiler for them.
#![allow(unsafe_code)]

use super::memory::{read, uninitialized, write};
use super::{Input, Output};
use crate::ops::window::Sweep;
use candle_core::backend::BackendStorage;
use candle_core::cuda_backend::cudarc::driver::{CudaModule, DeviceRepr, LaunchConfig, PushKernelArg};
use candle_core::cuda_backend::cudarc::nvrtc::compile_ptx;
use candle_core::cuda_backend::{DeviceId, WrapErr};
use candle_core::{CudaDevice, Error, Result, Shape, bail};
use std::cell::RefCell;
use std::collections::HashMap;
use std::sync::Arc;

const SOURCE: &str = include_str!("kernels.cu");
const THREADS: u32 = 256;

thread_local! {
    /// The compiled source on each device: the same for every thread and at any time, so a cache and no state.
    static MODULES: RefCell<HashMap<DeviceId, Arc<CudaModule>>> = RefCell::default();
}

fn module(device: &CudaDevice) -> Result<Arc<CudaModule>> {
    if let Some(module) = MODULES.with_borrow(|modules| modules.get(&device.id()).cloned()) {
        return Ok(module);
    }
    let ptx = compile_ptx(SOURCE).w().map_err(|e| {
        Error::msg(format!("cannot compile kernels for the GPU ({e}); NVRTC must be that of CUDA 11.2 or newer"))
    })?;
    let module = device.cuda_stream().context().load_module(ptx).map_err(|e| {
        Error::msg(format!("the GPU's driver refuses kernels ({e}); it must be at least as new as the CUDA toolkit"))
    })?;
    MODULES.with_borrow_mut(|modules| modules.insert(device.id(), module.clone()));
    Ok(module)
}

/// [`Sweep`] as `kernels.cu` declares it.
#[repr(C)]
#[derive(Clone, Copy)]
struct Window([i32; 9]);

// SAFETY: nine 32-bit integers, the same bytes as `struct Window` of `kernels.cu`.
unsafe impl DeviceRepr for Window {}

impl Window {
    fn new(s: &Sweep) -> Result<Self> {
        let at = s.at;
        let fields =
            [s.height, s.width, s.channels, s.out_height, s.out_width, at.size, at.stride, at.pad, at.dilation];
        let mut window = [0; 9];
        for (to, from) in window.iter_mut().zip(fields) {
            *to = i32::try_from(from).map_err(|_| Error::msg(format!("a window over {from} pixels is too large")))?;
        }
        Ok(Self(window))
    }
}

/// Runs kernel `name` in the type of the first input, one thread for each number of an output of `shape`.
/// Its arguments are the inputs, the output, how many numbers that has, and the window if there is one.
pub(crate) fn launch(name: &str, inputs: &[Input<'_>], shape: &Shape, sweep: Option<&Sweep>) -> Result<Output> {
    let Some((first, _)) = inputs.first() else { bail!("{name}: no input") };
    let (device, dtype) = (first.device(), first.dtype());
    if inputs.iter().any(|(input, _)| input.dtype() != dtype) {
        bail!("{name}: inputs of different types")
    }
    let Ok(count) = u32::try_from(shape.elem_count()) else {
        bail!("{name}: {shape:?} has more than 2^32 values; use smaller batches")
    };
    let window = sweep.map(Window::new).transpose()?;
    let mut out = uninitialized(device, shape, dtype)?;
    {
        let stream = device.cuda_stream();
        let from = inputs.iter().map(|input| read(*input, &stream)).collect::<Result<Vec<_>>>()?;
        let to = write(&mut out, &stream)?;
        let function = module(device)?.load_function(&format!("{name}_{}", dtype.as_str())).w()?;
        let mut kernel = stream.launch_builder(&function);
        for input in &from {
            kernel.arg(input.device_pointer());
        }
        kernel.arg(to.device_pointer()).arg(&count);
        if let Some(window) = &window {
            kernel.arg(window);
        }
        let blocks = (count.div_ceil(THREADS), 1, 1);
        let config = LaunchConfig { grid_dim: blocks, block_dim: (THREADS, 1, 1), shared_mem_bytes: 0 };
        // SAFETY: the arguments are those of `kernels.cu`'s `name`: addresses of contiguous numbers of type `dtype`,
        // alive until the kernel is queued, inputs of the shapes that `sweep` describes and `count` values of room.
        unsafe { kernel.launch(config) }.w()?;
    }
    Ok((out, shape.clone()))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Needs NVRTC but no GPU. A missing library makes `cudarc` panic.
    #[test]
    fn every_kernel_compiles() {
        let Ok(ptx) = std::panic::catch_unwind(|| compile_ptx(SOURCE)) else {
            println!("skipped: NVRTC was not found");
            return;
        };
        let ptx = ptx.unwrap().to_src();
        for name in ["relu", "relu_grad", "max_pool", "max_pool_grad", "avg_pool", "avg_pool_grad"] {
            for dtype in ["f32", "f64", "bf16", "f16"] {
                assert!(ptx.contains(&format!(".entry {name}_{dtype}(")), "{name}_{dtype}");
            }
        }
    }
}
