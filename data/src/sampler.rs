//! In which order an epoch goes through the samples.

use crate::error::{Error, Result};
use crate::row::Row;
use rand::Rng;
use rand::seq::SliceRandom;
use rand_chacha::ChaCha8Rng;

/// Gives the indices of an epoch.
pub trait Sampler: Send + Sync {
    /// Indices into `rows`; the same for the same state of `rng`.
    fn order(&self, rows: &[Row], rng: &mut ChaCha8Rng) -> Vec<usize>;
}

/// As they lie there; for validation and prediction.
#[derive(Clone, Copy, Debug, Default)]
pub struct Sequential;

/// Every sample once, shuffled.
#[derive(Clone, Copy, Debug, Default)]
pub struct Shuffled;

/// As many samples as there are, drawn with replacement so that every class is equally likely; soft labels count as the class
/// that they say above all.
#[derive(Clone, Copy, Debug, Default)]
pub struct Balanced;

impl Sampler for Sequential {
    fn order(&self, rows: &[Row], _: &mut ChaCha8Rng) -> Vec<usize> {
        (0..rows.len()).collect()
    }
}

impl Sampler for Shuffled {
    fn order(&self, rows: &[Row], rng: &mut ChaCha8Rng) -> Vec<usize> {
        let mut order: Vec<usize> = (0..rows.len()).collect();
        order.shuffle(rng);
        order
    }
}

impl Sampler for Balanced {
    fn order(&self, rows: &[Row], rng: &mut ChaCha8Rng) -> Vec<usize> {
        let mut members = std::collections::BTreeMap::<Option<u32>, Vec<usize>>::new();
        for (i, row) in rows.iter().enumerate() {
            members.entry(row.likeliest()).or_default().push(i);
        }
        let members: Vec<Vec<usize>> = members.into_values().collect();
        let mut draw = || {
            let class = &members[rng.random_range(0..members.len())];
            class[rng.random_range(0..class.len())]
        };
        (0..rows.len()).map(|_| draw()).collect()
    }
}

impl Sampler for Box<dyn Sampler> {
    fn order(&self, rows: &[Row], rng: &mut ChaCha8Rng) -> Vec<usize> {
        (**self).order(rows, rng)
    }
}

type Build = fn() -> Box<dyn Sampler>;

/// All samplers: name, one sentence, constructor.
pub const SAMPLERS: &[(&str, &str, Build)] = &[
    ("balanced", "Drawn with replacement, every class equally likely.", || Box::new(Balanced)),
    ("sequential", "As they lie there.", || Box::new(Sequential)),
    ("shuffled", "Every sample once, shuffled.", || Box::new(Shuffled)),
];

/// The sampler `name`.
///
/// # Errors
/// [`Error::Unknown`] lists the names there are.
pub fn build(name: &str) -> Result<Box<dyn Sampler>> {
    let known = || SAMPLERS.iter().map(|(name, ..)| *name).collect::<Vec<_>>().join(", ");
    let found = SAMPLERS.iter().find(|(known, ..)| *known == name);
    found.map(|(.., build)| build()).ok_or_else(|| Error::Unknown {
        kind: "sampler",
        name: name.into(),
        known: known(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::rng::stream;
    use crate::row::Target;

    #[test]
    fn orders_are_what_they_promise() {
        let class = |c| Row { target: Some(Target::Class(c)), ..Row::default() };
        let rows: Vec<Row> = (0..1000).map(|i| class(u32::from(i < 50))).collect();
        let order = |name: &str, seed| build(name).unwrap().order(&rows, &mut stream(seed, 0, 0));
        assert_eq!(order("sequential", 0), (0..1000).collect::<Vec<_>>());
        let mut shuffled = order("shuffled", 1);
        assert_ne!(shuffled, order("shuffled", 2));
        shuffled.sort();
        assert_eq!(shuffled, (0..1000).collect::<Vec<_>>());
        let rare = order("balanced", 1).iter().filter(|i| **i < 50).count();
        assert!((400..600).contains(&rare), "{rare}");
        let soft =
            |c: u32| Row { target: Some(Target::Dense(vec![0.9 - c as f32, f32::NAN, c as f32])), ..Row::default() };
        let rows: Vec<Row> = (0..1000).map(|i| soft(u32::from(i < 50))).collect();
        assert_eq!((rows[0].likeliest(), rows[60].likeliest(), Row::default().likeliest()), (Some(2), Some(0), None));
        let rare = Balanced.order(&rows, &mut stream(1, 0, 0)).iter().filter(|i| **i < 50).count();
        assert!((400..600).contains(&rare), "{rare}");
        assert!(build("shufled").err().unwrap().to_string().contains("expected one of balanced, sequential, shuffled"));
    }
}
