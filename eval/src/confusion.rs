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
