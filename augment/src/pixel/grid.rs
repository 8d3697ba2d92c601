//! Holes in a regular order.

use super::noise::Words;
use super::simd::{self, Kernel};
use super::{Paint, Region};
use data::Image;

/// The holes of a picture of `[height, width]` pixels in `[rows, columns]` of cells, row by row.
///
/// A hole's sides are `ratio` of its cell's, at least a pixel and, where a cell has more, a pixel less. It lies at the cell's
/// upper left corner or, with random numbers, anywhere in it.
pub fn holes(sides: [usize; 2], cells: [usize; 2], ratio: f64, offsets: Option<Words>) -> Vec<Region> {
    let [rows, columns] = [0, 1].map(|i| intervals(sides[i], cells[i].clamp(1, sides[i].max(1))));
    let hole = |side: usize| ((side as f64 * ratio) as usize).min(side.saturating_sub(1)).max(1);
    let mut holes = Vec::with_capacity(rows.len() * columns.len());
    for (top, cell_height) in rows {
        for (left, cell_width) in &columns {
            let (height, width) = (hole(cell_height), hole(*cell_width));
            let number = 2 * holes.len() as u32;
            let offset = |i, room| offsets.map_or(0, |words| words.below(number + i, room + 1)) as isize;
            let down = offset(0, cell_height.saturating_sub(height));
            let right = offset(1, cell_width.saturating_sub(width));
            holes.push(Region { left: *left as isize + right, top: top as isize + down, width, height });
        }
    }
    holes
}

/// `n` almost equal parts, the longer ones first: where each begins, and how long it is.
fn intervals(side: usize, n: usize) -> Vec<(usize, usize)> {
    let (length, longer) = (side / n, side % n);
    (0..n).map(|i| (i * length + i.min(longer), length + usize::from(i < longer))).collect()
}

/// Hides a grid of squares: `[period, kept]` pixels from one to the next and between them, shifted by `[left, top]`, turned about
/// the picture's center.
pub fn mask(image: &mut Image, [period, kept]: [usize; 2], shift: [usize; 2], degrees: f64, fill: impl Into<Paint>) {
    let period = period.max(1);
    if kept >= period {
        return;
    }
    let [_, height, width, channels] = image.dims();
    // A period is the whole range of 32 bits, so that phases wrap where the grid does.
    let unit = 4_294_967_296.0 / period as f64;
    let phase = |pixels: f64| (pixels.rem_euclid(period as f64) * unit).round() as u64 as u32;
    let (sin, cos) = degrees.to_radians().sin_cos();
    let step = [phase(cos), phase(sin)];
    let center = [width as f64 / 2.0, height as f64 / 2.0];
    let bound = (kept as f64 * unit).round() as u32;
    let fill = fill.into().pixel(channels);
    for slice in image.pixels_mut().chunks_exact_mut(height * width * channels) {
        for (y, row) in slice.chunks_exact_mut(width * channels).enumerate() {
            // The first pixel's center, turned about the picture's.
            let (x, y) = (0.5 - center[0], y as f64 + 0.5 - center[1]);
            let u = phase(center[0] + cos * x - sin * y - shift[0] as f64);
            let v = phase(center[1] + sin * x + cos * y - shift[1] as f64);
            simd::run(MaskRow { channels, row, start: [u, v], step, bound, fill: &fill });
        }
    }
}

struct MaskRow<'a> {
    channels: usize,
    row: &'a mut [u8],
    start: [u32; 2],
    step: [u32; 2],
    bound: u32,
    fill: &'a [u8],
}

impl Kernel for MaskRow<'_> {
    type Out = ();
    #[inline(always)]
    fn run(self) {
        unrolled!(mask_row(self.channels, self));
    }
}

#[inline(always)]
fn mask_row(channels: usize, mask: MaskRow) {
    let MaskRow { row, start, step, bound, fill, .. } = mask;
    let fill = &fill[..channels];
    for (i, pixel) in (0u32..).zip(row.chunks_exact_mut(channels)) {
        let [u, v] = [0, 1].map(|k| start[k].wrapping_add(step[k].wrapping_mul(i)));
        let hidden = u >= bound && v >= bound;
        for (value, fill) in pixel.iter_mut().zip(fill) {
            *value = if hidden { *fill } else { *value };
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn holes_lie_in_their_cells() {
        for (sides, cells) in [([50, 70], [3, 7]), ([1, 1], [4, 4]), ([2, 9], [1, 4])] {
            let fixed = holes(sides, cells, 0.5, None);
            for offsets in [None, Some(Words::new(1)), Some(Words::new(2))] {
                let seen = holes(sides, cells, 0.5, offsets);
                assert_eq!(seen.len(), fixed.len());
                for (hole, first) in seen.iter().zip(&fixed) {
                    assert_eq!((hole.width, hole.height), (first.width, first.height));
                    assert!(hole.left >= first.left && hole.left as usize + hole.width <= sides[1]);
                    assert!(hole.top >= first.top && hole.top as usize + hole.height <= sides[0]);
                    assert!(hole.left - first.left <= first.width as isize + 1);
                }
            }
        }
    }

    #[test]
    fn masks_hide_their_share_at_any_angle() {
        for degrees in [0.0, 30.0, 45.0, 211.0] {
            let mut image = Image::filled(400, 300, &[1, 1, 1]);
            mask(&mut image, [20, 12], [3, 5], degrees, 0);
            let hidden = image.pixels().iter().filter(|v| **v == 0).count() as f64 / (400.0 * 300.0 * 3.0);
            assert!((hidden - 0.16).abs() < 0.005, "{degrees}: {hidden}");
        }
    }

    #[test]
    fn a_quarter_turn_turns_the_mask() {
        use crate::pixel::{Symmetry, orient};
        let seen = |degrees| {
            let mut image = Image::filled(40, 40, &[1]);
            mask(&mut image, [16, 9], [3, 5], degrees, 0);
            image
        };
        let straight = seen(0.0);
        assert!([1, 3].iter().any(|k| orient(straight.clone(), Symmetry::ALL[*k]) == seen(90.0)));
        assert_ne!(straight, seen(90.0));
        assert_eq!(orient(straight, Symmetry::ALL[2]), seen(180.0));
    }
}
