//! Row-major matrix products on slices, one thread each: callers split the work into fixed pieces,
//! so results never depend on the number of threads.
#![allow(unsafe_code)]

use super::element::Element;

/// A row-major `rows × cols` view: element `(r, c)` is `data[r * stride + c]`, or its transpose.
#[derive(Clone, Copy)]
pub(crate) struct Matrix<'a, T> {
    data: &'a [T],
    rows: usize,
    cols: usize,
    row_stride: usize,
    col_stride: usize,
}

impl<'a, T> Matrix<'a, T> {
    /// Panics when `data` is too short for the last row: a programming error of a kernel.
    pub(crate) fn new(data: &'a [T], rows: usize, cols: usize, stride: usize) -> Self {
        assert!(stride >= cols && (rows == 0 || data.len() >= (rows - 1) * stride + cols), "matrix view out of bounds");
        Self { data, rows, cols, row_stride: stride, col_stride: 1 }
    }
    pub(crate) fn transposed(self) -> Self {
        Self {
            rows: self.cols,
            cols: self.rows,
            row_stride: self.col_stride,
            col_stride: self.row_stride,
            data: self.data,
        }
    }
}

/// `out = a · b`, or `out += a · b` when `accumulate`; row `r` of `out` starts at `r * stride`.
pub(crate) fn multiply<T: Element>(a: Matrix<'_, T>, b: Matrix<'_, T>, out: &mut [T], stride: usize, accumulate: bool) {
    assert_eq!(a.cols, b.rows, "inner dimensions of a product");
    let (m, n, k) = (a.rows, b.cols, a.cols);
    if m == 0 || n == 0 {
        return;
    }
    assert!(stride >= n && out.len() >= (m - 1) * stride + n, "product out of bounds");
    let alpha = if accumulate { T::ONE } else { T::ZERO };
    // SAFETY: `Matrix::new` checked that every (row, col) of `a` and `b` lies inside its slice, the assertion above does
    // so for `out`, which is borrowed mutably and so cannot overlap the inputs; strides are element counts.
    unsafe {
        gemm::gemm(
            m,
            n,
            k,
            out.as_mut_ptr(),
            1,
            stride as isize,
            accumulate,
            a.data.as_ptr(),
            a.col_stride as isize,
            a.row_stride as isize,
            b.data.as_ptr(),
            b.col_stride as isize,
            b.row_stride as isize,
            alpha,
            T::ONE,
            false,
            false,
            false,
            gemm::Parallelism::None,
        );
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn products_and_transposes() {
        let a = [1., 2., 3., 4., 5., 6.];
        let (a, b) = (Matrix::new(&a, 2, 3, 3), Matrix::new(&[1., 0., 0., 1., 1., 1.], 3, 2, 2));
        let mut out = vec![10f64; 4];
        multiply(a, b, &mut out, 2, false);
        assert_eq!(out, [4., 5., 10., 11.]);
        multiply(b.transposed(), a.transposed(), &mut out, 2, true);
        assert_eq!(out, [8., 15., 15., 22.]);
    }
}
