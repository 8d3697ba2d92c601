//! Discs.

use super::{Region, fill};
use data::Image;

/// Overwrites the pixels whose centers lie further than `radius` from the picture's.
pub fn outside_disc(image: &mut Image, radius: f64, value: u8) {
    let [_, height, width, channels] = image.dims();
    let middle = width as f64 / 2.0;
    for y in 0..height {
        let dy = y as f64 + 0.5 - height as f64 / 2.0;
        let half = (radius * radius - dy * dy).max(0.0).sqrt();
        // Of half-open spans about the middle; none where the row misses the disc.
        let inside = if dy.abs() > radius { 0.0 } else { half };
        let first = ((middle - inside - 0.5).ceil().clamp(0.0, width as f64)) as usize;
        let last = ((middle + inside + 0.5).floor().clamp(first as f64, width as f64)) as usize;
        let last = if inside == 0.0 && dy.abs() > radius { first } else { last };
        let row = Region { left: 0, top: y as isize, width, height: 1 };
        fill(image, row, |row| {
            row[..first * channels].fill(value);
            row[last * channels..].fill(value);
        });
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pixels_are_kept_by_the_distance_of_their_centers() {
        for (width, height, radius) in
            [(20, 15, 7.0), (8, 8, 4.0), (5, 30, 0.4), (1, 1, 0.1), (9, 9, 20.0), (7, 4, 2.5)]
        {
            let mut seen = Image::filled(width, height, &[1, 2]);
            outside_disc(&mut seen, radius, 9);
            for (i, pixel) in seen.pixels().as_chunks::<2>().0.iter().enumerate() {
                let x = (i % width) as f64 + 0.5 - width as f64 / 2.0;
                let y = (i / width) as f64 + 0.5 - height as f64 / 2.0;
                assert_eq!(*pixel, if x * x + y * y <= radius * radius { [1, 2] } else { [9, 9] }, "{x} {y} {radius}");
            }
        }
    }
}
