//! One pass over memory for a parameter, its gradient and the optimizer's state, on the CPU in F32.
//!
//! Written with plain candle operations a step of SGD is five passes and five new tensors.

use candle_core::{CpuStorage, DType, Device, InplaceOp1, Layout, Result, Storage, Tensor, bail};
use rayon::prelude::*;
use std::cell::RefCell;

/// Numbers that a thread updates at a time.
const PIECE: usize = 1 << 14;

/// Whether [`update`] takes them.
pub(crate) fn fits(tensors: &[&Tensor]) -> bool {
    tensors.iter().all(|t| matches!(t.device(), Device::Cpu) && t.dtype() == DType::F32 && t.is_contiguous())
}

type Edit<'a> = &'a mut dyn FnMut(&mut [f32]) -> Result<()>;

struct InPlace<'a>(RefCell<Edit<'a>>);

impl InplaceOp1 for InPlace<'_> {
    fn name(&self) -> &'static str {
        "update"
    }
    fn cpu_fwd(&self, storage: &mut CpuStorage, layout: &Layout) -> Result<()> {
        match (storage, layout.contiguous_offsets()) {
            (CpuStorage::F32(v), Some((start, end))) => (self.0.borrow_mut())(&mut v[start..end]),
            _ => bail!("an update in place needs contiguous F32 tensors on the CPU"),
        }
    }
}

fn edit(tensor: &Tensor, f: Edit<'_>) -> Result<()> {
    tensor.inplace_op1(&InPlace(RefCell::new(f)))
}

fn read(tensor: &Tensor, f: impl FnOnce(&[f32]) -> Result<()>) -> Result<()> {
    let (storage, layout) = tensor.storage_and_layout();
    match (&*storage, layout.contiguous_offsets()) {
        (Storage::Cpu(CpuStorage::F32(v)), Some((start, end))) => f(&v[start..end]),
        _ => bail!("an update in place needs contiguous F32 tensors on the CPU"),
    }
}

/// `f(p, g, state)` for every number of a parameter.
pub(crate) fn update1(p: &Tensor, g: &Tensor, v: &Tensor, f: impl Fn(&mut f32, f32, &mut f32) + Sync) -> Result<()> {
    edit(v, &mut |v| {
        edit(p, &mut |p| {
            read(g, |g| {
                let pieces = p.par_chunks_mut(PIECE).zip(v.par_chunks_mut(PIECE)).zip(g.par_chunks(PIECE));
                pieces.for_each(|((p, v), g)| p.iter_mut().zip(v).zip(g).for_each(|((p, v), g)| f(p, *g, v)));
                Ok(())
            })
        })
    })
}

/// The same with two numbers of state.
pub(crate) fn update2(
    p: &Tensor,
    g: &Tensor,
    [m, v]: [&Tensor; 2],
    f: impl Fn(&mut f32, f32, &mut f32, &mut f32) + Sync,
) -> Result<()> {
    edit(m, &mut |m| {
        edit(v, &mut |v| {
            edit(p, &mut |p| {
                read(g, |g| {
                    let state = m.par_chunks_mut(PIECE).zip(v.par_chunks_mut(PIECE));
                    let pieces = p.par_chunks_mut(PIECE).zip(state).zip(g.par_chunks(PIECE));
                    pieces.for_each(|((p, (m, v)), g)| {
                        p.iter_mut().zip(m.iter_mut().zip(v)).zip(g).for_each(|((p, (m, v)), g)| f(p, *g, m, v));
                    });
                    Ok(())
                })
            })
        })
    })
}

/// A copy of every tensor: what is updated in place must not change in a checkpoint that is still to be written.
pub(crate) fn snapshot(state: &super::State) -> super::State {
    state.iter().map(|(name, t)| (name.clone(), t.copy().unwrap_or_else(|_| t.clone()))).collect()
}
