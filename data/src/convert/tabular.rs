//! Rows of a table as pictures.

use super::Matrix;
use super::pca::pca;
use super::tsne::tsne;
use crate::error::{Error, Result};
use crate::image::Image;
use serde::{Deserialize, Serialize};

/// DeepInsight (Sharma et al. 2019, `pyDeepInsight`): every feature has a pixel, features that go together over the rows have
/// pixels that lie together, and a row is the picture of its values. Features are placed as points whose dimensions are the
/// training rows, turned so that the smallest rectangle around them is upright, and stretched over the picture.
///
/// | field | default | range |
/// |---|---|---|
/// | `width`, `height` | 120 | pixels, at least 1 |
/// | `reduction` | tsne | tsne (up to 5000 features), pca |
/// | `perplexity` | 30 | of tsne, at least 1 |
/// | `norm` | min_max | min_max, log |
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct DeepInsight {
    /// Pixels from left to right.
    pub width: usize,
    /// Pixels from top to bottom.
    pub height: usize,
    /// How features become points of the plane.
    pub reduction: Reduction,
    /// Neighbours that t-SNE looks at.
    pub perplexity: f64,
    /// How values become brightness.
    pub norm: Norm,
}

impl Default for DeepInsight {
    fn default() -> Self {
        Self { width: 120, height: 120, reduction: Reduction::default(), perplexity: 30.0, norm: Norm::default() }
    }
}

/// How features become points of the plane.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Reduction {
    /// [`tsne`]: near ones stay near.
    #[default]
    Tsne,
    /// [`pca`]: fast, and one far away dwarfs the rest.
    Pca,
}

/// How values become brightness; both know only the training rows, what lies outside of theirs is clipped.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Norm {
    /// Norm-1: each feature from its least to its largest value.
    #[default]
    MinMax,
    /// Norm-2: `ln(x + |least| + 1)` by the largest of all features, which keeps their topology.
    Log,
}

/// Where each feature lies and how it is scaled: what was learned from the training rows.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Layout {
    width: usize,
    height: usize,
    norm: Norm,
    /// The pixel of each feature.
    pixels: Vec<usize>,
    /// The least value of each feature.
    least: Vec<f32>,
    /// What becomes white: the largest value of each feature, or one logarithm for all.
    most: Vec<f32>,
}

impl DeepInsight {
    /// Learns from training rows of equally many features.
    ///
    /// # Errors
    /// [`Error::Invalid`] when there are no rows or features, their numbers differ, a value is not finite, the picture has no or
    /// too many pixels, or as [`tsne`].
    pub fn fit(&self, rows: &[Vec<f32>]) -> Result<Layout> {
        Matrix::area(self.height, self.width)?;
        let features = rows.first().map_or(0, Vec::len);
        if features == 0 {
            return Err(Error::Invalid("deep_insight: there are no rows or no features to learn from".into()));
        }
        rows.iter().enumerate().try_for_each(|(row, values)| check(row, values, features))?;
        let fold = |start: f32, best: fn(f32, f32) -> f32| -> Vec<f32> {
            (0..features).map(|j| rows.iter().map(|row| row[j]).fold(start, best)).collect()
        };
        let (least, most) = (fold(f32::INFINITY, f32::min), fold(f32::NEG_INFINITY, f32::max));
        let mut layout =
            Layout { width: self.width, height: self.height, norm: self.norm, pixels: vec![0; features], least, most };
        if self.norm == Norm::Log {
            let largest = |j: usize| layout.logarithm(j, layout.most[j]) as f32;
            layout.most = vec![(0..features).map(largest).fold(0.0, f32::max)];
        }
        let points: Vec<Vec<f64>> =
            (0..features).map(|j| rows.iter().map(|row| layout.normalized(j, row[j])).collect()).collect();
        let places = match self.reduction {
            Reduction::Pca => pca(&points)?,
            Reduction::Tsne => tsne(&points, self.perplexity)?,
        };
        layout.pixels = grid(&places, self.width, self.height);
        Ok(layout)
    }
}

impl Layout {
    /// Column and row of the pixel of each feature.
    pub fn pixels(&self) -> Vec<[usize; 2]> {
        self.pixels.iter().map(|at| [at % self.width.max(1), at / self.width.max(1)]).collect()
    }

    /// `[height, width]` values of 0 to 1: of each pixel the mean of the features that lie on it, 0 where none does.
    ///
    /// # Errors
    /// [`Error::Invalid`] when there are more or fewer values than features, or one is not finite.
    pub fn matrix(&self, row: &[f32]) -> Result<Matrix> {
        check(0, row, self.pixels.len())?;
        let mut matrix = Matrix::zeros(self.height, self.width)?;
        let mut counts = vec![0.0f32; self.height * self.width];
        for (j, (pixel, value)) in self.pixels.iter().zip(row).enumerate() {
            if let (Some(sum), Some(count)) = (matrix.values_mut().get_mut(*pixel), counts.get_mut(*pixel)) {
                *sum += self.normalized(j, *value) as f32;
                *count += 1.0;
            }
        }
        matrix.values_mut().iter_mut().zip(counts).for_each(|(sum, count)| *sum /= count.max(1.0));
        Ok(matrix)
    }

    /// The gray picture of a row.
    ///
    /// # Errors
    /// As [`Layout::matrix`].
    pub fn image(&self, row: &[f32]) -> Result<Image> {
        self.matrix(row)?.image([0.0, 1.0])
    }

    /// Value `v` of feature `j`, from 0 to 1.
    fn normalized(&self, j: usize, v: f32) -> f64 {
        let least = self.least.get(j).copied().map_or(0.0, f64::from);
        match self.norm {
            Norm::MinMax => {
                let extent = self.most.get(j).copied().map_or(0.0, f64::from) - least;
                ((f64::from(v) - least) / if extent > 0.0 { extent } else { 1.0 }).clamp(0.0, 1.0)
            }
            Norm::Log => {
                let most = self.most.first().copied().map_or(0.0, f64::from);
                (self.logarithm(j, v) / if most > 0.0 { most } else { 1.0 }).clamp(0.0, 1.0)
            }
        }
    }

    fn logarithm(&self, j: usize, v: f32) -> f64 {
        let least = self.least.get(j).copied().map_or(0.0, f64::from);
        (f64::from(v).max(least) + least.abs() + 1.0).ln()
    }
}

fn check(row: usize, values: &[f32], features: usize) -> Result<()> {
    if values.len() != features {
        let have = values.len();
        return Err(Error::Invalid(format!("deep_insight: row {row} has {have} features, expected {features}")));
    }
    match values.iter().position(|v| !v.is_finite()) {
        Some(at) => {
            let value = values[at];
            Err(Error::Invalid(format!(
                "deep_insight: feature {at} of row {row} is {value}; fill what is missing first"
            )))
        }
        None => Ok(()),
    }
}

/// The pixel of each point: the smallest rectangle around all of them is stretched over the picture.
fn grid(points: &[[f64; 2]], width: usize, height: usize) -> Vec<usize> {
    let (sin, cos) = smallest_rectangle(points).sin_cos();
    let turned: Vec<[f64; 2]> = points.iter().map(|[x, y]| [x * cos + y * sin, y * cos - x * sin]).collect();
    let scale = |axis: usize, size: usize| -> Vec<usize> {
        let values = || turned.iter().map(|point| point[axis]);
        let (low, high) = (values().fold(f64::INFINITY, f64::min), values().fold(f64::NEG_INFINITY, f64::max));
        // What is left of a line by rounding is no extent.
        let most = points.iter().flatten().fold(0.0f64, |most, v| most.max(v.abs()));
        let factor = if high - low > 1e-9 * most { (size - 1) as f64 / (high - low) } else { 0.0 };
        values().map(|v| ((v - low) * factor).round() as usize).collect()
    };
    scale(0, width).into_iter().zip(scale(1, height)).map(|(x, y)| y * width + x).collect()
}

/// Indices of the corners of the convex hull of `points`, counter-clockwise where y points up, beginning at the leftmost; no
/// corner lies on the line between two others (Andrew 1979).
pub fn convex_hull(points: &[[f64; 2]]) -> Vec<usize> {
    let mut order: Vec<usize> = (0..points.len()).collect();
    order.sort_by(|&i, &j| points[i][0].total_cmp(&points[j][0]).then(points[i][1].total_cmp(&points[j][1])));
    order.dedup_by_key(|i| points[*i].map(f64::to_bits));
    if order.len() < 3 {
        return order;
    }
    let turns_left = |a: usize, b: usize, c: usize| {
        let [a, b, c] = [points[a], points[b], points[c]];
        (b[0] - a[0]) * (c[1] - a[1]) - (b[1] - a[1]) * (c[0] - a[0]) > 0.0
    };
    let half = |order: &mut dyn Iterator<Item = &usize>| {
        let mut chain: Vec<usize> = vec![];
        for &next in order {
            while let [.., a, b] = chain[..] {
                if turns_left(a, b, next) {
                    break;
                }
                chain.pop();
            }
            chain.push(next);
        }
        chain.pop();
        chain
    };
    let mut hull = half(&mut order.iter());
    hull.extend(half(&mut order.iter().rev()));
    hull
}

/// The angle, radians, of one side of the rectangle of least area around `points`; the first of equal ones along the hull. A
/// side of it lies on an edge of the convex hull (Freeman & Shapira 1975).
pub fn smallest_rectangle(points: &[[f64; 2]]) -> f64 {
    let hull: Vec<[f64; 2]> = convex_hull(points).into_iter().map(|i| points[i]).collect();
    let mut best = (f64::INFINITY, 0.0);
    for (i, a) in hull.iter().enumerate() {
        let b = hull[(i + 1) % hull.len()];
        let angle = (b[1] - a[1]).atan2(b[0] - a[0]);
        let (sin, cos) = angle.sin_cos();
        let extent = |of: &dyn Fn(&[f64; 2]) -> f64| {
            let values = || hull.iter().map(of);
            values().fold(f64::NEG_INFINITY, f64::max) - values().fold(f64::INFINITY, f64::min)
        };
        let area = extent(&|[x, y]| x * cos + y * sin) * extent(&|[x, y]| y * cos - x * sin);
        if area < best.0 {
            best = (area, angle);
        }
    }
    // A quarter turn more or less is the same rectangle.
    best.1.rem_euclid(std::f64::consts::FRAC_PI_2)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_turned_rectangle_is_found_and_stretched() {
        let (sin, cos) = 0.4f64.sin_cos();
        let turned = |x: f64, y: f64| [x * cos - y * sin, x * sin + y * cos];
        let points = [turned(0.0, 0.0), turned(4.0, 0.0), turned(4.0, 1.0), turned(0.0, 1.0), turned(2.0, 0.5)];
        assert!((smallest_rectangle(&points) - 0.4).abs() < 1e-9);
        assert_eq!(convex_hull(&points).len(), 4);
        assert_eq!(grid(&points, 5, 3), [0, 4, 14, 10, 7]);
        // A line, and one point.
        assert_eq!(grid(&[[0.0, 0.0], [1.0, 2.0], [2.0, 4.0]], 5, 5), [0, 2, 4]);
        assert_eq!(grid(&[[3.0, 3.0]; 2], 5, 5), [0, 0]);
    }

    #[test]
    fn only_training_rows_are_known() {
        let rows = [vec![0.0, -1.0, 5.0, 1.0], vec![10.0, 3.0, 5.0, 0.0], vec![5.0, 1.0, 5.0, 0.0]];
        for reduction in [Reduction::Pca, Reduction::Tsne] {
            let config = DeepInsight { width: 8, height: 6, reduction, ..DeepInsight::default() };
            let layout = config.fit(&rows).unwrap();
            let pixels = layout.pixels();
            // The first two features always go together, so they share a pixel.
            assert_eq!(pixels[0], pixels[1]);
            let matrix = layout.matrix(&[20.0, 1.0, 9.0, 0.5]).unwrap();
            let at = |[x, y]: [usize; 2]| matrix.row(y)[x];
            assert_eq!((at(pixels[0]), at(pixels[3])), (0.75, 0.5));
            assert_eq!(layout.image(&rows[0]).unwrap().dims(), [1, 6, 8, 1]);
            let json = serde_json::to_string(&layout).unwrap();
            assert_eq!(serde_json::from_str::<Layout>(&json).unwrap(), layout);
        }
    }

    #[test]
    fn logarithms_are_scaled_by_the_largest_of_all() {
        let rows = [vec![-1.0, 0.0], vec![1.0, 7.0]];
        let config = DeepInsight { reduction: Reduction::Pca, norm: Norm::Log, ..DeepInsight::default() };
        let layout = config.fit(&rows).unwrap();
        let values = |row: &[f32]| -> Vec<f64> { (0..2).map(|j| layout.normalized(j, row[j])).collect() };
        let near =
            |a: Vec<f64>, b: [f64; 2]| assert!(a.iter().zip(b).all(|(a, b)| (a - b).abs() < 1e-6), "{a:?} {b:?}");
        near(values(&[1.0, 7.0]), [3f64.ln() / 8f64.ln(), 1.0]);
        near(values(&[-9.0, 99.0]), [0.0, 1.0]);
    }

    #[test]
    fn odd_tables_give_a_layout_or_say_why_not() {
        let config = DeepInsight { width: 4, height: 4, ..DeepInsight::default() };
        let why = |rows: &[Vec<f32>]| config.fit(rows).unwrap_err().to_string();
        assert!(why(&[]).contains("no rows") && why(&[vec![]]).contains("no rows"));
        assert!(why(&[vec![1.0], vec![1.0, 2.0]]).contains("row 1 has 2 features, expected 1"));
        assert!(why(&[vec![1.0, f32::NAN]]).contains("feature 1 of row 0 is NaN"));
        for norm in [Norm::MinMax, Norm::Log] {
            for reduction in [Reduction::Pca, Reduction::Tsne] {
                for rows in [vec![vec![3.0]], vec![vec![2.0; 7]; 3], vec![vec![f32::MIN, f32::MAX]], vec![vec![0.0; 5]]]
                {
                    let config = DeepInsight { norm, reduction, ..config.clone() };
                    assert!(config.fit(&rows).unwrap().image(&rows[0]).is_ok());
                }
            }
        }
        assert!(DeepInsight { width: 0, ..config.clone() }.fit(&[vec![1.0]]).is_err());
        assert!(DeepInsight { width: usize::MAX, ..config.clone() }.fit(&[vec![1.0]]).is_err());
        assert!(config.fit(&[vec![1.0, 2.0]]).unwrap().image(&[1.0]).is_err());
        // What others wrote into a file.
        let strange = r#"{"width":2,"height":2,"norm":"log","pixels":[99,1],"least":[],"most":[]}"#;
        let strange: Layout = serde_json::from_str(strange).unwrap();
        assert!(strange.image(&[1.0, 2.0]).is_ok());
    }
}
