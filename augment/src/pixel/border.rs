//! What lies outside a picture.

use serde::{Deserialize, Serialize};

/// What lies outside a picture, shown for a row `abcd`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Border {
    /// `000|abcd|000`: one value.
    Constant,
    /// `cba|abcd|dcb`: mirrored about the edge.
    Reflect,
    /// `dcb|abcd|cba`: mirrored about the outermost pixel.
    #[serde(rename = "reflect_101")]
    Reflect101,
    /// `aaa|abcd|ddd`: the outermost pixel.
    Replicate,
}

impl Border {
    /// Which of `n` ≥ 1 pixels stands at `i`; none outside a constant border.
    pub fn index(self, i: isize, n: usize) -> Option<usize> {
        if let Ok(inside) = usize::try_from(i)
            && inside < n
        {
            return Some(inside);
        }
        match self {
            Self::Constant => None,
            Self::Replicate => Some(if i < 0 { 0 } else { n.saturating_sub(1) }),
            Self::Reflect => {
                let i = i.rem_euclid(2 * n.max(1) as isize) as usize;
                Some(i.min(2 * n.max(1) - 1 - i))
            }
            Self::Reflect101 => {
                let period = 2 * n.saturating_sub(1);
                let i = if period == 0 { 0 } else { i.rem_euclid(period as isize) as usize };
                Some(i.min(period - i))
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_place_has_a_pixel() {
        let row = |border: Border, n| (-4..7).map(|i| border.index(i, n).unwrap()).collect::<Vec<_>>();
        assert_eq!(row(Border::Reflect101, 3), [0, 1, 2, 1, 0, 1, 2, 1, 0, 1, 2]);
        assert_eq!(row(Border::Reflect101, 2), [0, 1, 0, 1, 0, 1, 0, 1, 0, 1, 0]);
        assert_eq!(row(Border::Reflect101, 1), [0; 11]);
        assert_eq!(row(Border::Reflect, 3), [2, 2, 1, 0, 0, 1, 2, 2, 1, 0, 0]);
        assert_eq!(row(Border::Reflect, 1), [0; 11]);
        assert_eq!(row(Border::Replicate, 3), [0, 0, 0, 0, 0, 1, 2, 2, 2, 2, 2]);
        assert_eq!((Border::Constant.index(-1, 3), Border::Constant.index(2, 3)), (None, Some(2)));
        for border in [Border::Reflect, Border::Reflect101, Border::Replicate] {
            assert!(border.index(isize::MIN, 5).unwrap() < 5 && border.index(isize::MAX, 5).unwrap() < 5);
        }
    }
}
