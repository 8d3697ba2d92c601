//! A decoded picture.

use crate::error::{Error, Result};

/// An 8-bit picture of any number of channels, or a volume when `depth > 1`.
///
/// Interleaved and row-major: the value of channel `c` at `(x, y, z)` is byte
/// `((z * height + y) * width + x) * channels + c`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Image {
    depth: usize,
    height: usize,
    width: usize,
    channels: usize,
    pixels: Vec<u8>,
}

impl Image {
    /// A picture from `width * height * channels` bytes.
    ///
    /// # Errors
    /// [`Error::Invalid`] when a side is 0 or the number of bytes is another.
    pub fn new(width: usize, height: usize, channels: usize, pixels: Vec<u8>) -> Result<Self> {
        Self::volume([1, height, width, channels], pixels)
    }

    /// A volume from its sides `[depth, height, width, channels]`.
    ///
    /// # Errors
    /// As [`Image::new`].
    pub fn volume(dims: [usize; 4], pixels: Vec<u8>) -> Result<Self> {
        let [depth, height, width, channels] = dims;
        let wanted = dims.iter().try_fold(1usize, |n, d| n.checked_mul(*d)).unwrap_or(0);
        if wanted == 0 || wanted != pixels.len() {
            return Err(Error::Invalid(format!("an image of {dims:?} cannot have {} bytes", pixels.len())));
        }
        Ok(Self { depth, height, width, channels, pixels })
    }

    /// A picture of one color, a value per channel. Sides of 0 become 1.
    pub fn filled(width: usize, height: usize, color: &[u8]) -> Self {
        let (width, height) = (width.max(1), height.max(1));
        let color = if color.is_empty() { &[0] } else { color };
        Self { depth: 1, height, width, channels: color.len(), pixels: color.repeat(width * height) }
    }

    /// `[depth, height, width, channels]`.
    pub fn dims(&self) -> [usize; 4] {
        [self.depth, self.height, self.width, self.channels]
    }
    /// Slices; 1 for a picture.
    pub fn depth(&self) -> usize {
        self.depth
    }
    /// Pixels from top to bottom.
    pub fn height(&self) -> usize {
        self.height
    }
    /// Pixels from left to right.
    pub fn width(&self) -> usize {
        self.width
    }
    /// Values per pixel.
    pub fn channels(&self) -> usize {
        self.channels
    }
    /// All bytes.
    pub fn pixels(&self) -> &[u8] {
        &self.pixels
    }
    /// All bytes, to be changed in place.
    pub fn pixels_mut(&mut self) -> &mut [u8] {
        &mut self.pixels
    }
    /// All bytes, owned.
    pub fn into_pixels(self) -> Vec<u8> {
        self.pixels
    }

    /// Slice `z` of a volume as a picture.
    ///
    /// # Errors
    /// [`Error::Invalid`] when there is none.
    pub fn slice(&self, z: usize) -> Result<Self> {
        let size = self.height * self.width * self.channels;
        match self.pixels.chunks_exact(size).nth(z) {
            Some(pixels) => Self::new(self.width, self.height, self.channels, pixels.to_vec()),
            None => Err(Error::Invalid(format!("a volume of {} slices has no slice {z}", self.depth))),
        }
    }

    /// The same bytes seen under other sides, for kernels that permute pixels.
    ///
    /// # Errors
    /// As [`Image::new`].
    pub fn reshaped(self, dims: [usize; 4]) -> Result<Self> {
        Self::volume(dims, self.pixels)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sides_must_match_the_bytes() {
        let image = Image::new(3, 2, 1, vec![0; 6]).unwrap();
        assert_eq!(image.dims(), [1, 2, 3, 1]);
        assert!(Image::new(3, 2, 1, vec![0; 5]).is_err());
        assert!(Image::new(0, 2, 1, vec![]).is_err());
        assert!(Image::volume([usize::MAX, 2, 1, 1], vec![]).is_err());
        assert_eq!(Image::filled(2, 1, &[1, 2]).pixels(), [1, 2, 1, 2]);
    }
}
