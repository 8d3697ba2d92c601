//! The mean color made gray.

use super::shades_of_gray::balance;
use crate::draw::Draw;
use crate::transform::Transform;
use data::Image;
use serde::{Deserialize, Serialize};

/// Scales each channel so that all have the mean of all (Buchsbaum 1980): the light that a picture was taken in no longer
/// colors it.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct GrayWorld {}

impl Transform for GrayWorld {
    fn apply(&self, mut image: Image, _: &mut Draw) -> Image {
        balance(&mut image, 1.0, |lights| lights.iter().sum::<f64>() / lights.len() as f64);
        image
    }
    fn is_random(&self) -> bool {
        false
    }
}
