//! Polygons.

use super::simd;
use data::Image;

/// Multiplies what lies in a polygon by `factor`, truncated; a pixel on its outline lies in it.
///
/// Vertices are `[x, y]` and pixels lie at whole numbers. Where sides cross, what they enclose an even number of times is
/// outside.
pub fn darken(image: &mut Image, vertices: &[[f64; 2]], factor: f64) {
    let [_, height, width, channels] = image.dims();
    let mut table = [0; 256];
    for (value, entry) in (0u8..=255).zip(&mut table) {
        *entry = (f64::from(value) * factor) as u8;
    }
    let mut crossings = Vec::with_capacity(vertices.len());
    for y in 0..height {
        cross(vertices, y as f64, &mut crossings);
        // Spans that touch are one: no pixel gets darker twice.
        let mut done = 0;
        for pair in crossings.as_chunks::<2>().0 {
            let first = (pair[0].ceil().max(0.0) as usize).max(done);
            let last = (pair[1].floor() + 1.0).clamp(0.0, width as f64) as usize;
            if first < last {
                for slice in image.pixels_mut().chunks_exact_mut(height * width * channels) {
                    let row = &mut slice[y * width * channels..][..width * channels];
                    simd::look_up(&mut row[first * channels..last * channels], &table);
                }
                done = last;
            }
        }
    }
}

/// Where the sides of a polygon cross a row, in order.
fn cross(vertices: &[[f64; 2]], y: f64, crossings: &mut Vec<f64>) {
    crossings.clear();
    let Some(mut from) = vertices.last() else { return };
    for to in vertices {
        // A vertex belongs to the side below it.
        if (from[1] <= y) != (to[1] <= y) {
            crossings.push(from[0] + (y - from[1]) * (to[0] - from[0]) / (to[1] - from[1]));
        }
        from = to;
    }
    crossings.sort_unstable_by(f64::total_cmp);
}

#[cfg(test)]
mod tests {
    use super::*;

    fn seen(vertices: &[[f64; 2]], factor: f64) -> Vec<u8> {
        let mut image = Image::filled(6, 4, &[101]);
        darken(&mut image, vertices, factor);
        image.into_pixels()
    }

    #[test]
    fn only_the_inside_gets_darker_by_the_factor() {
        let rectangle = [[1.0, 1.0], [3.0, 1.0], [3.0, 3.0], [1.0, 3.0]];
        let dark = seen(&rectangle, 0.5);
        for (i, v) in dark.iter().enumerate() {
            let (x, y) = (i % 6, i / 6);
            assert_eq!(*v, if (1..=3).contains(&x) && (1..3).contains(&y) { 50 } else { 101 }, "{x} {y}");
        }
        assert_eq!(seen(&rectangle, 1.0), [101; 24]);
        // A bow tie: its crossing belongs to both halves and is darkened once.
        let bow = seen(&[[0.0, 0.0], [4.0, 2.0], [4.0, 0.0], [0.0, 2.0]], 0.5);
        assert_eq!(bow[6..12], [50, 50, 50, 50, 50, 101]);
        for odd in [f64::NAN, f64::INFINITY, 1e300, -1e300] {
            seen(&[[odd, 0.0], [2.0, odd], [odd, odd]], 0.5);
        }
        seen(&[], 0.5);
    }
}
