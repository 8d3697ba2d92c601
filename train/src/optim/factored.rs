//! Second moments that are products of rows and columns, on the CPU in F32: three times over the gradient, once over the
//! parameter, and no tensor of its size in between.

use super::fused;
use candle_core::{Result, Tensor};
use rayon::prelude::*;

/// Lines of a matrix that a thread takes at a time; sums are added in the order of these pieces.
const LINES: usize = 64;

/// Numbers of a line that are computed together, at least.
const BLOCK: usize = 64;

/// A tensor as `[outer, rows, columns, inner]`; a line of it is a row: `columns · inner` numbers.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Matrices {
    rows: usize,
    columns: usize,
    inner: usize,
}

/// Factors of a step for each row, `[outer, rows, inner]`, and for each column, `[outer, columns, inner]`.
pub(super) struct Factors {
    pub rows: Vec<f32>,
    pub columns: Vec<f32>,
}

/// What a step does to parameters: `p ← keep·p − rate·u`, with `beta1` the running average of `rate·u` instead.
#[derive(Clone, Copy)]
pub(super) struct Change {
    pub keep: f32,
    pub rate: f32,
    pub beta1: f32,
}

/// Some lines of the gradient, and the same of what is written.
struct Piece<'a> {
    /// Of which of the outer matrices.
    matrix: usize,
    /// The first of its rows.
    row: usize,
    g: &'a [f32],
    written: Vec<&'a mut [f32]>,
}

impl Matrices {
    /// Dimension `row` of `dims` and the one after it.
    pub fn new(dims: &[usize], row: usize) -> Self {
        Self { rows: dims[row], columns: dims[row + 1], inner: dims[row + 2..].iter().product() }
    }

    fn line(self) -> usize {
        self.columns * self.inner
    }

    /// Whole groups of inner numbers, about [`BLOCK`].
    fn block(self) -> usize {
        self.inner * BLOCK.div_ceil(self.inner)
    }

    /// `f` of all pieces, on all threads; the answers in order.
    fn map<T: Send>(self, written: &[Tensor], g: &Tensor, f: impl Fn(Piece<'_>) -> T + Sync) -> Result<Vec<T>> {
        let mut answers = vec![];
        fused::with(written, g, |written, g| {
            let (matrix, lines) = (self.rows * self.line(), LINES * self.line());
            let of_matrix = |(matrix, all): (usize, _)| {
                <[f32]>::chunks(all, lines).enumerate().map(move |(i, g)| (matrix, i * LINES, g))
            };
            let pieces = g.chunks(matrix).enumerate().flat_map(of_matrix);
            let mut pieces: Vec<Piece<'_>> =
                pieces.map(|(matrix, row, g)| Piece { matrix, row, g, written: vec![] }).collect();
            for all in written {
                let slices = all.chunks_mut(matrix).flat_map(|all| all.chunks_mut(lines));
                pieces.iter_mut().zip(slices).for_each(|(piece, slice)| piece.written.push(slice));
            }
            answers = pieces.into_par_iter().map(&f).collect();
            Ok(())
        })?;
        Ok(answers)
    }

    /// Sums of `term` of a line's numbers and of `columns` over its columns, `[inner]`.
    fn sums(self, line: &[f32], columns: &[f32], term: impl Fn(f32, f32) -> f32) -> Vec<f64> {
        let mut lanes = vec![0f32; self.block()];
        for (numbers, columns) in line.chunks(lanes.len()).zip(columns.chunks(lanes.len())) {
            for (lane, (g, c)) in lanes.iter_mut().zip(numbers.iter().zip(columns)) {
                *lane += term(*g, *c);
            }
        }
        let mut sums = vec![0f64; self.inner];
        for lanes in lanes.chunks(self.inner) {
            sums.iter_mut().zip(lanes).for_each(|(sum, lane)| *sum += f64::from(*lane));
        }
        sums
    }

    /// Means of squares over columns and over rows, plus `eps`.
    pub fn means(self, g: &Tensor, eps: f64) -> Result<Factors> {
        let pieces = self.map(&[], g, |piece| {
            let (mut rows, mut columns) = (vec![], vec![0f32; self.line()]);
            for line in piece.g.chunks(self.line()) {
                rows.extend(self.sums(line, line, |g, _| g * g));
                columns.iter_mut().zip(line).for_each(|(sum, g)| *sum += g * g);
            }
            (piece.matrix, rows, columns)
        })?;
        let mean = |sum: f64, n: usize| (sum / n as f64 + eps) as f32;
        let mut means = Factors { rows: vec![], columns: vec![] };
        for of_matrix in pieces.chunk_by(|a, b| a.0 == b.0) {
            let mut columns = vec![0f64; self.line()];
            for (_, rows, sums) in of_matrix {
                means.rows.extend(rows.iter().map(|sum| mean(*sum, self.columns)));
                columns.iter_mut().zip(sums).for_each(|(all, sum)| *all += f64::from(*sum));
            }
            means.columns.extend(columns.into_iter().map(|sum| mean(sum, self.rows)));
        }
        Ok(means)
    }

    /// From running means of squares the factors of a step `u = g·row·column`, which is g over the root of their product.
    pub fn factors(self, means: &Factors) -> Factors {
        let mut rows = vec![];
        for of_matrix in means.rows.chunks(self.rows * self.inner) {
            let mut mean = vec![0f64; self.inner];
            for row in of_matrix.chunks(self.inner) {
                mean.iter_mut().zip(row).for_each(|(mean, v)| *mean += f64::from(*v) / self.rows as f64);
            }
            let factor = |(v, mean): (&f32, &f64)| (mean / f64::from(*v)).sqrt() as f32;
            rows.extend(of_matrix.chunks(self.inner).flat_map(|row| row.iter().zip(&mean).map(factor)));
        }
        let columns = means.columns.iter().map(|v| f64::from(*v).sqrt().recip() as f32).collect();
        Factors { rows, columns }
    }

    /// Sum of all u².
    pub fn squares(self, g: &Tensor, factors: &Factors) -> Result<f64> {
        let sums = self.map(&[], g, |piece| -> f64 {
            let (rows, columns) = self.of_piece(factors, &piece);
            let of_line = |(line, row): (&[f32], &[f32])| -> f64 {
                let sums = self.sums(line, columns, |g, c| (g * c) * (g * c));
                sums.iter().zip(row).map(|(sum, r)| sum * f64::from(*r).powi(2)).sum()
            };
            piece.g.chunks(self.line()).zip(rows.chunks(self.inner)).map(of_line).sum()
        })?;
        Ok(sums.into_iter().sum())
    }

    /// Changes the parameter, or the parameter and the running average of its steps.
    pub fn step(self, written: &[Tensor], g: &Tensor, factors: &Factors, change: Change) -> Result<()> {
        self.map(written, g, |mut piece| {
            let (rows, columns) = self.of_piece(factors, &piece);
            let (mut row_of, mut u) = (vec![0f32; self.block()], vec![0f32; self.block()]);
            for (i, (line, row)) in piece.g.chunks(self.line()).zip(rows.chunks(self.inner)).enumerate() {
                for group in row_of.chunks_mut(self.inner) {
                    group.iter_mut().zip(row).for_each(|(to, r)| *to = r * change.rate);
                }
                let mut at = i * self.line();
                for (g, c) in line.chunks(u.len()).zip(columns.chunks(u.len())) {
                    for (u, (r, (g, c))) in u.iter_mut().zip(row_of.iter().zip(g.iter().zip(c))) {
                        *u = g * c * r;
                    }
                    change.apply(&mut piece.written, at, &u[..g.len()]);
                    at += g.len();
                }
            }
        })?;
        Ok(())
    }

    /// The factors of a piece's rows and columns.
    fn of_piece<'a>(self, factors: &'a Factors, piece: &Piece<'_>) -> (&'a [f32], &'a [f32]) {
        let (row, column) = ((piece.matrix * self.rows + piece.row) * self.inner, piece.matrix * self.line());
        (&factors.rows[row..], &factors.columns[column..column + self.line()])
    }
}

impl Change {
    /// On the numbers from `at` on, for the steps `u`.
    fn apply(self, written: &mut [&mut [f32]], at: usize, u: &[f32]) {
        match written {
            [p] => p[at..at + u.len()].iter_mut().zip(u).for_each(|(p, u)| *p = *p * self.keep - u),
            [p, m] => {
                let both = p[at..at + u.len()].iter_mut().zip(&mut m[at..at + u.len()]);
                for ((p, m), u) in both.zip(u) {
                    *m = *m * self.beta1 + u * (1.0 - self.beta1);
                    *p = *p * self.keep - *m;
                }
            }
            _ => {}
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use candle_core::{DType, Device};

    /// Several matrices, filters, and more lines than one piece has, against plain operations in F64.
    #[test]
    fn steps_are_those_of_whole_tensors() {
        for (dims, row) in [(vec![3, 150, 20], 1), (vec![70, 20, 3, 2], 0), (vec![64, 65], 0), (vec![1, 1], 0)] {
            let n = dims.iter().product::<usize>();
            let wave = |phase: f64| (0..n).map(|i| (i as f64 * 0.37 + phase).sin()).collect::<Vec<_>>();
            let whole = |phase| Tensor::from_vec(wave(phase), &dims[..], &Device::Cpu).unwrap();
            let small = |phase| whole(phase).to_dtype(DType::F32).unwrap();
            let (g, p, m) = (whole(0.5), whole(1.0), whole(2.0));
            let square = (g.sqr().unwrap() + 0.01).unwrap();
            let (rows, columns) = (square.mean_keepdim(row + 1).unwrap(), square.mean_keepdim(row).unwrap());
            let v = rows.broadcast_div(&rows.mean_keepdim(row).unwrap()).unwrap().broadcast_mul(&columns).unwrap();
            let u = (&g / v.sqrt().unwrap()).unwrap();
            let m = ((m * 0.9).unwrap() + (&u * (0.1 * 0.5)).unwrap()).unwrap();

            let (matrices, gradient) = (Matrices::new(&dims, row), small(0.5));
            let factors = matrices.factors(&matrices.means(&gradient, 0.01).unwrap());
            let far = |ours: &Tensor, wants: &Tensor| {
                let far = (ours.to_dtype(DType::F64).unwrap() - wants).unwrap().abs().unwrap();
                far.flatten_all().unwrap().max(0).unwrap().to_scalar::<f64>().unwrap()
            };
            let squares = u.sqr().unwrap().sum_all().unwrap().to_scalar::<f64>().unwrap();
            assert!((matrices.squares(&gradient, &factors).unwrap() / squares - 1.0).abs() < 1e-6, "{dims:?}");
            let change = Change { keep: 0.99, rate: 0.5, beta1: 0.9 };
            let (ours, average) = (small(1.0), small(2.0));
            matrices.step(&[ours.clone(), average.clone()], &gradient, &factors, change).unwrap();
            assert!(far(&average, &m) < 2e-6, "{dims:?}");
            assert!(far(&ours, &((&p * 0.99).unwrap() - &m).unwrap()) < 2e-6, "{dims:?}");
            let ours = small(1.0);
            matrices.step(std::slice::from_ref(&ours), &gradient, &factors, change).unwrap();
            assert!(far(&ours, &((&p * 0.99).unwrap() - (&u * 0.5).unwrap()).unwrap()) < 2e-6, "{dims:?}");
        }
    }
}
