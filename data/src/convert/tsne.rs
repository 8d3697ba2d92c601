//! t-SNE.

use super::pca::pca;
use crate::error::{Error, Result};
use rayon::prelude::*;

/// Most points: all pairs are kept in memory.
pub(crate) const MOST: usize = 5000;
/// Steps, by how much attraction is exaggerated, and how much of a step is kept for the next.
const STAGES: [(usize, f64, f64); 2] = [(250, 12.0, 0.5), (750, 1.0, 0.8)];

/// Places points of many dimensions in the plane so that those that are near each other stay so (van der Maaten & Hinton 2008),
/// as `sklearn.manifold.TSNE(method="exact", init="pca", learning_rate="auto")` does, without its early end. `perplexity` is how
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
    for (steps, exaggeration, momentum) in STAGES {
        at = descend(&near, at, steps, exaggeration, momentum);
    }
    Ok(at)
}

/// Goes down the gradient, faster where it keeps its direction, from rest.
fn descend(near: &[Vec<f64>], mut at: Vec<[f64; 2]>, steps: usize, exaggeration: f64, momentum: f64) -> Vec<[f64; 2]> {
    let n = at.len();
    let rate = (n as f64 / STAGES[0].1 / 4.0).max(50.0);
    let (mut step, mut gain) = (vec![[0.0; 2]; n], vec![[1.0f64; 2]; n]);
    for _ in 0..steps {
        let slope = gradient(near, &at, exaggeration);
        for (i, c) in (0..n).flat_map(|i| [(i, 0), (i, 1)]) {
            let kept = step[i][c] * slope[i][c] < 0.0;
            gain[i][c] = if kept { gain[i][c] + 0.2 } else { gain[i][c] * 0.8 }.max(0.01);
            step[i][c] = momentum * step[i][c] - rate * gain[i][c] * slope[i][c];
            at[i][c] += step[i][c];
        }
    }
    at
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

    /// Against scikit-learn (`xtask/fixtures/convert.py`). Rounding grows from step to step, so only the first are the same.
    #[test]
    fn distances_steps_and_divergence_are_scikit_learns() {
        let golden: serde_json::Value =
            serde_json::from_str(include_str!("../../tests/golden/convert/table.json")).unwrap();
        let of = |name: &str| serde_json::from_value::<Vec<Vec<f64>>>(golden[name].clone()).unwrap();
        let rows = of("rows");
        let points: Vec<Vec<f64>> = (0..rows[0].len()).map(|j| rows.iter().map(|row| row[j]).collect()).collect();
        let near = joint(&points, 3.0);
        for (i, row) in of("joint").iter().enumerate() {
            assert!(row.iter().zip(&near[i]).enumerate().all(|(j, (a, b))| i == j || (a - b).abs() < 1e-6), "{row:?}");
        }
        let start = of("start").iter().map(|p| [p[0], p[1]]).collect();
        let at = descend(&near, start, 20, 12.0, 0.5);
        let wanted = of("early");
        let most = wanted.iter().flatten().fold(0.0f64, |most, v| most.max(v.abs()));
        for (a, b) in at.iter().flatten().zip(wanted.iter().flatten()) {
            assert!((a - b).abs() < 1e-3 * most, "{a} {b} of {most}");
        }
        let at = tsne(&points, 3.0).unwrap();
        let kernel = |i: usize, j: usize| 1.0 / (1.0 + (at[i][0] - at[j][0]).powi(2) + (at[i][1] - at[j][1]).powi(2));
        let pairs = || (0..at.len()).flat_map(|i| (0..at.len()).map(move |j| (i, j))).filter(|(i, j)| i != j);
        let sum: f64 = pairs().map(|(i, j)| kernel(i, j)).sum();
        let divergence: f64 = pairs().map(|(i, j)| near[i][j] * (near[i][j] * sum / kernel(i, j)).ln()).sum();
        let wanted = golden["divergence"].as_f64().unwrap();
        assert!(divergence < 1.1 * wanted, "{divergence} {wanted}");
    }
}
