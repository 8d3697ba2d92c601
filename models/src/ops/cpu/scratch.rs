//! Memory that kernels write before they read it.
#![allow(unsafe_code)]

use std::cell::RefCell;
use std::ops::{Deref, DerefMut};

/// Floats that begin at a cache line.
#[derive(Default)]
pub(crate) struct Scratch {
    memory: Vec<f32>,
    offset: usize,
    len: usize,
    /// Whether all of it has been written once.
    written: bool,
}

/// Floats in a cache line.
const LINE: usize = 16;

thread_local! {
    /// What scratch memory of this thread was, to be so again: it has been written once, so it may have any value.
    static KEPT: RefCell<Vec<Vec<f32>>> = const { RefCell::new(vec![]) };
}

/// Most buffers that a thread keeps, and most numbers in one: more than the tasks of a convolution want, and no map.
const KEEP: (usize, usize) = (8, 1 << 20);

impl Scratch {
    /// `len` numbers that nobody wrote.
    ///
    /// # Safety
    /// As [`unwritten`].
    pub(crate) unsafe fn new(len: usize) -> Self {
        // SAFETY: the caller's promise.
        let memory = unsafe { unwritten(len + LINE) };
        Self { offset: aligned(&memory), memory, len, written: false }
    }

    /// Makes it `len` numbers of any value; with debug assertions they are not a number where it grows.
    pub(crate) fn resize(&mut self, len: usize) -> &mut [f32] {
        if !self.written || self.memory.len() < len + LINE {
            drop(std::mem::take(self));
            self.memory = kept(len + LINE).unwrap_or_else(|| vec![NOTHING; len + LINE]);
            self.written = true;
            self.offset = aligned(&self.memory);
        }
        self.len = len;
        self
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        if self.written && self.memory.len() <= KEEP.1 && !cfg!(debug_assertions) {
            let memory = std::mem::take(&mut self.memory);
            // Without a list the thread is about to end.
            let _ = KEPT.try_with(|kept| {
                let mut kept = kept.borrow_mut();
                let smallest = (0..kept.len()).min_by_key(|&i| kept[i].len());
                match smallest.filter(|_| kept.len() >= KEEP.0) {
                    Some(i) if kept[i].len() < memory.len() => kept[i] = memory,
                    Some(_) => {}
                    None => kept.push(memory),
                }
            });
        }
    }
}

/// The smallest kept buffer of `len` numbers.
fn kept(len: usize) -> Option<Vec<f32>> {
    let take = |kept: &RefCell<Vec<Vec<f32>>>| {
        let mut kept = kept.borrow_mut();
        let best = (0..kept.len()).filter(|&i| kept[i].len() >= len).min_by_key(|&i| kept[i].len())?;
        Some(kept.swap_remove(best))
    };
    KEPT.try_with(take).ok().flatten()
}

/// Numbers before the first cache line.
fn aligned(memory: &[f32]) -> usize {
    (memory.as_ptr() as usize).wrapping_neg() / size_of::<f32>() % LINE
}

/// With debug assertions not a number, so that a test sees an element that was forgotten.
const NOTHING: f32 = if cfg!(debug_assertions) { f32::NAN } else { 0.0 };

impl Deref for Scratch {
    type Target = [f32];
    fn deref(&self) -> &[f32] {
        &self.memory[self.offset..][..self.len]
    }
}

impl DerefMut for Scratch {
    fn deref_mut(&mut self) -> &mut [f32] {
        &mut self.memory[self.offset..][..self.len]
    }
}

/// A distance between rows of `width` numbers at which they do not all fall into the same few places of a cache.
pub(crate) fn apart(width: usize) -> usize {
    if width.is_multiple_of(4 * LINE) { width + LINE } else { width }
}

/// `len` numbers that nobody wrote; with debug assertions they are not a number, so that a test sees an element that was
/// forgotten.
///
/// # Safety
/// Whoever reads an element has written it before.
pub(crate) unsafe fn unwritten(len: usize) -> Vec<f32> {
    if cfg!(debug_assertions) {
        return vec![NOTHING; len];
    }
    let mut memory = Vec::with_capacity(len);
    // SAFETY: the memory is allocated, and by the caller's promise no element is read before it is written.
    #[allow(clippy::uninit_vec)]
    unsafe {
        memory.set_len(len);
    }
    memory
}
