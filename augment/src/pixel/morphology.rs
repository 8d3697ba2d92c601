//! Dilation and erosion. What lies outside the picture has no influence.

/// The closing of a plane by a cross of `2 · reach + 1` pixels: dilated, then eroded.
pub fn close_cross(plane: &[u8], width: usize, reach: usize) -> Vec<u8> {
    let wide = cross(plane, width, (reach, 0), |a, b| a.max(b));
    cross(&wide, width, (reach, 255), |a, b| a.min(b))
}

/// The most extreme value in a cross about each pixel; `outside` is the least extreme one.
fn cross(plane: &[u8], width: usize, (reach, outside): (usize, u8), pick: impl Fn(u8, u8) -> u8 + Copy) -> Vec<u8> {
    let mut out = plane.to_vec();
    super::simd::wide(|| {
        let mut padded = vec![outside; width + 2 * reach];
        for (row, out) in plane.chunks_exact(width).zip(out.chunks_exact_mut(width)) {
            padded[reach..reach + width].copy_from_slice(row);
            for shift in 0..=2 * reach {
                pick_each(out, &padded[shift..shift + width], pick);
            }
        }
        let rows = plane.chunks_exact(width).len();
        for (y, out) in out.chunks_exact_mut(width).enumerate() {
            for other in y.saturating_sub(reach)..(y + reach + 1).min(rows) {
                pick_each(out, &plane[other * width..][..width], pick);
            }
        }
    });
    out
}

#[inline(always)]
fn pick_each(out: &mut [u8], other: &[u8], pick: impl Fn(u8, u8) -> u8) {
    for (out, other) in out.iter_mut().zip(other) {
        *out = pick(*out, *other);
    }
}

/// The closing of a mask of 0 and other values by OpenCV's ellipse of `size` pixels, to 0 and 255.
pub fn close_mask(mask: &mut [u8], width: usize, size: usize) {
    let reach = size / 2;
    if reach == 0 || width == 0 {
        return mask.iter_mut().for_each(|v| *v = if *v > 0 { 255 } else { 0 });
    }
    let halves = ellipse(reach);
    dilate(mask, width, &halves);
    mask.iter_mut().for_each(|v| *v = !*v);
    dilate(mask, width, &halves);
    mask.iter_mut().for_each(|v| *v = !*v);
}

/// How far OpenCV's ellipse of `2 · reach + 1` pixels reaches to either side in each row.
fn ellipse(reach: usize) -> Vec<u8> {
    let r = reach as f64;
    let half = |y: usize| {
        let rise = y as f64 - r;
        (r * ((r * r - rise * rise) / (r * r)).sqrt()).round_ties_even() as u8
    };
    (0..=2 * reach).map(half).collect()
}

fn dilate(mask: &mut [u8], width: usize, halves: &[u8]) {
    let reach = halves.len() / 2;
    // How far it is to the nearest pixel of the mask in the same row; 255 is far.
    let mut distances = vec![255u8; mask.len()];
    for (row, distances) in mask.chunks_exact(width).zip(distances.chunks_exact_mut(width)) {
        let mut far = 255u8;
        for (value, distance) in row.iter().zip(distances.iter_mut()) {
            far = if *value > 0 { 0 } else { far.saturating_add(1) };
            *distance = far;
        }
        let mut far = 255u8;
        for distance in distances.iter_mut().rev() {
            far = (*distance).min(far.saturating_add(1));
            *distance = far;
        }
    }
    let rows = mask.len() / width;
    super::simd::wide(|| {
        for (y, out) in mask.chunks_exact_mut(width).enumerate() {
            out.fill(0);
            for other in y.saturating_sub(reach)..(y + reach + 1).min(rows) {
                let half = halves[other + reach - y];
                for (out, distance) in out.iter_mut().zip(&distances[other * width..][..width]) {
                    *out |= if *distance <= half { 255 } else { 0 };
                }
            }
        }
    });
}
