//! One pass over memory for a parameter, its gradient and the optimizer's state, on the CPU in F32.
//!
//! Written with plain candle operations a step of SGD is five passes and five new tensors.

use super::rule::{Lane, Rule};
use candle_core::{CpuStorage, DType, Device, InplaceOp1, Layout, Result, Storage, Tensor, bail};
use rayon::prelude::*;
use std::array::from_fn;
use std::cell::RefCell;

/// Numbers of each tensor that a thread takes at a time; sums are added in the order of these pieces.
const PIECE: usize = 1 << 14;

/// Numbers of each tensor that are computed together.
const BLOCK: usize = 64;

/// How far ahead numbers are asked for.
const AHEAD: usize = 256;

/// Numbers of a line of the cache.
const LINE: usize = 16;

/// Whether [`apply`] takes them.
pub(crate) fn fits<'a>(mut tensors: impl Iterator<Item = &'a Tensor>) -> bool {
    tensors.all(|t| matches!(t.device(), Device::Cpu) && t.dtype() == DType::F32 && t.is_contiguous())
}

/// [`super::rule::apply`] in one pass.
pub(crate) fn apply<const W: usize, const R: usize, const S: usize>(
    rule: &impl Rule<W, R, S>,
    written: &[Tensor; W],
    read: [&Tensor; R],
) -> Result<[f64; S]> {
    let guards = read.map(Tensor::storage_and_layout);
    let mut slices = [&[][..]; R];
    for (slice, (storage, layout)) in slices.iter_mut().zip(&guards) {
        match (&**storage, layout.contiguous_offsets()) {
            (Storage::Cpu(CpuStorage::F32(v)), Some((start, end))) => *slice = &v[start..end],
            _ => return refuse(),
        }
    }
    let mut sums = [0.0; S];
    edit(written, Vec::with_capacity(W), &mut |held| {
        let Ok(held) = <[&mut [f32]; W]>::try_from(held) else { return refuse() };
        let n = held.first().map(|s| s.len()).or(slices.first().map(|s| s.len())).unwrap_or(0);
        if held.iter().any(|s| s.len() != n) || slices.iter().any(|s| s.len() != n) {
            bail!("an update in place needs tensors of one shape");
        }
        sums = run(rule, n, held, slices);
        Ok(())
    })?;
    Ok(sums)
}

/// `f` on the numbers of all of `written`, in place, and of `read`.
pub(crate) fn with(
    written: &[Tensor],
    read: &Tensor,
    mut f: impl FnMut(Vec<&mut [f32]>, &[f32]) -> Result<()>,
) -> Result<()> {
    let (storage, layout) = read.storage_and_layout();
    match (&*storage, layout.contiguous_offsets()) {
        (Storage::Cpu(CpuStorage::F32(v)), Some((start, end))) => {
            edit(written, Vec::with_capacity(written.len()), &mut |held| f(held, &v[start..end]))
        }
        _ => refuse(),
    }
}

fn refuse<T>() -> Result<T> {
    bail!("an update in place needs contiguous F32 tensors on the CPU")
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
            _ => refuse(),
        }
    }
}

/// `f` on the numbers of all of `rest`, after those that are `held` already.
fn edit(rest: &[Tensor], held: Vec<&mut [f32]>, f: &mut dyn FnMut(Vec<&mut [f32]>) -> Result<()>) -> Result<()> {
    let Some((first, rest)) = rest.split_first() else { return f(held) };
    let mut held = Some(held);
    let mut inside = |slice: &mut [f32]| {
        let mut all: Vec<&mut [f32]> = held.take().unwrap_or_default();
        all.push(slice);
        edit(rest, all, f)
    };
    first.inplace_op1(&InPlace(RefCell::new(&mut inside)))
}

fn run<const W: usize, const R: usize, const S: usize>(
    rule: &impl Rule<W, R, S>,
    n: usize,
    written: [&mut [f32]; W],
    read: [&[f32]; R],
) -> [f64; S] {
    let mut written = written.map(|s| s.chunks_mut(PIECE));
    let mut read = read.map(|s| s.chunks(PIECE));
    let cut = |_| {
        (
            written.each_mut().map(|c| c.next().unwrap_or_default()),
            read.each_mut().map(|c| c.next().unwrap_or_default()),
        )
    };
    let pieces: Vec<_> = (0..n.div_ceil(PIECE)).map(cut).collect();
    let sums: Vec<[f64; S]> = match pieces.len() {
        // Small ones are done before another thread would have heard of them.
        0 | 1 => pieces.into_iter().map(|(written, read)| widest(rule, written, read)).collect(),
        _ => pieces.into_par_iter().map(|(written, read)| widest(rule, written, read)).collect(),
    };
    from_fn(|s| sums.iter().map(|piece| piece[s]).sum())
}

/// A piece with the widest vectors that there are. They change no number: nothing is contracted or reordered.
#[allow(unsafe_code)]
fn widest<const W: usize, const R: usize, const S: usize>(
    rule: &impl Rule<W, R, S>,
    written: [&mut [f32]; W],
    read: [&[f32]; R],
) -> [f64; S] {
    #[cfg(target_arch = "x86_64")]
    {
        if std::arch::is_x86_feature_detected!("avx512f") {
            // SAFETY: the processor has AVX-512.
            return unsafe { with_avx512(rule, written, read) };
        }
        if std::arch::is_x86_feature_detected!("avx2") {
            // SAFETY: the processor has AVX2.
            return unsafe { with_avx2(rule, written, read) };
        }
    }
    piece(rule, written, read)
}

#[cfg(target_arch = "x86_64")]
#[target_feature(enable = "avx512f")]
fn with_avx512<const W: usize, const R: usize, const S: usize>(
    rule: &impl Rule<W, R, S>,
    written: [&mut [f32]; W],
    read: [&[f32]; R],
) -> [f64; S] {
    piece(rule, written, read)
}

#[cfg(target_arch = "x86_64")]
#[target_feature(enable = "avx2")]
fn with_avx2<const W: usize, const R: usize, const S: usize>(
    rule: &impl Rule<W, R, S>,
    written: [&mut [f32]; W],
    read: [&[f32]; R],
) -> [f64; S] {
    piece(rule, written, read)
}

/// Asks for a block of `slice` before it is needed: with several tensors side by side the processor foresees it badly.
#[inline(always)]
#[allow(unsafe_code)]
fn ask(slice: &[f32], at: usize) {
    #[cfg(target_arch = "x86_64")]
    for line in (0..BLOCK).step_by(LINE) {
        use std::arch::x86_64::{_MM_HINT_T0, _mm_prefetch};
        // SAFETY: asking reads nothing, whatever the address; the pointer is not followed.
        unsafe { _mm_prefetch::<_MM_HINT_T0>(slice.as_ptr().wrapping_add(at + line).cast()) };
    }
    #[cfg(not(target_arch = "x86_64"))]
    let _ = (slice, at);
}

/// Block by block through buffers of their own: the compiler need not fear that tensors overlap.
#[inline(always)]
fn piece<const W: usize, const R: usize, const S: usize>(
    rule: &impl Rule<W, R, S>,
    mut written: [&mut [f32]; W],
    read: [&[f32]; R],
) -> [f64; S] {
    let n = written.first().map(|s| s.len()).or(read.first().map(|s| s.len())).unwrap_or(0);
    let (mut w, mut r, mut t) = ([[0f32; BLOCK]; W], [[0f32; BLOCK]; R], [[0f32; BLOCK]; S]);
    let mut sums = [[0f64; BLOCK]; S];
    let mut start = 0;
    while start < n {
        let count = BLOCK.min(n - start);
        written.iter().for_each(|slice| ask(slice, start + AHEAD));
        read.iter().for_each(|slice| ask(slice, start + AHEAD));
        for (block, slice) in w.iter_mut().zip(&written) {
            block[..count].copy_from_slice(&slice[start..start + count]);
        }
        for (block, slice) in r.iter_mut().zip(&read) {
            block[..count].copy_from_slice(&slice[start..start + count]);
        }
        for i in 0..BLOCK {
            let (new, terms) = rule.at(w.each_ref().map(|b| Lane(b[i])), r.each_ref().map(|b| Lane(b[i])));
            for (block, new) in w.iter_mut().zip(new) {
                block[i] = new.0;
            }
            for (block, term) in t.iter_mut().zip(terms) {
                block[i] = term.0;
            }
        }
        for (block, slice) in w.iter().zip(&mut written) {
            slice[start..start + count].copy_from_slice(&block[..count]);
        }
        for (sum, terms) in sums.iter_mut().zip(&t) {
            // What lies behind the end has been computed, but is nothing.
            for (sum, term) in sum.iter_mut().zip(&terms[..count]) {
                *sum += f64::from(*term);
            }
        }
        start += count;
    }
    sums.map(|lanes| lanes.iter().sum())
}
