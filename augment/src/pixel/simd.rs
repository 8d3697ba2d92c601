//! The widest vectors of the processor: the only unsafe code of this crate.
#![allow(unsafe_code)]

use super::read::Corners;

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

/// A kernel that is too large for [`wide`]: closures are inlined only while they are small.
pub(crate) trait Kernel {
    /// What it makes.
    type Out;
    /// Must be `#[inline(always)]`, as what it calls.
    fn run(self) -> Self::Out;
}

/// As [`wide`].
pub(crate) fn run<K: Kernel>(kernel: K) -> K::Out {
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
    kernel.run()
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

/// Whether the kernels that gather pixels run here: 64 shuffled bytes at once need the youngest vectors.
#[cfg(target_arch = "x86_64")]
fn gathers() -> bool {
    is_x86_feature_detected!("avx512f")
        && is_x86_feature_detected!("avx512bw")
        && is_x86_feature_detected!("avx512vl")
        && is_x86_feature_detected!("avx512vbmi")
}

/// Copies 1 to 4 channels of the pixels that begin at `starts`; false, and nothing done, where there are no vectors for it.
pub(crate) fn gather_nearest(slice: &[u8], channels: usize, starts: &[i32], out: &mut [u8]) -> bool {
    #[cfg(target_arch = "x86_64")]
    if (1..=4).contains(&channels) && slice.len() >= 4 && slice.len() <= i32::MAX as usize && gathers() {
        // SAFETY: the processor has these features; the sizes were checked.
        unsafe { x86::gather_nearest(slice, channels, starts, out) };
        return true;
    }
    let _ = (slice, channels, starts, out);
    false
}

/// Puts pixels of 1 to 4 channels in the opposite order; false, and nothing done, where there are no vectors for it.
pub(crate) fn reverse(bytes: &mut [u8], channels: usize) -> bool {
    #[cfg(target_arch = "x86_64")]
    if (1..=4).contains(&channels) && bytes.len().is_multiple_of(channels) && gathers() {
        // SAFETY: the processor has these features; the number of bytes was checked.
        unsafe { x86::reverse(bytes, channels) };
        return true;
    }
    let _ = (bytes, channels);
    false
}

/// Blends 1 to 4 channels of two by two pixels, rows `stride` bytes apart; false, and nothing done, where there are no vectors
/// for it.
pub(crate) fn gather_bilinear(slice: &[u8], [channels, stride]: [usize; 2], corners: &Corners, out: &mut [u8]) -> bool {
    #[cfg(target_arch = "x86_64")]
    {
        let enough = slice.len() >= stride.saturating_add(8) && slice.len() <= i32::MAX as usize;
        let fits = corners.starts.len() == corners.rights.len() && corners.starts.len() == corners.belows.len();
        if (1..=4).contains(&channels) && enough && fits && gathers() {
            // SAFETY: the processor has these features; the sizes were checked.
            unsafe { x86::gather_bilinear(slice, [channels, stride], corners, out) };
            return true;
        }
    }
    let _ = (slice, channels, stride, corners, out);
    false
}

#[cfg(target_arch = "x86_64")]
mod x86 {
    use crate::pixel::read::{Corners, UNIT, blend};
    use std::arch::x86_64::*;

    /// Which bytes of sixteen 32-bit values make up pixels of so many channels.
    const PACKINGS: [[u8; 64]; 5] = tables(false);
    /// Where the bytes of a block of whole pixels come from when it is reversed.
    const REVERSALS: [[u8; 64]; 5] = tables(true);

    /// For 1 to 4 channels: made in advance, because divisions take longer than a row.
    const fn tables(reversed: bool) -> [[u8; 64]; 5] {
        let mut tables = [[0; 64]; 5];
        let mut channels = 1;
        while channels <= 4 {
            let block = 64 / channels * channels;
            let mut i = 0;
            while i < 64 {
                let start =
                    if reversed { (block + 64 - (i / channels + 1) * channels) % 64 } else { 4 * (i / channels) };
                tables[channels][i] = ((start + i % channels) % 64) as u8;
                i += 1;
            }
            channels += 1;
        }
        tables
    }

    /// The lowest `count` ≤ 64 bits.
    #[inline(always)]
    fn lowest(count: usize) -> u64 {
        if count >= 64 { u64::MAX } else { (1 << count) - 1 }
    }

    /// # Safety
    /// The processor has these features; 1 to 4 channels, whole pixels.
    #[target_feature(enable = "avx512f,avx512bw,avx512vl,avx512vbmi")]
    pub(super) unsafe fn reverse(bytes: &mut [u8], channels: usize) {
        // A block of whole pixels from each end, reversed and exchanged.
        let block = 64 / channels * channels;
        // SAFETY: 64 bytes.
        let order = unsafe { _mm512_loadu_si512(REVERSALS[channels].as_ptr().cast()) };
        let mut rest = bytes;
        while rest.len() >= 2 * channels {
            let size = block.min(rest.len() / channels / 2 * channels);
            let order = _mm512_sub_epi8(order, _mm512_set1_epi8((block - size) as i8));
            let (front, middle) = std::mem::take(&mut rest).split_at_mut(size);
            let (middle, back) = middle.split_at_mut(middle.len() - size);
            // SAFETY: only the `size` ≤ 64 bytes of each end are loaded and stored.
            unsafe {
                let first = _mm512_maskz_loadu_epi8(lowest(size), front.as_ptr().cast());
                let last = _mm512_maskz_loadu_epi8(lowest(size), back.as_ptr().cast());
                let (first, last) = (_mm512_permutexvar_epi8(order, first), _mm512_permutexvar_epi8(order, last));
                _mm512_mask_storeu_epi8(front.as_mut_ptr().cast(), lowest(size), last);
                _mm512_mask_storeu_epi8(back.as_mut_ptr().cast(), lowest(size), first);
            }
            rest = middle;
        }
    }

    /// # Safety
    /// The processor has these features, and the slice 4..2³¹ bytes; 1 to 4 channels.
    #[target_feature(enable = "avx512f,avx512bw,avx512vl,avx512vbmi")]
    pub(super) unsafe fn gather_nearest(slice: &[u8], channels: usize, starts: &[i32], out: &mut [u8]) {
        // SAFETY: 64 bytes.
        let packing = unsafe { _mm512_loadu_si512(PACKINGS[channels].as_ptr().cast()) };
        let limit = _mm512_set1_epi32(slice.len() as i32 - 4);
        for (starts, out) in starts.as_chunks::<16>().0.iter().zip(out.chunks_mut(16 * channels)) {
            // SAFETY: 16 numbers.
            let at = unsafe { _mm512_loadu_si512(starts.as_ptr().cast()) };
            // As unsigned numbers negative ones are beyond the limit too.
            if _mm512_cmpgt_epu32_mask(at, limit) != 0 {
                for (pixel, start) in out.chunks_exact_mut(channels).zip(starts) {
                    pixel.copy_from_slice(&slice[*start as usize..][..channels]);
                }
                continue;
            }
            // SAFETY: each start and the three bytes behind it lie in the slice.
            let pixels = unsafe { _mm512_i32gather_epi32::<1>(at, slice.as_ptr().cast()) };
            let packed = _mm512_permutexvar_epi8(packing, pixels);
            // SAFETY: only as many bytes are stored as `out` has.
            unsafe { _mm512_mask_storeu_epi8(out.as_mut_ptr().cast(), lowest(out.len()), packed) };
        }
    }

    /// # Safety
    /// The processor has these features, and the slice `stride + 8`..2³¹ bytes; 1 to 4 channels; as many weights as starts.
    #[target_feature(enable = "avx512f,avx512bw,avx512vl,avx512vbmi")]
    pub(super) unsafe fn gather_bilinear(
        slice: &[u8],
        [channels, stride]: [usize; 2],
        corners: &Corners,
        out: &mut [u8],
    ) {
        // SAFETY: as this function's.
        unsafe {
            match channels {
                1 => gather_bilinear_of::<1>(slice, stride, corners, out),
                2 => gather_bilinear_of::<2>(slice, stride, corners, out),
                3 => gather_bilinear_of::<3>(slice, stride, corners, out),
                _ => gather_bilinear_of::<4>(slice, stride, corners, out),
            }
        }
    }

    /// # Safety
    /// As [`gather_bilinear`].
    #[target_feature(enable = "avx512f,avx512bw,avx512vl,avx512vbmi")]
    unsafe fn gather_bilinear_of<const C: usize>(slice: &[u8], stride: usize, corners: &Corners, out: &mut [u8]) {
        // Of sixteen gathered pairs of pixels: the first channel of both as 16 bits each.
        let pairs: [u8; 64] = std::array::from_fn(|i| (8 * (i / 4) + if i % 4 < 2 { 0 } else { C }) as u8);
        // SAFETY: 64 bytes each.
        let (packing, pairs) =
            unsafe { (_mm512_loadu_si512(PACKINGS[C].as_ptr().cast()), _mm512_loadu_si512(pairs.as_ptr().cast())) };
        const LOW_BYTES: u64 = 0x5555_5555_5555_5555;
        let limit = _mm512_set1_epi32((slice.len() - stride - 8) as i32);
        let unit = _mm512_set1_epi32(UNIT);
        let (half_row, half) = (_mm512_set1_epi32(8), _mm512_set1_epi32(1 << 17));
        let (upper_row, lower_row) = (slice.as_ptr(), slice[stride..].as_ptr());
        let starts = corners.starts.as_chunks::<16>().0;
        let rights = corners.rights.as_chunks::<16>().0;
        let belows = corners.belows.as_chunks::<16>().0;
        let blocks = starts.iter().zip(rights.iter().zip(belows));
        for ((starts, (rights, belows)), out) in blocks.zip(out.chunks_mut(16 * C)) {
            // SAFETY: 16 numbers each.
            let [at, right, below] = [starts, rights, belows].map(|v| unsafe { _mm512_loadu_si512(v.as_ptr().cast()) });
            if _mm512_cmpgt_epu32_mask(at, limit) != 0 {
                let weights = rights.iter().zip(belows);
                for ((pixel, start), (right, below)) in out.chunks_exact_mut(C).zip(starts).zip(weights) {
                    let (upper, lower) = (*start as usize, *start as usize + stride);
                    for (c, value) in pixel.iter_mut().enumerate() {
                        let at = |start: usize| [slice[start + c], slice[start + c + C]];
                        let ([a, b], [c, d]) = (at(upper), at(lower));
                        *value = blend([a, b, c, d], *right, *below);
                    }
                }
                continue;
            }
            let weights = |share| _mm512_or_si512(_mm512_slli_epi32::<16>(share), _mm512_sub_epi32(unit, share));
            let (across, down) = (weights(right), weights(below));
            let halves = [_mm512_castsi512_si256(at), _mm512_extracti64x4_epi64::<1>(at)];
            // SAFETY: eight bytes from each start on lie in the slice, also one row further down.
            let upper = halves.map(|at| unsafe { _mm512_i32gather_epi64::<1>(at, upper_row.cast()) });
            // SAFETY: as above.
            let lower = halves.map(|at| unsafe { _mm512_i32gather_epi64::<1>(at, lower_row.cast()) });
            let mut packed = _mm512_setzero_si512();
            for c in (0..C).rev() {
                let pairs = _mm512_add_epi8(pairs, _mm512_set1_epi8(c as i8));
                let row = |pixels: [__m512i; 2]| {
                    let pair = _mm512_maskz_permutex2var_epi8(LOW_BYTES, pixels[0], pairs, pixels[1]);
                    _mm512_srli_epi32::<4>(_mm512_add_epi32(_mm512_madd_epi16(pair, across), half_row))
                };
                let column = _mm512_or_si512(row(upper), _mm512_slli_epi32::<16>(row(lower)));
                let sum = _mm512_add_epi32(_mm512_madd_epi16(column, down), half);
                packed = _mm512_or_si512(_mm512_slli_epi32::<8>(packed), _mm512_srli_epi32::<18>(sum));
            }
            let packed = _mm512_permutexvar_epi8(packing, packed);
            // SAFETY: only as many bytes are stored as `out` has.
            unsafe { _mm512_mask_storeu_epi8(out.as_mut_ptr().cast(), lowest(out.len()), packed) };
        }
    }

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
    pub(super) unsafe fn run_avx512<K: super::Kernel>(kernel: K) -> K::Out {
        kernel.run()
    }

    /// # Safety
    /// The processor has this feature.
    #[target_feature(enable = "avx2")]
    #[inline(never)]
    pub(super) unsafe fn run_avx2<K: super::Kernel>(kernel: K) -> K::Out {
        kernel.run()
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
    fn pixels_are_reversed() {
        for channels in 1..=4 {
            for count in (0..70).chain([128, 200, 257]) {
                let bytes: Vec<u8> = (0..count * channels).map(|i| (i * 7) as u8).collect();
                let want: Vec<u8> = bytes.chunks_exact(channels).rev().flatten().copied().collect();
                let mut seen = bytes.clone();
                let done = reverse(&mut seen, channels);
                assert_eq!(seen, if done { want } else { bytes }, "{channels} {count}");
            }
        }
        assert!(!reverse(&mut [1; 10], 5));
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
