//! How many samples of each given class belong to another one.

use crate::predictions::Predictions;

/// A probability this little below its threshold still reaches it (cleanlab).
const SLACK: f64 = 1e-6;

/// `[given][true]`, K×K whole samples whose rows add up to the given classes: the confident joint (Northcutt et al.
/// 2021, equation 1), calibrated (equation 3).
///
/// A sample counts for the class whose probability reaches the mean of that class over the samples given it; for the
/// best class if several do.
pub(super) fn confident_joint(predictions: &Predictions, given: &[u32]) -> Vec<Vec<f64>> {
    let classes = predictions.classes.len();
    let (mut sums, mut sizes) = (vec![0.0; classes], vec![0.0; classes]);
    for (i, &class) in given.iter().enumerate() {
        sums[class as usize] += f64::from(predictions.row(i)[class as usize]);
        sizes[class as usize] += 1.0;
    }
    let threshold = |(sum, size): (&f64, &f64)| if *size > 0.0 { (sum / size).max(2.0 * SLACK) } else { f64::INFINITY };
    let thresholds: Vec<f64> = sums.iter().zip(&sizes).map(threshold).collect();
    let mut joint = vec![vec![0.0; classes]; classes];
    for (i, &class) in given.iter().enumerate() {
        let row = predictions.row(i);
        let mut confident = (0..classes).filter(|&k| f64::from(row[k]) >= thresholds[k] - SLACK);
        match (confident.next(), confident.next()) {
            (Some(only), None) => joint[class as usize][only] += 1.0,
            (Some(_), Some(_)) => joint[class as usize][predictions.best(i)] += 1.0,
            _ => {}
        }
    }
    for (k, row) in joint.iter_mut().enumerate() {
        row[k] = f64::max(row[k], 1.0);
        let sum: f64 = row.iter().sum();
        row.iter_mut().for_each(|count| *count = *count / sum * sizes[k]);
        round(row);
    }
    joint
}

/// Rounds to whole numbers with the same sum; those that rounding moved most are moved back.
fn round(row: &mut [f64]) {
    let exact = row.to_vec();
    row.iter_mut().for_each(|value| *value = value.round_ties_even());
    let missing = exact.iter().sum::<f64>().round_ties_even() - row.iter().sum::<f64>();
    let mut order: Vec<usize> = (0..row.len()).collect();
    order.sort_by(|&a, &b| (exact[a] - row[a]).total_cmp(&(exact[b] - row[b])));
    if missing > 0.0 {
        order.reverse();
    }
    order.iter().take(missing.abs() as usize).for_each(|&i| row[i] += missing.signum());
}

#[cfg(test)]
mod tests {
    use super::round;

    #[test]
    fn rounding_keeps_the_sum() {
        for (exact, whole) in [([2.4, 2.4, 2.2], [2.0, 3.0, 2.0]), ([0.6, 0.7, 0.7], [0.0, 1.0, 1.0])] {
            let mut row = exact;
            round(&mut row);
            assert_eq!(row, whole);
        }
    }
}
