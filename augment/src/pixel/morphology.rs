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
    mask.iter_mut().for_each(|v| *v = if *v > 0 { 255 } else { 0 });
    if reach == 0 || width == 0 {
        return;
    }
    let halves = ellipse(reach);
    dilate(mask, width, &halves);
    mask.iter_mut().for_each(|v| *v = !*v);
    dilate(mask, width, &halves);
    mask.iter_mut().for_each(|v| *v = !*v);
}

/// How far OpenCV's ellipse of `2 · reach + 1` pixels reaches to either side in each row.
fn ellipse(reach: usize) -> Vec<usize> {
    let r = reach as f64;
    let half = |y: usize| {
        let rise = y as f64 - r;
        (r * ((r * r - rise * rise) / (r * r)).sqrt()).round_ties_even() as usize
    };
    (0..=2 * reach).map(half).collect()
}

fn dilate(mask: &mut [u8], width: usize, halves: &[usize]) {
    let (reach, rows) = (halves.len() / 2, mask.len() / width);
    let (mut out, mut padded, mut wider) = (vec![0; mask.len()], vec![0; width + 2 * reach], vec![0; width]);
    super::simd::wide(|| {
        for (y, row) in mask.chunks_exact(width).enumerate() {
            padded[reach..reach + width].copy_from_slice(row);
            wider.copy_from_slice(row);
            for half in 0..=reach {
                // The row widened by `half` pixels is what the rows of the ellipse that reach so far make of it.
                pick_each(&mut wider, &padded[reach - half..][..width], |a, b| a | b);
                pick_each(&mut wider, &padded[reach + half..][..width], |a, b| a | b);
                for (place, _) in halves.iter().enumerate().filter(|(_, reaches)| **reaches == half) {
                    let to = (y + place).checked_sub(reach).filter(|to| *to < rows);
                    if let Some(to) = to {
                        pick_each(&mut out[to * width..][..width], &wider, |a, b| a | b);
                    }
                }
            }
        }
    });
    mask.copy_from_slice(&out);
}
