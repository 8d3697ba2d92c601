//! Brighter and darker, as scanners are.

use crate::check;
use crate::draw::Draw;
use crate::error::Result;
use crate::pixel::tone;
use crate::transform::Transform;
use data::Image;
use serde::{Deserialize, Serialize};

/// Scales all values by a factor and adds an offset, for pictures and volumes of any channels (MONAI `RandScaleIntensity`,
/// `RandShiftIntensity`).
///
/// `v · (1 + s) + 255 · t` with s uniform in ±`scale` and t uniform in ±`shift`, rounded.
///
/// | field | default | range |
/// |---|---|---|
/// | `scale` | 0.1 | 0..=1 |
/// | `shift` | 0.1 | 0..=1, a share of the range of bytes |
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Intensity {
    /// Largest change of the factor.
    pub scale: f64,
    /// Largest offset to either side.
    pub shift: f64,
}

impl Default for Intensity {
    fn default() -> Self {
        Self { scale: 0.1, shift: 0.1 }
    }
}

impl Transform for Intensity {
    fn apply(&self, mut image: Image, draw: &mut Draw) -> Image {
        let factor = 1.0 + draw.uniform("scale", [-self.scale, self.scale]);
        let offset = 255.0 * draw.uniform("shift", [-self.shift, self.shift]);
        tone::look_up(&mut image, &tone::affine(factor, offset));
        image
    }
    fn validate(&self) -> Result<()> {
        let technique = "transform 'intensity'";
        check::within(technique, "scale", self.scale, [0.0, 1.0])?;
        check::within(technique, "shift", self.shift, [0.0, 1.0])
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use rand::SeedableRng;
    use rand_chacha::ChaCha8Rng;

    #[test]
    fn factors_and_offsets_are_uniform() {
        let (intensity, mut rng) = (Intensity { scale: 0.5, shift: 0.2 }, ChaCha8Rng::seed_from_u64(0));
        let picture = Image::new(2, 1, 1, vec![60, 160]).unwrap();
        let seen: Vec<[f64; 2]> = (0..4000)
            .map(|_| {
                let seen = intensity.apply(picture.clone(), &mut Draw::new(&mut rng)).into_pixels();
                [(f64::from(seen[1]) - f64::from(seen[0])) / 100.0, f64::from(seen[0])]
            })
            .filter(|[_, dark]| *dark > 0.0)
            .collect();
        let mean = |i: usize| seen.iter().map(|v| v[i]).sum::<f64>() / seen.len() as f64;
        assert!((mean(0) - 1.0).abs() < 0.03 && (mean(1) - 60.0).abs() < 3.0, "{} {}", mean(0), mean(1));
        assert!(seen.iter().all(|[factor, _]| *factor < 1.52));
    }
}
