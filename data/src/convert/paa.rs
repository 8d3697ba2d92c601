//! Piecewise aggregate approximation.

use super::check_series;
use crate::error::{Error, Result};

/// The means of `size` successive pieces of a series that are as equally long as they can be (Keogh et al. 2001,
/// `pyts.approximation.PiecewiseAggregateApproximation` without overlap).
///
/// # Errors
/// [`Error::Invalid`] when a value is not finite, or `size` is not between 1 and the length of the series.
pub fn paa(series: &[f32], size: usize) -> Result<Vec<f32>> {
    check_series(series)?;
    let mean = |piece: std::ops::Range<usize>| {
        let length = piece.len() as f64;
        (series[piece].iter().map(|v| f64::from(*v)).sum::<f64>() / length) as f32
    };
    Ok(pieces(series.len(), size)?.map(mean).collect())
}

/// `size` successive ranges that together are `0..length`.
pub(super) fn pieces(length: usize, size: usize) -> Result<impl Iterator<Item = std::ops::Range<usize>>> {
    if size == 0 || size > length {
        return Err(Error::Invalid(format!(
            "a series of {length} values cannot have the size {size}; give 1 to {length}"
        )));
    }
    // The product of two sizes of memory may be longer than one of them holds.
    let bound = move |i: usize| (i as u128 * length as u128 / size as u128) as usize;
    Ok((0..size).map(move |i| bound(i)..bound(i + 1)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pieces_have_their_means() {
        assert_eq!(paa(&[0., 4., 2., 1., 7., 6., 3., 5.], 4).unwrap(), [2.0, 1.5, 6.5, 4.0]);
        assert_eq!(paa(&[1., 2., 3., 4., 5.], 2).unwrap(), [1.5, 4.0]);
        assert!(paa(&[1.0, 2.0], 3).is_err() && paa(&[1.0], 0).is_err() && paa(&[], 1).is_err());
    }
}
