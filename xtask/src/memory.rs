//! The allocator of the program.
//!
//! Training allocates and frees the same large buffers every step. Given back to the system in between, each would be
//! faulted in and cleared again, page by page: a fifth of a step. So freed memory stays with the program.
#![allow(unsafe_code)]

use libmimalloc_sys::{mi_option_set, mi_option_t};

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

/// `mi_option_purge_delay` of mimalloc 2.
const PURGE_DELAY: mi_option_t = 15;

/// Keeps freed memory from now on.
pub(crate) fn keep() {
    // SAFETY: sets a number in the allocator's table of options; called before other threads start.
    unsafe { mi_option_set(PURGE_DELAY, -1) }
}
