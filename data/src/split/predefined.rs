//! As a column says.

use super::{Folds, Input, Split};
use crate::error::{Error, Result};
use crate::row::Part;
use serde::{Deserialize, Serialize};
use std::collections::BTreeSet;

/// A column says which fold each row judges: a number from 0 on, or a category, each of which is a fold, in their order; those of
/// no row that is split are none. Rows with -1, without a value or with the category `train` train in every fold. Without a
/// column, the validation part that the data set comes with judges the one fold there is.
///
/// | field | default | range |
/// |---|---|---|
/// | `column` | none | the column of folds |
/// | `train` | train | the category that judges no fold |
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Predefined {
    /// Where the folds stand.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub column: Option<String>,
    /// What judges no fold.
    pub train: String,
}

impl Default for Predefined {
    fn default() -> Self {
        Self { column: None, train: "train".into() }
    }
}

impl Split for Predefined {
    fn folds(&self, input: &Input<'_>, _: u64) -> Result<Folds> {
        let wrong = |why: String| Err(Error::Invalid(format!("split 'predefined': {why}")));
        let Some(column) = &self.column else {
            let of: Vec<_> = input.rows.iter().map(|row| (row.part == Part::Validation).then_some(0)).collect();
            return match of.iter().any(Option::is_some) {
                true => Ok(Folds { count: 1, of, ..Folds::default() }),
                false => wrong("the data set has no validation part; say which column has the folds (column)".into()),
            };
        };
        let (values, described) = input.column("predefined", column)?;
        let category = |value: f32| described.categories.get(value as usize).filter(|name| **name != self.train);
        let named = values.iter().filter(|v| !v.is_nan() && category(**v).is_some()).map(|v| *v as usize);
        let named: Vec<usize> = named.collect::<BTreeSet<usize>>().into_iter().collect();
        let mut of = vec![None; values.len()];
        for (i, &value) in values.iter().enumerate().filter(|(_, v)| !v.is_nan() && **v != -1.0) {
            of[i] = match described.categories.is_empty() {
                false => named.binary_search(&(value as usize)).ok(),
                true if value >= 0.0 && value.fract() == 0.0 && value < values.len() as f32 => Some(value as usize),
                true => {
                    let id = &input.rows[i].id;
                    return wrong(format!(
                        "row '{id}' has {value} in column '{column}'; folds are 0, 1, 2 and so on, -1 trains in every fold"
                    ));
                }
            };
        }
        let count = of.iter().flatten().max().map_or(0, |last| last + 1);
        match (0..count).find(|fold| !of.contains(&Some(*fold))) {
            Some(empty) => wrong(format!("no row of column '{column}' judges fold {empty}; number folds from 0 on")),
            None if count == 0 => {
                let train = if described.categories.is_empty() { "-1" } else { self.train.as_str() };
                wrong(format!(
                    "no row judges: all have '{train}' or nothing in column '{column}'; name the folds there"
                ))
            }
            None => Ok(Folds { count, of, ..Folds::default() }),
        }
    }
    fn is_random(&self) -> bool {
        false
    }
    fn marks(&self) -> Vec<String> {
        self.column.iter().cloned().collect()
    }
}
