//! Pieces of a picture in another order.

use super::image;
use data::Image;

/// Where a picture is cut: into columns and rows whose widths differ by at most one pixel.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Grid {
    /// `[width, height]` of the picture.
    pub sides: [usize; 2],
    /// Tiles in a row, and in a column.
    pub counts: [usize; 2],
}

impl Grid {
    /// Tiles.
    pub fn len(self) -> usize {
        self.counts[0] * self.counts[1]
    }

    /// Whether there are none.
    pub fn is_empty(self) -> bool {
        self.len() == 0
    }

    /// `[left, top, width, height]` of a tile, counted by rows.
    pub fn tile(self, i: usize) -> [usize; 4] {
        let cut = |axis: usize, i: usize| i * self.sides[axis] / self.counts[axis].max(1);
        let (column, row) = (i % self.counts[0].max(1), i / self.counts[0].max(1));
        let (left, top) = (cut(0, column), cut(1, row));
        [left, top, cut(0, column + 1) - left, cut(1, row + 1) - top]
    }
}

/// Puts tile `from[i]` in place of tile `i`; as much of it as fits.
pub fn rearrange(source: &Image, grid: Grid, from: &[u32]) -> Image {
    let [_, height, width, channels] = source.dims();
    let mut pixels = source.pixels().to_vec();
    let slices = source.pixels().chunks_exact(height * width * channels);
    for (slice, out) in slices.zip(pixels.chunks_exact_mut(height * width * channels)) {
        for (i, from) in from.iter().enumerate().take(grid.len()).filter(|(i, from)| *i != **from as usize) {
            let ([left, top, w, h], [from_left, from_top, from_w, from_h]) = (grid.tile(i), grid.tile(*from as usize));
            let length = w.min(from_w) * channels;
            for y in 0..h.min(from_h) {
                let to = ((top + y) * width + left) * channels;
                let from = ((from_top + y) * width + from_left) * channels;
                out[to..to + length].copy_from_slice(&slice[from..from + length]);
            }
        }
    }
    image(source.dims(), pixels)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tiles_are_exchanged() {
        let picture = Image::new(5, 2, 1, (0..10).collect()).unwrap();
        let grid = Grid { sides: [5, 2], counts: [2, 2] };
        let tiles: Vec<_> = (0..4).map(|i| grid.tile(i)).collect();
        assert_eq!(tiles, [[0, 0, 2, 1], [2, 0, 3, 1], [0, 1, 2, 1], [2, 1, 3, 1]]);
        assert_eq!(rearrange(&picture, grid, &[2, 3, 0, 1]).pixels(), [5, 6, 7, 8, 9, 0, 1, 2, 3, 4]);
        assert_eq!(rearrange(&picture, grid, &[0, 1, 2, 3]), picture);
    }
}
