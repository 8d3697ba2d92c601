//! What is known of a sample without decoding its picture.

use serde::{Deserialize, Serialize};

/// What a picture shows.
#[derive(Clone, Debug, PartialEq)]
pub enum Target {
    /// One of the classes, its index.
    Class(u32),
    /// K values: several labels, soft labels or a regression; NaN where not known.
    Dense(Vec<f32>),
}

/// What a sample is for.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Part {
    /// To learn from.
    #[default]
    Train,
    /// To choose by, where the data set comes with such a part.
    Validation,
    /// To be predicted.
    Test,
}

/// A sample without its pixels.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Row {
    /// Unique among the rows of its part.
    pub id: String,
    /// What it is for.
    pub part: Part,
    /// What it shows, if that is known.
    pub target: Option<Target>,
    /// Rows of one group never sit in two folds.
    pub group: Option<String>,
    /// What this is one of several pictures of: rows with one such key are one sample ([`Samples`](crate::Samples)).
    pub sample: Option<String>,
    /// One raw value per [`Column`]: a number, or the index of a category; NaN where missing.
    pub meta: Vec<f32>,
}

impl Row {
    /// The class, for a target of one class.
    pub fn class(&self) -> Option<u32> {
        match self.target {
            Some(Target::Class(class)) => Some(class),
            _ => None,
        }
    }

    /// The labels that it has: its class, or the places of values above 0.5.
    pub fn labels(&self) -> Vec<usize> {
        match &self.target {
            None => vec![],
            Some(Target::Class(class)) => vec![*class as usize],
            Some(Target::Dense(values)) => (0..values.len()).filter(|&label| values[label] > 0.5).collect(),
        }
    }

    /// The class, or of several values the one with the largest, the first of equal ones: what soft labels say above all. Of several
    /// labels that a row has at once this is the first and no more, and of a row with none of them the first label there is: what
    /// goes by it (samplers, folds by class) is for one class a row.
    pub fn likeliest(&self) -> Option<u32> {
        match self.target.as_ref()? {
            Target::Class(class) => Some(*class),
            Target::Dense(values) => {
                let known = values.iter().enumerate().filter(|(_, value)| !value.is_nan());
                known.reduce(|best, next| if next.1 > best.1 { next } else { best }).map(|(class, _)| class as u32)
            }
        }
    }
}

impl Target {
    /// Whether both say the same; a value that is not known is one that is not known.
    pub fn is(&self, other: &Self) -> bool {
        match (self, other) {
            (Self::Dense(a), Self::Dense(b)) => {
                a.len() == b.len() && a.iter().zip(b).all(|(a, b)| a == b || (a.is_nan() && b.is_nan()))
            }
            _ => self == other,
        }
    }

    /// Whether some of these contradict each other.
    pub(crate) fn contradict(mut targets: impl Iterator<Item = Self>) -> bool {
        targets.next().is_some_and(|first| targets.try_fold(first, |all, target| all.and(&target)).is_none())
    }

    /// What both know together; `None` where they contradict each other: a value that one of them does not know contradicts nothing.
    fn and(mut self, other: &Self) -> Option<Self> {
        match (&mut self, other) {
            (Self::Dense(all), Self::Dense(more)) if all.len() == more.len() => {
                for (all, more) in all.iter_mut().zip(more).filter(|(_, more)| !more.is_nan()) {
                    if !all.is_nan() && *all != *more {
                        return None;
                    }
                    *all = *more;
                }
            }
            (all, other) if *all == *other => {}
            _ => return None,
        }
        Some(self)
    }
}

/// A column of metadata.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Column {
    /// Its header.
    pub name: String,
    /// Category names in the order of their indices; empty for numbers.
    pub categories: Vec<String>,
}
