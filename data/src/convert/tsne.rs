//! t-SNE.

use super::pca::pca;
use crate::error::{Error, Result};
use rayon::prelude::*;

/// Most points: all pairs are kept in memory.
const MOST: usize = 5000;
/// Steps with exaggerated attraction, and in all.
const STEPS: [usize; 2] = [250, 1000];
const EXAGGERATION: f64 = 12.0;

/// Places points of many dimensions in the plane so that those that are near each other stay so (van der Maaten & Hinton 2008), as
/// `sklearn.manifold.TSNE(method="exact", init="pca", learning_rate="auto")` does, without its early end. `perplexity` is how
/// many neighbours each point has; it is lowered to what the number of points allows.
///
/// # Errors
/// [`Error::Invalid`] as [`pca`], when there are more than 5000 points, or `perplexity` is less than 1.
pub fn tsne(points: &[Vec<f64>], perplexity: f64) -> Result<Vec<[f64; 2]>> {
    let n = points.len();
    if n > MOST || !(perplexity >= 1.0 && perplexity.is_finite()) {
        let why =
            format!("tsne: at most {MOST} points and a perplexity of at least 1 are allowed, not {n} and {perplexity}");
        return Err(Error::Invalid(why));
    }
    let mut at = pca(points)?;
    if n < 4 {
        return Ok(at);
    }
    let near = joint(points, perplexity.min((n - 1) as f64 / 3.0));
    // Principal components, so small that they say only where to start.
    let deviation = (at.iter().map(|p| p[0] * p[0]).sum::<f64>() / n as f64).sqrt();
    let scale = if deviation > 0.0 { 1e-4 / deviation } else { 0.0 };
    at.iter_mut().flatten().for_each(|v| *v *= scale);
    let rate = (n as f64 / EXAGGERATION / 4.0).max(50.0);
    let (mut step, mut gain) = (vec![[0.0; 2]; n], vec![[1.0f64; 2]; n]);
    for iteration in 0..STEPS[1] {
        // Both stages begin at rest.
        if iteration == STEPS[0] {
            (step, gain) = (vec![[0.0; 2]; n], vec![[1.0; 2]; n]);
        }
        let (exaggeration, momentum) = if iteration < STEPS[0] { (EXAGGERATION, 0.5) } else { (1.0, 0.8) };
        let slope = gradient(&near, &at, exaggeration);
        for i in 0..n {
            for c in 0..2 {
                let same = step[i][c] * slope[i][c] >= 0.0;
                gain[i][c] = if same { gain[i][c] * 0.8 } else { gain[i][c] + 0.2 }.max(0.01);
                step[i][c] = momentum * step[i][c] - rate * gain[i][c] * slope[i][c];
                at[i][c] += step[i][c];
            }
        }
    }
    Ok(at)
}

/// How near all pairs of points are, `[n, n]`; the sum is 1.
fn joint(points: &[Vec<f64>], perplexity: f64) -> Vec<Vec<f64>> {
    let n = points.len();
    let conditional: Vec<Vec<f64>> = (0..n)
        .into_par_iter()
        .map(|i| {
            let squared = |j: usize| points[i].iter().zip(&points[j]).map(|(a, b)| (a - b).powi(2)).sum::<f64>();
            let distances: Vec<f64> = (0..n).map(squared).collect();
            neighbours(&distances, i, perplexity.ln())
        })
        .collect();
    (0..n)
        .map(|i| (0..n).map(|j| ((conditional[i][j] + conditional[j][i]) / (2 * n) as f64).max(f64::EPSILON)).collect())
        .collect()
}

/// Shares of the other points by a bell curve of such a width that their entropy is `wanted`.
fn neighbours(distances: &[f64], own: usize, wanted: f64) -> Vec<f64> {
    let (mut beta, mut low, mut high) = (1.0f64, 0.0f64, f64::INFINITY);
    // Distances count from the nearest, so that not all shares vanish.
    let nearest = distances.iter().enumerate().filter(|(j, _)| *j != own).fold(f64::INFINITY, |n, (_, d)| n.min(*d));
    let mut shares = vec![];
    for _ in 0..100 {
        let weight = |(j, d): (usize, &f64)| if j == own { 0.0 } else { (-(d - nearest) * beta).exp() };
        shares = distances.iter().enumerate().map(weight).collect::<Vec<f64>>();
        let sum: f64 = shares.iter().sum();
        shares.iter_mut().for_each(|share| *share /= sum);
        let mean: f64 = shares.iter().zip(distances).map(|(share, d)| share * (d - nearest)).sum();
        let entropy = sum.ln() + beta * mean;
        if (entropy - wanted).abs() <= 1e-5 {
            break;
        }
        if entropy > wanted {
            low = beta;
            beta = if high.is_finite() { (beta + high) / 2.0 } else { (beta * 2.0).min(f64::MAX) };
        } else {
            high = beta;
            beta = (beta + low) / 2.0;
        }
    }
    shares
}

/// Of the divergence between how near points are and how near their places are.
fn gradient(near: &[Vec<f64>], at: &[[f64; 2]], exaggeration: f64) -> Vec<[f64; 2]> {
    let kernel = |a: [f64; 2], b: [f64; 2]| 1.0 / (1.0 + (a[0] - b[0]).powi(2) + (a[1] - b[1]).powi(2));
    // Sums of rows in order: the number of threads does not show.
    let rows: Vec<f64> = at.par_iter().map(|a| at.iter().map(|b| kernel(*a, *b)).sum::<f64>() - 1.0).collect();
    let sum: f64 = rows.iter().sum();
    let slope = |(a, near): (&[f64; 2], &Vec<f64>)| {
        let mut slope = [0.0; 2];
        for (b, p) in at.iter().zip(near) {
            let k = kernel(*a, *b);
            let pull = 4.0 * (exaggeration * p - (k / sum).max(f64::EPSILON)) * k;
            slope[0] += pull * (a[0] - b[0]);
            slope[1] += pull * (a[1] - b[1]);
        }
        slope
    };
    at.par_iter().zip(near).map(slope).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn clusters_stay_apart_and_points_that_are_equal_do_no_harm() {
        let points: Vec<Vec<f64>> = (0..12)
            .map(|i| {
                let side = if i % 2 == 0 { 5.0 } else { -5.0 };
                vec![side + (f64::from(i) * 1.7).sin(), side + (f64::from(i) * 2.3).cos(), f64::from(i % 3)]
            })
            .collect();
        let at = tsne(&points, 3.0).unwrap();
        assert_eq!(at, tsne(&points, 3.0).unwrap());
        let distance = |a: [f64; 2], b: [f64; 2]| (a[0] - b[0]).hypot(a[1] - b[1]);
        for i in 0..12 {
            let nearest =
                (0..12).filter(|j| *j != i).min_by(|a, b| distance(at[i], at[*a]).total_cmp(&distance(at[i], at[*b])));
            assert_eq!(nearest.unwrap() % 2, i % 2);
        }
        assert!(tsne(&vec![vec![1.0, 2.0]; 9], 3.0).unwrap().iter().flatten().all(|v| v.is_finite()));
        assert!(tsne(&points, 0.0).is_err() && tsne(&[], 3.0).is_err());
    }
}
