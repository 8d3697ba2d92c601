//! Pairs of one class.

use super::{Sampler, members};
use crate::row::Row;
use rand::Rng;
use rand::seq::SliceRandom;
use rand_chacha::ChaCha8Rng;
use serde::{Deserialize, Serialize};

/// Every sample once, shuffled, and beside each a random one of the same class and another group: what both have in common is then
/// the class (hmendonca, Recursion Cellular 2019). An epoch is twice as long; even batches keep pairs in one batch. Where a class
/// has but one group, the twin is another sample of it; where it has but one sample, the same.
///
/// It has no parameters.
#[derive(Clone, Copy, Debug, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Twin {}

impl Sampler for Twin {
    fn order(&self, rows: &[Row], rng: &mut ChaCha8Rng) -> Vec<usize> {
        let mut classes = members(rows, Row::likeliest);
        let group = |i: usize| rows[i].group.as_deref();
        classes.values_mut().for_each(|class| class.sort_by_key(|&i| (group(i), i)));
        let mut order: Vec<usize> = (0..rows.len()).collect();
        order.shuffle(rng);
        let mut twin = |i: usize| {
            let class = classes.get(&rows[i].likeliest()).map_or(&[][..], |class| class);
            // The members that are no twins: those of the group, or the sample alone.
            let alone = class.partition_point(|&j| (group(j), j) < (group(i), i));
            let (mut from, mut to) = (alone, alone + 1);
            if group(i).is_some() {
                (from, to) =
                    (class.partition_point(|&j| group(j) < group(i)), class.partition_point(|&j| group(j) <= group(i)));
            }
            if to - from == class.len() {
                (from, to) = (alone, alone + 1);
            }
            match class.len() - (to - from) {
                0 => i,
                others => {
                    let at = rng.random_range(0..others);
                    class[if at < from { at } else { at + to - from }]
                }
            }
        };
        order.into_iter().flat_map(|i| [i, twin(i)]).collect()
    }
    fn length(&self, rows: &[Row]) -> usize {
        2 * rows.len()
    }
    fn together(&self) -> usize {
        2
    }
    fn by_class(&self) -> bool {
        true
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::rng::stream;
    use crate::row::Target;

    #[test]
    fn twins_are_of_one_class_and_of_another_group() {
        let row = |class: u32, group: &str| Row {
            target: Some(Target::Class(class)),
            group: (!group.is_empty()).then(|| group.into()),
            ..Row::default()
        };
        let mut rows: Vec<Row> = (0..300).map(|i| row(i % 3, ["a", "b", "c", ""][i as usize % 4])).collect();
        // One group; one sample.
        rows.extend([row(3, "a"), row(3, "a"), row(4, "a")]);
        let order = Twin {}.order(&rows, &mut stream(2, 0, 0));
        assert_eq!(order.len(), Twin {}.length(&rows));
        let mut first: Vec<usize> = order.iter().step_by(2).copied().collect();
        first.sort_unstable();
        assert_eq!(first, (0..303).collect::<Vec<_>>());
        let mut seen = std::collections::BTreeSet::new();
        for pair in order.chunks(2) {
            let (a, b) = (&rows[pair[0]], &rows[pair[1]]);
            assert_eq!(a.class(), b.class());
            assert!(pair[0] != pair[1] || pair[0] == 302, "{pair:?}");
            assert!(a.group != b.group || a.group.is_none() || pair[0] >= 300, "{pair:?}");
            seen.insert(pair[1]);
        }
        // 300 draws of 300 miss a share of 1/e.
        assert!((160..220).contains(&seen.len()), "{}", seen.len());
    }
}
