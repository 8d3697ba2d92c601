//! `errors.csv`: what went wrong, as a table.

use super::{hardest, suspects};
use crate::confusion::ConfusionMatrix;
use crate::error::Result;
use crate::predictions::Predictions;
use crate::table::encode;

const COLUMNS: [&str; 6] = ["kind", "id", "target", "predicted", "probability", "score"];

/// A table with the columns `kind,id,target,predicted,probability,score`:
///
/// | kind | rows | predicted | probability | score |
/// |---|---|---|---|---|
/// | `hardest` | at most `samples`, of [`hardest`] | the best class | of the best class | loss, nats |
/// | `confused` | at most `pairs`, the most frequent first | what the target was taken for | | samples |
/// | `suspect` | all of [`suspects`] | the suggested class | of the suggested class | probability of the target |
///
/// # Errors
/// [`crate::Error::Truth`] without one true class per sample, and scores that are no probabilities.
pub fn errors_csv(predictions: &Predictions, samples: usize, pairs: usize) -> Result<Vec<u8>> {
    let truth = predictions.true_classes("the table of errors")?;
    let row = |kind: &str, i: usize, predicted: usize, score: f64| {
        let name = |class: usize| predictions.classes[class].clone();
        let (id, probability) = (predictions.ids[i].clone(), predictions.row(i)[predicted].to_string());
        [kind.into(), id, name(truth[i] as usize), name(predicted), probability, score.to_string()]
    };
    let mut rows = vec![COLUMNS.map(String::from)];
    let hard = hardest(predictions, samples)?.into_iter();
    rows.extend(hard.map(|hard| row("hardest", hard.sample, predictions.best(hard.sample), hard.loss)));
    let confused = ConfusionMatrix::new(predictions)?.most_confused(pairs).into_iter();
    let empty = String::new;
    rows.extend(confused.map(|c| ["confused".into(), empty(), c.truth, c.predicted, empty(), c.count.to_string()]));
    rows.extend(suspects(predictions)?.into_iter().map(|s| row("suspect", s.sample, s.suggested, s.score)));
    encode(rows)
}
