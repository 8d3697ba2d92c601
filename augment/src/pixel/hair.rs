//! Curved lines.

use data::Image;

/// A hair.
#[derive(Clone, Copy, Debug)]
pub struct Hair {
    /// `[x, y]` of the first end, of the control point and of the other end of a parabola (a quadratic Bézier curve).
    pub curve: [[f64; 2]; 3],
    /// Width in the middle, pixels; towards its ends it gets thinner.
    pub thick: f64,
    /// Value of all channels.
    pub value: u8,
}

/// Blends a hair over the picture, with smooth edges.
pub fn overlay(image: &mut Image, hair: Hair) {
    let [_, height, width, channels] = image.dims();
    let [from, control, to] = hair.curve;
    // The rectangle that holds the curve and its width; a parabola stays within the hull of its three points.
    let margin = hair.thick / 2.0 + 1.0;
    let bounds = |i: usize, side: usize| {
        let low = from[i].min(control[i]).min(to[i]) - margin;
        let high = from[i].max(control[i]).max(to[i]) + margin;
        let first = low.floor().clamp(0.0, side as f64) as usize;
        (first, high.ceil().clamp(first as f64, side as f64) as usize)
    };
    let ((left, right), (top, bottom)) = (bounds(0, width), bounds(1, height));
    if left >= right || top >= bottom {
        return;
    }
    let stride = right - left;
    // How much of each pixel is covered, of 256: the most of what any part of the curve covers.
    let mut covers = vec![0u16; stride * (bottom - top)];
    let length = (0..2).map(|i| (from[i] - control[i]).abs() + (control[i] - to[i]).abs()).sum::<f64>();
    let steps = (length * 1.5).clamp(2.0, 1e5) as usize;
    for step in 0..=steps {
        let t = step as f64 / steps as f64;
        let [x, y] = [0, 1].map(|i| {
            let [a, b] = [from[i] + (control[i] - from[i]) * t, control[i] + (to[i] - control[i]) * t];
            a + (b - a) * t
        });
        // As thin as a third at the ends.
        let radius = hair.thick / 2.0 * (1.0 - (2.0 * t - 1.0).powi(2) * (2.0 / 3.0));
        let reach = radius + 0.5;
        let span = |at: f64, first: usize, last: usize| {
            let low = (at - reach).ceil().clamp(first as f64, last as f64) as usize;
            low..((at + reach).floor() + 1.0).clamp(low as f64, last as f64) as usize
        };
        for row in span(y, top, bottom) {
            for column in span(x, left, right) {
                let distance = ((row as f64 - y).powi(2) + (column as f64 - x).powi(2)).sqrt();
                let cover = ((reach - distance).clamp(0.0, (2.0 * radius).min(1.0)) * 256.0) as u16;
                let most = &mut covers[(row - top) * stride + column - left];
                *most = cover.max(*most);
            }
        }
    }
    let value = i32::from(hair.value);
    for slice in image.pixels_mut().chunks_exact_mut(height * width * channels) {
        let rows = slice.chunks_exact_mut(width * channels).skip(top);
        for (row, covers) in rows.zip(covers.chunks_exact(stride)) {
            let pixels = row[left * channels..right * channels].chunks_exact_mut(channels);
            for (pixel, cover) in pixels.zip(covers).filter(|(_, cover)| **cover > 0) {
                for v in pixel {
                    *v = (i32::from(*v) + (((value - i32::from(*v)) * i32::from(*cover)) >> 8)) as u8;
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hairs_cover_their_width_and_nothing_else() {
        let mut seen = Image::filled(60, 40, &[200, 100]);
        let curve = [[5.0, 20.0], [30.0, 20.0], [55.0, 20.0]];
        overlay(&mut seen, Hair { curve, thick: 4.0, value: 30 });
        for (i, [a, b]) in seen.pixels().as_chunks::<2>().0.iter().enumerate() {
            let (x, y) = ((i % 60) as f64, (i / 60) as f64);
            let off = (y - 20.0).abs();
            assert!((30..=200).contains(a) && (30..=100).contains(b));
            if off > 3.0 || !(4.0..=56.0).contains(&x) {
                assert_eq!([*a, *b], [200, 100], "{x} {y}");
            }
            if (x - 30.0).abs() < 8.0 && off < 1.0 {
                assert_eq!([*a, *b], [30, 30], "{x} {y}");
            }
        }
    }

    #[test]
    fn a_bent_hair_passes_through_its_vertex() {
        let mut seen = Image::filled(60, 60, &[200]);
        overlay(&mut seen, Hair { curve: [[5.0, 50.0], [30.0, -10.0], [55.0, 50.0]], thick: 2.0, value: 0 });
        let at = |x: usize, y: usize| seen.pixels()[y * 60 + x];
        assert!(at(30, 20) < 20 && at(30, 50) == 200 && at(30, 5) == 200, "{}", at(30, 20));
    }

    #[test]
    fn absurd_curves_do_not_panic() {
        for odd in [f64::NAN, f64::INFINITY, -1e300, 1e9] {
            let mut image = Image::filled(3, 2, &[200]);
            overlay(&mut image, Hair { curve: [[odd, 0.0], [1.0, odd], [2.0, 2.0]], thick: 1.0, value: 0 });
            overlay(&mut image, Hair { curve: [[0.0, 0.0], [1.0, 1.0], [2.0, 2.0]], thick: odd.min(1e3), value: 0 });
        }
    }
}
