//! A heat map over its picture.

use crate::error::{Error, Result};

/// matplotlib's `inferno` at 0, 1/16, …, 1 (van der Walt and Smith 2015): brighter wherever it is hotter, also for those
/// who see fewer colors. Linear in between it stays within 7 of the full table.
const COLORS: [[u8; 3]; 17] = [
    [0, 0, 4],
    [11, 7, 36],
    [33, 12, 74],
    [60, 9, 101],
    [87, 16, 109],
    [112, 25, 110],
    [137, 34, 106],
    [163, 43, 97],
    [187, 55, 85],
    [209, 70, 68],
    [227, 89, 50],
    [241, 113, 30],
    [249, 141, 10],
    [252, 171, 15],
    [249, 202, 50],
    [242, 232, 101],
    [252, 255, 164],
];
/// How much of the picture the hottest place hides, 0..=1.
const STRENGTH: f32 = 0.75;

/// Lays the heat `map` over a picture: RGB bytes `[height, width, 3]`.
///
/// `pixels` are gray or RGB bytes `[height, width, C]`, C = 1 or 3, and `map` is one of [`crate::explain::grad_cam`],
/// `[rows, columns]` in 0..=1; what lies outside is taken for the nearer end, what is no number for 0. The map is enlarged
/// bilinearly between the centers of its cells, as torch's `interpolate(mode="bilinear", align_corners=False)` does. A
/// place of heat `h` is mixed with `h`'s color in the share `0.75·h`, so that cold places stay as they are.
///
/// # Errors
/// Sides that do not fit the number of pixels or of the map's cells.
pub fn overlay(
    pixels: &[u8],
    [height, width]: [usize; 2],
    map: &[f32],
    [rows, columns]: [usize; 2],
) -> Result<Vec<u8>> {
    let size = height.saturating_mul(width);
    let channels = if pixels.len() == size { 1 } else { 3 };
    if size == 0 || Some(pixels.len()) != size.checked_mul(channels) {
        let found = pixels.len();
        return wrong(format!("{found} bytes are no gray or RGB picture of [{height}, {width}] pixels"));
    }
    if map.is_empty() || Some(map.len()) != rows.checked_mul(columns) {
        return wrong(format!("{} numbers are no map of [{rows}, {columns}]", map.len()));
    }
    let (down, right) = (between(height, rows), between(width, columns));
    let mut mixed = Vec::with_capacity(3 * size);
    for (y, (top, bottom, low)) in down.into_iter().enumerate() {
        for (x, (left, other, far)) in right.iter().copied().enumerate() {
            let heat = |row: usize, column: usize| known(map[row * columns + column]);
            let line = |row| heat(row, left) * (1.0 - far) + heat(row, other) * far;
            let heat = line(top) * (1.0 - low) + line(bottom) * low;
            let start = (y * width + x) * channels;
            let color = color(heat);
            for (channel, color) in color.into_iter().enumerate() {
                let pixel = f32::from(pixels[start + channel.min(channels - 1)]);
                mixed.push((pixel + (color - pixel) * STRENGTH * heat).round() as u8);
            }
        }
    }
    Ok(mixed)
}

/// Heat in 0..=1, whatever number it was.
fn known(heat: f32) -> f32 {
    if heat.is_nan() { 0.0 } else { heat.clamp(0.0, 1.0) }
}

/// For each of `long` places the two of `short` cells that it lies between, and how far it is on the way, 0..=1.
fn between(long: usize, short: usize) -> Vec<(usize, usize, f32)> {
    let place = |i: usize| {
        let at = ((i as f64 + 0.5) * short as f64 / long as f64 - 0.5).clamp(0.0, (short - 1) as f64);
        (at as usize, (at as usize + 1).min(short - 1), at.fract() as f32)
    };
    (0..long).map(place).collect()
}

/// The color of `heat` in 0..=1, as RGB in 0..=255.
fn color(heat: f32) -> [f32; 3] {
    let at = heat * (COLORS.len() - 1) as f32;
    let (low, high) = (at as usize, (at as usize + 1).min(COLORS.len() - 1));
    [0, 1, 2].map(|i| {
        let [low, high] = [COLORS[low][i], COLORS[high][i]].map(f32::from);
        low + (high - low) * at.fract()
    })
}

fn wrong<T>(why: String) -> Result<T> {
    Err(Error::Invalid(format!("overlay: {why}")))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The map of heats that made a gray picture what it has become: black becomes `0.75·heat·color(heat)`.
    fn over_black(sides: [usize; 2], map: &[f32], shape: [usize; 2]) -> Vec<u8> {
        overlay(&vec![0; sides[0] * sides[1]], sides, map, shape).unwrap()
    }

    #[test]
    fn maps_are_enlarged_as_torch_does() {
        let golden: serde_json::Value = serde_json::from_str(include_str!("../../tests/golden/enlarged.json")).unwrap();
        let rows = |key: &str| serde_json::from_value::<Vec<Vec<f32>>>(golden[key].clone()).unwrap();
        let (map, heats) = (rows("map").concat(), rows("enlarged"));
        let got = over_black([4, 5], &map, [2, 3]);
        assert_eq!(got.len(), 3 * 4 * 5);
        for (got, heat) in got.chunks_exact(3).zip(heats.concat()) {
            let wanted = color(heat).map(|part| part * STRENGTH * heat);
            assert!(
                got.iter().zip(wanted).all(|(got, wanted)| (f32::from(*got) - wanted).abs() < 0.51),
                "{heat}: {got:?}"
            );
        }
        assert_eq!(
            over_black([1, 2], &[0.3125, 0.546875], [1, 2]),
            over_black([1, 2], &[0.0, 0.25, 1.0, 0.5, 0.75, 0.125], [2, 3])
        );
    }

    #[test]
    fn cold_places_stay_and_hot_ones_glow() {
        let pixels = [10, 20, 30, 200, 100, 50];
        assert_eq!(overlay(&pixels, [1, 2], &[0.0], [1, 1]).unwrap(), pixels);
        let hot = overlay(&pixels, [1, 2], &[1.0], [1, 1]).unwrap();
        assert_eq!(hot, [192, 196, 131, 239, 216, 136]);
        assert_eq!(overlay(&[7, 9], [1, 2], &[0.0], [1, 1]).unwrap(), [7, 7, 7, 9, 9, 9], "gray becomes RGB");
        let strange = overlay(&pixels, [1, 2], &[f32::NAN, f32::INFINITY], [1, 2]).unwrap();
        assert_eq!((&strange[..3], &strange[3..]), (&pixels[..3], &hot[3..]));
    }

    #[test]
    fn colors_grow_brighter_with_heat() {
        let bright = |heat: f32| {
            let [r, g, b] = color(heat);
            0.2126 * r + 0.7152 * g + 0.0722 * b
        };
        assert!((0..100).all(|i| bright(i as f32 / 100.0) < bright((i + 1) as f32 / 100.0)));
    }

    #[test]
    fn sides_that_do_not_fit_are_clear_errors() {
        let error = |pixels: usize, sides, map: usize, shape| {
            overlay(&vec![0; pixels], sides, &vec![0.0; map], shape).unwrap_err().to_string()
        };
        assert_eq!(error(5, [1, 2], 1, [1, 1]), "overlay: 5 bytes are no gray or RGB picture of [1, 2] pixels");
        assert_eq!(error(6, [1, 2], 3, [2, 2]), "overlay: 3 numbers are no map of [2, 2]");
        for (pixels, sides, map, shape) in
            [(0, [0, 9], 1, [1, 1]), (2, [1, 2], 0, [0, 5]), (1, [usize::MAX, 3], 1, [1, 1])]
        {
            assert!(error(pixels, sides, map, shape).starts_with("overlay: "), "{sides:?} {shape:?}");
        }
    }
}
