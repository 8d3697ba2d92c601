//! Changes of a spectrogram in time.

use super::Matrix;
use crate::error::{Error, Result};

/// The slope (`order` 1) or curvature (`order` 2) of every row: the derivative of the line or parabola that fits `width` frames
/// around each frame best (Savitzky & Golay 1964, `librosa.feature.delta`). Frames near an end have what the outermost whole
/// window has.
///
/// # Errors
/// [`Error::Invalid`] when `width` is even, less than 3 or more than the frames, or `order` is another.
pub fn delta(of: &Matrix, width: usize, order: usize) -> Result<Matrix> {
    if width < 3 || width.is_multiple_of(2) || !(1..=2).contains(&order) {
        return Err(Error::Invalid(format!(
            "deltas: width must be odd and at least 3, and order 1 or 2, not {width} and {order}"
        )));
    }
    if width > of.columns() {
        return Err(Error::Invalid(format!(
            "deltas: a sound of {} frames is shorter than the width of {width}; give all sounds a longer duration, or a smaller \
             width",
            of.columns()
        )));
    }
    let half = width / 2;
    let h = half as f64;
    let mean = h * (h + 1.0) / 3.0;
    // The second polynomial that is orthogonal over the window, n² − mean; its curvature is 2.
    let weight = |k: usize| {
        let at = k as f64 - h;
        if order == 1 { at } else { at * at - mean }
    };
    let norm: f64 = (0..width).map(|k| weight(k).powi(2)).sum::<f64>() / order as f64;
    let weights: Vec<f64> = (0..width).map(|k| weight(k) / norm).collect();
    Matrix::from_fn(of.rows(), of.columns(), |row, t| {
        let start = t.saturating_sub(half).min(of.columns() - width);
        let window = &of.row(row)[start..start + width];
        window.iter().zip(&weights).map(|(v, w)| f64::from(*v) * w).sum::<f64>() as f32
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_have_slopes_and_parabolas_curvatures() {
        let row = |f: fn(f32) -> f32| Matrix::new(1, 12, (0..12).map(|t| f(t as f32)).collect()).unwrap();
        let near = |of: &Matrix, order, wanted: f32| {
            assert!(delta(of, 9, order).unwrap().values().iter().all(|v| (v - wanted).abs() < 1e-5));
        };
        near(&row(|t| 3.0 * t - 2.0), 1, 3.0);
        near(&row(|t| 3.0 * t - 2.0), 2, 0.0);
        near(&row(|t| 2.5 * t * t - t), 2, 5.0);
        assert!(delta(&row(|t| t), 13, 1).unwrap_err().to_string().contains("12 frames"));
        for (width, order) in [(8, 1), (1, 1), (0, 1), (9, 0), (9, 3)] {
            assert!(delta(&row(|t| t), width, order).is_err());
        }
    }
}
