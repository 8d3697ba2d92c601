//! The widest vectors of the processor: the only unsafe code of this crate.
#![allow(unsafe_code)]

/// Runs a kernel compiled once more for the widest vectors of this processor.
///
/// What the kernel calls must be `#[inline(always)]` to be compiled for them too. Numbers do not depend on them: nothing is
/// contracted or reordered.
#[inline(always)]
pub(crate) fn wide<R>(kernel: impl FnOnce() -> R) -> R {
    #[cfg(target_arch = "x86_64")]
    {
        if is_x86_feature_detected!("avx512f")
            && is_x86_feature_detected!("avx512bw")
            && is_x86_feature_detected!("avx512vl")
            && is_x86_feature_detected!("avx512dq")
        {
            // SAFETY: the processor has these features.
            return unsafe { x86::avx512(kernel) };
        }
        if is_x86_feature_detected!("avx2") {
            // SAFETY: the processor has this feature.
            return unsafe { x86::avx2(kernel) };
        }
    }
    kernel()
}

/// A kernel that is too large for the compiler to inline its closure into [`wide`], which would leave it narrow.
pub(crate) trait Kernel {
    /// To be marked `#[inline(always)]`.
    fn run(self);
}

/// As [`wide`], for kernels of any length.
#[inline(always)]
pub(crate) fn run(kernel: impl Kernel) {
    #[cfg(target_arch = "x86_64")]
    {
        if is_x86_feature_detected!("avx512f")
            && is_x86_feature_detected!("avx512bw")
            && is_x86_feature_detected!("avx512vl")
            && is_x86_feature_detected!("avx512dq")
        {
            // SAFETY: the processor has these features.
            return unsafe { x86::run_avx512(kernel) };
        }
        if is_x86_feature_detected!("avx2") {
            // SAFETY: the processor has this feature.
            return unsafe { x86::run_avx2(kernel) };
        }
    }
    kernel.run();
}

/// Replaces every byte by its entry in the table.
pub(crate) fn look_up(bytes: &mut [u8], table: &[u8; 256]) {
    #[cfg(target_arch = "x86_64")]
    if is_x86_feature_detected!("avx512f")
        && is_x86_feature_detected!("avx512bw")
        && is_x86_feature_detected!("avx512vbmi")
    {
        // SAFETY: the processor has these features.
        return unsafe { x86::look_up(bytes, table) };
    }
    for byte in bytes {
        *byte = table[usize::from(*byte)];
    }
}

#[cfg(target_arch = "x86_64")]
mod x86 {
    use std::arch::x86_64::*;

    /// # Safety
    /// The processor has these features.
    #[target_feature(enable = "avx2,avx512f,avx512bw,avx512vl,avx512dq")]
    #[inline(never)]
    pub(super) unsafe fn avx512<R>(kernel: impl FnOnce() -> R) -> R {
        kernel()
    }

    /// # Safety
    /// The processor has this feature.
    #[target_feature(enable = "avx2")]
    #[inline(never)]
    pub(super) unsafe fn avx2<R>(kernel: impl FnOnce() -> R) -> R {
        kernel()
    }

    /// # Safety
    /// The processor has these features.
    #[target_feature(enable = "avx2,avx512f,avx512bw,avx512vl,avx512dq")]
    #[inline(never)]
    pub(super) unsafe fn run_avx512(kernel: impl super::Kernel) {
        kernel.run();
    }

    /// # Safety
    /// The processor has this feature.
    #[target_feature(enable = "avx2")]
    #[inline(never)]
    pub(super) unsafe fn run_avx2(kernel: impl super::Kernel) {
        kernel.run();
    }

    /// # Safety
    /// The processor has these features.
    #[target_feature(enable = "avx512f,avx512bw,avx512vbmi")]
    pub(super) unsafe fn look_up(bytes: &mut [u8], table: &[u8; 256]) {
        // SAFETY: four loads of 64 of the 256 bytes.
        let parts = [0, 1, 2, 3].map(|i| unsafe { _mm512_loadu_si512(table.as_ptr().add(64 * i).cast()) });
        let (blocks, rest) = bytes.as_chunks_mut::<64>();
        for block in blocks {
            // SAFETY: a block has 64 bytes.
            let values = unsafe { _mm512_loadu_si512(block.as_ptr().cast()) };
            // The low seven bits choose among 128 entries, the highest one of the two halves.
            let low = _mm512_permutex2var_epi8(parts[0], values, parts[1]);
            let high = _mm512_permutex2var_epi8(parts[2], values, parts[3]);
            let seen = _mm512_mask_blend_epi8(_mm512_movepi8_mask(values), low, high);
            // SAFETY: a block has 64 bytes.
            unsafe { _mm512_storeu_si512(block.as_mut_ptr().cast(), seen) };
        }
        for byte in rest {
            *byte = table[usize::from(*byte)];
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_byte_finds_its_entry() {
        let table: [u8; 256] = std::array::from_fn(|i| (i * 37 + 11) as u8);
        for length in [0, 1, 63, 64, 65, 256, 1000] {
            let bytes: Vec<u8> = (0..length).map(|i| (i * 7) as u8).collect();
            let mut seen = bytes.clone();
            look_up(&mut seen, &table);
            assert!(seen.iter().zip(&bytes).all(|(seen, byte)| *seen == table[usize::from(*byte)]));
        }
    }

    #[test]
    fn kernels_run_once_and_give_their_result() {
        let mut runs = 0;
        assert_eq!(
            (
                wide(|| {
                    runs += 1;
                    5
                }),
                runs
            ),
            (5, 1)
        );
    }
}
