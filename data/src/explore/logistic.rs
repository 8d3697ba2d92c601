//! Logistic regression with a ridge, by Newton's method: small, exact and the same everywhere.

/// Largest step of a weight at which Newton's method has arrived.
const ARRIVED: f64 = 1e-8;
/// Most steps; few are needed.
const STEPS: usize = 100;

/// `p = 1 / (1 + exp(−(w·z + b)))` of standardized features z.
#[derive(Clone, Debug)]
pub(super) struct Logistic {
    /// Mean and standard deviation of each feature; 1 where it is constant.
    scale: Vec<[f64; 2]>,
    /// Of each standardized feature, then the intercept.
    pub weights: Vec<f64>,
}

impl Logistic {
    /// Minimizes `Σ log-loss + ridge / 2 · Σ w²`, the intercept free (scikit-learn's `LogisticRegression` with `C = 1 / ridge`
    /// behind `StandardScaler`). Rows have as many features as each other.
    pub fn fit(rows: &[&[f32]], truth: &[bool], ridge: f64) -> Self {
        let width = rows.first().map_or(0, |row| row.len());
        let n = rows.len().max(1) as f64;
        let scale = (0..width).map(|k| {
            let mean = rows.iter().map(|row| f64::from(row[k])).sum::<f64>() / n;
            let variance = rows.iter().map(|row| (f64::from(row[k]) - mean).powi(2)).sum::<f64>() / n;
            [mean, if variance > 1e-12 * mean * mean && variance > 0.0 { variance.sqrt() } else { 1.0 }]
        });
        let mut model = Self { scale: scale.collect(), weights: vec![0.0; width + 1] };
        let rows: Vec<Vec<f64>> = rows.iter().map(|row| model.standardized(row)).collect();
        let mut cost = model.cost(&rows, truth, ridge);
        for _ in 0..STEPS {
            let Some(step) = model.newton(&rows, truth, ridge) else { break };
            // A step that is too long is halved; the cost is convex, so that a shorter one pays.
            let mut part = 1.0;
            let from = model.weights.clone();
            loop {
                model.weights = from.iter().zip(&step).map(|(w, s)| w - part * s).collect();
                let next = model.cost(&rows, truth, ridge);
                if next <= cost || part < 1e-6 {
                    cost = next.min(cost);
                    break;
                }
                part /= 2.0;
            }
            if step.iter().all(|s| (part * s).abs() < ARRIVED) {
                break;
            }
        }
        model
    }

    /// The log-odds of a row.
    pub fn score(&self, row: &[f32]) -> f64 {
        dot(&self.weights, &self.standardized(row))
    }

    /// Standardized features and a 1 for the intercept.
    fn standardized(&self, row: &[f32]) -> Vec<f64> {
        let features = row.iter().zip(&self.scale).map(|(v, [mean, std])| (f64::from(*v) - mean) / std);
        features.chain([1.0]).collect()
    }

    fn cost(&self, rows: &[Vec<f64>], truth: &[bool], ridge: f64) -> f64 {
        let loss = |(row, is): (&Vec<f64>, &bool)| {
            let z = dot(&self.weights, row);
            // log(1 + exp(z)) − y·z, without an overflow.
            z.max(0.0) + (-z.abs()).exp().ln_1p() - if *is { z } else { 0.0 }
        };
        let free = self.weights.len() - 1;
        rows.iter().zip(truth).map(loss).sum::<f64>() + ridge / 2.0 * dot(&self.weights[..free], &self.weights[..free])
    }

    /// Inverse Hessian times gradient; none where the Hessian cannot be inverted.
    fn newton(&self, rows: &[Vec<f64>], truth: &[bool], ridge: f64) -> Option<Vec<f64>> {
        let size = self.weights.len();
        let (mut gradient, mut hessian) = (vec![0.0; size], vec![vec![0.0; size]; size]);
        for (row, is) in rows.iter().zip(truth) {
            let p = 1.0 / (1.0 + (-dot(&self.weights, row)).exp());
            let (error, weight) = (p - f64::from(u8::from(*is)), p * (1.0 - p));
            for (i, a) in row.iter().enumerate() {
                gradient[i] += error * a;
                hessian[i][..=i].iter_mut().zip(row).for_each(|(h, b)| *h += weight * a * b);
            }
        }
        for i in 0..size - 1 {
            gradient[i] += ridge * self.weights[i];
            hessian[i][i] += ridge;
        }
        // Far away from the rows the intercept alone may have no curvature left.
        hessian[size - 1][size - 1] += 1e-12;
        solve(hessian, gradient)
    }
}

fn dot(a: &[f64], b: &[f64]) -> f64 {
    a.iter().zip(b).map(|(a, b)| a * b).sum()
}

/// Solves `matrix · x = right` by Cholesky's decomposition; of the matrix the lower half is read.
fn solve(mut matrix: Vec<Vec<f64>>, mut right: Vec<f64>) -> Option<Vec<f64>> {
    let size = right.len();
    for i in 0..size {
        let (above, rest) = matrix.split_at_mut(i);
        let row = &mut rest[0];
        for (j, other) in above.iter().enumerate() {
            row[j] = (row[j] - dot(&row[..j], &other[..j])) / other[j];
        }
        let square = row[i] - dot(&row[..i], &row[..i]);
        if !(square > 0.0 && square.is_finite()) {
            return None;
        }
        row[i] = square.sqrt();
        right[i] = (right[i] - dot(&row[..i], &right[..i])) / row[i];
    }
    for i in (0..size).rev() {
        let behind: f64 = (i + 1..size).map(|j| matrix[j][i] * right[j]).sum();
        right[i] = (right[i] - behind) / matrix[i][i];
    }
    Some(right)
}

/// Area under the ROC curve; ties count half. None where all rows are of one kind.
pub(super) fn auc(scores: &[f64], truth: &[bool]) -> Option<f64> {
    let mut sorted: Vec<(f64, bool)> = scores.iter().copied().zip(truth.iter().copied()).collect();
    sorted.sort_by(|a, b| a.0.total_cmp(&b.0));
    let (mut below, mut won) = (0.0, 0.0);
    for ties in sorted.chunk_by(|a, b| a.0 == b.0) {
        let positive = ties.iter().filter(|(_, is)| *is).count() as f64;
        let negative = ties.len() as f64 - positive;
        won += positive * (below + negative / 2.0);
        below += negative;
    }
    let positive = sorted.len() as f64 - below;
    (positive > 0.0 && below > 0.0).then(|| won / positive / below)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn areas_count_ties_half() {
        let truth = [false, true, false, true];
        assert_eq!(auc(&[0.1, 0.4, 0.4, 0.9], &truth), Some(0.875));
        assert_eq!(auc(&[1.0; 4], &truth), Some(0.5));
        assert_eq!(auc(&[1.0, 2.0], &[true, true]), None);
    }

    #[test]
    fn rows_that_are_told_apart_without_doubt_have_finite_weights() {
        let rows: Vec<[f32; 2]> = (0..100).map(|i| [if i < 50 { -1e6 } else { 1e6 }, 3.0]).collect();
        let rows: Vec<&[f32]> = rows.iter().map(|row| row.as_slice()).collect();
        let truth: Vec<bool> = (0..100).map(|i| i >= 50).collect();
        let model = Logistic::fit(&rows, &truth, 1.0);
        assert!(model.weights[0] > 1.0 && model.weights[0] < 10.0 && model.weights[1] == 0.0, "{model:?}");
        assert!(model.score(rows[99]) > model.score(rows[0]));
    }
}
