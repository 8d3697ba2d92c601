//! Discs.

use super::Paint;
use data::Image;

/// Overwrites the pixels that lie further than `radius` from `[x, y]`; pixels lie at whole numbers.
pub fn outside_disc(image: &mut Image, [x, y]: [f64; 2], radius: f64, fill: impl Into<Paint>) {
    let ([_, height, width, channels], fill) = (image.dims(), fill.into());
    for (row, line) in image.pixels_mut().chunks_exact_mut(width * channels).enumerate() {
        let rise = (row % height) as f64 - y;
        let half = radius * radius - rise * rise;
        if half < 0.0 || radius < 0.0 {
            fill.cover(line, channels);
            continue;
        }
        let half = half.sqrt();
        let first = (x - half).ceil().clamp(0.0, width as f64) as usize;
        let last = ((x + half).floor() + 1.0).clamp(first as f64, width as f64) as usize;
        fill.cover(&mut line[..first * channels], channels);
        fill.cover(&mut line[last * channels..], channels);
    }
}

/// The middle of a picture.
pub fn middle(image: &Image) -> [f64; 2] {
    [image.width(), image.height()].map(|side| (side as f64 - 1.0) / 2.0)
}

/// The pixel in the middle of a picture, right or below of it where there is none.
pub fn middle_pixel(image: &Image) -> [f64; 2] {
    [image.width(), image.height()].map(|side| (side / 2) as f64)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pixels_are_kept_by_the_distance_of_their_centers() {
        for (width, height, radius) in
            [(20, 15, 7.0), (8, 8, 4.0), (5, 30, 0.4), (1, 1, 0.1), (9, 9, 20.0), (7, 4, 2.5), (6, 6, -1.0)]
        {
            let mut seen = Image::volume([2, height, width, 2], [1, 2].repeat(2 * width * height)).unwrap();
            let shared = seen.clone();
            for center in [middle(&shared), middle_pixel(&shared), [-3.0, 2.5]] {
                seen.clone_from(&shared);
                outside_disc(&mut seen, center, radius, Paint::new(&[8, 9]).unwrap());
                for (i, pixel) in seen.pixels().as_chunks::<2>().0.iter().enumerate() {
                    let x = (i % width) as f64 - center[0];
                    let y = (i / width % height) as f64 - center[1];
                    let inside = radius >= 0.0 && x * x + y * y <= radius * radius;
                    assert_eq!(*pixel, if inside { [1, 2] } else { [8, 9] }, "{x} {y} {radius}");
                }
            }
        }
    }
}
