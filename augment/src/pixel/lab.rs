//! Lab colors (D65) in bytes, with the tables and whole numbers of OpenCV's `COLOR_RGB2LAB` and `COLOR_LAB2RGB`.

use super::simd;

/// Applies `change` to the lightness L of pixels of three channels, in 0..=255.
pub(super) fn change_lightness(pixels: &mut [u8], change: impl FnOnce(&mut [u8])) {
    let count = pixels.len() / 3;
    let mut lab = [(); 3].map(|()| vec![[0u8; 64]; count / 64 + 1]);
    let [lightness, a, b] = &mut lab;
    let mut blocks = lightness.iter_mut().zip(a.iter_mut().zip(b.iter_mut()));
    simd::widest!(read_planes(pixels, |planes| {
        if let Some((lightness, (a, b))) = blocks.next() {
            for i in 0..64 {
                [lightness[i], a[i], b[i]] = from_rgb([planes[0][i], planes[1][i], planes[2][i]]);
            }
        }
    }));
    change(&mut lightness.as_flattened_mut()[..count]);
    let mut blocks = lightness.iter().zip(a.iter().zip(b.iter()));
    simd::widest!(change_planes(pixels, |planes| {
        if let Some((lightness, (a, b))) = blocks.next() {
            for i in 0..64 {
                [planes[0][i], planes[1][i], planes[2][i]] = to_rgb([lightness[i], a[i], b[i]]);
            }
        }
    }));
}

#[inline(always)]
fn from_rgb(rgb: [u8; 3]) -> [u8; 3] {
    let [r, g, b] = rgb.map(|v| GAMMA[usize::from(v)]);
    // Each sum is at most 4096 · 2040, as the weights add up to 4096.
    let root = |weights: [i32; 3]| {
        let light = (r * weights[0] + g * weights[1] + b * weights[2] + (1 << 11)) >> 12;
        ROOTS[(light as usize).min(ROOTS.len() - 1)]
    };
    let [x, y, z] = [root([1777, 1541, 778]), root([871, 2929, 296]), root([73, 448, 3575])];
    let byte = |v: i32| ((v + (1 << 14)) >> 15).clamp(0, 255) as u8;
    [byte(296 * y - 1_336_934), byte(500 * (x - y) + (128 << 15)), byte(200 * (y - z) + (128 << 15))]
}

#[inline(always)]
fn to_rgb([lightness, a, b]: [u8; 3]) -> [u8; 3] {
    let [y, root] = [LIGHT[0][usize::from(lightness)], LIGHT[1][usize::from(lightness)]];
    let x = cube(root + ((5 * i32::from(a) * 53687 + (1 << 7)) >> 13) - 4194);
    let z = cube(root - (((i32::from(b) * 41943 + (1 << 4)) >> 9) - 10484));
    let value = |weights: [i32; 3]| {
        let light = (x * weights[0] + y * weights[1] + z * weights[2] + (1 << 13)) >> 14;
        INVERSE_GAMMA[light.clamp(0, 4095) as usize] as u8
    };
    [value([12615, -6296, -2223]), value([-3773, 7684, 185]), value([217, -836, 4715])]
}

/// The light of a root, both in 2⁻¹⁴.
#[inline(always)]
fn cube(root: i32) -> i32 {
    let low = root * 108 / 841 - 290;
    let high = (((root * root) >> 14) * root) >> 14;
    if root <= 3390 { low } else { high }
}

/// The light of a value, in 1/2040: `sRGB`'s `((v + 0.055) / 1.055)^2.4`.
static GAMMA: [i32; 256] = {
    let mut table = [0; 256];
    let (mut v, mut light) = (0, 0);
    while v < 256 {
        let straight = v as f64 * 8.0 / 12.92;
        let twelfth = power((v as f64 / 255.0 + 0.055) / 1.055, 12);
        // The nearest one, without a root: light⁵ and value¹² are compared.
        while v > 10 && power((light as f64 + 0.5) / 2040.0, 5) < twelfth {
            light += 1;
        }
        table[v] = if v > 10 { light } else { (straight + 0.5) as i32 };
        v += 1;
    }
    table
};

/// The cube roots, in 2⁻¹⁵, of light in 1/2040; a straight line at the dark end.
static ROOTS: [i32; 3072] = {
    let mut table = [0; 3072];
    let (mut i, mut root) = (0, 0);
    while i < 3072 {
        let light = i as f64 / 2040.0;
        while power((root as f64 + 0.5) / 32768.0, 3) < light {
            root += 1;
        }
        let straight = (light * 841.0 / 108.0 + 16.0 / 116.0) * 32768.0 + 0.5;
        table[i] = if light < 216.0 / 24389.0 { straight as i32 } else { root };
        i += 1;
    }
    table
};

/// The light of each lightness and its root, in 2⁻¹⁴.
static LIGHT: [[i32; 256]; 2] = {
    let mut tables = [[0; 256]; 2];
    let mut i = 0;
    while i < 256 {
        let lightness = i as f64 * 100.0 / 255.0;
        let root = (lightness + 16.0) / 116.0;
        let dark = lightness * 27.0 / 24389.0;
        let (light, root) =
            if lightness <= 8.0 { (dark, 841.0 / 108.0 * dark + 16.0 / 116.0) } else { (power(root, 3), root) };
        tables[0][i] = (light * 16384.0 + 0.5) as i32;
        tables[1][i] = (root * 16384.0 + 0.5) as i32;
        i += 1;
    }
    tables
};

/// The value of light in 2⁻¹²: `sRGB`'s `1.055 x^(1/2.4) − 0.055`.
static INVERSE_GAMMA: [i32; 4096] = {
    let mut table = [0; 4096];
    let (mut i, mut v) = (0, 0);
    while i < 4096 {
        let light = i as f64 / 4096.0;
        let straight = 255.0 * 12.92 * light + 0.5;
        while power(((v as f64 + 0.5) / 255.0 + 0.055) / 1.055, 12) < power(light, 5) {
            v += 1;
        }
        table[i] = if light <= 0.003_130_8 { straight as i32 } else { v };
        i += 1;
    }
    table
};

const fn power(base: f64, exponent: u32) -> f64 {
    let (mut product, mut i) = (1.0, 0);
    while i < exponent {
        product *= base;
        i += 1;
    }
    product
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tables_are_those_of_the_formulas() {
        let gamma = |v: f64| if v <= 0.04045 { v / 12.92 } else { ((v + 0.055) / 1.055).powf(2.4) };
        let inverse = |x: f64| if x <= 0.003_130_8 { x * 12.92 } else { 1.055 * x.powf(1.0 / 2.4) - 0.055 };
        let root = |x: f64| if x < 216.0 / 24389.0 { x * 841.0 / 108.0 + 16.0 / 116.0 } else { x.cbrt() };
        for (v, light) in GAMMA.iter().enumerate() {
            assert_eq!(*light, (2040.0 * gamma(v as f64 / 255.0)).round() as i32, "{v}");
        }
        for (light, v) in INVERSE_GAMMA.iter().enumerate() {
            assert_eq!(*v, (255.0 * inverse(light as f64 / 4096.0)).round() as i32, "{light}");
        }
        for (light, seen) in ROOTS.iter().enumerate() {
            assert_eq!(*seen, (32768.0 * root(light as f64 / 2040.0)).round() as i32, "{light}");
        }
    }

    #[test]
    fn colors_come_back() {
        for rgb in (0..1u32 << 24).step_by(97) {
            let [r, g, b, _] = rgb.to_le_bytes();
            let seen = to_rgb(from_rgb([r, g, b]));
            // Lab's bytes are coarse; blue costs most.
            assert!(seen.iter().zip([r, g, b]).all(|(a, b)| a.abs_diff(b) <= 32), "{r} {g} {b} {seen:?}");
        }
    }
}
