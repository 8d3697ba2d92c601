//! Which classes are taken for which.

use crate::error::Result;
use crate::predictions::Predictions;
use serde::Serialize;

/// How often each class was taken for each.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct ConfusionMatrix {
    /// Names of the K classes.
    pub classes: Vec<String>,
    /// `[truth][predicted]`, K×K samples.
    pub counts: Vec<Vec<u64>>,
}

/// A class that was taken for another.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Confusion {
    /// What it was.
    pub truth: String,
    /// What it was taken for.
    pub predicted: String,
    /// Samples.
    pub count: u64,
}

/// How good the answers are about one class; NaN where nothing is divided by.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct ClassScores {
    /// Samples of the class.
    pub samples: u64,
    /// Share of those that were taken for the class and are, 0..=1.
    pub precision: f64,
    /// Share of the class that was found, 0..=1.
    pub recall: f64,
    /// Harmonic mean of both, 0..=1.
    pub f1: f64,
}

impl ConfusionMatrix {
    /// Counts the best class of every sample against its true one.
    ///
    /// # Errors
    /// [`crate::Error::Truth`] without one true class per sample.
    pub fn new(predictions: &Predictions) -> Result<Self> {
        let truth = predictions.true_classes("the confusion matrix")?;
        let classes = predictions.classes.len();
        let mut counts = vec![vec![0; classes]; classes];
        for (i, class) in truth.iter().enumerate() {
            counts[*class as usize][predictions.best(i)] += 1;
        }
        Ok(Self { classes: predictions.classes.clone(), counts })
    }

    /// Precision, recall and F1 of every class.
    pub fn per_class(&self) -> Vec<ClassScores> {
        let share = |part: u64, whole: u64| if whole == 0 { f64::NAN } else { part as f64 / whole as f64 };
        let of = |class: usize| {
            let hits = self.counts[class][class];
            let samples: u64 = self.counts[class].iter().sum();
            let guesses: u64 = self.counts.iter().map(|row| row[class]).sum();
            let (precision, recall) = (share(hits, guesses), share(hits, samples));
            ClassScores { samples, precision, recall, f1: share(2 * hits, samples + guesses) }
        };
        (0..self.classes.len()).map(of).collect()
    }

    /// The `n` pairs of different classes that were confused most often, descending; equal counts in the order of the
    /// classes.
    pub fn most_confused(&self, n: usize) -> Vec<Confusion> {
        let mut pairs: Vec<Confusion> = vec![];
        for (truth, row) in self.counts.iter().enumerate() {
            for (predicted, &count) in row.iter().enumerate().filter(|(k, count)| *k != truth && **count > 0) {
                let (truth, predicted) = (self.classes[truth].clone(), self.classes[predicted].clone());
                pairs.push(Confusion { truth, predicted, count });
            }
        }
        pairs.sort_by_key(|pair| std::cmp::Reverse(pair.count));
        pairs.truncate(n);
        pairs
    }
}
