//! Another tone curve.

use crate::check;
use crate::draw::Draw;
use crate::error::Result;
use crate::pixel::tone;
use crate::transform::Transform;
use data::Image;
use serde::{Deserialize, Serialize};

/// Bends the tone curve (Albumentations `RandomToneCurve`): a Bézier curve from black to white whose inner heights are of
/// N(¼, `scale`) and N(¾, `scale`), cut off to 0..=1.
///
/// | field | default | range |
/// |---|---|---|
/// | `scale` | 0.1 | 0..=1 |
/// | `per_channel` | false | |
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct ToneCurve {
    /// Standard deviation of the two heights.
    pub scale: f64,
    /// Whether each channel has a curve of its own.
    pub per_channel: bool,
}

impl Default for ToneCurve {
    fn default() -> Self {
        Self { scale: 0.1, per_channel: false }
    }
}

impl Transform for ToneCurve {
    fn apply(&self, mut image: Image, draw: &mut Draw) -> Image {
        let mut curve = |_| {
            let (low, high) = (draw.normal("low", 0.25, self.scale), draw.normal("high", 0.75, self.scale));
            tone::curve(low.clamp(0.0, 1.0), high.clamp(0.0, 1.0))
        };
        if self.per_channel {
            let tables: Vec<_> = (0..image.channels()).map(curve).collect();
            tone::look_up_channels(&mut image, &tables);
        } else {
            tone::look_up(&mut image, &curve(0));
        }
        image
    }
    fn validate(&self) -> Result<()> {
        check::within("transform 'tone_curve'", "scale", self.scale, [0.0, 1.0])
    }
}
