//! Colors as red, green and blue, 0..=1.

use super::noise;

/// Red, green, blue; 0..=1, beyond it while light is added up.
pub type Color = [f32; 3];

/// Hue in degrees, saturation and brightness 0..=1.
pub fn hsv(hue: f32, saturation: f32, value: f32) -> Color {
    let channel = |n: f32| {
        let k = (n + hue / 60.).rem_euclid(6.);
        value * (1. - saturation * k.min(4. - k).clamp(0., 1.))
    };
    [channel(5.), channel(3.), channel(1.)]
}

/// From `a` (`t` = 0) to `b` (`t` = 1).
pub fn mix(a: Color, b: Color, t: f32) -> Color {
    std::array::from_fn(|c| noise::mix(a[c], b[c], t))
}

/// The same color in more or less light.
pub fn lit(color: Color, light: f32) -> Color {
    color.map(|v| v * light)
}
