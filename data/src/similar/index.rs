//! Pairs of hashes that differ in few bits, without comparing all with all.

use std::collections::{BTreeMap, BTreeSet};

/// So many pictures are compared in pairs without further ado.
const FEW: usize = 64;

/// Pairs of indices whose hashes differ in at most `distance` bits (Hamming distance), each once, sorted.
///
/// Notebooks of the whale competition take 6 bits for the same picture; that pairs unlike pictures on plain grounds, too. The
/// work grows far slower than the number of all pairs while hashes differ, and with the number of found pairs where they do not:
/// for many equal hashes take [`hash_clusters`].
pub fn within(hashes: &[u64], distance: u32) -> Vec<(usize, usize)> {
    let mut pairs = BTreeSet::new();
    pairs_within(hashes, distance, &mut |i, j| {
        pairs.insert((i.min(j), i.max(j)));
    });
    pairs.into_iter().collect()
}

/// Clusters of indices, each sorted, that are connected by hashes that differ in at most `distance` bits; `None` is in none.
pub fn hash_clusters(hashes: &[Option<u64>], distance: u32) -> Vec<Vec<usize>> {
    let mut members = BTreeMap::<u64, Vec<usize>>::new();
    for (i, hash) in hashes.iter().enumerate() {
        if let Some(hash) = hash {
            members.entry(*hash).or_default().push(i);
        }
    }
    let distinct: Vec<u64> = members.keys().copied().collect();
    let mut groups = vec![];
    pairs_within(&distinct, distance, &mut |a, b| {
        groups.push(vec![members[&distinct[a]][0], members[&distinct[b]][0]]);
    });
    groups.extend(members.into_values());
    super::clusters(hashes.len(), groups)
}

/// Gives `found` every pair of indices whose hashes differ in at most `distance` bits, some more than once.
pub(super) fn pairs_within(hashes: &[u64], distance: u32, found: &mut dyn FnMut(usize, usize)) {
    let all: Vec<usize> = (0..hashes.len()).collect();
    let compare = &mut |i: usize, j: usize| {
        if (hashes[i] ^ hashes[j]).count_ones() <= distance {
            found(i, j);
        }
    };
    candidates(&mut Search { hashes, distance, compare }, &all, u64::MAX);
}

/// What is looked for.
struct Search<'a> {
    hashes: &'a [u64],
    distance: u32,
    compare: &'a mut dyn FnMut(usize, usize),
}

/// Gives `compare` every pair of `bucket` whose hashes differ in at most `distance` bits, some more than once, and few
/// others. Outside of `bits` all hashes of the bucket are equal.
///
/// Hashes that differ in at most d bits agree in one of d + 1 bands of bits, so only pictures that share a band are compared;
/// those of a large band are divided again by the other bits.
fn candidates(search: &mut Search<'_>, bucket: &[usize], bits: u64) {
    match divide(search, bucket, bits) {
        Some(parts) => parts.iter().for_each(|(part, bits)| candidates(search, part, *bits)),
        None => {
            for (n, &i) in bucket.iter().enumerate() {
                bucket[n + 1..].iter().for_each(|&j| (search.compare)(i, j));
            }
        }
    }
}

/// The members of a bucket that share a band, and the bits that are left to divide them by; none where that saves little.
fn divide(search: &Search<'_>, bucket: &[usize], bits: u64) -> Option<Vec<(Vec<usize>, u64)>> {
    let hashes = search.hashes;
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
    let mut bands = vec![0u64; search.distance as usize + 1];
    let count = bands.len();
    for (n, (_, bit)) in telling.iter().enumerate() {
        bands[n % count] |= 1u64 << bit;
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

#[cfg(test)]
mod tests {
    use super::*;

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

    /// How many pairs are compared, and those of them that differ in few bits.
    fn compared(hashes: &[u64], distance: u32) -> (usize, BTreeSet<(usize, usize)>) {
        let (mut count, mut close) = (0, BTreeSet::new());
        let all: Vec<usize> = (0..hashes.len()).collect();
        let compare = &mut |i: usize, j: usize| {
            count += 1;
            if (hashes[i] ^ hashes[j]).count_ones() <= distance {
                close.insert((i, j));
            }
        };
        candidates(&mut Search { hashes, distance, compare }, &all, u64::MAX);
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
            let (compared, close) = compared(&hashes, 4);
            assert!(compared < 100 * count, "{compared} of {count} pictures");
            assert!((0..count).step_by(100).all(|i| close.contains(&(i, i + 1))));
        }
    }

    #[test]
    fn buckets_that_are_divided_miss_no_pair() {
        for (plain, rare) in [(0, 0), (0x1FFF, 0), (0xFFFF_FF00_0000_00FF, 0), (0xFF, u64::MAX), (u64::MAX - 7, 0)] {
            let hashes = hashes(700, plain, rare);
            for distance in [0, 1, 4, 6, 9] {
                let near = |&(i, j): &(usize, usize)| (hashes[i] ^ hashes[j]).count_ones() <= distance;
                let all: Vec<_> = (0..700).flat_map(|i| (i + 1..700).map(move |j| (i, j))).filter(near).collect();
                let (count, close) = compared(&hashes, distance);
                assert_eq!(close.into_iter().collect::<Vec<_>>(), all, "{plain:x} {rare:x} {distance}");
                assert_eq!(within(&hashes, distance), all);
                assert!(count <= 700 * 699 / 2, "{plain:x} {rare:x} {distance}");
                let known: Vec<_> = hashes.iter().copied().map(Some).collect();
                let pairs = all.into_iter().map(|(i, j)| vec![i, j]);
                assert_eq!(hash_clusters(&known, distance), super::super::clusters(700, pairs));
            }
        }
    }

    #[test]
    fn many_equal_hashes_are_one_cluster_at_once() {
        let mut hashes = vec![Some(7); 50_000];
        hashes[3] = None;
        hashes[4] = Some(7 ^ 0b11);
        hashes[5] = Some(u64::MAX);
        let clusters = hash_clusters(&hashes, 2);
        assert_eq!((clusters.len(), clusters[0].len()), (1, 49_998));
    }
}
