//! Displacements known at the nodes of a lattice.

use super::read::{Reader, Rows, Sampling, place_f32};
use super::{Border, Paint};
use data::Image;

/// How far from a pixel the picture is read there, known at the nodes of a lattice that covers the picture.
///
/// Node `(i, j)` lies at pixel `(i · step[0], j · step[1])`; between nodes displacements are interpolated.
#[derive(Clone, Debug)]
pub struct Lattice {
    columns: usize,
    step: [f32; 2],
    /// By rows.
    x: Vec<f32>,
    y: Vec<f32>,
}

/// What happens between the nodes of a [`Lattice`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Between {
    /// Displacements are linear along both axes.
    Bilinear,
    /// Each cell is two triangles, upper right and lower left, in which the map is affine.
    Triangles,
}

impl Lattice {
    /// Of `columns` ≥ 2 nodes in each of at least two rows; none when the numbers do not fit.
    pub fn new(columns: usize, step: [f32; 2], x: Vec<f32>, y: Vec<f32>) -> Option<Self> {
        let whole = columns >= 2 && x.len() == y.len() && x.len() >= 2 * columns && x.len().is_multiple_of(columns);
        (whole && step.iter().all(|step| *step > 0.0)).then_some(Self { columns, step, x, y })
    }

    /// With nodes at every `step` pixels of a picture, displaced by `shift(x, y)`.
    pub fn sampled([width, height]: [usize; 2], step: usize, mut shift: impl FnMut(f64, f64) -> [f64; 2]) -> Self {
        let step = step.max(1);
        let [columns, rows] = [width, height].map(|side| nodes(side, step));
        let (mut x, mut y) = (Vec::with_capacity(columns * rows), Vec::with_capacity(columns * rows));
        for (j, i) in (0..rows).flat_map(|j| (0..columns).map(move |i| (j, i))) {
            let [dx, dy] = shift((i * step) as f64, (j * step) as f64);
            x.push(dx as f32);
            y.push(dy as f32);
        }
        Self { columns, step: [step as f32; 2], x, y }
    }

    /// The displacements at the nodes.
    pub fn shifts(&self) -> impl Iterator<Item = [f32; 2]> + '_ {
        self.x.iter().zip(&self.y).map(|(x, y)| [*x, *y])
    }
}

/// Nodes that cover a side, at least two.
pub(super) fn nodes(side: usize, step: usize) -> usize {
    (side.saturating_sub(1).div_ceil(step) + 1).max(2)
}

/// The picture read at displaced places; the size stays, `fill` is the value of a constant border.
pub fn bend(source: &Image, lattice: &Lattice, between: Between, look: (Sampling, Border, Paint)) -> Image {
    let (sampling, border, fill) = look;
    let rows = Bent { lattice, between, x: vec![0.0; lattice.columns * 2], y: vec![0.0; lattice.columns * 2] };
    Reader { sampling, border, fill }.read(source, [source.width(), source.height()], rows)
}

struct Bent<'a> {
    lattice: &'a Lattice,
    between: Between,
    /// Displacements of the nodes above, then what they change by per cell further down: in this row.
    x: Vec<f32>,
    y: Vec<f32>,
}

impl Rows for Bent<'_> {
    #[inline(always)]
    fn row(&mut self, row: usize, xs: &mut [i32], ys: &mut [i32]) {
        let Lattice { columns, step, x, y } = self.lattice;
        let at = row as f32 / step[1];
        let j = (at as usize).min(x.len() / columns - 2);
        let share = at - j as f32;
        for (nodes, all) in [(&mut self.x, x), (&mut self.y, y)] {
            let (above, below) = all[j * columns..(j + 2) * columns].split_at(*columns);
            let (now, down) = nodes.split_at_mut(*columns);
            for (((now, down), above), below) in now.iter_mut().zip(down).zip(above).zip(below) {
                *down = below - above;
                *now = match self.between {
                    Between::Bilinear => above + *down * share,
                    Between::Triangles => *above,
                };
            }
        }
        let triangles = self.between == Between::Triangles;
        let row = row as f32;
        along(xs, &self.x, Cells { columns: *columns, step: step[0], share, triangles }, [0.0, 1.0]);
        along(ys, &self.y, Cells { columns: *columns, step: step[0], share, triangles }, [row, 0.0]);
    }
}

#[derive(Clone, Copy)]
struct Cells {
    columns: usize,
    step: f32,
    /// How far down in its cells the row is.
    share: f32,
    triangles: bool,
}

/// Writes `start + slope · x +` the displacement for each pixel of a row.
#[inline(always)]
fn along(places: &mut [i32], nodes: &[f32], cells: Cells, [start, slope]: [f32; 2]) {
    let Cells { columns, step, share, triangles } = cells;
    let (now, down) = nodes.split_at(columns);
    let width = places.len();
    let scale = 1.0 / step;
    let mut first = 0;
    for i in 0..columns - 1 {
        let end = |v: f32| if i + 2 == columns { width } else { (v.ceil() as usize).clamp(first, width) };
        let left = i as f32;
        let last = end((left + 1.0) * step);
        let ([a, b], [down_a, down_b]) = ([now[i], now[i + 1]], [down[i], down[i + 1]]);
        let mut line = |from: usize, to: usize, base: f32, rise: f32| {
            for (x, place) in places[from..to].iter_mut().enumerate() {
                let x = (from + x) as i32 as f32;
                *place = place_f32(start + slope * x + (base + rise * (x * scale - left)));
            }
        };
        if triangles {
            // On the diagonal both agree.
            let middle = ((left + share) * step).ceil().clamp(first as f32, last as f32) as usize;
            line(first, middle, a + down_a * share, b + down_b - a - down_a);
            line(middle, last, a + down_b * share, b - a);
        } else {
            line(first, last, a, b - a);
        }
        first = last;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn look() -> (Sampling, Border, Paint) {
        (Sampling::Bilinear, Border::Replicate, Paint::default())
    }

    #[test]
    fn equal_displacements_move_the_picture() {
        let picture = Image::new(4, 3, 1, (0..12).collect()).unwrap();
        let moved = Lattice::sampled([4, 3], 2, |_, _| [1.0, -1.0]);
        for between in [Between::Bilinear, Between::Triangles] {
            assert_eq!(bend(&picture, &moved, between, look()).pixels(), [1, 2, 3, 3, 1, 2, 3, 3, 5, 6, 7, 7]);
        }
        assert!(Lattice::new(1, [1.0; 2], vec![0.0; 4], vec![0.0; 4]).is_none());
        assert!(Lattice::new(2, [0.0; 2], vec![0.0; 4], vec![0.0; 4]).is_none());
    }

    /// A displacement that is linear in x and y is read from every lattice alike.
    #[test]
    fn lattices_interpolate() {
        let picture = Image::new(37, 29, 3, (0..37 * 29 * 3).map(|i| (i * i / 5 % 256) as u8).collect()).unwrap();
        let shift = |x: f64, y: f64| [0.125 * x - 0.0625 * y, 0.03125 * x + 0.25 * y];
        let want = bend(&picture, &Lattice::sampled([37, 29], 1, shift), Between::Bilinear, look());
        for step in [1, 2, 3, 8, 64] {
            for between in [Between::Bilinear, Between::Triangles] {
                let seen = bend(&picture, &Lattice::sampled([37, 29], step, shift), between, look());
                let most = seen.pixels().iter().zip(want.pixels()).map(|(a, b)| a.abs_diff(*b)).max();
                assert!(most <= Some(1), "{step} {between:?} {most:?}");
            }
        }
    }
}
