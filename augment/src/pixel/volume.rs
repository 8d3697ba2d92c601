//! Volumes: mirrored, turned, cut and resized along all three axes.

use super::{Border, Interpolation, Paint, Region, Symmetry, image, orient, resize, sound, window};
use data::Image;

/// Exchanges front and back, top and bottom, left and right.
pub fn mirror_volume(mut source: Image, [depth, height, width]: [bool; 3]) -> Image {
    if depth {
        let [count, rows, columns, channels] = source.dims();
        let size = rows * columns * channels;
        let (front, back) = source.pixels_mut().split_at_mut(count / 2 * size);
        for (a, b) in front.chunks_exact_mut(size).zip(back.rchunks_exact_mut(size)) {
            a.swap_with_slice(b);
        }
    }
    orient(source, Symmetry { transpose: false, mirror: width, upside_down: height })
}

/// Turns the volume by `turns` · 90 degrees from its axis `from` towards its axis `to` (0 depth, 1 height, 2 width), as
/// numpy's `rot90(volume, turns, (from, to))`; odd turns exchange the two sides.
pub fn turn_volume(source: Image, turns: usize, from: usize, to: usize) -> Image {
    let turns = turns % 4;
    if turns == 0 || from == to || from > 2 || to > 2 {
        return source;
    }
    let dims = source.dims();
    let steps = [dims[1] * dims[2] * dims[3], dims[2] * dims[3], dims[3]].map(|step| step as isize);
    // Where the first pixel of the result lies, and how far it is to the next one along each axis of the result.
    let (start, mut strides, mut sides);
    (strides, sides) = (steps, [dims[0], dims[1], dims[2]]);
    let end = |axis: usize| (dims[axis] as isize - 1) * steps[axis];
    match turns {
        1 => (start, strides[from], strides[to]) = (end(to), -steps[to], steps[from]),
        2 => (start, strides[from], strides[to]) = (end(from) + end(to), -steps[from], -steps[to]),
        _ => (start, strides[from], strides[to]) = (end(from), steps[to], -steps[from]),
    }
    if turns != 2 {
        sides.swap(from, to);
    }
    let mut pixels = Vec::with_capacity(source.pixels().len());
    let bytes = source.pixels();
    for z in 0..sides[0] as isize {
        for y in 0..sides[1] as isize {
            let row = start + z * strides[0] + y * strides[1];
            if strides[2] == dims[3] as isize {
                pixels.extend_from_slice(&bytes[row as usize..][..sides[2] * dims[3]]);
                continue;
            }
            for x in 0..sides[2] as isize {
                pixels.extend_from_slice(&bytes[(row + x * strides[2]) as usize..][..dims[3]]);
            }
        }
    }
    image([sides[0], sides[1], sides[2], dims[3]], pixels)
}

/// The volume seen through a box, which may reach outside: a window into `depth` slices from `front` on.
pub fn window_volume(
    source: Image,
    (front, depth): (isize, usize),
    region: Region,
    border: Border,
    fill: impl Into<Paint>,
) -> Image {
    let fill = fill.into();
    // First within the slices: there is less to copy then.
    let source = window(source, region, border, fill);
    let all = front == 0 && depth == source.depth();
    if all || depth == 0 { source } else { slices(&source, (front, depth), border, fill) }
}

fn slices(source: &Image, (front, depth): (isize, usize), border: Border, fill: Paint) -> Image {
    let [count, height, width, channels] = source.dims();
    let size = height * width * channels;
    let mut pixels = Vec::with_capacity(depth * size);
    for z in 0..depth {
        match border.index(front.saturating_add_unsigned(z), count) {
            Some(z) => pixels.extend_from_slice(&source.pixels()[z * size..][..size]),
            None => fill.extend(&mut pixels, height * width, channels),
        }
    }
    image([depth, height, width, channels], pixels)
}

/// The volume resized to `[depth, height, width]`; antialiased along the sides that shrink.
pub fn resize_volume(source: Image, [depth, height, width]: [usize; 3], interpolation: Interpolation) -> Image {
    let whole = Region::whole(&source);
    let source = resize(source, whole, [width, height], interpolation);
    let [count, height, width, channels] = source.dims();
    if count == depth.max(1) {
        return source;
    }
    // A picture whose rows are the slices has the same bytes.
    let flat = sound(source.reshaped([1, count, height * width, channels]));
    let whole = Region::whole(&flat);
    let flat = resize(flat, whole, [height * width, depth.max(1)], interpolation);
    sound(flat.reshaped([depth.max(1), height, width, channels]))
}
