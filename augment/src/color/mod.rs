//! What color things have.

mod autocontrast;
mod brightness;
mod channel_affine;
mod channel_drop;
mod channel_shuffle;
mod clahe;
mod color_jitter;
mod contrast;
mod equalize;
mod fancy_pca;
mod gamma;
mod gray;
mod hue;
mod invert;
mod posterize;
mod rgb_shift;
mod saturation;
mod semantics;
mod sharpen;
mod solarize;
mod tone_curve;

pub use autocontrast::Autocontrast;
pub use brightness::Brightness;
pub use channel_affine::ChannelAffine;
pub use channel_drop::ChannelDrop;
pub use channel_shuffle::ChannelShuffle;
pub use clahe::Clahe;
pub use color_jitter::ColorJitter;
pub use contrast::Contrast;
pub use equalize::Equalize;
pub use fancy_pca::FancyPca;
pub use gamma::Gamma;
pub use gray::Gray;
pub use hue::Hue;
pub use invert::Invert;
pub use posterize::Posterize;
pub use rgb_shift::RgbShift;
pub use saturation::Saturation;
pub use semantics::Semantics;
pub use sharpen::Sharpen;
pub use solarize::Solarize;
pub use tone_curve::ToneCurve;

use crate::draw::Draw;

/// Uniform in `max(0, 1 − strength)..1 + strength`.
fn factor(draw: &mut Draw, strength: f64) -> f64 {
    draw.uniform("factor", [(1.0 - strength).max(0.0), 1.0 + strength])
}
