//! Overwriting a rectangle.

use super::Region;
use data::Image;

/// Hands each row of the region, channels interleaved, to `write`, from top to bottom, slice by slice.
pub fn fill(image: &mut Image, region: Region, mut write: impl FnMut(&mut [u8])) {
    let region = region.inside(image);
    let [_, height, width, channels] = image.dims();
    let (start, length) = (region.left as usize * channels, region.width * channels);
    for slice in image.pixels_mut().chunks_exact_mut(height * width * channels) {
        for row in slice.chunks_exact_mut(width * channels).skip(region.top as usize).take(region.height) {
            write(&mut row[start..start + length]);
        }
    }
}
