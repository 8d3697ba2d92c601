//! Crops and paddings.

use super::{Border, Paint, Region, image};
use data::Image;

/// The picture seen through a window, which may reach outside; `fill` is the value of a constant border.
///
/// An empty window is all of the picture.
pub fn window(source: Image, region: Region, border: Border, fill: impl Into<Paint>) -> Image {
    let fill = fill.into();
    if region.is_empty() || region == Region::whole(&source) {
        return source;
    }
    let [depth, height, width, channels] = source.dims();
    let inside = region.inside(&source);
    // Columns of the window before and up to the end of the part inside; all lie before an empty part.
    let first = if inside.width == 0 { region.width } else { (inside.left - region.left) as usize };
    let last = first + inside.width;
    let mut pixels = Vec::with_capacity(depth * region.height * region.width * channels);
    for slice in source.pixels().chunks_exact(height * width * channels) {
        for y in 0..region.height {
            let Some(y) = border.index(region.top.saturating_add_unsigned(y), height) else {
                fill.extend(&mut pixels, region.width, channels);
                continue;
            };
            let row = &slice[y * width * channels..][..width * channels];
            let outside =
                |pixels: &mut Vec<u8>, x: usize| match border.index(region.left.saturating_add_unsigned(x), width) {
                    Some(x) => pixels.extend_from_slice(&row[x * channels..][..channels]),
                    None => fill.extend(pixels, 1, channels),
                };
            let middle = &row[inside.left as usize * channels..][..inside.width * channels];
            if border == Border::Constant {
                fill.extend(&mut pixels, first, channels);
                pixels.extend_from_slice(middle);
                fill.extend(&mut pixels, region.width - last, channels);
                continue;
            }
            (0..first).for_each(|x| outside(&mut pixels, x));
            pixels.extend_from_slice(middle);
            (last..region.width).for_each(|x| outside(&mut pixels, x));
        }
    }
    image([depth, region.height, region.width, channels], pixels)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn windows_crop_and_pad() {
        let picture = || Image::new(3, 2, 1, vec![1, 2, 3, 4, 5, 6]).unwrap();
        let seen =
            |left, top, border| window(picture(), Region { left, top, width: 3, height: 2 }, border, 9).into_pixels();
        assert_eq!(seen(0, 0, Border::Constant), [1, 2, 3, 4, 5, 6]);
        assert_eq!(seen(1, 1, Border::Constant), [5, 6, 9, 9, 9, 9]);
        assert_eq!(seen(-1, -1, Border::Constant), [9, 9, 9, 9, 1, 2]);
        assert_eq!(seen(-1, -1, Border::Reflect101), [5, 4, 5, 2, 1, 2]);
        assert_eq!(seen(7, 0, Border::Replicate), [3, 3, 3, 6, 6, 6]);
        assert_eq!(seen(-7, 0, Border::Constant), [9; 6]);
        let inner = window(picture(), Region { left: 1, top: 1, width: 1, height: 1 }, Border::Constant, 0);
        assert_eq!(inner, Image::filled(1, 1, &[5]));
    }
}
