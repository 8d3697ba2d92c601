//! Dark hairs on skin.

use super::fundus::gray;
use super::morphology::close_cross;
use data::Image;

/// 255 where a picture's gray is darker than its closing by a cross of `kernel` pixels by more than `threshold`: thin and dark
/// (OpenCV's `MORPH_BLACKHAT` and `THRESH_BINARY`).
pub fn hairs(image: &Image, kernel: usize, threshold: u8) -> Vec<u8> {
    let [_, height, width, channels] = image.dims();
    let mut mask = Vec::with_capacity(image.pixels().len() / channels);
    for slice in image.pixels().chunks_exact(height * width * channels) {
        let plane: Vec<u8> = if let (3, (pixels, _)) = (channels, slice.as_chunks::<3>()) {
            pixels.iter().map(|pixel| gray(pixel)).collect()
        } else {
            slice.chunks_exact(channels).map(gray).collect()
        };
        let closed = close_cross(&plane, width, kernel / 2);
        mask.extend(
            closed.iter().zip(&plane).map(|(closed, v)| if closed.saturating_sub(*v) > threshold { 255 } else { 0 }),
        );
    }
    mask
}

/// Replaces the pixels of a mask, from its rim inwards, by the mean of those of the eight neighbours that are known by then.
///
/// A slice that is masked altogether stays.
pub fn fill_in(image: &mut Image, mask: &[u8]) {
    let [_, height, width, channels] = image.dims();
    let size = height * width;
    for (slice, mask) in image.pixels_mut().chunks_exact_mut(size * channels).zip(mask.chunks_exact(size)) {
        // In which round a pixel became known: 0 for those outside the mask.
        let mut round: Vec<u32> = mask.iter().map(|v| if *v > 0 { u32::MAX } else { 0 }).collect();
        let neighbours = |at: usize| {
            let (x, y) = (at % width, at / width);
            let rows = y.saturating_sub(1)..(y + 2).min(height);
            rows.flat_map(move |row| (x.saturating_sub(1)..(x + 2).min(width)).map(move |x| row * width + x))
        };
        let mut unknown: Vec<usize> = (0..size).filter(|at| mask[*at] > 0).collect();
        let mut now = 1;
        while !unknown.is_empty() {
            let before = unknown.len();
            let rim: Vec<usize> =
                unknown.iter().copied().filter(|at| neighbours(*at).any(|other| round[other] < now)).collect();
            for &at in &rim {
                let known = neighbours(at).filter(|other| round[*other] < now);
                let count = known.clone().count() as u32;
                for c in 0..channels {
                    let sum: u32 = known.clone().map(|other| u32::from(slice[other * channels + c])).sum();
                    slice[at * channels + c] = ((sum + count / 2) / count.max(1)) as u8;
                }
            }
            rim.iter().for_each(|at| round[*at] = now);
            unknown.retain(|at| round[*at] == u32::MAX);
            if unknown.len() == before {
                break;
            }
            now += 1;
        }
    }
}
