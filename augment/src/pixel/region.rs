//! Rectangles.

use data::Image;

/// A rectangle of pixels, which may reach outside a picture.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Region {
    /// First column.
    pub left: isize,
    /// First row.
    pub top: isize,
    /// Columns.
    pub width: usize,
    /// Rows.
    pub height: usize,
}

impl Region {
    /// All of a picture.
    pub fn whole(image: &Image) -> Self {
        Self { left: 0, top: 0, width: image.width(), height: image.height() }
    }

    /// A rectangle in the middle of a picture, half a pixel to the right or down where there is no middle.
    pub fn centered(image: &Image, width: usize, height: usize) -> Self {
        let start = |outer: usize, inner: usize| (outer as f64 / 2.0 - inner as f64 / 2.0).round_ties_even() as isize;
        Self { left: start(image.width(), width), top: start(image.height(), height), width, height }
    }

    /// The part inside a picture, which may be empty.
    pub fn inside(self, image: &Image) -> Self {
        let clip = |start: isize, length: usize, side: usize| {
            let first = start.clamp(0, side as isize);
            let last = start.saturating_add_unsigned(length).clamp(first, side as isize);
            (first, (last - first) as usize)
        };
        let (left, width) = clip(self.left, self.width, image.width());
        let (top, height) = clip(self.top, self.height, image.height());
        Self { left, top, width, height }
    }

    /// Whether it holds no pixel.
    pub fn is_empty(self) -> bool {
        self.width == 0 || self.height == 0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn clipping_keeps_to_the_picture() {
        let image = Image::filled(4, 3, &[0]);
        let region = |left, top, width, height| Region { left, top, width, height };
        assert_eq!(region(-1, 1, 3, 9).inside(&image), region(0, 1, 2, 2));
        assert!(region(4, 0, 2, 2).inside(&image).is_empty());
        assert!(region(isize::MIN, 0, 2, 2).inside(&image).is_empty());
        assert_eq!(region(isize::MIN, 0, usize::MAX, 1).inside(&image), region(0, 0, 4, 1));
        assert_eq!(Region::centered(&image, 2, 2), region(1, 0, 2, 2));
        assert_eq!(Region::centered(&image, 8, 3), region(-2, 0, 8, 3));
    }
}
