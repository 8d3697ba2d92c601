//! The color of the light made gray.

use crate::check;
use crate::draw::Draw;
use crate::error::Result;
use crate::pixel::{histograms, tone};
use crate::transform::Transform;
use data::Image;
use serde::{Deserialize, Serialize};

/// Scales the channels so that a norm of theirs, which estimates the light, becomes gray (Finlayson and Trezzi 2004; used on
/// skin lesions by Barata et al. 2015).
///
/// Channel `c` of `C` is multiplied by `‖e‖ / (√C · e_c)` with `e_c = (mean v^power)^(1/power)`; rounded.
///
/// | field | default | range |
/// |---|---|---|
/// | `power` | 6 | 1..=32 |
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct ShadesOfGray {
    /// Power of the norm.
    pub power: f64,
}

impl Default for ShadesOfGray {
    fn default() -> Self {
        Self { power: 6.0 }
    }
}

impl Transform for ShadesOfGray {
    fn apply(&self, mut image: Image, _: &mut Draw) -> Image {
        balance(&mut image, self.power, |lights| {
            (lights.iter().map(|light| light * light).sum::<f64>() / lights.len() as f64).sqrt()
        });
        image
    }
    fn validate(&self) -> Result<()> {
        check::within("transform 'shades_of_gray'", "power", self.power, [1.0, 32.0])
    }
    fn is_random(&self) -> bool {
        false
    }
}

/// Scales the channels so that their Minkowski norms become what `aim` makes of them; a black channel stays.
pub(super) fn balance(image: &mut Image, power: f64, aim: impl Fn(&[f64]) -> f64) {
    let powers: Vec<f64> = (0..256).map(|v| (f64::from(v) / 255.0).powf(power)).collect();
    let count = (image.pixels().len() / image.channels()) as f64;
    let light = |counts: &[u32; 256]| {
        let sum: f64 = counts.iter().zip(&powers).map(|(count, power)| f64::from(*count) * power).sum();
        (sum / count).powf(1.0 / power)
    };
    let lights: Vec<f64> = histograms(image).iter().map(light).collect();
    let aim = aim(&lights);
    let factors: Vec<f64> = lights.iter().map(|light| if *light > 0.0 { aim / light } else { 1.0 }).collect();
    let tables: Vec<_> = factors.into_iter().map(|factor| tone::affine(factor, 0.0)).collect();
    tone::look_up_channels(image, &tables);
}
