//! What hangs in the air before a scene.

use super::simd::{self, Kernel};
use data::Image;

/// Each patch, a disc of `(center, radius)`, moves what it covers `density` of the way to white.
///
/// Coverage is blurred over about a thirtieth of the shorter side, so that patches have no edges.
pub fn fog(image: &mut Image, patches: &[([isize; 2], usize)], density: f64) {
    let [_, height, width, channels] = image.dims();
    if patches.is_empty() || density <= 0.0 {
        return;
    }
    // Where rows of patches begin and end; their running sum is how many cover a pixel.
    let mut covers = vec![0i32; (width + 1) * height];
    for ([x, y], radius) in patches {
        let radius = (*radius).min(1 << 15) as isize;
        for dy in -radius..=radius {
            let Some(row) = usize::try_from(y.saturating_add(dy)).ok().filter(|row| *row < height) else { continue };
            let half = ((radius * radius - dy * dy) as f64).sqrt() as isize;
            let [first, last] =
                [x.saturating_sub(half), x.saturating_add(half + 1)].map(|x| x.clamp(0, width as isize));
            covers[row * (width + 1) + first as usize] += 1;
            covers[row * (width + 1) + last as usize] -= 1;
        }
    }
    let radius = (width.min(height) / 60).max(1);
    let mut most = 0;
    for row in covers.chunks_exact_mut(width + 1) {
        let mut count = 0;
        for cover in row.iter_mut() {
            count += *cover;
            *cover = count;
            most = most.max(count);
        }
    }
    let window = 2 * radius + 1;
    // A table by the part of a patch spares a power for each pixel.
    const STEPS: usize = 64;
    let step = (1.0 - density.min(1.0)).powf(1.0 / STEPS as f64);
    let kept = std::iter::successors(Some(32768.0), |kept| Some(kept * step));
    let shares: Vec<u16> = kept.take(most as usize * STEPS + 1).map(|kept| kept.round() as u16).collect();
    let scale = STEPS as f32 / (window * window) as f32;
    let share = |cover: i32| shares[((cover as f32 * scale + 0.5) as usize).min(shares.len() - 1)];
    let mut columns = vec![0i32; width];
    let mut row_shares = vec![0u16; width];
    let row = |y: isize| {
        let y = y.clamp(0, height as isize - 1) as usize;
        &covers[y * (width + 1)..][..width]
    };
    let add = |columns: &mut [i32], row: &[i32], sign: i32| {
        simd::wide(|| columns.iter_mut().zip(row).for_each(|(sum, cover)| *sum += sign * *cover));
    };
    let reach = radius as isize;
    (-reach..=reach).for_each(|y| add(&mut columns, row(y), 1));
    for y in 0..height {
        let column = |x: isize| columns[x.clamp(0, width as isize - 1) as usize];
        let mut sum: i32 = (-reach..=reach).map(column).sum();
        for (x, out) in row_shares.iter_mut().enumerate() {
            *out = share(sum);
            sum += column(x as isize + reach + 1) - column(x as isize - reach);
        }
        for slice in image.pixels_mut().chunks_exact_mut(height * width * channels) {
            let row = &mut slice[y * width * channels..][..width * channels];
            simd::run(Whiten { channels, row, shares: &row_shares });
        }
        add(&mut columns, row(y as isize - reach), -1);
        add(&mut columns, row(y as isize + reach + 1), 1);
    }
}

struct Whiten<'a> {
    channels: usize,
    row: &'a mut [u8],
    shares: &'a [u16],
}

impl Kernel for Whiten<'_> {
    #[inline(always)]
    fn run(self) {
        unrolled!(whiten(self.channels, self.row, self.shares));
    }
}

/// Keeps this share, in 2⁻¹⁵, of the distance to white.
#[inline(always)]
fn whiten(channels: usize, row: &mut [u8], shares: &[u16]) {
    for (pixel, share) in row.chunks_exact_mut(channels).zip(shares) {
        for value in pixel {
            let distance = 255 - u32::from(*value);
            *value = 255 - ((distance * u32::from(*share) + (1 << 14)) >> 15) as u8;
        }
    }
}

/// How drops look.
#[derive(Clone, Copy, Debug)]
pub struct Streaks {
    /// Rows.
    pub length: usize,
    /// Columns per row to the right.
    pub shift: f64,
    /// Side of the window over which they are averaged, odd, up to 15.
    pub blur: usize,
    /// Value.
    pub color: u8,
}

/// Adds blurred streaks that begin at these `[x, y]`, then multiplies by `brightness`, rounded.
pub fn rain(image: &mut Image, starts: &[[usize; 2]], streaks: Streaks, brightness: f64) {
    let [_, height, width, channels] = image.dims();
    let radius = (streaks.blur.clamp(1, 15) - 1) / 2;
    let window = 2 * radius + 1;
    // Rows with a margin, so that windows need no case of their own.
    let stride = width + 2 * radius;
    let mut drops = vec![0u8; stride * height];
    for [x, y] in starts {
        for down in 0..=streaks.length {
            let right = (down as f64 * streaks.shift).trunc() as isize;
            let Some(x) = x.checked_add_signed(right).filter(|x| *x < width) else { break };
            let Some(row) = drops.chunks_exact_mut(stride).nth(y.saturating_add(down)) else { break };
            row[x + radius] = 1;
        }
    }
    // A window holds at most 15² drops, a byte.
    let mut sums = vec![0u8; width * height];
    simd::wide(|| {
        for (out, row) in sums.chunks_exact_mut(width).zip(drops.chunks_exact(stride)) {
            for first in 0..window {
                out.iter_mut().zip(&row[first..]).for_each(|(sum, drop)| *sum += drop);
            }
        }
    });
    let [mut light, mut dark] = [[0u8; 256]; 2];
    for i in 0..256 {
        light[i] = (i as f64 * f64::from(streaks.color) / (window * window) as f64).round().min(255.0) as u8;
        dark[i] = (i as f64 * brightness).round_ties_even().clamp(0.0, 255.0) as u8;
    }
    let mut counts = vec![0u8; width];
    for y in 0..height {
        counts.fill(0);
        let rows = y.saturating_sub(radius)..height.min(y + radius + 1);
        simd::wide(|| {
            for row in sums.chunks_exact(width).take(rows.end).skip(rows.start) {
                counts.iter_mut().zip(row).for_each(|(sum, count)| *sum += count);
            }
        });
        simd::look_up(&mut counts, &light);
        for slice in image.pixels_mut().chunks_exact_mut(height * width * channels) {
            let row = &mut slice[y * width * channels..][..width * channels];
            simd::run(Lighten { channels, row, lights: &counts });
        }
    }
    simd::look_up(image.pixels_mut(), &dark);
}

struct Lighten<'a> {
    channels: usize,
    row: &'a mut [u8],
    lights: &'a [u8],
}

impl Kernel for Lighten<'_> {
    #[inline(always)]
    fn run(self) {
        unrolled!(lighten(self.channels, self.row, self.lights));
    }
}

#[inline(always)]
fn lighten(channels: usize, row: &mut [u8], lights: &[u8]) {
    for (pixel, light) in row.chunks_exact_mut(channels).zip(lights) {
        for value in pixel {
            *value = value.saturating_add(*light);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fog_moves_what_it_covers_to_white() {
        let picture = Image::new(90, 70, 3, (0..90 * 70 * 3).map(|i| (i % 251) as u8).collect()).unwrap();
        let mut seen = picture.clone();
        fog(&mut seen, &[([30, 30], 12), ([34, 30], 12), ([-5, 200], 9)], 0.5);
        assert!(seen.pixels().iter().zip(picture.pixels()).all(|(after, before)| after >= before));
        let at = |image: &Image, x: usize, y: usize| image.pixels()[(y * 90 + x) * 3];
        for (x, share) in [(32, 0.25), (20, 0.5), (60, 1.0)] {
            let exact = 255.0 - (255.0 - f64::from(at(&picture, x, 30))) * share;
            assert!((f64::from(at(&seen, x, 30)) - exact).abs() <= 1.0, "{x}");
        }
    }

    #[test]
    fn streaks_are_blurred_and_all_gets_darker() {
        let mut seen = Image::filled(20, 20, &[100, 10]);
        let streaks = Streaks { length: 9, shift: 0.0, blur: 3, color: 90 };
        rain(&mut seen, &[[10, 5]], streaks, 0.5);
        for (i, pixel) in seen.pixels().as_chunks::<2>().0.iter().enumerate() {
            let (x, y) = (i % 20, i / 20);
            let near = (9..=11).contains(&x);
            let rain = match y {
                6..=13 if near => 30,
                5 | 14 if near => 20,
                4 | 15 if near => 10,
                _ => 0,
            };
            assert_eq!(*pixel, [50 + rain / 2, 5 + rain / 2], "{x} {y}");
        }
    }
}
