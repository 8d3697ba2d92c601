//! The geometry of a sliding window, shared by convolutions and pools.

use serde::{Deserialize, Serialize};

/// How far windows go beyond a picture's far sides, the lower and the right one.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Edge {
    /// As far as beyond the near sides: [`Window::pad`].
    #[default]
    Even,
    /// So many pixels.
    Far(usize),
    /// PyTorch's ceil mode (for pools): pixels that are left over get a window of their own, as long as it starts in the
    /// picture or its near padding. What it lacks beyond [`Window::pad`] never counts in an average.
    Ceil,
    /// TensorFlow's SAME: `⌈side / stride⌉` windows. The padding that they need is shared between both sides, an odd
    /// pixel goes to the far one; [`Window::pad`] plays no part.
    Same,
}

/// Kernel size, stride, padding, dilation and groups of a square window. Build one with [`k`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Window {
    /// Side of the window in pixels.
    pub size: usize,
    /// Step between windows in pixels.
    pub stride: usize,
    /// Pixels added on every side, unless [`Window::edge`] says otherwise.
    pub pad: usize,
    /// Distance between taps in pixels.
    pub dilation: usize,
    /// Groups of channels that see only each other (convolutions only).
    pub groups: usize,
    /// Whether a bias is added (convolutions only).
    pub bias: bool,
    /// The far sides.
    #[serde(default)]
    pub edge: Edge,
}

/// A `size × size` window with stride 1, padded so that an odd window keeps the picture's size.
pub fn k(size: usize) -> Window {
    Window { size, stride: 1, pad: size / 2, dilation: 1, groups: 1, bias: false, edge: Edge::Even }
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
    /// With `near` pixels added above and to the left, and `far` below and to the right.
    pub fn pads(self, near: usize, far: usize) -> Self {
        Self { pad: near, edge: Edge::Far(far), ..self }
    }
    /// With windows for the pixels that are left over: [`Edge::Ceil`].
    pub fn ceil(self) -> Self {
        Self { edge: Edge::Ceil, ..self }
    }
    /// Padded as TensorFlow does: [`Edge::Same`].
    pub fn same(self) -> Self {
        Self { edge: Edge::Same, ..self }
    }
    /// Pixels added before a side.
    pub fn near(&self, side: usize) -> usize {
        match self.edge {
            Edge::Same => {
                (side.div_ceil(self.stride).saturating_sub(1) * self.stride + self.span()).saturating_sub(side) / 2
            }
            _ => self.pad,
        }
    }
    /// Pixels added behind a side that count in an average.
    pub(crate) fn far(&self, side: usize) -> usize {
        match self.edge {
            Edge::Even | Edge::Ceil => self.pad,
            Edge::Far(far) => far,
            Edge::Same => {
                let reach = side.div_ceil(self.stride).saturating_sub(1) * self.stride + self.span();
                reach.saturating_sub(side + self.near(side))
            }
        }
    }
    /// Taps of output `o`'s window before coordinate `end` of the padded side.
    pub(crate) fn taps_before(&self, o: usize, end: usize) -> usize {
        (0..self.size).filter(|tap| o * self.stride + tap * self.dilation < end).count()
    }
    /// Taps of output `o`'s window that count in an average: those inside the side, or also those in its padding.
    pub(crate) fn counted(&self, o: usize, side: usize, inside: bool) -> usize {
        let (near, far) = (self.near(side), self.far(side));
        if inside {
            self.taps_before(o, near + side) - self.taps_before(o, near)
        } else {
            self.taps_before(o, near + side + far)
        }
    }
    /// Output side for an input side, or `None` when the padded input is smaller than the window.
    pub fn out(&self, side: usize) -> Option<usize> {
        let padded = side + self.near(side) + self.far(side);
        match self.edge {
            Edge::Even | Edge::Far(_) => Some(padded.checked_sub(self.span())? / self.stride + 1),
            Edge::Ceil => {
                let out = (padded + self.stride - 1).checked_sub(self.span())? / self.stride + 1;
                // The last window must not start in the far padding.
                Some(if (out - 1) * self.stride >= side + self.pad { out - 1 } else { out })
            }
            Edge::Same => Some(side.div_ceil(self.stride)),
        }
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
    /// Padding above the picture.
    pub top: usize,
    /// Padding to its left.
    pub left: usize,
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
        let (top, left) = (at.near(height), at.near(width));
        Ok(Self { batch, height, width, channels, out_height, out_width, top, left, at })
    }

    /// `[B, H', W', C]`.
    #[cfg(feature = "cuda")]
    pub(crate) fn out_shape(&self) -> candle_core::Shape {
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
    fn under(&self, at: usize, tap: usize, near: usize, side: usize) -> Option<usize> {
        (at * self.at.stride + tap * self.at.dilation).checked_sub(near).filter(|&i| i < side)
    }

    /// Calls `f(tap, input pixel or None)` for every tap of the window at `pixel` (an index into the whole batch's output).
    pub(crate) fn taps(&self, pixel: usize, mut f: impl FnMut(usize, Option<usize>)) {
        let (sample, rest) = (pixel / self.out_pixels_each(), pixel % self.out_pixels_each());
        let (oy, ox) = (rest / self.out_width, rest % self.out_width);
        for ky in 0..self.at.size {
            let y = self.under(oy, ky, self.top, self.height);
            for kx in 0..self.at.size {
                let x = self.under(ox, kx, self.left, self.width);
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
        assert_eq!(k(3).stride(2).pads(0, 1).out(8), Some(4));
        assert_eq!(k(2).pads(0, 1).out(5), Some(5));
    }

    /// PyTorch's rule: `(5 + 2·0 − 2)/2` rounded up and one, but never a window that starts behind the picture.
    #[test]
    fn ceil_mode_adds_a_window_for_what_is_left() {
        let at = k(2).pad(0).stride(2).ceil();
        assert_eq!((at.out(5), at.out(4), at.out(1)), (Some(3), Some(2), Some(1)));
        assert_eq!(k(3).stride(2).ceil().out(6), Some(4));
        assert_eq!(k(1).pad(0).stride(3).ceil().out(5), Some(2));
    }

    /// A 3×3/2 window over an even side is padded at the far side only, over an odd one on both.
    #[test]
    fn same_padding_depends_on_the_side() {
        let at = k(3).stride(2).same();
        assert_eq!([8, 7].map(|side| (at.near(side), at.far(side), at.out(side))), [(0, 1, Some(4)), (1, 1, Some(4))]);
        let at = k(5).stride(2).same();
        assert_eq!((at.near(8), at.far(8), at.out(8)), (1, 2, Some(4)));
        assert_eq!((k(3).same().near(6), k(1).stride(2).same().near(5)), (1, 0));
    }

    #[test]
    fn impossible_windows_are_named() {
        let error = Sweep::new("conv2d", &[1, 2, 2, 3], k(5).pad(0)).unwrap_err().to_string();
        assert!(error.contains("window of 5 pixels does not fit into 2x2"), "{error}");
        assert!(Sweep::new("conv2d", &[0, 2, 2, 3], k(1)).is_err());
    }
}
