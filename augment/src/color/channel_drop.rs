//! Channels missing.

use crate::check;
use crate::draw::Draw;
use crate::error::Result;
use crate::pixel::{Paint, color};
use crate::transform::Transform;
use data::Image;
use serde::{Deserialize, Serialize};

/// Overwrites some channels, all choices equally likely (Albumentations `ChannelDropout`); at least one stays as it is.
///
/// | field | default | range |
/// |---|---|---|
/// | `channels` | [1, 1] | 1 ≤ low ≤ high |
/// | `fill` | 0 | 0..=255, or one for each channel |
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct ChannelDrop {
    /// Between which their number is uniform.
    pub channels: [usize; 2],
    /// What they hold instead.
    pub fill: Paint,
}

impl Default for ChannelDrop {
    fn default() -> Self {
        Self { channels: [1, 1], fill: Paint::default() }
    }
}

impl Transform for ChannelDrop {
    fn apply(&self, mut image: Image, draw: &mut Draw) -> Image {
        let number = draw.whole("number", self.channels.map(|n| n as i64)) as usize;
        let order = draw.order("order", image.channels());
        color::drop_channels(&mut image, &order[..number.min(order.len().saturating_sub(1))], self.fill);
        image
    }
    fn validate(&self) -> Result<()> {
        let [low, high] = self.channels;
        check::that(1 <= low && low <= high && high <= check::MAX_SIDE, "transform 'channel_drop'", || {
            format!("channels must be [low, high] with 1 ≤ low ≤ high, got [{low}, {high}]")
        })
    }
    fn check_channels(&self, channels: usize) -> Result<()> {
        check::fill("transform 'channel_drop'", self.fill, channels)
    }
}
