//! Connected parts of volumes.

/// A connected part of a mask.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Component {
    /// Voxels.
    pub size: usize,
    /// Whether it reaches the first or last row or column of a slice.
    pub touches_side: bool,
}

/// Numbers the parts of a mask `[depth, height, width]` that are 6-connected, from 1 on in the order of their first
/// voxels (`scipy.ndimage.label`); 0 is outside the mask.
pub fn label(mask: &[bool], [depth, height, width]: [usize; 3]) -> (Vec<u32>, Vec<Component>) {
    let mut labels = vec![0; mask.len()];
    let (mut components, mut open) = (vec![], vec![]);
    for first in 0..mask.len() {
        if !mask[first] || labels[first] > 0 {
            continue;
        }
        let number = components.len() as u32 + 1;
        let mut component = Component { size: 0, touches_side: false };
        labels[first] = number;
        open.push(first);
        while let Some(at) = open.pop() {
            let (x, y, z) = (at % width, at / width % height, at / width / height);
            component.size += 1;
            component.touches_side |= x == 0 || y == 0 || x + 1 == width || y + 1 == height;
            let steps = [
                (x > 0, at.wrapping_sub(1)),
                (x + 1 < width, at + 1),
                (y > 0, at.wrapping_sub(width)),
                (y + 1 < height, at + width),
                (z > 0, at.wrapping_sub(width * height)),
                (z + 1 < depth, at + width * height),
            ];
            for (_, next) in steps.into_iter().filter(|(there_is, _)| *there_is) {
                if mask[next] && labels[next] == 0 {
                    labels[next] = number;
                    open.push(next);
                }
            }
        }
        components.push(component);
    }
    (labels, components)
}
