//! Convolution by cuDNN, forward and both gradients: any groups, dilation, stride and padding; F32 (on TF32 units, as
//! PyTorch's default), BF16 and F16 with sums in F32, F64.
//!
//! Maps stay `[B, H, W, C]`; weights are brought from `[O, I, h, w]` to cuDNN's `[O, h, w, I]` and back. What cuDNN cannot do
//! in that order it does with channels first, on copies.
#![allow(unsafe_code)]

use super::cudnn::{ConvolutionDescriptor, FilterDescriptor, Handle, MapDescriptor, Order, one_and_zero};
use super::memory::{read, uninitialized, write};
use super::{Input, Output};
use crate::ops::window::{Sweep, Window};
use candle_core::backend::BackendStorage;
use candle_core::cuda_backend::DeviceId;
use candle_core::cuda_backend::cudarc::cudnn::{result, sys};
use candle_core::{CudaStorage, DType, Layout, Result, Shape, bail};
use std::cell::RefCell;
use std::collections::HashMap;
use std::rc::Rc;

/// `x` `[B, H, W, C]`, `w` `[O, C/groups, k, k]` → `[B, H', W', O]`.
pub(crate) fn forward(at: Window, x: Input<'_>, w: Input<'_>) -> Result<Output> {
    run(Pass::Forward, Problem::new(x.1.dims(), w.1.dims(), at)?, x, w)
}

/// `dy`, `w` → gradient of an `x` of shape `shape`.
pub(crate) fn grad_input(at: Window, shape: &Shape, dy: Input<'_>, w: Input<'_>) -> Result<Output> {
    run(Pass::GradInput, Problem::new(shape.dims(), w.1.dims(), at)?, dy, w)
}

/// `x`, `dy` → gradient of a `w` of shape `shape`.
pub(crate) fn grad_weight(at: Window, shape: &Shape, x: Input<'_>, dy: Input<'_>) -> Result<Output> {
    run(Pass::GradWeight, Problem::new(x.1.dims(), shape.dims(), at)?, x, dy)
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
enum Pass {
    Forward,
    GradInput,
    GradWeight,
}

/// Everything about one convolution but its numbers; pairs are vertical and horizontal.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
struct Problem {
    batch: usize,
    channels: usize,
    size: [usize; 2],
    filters: usize,
    group_channels: usize,
    kernel: [usize; 2],
    out: [usize; 2],
    pad: [usize; 2],
    stride: [usize; 2],
    dilation: [usize; 2],
    groups: usize,
}

impl Problem {
    fn new(x: &[usize], weight: &[usize], at: Window) -> Result<Self> {
        let s = Sweep::new("conv2d", x, at)?;
        let [filters, group_channels, height, width] = *weight else {
            bail!("conv2d: expected a weight [O, C/groups, k, k], got {weight:?}")
        };
        Ok(Self {
            batch: s.batch,
            channels: s.channels,
            size: [s.height, s.width],
            filters,
            group_channels,
            kernel: [height, width],
            out: [s.out_height, s.out_width],
            pad: at.axes().map(|axis| axis.pad),
            stride: [at.stride; 2],
            dilation: [at.dilation; 2],
            groups: at.groups,
        })
    }
    fn x(&self) -> [usize; 4] {
        [self.batch, self.size[0], self.size[1], self.channels]
    }
    fn y(&self) -> [usize; 4] {
        [self.batch, self.out[0], self.out[1], self.filters]
    }
    fn weight(&self) -> [usize; 4] {
        [self.filters, self.group_channels, self.kernel[0], self.kernel[1]]
    }
}

#[derive(Clone, Copy)]
enum Algorithm {
    Forward(sys::cudnnConvolutionFwdAlgo_t),
    GradInput(sys::cudnnConvolutionBwdDataAlgo_t),
    GradWeight(sys::cudnnConvolutionBwdFilterAlgo_t),
}

/// How cuDNN does one pass of one convolution.
struct Plan {
    shapes: Rc<Shapes>,
    choice: Candidate,
}

/// One convolution as cuDNN describes it.
struct Shapes {
    order: Order,
    x: MapDescriptor,
    weight: FilterDescriptor,
    y: MapDescriptor,
    convolution: ConvolutionDescriptor,
}

type Key = (DeviceId, Pass, Problem, DType);

thread_local! {
    /// Plans that worked, by shape: asking cuDNN again would give the same ones.
    static PLANS: RefCell<HashMap<Key, Rc<Plan>>> = RefCell::default();
}

/// Algorithms that want more than this, in bytes, are passed over.
const WORKSPACE_LIMIT: usize = 1 << 30;

/// What cuDNN says of one algorithm.
struct Candidate {
    algorithm: Algorithm,
    works: bool,
    /// Workspace in bytes.
    memory: usize,
    deterministic: bool,
    math: sys::cudnnMathType_t,
}

/// Asks one of cuDNN's three heuristics: the fastest algorithm comes first, and none when there is none.
macro_rules! candidates {
    ($ask:ident($($argument:expr),+) -> $algorithm:path) => {{
        // SAFETY: numbers and enumerations for which zero is a value.
        let mut found = [unsafe { std::mem::zeroed() }; 8];
        let mut count = 0;
        // SAFETY: handle and descriptors live, and there is room for the 8 answers that are asked for.
        let asked = unsafe { result::$ask($($argument.raw()),+, 8, &mut count, found.as_mut_ptr()) };
        let count = if asked.is_ok() { usize::try_from(count).unwrap_or(0) } else { 0 };
        let candidates = found.iter().take(count).map(|p| Candidate {
            algorithm: $algorithm(p.algo),
            works: p.status == sys::cudnnStatus_t::CUDNN_STATUS_SUCCESS && p.memory <= WORKSPACE_LIMIT,
            memory: p.memory,
            deterministic: p.determinism == sys::cudnnDeterminism_t::CUDNN_DETERMINISTIC,
            math: p.mathType,
        });
        candidates.collect::<Vec<_>>()
    }};
}

impl Shapes {
    fn new(order: Order, p: &Problem, dtype: DType) -> Result<Self> {
        let convolution = ConvolutionDescriptor::convolution(dtype, p.pad, p.stride, p.dilation, p.groups)?;
        convolution.set_math(match dtype {
            DType::BF16 | DType::F16 => sys::cudnnMathType_t::CUDNN_TENSOR_OP_MATH,
            _ => sys::cudnnMathType_t::CUDNN_DEFAULT_MATH,
        })?;
        Ok(Self {
            order,
            x: MapDescriptor::map(order, dtype, [p.batch, p.channels, p.size[0], p.size[1]])?,
            weight: FilterDescriptor::filter(order, dtype, p.weight())?,
            y: MapDescriptor::map(order, dtype, [p.batch, p.filters, p.out[0], p.out[1]])?,
            convolution,
        })
    }

    /// The algorithms of `pass`, best first.
    fn candidates(&self, handle: &Handle, pass: Pass) -> Vec<Candidate> {
        let Self { x, weight, y, convolution, .. } = self;
        let mut found = match pass {
            Pass::Forward => {
                candidates!(get_convolution_forward_algorithm(handle, x, weight, convolution, y) -> Algorithm::Forward)
            }
            Pass::GradInput => candidates!(
                get_convolution_backward_data_algorithm(handle, weight, y, convolution, x) -> Algorithm::GradInput
            ),
            Pass::GradWeight => candidates!(
                get_convolution_backward_filter_algorithm(handle, x, y, convolution, weight) -> Algorithm::GradWeight
            ),
        };
        found.retain(|c| c.works);
        // The same sum every time is worth a little speed.
        found.sort_by_key(|c| !c.deterministic);
        found
    }
}

#[derive(Clone, Copy)]
enum Kind {
    /// Ours is `[B, H, W, C]`.
    Map,
    /// Ours is `[O, I, h, w]`.
    Weight,
}

impl Kind {
    /// Axes of ours in cuDNN's order, and the way back; `None` where both are the same.
    fn axes(self, order: Order) -> Option<[[usize; 4]; 2]> {
        let (channel_second, channel_last) = ([0, 3, 1, 2], [0, 2, 3, 1]);
        match (self, order) {
            (Self::Map, Order::Nhwc) | (Self::Weight, Order::Nchw) => None,
            (Self::Map, Order::Nchw) => Some([channel_second, channel_last]),
            (Self::Weight, Order::Nhwc) => Some([channel_last, channel_second]),
        }
    }
}

/// `input` with its axes in another order; `None` when its numbers already lie so (one channel, one pixel).
fn permuted((storage, layout): Input<'_>, axes: [usize; 4]) -> Result<Option<CudaStorage>> {
    let layout = layout.permute(&axes)?;
    if layout.is_contiguous() {
        return Ok(None);
    }
    let mut copy = uninitialized(storage.device(), layout.shape(), storage.dtype())?;
    storage.copy_strided_src(&mut copy, 0, &layout)?;
    Ok(Some(copy))
}

fn run(pass: Pass, problem: Problem, a: Input<'_>, b: Input<'_>) -> Result<Output> {
    let (device, dtype) = (a.0.device(), a.0.dtype());
    if b.0.dtype() != dtype {
        bail!("conv2d: {dtype:?} and {:?} do not go together; cast one of them", b.0.dtype())
    }
    let handle = Handle::of(device)?;
    let key = (device.id(), pass, problem, dtype);
    if let Some(plan) = PLANS.with_borrow(|plans| plans.get(&key).cloned()) {
        return plan.apply(&handle, &key, a, b);
    }
    let mut refusal = "no algorithm".to_string();
    for order in [Order::Nhwc, Order::Nchw] {
        let shapes = Rc::new(Shapes::new(order, &problem, dtype)?);
        for choice in shapes.candidates(&handle, pass) {
            let plan = Plan { shapes: shapes.clone(), choice };
            // cuDNN promises more than it can do: only running tells.
            match plan.apply(&handle, &key, a, b) {
                Ok(out) => {
                    PLANS.with_borrow_mut(|plans| plans.insert(key, Rc::new(plan)));
                    return Ok(out);
                }
                Err(error) => refusal = error.to_string(),
            }
        }
    }
    bail!(
        "conv2d: cuDNN cannot do {pass:?} of {problem:?} in {dtype:?} ({refusal}); try smaller batches or another type"
    )
}

impl Plan {
    /// From operands in our order to the result in our order.
    fn apply(&self, handle: &Handle, (_, pass, problem, dtype): &Key, a: Input<'_>, b: Input<'_>) -> Result<Output> {
        let (kinds, out_kind, dims) = match pass {
            Pass::Forward => ([Kind::Map, Kind::Weight], Kind::Map, problem.y()),
            Pass::GradInput => ([Kind::Map, Kind::Weight], Kind::Map, problem.x()),
            Pass::GradWeight => ([Kind::Map, Kind::Map], Kind::Weight, problem.weight()),
        };
        let order = self.shapes.order;
        let arranged = |input: Input<'_>, kind: Kind| match kind.axes(order) {
            Some([there, _]) => permuted(input, there),
            None => Ok(None),
        };
        let (a_copy, b_copy) = (arranged(a, kinds[0])?, arranged(b, kinds[1])?);
        let start = Layout::contiguous(0);
        let a = a_copy.as_ref().map_or(a, |copy| (copy, &start));
        let b = b_copy.as_ref().map_or(b, |copy| (copy, &start));

        let shape = Shape::from(dims.to_vec());
        let mut out = uninitialized(a.0.device(), &shape, *dtype)?;
        self.execute(handle, *dtype, a, b, &mut out)?;
        if let Some([there, back]) = out_kind.axes(order) {
            // The result's axes lie as `there` puts them.
            let lies = Layout::contiguous(there.map(|axis| dims[axis]).to_vec());
            if let Some(copy) = permuted((&out, &lies), back)? {
                out = copy;
            }
        }
        Ok((out, shape))
    }

    fn execute(&self, handle: &Handle, dtype: DType, a: Input<'_>, b: Input<'_>, out: &mut CudaStorage) -> Result<()> {
        let Self { shapes, choice } = self;
        // Each candidate has its own units, the descriptor is shared.
        shapes.convolution.set_math(choice.math)?;
        // Freed when its turn comes on the stream: it may be dropped as soon as the work is queued.
        let mut workspace = uninitialized(a.0.device(), &Shape::from(choice.memory.max(1)), DType::U8)?;
        let stream = handle.stream();
        let (a, b, out) = (read(a, stream)?, read(b, stream)?, write(out, stream)?);
        let space = write(&mut workspace, stream)?;
        let [one, zero] = one_and_zero(dtype);
        let (h, convolution) = (handle.raw(), shapes.convolution.raw());
        let (x, w, y) = (shapes.x.raw(), shapes.weight.raw(), shapes.y.raw());
        let (a, b, out, space, bytes) = (a.raw(), b.raw(), out.raw(), space.raw(), choice.memory);
        // SAFETY: handle, descriptors and memory live until the work is queued; `apply` gives operands that lie as the
        // descriptors say, `out` has room for the result, and `space` has the size that cuDNN asked for.
        unsafe {
            match choice.algorithm {
                Algorithm::Forward(algorithm) => {
                    result::convolution_forward(h, one, x, a, w, b, convolution, algorithm, space, bytes, zero, y, out)
                }
                Algorithm::GradInput(algorithm) => result::convolution_backward_data(
                    h,
                    one,
                    w,
                    b,
                    y,
                    a,
                    convolution,
                    algorithm,
                    space,
                    bytes,
                    zero,
                    x,
                    out,
                ),
                Algorithm::GradWeight(algorithm) => result::convolution_backward_filter(
                    h,
                    one,
                    x,
                    a,
                    y,
                    b,
                    convolution,
                    algorithm,
                    space,
                    bytes,
                    zero,
                    w,
                    out,
                ),
            }
        }?;
        Ok(())
    }
}
