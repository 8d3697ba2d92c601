//! Channels in another order.

use crate::draw::Draw;
use crate::pixel::color;
use crate::transform::Transform;
use data::Image;
use serde::{Deserialize, Serialize};

/// Puts the channels in random order (Albumentations `ChannelShuffle`), all orders equally likely. No parameters.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct ChannelShuffle {}

impl Transform for ChannelShuffle {
    fn apply(&self, mut image: Image, draw: &mut Draw) -> Image {
        let order = draw.order("order", image.channels());
        color::reorder(&mut image, &order);
        image
    }
}
