//! A Fourier transform of any length, for masks: no part of a network's arithmetic.

/// Real and imaginary part.
pub(super) type Complex = [f64; 2];

fn times([a, b]: Complex, [c, d]: Complex) -> Complex {
    [a * c - b * d, a * d + b * c]
}

/// The real picture of `height` rows whose spectrum's left half is `spectrum`, `height` rows of `width / 2 + 1` (numpy's
/// `irfft2`).
pub(super) fn inverse_real(spectrum: &[Complex], [width, height]: [usize; 2]) -> Vec<f64> {
    let half = width / 2 + 1;
    let (roots, mut columns) = (roots(height), vec![[0.0; 2]; spectrum.len()]);
    let (mut line, mut seen) = (vec![[0.0; 2]; height], vec![[0.0; 2]; height]);
    for x in 0..half {
        for (value, row) in line.iter_mut().zip(spectrum.chunks_exact(half)) {
            *value = row[x];
        }
        transform(&line, 1, &mut seen, &roots);
        for (value, row) in seen.iter().zip(columns.chunks_exact_mut(half)) {
            row[x] = *value;
        }
    }
    let roots = self::roots(width);
    let (mut line, mut seen) = (vec![[0.0; 2]; width], vec![[0.0; 2]; width]);
    let mut picture = Vec::with_capacity(width * height);
    for row in columns.chunks_exact(half) {
        for (x, value) in line.iter_mut().enumerate() {
            // The right half mirrors the left one; what is its own mirror image is real.
            let mirror = width - x;
            *value = match x {
                0 => [row[0][0], 0.0],
                _ if x == mirror => [row[x][0], 0.0],
                _ if x < mirror => row[x],
                _ => [row[mirror][0], -row[mirror][1]],
            };
        }
        transform(&line, 1, &mut seen, &roots);
        picture.extend(seen.iter().map(|value| value[0] / (width * height) as f64));
    }
    picture
}

/// `e^(2πik/n)` for all `k < n`.
fn roots(n: usize) -> Vec<Complex> {
    let angle = |k: usize| (std::f64::consts::TAU * k as f64 / n as f64).sin_cos();
    (0..n).map(angle).map(|(sin, cos)| [cos, sin]).collect()
}

/// The inverse transform, not divided by the length, of every `stride`-th value (Cooley and Tukey 1965).
///
/// `roots` are those of the outermost length, a multiple of `out`'s.
fn transform(values: &[Complex], stride: usize, out: &mut [Complex], roots: &[Complex]) {
    let n = out.len();
    if n <= 1 {
        out.copy_from_slice(&values[..n]);
        return;
    }
    let factor = (2..).take_while(|p| p * p <= n).find(|p| n.is_multiple_of(*p)).unwrap_or(n);
    let (part, step) = (n / factor, roots.len() / n);
    for (i, out) in out.chunks_exact_mut(part).enumerate() {
        transform(&values[i * stride..], stride * factor, out, roots);
    }
    let mut turned = vec![[0.0; 2]; factor];
    for k in 0..part {
        for (i, value) in turned.iter_mut().enumerate() {
            *value = times(out[i * part + k], roots[i * k * step]);
        }
        for r in 0..factor {
            let mut sum = [0.0; 2];
            for (i, value) in turned.iter().enumerate() {
                let [re, im] = times(*value, roots[i * r % factor * part * step]);
                sum = [sum[0] + re, sum[1] + im];
            }
            out[r * part + k] = sum;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_length_agrees_with_the_sum() {
        for n in [1, 2, 3, 4, 6, 7, 12, 30, 49] {
            let values: Vec<Complex> = (0..n).map(|i| [(i * i % 7) as f64, (i * 5 % 3) as f64]).collect();
            let (roots, mut seen) = (roots(n), vec![[0.0; 2]; n]);
            transform(&values, 1, &mut seen, &roots);
            for (k, seen) in seen.iter().enumerate() {
                let terms = values.iter().enumerate().map(|(i, value)| times(*value, roots[i * k % n]));
                let sum = terms.fold([0.0; 2], |a, b| [a[0] + b[0], a[1] + b[1]]);
                assert!((seen[0] - sum[0]).abs() < 1e-9 && (seen[1] - sum[1]).abs() < 1e-9, "{n} {k}");
            }
        }
    }
}
