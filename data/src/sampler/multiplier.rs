//! Samples with rare labels more often.

use super::Sampler;
use crate::balance::{max_label, multipliers};
use crate::error::{Error, Result};
use crate::row::Row;
use rand::seq::SliceRandom;
use rand_chacha::ChaCha8Rng;
use serde::{Deserialize, Serialize};

/// Each sample as often as the label of it that is to come most often, shuffled: for samples of several labels, which no drawing
/// can balance (iafoss, Human Protein Atlas 2018). A sample without a label comes once.
///
/// | field | default | range |
/// |---|---|---|
/// | `classes` | from the counts | how often each label comes, in the order of the classes, each at least 1 |
/// | `limit` | 4 | at least 1, where counts decide: the most often, so often as makes it as frequent as the most frequent one |
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Multiplier {
    /// How often each label comes.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub classes: Vec<usize>,
    /// Most often.
    pub limit: usize,
}

impl Default for Multiplier {
    fn default() -> Self {
        Self { classes: vec![], limit: 4 }
    }
}

impl Multiplier {
    /// How often each row comes.
    fn times(&self, rows: &[Row]) -> Vec<usize> {
        let labels: Vec<Vec<usize>> = rows.iter().map(Row::labels).collect();
        if !self.classes.is_empty() {
            return max_label(&labels, &self.classes);
        }
        let mut counts = vec![0; labels.iter().flatten().max().map_or(0, |last| last + 1)];
        labels.iter().flatten().for_each(|&label| counts[label] += 1);
        max_label(&labels, &multipliers(&counts, self.limit))
    }
}

impl Sampler for Multiplier {
    fn order(&self, rows: &[Row], rng: &mut ChaCha8Rng) -> Vec<usize> {
        let times = self.times(rows).into_iter().enumerate();
        let mut order: Vec<usize> = times.flat_map(|(i, times)| std::iter::repeat_n(i, times)).collect();
        order.shuffle(rng);
        order
    }
    fn length(&self, rows: &[Row]) -> usize {
        self.times(rows).into_iter().sum()
    }
    fn validate(&self) -> Result<()> {
        match self.limit == 0 || self.classes.contains(&0) {
            true => Err(Error::Invalid("sampler 'multiplier': limit and classes must be at least 1".into())),
            false => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::rng::stream;
    use crate::row::Target;

    #[test]
    fn samples_come_as_often_as_their_rarest_label_asks_for() {
        let hot = |labels: [f32; 3]| Row { target: Some(Target::Dense(labels.to_vec())), ..Row::default() };
        let mut rows = vec![hot([1.0, 0.0, 0.0]); 20];
        rows.extend(vec![hot([1.0, 1.0, f32::NAN]); 10]);
        rows.extend([hot([0.0, 1.0, 1.0]), hot([0.0; 3])]);
        let times = |sampler: &Multiplier| {
            let order = sampler.order(&rows, &mut stream(3, 0, 0));
            assert_eq!(order.len(), sampler.length(&rows));
            let mut times = vec![0; rows.len()];
            order.into_iter().for_each(|i| times[i] += 1);
            (times[0], times[20], times[30], times[31])
        };
        // 30, 11 and 1 of them.
        assert_eq!(times(&Multiplier::default()), (1, 2, 4, 1));
        assert_eq!(times(&Multiplier { limit: 100, ..Multiplier::default() }), (1, 2, 30, 1));
        assert_eq!(times(&Multiplier { classes: vec![2, 3], ..Multiplier::default() }), (2, 3, 3, 1));
    }
}
