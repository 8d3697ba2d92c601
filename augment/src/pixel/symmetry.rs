//! Mirror images and quarter turns.

use super::{image, simd};
use data::Image;

/// A symmetry of the square: first `transpose`, then the flips.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Symmetry {
    /// Rows become columns.
    pub transpose: bool,
    /// Left and right exchanged.
    pub mirror: bool,
    /// Top and bottom exchanged.
    pub upside_down: bool,
}

impl Symmetry {
    /// Nothing changes.
    pub const IDENTITY: Self = Self::new(false, false, false);
    /// Left and right exchanged.
    pub const MIRROR: Self = Self::new(false, true, false);
    /// Top and bottom exchanged.
    pub const UPSIDE_DOWN: Self = Self::new(false, false, true);
    /// All eight: by 0, 90, 180, 270 degrees counter-clockwise, then the same after mirroring.
    pub const ALL: [Self; 8] = [
        Self::IDENTITY,
        Self::new(true, false, true),
        Self::new(false, true, true),
        Self::new(true, true, false),
        Self::MIRROR,
        Self::new(true, false, false),
        Self::UPSIDE_DOWN,
        Self::new(true, true, true),
    ];

    const fn new(transpose: bool, mirror: bool, upside_down: bool) -> Self {
        Self { transpose, mirror, upside_down }
    }
}

/// The picture under a symmetry; width and height are exchanged when it transposes.
pub fn orient(mut source: Image, symmetry: Symmetry) -> Image {
    let [depth, height, width, channels] = source.dims();
    if symmetry.transpose {
        let mut pixels = vec![0; source.pixels().len()];
        let slices = source.pixels().chunks_exact(height * width * channels);
        for (slice, out) in slices.zip(pixels.chunks_exact_mut(height * width * channels)) {
            unrolled!(turn(channels, slice, out, [width, height], symmetry));
        }
        return image([depth, width, height, channels], pixels);
    }
    for slice in source.pixels_mut().chunks_exact_mut(height * width * channels) {
        match (symmetry.mirror, symmetry.upside_down) {
            (false, false) => {}
            (true, true) => reverse(slice, channels),
            (true, false) => slice.chunks_exact_mut(width * channels).for_each(|row| reverse(row, channels)),
            (false, true) => reverse(slice, width * channels),
        }
    }
    source
}

/// The groups of `length` bytes in the opposite order.
fn reverse(bytes: &mut [u8], length: usize) {
    if simd::reverse(bytes, length) {
        return;
    }
    match length {
        1 => bytes.reverse(),
        2 => bytes.as_chunks_mut::<2>().0.reverse(),
        3 => bytes.as_chunks_mut::<3>().0.reverse(),
        4 => bytes.as_chunks_mut::<4>().0.reverse(),
        _ => {
            let half = bytes.len() / length / 2 * length;
            let (front, back) = bytes.split_at_mut(half);
            let pairs = front.chunks_exact_mut(length).zip(back.rchunks_exact_mut(length));
            pairs.for_each(|(a, b)| a.swap_with_slice(b));
        }
    }
}

/// A transposing symmetry of one slice, in tiles that stay in the cache.
#[inline(always)]
fn turn(channels: usize, slice: &[u8], out: &mut [u8], [width, height]: [usize; 2], symmetry: Symmetry) {
    const TILE: usize = 16;
    for top in (0..width).step_by(TILE) {
        for left in (0..height).step_by(TILE) {
            for y in top..width.min(top + TILE) {
                let column = if symmetry.upside_down { width - 1 - y } else { y };
                for x in left..height.min(left + TILE) {
                    let row = if symmetry.mirror { height - 1 - x } else { x };
                    let (from, to) = ((row * width + column) * channels, (y * height + x) * channels);
                    out[to..to + channels].copy_from_slice(&slice[from..from + channels]);
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn symmetries_form_a_group() {
        for channels in [1, 2, 3, 4, 5] {
            let pixels: Vec<u8> = (0..20 * 21 * channels * 2).map(|i| (i * 7 % 251) as u8).collect();
            let picture = Image::volume([2, 20, 21, channels], pixels).unwrap();
            let all = Symmetry::ALL.map(|symmetry| orient(picture.clone(), symmetry));
            for (i, seen) in all.iter().enumerate() {
                assert!(all[..i].iter().all(|other| other != seen));
                // Turning on by 90 degrees leads to the next one of the same handedness.
                assert_eq!(orient(seen.clone(), Symmetry::ALL[1]), all[i / 4 * 4 + (i + 1) % 4]);
                // Mirroring swaps the halves of the list; it reverses the sense of the turns.
                assert_eq!(orient(seen.clone(), Symmetry::MIRROR), all[(8 - i) % 4 + if i < 4 { 4 } else { 0 }]);
            }
        }
    }
}
