//! A kernel over slices becomes a candle op: [`Kernel1`] and [`Kernel2`] are written once over [`Element`],
//! [`Op1`] and [`Op2`] dispatch on the data type.

use super::cuda::{Input, Output};
use super::element::{Element, narrowed, slice, widened};
use candle_core::{CpuStorage, CudaStorage, CustomOp1, CustomOp2, Layout, Result, Shape, Tensor, bail};

/// A function of one tensor.
pub(crate) trait Kernel1: Send + Sync {
    const NAME: &'static str;
    fn run<T: Element>(&self, x: &[T], shape: &Shape) -> Result<(Vec<T>, Shape)>;
    /// The same on a CUDA device.
    fn cuda(&self, _x: Input<'_>) -> Result<Output> {
        no_cuda(Self::NAME)
    }
    /// Gradient of the input from the input, the result and the result's gradient.
    fn grad(&self, _x: &Tensor, _y: &Tensor, _dy: &Tensor) -> Result<Tensor> {
        Err(candle_core::Error::BackwardNotSupported { op: Self::NAME })
    }
}

/// A function of two tensors.
pub(crate) trait Kernel2: Send + Sync {
    const NAME: &'static str;
    fn run<T: Element>(&self, a: &[T], a_shape: &Shape, b: &[T], b_shape: &Shape) -> Result<(Vec<T>, Shape)>;
    /// The same on a CUDA device.
    fn cuda(&self, _a: Input<'_>, _b: Input<'_>) -> Result<Output> {
        no_cuda(Self::NAME)
    }
    /// Gradients of the inputs. Called with contiguous `dy`; compute only what [`Tensor::track_op`] asks for.
    fn grad(&self, _a: &Tensor, _b: &Tensor, _dy: &Tensor) -> Result<(Option<Tensor>, Option<Tensor>)> {
        Err(candle_core::Error::BackwardNotSupported { op: Self::NAME })
    }
}

fn no_cuda(name: &str) -> Result<Output> {
    bail!("{name}: no CUDA kernel in this build; build with the features cuda and cudnn")
}

pub(crate) struct Op1<K>(pub K);
pub(crate) struct Op2<K>(pub K);

impl<K: Kernel1> CustomOp1 for Op1<K> {
    fn name(&self) -> &'static str {
        K::NAME
    }
    fn cpu_fwd(&self, s: &CpuStorage, l: &Layout) -> Result<(CpuStorage, Shape)> {
        if let CpuStorage::F64(_) = s {
            let (y, shape) = self.0.run(slice::<f64>(s, l)?, l.shape())?;
            return Ok((CpuStorage::F64(y), shape));
        }
        let (y, shape) = self.0.run(&widened(s, l)?, l.shape())?;
        Ok((narrowed(y, s), shape))
    }
    fn cuda_fwd(&self, s: &CudaStorage, l: &Layout) -> Result<Output> {
        self.0.cuda((s, l))
    }
    fn bwd(&self, x: &Tensor, y: &Tensor, dy: &Tensor) -> Result<Option<Tensor>> {
        self.0.grad(x, y, &dy.contiguous()?).map(Some)
    }
}

impl<K: Kernel2> CustomOp2 for Op2<K> {
    fn name(&self) -> &'static str {
        K::NAME
    }
    fn cpu_fwd(&self, a: &CpuStorage, la: &Layout, b: &CpuStorage, lb: &Layout) -> Result<(CpuStorage, Shape)> {
        if let CpuStorage::F64(_) = a {
            let (y, shape) = self.0.run(slice::<f64>(a, la)?, la.shape(), slice(b, lb)?, lb.shape())?;
            return Ok((CpuStorage::F64(y), shape));
        }
        let (y, shape) = self.0.run(&widened(a, la)?, la.shape(), &widened(b, lb)?, lb.shape())?;
        Ok((narrowed(y, a), shape))
    }
    fn cuda_fwd(&self, a: &CudaStorage, la: &Layout, b: &CudaStorage, lb: &Layout) -> Result<Output> {
        self.0.cuda((a, la), (b, lb))
    }
    fn bwd(&self, a: &Tensor, b: &Tensor, _y: &Tensor, dy: &Tensor) -> Result<(Option<Tensor>, Option<Tensor>)> {
        self.0.grad(a, b, &dy.contiguous()?)
    }
}

/// `values` cut into `parts` of fixed size, so that a result never depends on how many threads there are.
pub(crate) const PIXELS_PER_TASK: usize = 2048;
