//! Hits, false alarms and misses of every class.

use crate::error::Result;
use crate::predictions::{Predictions, Truth, wrong};

/// From this probability on a class of its own question is predicted, and from this value on it is true.
pub(crate) const THRESHOLD: f32 = 0.5;

/// How one class did.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Tally {
    pub hits: f64,
    pub alarms: f64,
    pub misses: f64,
}

impl Tally {
    /// Samples that are of this class.
    pub fn truths(&self) -> f64 {
        self.hits + self.misses
    }
    /// Samples that are predicted to be of this class.
    pub fn guesses(&self) -> f64 {
        self.hits + self.alarms
    }
    pub fn plus(self, other: Self) -> Self {
        Self { hits: self.hits + other.hits, alarms: self.alarms + other.alarms, misses: self.misses + other.misses }
    }
}

#[derive(Clone, Copy)]
enum Kind {
    Hit,
    Alarm,
    Miss,
}

/// What happened at every sample.
pub(crate) struct Events {
    classes: usize,
    /// Sample, class, what happened.
    list: Vec<(u32, u32, Kind)>,
}

impl Events {
    /// Of the best class of every sample; with `rows`, a truth of rows makes every class a question of its own.
    pub fn of(what: &'static str, predictions: &Predictions, rows: bool) -> Result<Self> {
        let mut list = vec![];
        match &predictions.truth {
            Some(Truth::Dense(_)) if rows => {
                let classes = predictions.classes.len().max(1);
                for (i, (guess, truth)) in questions(predictions)?.into_iter().enumerate() {
                    let (sample, class) = ((i / classes) as u32, (i % classes) as u32);
                    match (guess, truth) {
                        (true, true) => list.push((sample, class, Kind::Hit)),
                        (true, false) => list.push((sample, class, Kind::Alarm)),
                        (false, true) => list.push((sample, class, Kind::Miss)),
                        (false, false) => {}
                    }
                }
            }
            _ => {
                for (sample, &truth) in predictions.true_classes(what)?.iter().enumerate() {
                    let guess = predictions.best(sample) as u32;
                    let sample = sample as u32;
                    if guess == truth {
                        list.push((sample, truth, Kind::Hit));
                    } else {
                        list.extend([(sample, truth, Kind::Miss), (sample, guess, Kind::Alarm)]);
                    }
                }
            }
        }
        Ok(Self { classes: predictions.classes.len(), list })
    }

    /// One tally per class.
    pub fn tally(&self, counts: &[u32]) -> Vec<Tally> {
        let mut tallies = vec![Tally::default(); self.classes];
        for &(sample, class, kind) in &self.list {
            let (tally, count) = (&mut tallies[class as usize], f64::from(counts[sample as usize]));
            match kind {
                Kind::Hit => tally.hits += count,
                Kind::Alarm => tally.alarms += count,
                Kind::Miss => tally.misses += count,
            }
        }
        tallies
    }
}

/// For every sample and class of a truth of rows: whether it is predicted and whether it is true.
pub(crate) fn questions(predictions: &Predictions) -> Result<Vec<(bool, bool)>> {
    predictions.check()?;
    let Some(Truth::Dense(values)) = &predictions.truth else {
        return Ok(vec![]);
    };
    if let Some(i) = values.iter().position(|value| value.is_nan()) {
        let (sample, class) = (i / predictions.classes.len(), i % predictions.classes.len());
        let (id, class) = (&predictions.ids[sample], &predictions.classes[class]);
        return wrong(format!("whether sample '{id}' is '{class}' is not known"));
    }
    let both = predictions.scores.iter().zip(values);
    Ok(both.map(|(score, value)| (*score >= THRESHOLD, *value >= THRESHOLD)).collect())
}
