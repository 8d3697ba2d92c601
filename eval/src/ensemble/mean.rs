//! The arithmetic mean.

use crate::error::Result;
use crate::predictions::{Predictions, Truth, same_classes, wrong};

/// The arithmetic mean of the probabilities; the truth is that of the first member that has one.
///
/// # Errors
/// No members, and members that differ in their samples, the samples' order, their classes or their truth: names the
/// first difference.
pub fn mean(members: &[Predictions]) -> Result<Predictions> {
    let Some(first) = members.first() else {
        return wrong("an ensemble needs at least one member".into());
    };
    let mut sums = vec![0.0f64; first.scores.len()];
    let mut mean = first.clone();
    for (m, member) in members.iter().enumerate() {
        member.check()?;
        same_classes(first, member)?;
        if member.len() != first.len() {
            return wrong(format!("member {m} has {} samples, the first has {}", member.len(), first.len()));
        }
        if let Some(i) = (0..first.len()).find(|&i| member.ids[i] != first.ids[i]) {
            let (ours, theirs) = (&first.ids[i], &member.ids[i]);
            return wrong(format!("sample {i} is '{ours}' in the first member and '{theirs}' in member {m}"));
        }
        match (&mean.truth, &member.truth) {
            (Some(ours), Some(theirs)) if !same(ours, theirs) => {
                return wrong(format!("member {m} has another truth than those before"));
            }
            (None, theirs) => mean.truth = theirs.clone(),
            _ => {}
        }
        for (sum, score) in sums.iter_mut().zip(&member.scores) {
            *sum += f64::from(*score);
        }
    }
    mean.scores = sums.into_iter().map(|sum| (sum / members.len() as f64) as f32).collect();
    Ok(mean)
}

/// Equality in which a missing value equals itself.
fn same(a: &Truth, b: &Truth) -> bool {
    match (a, b) {
        (Truth::Dense(a), Truth::Dense(b)) => a.iter().zip(b).all(|(a, b)| a == b || a.is_nan() && b.is_nan()),
        _ => a == b,
    }
}
