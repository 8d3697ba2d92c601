//! The sizes of a convolution.

/// Everything about a convolution but its numbers.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Geometry {
    pub samples: usize,
    pub h: usize,
    pub w: usize,
    pub ci: usize,
    pub oh: usize,
    pub ow: usize,
    pub co: usize,
    /// Taps down, and across.
    pub size: usize,
    pub across: usize,
    pub stride: usize,
    pub dilation: usize,
    pub groups: usize,
    /// Rows and columns of zeros before the map.
    pub top: usize,
    pub left: usize,
}

impl Geometry {
    /// Whether the window is one pixel and every pixel has one.
    pub(crate) fn pointwise(&self) -> bool {
        self.taps() == 1
            && self.stride == 1
            && self.groups == 1
            && self.top == 0
            && self.left == 0
            && self.oh == self.h
            && self.ow == self.w
    }
    /// Taps of a window.
    pub(crate) fn taps(&self) -> usize {
        self.size * self.across
    }
    fn square(&self) -> bool {
        self.size == self.across
    }
    /// Whether every channel is convolved by itself, in a square window.
    pub(crate) fn depthwise(&self) -> bool {
        self.groups > 1 && self.groups == self.ci && self.ci == self.co && self.square()
    }
    /// 3×3 windows at every pixel.
    pub(crate) fn dense3(&self) -> bool {
        self.size == 3
            && self.square()
            && self.stride == 1
            && self.dilation == 1
            && self.groups == 1
            && self.top <= 2
            && self.left <= 2
    }
}
