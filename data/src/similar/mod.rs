//! Equal and nearly equal pictures.

mod hash;
mod index;

pub(crate) use hash::gray;
pub use hash::{dhash, phash};
pub use index::{hash_clusters, within};

use crate::image::Image;
use fast_image_resize::images::{Image as Buffer, ImageRef};
use fast_image_resize::{FilterType, PixelType, ResizeAlg, ResizeOptions, Resizer};
use std::collections::BTreeMap;

/// Most bits in which the gradient hashes of near duplicates differ. Six is too loose: it pairs unlike pictures on plain grounds.
const MAX_BITS: u32 = 4;
/// Largest root mean square between the thumbnails of near duplicates, gray levels, after brightness is evened out.
const MAX_RMS: f32 = 6.0;
/// Largest difference between their mean brightnesses, gray levels.
const MAX_SHIFT: f32 = 20.0;
/// Least standard deviation of a thumbnail, gray levels: plain pictures have no features to compare.
const MIN_CONTRAST: f32 = 4.0;
/// Side of a thumbnail, pixels.
const SIDE: usize = 8;

/// What tells a picture from others.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Sketch {
    /// BLAKE3 of sides and pixels: equal pictures, equal hash, whatever the file format.
    pub pixels: [u8; 32],
    /// [`dhash`] of the picture.
    pub dhash: u64,
    /// [`phash`] of the picture.
    pub phash: u64,
    /// 8×8, all channels.
    thumbnail: Box<[u8]>,
}

impl Sketch {
    /// Of a picture, or of a volume's middle slice; `pixels` is that of all slices.
    pub fn of(image: &Image) -> Self {
        Self::with_gray(image, &gray(image))
    }

    /// The same, where the gray slice is known already.
    pub(crate) fn with_gray(image: &Image, gray: &Image) -> Self {
        let mut hash = blake3::Hasher::new();
        for side in image.dims() {
            hash.update(&(side as u64).to_le_bytes());
        }
        hash.update(image.pixels());
        let thumbnail = shrink(image, SIDE, SIDE).into();
        Self { pixels: *hash.finalize().as_bytes(), dhash: dhash(gray), phash: phash(gray), thumbnail }
    }

    /// Whether both show nearly the same.
    pub fn is_near(&self, other: &Self) -> bool {
        if (self.dhash ^ other.dhash).count_ones() > MAX_BITS || self.thumbnail.len() != other.thumbnail.len() {
            return false;
        }
        let differences = self.thumbnail.iter().zip(&other.thumbnail).map(|(a, b)| f32::from(*a) - f32::from(*b));
        let (shift, rms) = mean_and_deviation(differences);
        shift.abs() <= MAX_SHIFT && rms <= MAX_RMS
    }

    /// Whether there is anything to compare.
    fn has_contrast(&self) -> bool {
        mean_and_deviation(self.thumbnail.iter().map(|v| f32::from(*v))).1 >= MIN_CONTRAST
    }
}

fn mean_and_deviation(values: impl Iterator<Item = f32> + Clone) -> (f32, f32) {
    let n = values.clone().count().max(1) as f32;
    let mean = values.clone().sum::<f32>() / n;
    (mean, (values.map(|v| (v - mean) * (v - mean)).sum::<f32>() / n).sqrt())
}

/// The middle slice in boxes of `width` × `height`, antialiased, all channels.
pub(crate) fn shrink(image: &Image, width: usize, height: usize) -> Vec<u8> {
    let (pixels, channels) = (hash::middle(image), image.channels());
    let sides = [image.width(), image.height()];
    match channels {
        1 => boxes(pixels, PixelType::U8, sides, [width, height]),
        2 => boxes(pixels, PixelType::U8x2, sides, [width, height]),
        3 => boxes(pixels, PixelType::U8x3, sides, [width, height]),
        4 => boxes(pixels, PixelType::U8x4, sides, [width, height]),
        _ => {
            let mut small = vec![0; width * height * channels];
            for channel in 0..channels {
                let plane: Vec<u8> = pixels.iter().skip(channel).step_by(channels).copied().collect();
                let values = boxes(&plane, PixelType::U8, sides, [width, height]);
                small.iter_mut().skip(channel).step_by(channels).zip(values).for_each(|(to, v)| *to = v);
            }
            small
        }
    }
}

fn boxes(pixels: &[u8], kind: PixelType, from: [usize; 2], to: [usize; 2]) -> Vec<u8> {
    let source = ImageRef::new(from[0] as u32, from[1] as u32, pixels, kind);
    let mut out = Buffer::new(to[0] as u32, to[1] as u32, kind);
    // Channels are independent of each other: an alpha that there may be is one of them.
    let options = ResizeOptions::new().resize_alg(ResizeAlg::Convolution(FilterType::Box)).use_alpha(false);
    let done = source.ok().and_then(|source| Resizer::new().resize(&source, &mut out, &options).ok());
    debug_assert!(done.is_some(), "a picture with pixels can be resized");
    out.into_vec()
}

/// Groups of indices with equal pixels, each sorted, in the order of their first members.
pub fn equal(sketches: &[Option<Sketch>]) -> Vec<Vec<usize>> {
    let mut by_hash = BTreeMap::<[u8; 32], Vec<usize>>::new();
    for (i, sketch) in sketches.iter().enumerate() {
        if let Some(sketch) = sketch {
            by_hash.entry(sketch.pixels).or_default().push(i);
        }
    }
    let mut groups: Vec<_> = by_hash.into_values().filter(|group| group.len() > 1).collect();
    groups.sort();
    groups
}

/// Pairs of indices that show nearly the same but have other pixels, sorted.
pub fn near(sketches: &[Option<Sketch>]) -> Vec<(usize, usize)> {
    let textured = |sketch: &&Sketch| sketch.has_contrast();
    let known = sketches.iter().enumerate();
    let known: Vec<(usize, &Sketch)> =
        known.filter_map(|(i, sketch)| Some((i, sketch.as_ref().filter(textured)?))).collect();
    let hashes: Vec<u64> = known.iter().map(|(_, sketch)| sketch.dhash).collect();
    let mut pairs = std::collections::BTreeSet::new();
    index::pairs_within(&hashes, MAX_BITS, &mut |a, b| {
        let ((i, a), (j, b)) = (known[a], known[b]);
        if a.pixels != b.pixels && a.is_near(b) {
            pairs.insert((i, j));
        }
    });
    pairs.into_iter().collect()
}

/// Joins overlapping pairs and groups of indices below `count` into disjoint clusters, each sorted.
pub fn clusters(count: usize, groups: impl IntoIterator<Item = Vec<usize>>) -> Vec<Vec<usize>> {
    let mut parent: Vec<usize> = (0..count).collect();
    fn root(parent: &mut [usize], mut i: usize) -> usize {
        while parent[i] != i {
            parent[i] = parent[parent[i]];
            i = parent[i];
        }
        i
    }
    for group in groups {
        for pair in group.windows(2) {
            let (a, b) = (root(&mut parent, pair[0]), root(&mut parent, pair[1]));
            parent[a.max(b)] = a.min(b);
        }
    }
    let mut members = BTreeMap::<usize, Vec<usize>>::new();
    for i in 0..count {
        members.entry(root(&mut parent, i)).or_default().push(i);
    }
    members.into_values().filter(|cluster| cluster.len() > 1).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A smooth pattern that depends on `seed`.
    fn picture(width: usize, height: usize, seed: usize, shift: i32) -> Image {
        let value = |x: usize, y: usize, c: usize| {
            let (u, v) = (x as f32 / width as f32, y as f32 / height as f32);
            let wave = ((7 + seed) as f32 * u + c as f32).sin() + ((3 + 2 * seed) as f32 * v + u).cos();
            (127.0 + 50.0 * wave) as i32 + shift
        };
        let pixels = (0..width * height * 3).map(|i| value(i / 3 % width, i / 3 / width, i % 3).clamp(0, 255) as u8);
        Image::new(width, height, 3, pixels.collect()).unwrap()
    }

    #[test]
    fn resized_and_brightened_copies_are_near_and_others_are_not() {
        let sketch = |w, h, seed, shift| Some(Sketch::of(&picture(w, h, seed, shift)));
        let sketches = [
            sketch(64, 48, 1, 0),
            sketch(64, 48, 1, 0),
            sketch(60, 45, 1, 5),
            sketch(64, 48, 2, 0),
            None,
            sketch(9, 7, 3, 0),
        ];
        assert_eq!(equal(&sketches), [[0, 1]]);
        assert_eq!(near(&sketches), [(0, 2), (1, 2)]);
        assert_eq!(clusters(6, [vec![0, 1], vec![1, 2], vec![4, 5]]), [vec![0, 1, 2], vec![4, 5]]);
    }

    /// Against a plain loop over all pairs.
    #[test]
    fn bands_miss_no_pair() {
        let sketches: Vec<_> = (0..60).map(|i| Some(Sketch::of(&picture(32, 32, i % 7, (i as i32 % 5) * 3)))).collect();
        let mut all = vec![];
        for i in 0..60 {
            for j in i + 1..60 {
                let (a, b) = (sketches[i].as_ref().unwrap(), sketches[j].as_ref().unwrap());
                if a.pixels != b.pixels && a.is_near(b) {
                    all.push((i, j));
                }
            }
        }
        assert!(!all.is_empty());
        assert_eq!(near(&sketches), all);
    }
}
