//! Thin plates.

use super::Lattice;

/// Pixels between the nodes at which a plate is computed: it bends too little between them to be seen.
const STEP: usize = 8;

/// The displacements of a thin plate spline (Bookstein 1989) over a picture: `shifts` at the points, as little bending as
/// possible elsewhere.
///
/// Points and shifts are shares of the sides. Where the points lie on one line, nothing is displaced.
pub fn thin_plate(sides: [usize; 2], points: &[[f64; 2]], shifts: &[[f64; 2]]) -> Lattice {
    let n = points.len().min(shifts.len());
    let (points, shifts) = (&points[..n], &shifts[..n]);
    let size = n + 3;
    // The bending energy's kernel, bordered by the conditions that leave out affine maps; two right-hand sides.
    let mut system = vec![vec![0.0; size + 2]; size];
    for (i, [x, y]) in points.iter().enumerate() {
        for (j, other) in points.iter().enumerate() {
            system[i][j] = kernel([x - other[0], y - other[1]]);
        }
        for (k, value) in [1.0, *x, *y].into_iter().enumerate() {
            (system[i][n + k], system[n + k][i]) = (value, value);
        }
        system[i][size..].copy_from_slice(&shifts[i]);
    }
    let solved = solve(&mut system);
    let [width, height] = sides.map(|side| side as f64);
    Lattice::sampled(sides, STEP, |x, y| {
        let Some(weights) = &solved else { return [0.0; 2] };
        let (x, y) = (x / width, y / height);
        let mut sum = [0.0; 2];
        let mut add = |weight: [f64; 2], value: f64| {
            sum[0] += weight[0] * value;
            sum[1] += weight[1] * value;
        };
        points.iter().zip(weights).for_each(|(point, weight)| add(*weight, kernel([x - point[0], y - point[1]])));
        [1.0, x, y].into_iter().zip(&weights[n..]).for_each(|(value, weight)| add(*weight, value));
        [sum[0] * width, sum[1] * height]
    })
}

/// r² ln r, of which the halved logarithm of r² spares the root.
fn kernel([x, y]: [f64; 2]) -> f64 {
    let square = x * x + y * y;
    if square > 0.0 { 0.5 * square * square.ln() } else { 0.0 }
}

/// Solves a system with two right-hand sides behind its columns; none when it has no single solution.
fn solve(rows: &mut [Vec<f64>]) -> Option<Vec<[f64; 2]>> {
    let n = rows.len();
    for column in 0..n {
        let best = (column..n).max_by(|a, b| rows[*a][column].abs().total_cmp(&rows[*b][column].abs()))?;
        rows.swap(column, best);
        let (above, below) = rows.split_at_mut(column + 1);
        let pivot = &above[column];
        if pivot[column].abs() < 1e-12 {
            return None;
        }
        for row in below {
            let factor = row[column] / pivot[column];
            row[column..].iter_mut().zip(&pivot[column..]).for_each(|(value, pivot)| *value -= factor * pivot);
        }
    }
    let mut solution = vec![[0.0; 2]; n];
    for i in (0..n).rev() {
        solution[i] = [0, 1].map(|k| {
            let known: f64 = (i + 1..n).map(|j| rows[i][j] * solution[j][k]).sum();
            (rows[i][n + k] - known) / rows[i][i]
        });
    }
    Some(solution)
}
