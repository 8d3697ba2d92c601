//! A frame.

use crate::check;
use crate::draw::Draw;
use crate::error::Result;
use crate::pixel::{Border, Paint, Region, window};
use crate::transform::Transform;
use data::Image;
use serde::{Deserialize, Serialize};
use serde_json::Value;

/// Adds pixels around the picture (`torchvision` and Albumentations `Pad`); nothing random.
///
/// | field | default | range |
/// |---|---|---|
/// | `padding` | 4 | pixels, one number or [left, top, right, bottom] |
/// | `border` | `constant` | `constant`, `reflect`, `reflect_101`, `replicate` |
/// | `fill` | 0 | 0..=255, or one for each channel; only for `constant` |
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Pad {
    /// Widths of the frame.
    pub padding: Padding,
    /// What the frame shows.
    pub border: Border,
    /// Value of a constant border.
    pub fill: Paint,
}

/// Widths of a frame: one number, or `[left, top, right, bottom]`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "Value", into = "Value")]
pub struct Padding(pub [usize; 4]);

impl TryFrom<Value> for Padding {
    type Error = String;

    fn try_from(value: Value) -> Result<Self, String> {
        let width = |value: &Value| value.as_u64().and_then(|v| usize::try_from(v).ok());
        let four: Option<Vec<usize>> = value.as_array().and_then(|list| list.iter().map(width).collect());
        match (width(&value), four.as_deref()) {
            (Some(all), _) => Ok(Self([all; 4])),
            (_, Some(&[left, top, right, bottom])) => Ok(Self([left, top, right, bottom])),
            _ => Err(format!("padding must be a number or [left, top, right, bottom], got {value}")),
        }
    }
}

impl From<Padding> for Value {
    fn from(Padding(widths): Padding) -> Self {
        if widths == [widths[0]; 4] { widths[0].into() } else { widths.to_vec().into() }
    }
}

impl Default for Pad {
    fn default() -> Self {
        Self { padding: Padding([4; 4]), border: Border::Constant, fill: Paint::default() }
    }
}

impl Transform for Pad {
    fn apply(&self, image: Image, _: &mut Draw) -> Image {
        let Padding([left, top, right, bottom]) = self.padding;
        let (width, height) = (image.width() + left + right, image.height() + top + bottom);
        let region = Region { left: -(left as isize), top: -(top as isize), width, height };
        window(image, region, self.border, self.fill)
    }
    fn validate(&self) -> Result<()> {
        check::border("transform 'pad'", self.border, self.fill)?;
        let most = [0.0, check::MAX_SIDE as f64];
        self.padding.0.iter().try_for_each(|v| check::within("transform 'pad'", "padding", *v as f64, most))
    }
    fn check_channels(&self, channels: usize) -> Result<()> {
        check::fill("transform 'pad'", self.fill, channels)
    }
    fn is_random(&self) -> bool {
        false
    }
}
