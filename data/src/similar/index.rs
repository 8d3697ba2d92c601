//! Clusters of what has nearly equal hashes, without comparing all with all.

use super::union::{Union, end};
use std::collections::BTreeMap;

/// So many hashes are compared in pairs without further ado.
const FEW: usize = 64;

/// Clusters of indices, each sorted, that are connected by hashes that differ in at most `distance` bits (Hamming distance);
/// `None` is in none. Equal hashes are one, and memory grows with the number of hashes, not with that of near pairs.
///
/// Notebooks of the whale competition take 6 bits for the same picture; that connects unlike pictures on plain grounds, too.
pub fn hash_clusters(hashes: &[Option<u64>], distance: u32) -> Vec<Vec<usize>> {
    let mut union = Union::new(hashes.len());
    let mut first = BTreeMap::<u64, usize>::new();
    for (i, hash) in hashes.iter().enumerate() {
        if let Some(hash) = hash {
            union.join(i, *first.entry(*hash).or_insert(i));
        }
    }
    let items: Vec<(u64, usize)> = first.into_iter().collect();
    let bits = |a: usize, b: usize| hashes[a].zip(hashes[b]).map_or(u32::MAX, |(a, b)| (a ^ b).count_ones());
    let rule = Rule {
        distance,
        is_near: &|a, b| bits(a, b) <= distance,
        apart: &|a, b| bits(a, b) as f32,
        reach: distance as f32,
    };
    connect(&items, &rule, &mut union);
    union.clusters()
}

/// Which items are near to each other.
pub(super) struct Rule<'a> {
    /// Most bits in which hashes of near items differ.
    pub distance: u32,
    /// Whether two items are near.
    pub is_near: &'a dyn Fn(usize, usize) -> bool,
    /// A distance of two items, at most the sum of their distances to any third one.
    pub apart: &'a dyn Fn(usize, usize) -> f32,
    /// Near items are at most so far apart.
    pub reach: f32,
}

/// Joins all of `items`, hashes with indices, that are near to each other.
pub(super) fn connect(items: &[(u64, usize)], rule: &Rule<'_>, union: &mut Union) {
    let mut owners = BTreeMap::<u64, Vec<usize>>::new();
    items.iter().for_each(|(hash, item)| owners.entry(*hash).or_default().push(*item));
    owners.values().for_each(|owners| join_near(owners, rule, union));
    let (hashes, owners): (Vec<u64>, Vec<Vec<usize>>) = owners.into_iter().unzip();
    let all: Vec<usize> = (0..hashes.len()).collect();
    buckets(&hashes, rule.distance, &all, u64::MAX, &mut |bucket| {
        let items: Vec<usize> = bucket.iter().flat_map(|&hash| &owners[hash]).copied().collect();
        join_near(&items, rule, union);
    });
}

/// Joins what is near among `items`. One by one takes those that are near to it out of the rest, and each of them goes on, so that
/// items that have joined are not compared with each other again. Items are in the order of their distances to the first one:
/// what is far away there is far from each other, too, and not compared at all.
fn join_near(items: &[usize], rule: &Rule<'_>, union: &mut Union) {
    let key = |&item: &usize| (if items.len() > FEW { (rule.apart)(items[0], item) } else { 0.0 }, item);
    let mut sorted: Vec<(f32, usize)> = items.iter().map(key).collect();
    sorted.sort_by(|a, b| a.0.total_cmp(&b.0).then(a.1.cmp(&b.1)));
    // From each place the way leads to the next one that has not joined.
    let mut rest: Vec<usize> = (0..=sorted.len()).collect();
    for place in 0..sorted.len() {
        if rest[place] != place {
            continue;
        }
        rest[place] = place + 1;
        let mut joined = vec![place];
        while let Some(place) = joined.pop() {
            let (key, item) = sorted[place];
            let first = sorted.partition_point(|(other, _)| *other < key - rule.reach);
            let mut next = end(&mut rest, first);
            while let Some(&(_, other)) = sorted.get(next).filter(|(other, _)| *other <= key + rule.reach) {
                if union.are_joined(item, other) || (rule.is_near)(item, other) {
                    union.join(item, other);
                    rest[next] = next + 1;
                    joined.push(next);
                }
                next = end(&mut rest, next + 1);
            }
        }
    }
}

/// Gives `found` buckets of hashes, by their places: any two that differ in at most `distance` bits share one, and few others do.
/// Outside of `bits` all hashes of `bucket` are equal.
///
/// Hashes that differ in at most d bits agree in one of d + 1 bands of bits, so only those that share a band share a bucket; a
/// large bucket is divided again by the other bits.
fn buckets(hashes: &[u64], distance: u32, bucket: &[usize], bits: u64, found: &mut dyn FnMut(&[usize])) {
    match divide(hashes, distance, bucket, bits) {
        Some(parts) => parts.iter().for_each(|(part, bits)| buckets(hashes, distance, part, *bits, found)),
        None => found(bucket),
    }
}

/// The members of a bucket that share a band, and the bits that are left to divide them by; none where that saves little.
fn divide(hashes: &[u64], distance: u32, bucket: &[usize], bits: u64) -> Option<Vec<(Vec<usize>, u64)>> {
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
    let mut bands = vec![0u64; distance as usize + 1];
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
    use super::super::clusters;
    use super::*;
    use std::cell::Cell;
    use std::collections::BTreeSet;

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

    /// Clusters of items with these hashes and places on a line, near up to `reach`; and how many pairs were compared.
    fn on_a_line(items: &[(u64, f32)], distance: u32, reach: f32) -> (usize, Vec<Vec<usize>>) {
        let (compared, mut union) = (Cell::new(0), Union::new(items.len()));
        let apart = |a: usize, b: usize| (items[a].1 - items[b].1).abs();
        let is_near = |a: usize, b: usize| {
            compared.set(compared.get() + 1);
            (items[a].0 ^ items[b].0).count_ones() <= distance && apart(a, b) <= reach
        };
        let rule = Rule { distance, is_near: &is_near, apart: &apart, reach };
        let hashes: Vec<(u64, usize)> = items.iter().enumerate().map(|(i, item)| (item.0, i)).collect();
        connect(&hashes, &rule, &mut union);
        (compared.get(), union.clusters())
    }

    /// The same, all pairs compared.
    fn all_pairs(items: &[(u64, f32)], distance: u32, reach: f32) -> Vec<Vec<usize>> {
        let near = |&(i, j): &(usize, usize)| {
            (items[i].0 ^ items[j].0).count_ones() <= distance && (items[i].1 - items[j].1).abs() <= reach
        };
        let all = (0..items.len()).flat_map(|i| (i + 1..items.len()).map(move |j| (i, j)));
        clusters(items.len(), all.filter(near).map(|(i, j)| vec![i, j]))
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
            let items: Vec<(u64, f32)> = hashes.into_iter().map(|hash| (hash, 0.0)).collect();
            let (compared, clusters) = on_a_line(&items, 4, 0.0);
            assert!(compared < 100 * count, "{compared} of {count} pictures");
            let pairs: BTreeSet<usize> = clusters.iter().filter(|c| c[1] == c[0] + 1).map(|c| c[0]).collect();
            assert!((0..count).step_by(100).all(|i| pairs.contains(&i)));
        }
    }

    #[test]
    fn buckets_that_are_divided_miss_no_pair() {
        for (plain, rare) in [(0, 0), (0x1FFF, 0), (0xFFFF_FF00_0000_00FF, 0), (0xFF, u64::MAX), (u64::MAX - 7, 0)] {
            let hashes = hashes(700, plain, rare);
            for distance in [0, 1, 4, 6, 9] {
                let one = |hash: &u64| (*hash, 0.0);
                let wanted = all_pairs(&hashes.iter().map(one).collect::<Vec<_>>(), distance, 0.0);
                let known: Vec<_> = hashes.iter().copied().map(Some).collect();
                assert_eq!(hash_clusters(&known, distance), wanted, "{plain:x} {rare:x} {distance}");
                // Near hashes alone are not enough.
                let place = |(i, hash): (usize, &u64)| (*hash, (i * 7919 % 1000) as f32);
                let items: Vec<(u64, f32)> = hashes.iter().enumerate().map(place).collect();
                let (compared, found) = on_a_line(&items, distance, 2.0);
                assert_eq!(found, all_pairs(&items, distance, 2.0), "{plain:x} {rare:x} {distance}");
                assert!(compared <= 3 * 700 * 699 / 4, "{plain:x} {rare:x} {distance}: {compared}");
            }
        }
    }

    /// Twenty thousand alike, whether the first or each one is near to the next, cost some comparisons of each.
    #[test]
    fn many_alike_are_compared_a_few_times_each() {
        const COUNT: usize = 20_000;
        let one: Vec<Vec<usize>> = vec![(0..COUNT).collect()];
        // Of one hash, all near to each other.
        let equal: Vec<(u64, f32)> = (0..COUNT).map(|i| (7, i as f32 / COUNT as f32)).collect();
        let (compared, found) = on_a_line(&equal, 4, 1.0);
        assert!(found == one && compared < 2 * COUNT, "{compared}");
        // Of one hash, each near to the next only, in any order.
        let chain: Vec<(u64, f32)> = (0..COUNT).map(|i| (7, (i * 7919 % COUNT) as f32)).collect();
        let (compared, found) = on_a_line(&chain, 4, 1.0);
        assert!(found == one && compared < 4 * COUNT, "{compared}");
        // None near to another.
        let (compared, found) = on_a_line(&chain, 4, 0.5);
        assert!(found.is_empty() && compared < COUNT, "{compared}");
        // Hashes that differ in one bit from the next (Gray's code): many are near to many.
        let gray: Vec<(u64, f32)> = (0..COUNT as u64).map(|i| (i ^ (i >> 1), 0.0)).collect();
        let (compared, found) = on_a_line(&gray, 4, 0.0);
        assert!(found == one && compared < 100 * COUNT, "{compared}");
        // Hashes three bits from the next one, far from all others.
        let mut hash = 0u64;
        let walk = hashes(COUNT, 0, 0).into_iter().map(|random| {
            [0u64, 21, 42].iter().for_each(|third| hash ^= 1 << (third + (random >> third) % 21));
            (hash, 0.0)
        });
        let (compared, found) = on_a_line(&walk.collect::<Vec<_>>(), 4, 0.0);
        assert!(found == one && compared < 200 * COUNT, "{compared}");
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
