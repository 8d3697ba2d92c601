//! Principal components.

use crate::error::{Error, Result};
use crate::rng::{stream, sub_seed};
use rand::Rng;

/// Directions that are followed; two are wanted, and the more the others are, the faster those settle.
const DIRECTIONS: usize = 10;
/// Most steps.
const STEPS: usize = 1000;

/// The first two principal components of points of any number of dimensions (Pearson 1901, `sklearn.decomposition.PCA`, signs
/// too: in each component the dimension with the largest weight has a positive one). Found by subspace iteration, which needs
/// no matrix but the points.
///
/// # Errors
/// [`Error::Invalid`] when there are no points or dimensions, their numbers differ or a value is not finite.
pub fn pca(points: &[Vec<f64>]) -> Result<Vec<[f64; 2]>> {
    let dims = points.first().map_or(0, Vec::len);
    if dims == 0 || points.iter().any(|point| point.len() != dims || point.iter().any(|v| !v.is_finite())) {
        return Err(Error::Invalid("pca: points must be at least one, of equally many finite values".into()));
    }
    let mut mean = vec![0.0; dims];
    for point in points {
        mean.iter_mut().zip(point).for_each(|(m, v)| *m += v / points.len() as f64);
    }
    let centred: Vec<Vec<f64>> = points.iter().map(|p| p.iter().zip(&mean).map(|(v, m)| v - m).collect()).collect();
    // Of the points' matrix X the largest eigenvectors of X Xᵀ.
    let mut rng = stream(sub_seed(0, "pca"), 0, 0);
    let k = DIRECTIONS.min(points.len()).min(dims);
    let start = (0..k).map(|_| (0..points.len()).map(|_| rng.random_range(-1.0..1.0)).collect()).collect();
    let mut basis = orthonormal(start);
    let (mut along, mut strength) = (vec![], vec![]);
    for _ in 0..STEPS {
        along = basis.iter().map(|q| transposed_product(&centred, q)).collect::<Vec<_>>();
        let inner: Vec<Vec<f64>> = along.iter().map(|a| along.iter().map(|b| dot(a, b)).collect()).collect();
        let (values, turn) = eigen(inner);
        let turned = |vectors: &[Vec<f64>]| -> Vec<Vec<f64>> {
            let mix = |weights: &Vec<f64>| {
                let mut sum = vec![0.0; vectors[0].len()];
                for (vector, w) in vectors.iter().zip(weights) {
                    sum.iter_mut().zip(vector).for_each(|(s, v)| *s += w * v);
                }
                sum
            };
            turn.iter().map(mix).collect()
        };
        (basis, along, strength) = (turned(&basis), turned(&along), values);
        let next: Vec<Vec<f64>> =
            along.iter().map(|a| centred.iter().map(|point| dot(point, a)).collect::<Vec<f64>>()).collect();
        let settled = next.iter().zip(&basis).zip(&strength).take(2).all(|((y, q), value)| {
            let residual: f64 = y.iter().zip(q).map(|(y, q)| (y - value * q).powi(2)).sum();
            residual.sqrt() <= 1e-11 * strength[0]
        });
        if settled {
            break;
        }
        basis = orthonormal(next);
    }
    let component = |i: usize| -> Vec<f64> {
        let Some(weights) = along.get(i) else { return vec![0.0; points.len()] };
        let largest = weights.iter().fold(0.0f64, |most, w| if w.abs() > most.abs() { *w } else { most });
        let length = strength[i].max(0.0).sqrt().copysign(largest);
        basis[i].iter().map(|q| q * length).collect()
    };
    Ok(component(0).into_iter().zip(component(1)).map(|(x, y)| [x, y]).collect())
}

fn dot(a: &[f64], b: &[f64]) -> f64 {
    a.iter().zip(b).map(|(a, b)| a * b).sum()
}

/// `Xᵀ q` for the rows of X.
fn transposed_product(rows: &[Vec<f64>], q: &[f64]) -> Vec<f64> {
    let mut sum = vec![0.0; rows[0].len()];
    for (row, weight) in rows.iter().zip(q) {
        sum.iter_mut().zip(row).for_each(|(s, v)| *s += weight * v);
    }
    sum
}

/// Gram-Schmidt; what depends on the vectors before becomes 0.
fn orthonormal(mut vectors: Vec<Vec<f64>>) -> Vec<Vec<f64>> {
    for i in 0..vectors.len() {
        let (before, rest) = vectors.split_at_mut(i);
        let vector = &mut rest[0];
        let whole = dot(vector, vector).sqrt();
        // Twice, as once leaves what rounding made of it.
        for _ in 0..2 {
            for other in before.iter() {
                let share = dot(vector, other);
                vector.iter_mut().zip(other).for_each(|(v, o)| *v -= share * o);
            }
        }
        let length = dot(vector, vector).sqrt();
        let scale = if length > 1e-12 * whole { 1.0 / length } else { 0.0 };
        vector.iter_mut().for_each(|v| *v *= scale);
    }
    vectors
}

/// Eigenvalues in falling order and their eigenvectors of a small symmetric matrix, by Jacobi's rotations.
fn eigen(mut a: Vec<Vec<f64>>) -> (Vec<f64>, Vec<Vec<f64>>) {
    let n = a.len();
    let mut vectors: Vec<Vec<f64>> = (0..n).map(|i| (0..n).map(|j| f64::from(i == j)).collect()).collect();
    for _ in 0..50 {
        for (p, q) in (0..n).flat_map(|p| (p + 1..n).map(move |q| (p, q))) {
            if a[p][q] == 0.0 {
                continue;
            }
            let theta = (a[q][q] - a[p][p]) / (2.0 * a[p][q]);
            let t = 1f64.copysign(theta) / (theta.abs() + theta.hypot(1.0));
            let cos = 1.0 / t.hypot(1.0);
            let sin = t * cos;
            for row in a.iter_mut() {
                (row[p], row[q]) = (cos * row[p] - sin * row[q], sin * row[p] + cos * row[q]);
            }
            for rows in [&mut a, &mut vectors] {
                let (upper, lower) = rows.split_at_mut(q);
                for (x, y) in upper[p].iter_mut().zip(&mut lower[0]) {
                    (*x, *y) = (cos * *x - sin * *y, sin * *x + cos * *y);
                }
            }
        }
    }
    let mut order: Vec<usize> = (0..n).collect();
    order.sort_by(|&i, &j| a[j][j].total_cmp(&a[i][i]));
    (order.iter().map(|&i| a[i][i]).collect(), order.iter().map(|&i| vectors[i].clone()).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn points_on_a_line_have_one_component() {
        let points: Vec<Vec<f64>> = (0..5).map(|i| vec![3.0 * f64::from(i), 4.0 * f64::from(i), 1.0]).collect();
        for (i, [x, y]) in pca(&points).unwrap().into_iter().enumerate() {
            assert!((x - 5.0 * (i as f64 - 2.0)).abs() < 1e-9 && y.abs() < 1e-6, "{x} {y}");
        }
        assert_eq!(pca(&[vec![1.0], vec![1.0]]).unwrap(), [[0.0; 2]; 2]);
        assert!(pca(&[]).is_err() && pca(&[vec![]]).is_err() && pca(&[vec![f64::NAN]]).is_err());
        assert!(pca(&[vec![1.0], vec![1.0, 2.0]]).is_err());
    }
}
