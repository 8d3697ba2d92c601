//! Light, lens and sensor: from colors to the bytes of a picture.

use super::color::Color;
use image::{Rgb, RgbImage};
use rand::Rng;
use rand_chacha::ChaCha8Rng;

/// Photographs `scene`, row by row; `size` is the typical side, to which blur is relative.
pub fn shoot(mut scene: Vec<Color>, width: usize, size: f32, rng: &mut ChaCha8Rng) -> RgbImage {
    let height = scene.len() / width;
    let (sin, cos) = rng.random_range(0.0..std::f32::consts::TAU).sin_cos();
    let slope = rng.random_range(0.05..0.35);
    let exposure = rng.random_range(0.78..1.16);
    let warmth = rng.random_range(-0.07..0.07);
    let balance = [1. + warmth, 1. + rng.random_range(-0.03..0.03), 1. - warmth];
    for (i, pixel) in scene.iter_mut().enumerate() {
        let (x, y) = ((i % width) as f32 / width as f32 - 0.5, (i / width) as f32 / height as f32 - 0.5);
        let light = exposure * (1. + slope * (x * cos + y * sin)) * (1. - 0.25 * (x * x + y * y));
        *pixel = std::array::from_fn(|c| pixel[c] * balance[c] * light);
    }
    let sharpness = rng.random_range(0.0..1.0f32);
    blur_colors(&mut scene, width, size * 0.016 * sharpness * sharpness);
    let grain = rng.random_range(0.004..0.03);
    let mut picture = RgbImage::new(width as u32, height as u32);
    for (target, color) in picture.pixels_mut().zip(&scene) {
        // Three uniform numbers are near enough to a normal one.
        let mut noise = || grain * (rng.random::<f32>() + rng.random::<f32>() + rng.random::<f32>() - 1.5) * 2.;
        let shared = noise();
        *target = Rgb(color.map(|v| ((v + shared + 0.5 * noise()).clamp(0., 1.) * 255.).round() as u8));
    }
    picture
}

/// Blurs one channel by about `radius` pixels.
pub fn blur(channel: &mut [f32], width: usize, radius: f32) {
    let kernel = kernel(radius);
    let mut line = vec![];
    let height = channel.len() / width;
    for row in channel.chunks_exact_mut(width) {
        line.clear();
        line.extend_from_slice(row);
        for (i, value) in row.iter_mut().enumerate() {
            *value = weigh(&kernel, &line, i);
        }
    }
    for column in 0..width {
        line.clear();
        line.extend((0..height).map(|row| channel[row * width + column]));
        for row in 0..height {
            channel[row * width + column] = weigh(&kernel, &line, row);
        }
    }
}

fn blur_colors(scene: &mut [Color], width: usize, radius: f32) {
    if radius < 0.25 {
        return;
    }
    for c in 0..3 {
        let mut channel: Vec<f32> = scene.iter().map(|color| color[c]).collect();
        blur(&mut channel, width, radius);
        for (color, value) in scene.iter_mut().zip(channel) {
            color[c] = value;
        }
    }
}

/// The right half of a bell curve, middle first.
fn kernel(radius: f32) -> Vec<f32> {
    let reach = (2.5 * radius).ceil() as usize;
    let bell: Vec<f32> = (0..=reach).map(|i| (-0.5 * (i as f32 / radius.max(1e-3)).powi(2)).exp()).collect();
    let sum = 2. * bell.iter().sum::<f32>() - bell[0];
    bell.iter().map(|v| v / sum).collect()
}

fn weigh(kernel: &[f32], line: &[f32], at: usize) -> f32 {
    let last = line.len() - 1;
    let sides = kernel.iter().enumerate().skip(1);
    let sum: f32 = sides.map(|(i, k)| k * (line[at.saturating_sub(i)] + line[(at + i).min(last)])).sum();
    kernel[0] * line[at] + sum
}
