//! What a class gains and costs at every threshold.

use crate::error::{Error, Result};
use crate::metrics::THRESHOLD;
use crate::predictions::{Predictions, Truth};

/// False and true positives at one threshold.
type Step = [f64; 2];

/// `[false positive rate, true positive rate]` of class `class` against the rest, 0..=1, from `[0, 0]` to `[1, 1]`: one
/// point per different score (scikit-learn `roc_curve` with `drop_intermediate=False`).
///
/// # Errors
/// No truth, a class that is not below K, [`Error::Undefined`] if the class is true nowhere or everywhere.
pub fn roc(predictions: &Predictions, class: usize) -> Result<Vec<[f64; 2]>> {
    let steps = steps("roc", predictions, class)?;
    match last(&steps) {
        [0.0, _] | [_, 0.0] => {
            Err(Error::Undefined { what: "roc", why: "the class is not true of some samples and not of others" })
        }
        [negatives, positives] => {
            let point = |[fp, tp]: &Step| [fp / negatives, tp / positives];
            Ok(std::iter::once([0.0, 0.0]).chain(steps.iter().map(point)).collect())
        }
    }
}

/// `[recall, precision]` of class `class`, 0..=1, from `[0, 1]` to a recall of 1: one point per different score
/// (scikit-learn `precision_recall_curve`, there in the other direction).
///
/// # Errors
/// No truth, a class that is not below K, [`Error::Undefined`] if the class is true nowhere.
pub fn precision_recall(predictions: &Predictions, class: usize) -> Result<Vec<[f64; 2]>> {
    let steps = steps("precision_recall", predictions, class)?;
    match last(&steps) {
        [_, 0.0] => Err(Error::Undefined { what: "precision_recall", why: "the class is true of no sample" }),
        [_, positives] => {
            let point = |[fp, tp]: &Step| [tp / positives, tp / (tp + fp)];
            Ok(std::iter::once([0.0, 1.0]).chain(steps.iter().map(point)).collect())
        }
    }
}

/// The area under `[x, y]` points of ascending x, by trapezoids: of [`roc`] that of [`crate::metrics::Auc`].
pub fn area(points: &[[f64; 2]]) -> f64 {
    points.windows(2).map(|pair| (pair[1][0] - pair[0][0]) * (pair[1][1] + pair[0][1]) / 2.0).sum()
}

fn last(steps: &[Step]) -> Step {
    steps.last().copied().unwrap_or_default()
}

/// The counts at every different score, from the highest on.
fn steps(what: &'static str, predictions: &Predictions, class: usize) -> Result<Vec<Step>> {
    let classes = predictions.classes.len();
    if class >= classes {
        return Err(Error::Invalid(format!("{what}: there is no class {class} among {classes}")));
    }
    let positive: Vec<bool> = match &predictions.truth {
        Some(Truth::Dense(values)) => {
            predictions.check()?;
            let values: Vec<f32> = values.iter().skip(class).step_by(classes).copied().collect();
            if values.iter().any(|value| value.is_nan()) {
                return Err(Error::Truth { what, needs: "a truth without missing values" });
            }
            values.into_iter().map(|value| value >= THRESHOLD).collect()
        }
        _ => predictions.true_classes(what)?.iter().map(|truth| *truth as usize == class).collect(),
    };
    let score = |i: usize| predictions.row(i)[class];
    let mut order: Vec<usize> = (0..predictions.len()).collect();
    order.sort_by(|&a, &b| score(b).total_cmp(&score(a)));
    let (mut steps, mut counts): (Vec<Step>, Step) = (vec![], [0.0; 2]);
    for (place, &i) in order.iter().enumerate() {
        counts[usize::from(positive[i])] += 1.0;
        if order.get(place + 1).is_none_or(|&next| score(next) != score(i)) {
            steps.push(counts);
        }
    }
    Ok(steps)
}
