//! The answer in the competition's own form.

mod matching;
mod sample;

pub use sample::{Layout, Sample};

use crate::error::{Error, Result};
use crate::predictions::{Predictions, best, wrong};
use crate::table::{Table, encode, encode_separated, repeated};
use serde::{Deserialize, Serialize};
use std::collections::HashSet;

/// The form of the answer where no sample submission gives one.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Submission {
    /// Whether each row holds all probabilities instead of the best class. With two classes and a sample of two
    /// columns: one probability, that of the class the column is named after, else that of the second class.
    pub probabilities: bool,
    /// Name of the id column.
    pub id: String,
    /// Name of the label column.
    pub label: String,
}

impl Default for Submission {
    fn default() -> Self {
        Self { probabilities: false, id: "id".into(), label: "label".into() }
    }
}

impl Submission {
    /// Rejects impossible parameters.
    ///
    /// # Errors
    /// [`Error::Invalid`] for empty and equal names.
    pub fn validate(&self) -> Result<()> {
        match self.id.is_empty() || self.label.is_empty() || self.id == self.label {
            true => Err(Error::Invalid("submission: id and label need names of their own".into())),
            false => Ok(()),
        }
    }
}

/// A submission and what had to be made up or left out.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Written {
    /// The bytes of the file.
    pub csv: Vec<u8>,
    /// Ids of the sample without a prediction, in its order; they got the fallback.
    pub filled: Vec<String>,
    /// How many predictions the sample does not ask for.
    pub extra: usize,
}

/// Writes `predictions` as `sample` asks, in its order, under its ids and with its separator, or as `form` says if there is no sample.
///
/// A sample's id is that of a prediction, or its path or file name with or without folders and extension. `fallback`
/// stands for ids without a prediction, such as pictures that cannot be read: K probabilities, for instance the shares
/// of the classes. The result has passed [`check`].
///
/// # Errors
/// A sample that does not fit the classes ([`Sample::layout`]), ids that fit none or several predictions, an id that is
/// predicted twice, and a fallback that is not K finite numbers.
pub fn write(
    predictions: &Predictions,
    form: &Submission,
    sample: Option<&Sample>,
    fallback: &[f32],
) -> Result<Written> {
    form.validate()?;
    predictions.check()?;
    let classes = &predictions.classes;
    if classes.is_empty() || fallback.len() != classes.len() || fallback.iter().any(|p| !p.is_finite()) {
        let (got, wanted) = (fallback.len(), classes.len());
        return Err(Error::Invalid(format!("a fallback is one finite number for each of {wanted} classes, got {got}")));
    }
    if let Some(id) = repeated(predictions.ids.iter().map(String::as_str)) {
        return wrong(format!("'{id}' occurs twice"));
    }
    let Some(sample) = sample else {
        let layout = if form.probabilities { Layout::all(classes.len()) } else { Layout::Label };
        let header = match layout {
            Layout::Label => vec![form.id.clone(), form.label.clone()],
            _ => std::iter::once(&form.id).chain(classes).cloned().collect(),
        };
        let rows = predictions.ids.iter().enumerate().map(|(i, id)| layout.row(id, classes, predictions.row(i)));
        return Ok(Written { csv: encode(std::iter::once(header).chain(rows))?, filled: vec![], extra: 0 });
    };
    let layout = sample.layout(classes, form)?;
    let found = matching::find(sample.ids(), &predictions.ids)?;
    let row =
        |(id, at): (&String, &Option<usize>)| layout.row(id, classes, at.map_or(fallback, |i| predictions.row(i)));
    let rows = sample.ids().iter().zip(&found).map(row);
    let csv = encode_separated(std::iter::once(sample.columns().to_vec()).chain(rows), sample.separator())?;
    check(&csv, sample, classes, form)?;
    let missing = sample.ids().iter().zip(&found).filter(|(_, at)| at.is_none());
    let filled: Vec<String> = missing.map(|(id, _)| id.clone()).collect();
    let extra = predictions.len() - (found.len() - filled.len());
    Ok(Written { csv, filled, extra })
}

/// Reads a submission again and compares it with its sample: the header, the number of rows, the ids and their order,
/// finite numbers, labels that are classes.
///
/// # Errors
/// [`Error::Submission`] and [`Error::Csv`] name the first difference.
pub fn check(csv: &[u8], sample: &Sample, classes: &[String], form: &Submission) -> Result<()> {
    let text = std::str::from_utf8(csv).map_err(|error| Error::Submission(format!("it is not UTF-8: {error}")))?;
    let table = Table::separated(text, sample.separator())?;
    let layout = sample.layout(classes, form)?;
    if table.header.iter().ne(sample.columns()) {
        return refuse(format!("its columns are {:?}, the sample's are {:?}", table.header, sample.columns()));
    }
    if table.rows.len() != sample.ids().len() {
        return refuse(format!("it has {} rows, the sample has {}", table.rows.len(), sample.ids().len()));
    }
    let known: HashSet<&str> = classes.iter().map(String::as_str).collect();
    for ((line, row), id) in table.rows.iter().zip(sample.ids()) {
        let bad = |why: String| Err(Error::Csv { line: *line, why });
        if row.get(0) != Some(id) {
            return bad(format!("its id is '{}', the sample's is '{id}'", row.get(0).unwrap_or_default()));
        }
        for (cell, column) in row.iter().zip(sample.columns()).skip(1) {
            let finite = cell.parse().is_ok_and(|number: f32| number.is_finite());
            match layout {
                Layout::Label if !known.contains(cell) => {
                    return bad(format!("column '{column}' holds '{cell}', which is none of the classes"));
                }
                Layout::Probability(_) | Layout::Probabilities(_) if !finite => {
                    return bad(format!("column '{column}' holds '{cell}', which is no finite number"));
                }
                _ => {}
            }
        }
    }
    Ok(())
}

impl Layout {
    /// Every class in its order.
    fn all(classes: usize) -> Self {
        Self::Probabilities((0..classes).collect())
    }

    /// A row of the file; `scores` are K probabilities.
    fn row(&self, id: &str, classes: &[String], scores: &[f32]) -> Vec<String> {
        let mut row = vec![id.to_string()];
        match self {
            Self::Label => row.push(classes[best(scores)].clone()),
            Self::Probability(class) => row.push(scores[*class].to_string()),
            Self::Probabilities(order) => row.extend(order.iter().map(|class| scores[*class].to_string())),
        }
        row
    }
}

fn refuse<T>(why: String) -> Result<T> {
    Err(Error::Submission(why))
}
