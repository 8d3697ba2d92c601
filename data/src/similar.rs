//! Equal and nearly equal pictures.

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
/// So many pictures are compared in pairs without further ado.
const FEW: usize = 64;

/// What tells a picture from others.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Sketch {
    /// BLAKE3 of sides and pixels: equal pictures, equal hash, whatever the file format.
    pub pixels: [u8; 32],
    /// Difference hash: gray, 9×8, one bit per pair of neighbors, set where the left one is darker.
    pub gradient: u64,
    /// 8×8 RGB.
    thumbnail: Vec<u8>,
}

impl Sketch {
    /// Of an 8-bit gray or RGB picture.
    pub fn of(image: &Image) -> Self {
        let mut hash = blake3::Hasher::new();
        for side in image.dims() {
            hash.update(&(side as u64).to_le_bytes());
        }
        hash.update(image.pixels());
        let small = shrink(image, SIDE, SIDE);
        let gradient = shrink(image, SIDE + 1, SIDE);
        let gray = |p: &[u8]| match p {
            [r, g, b, ..] => 299 * u32::from(*r) + 587 * u32::from(*g) + 114 * u32::from(*b),
            _ => 1000 * u32::from(p[0]),
        };
        let levels: Vec<u32> = gradient.chunks_exact(image.channels()).map(gray).collect();
        let bits = levels.chunks_exact(SIDE + 1).flat_map(|row| row.windows(2).map(|pair| pair[0] < pair[1]));
        let gradient = bits.fold(0, |hash, bit| hash << 1 | u64::from(bit));
        Self { pixels: *hash.finalize().as_bytes(), gradient, thumbnail: small }
    }

    /// Whether both show nearly the same.
    pub fn is_near(&self, other: &Self) -> bool {
        if (self.gradient ^ other.gradient).count_ones() > MAX_BITS || self.thumbnail.len() != other.thumbnail.len() {
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

/// Antialiased resampling to `width` × `height`.
fn shrink(image: &Image, width: usize, height: usize) -> Vec<u8> {
    let kind = if image.channels() == 3 { PixelType::U8x3 } else { PixelType::U8 };
    let plane = image.height() * image.width() * kind.size();
    let source = ImageRef::new(image.width() as u32, image.height() as u32, &image.pixels()[..plane], kind);
    let mut out = Buffer::new(width as u32, height as u32, kind);
    let options = ResizeOptions::new().resize_alg(ResizeAlg::Convolution(FilterType::Box));
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
    let hashes: Vec<u64> = known.iter().map(|(_, sketch)| sketch.gradient).collect();
    let all: Vec<usize> = (0..known.len()).collect();
    let mut pairs = std::collections::BTreeSet::new();
    candidates(&hashes, &all, u64::MAX, &mut |a, b| {
        // Most pairs end here, before anything else of the pictures is fetched.
        if (hashes[a] ^ hashes[b]).count_ones() > MAX_BITS {
            return;
        }
        let ((i, a), (j, b)) = (known[a], known[b]);
        if a.pixels != b.pixels && a.is_near(b) {
            pairs.insert((i, j));
        }
    });
    pairs.into_iter().collect()
}

/// Gives `compare` every pair of `bucket` whose hashes differ in at most [`MAX_BITS`] bits, some more than once, and few
/// others. Outside of `bits` all hashes of the bucket are equal.
///
/// Hashes that differ in at most four bits agree in one of five bands of bits, so only pictures that share a band are compared;
/// those of a large band are divided again by the other bits.
fn candidates(hashes: &[u64], bucket: &[usize], bits: u64, compare: &mut dyn FnMut(usize, usize)) {
    match divide(hashes, bucket, bits) {
        Some(parts) => parts.iter().for_each(|(part, bits)| candidates(hashes, part, *bits, compare)),
        None => {
            for (n, &i) in bucket.iter().enumerate() {
                bucket[n + 1..].iter().for_each(|&j| compare(i, j));
            }
        }
    }
}

/// The members of a bucket that share a band, and the bits that are left to divide them by; none where that saves little.
fn divide(hashes: &[u64], bucket: &[usize], bits: u64) -> Option<Vec<(Vec<usize>, u64)>> {
    if bucket.len() <= FEW {
        return None;
    }
    let off_balance = |bit: u32| {
        let ones = bucket.iter().filter(|&&i| (hashes[i] >> bit) & 1 == 1).count();
        (ones.abs_diff(bucket.len() - ones), bit)
    };
    let left = (0..64u32).filter(|bit| (bits >> bit) & 1 == 1);
    let mut telling: Vec<(usize, u32)> = left.map(off_balance).filter(|(off, _)| *off < bucket.len()).collect();
    // The bits that tell most apart are dealt out, so that no band is the plain border of all pictures.
    telling.sort_unstable();
    let mut bands = [0u64; MAX_BITS as usize + 1];
    for (n, (_, bit)) in telling.iter().enumerate() {
        bands[n % bands.len()] |= 1u64 << bit;
    }
    if bands.contains(&0) {
        return None;
    }
    let mut parts = vec![];
    for band in bands {
        let mut sorted: Vec<(u64, usize)> = bucket.iter().map(|&i| (hashes[i] & band, i)).collect();
        sorted.sort_unstable();
        let alike = sorted.chunk_by(|a, b| a.0 == b.0).filter(|part| part.len() > 1);
        parts.extend(alike.map(|part| (part.iter().map(|(_, i)| *i).collect::<Vec<usize>>(), bits & !band)));
    }
    let pairs = |count: usize| count * (count - 1) / 2;
    let cost: usize = parts.iter().map(|(part, _)| pairs(part.len())).sum();
    (2 * cost <= pairs(bucket.len())).then_some(parts)
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
    /// Hashes that look random, equal in the bits of `plain`; every bit of `rare` is set in one of eight.
    fn hashes(count: usize, plain: u64, rare: u64) -> Vec<u64> {
        let mut state = 0u64;
        let mut next = || {
            state = state.wrapping_add(0x9E37_79B9_7F4A_7C15);
            let mixed = (state ^ (state >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
            let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
            mixed ^ (mixed >> 31)
        };
        (0..count).map(|_| next() & !plain & (!rare | (next() & next()))).collect()
    }

    /// How many pairs are compared, and those of them that differ in at most four bits.
    fn compared(hashes: &[u64]) -> (usize, std::collections::BTreeSet<(usize, usize)>) {
        let (mut count, mut close) = (0, std::collections::BTreeSet::new());
        let all: Vec<usize> = (0..hashes.len()).collect();
        candidates(hashes, &all, u64::MAX, &mut |i, j| {
            count += 1;
            if (hashes[i] ^ hashes[j]).count_ones() <= MAX_BITS {
                close.insert((i, j));
            }
        });
        (count, close)
    }

    /// As a plain border makes it: not every picture has one.
    #[test]
    fn a_band_that_most_pictures_share_costs_little() {
        for count in [20_000, 80_000] {
            let mut hashes = hashes(count, 0x1FFF, 0);
            hashes.iter_mut().step_by(50).for_each(|hash| *hash |= 0xABC);
            // Every hundredth has a near one beside it.
            for i in (0..count).step_by(100) {
                hashes[i + 1] = hashes[i] ^ (1u64 << (i % 64)) ^ (1u64 << (i / 7 % 64));
            }
            let (compared, close) = compared(&hashes);
            assert!(compared < 100 * count, "{compared} of {count} pictures");
            assert!((0..count).step_by(100).all(|i| close.contains(&(i, i + 1))));
        }
    }

    #[test]
    fn buckets_that_are_divided_miss_no_pair() {
        for (plain, rare) in [(0, 0), (0x1FFF, 0), (0xFFFF_FF00_0000_00FF, 0), (0xFF, u64::MAX), (u64::MAX - 7, 0)] {
            let hashes = hashes(700, plain, rare);
            let near = |&(i, j): &(usize, usize)| (hashes[i] ^ hashes[j]).count_ones() <= MAX_BITS;
            let all = (0..700).flat_map(|i| (i + 1..700).map(move |j| (i, j))).filter(near);
            let (count, close) = compared(&hashes);
            assert_eq!(close, all.collect(), "{plain:x} {rare:x}");
            assert!(count <= 700 * 699 / 2, "{plain:x} {rare:x}");
        }
    }
}
