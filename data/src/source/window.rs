//! From measured values to bytes: which of them become black and white, and volumes on another grid.

use crate::decode::MAX_PIXELS;
use crate::error::{Error, Result};
use crate::image::Image;
use serde::{Deserialize, Serialize};

/// Which measured values become black and white: `[low, high]`, the name of a [`Tissue`], or [`Percentiles`]. Value `v` becomes
/// `255 · clip((v − low) / (high − low), 0, 1)`, rounded to the nearest, halves to the even.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(
    untagged,
    expecting = "expected [low, high], one of lung, bone, soft_tissue, brain, or { percentiles = [low, high] }"
)]
pub enum Window {
    /// From black to white, in the unit of the values: Hounsfield units of a CT.
    Range([f32; 2]),
    /// A usual range of CT.
    Tissue(Tissue),
    /// Shares of the values of each picture or volume.
    Percentiles(Percentiles),
}

/// Usual windows of CT, Hounsfield units.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Tissue {
    /// −1000 to 400.
    Lung,
    /// −500 to 1300: level 400, width 1800.
    Bone,
    /// −150 to 250: level 50, width 400.
    SoftTissue,
    /// 0 to 80: level 40, width 80.
    Brain,
}

/// A window between percentiles of a picture's or volume's own values, which NumPy's linear interpolation gives: for magnetic
/// resonance, whose values have no unit.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Percentiles {
    /// Low and high, 0 to 100.
    pub percentiles: [f32; 2],
}

impl Window {
    /// Whether low is below high.
    pub(super) fn check(&self) -> Result<()> {
        let (values, [lowest, highest]) = match self {
            Self::Range(range) => (*range, [f32::MIN, f32::MAX]),
            Self::Percentiles(Percentiles { percentiles }) => (*percentiles, [0.0, 100.0]),
            Self::Tissue(_) => return Ok(()),
        };
        match values {
            [low, high] if low < high && low >= lowest && high <= highest => Ok(()),
            [low, high] => {
                let why =
                    format!("data.window: {low} to {high} is no window; the first value must be below the second");
                Err(Error::Invalid(why))
            }
        }
    }
}

/// Measured values, laid out as the bytes of an [`Image`]; NaN where nothing was measured.
pub(super) struct Voxels {
    /// `[D, H, W, C]`.
    pub dims: [usize; 4],
    pub values: Vec<f32>,
}

impl Voxels {
    /// What becomes black and white.
    pub fn range(&self, window: Window) -> [f64; 2] {
        match window {
            Window::Range(range) => range.map(f64::from),
            Window::Tissue(Tissue::Lung) => [-1000.0, 400.0],
            Window::Tissue(Tissue::Bone) => [-500.0, 1300.0],
            Window::Tissue(Tissue::SoftTissue) => [-150.0, 250.0],
            Window::Tissue(Tissue::Brain) => [0.0, 80.0],
            Window::Percentiles(Percentiles { percentiles }) => self.percentiles(percentiles.map(f64::from)),
        }
    }

    /// The least and the largest value.
    pub fn extent(&self) -> [f64; 2] {
        self.percentiles([0.0, 100.0])
    }

    fn percentiles(&self, percentiles: [f64; 2]) -> [f64; 2] {
        let mut known: Vec<f32> = self.values.iter().copied().filter(|value| value.is_finite()).collect();
        if known.is_empty() {
            return [0.0, 1.0];
        }
        percentiles.map(|percentile| {
            let place = percentile / 100.0 * (known.len() - 1) as f64;
            let (_, low, above) = known.select_nth_unstable_by(place as usize, f32::total_cmp);
            let low = f64::from(*low);
            // The next value, where there is one.
            let next = above.iter().copied().min_by(f32::total_cmp).map_or(low, f64::from);
            low + (next - low) * place.fract()
        })
    }

    /// As bytes: `black` and what is below becomes 0, `white` and what is above 255. White may be below black, which inverts the
    /// picture; what was not measured is 0 in either.
    pub fn image(&self, [black, white]: [f64; 2]) -> Result<Image> {
        let level = |value: &f32| match f64::from(*value) {
            value if value.is_nan() => 0,
            value if black == white => 255 * u8::from(value > black),
            value => (((value - black) / (white - black)).clamp(0.0, 1.0) * 255.0).round_ties_even() as u8,
        };
        Image::volume(self.dims, self.values.iter().map(level).collect())
    }

    /// On a grid whose voxels are `to` apart where they were `from` apart, `[z, y, x]` in mm. Each side becomes
    /// `round(n · from / to)` voxels that share the old ones' extent; values between are interpolated trilinearly and those
    /// beyond the outermost centers are theirs: `torch.nn.functional.interpolate(mode="trilinear", align_corners=False)`.
    pub fn resampled(self, from: [f64; 3], to: [f32; 3]) -> Result<Self, String> {
        if !from.iter().all(|mm| *mm > 0.0 && mm.is_finite()) {
            return Err(format!("its voxels are {from:?} mm apart, which is no distance; leave data.spacing out"));
        }
        let sides = [0, 1, 2].map(|axis| {
            let side = self.dims[axis] as f64 * from[axis] / f64::from(to[axis]);
            (side.round() as usize).max(1)
        });
        checked([sides[0], sides[1], sides[2], self.dims[3]])?;
        // What shrinks goes first: nothing between is larger than both ends.
        let mut axes = [0, 1, 2];
        axes.sort_by(|a, b| (sides[*a] * self.dims[*b]).cmp(&(sides[*b] * self.dims[*a])));
        Ok(axes.into_iter().fold(self, |voxels, axis| voxels.along(axis, sides[axis])))
    }

    /// With `side` voxels along `axis`.
    fn along(self, axis: usize, side: usize) -> Self {
        let (old, mut dims) = (self.dims[axis], self.dims);
        if old == side {
            return self;
        }
        dims[axis] = side;
        let inner: usize = dims[axis + 1..].iter().product();
        let scale = old as f64 / side as f64;
        let places: Vec<(usize, f32)> = (0..side)
            .map(|i| {
                let place = ((i as f64 + 0.5) * scale - 0.5).clamp(0.0, (old - 1) as f64);
                (place as usize, place.fract() as f32)
            })
            .collect();
        let mut values = Vec::with_capacity(dims.iter().product());
        for block in self.values.chunks_exact(old * inner) {
            for &(low, share) in &places {
                let high = (low + 1).min(old - 1);
                let (low, high) = (&block[low * inner..][..inner], &block[high * inner..][..inner]);
                values.extend(low.iter().zip(high).map(|(low, high)| low * (1.0 - share) + high * share));
            }
        }
        Self { dims, values }
    }
}

/// The product of the sides, where memory may be taken for so many values.
pub(super) fn checked(dims: [usize; 4]) -> Result<usize, String> {
    let count = dims.iter().try_fold(1u64, |product, side| product.checked_mul(*side as u64)).unwrap_or(u64::MAX);
    match count {
        0 => Err(format!("its sides are {dims:?}, which is nothing")),
        count if count > MAX_PIXELS => {
            Err(format!("its sides are {dims:?}, more than the {MAX_PIXELS} values allowed"))
        }
        count => Ok(count as usize),
    }
}

/// A spacing that volumes can be brought to.
pub(super) fn check_spacing(spacing: Option<[f32; 3]>) -> Result<()> {
    match spacing.filter(|spacing| !spacing.iter().all(|mm| *mm > 0.0 && mm.is_finite())) {
        Some(spacing) => {
            Err(Error::Invalid(format!("data.spacing: {spacing:?} must be three lengths above 0, [z, y, x] mm")))
        }
        None => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn row(values: &[f32]) -> Voxels {
        Voxels { dims: [1, 1, values.len(), 1], values: values.into() }
    }

    #[test]
    fn windows_of_hounsfield_units() {
        let voxels = row(&[-2000.0, -1000.0, -200.0, 400.0, 3000.0, f32::NAN]);
        let lung = voxels.range(Window::Tissue(Tissue::Lung));
        // (−200 + 1000) / 1400 = 0.571429
        assert_eq!(voxels.image(lung).unwrap().pixels(), [0, 0, (0.571_429_f64 * 255.0).round() as u8, 255, 255, 0]);
        assert_eq!(voxels.image([lung[1], lung[0]]).unwrap().pixels(), [255, 255, 109, 0, 0, 0]);
        assert_eq!(voxels.image([-200.0, -200.0]).unwrap().pixels(), [0, 0, 0, 255, 255, 0]);
        assert_eq!(voxels.extent(), [-2000.0, 3000.0]);
        assert_eq!(row(&[f32::NAN]).extent(), [0.0, 1.0]);
    }

    #[test]
    fn percentiles_are_numpys() {
        let voxels = row(&[5.0, 1.0, 4.0, 2.0, 3.0]);
        let range = |low, high| voxels.range(Window::Percentiles(Percentiles { percentiles: [low, high] }));
        assert_eq!(range(0.0, 100.0), [1.0, 5.0]);
        assert_eq!(range(12.5, 62.5), [1.5, 3.5]);
    }

    #[test]
    fn windows_are_written_in_three_ways() {
        let parse = |text: &str| serde_json::from_str::<Window>(text);
        assert_eq!(parse("[-1000, 400]").unwrap(), Window::Range([-1000.0, 400.0]));
        assert_eq!(parse("\"soft_tissue\"").unwrap(), Window::Tissue(Tissue::SoftTissue));
        let text = r#"{"percentiles":[0.5,99.5]}"#;
        assert_eq!(serde_json::to_string(&parse(text).unwrap()).unwrap(), text);
        assert!(parse("\"liver\"").unwrap_err().to_string().contains("expected [low, high], one of lung"));
        assert!(parse(r#"{"percentiles":[-1, 50]}"#).unwrap().check().is_err());
        assert!(Window::Range([1.0, 1.0]).check().is_err() && Window::Range([0.0, f32::NAN]).check().is_err());
    }

    #[test]
    fn grids_get_finer_and_coarser() {
        let finer = row(&[0.0, 10.0]).resampled([1.0, 1.0, 2.0], [1.0; 3]).unwrap();
        assert_eq!((finer.dims, &finer.values[..]), ([1, 1, 4, 1], &[0.0, 2.5, 7.5, 10.0][..]));
        let coarser = row(&[0.0, 1.0, 2.0, 3.0]).resampled([1.0, 1.0, 0.5], [1.0; 3]).unwrap();
        assert_eq!(coarser.values, [0.5, 2.5]);
        assert!(row(&[0.0; 4]).resampled([1.0; 3], [1.0, 1.0, 1e-9]).is_err_and(|why| why.contains("allowed")));
        assert!(row(&[0.0; 4]).resampled([f64::INFINITY, 1.0, 1.0], [1.0; 3]).is_err());
    }
}
