//! Blends within a batch, on its device.

mod cutmix;
mod fmix;
mod fourier;
mod mix;
mod mixup;
mod mixup_cutmix;
mod resize_mix;

pub use cutmix::{CutMix, cut, cut_full, paste};
pub use fmix::{FMix, low_frequencies, mask};
pub use mix::{Blend, Mode, mix};
pub use mixup::{Mixup, blend};
pub use mixup_cutmix::MixupCutMix;
pub use resize_mix::{ResizeMix, shrink};

use crate::draw::Draw;
use crate::error::Result;
use candle_core::{Result as TensorResult, Tensor};
use std::fmt::Debug;

/// A change of pictures and targets together.
pub trait BatchTransform: Debug + Send + Sync {
    /// Images `[B, C, ..]` of a float type and targets `[B, K]` F32 → the same shapes.
    ///
    /// Gives the same batch for the same draws.
    ///
    /// # Errors
    /// Tensors of other shapes.
    fn apply(&self, images: &Tensor, targets: &Tensor, draw: &mut Draw) -> TensorResult<(Tensor, Tensor)>;
    /// Rejects impossible parameters when built.
    ///
    /// # Errors
    /// [`Error::Invalid`](crate::Error::Invalid) with the technique's and the parameter's name.
    fn validate(&self) -> Result<()>;
}
