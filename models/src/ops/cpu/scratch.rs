//! Memory that kernels write before they read it.
#![allow(unsafe_code)]

use std::ops::{Deref, DerefMut};

/// Floats that begin at a cache line.
#[derive(Default)]
pub(crate) struct Scratch {
    memory: Vec<f32>,
    offset: usize,
    len: usize,
}

/// Floats in a cache line.
const LINE: usize = 16;

impl Scratch {
    /// `len` numbers of any value.
    pub(crate) fn new(len: usize) -> Self {
        let mut scratch = Self::default();
        scratch.resize(len);
        scratch
    }

    /// Makes it `len` numbers of any value.
    pub(crate) fn resize(&mut self, len: usize) -> &mut [f32] {
        if self.memory.len() < len + LINE {
            self.memory = Vec::new();
            self.memory = unwritten(len + LINE);
        }
        self.offset = (self.memory.as_ptr() as usize).wrapping_neg() / size_of::<f32>() % LINE;
        self.len = len;
        self
    }
}

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

/// `len` numbers of any value, for a kernel that writes all of them; with debug assertions they are not a number, so that a
/// test sees an element that was forgotten.
pub(crate) fn unwritten(len: usize) -> Vec<f32> {
    if cfg!(debug_assertions) {
        return vec![f32::NAN; len];
    }
    let mut memory = Vec::with_capacity(len);
    // SAFETY: the memory is allocated, every bit pattern is an `f32`, and kernels write an element before they read it
    // (checked by NaN wherever debug assertions are on).
    #[allow(clippy::uninit_vec)]
    unsafe {
        memory.set_len(len);
    }
    memory
}
