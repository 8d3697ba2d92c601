//! What a network said: out of the world of tensors.

mod check;
mod text;

pub(crate) use check::{same_classes, wrong};

use crate::error::Result;
use candle_core::{DType, Tensor};

/// What a network said about N samples of K classes.
///
/// The fields are open for reading; [`Predictions::push`], [`Predictions::concat`] and [`Predictions::from_csv`] keep
/// their lengths consistent, and whatever takes predictions checks them again.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Predictions {
    /// Names of the samples, N.
    pub ids: Vec<String>,
    /// Names of the classes, K.
    pub classes: Vec<String>,
    /// N×K probabilities, row-major.
    pub scores: Vec<f32>,
    /// What is right, where it is known.
    pub truth: Option<Truth>,
}

/// What is right about N samples.
#[derive(Clone, Debug, PartialEq)]
pub enum Truth {
    /// One class id per sample, N, below K.
    Class(Vec<u32>),
    /// N×K values, row-major: multi-hot or soft; NaN where a value is not known.
    Dense(Vec<f32>),
}

impl Predictions {
    /// No samples yet.
    pub fn new(classes: &[String]) -> Self {
        Self { classes: classes.to_vec(), ..Self::default() }
    }

    /// Adds a batch: `ids` of B samples, `scores` `[B, K]`, and `truth` as `[B]` U32 class ids or `[B, K]` floats.
    ///
    /// # Errors
    /// Shapes that do not fit, scores that are not finite, class ids that are not below K, and a batch with a truth of
    /// another kind than the samples before; nothing is added then.
    pub fn push(&mut self, ids: &[String], scores: &Tensor, truth: Option<&Tensor>) -> Result<()> {
        let (batch, classes) = (ids.len(), self.classes.len());
        if scores.dims() != [batch, classes] {
            let shape = scores.dims();
            return wrong(format!("{batch} ids and {classes} classes need scores [{batch}, {classes}], got {shape:?}"));
        }
        let truth = match truth {
            None => None,
            Some(t) if t.dims() == [batch] && t.dtype() == DType::U32 => Some(Truth::Class(t.to_vec1()?)),
            Some(t) if t.dims() == [batch, classes] && t.dtype().is_float() => Some(Truth::Dense(floats(t)?)),
            Some(t) => {
                let (shape, dtype) = (t.dims(), t.dtype());
                return wrong(format!(
                    "a truth is [{batch}] U32 class ids or [{batch}, {classes}] floats, got {shape:?} {dtype:?}"
                ));
            }
        };
        let more = Self { ids: ids.to_vec(), classes: vec![], scores: floats(scores)?, truth };
        self.extend(more)
    }

    /// Number of samples, N.
    pub fn len(&self) -> usize {
        self.ids.len()
    }

    /// Whether there are no samples.
    pub fn is_empty(&self) -> bool {
        self.ids.is_empty()
    }

    /// The K probabilities of sample `i`.
    ///
    /// # Panics
    /// When `i` is not below [`Predictions::len`].
    pub fn row(&self, i: usize) -> &[f32] {
        let classes = self.classes.len();
        &self.scores[i * classes..(i + 1) * classes]
    }

    /// The class id of the highest probability of sample `i`; the first of several.
    ///
    /// # Panics
    /// When `i` is not below [`Predictions::len`].
    pub fn best(&self, i: usize) -> usize {
        best(self.row(i))
    }

    /// All samples of several predictions, in order.
    ///
    /// # Errors
    /// No parts at all, or parts that differ in their classes or in the kind of their truth.
    pub fn concat(parts: &[Self]) -> Result<Self> {
        let Some(first) = parts.first() else {
            return wrong("there are none to put together".into());
        };
        let mut all = Self::new(&first.classes);
        for part in parts {
            part.check()?;
            same_classes(first, part)?;
            all.extend(part.clone())?;
        }
        Ok(all)
    }

    /// The samples at `indices`, in this order; an index may occur more than once.
    ///
    /// # Panics
    /// When an index is not below [`Predictions::len`].
    pub fn select(&self, indices: &[usize]) -> Self {
        let classes = self.classes.len();
        let rows = |values: &[f32]| {
            let rows = indices.iter().map(|i| &values[i * classes..(i + 1) * classes]);
            rows.collect::<Vec<_>>().concat()
        };
        Self {
            ids: indices.iter().map(|&i| self.ids[i].clone()).collect(),
            classes: self.classes.clone(),
            scores: rows(&self.scores),
            truth: self.truth.as_ref().map(|truth| match truth {
                Truth::Class(ids) => Truth::Class(indices.iter().map(|&i| ids[i]).collect()),
                Truth::Dense(values) => Truth::Dense(rows(values)),
            }),
        }
    }
}

/// The index of the highest value; the first of several.
pub(crate) fn best(row: &[f32]) -> usize {
    let mut best = 0;
    for (i, score) in row.iter().enumerate() {
        if *score > row[best] {
            best = i;
        }
    }
    best
}

fn floats(tensor: &Tensor) -> Result<Vec<f32>> {
    Ok(tensor.to_dtype(DType::F32)?.flatten_all()?.to_vec1()?)
}
