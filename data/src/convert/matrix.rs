//! Numbers that become gray levels.

use crate::decode::MAX_PIXELS;
use crate::error::{Error, Result};
use crate::image::Image;

/// `[rows, columns]` numbers, row-major.
#[derive(Clone, Debug, PartialEq)]
pub struct Matrix {
    rows: usize,
    columns: usize,
    values: Vec<f32>,
}

impl Matrix {
    /// From its values.
    ///
    /// # Errors
    /// [`Error::Invalid`] when a side is 0, there are more than [`MAX_PIXELS`] values or another number than the sides say.
    pub fn new(rows: usize, columns: usize, values: Vec<f32>) -> Result<Self> {
        match Self::area(rows, columns)? {
            area if area == values.len() => Ok(Self { rows, columns, values }),
            _ => Err(Error::Invalid(format!("a matrix of {rows}×{columns} cannot have {} values", values.len()))),
        }
    }

    /// Nothing but zeros; sizes are checked before memory is taken.
    pub(super) fn zeros(rows: usize, columns: usize) -> Result<Self> {
        Self::new(rows, columns, vec![0.0; Self::area(rows, columns)?])
    }

    /// `value` of every row and column.
    pub(super) fn from_fn(rows: usize, columns: usize, value: impl Fn(usize, usize) -> f32) -> Result<Self> {
        let mut matrix = Self::zeros(rows, columns)?;
        for (row, values) in matrix.values.chunks_exact_mut(columns).enumerate() {
            values.iter_mut().enumerate().for_each(|(column, v)| *v = value(row, column));
        }
        Ok(matrix)
    }

    /// How many values it has, if so many are allowed.
    pub(super) fn area(rows: usize, columns: usize) -> Result<usize> {
        match rows.checked_mul(columns) {
            Some(area) if area > 0 && area as u64 <= MAX_PIXELS => Ok(area),
            _ => Err(Error::Invalid(format!(
                "a matrix of {rows}×{columns} is no picture: from 1 to {MAX_PIXELS} values are allowed; shorten the series \
                 or the sound, or choose a smaller size"
            ))),
        }
    }

    /// From top to bottom.
    pub fn rows(&self) -> usize {
        self.rows
    }
    /// From left to right.
    pub fn columns(&self) -> usize {
        self.columns
    }
    /// All values.
    pub fn values(&self) -> &[f32] {
        &self.values
    }
    pub(super) fn values_mut(&mut self) -> &mut [f32] {
        &mut self.values
    }
    /// The values of row `row`.
    ///
    /// # Panics
    /// When `row` is out of range.
    pub fn row(&self, row: usize) -> &[f32] {
        &self.values[row * self.columns..][..self.columns]
    }

    /// The smallest and the largest value.
    pub fn range(&self) -> [f32; 2] {
        let start = [f32::INFINITY, f32::NEG_INFINITY];
        self.values.iter().fold(start, |[low, high], v| [low.min(*v), high.max(*v)])
    }

    /// With the first row at the bottom.
    pub fn upside_down(&self) -> Self {
        let values = self.values.chunks_exact(self.columns).rev().flatten().copied().collect();
        Self { values, ..*self }
    }

    /// A gray picture: `low` and all below become 0, `high` and all above 255, and what is between is rounded to the nearest
    /// level. A range of no extent gives black.
    ///
    /// # Errors
    /// Never for a matrix that could be built.
    pub fn image(&self, range: [f32; 2]) -> Result<Image> {
        Image::new(self.columns, self.rows, 1, self.levels(range))
    }

    /// The bytes of [`Matrix::image`].
    pub(super) fn levels(&self, [low, high]: [f32; 2]) -> Vec<u8> {
        let scale = if high > low { 255.0 / (high - low) } else { 0.0 };
        // A cast saturates.
        self.values.iter().map(|v| ((v - low) * scale).round() as u8).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn levels_are_rounded_and_bounded() {
        let matrix = Matrix::new(2, 3, vec![-2.0, -1.0, 0.0, 0.5, 1.0, 3.0]).unwrap();
        assert_eq!(matrix.image([-1.0, 1.0]).unwrap().pixels(), [0, 0, 128, 191, 255, 255]);
        assert_eq!(matrix.image([1.0, 1.0]).unwrap().pixels(), [0; 6]);
        assert_eq!(matrix.upside_down().row(0), [0.5, 1.0, 3.0]);
        assert_eq!(matrix.range(), [-2.0, 3.0]);
    }

    #[test]
    fn impossible_sizes_are_refused_before_memory_is_taken() {
        assert!(Matrix::zeros(0, 3).is_err());
        assert!(Matrix::zeros(1 << 20, 1 << 20).is_err());
        assert!(Matrix::zeros(usize::MAX, 2).is_err());
        assert!(Matrix::new(2, 2, vec![0.0; 3]).is_err());
    }
}
