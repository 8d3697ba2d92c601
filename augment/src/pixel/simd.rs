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
        if has_avx512() {
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
        if has_avx512() {
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
    if has_byte_permutes() {
        // SAFETY: the processor has these features.
        return unsafe { x86::look_up(bytes, table) };
    }
    for byte in bytes {
        *byte = table[usize::from(*byte)];
    }
}

/// Replaces every byte of a channel by its entry in the channel's table; there is one for each channel.
pub(crate) fn look_up_channels(bytes: &mut [u8], tables: &[[u8; 256]]) {
    #[cfg(target_arch = "x86_64")]
    if tables.len() <= 16 && has_byte_permutes() {
        // SAFETY: the processor has these features.
        return unsafe { x86::look_up_channels(bytes, tables) };
    }
    for pixel in bytes.chunks_exact_mut(tables.len().max(1)) {
        for (value, table) in pixel.iter_mut().zip(tables) {
            *value = table[usize::from(*value)];
        }
    }
}

/// The separate channels of 64 pixels.
pub(crate) type Planes = [[u8; 64]; 3];

/// What the processor has, each with proof of it.
pub(crate) enum Widest {
    /// Vectors of 64 bytes that can be exchanged freely.
    Permutes(Permutes),
    /// Vectors of 32 bytes.
    Avx2(Avx2),
    /// What every processor has.
    Plain(Plain),
}

/// That there is a level of instructions.
#[derive(Clone, Copy)]
pub(crate) struct Permutes(());
/// That there is a level of instructions.
#[derive(Clone, Copy)]
pub(crate) struct Avx2(());
/// That there is a level of instructions.
#[derive(Clone, Copy)]
pub(crate) struct Plain(());

/// The best of this processor.
#[inline(always)]
pub(crate) fn level() -> Widest {
    #[cfg(target_arch = "x86_64")]
    {
        if has_byte_permutes() {
            return Widest::Permutes(Permutes(()));
        }
        if is_x86_feature_detected!("avx2") {
            return Widest::Avx2(Avx2(()));
        }
    }
    Widest::Plain(Plain(()))
}

/// Calls `method` of the widest level with a closure of its own, and with other arguments before it.
///
/// A closure that is called once is compiled into its caller and with its caller's instructions, whatever its size; one that
/// three levels share is not when it is large.
macro_rules! widest {
    ($method:ident($($argument:expr),+ $(,)?)) => {
        match $crate::pixel::simd::level() {
            $crate::pixel::simd::Widest::Permutes(level) => level.$method($($argument),+),
            $crate::pixel::simd::Widest::Avx2(level) => level.$method($($argument),+),
            $crate::pixel::simd::Widest::Plain(level) => level.$method($($argument),+),
        }
    };
}
pub(crate) use widest;

impl Plain {
    /// Runs the kernel.
    #[inline(always)]
    pub(crate) fn run<R>(self, kernel: impl FnOnce() -> R) -> R {
        kernel()
    }
}

impl Avx2 {
    /// Runs the kernel.
    #[inline(always)]
    pub(crate) fn run<R>(self, kernel: impl FnOnce() -> R) -> R {
        #[cfg(target_arch = "x86_64")]
        // SAFETY: the processor has this feature.
        return unsafe { x86::avx2(kernel) };
        #[cfg(not(target_arch = "x86_64"))]
        kernel()
    }
}

macro_rules! planes_by_run {
    ($level:ident) => {
        impl $level {
            /// Lets `kernel` change pixels of three channels, 64 at a time; zeros follow the last ones.
            #[inline(always)]
            pub(crate) fn change_planes(self, bytes: &mut [u8], kernel: impl FnMut(&mut Planes)) {
                self.run(|| change_blocks(bytes, split, join, kernel));
            }
            /// Shows `kernel` pixels of three channels, 64 at a time; zeros follow the last ones.
            #[inline(always)]
            pub(crate) fn read_planes(self, bytes: &[u8], kernel: impl FnMut(&Planes)) {
                self.run(|| read_blocks(bytes, split, kernel));
            }
        }
    };
}
planes_by_run!(Avx2);
planes_by_run!(Plain);
#[cfg(not(target_arch = "x86_64"))]
planes_by_run!(Permutes);

impl Permutes {
    /// Runs the kernel.
    #[inline(always)]
    pub(crate) fn run<R>(self, kernel: impl FnOnce() -> R) -> R {
        #[cfg(target_arch = "x86_64")]
        // SAFETY: the processor has these features.
        return unsafe { x86::avx512(kernel) };
        #[cfg(not(target_arch = "x86_64"))]
        kernel()
    }
}

#[cfg(target_arch = "x86_64")]
impl Permutes {
    /// Lets `kernel` change pixels of three channels, 64 at a time; zeros follow the last ones.
    #[inline(always)]
    pub(crate) fn change_planes(self, bytes: &mut [u8], kernel: impl FnMut(&mut Planes)) {
        // SAFETY: the processor has these features.
        unsafe { x86::change_planes(bytes, kernel) }
    }
    /// Shows `kernel` pixels of three channels, 64 at a time; zeros follow the last ones.
    #[inline(always)]
    pub(crate) fn read_planes(self, bytes: &[u8], kernel: impl FnMut(&Planes)) {
        // SAFETY: the processor has these features.
        unsafe { x86::read_planes(bytes, kernel) }
    }
}

/// The whole part of a value of 0..=255, the nearest of these to others.
#[inline(always)]
pub(crate) fn byte(value: f32) -> u8 {
    // Comparisons, because `clamp` passes on what is no number.
    let value = if value > 0.0 { value } else { 0.0 };
    let value = if value < 255.0 { value } else { 255.0 };
    // SAFETY: the value is between 0 and 255.
    unsafe { value.to_int_unchecked::<i32>() as u8 }
}

#[inline(always)]
fn change_blocks(
    bytes: &mut [u8],
    split: impl Fn(&[u8; 192]) -> Planes,
    join: impl Fn(&Planes, &mut [u8; 192]),
    mut kernel: impl FnMut(&mut Planes),
) {
    let (blocks, rest) = bytes.as_chunks_mut::<192>();
    let mut last = [0; 192];
    last[..rest.len()].copy_from_slice(rest);
    // One loop, so that the kernel is not called but compiled into it.
    for block in blocks.iter_mut().chain([&mut last]) {
        let mut planes = split(block);
        kernel(&mut planes);
        join(&planes, block);
    }
    rest.copy_from_slice(&last[..rest.len()]);
}

#[inline(always)]
fn read_blocks(bytes: &[u8], split: impl Fn(&[u8; 192]) -> Planes, mut kernel: impl FnMut(&Planes)) {
    let (blocks, rest) = bytes.as_chunks::<192>();
    let mut last = [0; 192];
    last[..rest.len()].copy_from_slice(rest);
    for block in blocks.iter().chain([&last]) {
        kernel(&split(block));
    }
}

#[inline(always)]
fn split(block: &[u8; 192]) -> Planes {
    let mut planes = [[0; 64]; 3];
    for (i, pixel) in block.as_chunks::<3>().0.iter().enumerate() {
        for (plane, value) in planes.iter_mut().zip(pixel) {
            plane[i] = *value;
        }
    }
    planes
}

#[inline(always)]
fn join(planes: &Planes, block: &mut [u8; 192]) {
    for (i, pixel) in block.as_chunks_mut::<3>().0.iter_mut().enumerate() {
        *pixel = [planes[0][i], planes[1][i], planes[2][i]];
    }
}

/// Whether there are vectors of 64 bytes.
#[cfg(target_arch = "x86_64")]
#[inline(always)]
fn has_avx512() -> bool {
    is_x86_feature_detected!("avx2")
        && is_x86_feature_detected!("avx512f")
        && is_x86_feature_detected!("avx512bw")
        && is_x86_feature_detected!("avx512vl")
        && is_x86_feature_detected!("avx512dq")
}

/// Whether bytes can be exchanged freely among vectors of 64, which the youngest of them do.
#[cfg(target_arch = "x86_64")]
#[inline(always)]
fn has_byte_permutes() -> bool {
    has_avx512() && is_x86_feature_detected!("avx512vbmi")
}

/// Values of a window at these places, each below 64.
#[inline(always)]
pub(crate) fn pick(window: &[u16; 64], places: &[u16; 32]) -> [u16; 32] {
    #[cfg(target_arch = "x86_64")]
    if has_avx512() {
        // SAFETY: the processor has these features.
        return unsafe { x86::pick(window, places) };
    }
    places.map(|place| window[usize::from(place & 63)])
}

/// Copies 1 to 4 channels of the pixels that begin at `starts`; false, and nothing done, where there are no vectors for it.
pub(crate) fn gather_nearest(slice: &[u8], channels: usize, starts: &[i32], out: &mut [u8]) -> bool {
    #[cfg(target_arch = "x86_64")]
    if (1..=4).contains(&channels) && slice.len() >= 4 && slice.len() <= i32::MAX as usize && has_byte_permutes() {
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
    if (1..=4).contains(&channels) && bytes.len().is_multiple_of(channels) && has_byte_permutes() {
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
        if (1..=4).contains(&channels) && enough && fits && has_byte_permutes() {
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
    use super::Planes;
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
        debug_assert!((1..=4).contains(&channels) && bytes.len().is_multiple_of(channels));
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
        debug_assert!((1..=4).contains(&channels) && (4..=i32::MAX as usize).contains(&slice.len()));
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
        debug_assert!((1..=4).contains(&channels) && (stride + 8..=i32::MAX as usize).contains(&slice.len()));
        debug_assert!([corners.rights.len(), corners.belows.len()] == [corners.starts.len(); 2]);
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
    #[target_feature(enable = "avx512f,avx512bw")]
    #[inline]
    pub(super) unsafe fn pick(window: &[u16; 64], places: &[u16; 32]) -> [u16; 32] {
        let mut picked = [0; 32];
        // SAFETY: the places have 64 bytes, the window two times as many.
        let (places, low, high) = unsafe {
            let window = window.as_ptr().cast::<__m512i>();
            (_mm512_loadu_si512(places.as_ptr().cast()), _mm512_loadu_si512(window), _mm512_loadu_si512(window.add(1)))
        };
        // Only the low six bits of a place count.
        let values = _mm512_permutex2var_epi16(low, places, high);
        // SAFETY: what is picked has 64 bytes.
        unsafe { _mm512_storeu_si512(picked.as_mut_ptr().cast(), values) };
        picked
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

    /// At most 16 tables.
    ///
    /// # Safety
    /// The processor has these features.
    #[target_feature(enable = "avx512f,avx512bw,avx512vbmi")]
    pub(super) unsafe fn look_up_channels(bytes: &mut [u8], tables: &[[u8; 256]]) {
        debug_assert!(tables.len() <= 16);
        let count = tables.len().max(1);
        // Which bytes of a block are those of each channel, for each channel that the block may begin with.
        let mut masks = [[0u64; 16]; 16];
        for (first, masks) in masks.iter_mut().enumerate().take(count) {
            (0..64).for_each(|i| masks[(first + i) % count] |= 1 << i);
        }
        let (blocks, rest) = bytes.as_chunks_mut::<64>();
        let mut last = [0; 64];
        last[..rest.len()].copy_from_slice(rest);
        let mut first = 0;
        for block in blocks.iter_mut().chain([&mut last]) {
            // SAFETY: a block has 64 bytes.
            let values = unsafe { _mm512_loadu_si512(block.as_ptr().cast()) };
            let halves = _mm512_movepi8_mask(values);
            let mut seen = values;
            for (table, mask) in tables.iter().zip(masks[first]) {
                // SAFETY: four loads of 64 of the 256 bytes.
                let parts = [0, 1, 2, 3].map(|i| unsafe { _mm512_loadu_si512(table.as_ptr().add(64 * i).cast()) });
                let low = _mm512_permutex2var_epi8(parts[0], values, parts[1]);
                let high = _mm512_permutex2var_epi8(parts[2], values, parts[3]);
                seen = _mm512_mask_mov_epi8(_mm512_mask_mov_epi8(seen, mask, low), mask & halves, high);
            }
            // SAFETY: a block has 64 bytes.
            unsafe { _mm512_storeu_si512(block.as_mut_ptr().cast(), seen) };
            first = (first + 64) % count;
        }
        rest.copy_from_slice(&last[..rest.len()]);
    }

    /// # Safety
    /// The processor has these features.
    #[target_feature(enable = "avx2,avx512f,avx512bw,avx512vl,avx512dq,avx512vbmi")]
    #[inline(never)]
    pub(super) unsafe fn change_planes(bytes: &mut [u8], kernel: impl FnMut(&mut Planes)) {
        super::change_blocks(bytes, |block| split(block), |planes, block| join(planes, block), kernel);
    }

    /// # Safety
    /// The processor has these features.
    #[target_feature(enable = "avx2,avx512f,avx512bw,avx512vl,avx512dq,avx512vbmi")]
    #[inline(never)]
    pub(super) unsafe fn read_planes(bytes: &[u8], kernel: impl FnMut(&Planes)) {
        super::read_blocks(bytes, |block| split(block), kernel);
    }

    /// Where each byte of a plane stands in the block.
    const SPLIT: Planes = {
        let mut places = [[0; 64]; 3];
        let mut i = 0;
        while i < 192 {
            places[i % 3][i / 3] = i as u8;
            i += 1;
        }
        places
    };

    /// Where each byte of a third of the block stands in the planes.
    const JOIN: Planes = {
        let mut places = [[0; 64]; 3];
        let mut i = 0;
        while i < 192 {
            places[i / 64][i % 64] = (i % 3 * 64 + i / 3) as u8;
            i += 1;
        }
        places
    };

    #[target_feature(enable = "avx512f,avx512bw,avx512vbmi")]
    #[inline]
    fn split(block: &[u8; 192]) -> Planes {
        choose(block, &SPLIT)
    }

    #[target_feature(enable = "avx512f,avx512bw,avx512vbmi")]
    #[inline]
    fn join(planes: &Planes, block: &mut [u8; 192]) {
        let thirds = choose(planes.as_flattened().as_array().unwrap_or(&[0; 192]), &JOIN);
        block.copy_from_slice(thirds.as_flattened());
    }

    /// The bytes at these places of 192.
    #[target_feature(enable = "avx512f,avx512bw,avx512vbmi")]
    #[inline]
    fn choose(bytes: &[u8; 192], places: &Planes) -> Planes {
        // SAFETY: three loads of 64 of the 192 bytes.
        let parts = [0, 1, 2].map(|i| unsafe { _mm512_loadu_si512(bytes.as_ptr().add(64 * i).cast()) });
        let mut chosen = [[0; 64]; 3];
        for (chosen, places) in chosen.iter_mut().zip(places) {
            // SAFETY: there are 64 places.
            let places = unsafe { _mm512_loadu_si512(places.as_ptr().cast()) };
            // The low seven bits choose among the first two parts, the low six within the third.
            let seen = _mm512_permutex2var_epi8(parts[0], places, parts[1]);
            let seen = _mm512_mask_permutexvar_epi8(seen, _mm512_movepi8_mask(places), places, parts[2]);
            // SAFETY: there are 64 bytes.
            unsafe { _mm512_storeu_si512(chosen.as_mut_ptr().cast(), seen) };
        }
        chosen
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
    fn every_channel_has_its_table() {
        for channels in [1, 2, 3, 4, 5, 16, 17] {
            let tables: Vec<[u8; 256]> =
                (0..channels).map(|c| std::array::from_fn(|i| (i * 37 + 11 * c + i * c) as u8)).collect();
            for pixels in [0, 1, 21, 64, 65, 200] {
                let bytes: Vec<u8> = (0..pixels * channels).map(|i| (i * 7) as u8).collect();
                let mut seen = bytes.clone();
                look_up_channels(&mut seen, &tables);
                let want = bytes.iter().enumerate().map(|(i, byte)| tables[i % channels][usize::from(*byte)]);
                assert!(seen.iter().copied().eq(want), "{channels} channels, {pixels} pixels");
            }
        }
    }

    #[test]
    fn planes_are_the_channels() {
        for pixels in [0, 1, 63, 64, 65, 200] {
            let bytes: Vec<u8> = (0..pixels * 3).map(|i| (i * 7 + i / 256) as u8).collect();
            let mut planes = [vec![], vec![], vec![]];
            let show = |block: &Planes| {
                planes.iter_mut().zip(block).for_each(|(plane, part)| plane.extend_from_slice(part));
            };
            widest!(read_planes(&bytes, show));
            for (c, plane) in planes.iter().enumerate() {
                let want: Vec<u8> = bytes.iter().skip(c).step_by(3).copied().collect();
                assert_eq!(plane[..pixels], want);
                assert!(plane[pixels..].iter().all(|v| *v == 0));
            }
            let mut seen = bytes.clone();
            widest!(change_planes(&mut seen, |block| block.swap(0, 2)));
            let (mut plain, mut shown) = (bytes.clone(), vec![]);
            Plain(()).change_planes(&mut plain, |block| block.swap(0, 2));
            Plain(()).read_planes(&bytes, |block| shown.extend_from_slice(&block[1]));
            assert_eq!((&plain, &shown), (&seen, &planes[1]));
            let want: Vec<u8> = bytes.chunks(3).flat_map(|p| [p[2], p[1], p[0]]).collect();
            assert_eq!(seen, want);
        }
    }

    #[test]
    fn bytes_are_within_their_bounds() {
        let values = [-1.0, -0.0, 0.99, 1.0, 254.99, 255.0, 256.0, f32::NAN, f32::INFINITY, f32::NEG_INFINITY];
        assert_eq!(values.map(byte), [0, 0, 0, 1, 254, 255, 255, 0, 255, 0]);
    }

    #[test]
    fn places_of_a_window_are_found() {
        let window = std::array::from_fn(|i| (i * 1021) as u16);
        let places = std::array::from_fn(|i| (i * 37 % 64) as u16);
        assert_eq!(pick(&window, &places), places.map(|place| place * 1021));
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
