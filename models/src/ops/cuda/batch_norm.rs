//! Batch norm by cuDNN: training forward and backward, inference with constant statistics.
#![allow(unsafe_code)]

use super::cudnn::{Handle, MapDescriptor, Order, one_and_zero};
use super::memory::{read, uninitialized, write};
use super::{Input, Output};
use crate::ops::batch_norm::Statistics;
use candle_core::backend::{BackendDevice, BackendStorage};
use candle_core::cuda_backend::cudarc::cudnn::sys;
use candle_core::op::BackpropOp;
use candle_core::{
    CpuStorage, CudaStorage, CustomOp3, DType, Layout, Result, Shape, Storage, StorageRef, Tensor, bail,
};
use std::rc::Rc;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// One mean for each channel. The *persistent* mode, faster in half precision, loses accuracy on some networks.
const MODE: sys::cudnnBatchNormMode_t = sys::cudnnBatchNormMode_t::CUDNN_BATCHNORM_SPATIAL;

/// `x` `[.., C]` normalized by its own statistics; more than one value a channel.
pub(crate) fn train(x: &Tensor, weight: &Tensor, bias: &Tensor, eps: f64) -> Result<(Tensor, Statistics)> {
    match train_in_type(x, weight, bias, eps) {
        Err(_) if is_half(x) => {
            let (y, statistics) = train_in_type(&x.to_dtype(DType::F32)?, weight, bias, eps)?;
            Ok((y.to_dtype(x.dtype())?, statistics))
        }
        done => done,
    }
}

/// `x` `[.., C]` normalized by constant `mean` and `variance`. No gradient.
pub(crate) fn inference(
    x: &Tensor,
    weight: &Tensor,
    bias: &Tensor,
    statistics: (&Tensor, &Tensor),
    eps: f64,
) -> Result<Tensor> {
    match inference_in_type(x, weight, bias, statistics, eps) {
        Err(_) if is_half(x) => {
            inference_in_type(&x.to_dtype(DType::F32)?, weight, bias, statistics, eps)?.to_dtype(x.dtype())
        }
        done => done,
    }
}

/// cuDNN has norms in BF16 from the Ampere generation on; elsewhere they are computed in F32.
fn is_half(x: &Tensor) -> bool {
    matches!(x.dtype(), DType::BF16 | DType::F16)
}

fn train_in_type(x: &Tensor, weight: &Tensor, bias: &Tensor, eps: f64) -> Result<(Tensor, Statistics)> {
    let saved = Arc::new(Mutex::new(None));
    let [weight, bias] = [parameter(x, weight)?, parameter(x, bias)?];
    let y = x.contiguous()?.apply_op3(&weight, &bias, Train { eps, saved: saved.clone() })?;
    let Some(Saved { mean, unbiased, .. }) = lock(&saved).clone() else { bail!("batch_norm: no statistics") };
    let count = x.elem_count() / weight.elem_count();
    let variance = (unbiased * ((count - 1) as f64 / count as f64))?;
    Ok((y, Statistics { mean, variance, count }))
}

fn inference_in_type(
    x: &Tensor,
    weight: &Tensor,
    bias: &Tensor,
    (mean, variance): (&Tensor, &Tensor),
    eps: f64,
) -> Result<Tensor> {
    let x = x.contiguous()?;
    let vectors = [parameter(&x, weight)?, parameter(&x, bias)?, parameter(&x, mean)?, parameter(&x, variance)?];
    let held = vectors.each_ref().map(Tensor::storage_and_layout);
    let [weight, bias, mean, variance] = [cuda(&held[0])?, cuda(&held[1])?, cuda(&held[2])?, cuda(&held[3])?];
    let held = x.storage_and_layout();
    let input = cuda(&held)?;
    let (handle, norm) = Norm::new(input)?;
    let stream = handle.stream();
    let mut out = uninitialized(input.0.device(), x.shape(), x.dtype())?;
    {
        let (x, y) = (read(input, stream)?, write(&mut out, stream)?);
        let [weight, bias] = [read(weight, stream)?, read(bias, stream)?];
        let [mean, variance] = [read(mean, stream)?, read(variance, stream)?];
        let [one, zero] = one_and_zero(norm.dtype);
        let (map, vector) = (norm.map.raw(), norm.vector.raw());
        // SAFETY: handle, descriptors and memory live until the work is queued; maps and vectors lie as described.
        unsafe {
            sys::cudnnBatchNormalizationForwardInference(
                handle.raw(),
                MODE,
                one,
                zero,
                map,
                x.raw(),
                map,
                y.raw(),
                vector,
                weight.raw(),
                bias.raw(),
                mean.raw(),
                variance.raw(),
                eps,
            )
        }
        .result()?;
    }
    Ok(tensor(out, x.shape()))
}

/// What the forward pass leaves to the backward pass and to the running statistics, all `[C]`.
#[derive(Clone)]
struct Saved {
    mean: Tensor,
    /// `1 / sqrt(variance + eps)`.
    inverse: Tensor,
    /// Variance divided by one less than the number of values.
    unbiased: Tensor,
}

struct Train {
    eps: f64,
    saved: Arc<Mutex<Option<Saved>>>,
}

impl CustomOp3 for Train {
    fn name(&self) -> &'static str {
        "batch_norm"
    }

    fn cpu_fwd(
        &self,
        _: &CpuStorage,
        _: &Layout,
        _: &CpuStorage,
        _: &Layout,
        _: &CpuStorage,
        _: &Layout,
    ) -> Result<(CpuStorage, Shape)> {
        bail!("batch_norm: this is the op for CUDA")
    }

    fn cuda_fwd(
        &self,
        x: &CudaStorage,
        lx: &Layout,
        w: &CudaStorage,
        lw: &Layout,
        b: &CudaStorage,
        lb: &Layout,
    ) -> Result<Output> {
        let (handle, norm) = Norm::new((x, lx))?;
        let stream = handle.stream();
        let mut out = uninitialized(x.device(), lx.shape(), x.dtype())?;
        let vector = || uninitialized(x.device(), lw.shape(), w.dtype());
        let (mut mean, mut inverse) = (vector()?, vector()?);
        // "Running" statistics that move all the way: the batch's own. Zeros, because cuDNN multiplies them by 0.
        let zeros = || x.device().zeros_impl(lw.shape(), w.dtype());
        let (mut running_mean, mut unbiased) = (zeros()?, zeros()?);
        {
            let (x, y) = (read((x, lx), stream)?, write(&mut out, stream)?);
            let [w, b] = [read((w, lw), stream)?, read((b, lb), stream)?];
            let [mean, inverse] = [write(&mut mean, stream)?, write(&mut inverse, stream)?];
            let [running_mean, unbiased] = [write(&mut running_mean, stream)?, write(&mut unbiased, stream)?];
            let [one, zero] = one_and_zero(norm.dtype);
            let (map, vector) = (norm.map.raw(), norm.vector.raw());
            // SAFETY: handle, descriptors and memory live until the work is queued; maps and vectors lie as described.
            unsafe {
                sys::cudnnBatchNormalizationForwardTraining(
                    handle.raw(),
                    MODE,
                    one,
                    zero,
                    map,
                    x.raw(),
                    map,
                    y.raw(),
                    vector,
                    w.raw(),
                    b.raw(),
                    1.0,
                    running_mean.raw(),
                    unbiased.raw(),
                    self.eps,
                    mean.raw(),
                    inverse.raw(),
                )
            }
            .result()?;
        }
        let [mean, inverse, unbiased] = [mean, inverse, unbiased].map(|s| tensor(s, lw.shape()));
        *lock(&self.saved) = Some(Saved { mean, inverse, unbiased });
        Ok((out, lx.shape().clone()))
    }

    fn bwd(
        &self,
        x: &Tensor,
        weight: &Tensor,
        bias: &Tensor,
        _: &Tensor,
        dy: &Tensor,
    ) -> Result<(Option<Tensor>, Option<Tensor>, Option<Tensor>)> {
        let Some(Saved { mean, inverse, .. }) = lock(&self.saved).clone() else {
            bail!("batch_norm: backward before forward")
        };
        let dy = dy.contiguous()?;
        let held = [x, &dy, weight, &mean, &inverse].map(Tensor::storage_and_layout);
        let [input, output_gradient] = [cuda(&held[0])?, cuda(&held[1])?];
        let [scale, mean, inverse] = [cuda(&held[2])?, cuda(&held[3])?, cuda(&held[4])?];
        let (handle, norm) = Norm::new(input)?;
        let (stream, device) = (handle.stream(), input.0.device());
        let mut dx = uninitialized(device, x.shape(), x.dtype())?;
        let vector = || uninitialized(device, weight.shape(), weight.dtype());
        let (mut dw, mut db) = (vector()?, vector()?);
        {
            let [x, dy] = [read(input, stream)?, read(output_gradient, stream)?];
            let [scale, mean, inverse] = [read(scale, stream)?, read(mean, stream)?, read(inverse, stream)?];
            let [dx, dw, db] = [write(&mut dx, stream)?, write(&mut dw, stream)?, write(&mut db, stream)?];
            let [one, zero] = one_and_zero(norm.dtype);
            let (map, vector) = (norm.map.raw(), norm.vector.raw());
            // SAFETY: handle, descriptors and memory live until the work is queued; maps and vectors lie as described.
            unsafe {
                sys::cudnnBatchNormalizationBackward(
                    handle.raw(),
                    MODE,
                    one,
                    zero,
                    one,
                    zero,
                    map,
                    x.raw(),
                    map,
                    dy.raw(),
                    map,
                    dx.raw(),
                    vector,
                    scale.raw(),
                    dw.raw(),
                    db.raw(),
                    self.eps,
                    mean.raw(),
                    inverse.raw(),
                )
            }
            .result()?;
        }
        Ok((
            x.track_op().then(|| tensor(dx, x.shape())),
            weight.track_op().then(|| tensor(dw, weight.shape())),
            bias.track_op().then(|| tensor(db, bias.shape())),
        ))
    }
}

/// The descriptors of a norm over `x`.
struct Norm {
    dtype: DType,
    map: MapDescriptor,
    vector: MapDescriptor,
}

impl Norm {
    fn new((x, layout): Input<'_>) -> Result<(Rc<Handle>, Self)> {
        let dtype = x.dtype();
        let dims = match *layout.dims() {
            [batch, height, width, channels] => [batch, channels, height, width],
            [.., channels] => [layout.shape().elem_count() / channels, channels, 1, 1],
            [] => bail!("batch_norm: no channels"),
        };
        let map = MapDescriptor::map(Order::Nhwc, dtype, dims)?;
        let vector = MapDescriptor::norm_parameters(&map, MODE)?;
        Ok((Handle::of(x.device())?, Self { dtype, map, vector }))
    }
}

/// `vector` as cuDNN takes it: F32, or F64 beside maps in F64.
fn parameter(x: &Tensor, vector: &Tensor) -> Result<Tensor> {
    let dtype = if x.dtype() == DType::F64 { DType::F64 } else { DType::F32 };
    vector.to_dtype(dtype)?.contiguous()
}

fn tensor(storage: CudaStorage, shape: &Shape) -> Tensor {
    Tensor::from_storage(Storage::Cuda(storage), shape.clone(), BackpropOp::none(), false)
}

fn cuda<'a>((storage, layout): &'a (StorageRef<'_>, &Layout)) -> Result<Input<'a>> {
    match &**storage {
        Storage::Cuda(storage) => Ok((storage, layout)),
        _ => bail!("batch_norm: all tensors must be on one CUDA device"),
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
