//! Shifts along the principal axes of a picture's colors.

use super::simd;
use super::tone::{look_up_channels, rounded};
use data::Image;

/// Adds `255 · Σ alphas[i] · λᵢ · pᵢ` to every color, in place, where λ are the eigenvalues, largest first, and p the
/// eigenvectors of the covariance of the picture's colors, which count from 0 to 1 (Krizhevsky et al. 2012).
///
/// The largest part of each eigenvector is positive. Pictures that have not three channels stay as they are.
pub fn fancy_pca(image: &mut Image, alphas: [f64; 3]) {
    if image.channels() != 3 {
        return;
    }
    let (values, vectors) = eigen(covariance(image.pixels()));
    let shift = |c: usize| 255.0 * (0..3).map(|i| alphas[i] * values[i] * vectors[i][c]).sum::<f64>();
    look_up_channels(image, &[0, 1, 2].map(|c| rounded(|v| v + shift(c))));
}

/// Of colors from 0 to 1.
fn covariance(pixels: &[u8]) -> [[f64; 3]; 3] {
    let (mut sums, mut products) = ([0u64; 3], [[0u64; 3]; 3]);
    simd::widest!(read_planes(pixels, |planes| {
        for (i, a) in planes.iter().enumerate() {
            sums[i] += u64::from(a.iter().map(|v| u32::from(*v)).sum::<u32>());
            for (j, b) in planes.iter().enumerate().skip(i) {
                let sum: i32 = a.iter().zip(b).map(|(a, b)| i32::from(*a) * i32::from(*b)).sum();
                products[i][j] += sum as u64;
            }
        }
    }));
    let count = (pixels.len() / 3) as f64;
    let means = sums.map(|sum| sum as f64 / count);
    let of = |i: usize, j: usize| (products[i.min(j)][i.max(j)] as f64 / count - means[i] * means[j]) / 65025.0;
    std::array::from_fn(|i| std::array::from_fn(|j| of(i, j)))
}

/// The eigenvalues of a symmetric matrix, largest first, and their eigenvectors, by Jacobi's rotations.
fn eigen(mut a: [[f64; 3]; 3]) -> ([f64; 3], [[f64; 3]; 3]) {
    let mut vectors = [[1.0, 0.0, 0.0], [0.0, 1.0, 0.0], [0.0, 0.0, 1.0]];
    // Each round squares how far the matrix is from a diagonal one.
    for _ in 0..8 {
        for (p, q) in [(0, 1), (0, 2), (1, 2)] {
            if a[p][q] == 0.0 {
                continue;
            }
            let theta = (a[q][q] - a[p][p]) / (2.0 * a[p][q]);
            let tan = theta.signum() / (theta.abs() + theta.hypot(1.0));
            let cos = 1.0 / tan.hypot(1.0);
            let sin = tan * cos;
            let turn = |x: f64, y: f64| (cos * x - sin * y, sin * x + cos * y);
            for row in &mut a {
                (row[p], row[q]) = turn(row[p], row[q]);
            }
            for c in 0..3 {
                (a[p][c], a[q][c]) = turn(a[p][c], a[q][c]);
                (vectors[p][c], vectors[q][c]) = turn(vectors[p][c], vectors[q][c]);
            }
        }
    }
    let mut order = [0, 1, 2];
    order.sort_by(|i, j| a[*j][*j].total_cmp(&a[*i][*i]));
    let upright = |vector: [f64; 3]| {
        let largest = vector.into_iter().max_by(|x, y| x.abs().total_cmp(&y.abs())).unwrap_or(1.0);
        vector.map(|v| v * largest.signum())
    };
    (order.map(|i| a[i][i]), order.map(|i| upright(vectors[i])))
}
