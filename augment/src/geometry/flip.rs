//! Mirror images.

use crate::check;
use crate::draw::Draw;
use crate::error::Result;
use crate::pixel::{Symmetry, orient};
use crate::transform::Transform;
use data::Image;
use serde::{Deserialize, Serialize};

/// Exchanges left and right with probability `p`: the augmentation of Krizhevsky et al. 2012.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Flip {
    /// Probability, 0..=1; default 0.5.
    pub p: f64,
    /// Exchange top and bottom instead; default false.
    pub vertical: bool,
}

impl Default for Flip {
    fn default() -> Self {
        Self { p: 0.5, vertical: false }
    }
}

impl Transform for Flip {
    fn apply(&self, image: Image, draw: &mut Draw) -> Image {
        let symmetry = match (draw.chance("flips", self.p), self.vertical) {
            (false, _) => Symmetry::IDENTITY,
            (true, false) => Symmetry::MIRROR,
            (true, true) => Symmetry::UPSIDE_DOWN,
        };
        orient(image, symmetry)
    }
    fn validate(&self) -> Result<()> {
        check::probability("transform 'flip'", self.p)
    }
}
