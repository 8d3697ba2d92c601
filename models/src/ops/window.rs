//! The geometry of a sliding window, shared by convolutions and pools.

use candle_core::Shape;
use serde::{Deserialize, Serialize};

/// Kernel size, stride, padding, dilation and groups of a square window. Build one with [`k`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Window {
    /// Side of the window in pixels.
    pub size: usize,
    /// Step between windows in pixels.
    pub stride: usize,
    /// Pixels added on every side.
    pub pad: usize,
    /// Distance between taps in pixels.
    pub dilation: usize,
    /// Groups of channels that see only each other (convolutions only).
    pub groups: usize,
    /// Whether a bias is added (convolutions only).
    pub bias: bool,
}

/// A `size × size` window with stride 1, padded so that an odd window keeps the picture's size.
pub fn k(size: usize) -> Window {
    Window { size, stride: 1, pad: size / 2, dilation: 1, groups: 1, bias: false }
}

impl Window {
    /// With this size of the window.
    pub fn size(self, size: usize) -> Self {
        Self { size, ..self }
    }
    /// With this stride.
    pub fn stride(self, stride: usize) -> Self {
        Self { stride, ..self }
    }
    /// With this padding on every side.
    pub fn pad(self, pad: usize) -> Self {
        Self { pad, ..self }
    }
    /// With this number of groups.
    pub fn groups(self, groups: usize) -> Self {
        Self { groups, ..self }
    }
    /// With this distance between taps, padded so that an odd window keeps the picture's size.
    pub fn dilation(self, dilation: usize) -> Self {
        Self { dilation, pad: self.size / 2 * dilation, ..self }
    }
    /// With a bias.
    pub fn bias(self) -> Self {
        Self { bias: true, ..self }
    }
    /// Pixels that one window spans.
    pub fn span(&self) -> usize {
        self.dilation * (self.size - 1) + 1
    }
    /// Output side for an input side, or `None` when the padded input is smaller than the window.
    pub fn out(&self, side: usize) -> Option<usize> {
        Some((side + 2 * self.pad).checked_sub(self.span())? / self.stride + 1)
    }
}

/// A window over a batch of pictures: all sizes, checked once.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Sweep {
    pub batch: usize,
    pub height: usize,
    pub width: usize,
    pub channels: usize,
    pub out_height: usize,
    pub out_width: usize,
    pub at: Window,
}

impl Sweep {
    /// `dims` is `[B, H, W, C]`.
    pub(crate) fn new(what: &str, dims: &[usize], at: Window) -> candle_core::Result<Self> {
        let [batch, height, width, channels] = *dims else {
            candle_core::bail!("{what}: expected [B, H, W, C], got {dims:?}")
        };
        if batch * height * width * channels == 0 {
            candle_core::bail!("{what}: empty input {dims:?}")
        }
        if at.size == 0 || at.stride == 0 || at.dilation == 0 || at.groups == 0 {
            candle_core::bail!("{what}: size, stride, dilation and groups must be at least 1, got {at:?}")
        }
        let (Some(out_height), Some(out_width)) = (at.out(height), at.out(width)) else {
            candle_core::bail!(
                "{what}: a window of {} pixels does not fit into {height}x{width} padded by {}",
                at.span(),
                at.pad
            )
        };
        Ok(Self { batch, height, width, channels, out_height, out_width, at })
    }

    /// `[B, H', W', C]`.
    pub(crate) fn out_shape(&self) -> Shape {
        (self.batch, self.out_height, self.out_width, self.channels).into()
    }

    /// Output pixels of the whole batch.
    pub(crate) fn out_pixels(&self) -> usize {
        self.batch * self.out_pixels_each()
    }

    /// Output pixels of one picture.
    pub(crate) fn out_pixels_each(&self) -> usize {
        self.out_height * self.out_width
    }

    /// Input pixels of one picture.
    pub(crate) fn pixels_each(&self) -> usize {
        self.height * self.width
    }

    /// Input coordinate under `tap` of the window at output coordinate `at`, if it is inside the picture.
    fn under(&self, at: usize, tap: usize, side: usize) -> Option<usize> {
        (at * self.at.stride + tap * self.at.dilation).checked_sub(self.at.pad).filter(|&i| i < side)
    }

    /// Calls `f(tap, input pixel or None)` for every tap of the window at `pixel` (an index into the whole batch's output).
    pub(crate) fn taps(&self, pixel: usize, mut f: impl FnMut(usize, Option<usize>)) {
        let (sample, rest) = (pixel / self.out_pixels_each(), pixel % self.out_pixels_each());
        let (oy, ox) = (rest / self.out_width, rest % self.out_width);
        for ky in 0..self.at.size {
            let y = self.under(oy, ky, self.height);
            for kx in 0..self.at.size {
                let x = self.under(ox, kx, self.width);
                let inside = y.zip(x).map(|(y, x)| (sample * self.height + y) * self.width + x);
                f(ky * self.at.size + kx, inside);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn output_sides_match_the_formula() {
        assert_eq!(k(3).out(7), Some(7));
        assert_eq!(k(7).stride(2).out(224), Some(112));
        assert_eq!(k(3).stride(2).out(112), Some(56));
        assert_eq!(k(3).dilation(2).out(9), Some(9));
        assert_eq!(k(2).pad(0).stride(2).out(5), Some(2));
        assert_eq!(k(5).pad(0).out(4), None);
    }

    #[test]
    fn impossible_windows_are_named() {
        let error = Sweep::new("conv2d", &[1, 2, 2, 3], k(5).pad(0)).unwrap_err().to_string();
        assert!(error.contains("window of 5 pixels does not fit into 2x2"), "{error}");
        assert!(Sweep::new("conv2d", &[0, 2, 2, 3], k(1)).is_err());
    }
}
