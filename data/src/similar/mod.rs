//! Equal and nearly equal pictures.

mod hash;
mod index;
mod union;

pub(crate) use hash::gray;
pub use hash::{dhash, phash};
pub use index::hash_clusters;
pub(crate) use union::clusters;

use crate::image::Image;
use fast_image_resize::images::{Image as Buffer, ImageRef};
use fast_image_resize::{FilterType, PixelType, ResizeAlg, ResizeOptions, Resizer};
use index::{Rule, connect};
use std::collections::BTreeMap;
use union::Union;

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
        let (shift, rms) = self.differences(other);
        shift.abs() <= MAX_SHIFT && rms <= MAX_RMS
    }

    /// Mean of the differences between the thumbnails, and their root mean square after that is evened out, which is a distance.
    fn differences(&self, other: &Self) -> (f32, f32) {
        mean_and_deviation(self.thumbnail.iter().zip(&other.thumbnail).map(|(a, b)| f32::from(*a) - f32::from(*b)))
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

/// Clusters of indices, each sorted, that are connected by showing nearly the same; copies of one picture alone are none.
///
/// Pictures with equal hashes and thumbnails are compared as one. Memory grows with the number of pictures, not with that of near
/// pairs.
pub fn near(sketches: &[Option<Sketch>]) -> Vec<Vec<usize>> {
    let mut union = Union::new(sketches.len());
    let mut first = BTreeMap::<(usize, u64, &[u8]), usize>::new();
    let known = sketches.iter().enumerate().filter_map(|(i, sketch)| Some((i, sketch.as_ref()?)));
    for (i, sketch) in known.filter(|(_, sketch)| sketch.has_contrast()) {
        let looks = (sketch.thumbnail.len(), sketch.dhash, &sketch.thumbnail[..]);
        union.join(i, *first.entry(looks).or_insert(i));
    }
    let items: Vec<(usize, u64, usize)> = first.into_iter().map(|((length, hash, _), i)| (length, hash, i)).collect();
    let pair = |a: usize, b: usize| sketches[a].as_ref().zip(sketches[b].as_ref());
    let rule = Rule {
        distance: MAX_BITS,
        is_near: &|a, b| pair(a, b).is_some_and(|(a, b)| a.is_near(b)),
        apart: &|a, b| pair(a, b).map_or(0.0, |(a, b)| a.differences(b).1),
        // A little more, since distances are rounded.
        reach: MAX_RMS + 0.01,
    };
    // Those with other channels are never near.
    for same in items.chunk_by(|a, b| a.0 == b.0) {
        let same: Vec<(u64, usize)> = same.iter().map(|(_, hash, i)| (*hash, *i)).collect();
        connect(&same, &rule, &mut union);
    }
    let pixels = |i: usize| sketches[i].as_ref().map(|sketch| sketch.pixels);
    let mut clusters = union.clusters();
    clusters.retain(|cluster| cluster.iter().any(|&i| pixels(i) != pixels(cluster[0])));
    clusters
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
        assert_eq!(near(&sketches), [[0, 1, 2]]);
        // Copies alone are nothing new, and gray pictures are not compared with colored ones.
        let gray = pattern_of(1, |x, y, _| ((x * 3 + y * 5) % 200) as u8);
        let color = pattern_of(3, |x, y, _| ((x * 3 + y * 5) % 200) as u8);
        assert_eq!(near(&[&gray, &gray, &color].map(|image| Some(Sketch::of(image)))), Vec::<Vec<usize>>::new());
    }

    fn pattern_of(channels: usize, value: impl Fn(usize, usize, usize) -> u8) -> Image {
        let at = |i: usize| value(i / channels % 32, i / channels / 32, i % channels);
        Image::new(32, 32, channels, (0..32 * 32 * channels).map(at).collect()).unwrap()
    }

    /// Against a plain loop over all pairs.
    #[test]
    fn bands_miss_no_pair() {
        let sketches: Vec<_> = (0..60).map(|i| Some(Sketch::of(&picture(32, 32, i % 7, (i as i32 % 5) * 3)))).collect();
        let pairs = pairs(&sketches);
        assert!(!pairs.is_empty());
        assert_eq!(near(&sketches), clusters(60, pairs));
    }

    fn pairs(sketches: &[Option<Sketch>]) -> Vec<Vec<usize>> {
        let near = |a: &Sketch, b: &Sketch| a.pixels != b.pixels && a.is_near(b);
        let all = (0..sketches.len()).flat_map(|i| (i + 1..sketches.len()).map(move |j| (i, j)));
        let near = all.filter(|&(i, j)| near(sketches[i].as_ref().unwrap(), sketches[j].as_ref().unwrap()));
        near.map(|(i, j)| vec![i, j]).collect()
    }

    /// `count` sketches of one gradient hash, each thumbnail a little apart from the one before it.
    fn drifting(count: usize) -> Vec<Option<Sketch>> {
        let sketch = |i: usize| {
            // Level by level, pixel by pixel, the second half of the thumbnail brightens and darkens again.
            let step = |at: usize| ((i + at) / 32 % 160).abs_diff(80);
            let value = |at: usize| (at * 37 % 160 + if at > 31 { step(at) } else { 0 }) as u8;
            let mut pixels = [0; 32];
            pixels[..8].copy_from_slice(&i.to_le_bytes());
            Some(Sketch { pixels, dhash: 7, phash: 7, thumbnail: (0..64).map(value).collect() })
        };
        (0..count).map(sketch).collect()
    }

    /// Of one hash, connected though the first and the last are far from each other; cut off, the end is on its own.
    #[test]
    fn chains_are_one_cluster() {
        let mut few = drifting(2000);
        assert!(!few[0].as_ref().unwrap().is_near(few[1999].as_ref().unwrap()));
        few.drain(900..1600);
        let found = near(&few);
        assert_eq!(found, clusters(few.len(), pairs(&few)));
        assert_eq!(found.len(), 2);
        assert_eq!(near(&drifting(20_000)), [(0..20_000).collect::<Vec<_>>()]);
    }
}
