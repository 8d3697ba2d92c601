//! What has to hold between ids, classes, scores and truth.

use super::{Predictions, Truth};
use crate::error::{Error, Result};

impl Predictions {
    /// Adds samples; their `classes` are not looked at.
    pub(super) fn extend(&mut self, more: Self) -> Result<()> {
        let classes = self.classes.len();
        let sample = |i: usize| more.ids.get(i / classes.max(1)).map_or("", String::as_str);
        if let Some(i) = more.scores.iter().position(|score| !score.is_finite()) {
            return wrong(format!("sample '{}' has the score {}", sample(i), more.scores[i]));
        }
        match &more.truth {
            Some(Truth::Class(ids)) => {
                if let Some((id, class)) = more.ids.iter().zip(ids).find(|(_, class)| **class as usize >= classes) {
                    return wrong(format!("sample '{id}' has class id {class}, but there are only {classes} classes"));
                }
            }
            Some(Truth::Dense(values)) => {
                if let Some(i) = values.iter().position(|v| v.is_infinite()) {
                    return wrong(format!("sample '{}' has the target {}", sample(i), values[i]));
                }
            }
            None => {}
        }
        match (&mut self.truth, more.truth) {
            (Some(Truth::Class(ids)), Some(Truth::Class(more))) => ids.extend(more),
            (Some(Truth::Dense(values)), Some(Truth::Dense(more))) => values.extend(more),
            (None, None) => {}
            (truth @ None, more) if self.ids.is_empty() => *truth = more,
            _ => return wrong("all samples or none need a truth, and of one kind".into()),
        }
        self.ids.extend(more.ids);
        self.scores.extend(more.scores);
        Ok(())
    }

    /// Rejects fields whose lengths do not fit together.
    pub(crate) fn check(&self) -> Result<()> {
        let (samples, classes) = (self.len(), self.classes.len());
        let truths = match &self.truth {
            Some(Truth::Class(ids)) if ids.iter().any(|id| *id as usize >= classes) => {
                return wrong(format!("a class id is not below {classes}"));
            }
            Some(Truth::Class(ids)) => ids.len() == samples,
            Some(Truth::Dense(values)) => values.len() == samples * classes,
            None => true,
        };
        match self.scores.len() == samples * classes && truths {
            true => Ok(()),
            false => wrong(format!("scores or truth do not fit {samples} samples of {classes} classes")),
        }
    }

    /// The true class of every sample; `what` needs it, as an error says.
    ///
    /// # Errors
    /// [`Error::Truth`] without one true class per sample, and those of [`Predictions::check`].
    pub fn true_classes(&self, what: &'static str) -> Result<&[u32]> {
        self.check()?;
        match &self.truth {
            Some(Truth::Class(ids)) => Ok(ids),
            Some(Truth::Dense(_)) => Err(Error::Truth { what, needs: "one true class per sample, not rows of values" }),
            None => Err(Error::Truth { what, needs: "the true classes, which these predictions do not have" }),
        }
    }
}

/// Names the first class in which two predictions differ.
pub(crate) fn same_classes(a: &Predictions, b: &Predictions) -> Result<()> {
    let at = (0..a.classes.len().max(b.classes.len())).find(|&i| a.classes.get(i) != b.classes.get(i));
    let name = |p: &Predictions, i: usize| p.classes.get(i).map_or("missing".into(), |name| format!("'{name}'"));
    match at {
        None => Ok(()),
        Some(i) => wrong(format!("class {i} is {} here and {} there", name(a, i), name(b, i))),
    }
}

pub(crate) fn wrong<T>(why: String) -> Result<T> {
    Err(Error::Predictions(why))
}
