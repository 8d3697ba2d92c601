//! What WebP files keep of pictures.

use data::Image;
use webp::{Decoder, Encoder};

/// The longest side of a WebP file.
const MOST: usize = 16383;

/// The picture after saving and loading as a lossy WebP of a quality 0..=100, by libwebp with its defaults.
///
/// Three channels are red, green and blue; of another number each is a gray picture. Larger pictures than a file can hold stay.
pub fn webp(image: &mut Image, quality: u8) {
    let [_, height, width, channels] = image.dims();
    if width.max(height) > MOST {
        return;
    }
    let (sides, quality) = ([width as u32, height as u32], f32::from(quality.min(100)));
    for slice in image.pixels_mut().chunks_exact_mut(height * width * channels) {
        if channels == 3 {
            if let Some(seen) = colors(slice, sides, quality) {
                slice.copy_from_slice(&seen);
            }
            continue;
        }
        for c in 0..channels {
            let plane: Vec<u8> = slice.iter().skip(c).step_by(channels).flat_map(|v| [*v; 3]).collect();
            let Some(seen) = colors(&plane, sides, quality) else { continue };
            let seen = seen.as_chunks::<3>().0.iter();
            slice.iter_mut().skip(c).step_by(channels).zip(seen).for_each(|(to, color)| *to = gray(*color));
        }
    }
}

/// A color picture after it; none where the codec has failed.
fn colors(pixels: &[u8], [width, height]: [u32; 2], quality: f32) -> Option<Vec<u8>> {
    let file = Encoder::from_rgb(pixels, width, height).encode_simple(false, quality).ok()?;
    let seen = Decoder::new(&file).decode()?;
    (seen.len() == pixels.len()).then(|| seen.to_vec())
}

/// Luma of ITU-R BT.601, as OpenCV rounds it.
fn gray([r, g, b]: [u8; 3]) -> u8 {
    ((9798 * u32::from(r) + 19235 * u32::from(g) + 3735 * u32::from(b) + (1 << 14)) >> 15) as u8
}
