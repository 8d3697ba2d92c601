//! Local contrast.

use super::tone::Table;
use super::{Border, lab, simd};
use data::Image;

/// The values of one channel, the lightness of three, spread within each of `tiles` × `tiles` tiles, in place (CLAHE; OpenCV's
/// `createCLAHE`).
///
/// A value counts at most `clip` times as often as the average one. Pictures with other numbers of channels stay as they are.
pub fn clahe(image: &mut Image, clip: f64, tiles: usize) {
    let [_, height, width, channels] = image.dims();
    let spread = |values: &mut [u8]| {
        let tiling = Tiling::new([width, height], tiles.max(1));
        let tables = tiling.tables(values, clip);
        tiling.blend(values, &tables);
    };
    match channels {
        1 => spread(image.pixels_mut()),
        3 => lab::change_lightness(image.pixels_mut(), spread),
        _ => {}
    }
}

/// Tiles of the same size over a picture that is continued by its mirror image where they do not fit.
struct Tiling {
    columns: Axis,
    rows: Axis,
}

/// One direction of the tiles.
#[derive(Clone, Copy)]
struct Axis {
    /// Pixels of the picture.
    length: usize,
    tiles: usize,
    /// Pixels of a tile.
    tile: usize,
}

impl Axis {
    /// The pixels between the middles of two tiles, and the tiles; before the first and after the last middle both are the same.
    fn cells(self) -> impl Iterator<Item = (std::ops::Range<usize>, [usize; 2])> {
        let mut start = 0;
        (0..=self.tiles).filter_map(move |cell| {
            let inside = |x: usize| self.place(x).0 < cell as f32;
            let first = start;
            // Rounding decides to which cell a middle belongs.
            let mut end = (cell * self.tile + self.tile / 2).clamp(first, self.length);
            while end > first && !inside(end - 1) {
                end -= 1;
            }
            while end < self.length && inside(end) {
                end += 1;
            }
            start = end;
            (first < end).then(|| (first..end, [cell.saturating_sub(1), cell.min(self.tiles - 1)]))
        })
    }

    /// The number of the last middle before a pixel, from −1 on, and how far it is from there, in tiles.
    fn place(self, x: usize) -> (f32, f32) {
        let place = x as f32 * (1.0 / self.tile as f32) - 0.5;
        (place.floor(), place - place.floor())
    }
}

impl Tiling {
    fn new([width, height]: [usize; 2], tiles: usize) -> Self {
        // Where one direction does not fit, OpenCV makes the tiles of both longer.
        let more = usize::from(!width.is_multiple_of(tiles) || !height.is_multiple_of(tiles));
        let axis = |length| Axis { length, tiles, tile: length / tiles + more };
        Self { columns: axis(width), rows: axis(height) }
    }

    fn tables(&self, values: &[u8], clip: f64) -> Vec<Table> {
        let Self { columns, rows } = *self;
        let (width, height) = (columns.length, rows.length);
        let slices = values.len() / (width * height);
        let area = slices * columns.tile * rows.tile;
        let limit = ((clip * area as f64 / 256.0) as u32).max(1);
        let mut tables = Vec::with_capacity(columns.tiles * rows.tiles);
        // Four counters: a value that repeats need not wait for its last count.
        let mut counters = vec![[[0u32; 256]; 4]; columns.tiles];
        for top in (0..rows.tiles).map(|tile| tile * rows.tile) {
            counters.as_flattened_mut().fill([0; 256]);
            for y in top..top + rows.tile {
                let y = Border::Reflect101.index(y as isize, height).unwrap_or(0);
                for slice in values.chunks_exact(width * height) {
                    let row = &slice[y * width..][..width];
                    for (left, counts) in (0..columns.tiles).map(|tile| tile * columns.tile).zip(&mut counters) {
                        let inside = &row[left.min(width)..(left + columns.tile).min(width)];
                        let (chunks, rest) = inside.as_chunks::<4>();
                        for chunk in chunks {
                            counts.iter_mut().zip(chunk).for_each(|(counts, v)| counts[usize::from(*v)] += 1);
                        }
                        counts.iter_mut().zip(rest).for_each(|(counts, v)| counts[usize::from(*v)] += 1);
                        for x in left.max(width)..(left + columns.tile).max(width) {
                            let x = Border::Reflect101.index(x as isize, width).unwrap_or(0);
                            counts[0][usize::from(row[x])] += 1;
                        }
                    }
                }
            }
            tables.extend(counters.iter().map(|counters| spreading(counters, limit, area)));
        }
        tables
    }

    /// Each value between the tables of the four nearest tiles.
    fn blend(&self, values: &mut [u8], tables: &[Table]) {
        let Self { columns, rows } = *self;
        let (width, height) = (columns.length, rows.length);
        let shares: Vec<f32> = (0..width).map(|x| columns.place(x).1).collect();
        simd::widest!(run(|| {
            for (down, [upper, lower]) in rows.cells() {
                for (across, [left, right]) in columns.cells() {
                    let corner = |row: usize, column: usize| &tables[row * columns.tiles + column];
                    let corners =
                        [corner(upper, left), corner(upper, right), corner(lower, left), corner(lower, right)];
                    // One look-up for all four.
                    let four: [u32; 256] = std::array::from_fn(|v| u32::from_le_bytes(corners.map(|table| table[v])));
                    for y in down.clone() {
                        let below = rows.place(y).1;
                        for slice in values.chunks_exact_mut(width * height) {
                            let row = &mut slice[y * width..][across.clone()];
                            for (v, share) in row.iter_mut().zip(&shares[across.clone()]) {
                                *v = between(four[usize::from(*v)], *share, below);
                            }
                        }
                    }
                }
            }
        }));
    }
}

/// Between four values, `right` and `below` of the way; rounded, halves to even.
#[inline(always)]
fn between(four: u32, right: f32, below: f32) -> u8 {
    let corner = |i: u32| ((four >> (8 * i)) & 255) as i32 as f32;
    let upper = corner(0) * (1.0 - right) + corner(1) * right;
    let lower = corner(2) * (1.0 - right) + corner(3) * right;
    // Of a sum with 3 · 2²², only whole numbers are left in the lower bits.
    (upper * (1.0 - below) + lower * below + 12_582_912.0).to_bits() as u8
}

/// The table that makes values equally frequent, of which none counts more often than `limit`: what is above that is shared
/// by all.
fn spreading(counters: &[[u32; 256]; 4], limit: u32, area: usize) -> Table {
    let mut counts: [u32; 256] = std::array::from_fn(|v| counters.iter().map(|counts| counts[v]).sum());
    let mut above = 0;
    for count in &mut counts {
        above += count.saturating_sub(limit);
        *count = (*count).min(limit);
    }
    let (each, rest) = (above / 256, above % 256);
    counts.iter_mut().for_each(|count| *count += each);
    if let Some(step) = 256u32.checked_div(rest) {
        counts.iter_mut().step_by(step.max(1) as usize).take(rest as usize).for_each(|count| *count += 1);
    }
    let (mut sum, scale) = (0, 255.0 / area as f32);
    counts.map(|count| {
        sum += count;
        (sum as f32 * scale).round_ties_even() as u8
    })
}
