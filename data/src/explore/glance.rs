//! What one look at a decoded picture tells.

use crate::decode::Decoded;
use crate::image::Image;
use crate::similar::{Sketch, gray};

/// Pixels up to this level are black for [`Glance::border`]: what notebooks cut away around a fundus.
const BLACK: u8 = 7;

/// Figures of a picture; levels are those of the gray picture (a volume's middle slice), 0..=255.
#[derive(Clone, Debug, PartialEq)]
pub struct Glance {
    /// Pixels from left to right, upright.
    pub width: u32,
    /// Pixels from top to bottom.
    pub height: u32,
    /// Slices.
    pub depth: u32,
    /// Channels that the file stores.
    pub stored_channels: u32,
    /// File format.
    pub format: &'static str,
    /// Whether the file stores more than eight bits per channel.
    pub is_deep: bool,
    /// Mean level.
    pub luma: f32,
    /// Standard deviation of the levels.
    pub contrast: f32,
    /// Variance of the Laplacian (Pech-Pacheco 2000; OpenCV's with aperture 1, reflected at the edges): low where blurred.
    pub sharpness: f32,
    /// Share of the picture outside of the smallest rectangle that holds every pixel above level 7: its black border, 0..=1.
    pub border: f32,
    /// Sum and sum of squares of each channel over all pixels.
    pub sums: Box<[[f64; 2]]>,
}

impl Glance {
    pub(super) fn of(decoded: &Decoded) -> (Self, Sketch) {
        let image = &decoded.image;
        let gray = gray(image);
        let [depth, height, width, _] = image.dims();
        let (luma, contrast) = mean_and_deviation(gray.pixels().iter().map(|v| i64::from(*v)));
        let glance = Self {
            width: width as u32,
            height: height as u32,
            depth: depth as u32,
            stored_channels: decoded.stored_channels as u32,
            format: decoded.format,
            is_deep: decoded.is_deep,
            luma: luma as f32,
            contrast: contrast as f32,
            sharpness: sharpness(&gray) as f32,
            border: border(&gray) as f32,
            sums: sums(image),
        };
        (glance, Sketch::with_gray(image, &gray))
    }

    /// All pixels, those of all slices.
    pub fn pixels(&self) -> f64 {
        f64::from(self.width) * f64::from(self.height) * f64::from(self.depth)
    }

    /// Mean and standard deviation of each channel, 0..=255.
    pub fn channels(&self) -> impl Iterator<Item = [f64; 2]> {
        let pixels = self.pixels();
        self.sums.iter().map(move |[sum, squares]| {
            let mean = sum / pixels;
            [mean, (squares / pixels - mean * mean).max(0.0).sqrt()]
        })
    }

    /// Width over height.
    pub fn aspect(&self) -> f64 {
        f64::from(self.width) / f64::from(self.height)
    }
}

/// Exact sums, so that the order of the pixels does not matter.
fn mean_and_deviation(values: impl Iterator<Item = i64>) -> (f64, f64) {
    let (mut count, mut sum, mut squares) = (0i64, 0i64, 0i64);
    for v in values {
        (count, sum, squares) = (count + 1, sum + v, squares + v * v);
    }
    let n = count.max(1) as f64;
    let mean = sum as f64 / n;
    (mean, (squares as f64 / n - mean * mean).max(0.0).sqrt())
}

fn sums(image: &Image) -> Box<[[f64; 2]]> {
    let channels = image.channels();
    let mut sums = vec![[0u64; 2]; channels];
    for pixel in image.pixels().chunks_exact(channels) {
        for (sum, &v) in sums.iter_mut().zip(pixel) {
            sum[0] += u64::from(v);
            sum[1] += u64::from(v) * u64::from(v);
        }
    }
    sums.into_iter().map(|sum| sum.map(|v| v as f64)).collect()
}

fn sharpness(gray: &Image) -> f64 {
    let (width, height) = (gray.width(), gray.height());
    let lines: Vec<&[u8]> = gray.pixels().chunks_exact(width).collect();
    // Beyond an edge lies the line or pixel before it.
    let beside = |i: usize, len: usize| match (i.checked_sub(1), i + 1 < len) {
        (Some(before), true) => [before, i + 1],
        (Some(before), false) => [before; 2],
        (None, true) => [1; 2],
        (None, false) => [0; 2],
    };
    let laplacian = lines.iter().enumerate().flat_map(|(y, line)| {
        let [above, below] = beside(y, height).map(|y| lines[y]);
        (0..width).map(move |x| {
            let [left, right] = beside(x, width).map(|x| line[x]);
            let around = [left, right, above[x], below[x]].map(i64::from);
            around.iter().sum::<i64>() - 4 * i64::from(line[x])
        })
    });
    mean_and_deviation(laplacian).1.powi(2)
}

fn border(gray: &Image) -> f64 {
    let (width, height) = (gray.width(), gray.height());
    let (mut left, mut right, mut top, mut bottom) = (width, 0, height, 0);
    for (y, line) in gray.pixels().chunks_exact(width).enumerate() {
        let is_bright = |v: &u8| *v > BLACK;
        if let (Some(first), Some(last)) = (line.iter().position(is_bright), line.iter().rposition(is_bright)) {
            (left, right) = (left.min(first), right.max(last + 1));
            (top, bottom) = (top.min(y), y + 1);
        }
    }
    let inside = right.saturating_sub(left) * bottom.saturating_sub(top);
    1.0 - inside as f64 / (width * height) as f64
}

#[cfg(test)]
mod tests {
    use super::*;

    fn look(image: Image) -> Glance {
        Glance::of(&Decoded { image, format: "png", stored_channels: 1, is_deep: false }).0
    }

    #[test]
    fn a_black_border_is_what_lies_around_the_bright_rectangle() {
        let mut image = Image::filled(10, 8, &[3]);
        assert_eq!(look(image.clone()).border, 1.0);
        for (x, y) in [(2, 1), (6, 4)] {
            image.pixels_mut()[y * 10 + x] = 200;
        }
        let seen = look(image);
        assert_eq!(seen.border, 0.75);
        assert_eq!(seen.luma, (78.0 * 3.0 + 400.0) / 80.0);
        assert_eq!(look(Image::filled(10, 8, &[8])).border, 0.0);
    }

    #[test]
    fn one_pixel_is_plain() {
        let seen = look(Image::filled(1, 1, &[9, 20, 30]));
        assert_eq!((seen.contrast, seen.sharpness, seen.aspect()), (0.0, 0.0, 1.0));
        assert_eq!(seen.channels().collect::<Vec<_>>(), [[9.0, 0.0], [20.0, 0.0], [30.0, 0.0]]);
    }

    #[test]
    fn a_volume_is_judged_by_its_middle_slice_and_measured_whole() {
        let mut image = Image::volume([3, 2, 2, 1], vec![0; 12]).unwrap();
        image.pixels_mut()[4..8].copy_from_slice(&[100, 0, 100, 0]);
        let seen = look(image);
        assert_eq!((seen.luma, seen.contrast, seen.depth), (50.0, 50.0, 3));
        assert_eq!(seen.sums[0], [200.0, 20_000.0]);
    }
}
