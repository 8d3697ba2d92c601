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

/// Size and padding across the rows of a window that is not square.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Across {
    /// Width of the window in pixels.
    pub size: usize,
    /// Pixels added to the left and to the right, unless [`Window::edge`] says otherwise.
    pub pad: usize,
}

/// Kernel size, stride, padding, dilation and groups of a window. Build a square one with [`k`], others with [`rect`].
///
/// Sides are computed along one axis at a time: [`Window::span`], [`Window::near`] and [`Window::out`] are those along the
/// height; [`Window::axes`] has a window for either axis.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Window {
    /// Side of the window in pixels; its height where [`Window::across`] says otherwise.
    pub size: usize,
    /// Step between windows in pixels.
    pub stride: usize,
    /// Pixels added on every side (above and below where [`Window::across`] says otherwise), unless [`Window::edge`] says otherwise.
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
    /// The width, where it is not as the height.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub across: Option<Across>,
}

/// A `size × size` window with stride 1, padded so that an odd window keeps the picture's size.
pub fn k(size: usize) -> Window {
    Window { size, stride: 1, pad: size / 2, dilation: 1, groups: 1, bias: false, edge: Edge::Even, across: None }
}

/// A `height × width` window with stride 1, padded so that odd sides keep the picture's size.
pub fn rect(height: usize, width: usize) -> Window {
    let across = Across { size: width, pad: width / 2 };
    Window { across: (width != height).then_some(across), ..k(height) }
}

impl Window {
    /// With this size of the window, down and across.
    pub fn size(self, size: usize) -> Self {
        Self { size, across: self.across.map(|a| Across { size, ..a }), ..self }
    }
    /// With this stride.
    pub fn stride(self, stride: usize) -> Self {
        Self { stride, ..self }
    }
    /// With this padding on every side.
    pub fn pad(self, pad: usize) -> Self {
        Self { pad, across: self.across.map(|a| Across { pad, ..a }), ..self }
    }
    /// With this number of groups.
    pub fn groups(self, groups: usize) -> Self {
        Self { groups, ..self }
    }
    /// With this distance between taps, padded so that an odd window keeps the picture's size.
    pub fn dilation(self, dilation: usize) -> Self {
        let across = self.across.map(|a| Across { pad: a.size / 2 * dilation, ..a });
        Self { dilation, pad: self.size / 2 * dilation, across, ..self }
    }
    /// With a bias.
    pub fn bias(self) -> Self {
        Self { bias: true, ..self }
    }
    /// The window along the height and the one along the width, both as square ones.
    pub fn axes(&self) -> [Self; 2] {
        let down = Self { across: None, ..*self };
        [down, self.across.map_or(down, |a| Self { size: a.size, pad: a.pad, ..down })]
    }
    /// Whether it is as high as wide, padding included.
    pub fn square(&self) -> bool {
        self.across.is_none_or(|a| a == Across { size: self.size, pad: self.pad })
    }
    /// Height and width in pixels.
    pub fn sides(&self) -> [usize; 2] {
        self.axes().map(|axis| axis.size)
    }
    /// Pixels of the window.
    pub fn taps(&self) -> usize {
        self.sides().iter().product()
    }
    /// Output height and width for an input of `(height, width)`, or `None` when the window does not fit.
    pub fn fit(&self, (height, width): (usize, usize)) -> Option<(usize, usize)> {
        let [down, across] = self.axes();
        down.out(height).zip(across.out(width))
    }
    /// The pixels that it spans, for messages.
    pub(crate) fn spans(&self) -> String {
        each(self.axes().map(|axis| axis.span()))
    }
    /// Pixels that one window spans.
    pub fn span(&self) -> usize {
        self.dilation * (self.size - 1) + 1
    }
    /// With `near` pixels added above and to the left, and `far` below and to the right.
    pub fn pads(self, near: usize, far: usize) -> Self {
        Self { edge: Edge::Far(far), ..self.pad(near) }
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

/// `5` or `1x7`.
fn each([down, across]: [usize; 2]) -> String {
    if down == across { down.to_string() } else { format!("{down}x{across}") }
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
        if at.taps() == 0 || at.stride == 0 || at.dilation == 0 || at.groups == 0 {
            candle_core::bail!("{what}: size, stride, dilation and groups must be at least 1, got {at:?}")
        }
        let [down, across] = at.axes();
        let Some((out_height, out_width)) = at.fit((height, width)) else {
            candle_core::bail!(
                "{what}: a window of {} pixels does not fit into {height}x{width} padded by {}",
                at.spans(),
                each([down.pad, across.pad])
            )
        };
        let (top, left) = (down.near(height), across.near(width));
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
        let [down, across] = self.at.sides();
        for ky in 0..down {
            let y = self.under(oy, ky, self.top, self.height);
            for kx in 0..across {
                let x = self.under(ox, kx, self.left, self.width);
                let inside = y.zip(x).map(|(y, x)| (sample * self.height + y) * self.width + x);
                f(ky * across + kx, inside);
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

    /// A 1×7 window moves over rows as one of 7 pixels, over columns as one of a single pixel.
    #[test]
    fn windows_that_are_not_square_have_two_axes() {
        let at = rect(1, 7);
        assert_eq!((at.taps(), at.square(), at.axes()), (7, false, [k(1), k(7)]));
        assert_eq!((at.fit((5, 9)), at.pad(0).fit((5, 9))), (Some((5, 9)), Some((5, 3))));
        assert_eq!((rect(3, 3), rect(3, 1).size(5).pad(2).square()), (k(3), true));
        assert_eq!(rect(3, 5).dilation(2).stride(2).fit((9, 9)), Some((5, 5)));
        let error = Sweep::new("conv2d", &[1, 4, 4, 3], rect(7, 1).pad(1)).unwrap_err().to_string();
        assert!(error.contains("window of 7x1 pixels does not fit into 4x4 padded by 1"), "{error}");
    }

    #[test]
    fn recipes_write_square_windows_as_ever() {
        let text = serde_json::to_string(&k(3)).unwrap();
        assert_eq!(text, r#"{"size":3,"stride":1,"pad":1,"dilation":1,"groups":1,"bias":false,"edge":"even"}"#);
        for at in [k(3), rect(1, 7)] {
            assert_eq!(serde_json::from_value::<Window>(serde_json::to_value(at).unwrap()).unwrap(), at);
        }
    }

    #[test]
    fn impossible_windows_are_named() {
        let error = Sweep::new("conv2d", &[1, 2, 2, 3], k(5).pad(0)).unwrap_err().to_string();
        assert!(error.contains("window of 5 pixels does not fit into 2x2"), "{error}");
        assert!(Sweep::new("conv2d", &[0, 2, 2, 3], k(1)).is_err());
    }
}
