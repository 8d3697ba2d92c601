//! Fog.

use crate::check;
use crate::draw::Draw;
use crate::error::Result;
use crate::pixel::{noise::Words, veil};
use crate::transform::Transform;
use data::Image;
use serde::{Deserialize, Serialize};

/// Lays patches of white before the picture, most of them before its middle (Albumentations `RandomFog`).
///
/// Each patch moves what it covers `haze · strength` of the way to white. Albumentations then blurs the picture; here only the
/// patches are, so that fog alone is what is seen.
///
/// | field | default | range |
/// |---|---|---|
/// | `strength` | [0.3, 1] | 0 ≤ low ≤ high ≤ 1 |
/// | `haze` | 0.08 | 0..=1 |
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Fog {
    /// How many patches and how dense.
    pub strength: [f64; 2],
    /// Density of a patch at full strength.
    pub haze: f64,
}

impl Default for Fog {
    fn default() -> Self {
        Self { strength: [0.3, 1.0], haze: 0.08 }
    }
}

/// Most patches in a ring around the middle, so that long pictures take no longer.
const MOST: usize = 1000;

impl Transform for Fog {
    fn apply(&self, mut image: Image, draw: &mut Draw) -> Image {
        let strength = draw.uniform("strength", self.strength);
        let words = Words::new(draw.seed("seed"));
        let (width, height) = (image.width() as f64, image.height() as f64);
        let short = width.min(height);
        let unit = (short / 3.0 * strength).max(1.0);
        let largest = ((short * 0.1 * strength) as usize).max(2);
        let smallest = (largest / 2).max(1);
        let mut patches = vec![];
        let mut numbers = (0..).map(|i| words.uniform(i)).map(f64::from);
        let mut number = |[low, high]: [f64; 2]| low + (high - low) * numbers.next().unwrap_or(0.5);
        for ring in 0..10 {
            let share = 0.9f64.powi(ring);
            if short * share <= unit {
                break;
            }
            let count = (width * height * (share / unit).powi(2) * strength * 10.0) as usize;
            for _ in 0..count.min(MOST) {
                let mut at = |side: f64| number([0.5 - share / 2.0, 0.5 + share / 2.0]) * side;
                let center = [at(width) as isize, at(height) as isize];
                patches.push((center, number([smallest as f64, largest as f64]) as usize));
            }
        }
        veil::fog(&mut image, &patches, self.haze * strength);
        image
    }
    fn validate(&self) -> Result<()> {
        check::range("transform 'fog'", "strength", self.strength, [0.0, 1.0])?;
        check::within("transform 'fog'", "haze", self.haze, [0.0, 1.0])
    }
}
